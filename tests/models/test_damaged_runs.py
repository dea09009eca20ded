"""Runs on disk that are damaged, or whose parts do not fit: each error says what to do."""

import os
import shlex
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from damage import damaged
from hypothesis import given
from hypothesis import strategies as st
from saved_runs import same, the

import minigrad as mg
from minigrad.models.tasks.registry import load_run
from minigrad.models.training import run_folder
from minigrad.models.training.run_folder import Run, SavedRunError, prepare, save_run


@pytest.mark.parametrize("kind", ["metrics", "model", "extras"])
def test_missing_file(folder, kind):
    name = the(folder, kind).name
    the(folder, kind).unlink()
    with pytest.raises(SavedRunError, match=f"no trained model: {name} missing.*--out") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", ["metrics", "model", "extras"])
def test_what_is_no_file_or_cannot_be_read(folder, kind, monkeypatch):
    path = the(folder, kind)
    with monkeypatch.context() as patch:

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        patch.setattr(run_folder.Path, "read_bytes", refuse)
        with pytest.raises(SavedRunError, match=r"metrics\.json can't be read: Permission denied"):
            load_run(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(SavedRunError, match=f"{path.name} is damaged: it is no file"):
        load_run(folder)


@given(data=st.data())
def test_damage_anywhere_is_told_or_makes_no_difference(data, folder, run):
    path = the(folder, data.draw(st.sampled_from(["metrics", "model", "extras"])))
    before = path.read_bytes()
    for _ in range(10):
        path.write_bytes(damaged(before, data))
        try:
            assert same(load_run(folder), run)
        except SavedRunError as error:
            assert str(folder) in str(error)
    path.write_bytes(before)


def test_a_flipped_bit_is_told_wherever_it_is(folder):
    for path in list(folder.iterdir()):
        before = path.read_bytes()
        for at in range(0, len(before), 1 + len(before) // 40):
            path.write_bytes(before[:at] + bytes([before[at] ^ 4]) + before[at + 1 :])
            with pytest.raises(SavedRunError, match="is damaged"):
                load_run(folder)
        path.write_bytes(before)


def test_sizes_are_looked_at_before_memory_is_taken(folder):
    with (folder / "metrics.json").open("ab") as file:
        file.truncate(run_folder.LARGEST + 1)  # takes no room on the disk
    with pytest.raises(SavedRunError, match=r"is damaged: it has 67,108,865 bytes, and at most"):
        load_run(folder)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path):
    path.write_bytes(b"\x80\x04\x95 this could be a pickle")


def not_text(path):
    path.write_bytes(b"\xff\xfe\x00[")


def written(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("model", truncated, "is damaged: it is not what was written"),
        ("model", foreign, "is damaged: it is not what was written"),
        ("extras", truncated, "is damaged: it is not what was written"),
        ("metrics", truncated, "metrics.json is damaged: "),
        ("metrics", not_text, "metrics.json is damaged: 'utf-8' codec"),
        ("metrics", written("[1]"), "metrics.json is damaged: it must be a JSON object with"),
        ("metrics", written("{}"), "JSON object with minigrad, task, settings, files, sha256"),
        ("metrics", written(""), "metrics.json is damaged: it is empty"),
        ("metrics", written("{"), "metrics.json is damaged: line 1 is where it stops being JSON"),
        ("metrics", written("[" * 100_000), "metrics.json is damaged: it is nested too deep"),
        ("metrics", written("1" * 5000), "metrics.json is damaged: "),
    ],
)
def test_damaged(folder, kind, damage, message):
    damage(the(folder, kind))
    with pytest.raises(SavedRunError, match=f"(?s){message}") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", [".", "other", "my run", "run; rm it"])
@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("metrics", truncated),
        ("metrics", os.unlink),
        ("metrics", written("[1]")),
        ("model", truncated),
        ("model", os.unlink),
        ("extras", foreign),
    ],
)
def test_the_line_that_is_advised_works(kind, damage, name, folder, run, monkeypatch):
    """Where a run can't be, another place is named; and names may hold what a shell reads."""
    place = (folder.parent / name).resolve()
    if name == ".":
        monkeypatch.chdir(folder)
        place = Path(".")
    else:
        folder.rename(place)
    damage(the(place, kind))
    with pytest.raises(SavedRunError) as caught:
        load_run(place)
    line = str(caught.value).partition("minigrad train reviews --out ")[2]
    (out,) = shlex.split(line)
    assert place.resolve() not in Path(out).resolve().parents
    prepare(out)
    save_run(out, run)
    assert same(load_run(out), run)


def test_a_hand_edited_size_is_told_at_once(folder):
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace('"hidden": 6', '"hidden": 3000'))
    with pytest.raises(SavedRunError, match="is damaged: it is not what was written"):
        load_run(folder)


