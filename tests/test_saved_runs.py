"""Runs on disk: what was saved comes back, and what is damaged is named."""

import json

import numpy as np
import pytest
from tiny_reviews import tiny_splits

import minigrad as mg
from minigrad.models import saved
from minigrad.models.saved import SavedRunError, load_run, prepare, save_run
from minigrad.models.train import Recipe, train_reviews


@pytest.fixture(scope="module")
def run():
    return train_reviews(tiny_splits(100), Recipe(embedding=4, hidden=6, epochs=1))


@pytest.fixture
def folder(tmp_path, run):
    prepare(tmp_path / "run")
    save_run(tmp_path / "run", run)
    return tmp_path / "run"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_comes_back(cell, tmp_path):
    run = train_reviews(tiny_splits(100), Recipe(cell=cell, embedding=4, hidden=6, epochs=1))
    prepare(tmp_path / "deep" / "er")
    save_run(tmp_path / "deep" / "er", run)
    again = load_run(tmp_path / "deep" / "er")
    assert again.metrics == run.metrics
    assert again.vocabulary.words == run.vocabulary.words
    assert not again.model.training
    tokens = np.array([[2, 3], [4, 0]])
    np.testing.assert_array_equal(
        again.model(tokens, [2, 1]).numpy(), run.model(tokens, [2, 1]).numpy()
    )


def test_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.json",
        "model.safetensors",
        "vocabulary.json",
    ]


def test_replaces_a_run_and_leaves_other_files_alone(folder, run):
    (folder / "notes.txt").write_text("mine")
    prepare(folder)
    save_run(folder, run._replace(metrics={**run.metrics, "seed": 7}))
    assert load_run(folder).metrics["seed"] == 7
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 4


def test_metrics_come_last(folder, run, monkeypatch):
    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(mg, "save", full)
    with pytest.raises(OSError, match="no space left"):
        save_run(folder, run)
    with pytest.raises(SavedRunError, match=r"no trained model: metrics\.json missing"):
        load_run(folder)


def test_a_text_file_is_written_wholly_or_not_at_all(folder, monkeypatch):
    before = (folder / "vocabulary.json").read_text()

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved._write(folder / "vocabulary.json", "[]")
    assert (folder / "vocabulary.json").read_text() == before
    assert len(list(folder.iterdir())) == 3


def test_no_place_to_write(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SavedRunError, match=r"nothing can be written to .*file"):
        prepare(tmp_path / "file" / "run")


@pytest.mark.parametrize("name", ["metrics.json", "model.safetensors", "vocabulary.json"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(SavedRunError, match=f"no trained model: {name} missing.*--out") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path):
    path.write_bytes(b"\x80\x04\x95 this could be a pickle")


def not_text(path):
    path.write_bytes(b"\xff\xfe\x00[")


def of_another_model(path):
    mg.save(path, {"weight": mg.ones(3)})


def written(text):
    return lambda path: path.write_text(text)


def changed(**figures):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **figures}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", truncated, "model.safetensors is damaged; was it cut short?"),
        ("model.safetensors", foreign, "is a pickle or a zip file"),
        ("model.safetensors", written("hello"), "model.safetensors is no safetensors file"),
        ("model.safetensors", of_another_model, "don't belong together: .*unexpected: weight"),
        ("metrics.json", truncated, "metrics.json is damaged: "),
        ("metrics.json", not_text, "metrics.json is damaged: 'utf-8' codec"),
        ("metrics.json", written("[1]"), "metrics.json is damaged: it must be a JSON object with"),
        ("metrics.json", written("{}"), "JSON object with cell, embedding, hidden"),
        ("metrics.json", changed(cell="lstn"), "unknown cell 'lstn'; the cells are rnn, lstm, gru"),
        ("metrics.json", changed(cell="gru"), "don't belong together: .*weight_ih_l0 is .18, 4"),
        ("metrics.json", changed(hidden=7), "wrong shape: recurrent.weight_ih_l0 is .28, 4"),
        ("metrics.json", changed(hidden="6"), "hidden_size is a positive integer; got '6'"),
        ("vocabulary.json", truncated, "vocabulary.json is damaged: "),
        ("vocabulary.json", written('{"a": 1}'), "a vocabulary is a JSON list of words"),
        ("vocabulary.json", written('["<pad>", "<unk>", "a"]'), "embedding.weight is .3, 4"),
    ],
)
def test_damaged(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(SavedRunError, match=f"(?s){message}") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)