# --- files whose hashes are right ----------------------------------------------------------------


def sealed(folder, run, state=None, extras=None, files=None, settings=None, **figures):
    """Write a run of other parts, with hashes that fit them."""
    model = SimpleNamespace(state_dict=lambda: state or run.model.state_dict())
    task = SimpleNamespace(extras=lambda: run.task.extras() if extras is None else extras)
    settings = run.metrics["settings"] | (settings or {})
    save_run(folder, Run(task, model, {**run.metrics, "settings": settings, **figures}))
    if files is not None:
        (folder / "metrics.json").write_bytes(run_folder._sealed(run.metrics, files))


def with_nan(state):
    state["embedding.weight"][1, 2] = np.nan
    return state


def reshaped(state, name, shape):
    state[name] = np.zeros(shape, "float32")
    return state


A_FILE = {"name": "model-0123456789abcdef.safetensors", "bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {"settings": {"hidden": 30_000}},
            "hidden is an integer from 1 to 4096",
        ),
        (lambda s: {"settings": {"embedding": 10**12}}, "embedding is an integer from 1 to 4096; "),
        (lambda s: {"settings": {"hidden": 7}}, "weight_hh_l0 is .28, 7., and in the state .24, 6"),
        (lambda s: {"settings": {"hidden": "6"}}, "hidden is of type int; got str '6'"),
        (lambda s: {"settings": {"hidden": True}}, "hidden is of type int; got bool True"),
        (lambda s: {"settings": {"hidden": -1}}, "hidden is an integer from 1 to 4096; got -1"),
        (lambda s: {"settings": {"embedding": 4.0}}, "embedding is of type int; got float 4.0"),
        (lambda s: {"settings": {"cell": "lstn"}}, "unknown cell 'lstn'; there are rnn"),
        (lambda s: {"settings": {"cell": ["lstm"]}}, "don't belong together: cell is of type str"),
        (
            lambda s: {"settings": {"cell": "gru"}},
            "together: .*weight_ih_l0 is .18, 4",
        ),
        (lambda s: {"settings": {"speed": 3}}, "don't belong together: .*'speed'"),
        (lambda s: {"task": "plays"}, "trained for 'plays': no task 'plays'; the tasks"),
        (lambda s: {"task": None}, "trained for None: no task None; the tasks are"),
        (lambda s: {"task": ["reviews"]}, "trained for .'reviews'.: no task"),
        (lambda s: {"minigrad": "99.0"}, f"by minigrad 99.0, and this is {mg.__version__}: insta"),
        (lambda s: {"minigrad": 99}, "minigrad is a version such as 0.1.0; got 99"),
        (lambda s: {"state": {"weight": np.ones(3)}}, "unexpected: weight"),
        (lambda s: {"state": {**s, "more": np.ones(3)}}, "unexpected: more"),
        (
            lambda s: {"state": reshaped(s, "recurrent.weight_hh_l0", (0, 30_000))},
            "don't belong together",
        ),
        (lambda s: {"state": {**s, "head.bias": "abc"}}, "is no model: head.bias is no array"),
        (lambda s: {"state": {**s, "head.bias": None}}, "is no model: head.bias is no array"),
        (lambda s: {"state": {"model": s}}, "is no model: model is no array"),
        (lambda s: {"state": with_nan(s)}, "is broken: embedding.weight has weights that are no f"),
        (lambda s: {"extras": {"vocabulary": {"a": 1}}}, "a vocabulary is a list of words"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", 3]}}, "is a list of words"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", "a"]}}, "together: .*weight is"),
        (lambda s: {"extras": {"vocabulary": ["<pad>", "<unk>", "a", "a"]}}, "got 4 of which 3"),
        (lambda s: {"extras": {}}, "don't belong together: 'vocabulary'"),
        (lambda s: {"extras": [1]}, "don't belong together: "),
        (lambda s: {"files": {}}, "is damaged: it names no file of the model"),
        (lambda s: {"files": ["a"]}, "is damaged: it names no file of the model"),
        (lambda s: {"files": {"model": A_FILE}}, "it names no file of the extras"),
        (
            lambda s: {"files": {"model": {**A_FILE, "name": "../../etc/passwd"}}},
            "it names no file of the model",
        ),
    ],
)
def test_parts_that_do_not_fit(folder, run, change, message):
    sealed(folder, run, **change(run.model.state_dict()))
    with pytest.raises(SavedRunError, match=f"(?s){message}") as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)


def test_no_memory_is_taken_for_what_does_not_fit(folder, run):
    sealed(folder, run, settings={"hidden": 30_000})
    tracemalloc.start()
    with pytest.raises(SavedRunError):
        load_run(folder)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**22
