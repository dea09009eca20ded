"""Spoken digits: what is made, what is kept, whose voices are where, and that a model learns."""

import dataclasses
import os
from importlib.util import find_spec

import numpy as np
import pytest

from minigrad.models.speech import espeak
from minigrad.models.speech.espeak import SpeechError
from minigrad.models.tasks import spoken_digits
from minigrad.models.tasks.packages import DataError
from minigrad.models.tasks.speech import Speech, SpeechSettings
from minigrad.models.tasks.spoken_digits import INPUTS, Utterance, hear, load_utterances, part_of
from minigrad.models.training.loop import evaluate, fit

installed = pytest.mark.skipif(
    find_spec("espeakng_loader") is None,
    reason='espeak-ng is missing: pip install -e ".[speech]"',
)


@pytest.fixture
def few(monkeypatch, tmp_path):
    """A folder for data, and few strings."""
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    monkeypatch.setattr(spoken_digits, "SIZES", {"train": 6, "validation": 4, "test": 5})
    return tmp_path


def same(a, b):
    return [*a] == [*b] and all(
        x.digits == y.digits and x.voice == y.voice and np.array_equal(x.features, y.features)
        for part in a
        for x, y in zip(a[part], b[part], strict=True)
    )


@installed
def test_no_family_of_voices_is_in_two_parts():
    parts = {name: part_of(name) for name in espeak.variants()}
    assert {*spoken_digits.TEST}.isdisjoint(spoken_digits.VALIDATION)
    counts = [[*parts.values()].count(part) for part in ("train", "validation", "test")]
    assert counts[0] > 60 and counts[1] >= 6 and counts[2] >= 12
    for name, part in parts.items():
        family = name.lower().rstrip("0123456789").removesuffix("robot")
        alike = [p for n, p in parts.items() if n.lower().startswith(family) and len(family) > 3]
        assert {*alike} <= {part}
    for accent in spoken_digits.ACCENTS:
        assert accent in espeak.languages()


@installed
def test_made_once(few, monkeypatch, capsys):
    first = load_utterances()
    assert "15 strings of digits are spoken" in capsys.readouterr().err
    assert [len(group) for group in first.values()] == [6, 4, 5]
    for part, group in first.items():
        for spoken in group:
            assert spoken.features.dtype == np.float32 and spoken.features.shape[1] == INPUTS
            assert 1 <= len(spoken.digits) <= 5 and part_of(spoken.voice.split("+")[1]) == part
    monkeypatch.setattr(espeak, "synthesize", lambda *args, **options: pytest.fail("spoken again"))
    again = load_utterances()
    assert capsys.readouterr().err == ""
    assert [u.digits for u in again["test"]] == [u.digits for u in first["test"]]
    for a, b in zip(first["train"], again["train"], strict=True):
        np.testing.assert_allclose(a.features, b.features, rtol=1e-3, atol=1e-3)
    assert same(again, load_utterances())


@installed
def test_damaged_and_outdated_files_are_made_again(few, monkeypatch, capsys):
    load_utterances()
    (file,) = few.iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    capsys.readouterr()
    made = load_utterances()
    assert "is damaged, and is made again" in capsys.readouterr().err
    assert same(load_utterances(), load_utterances()) and len(made["test"]) == 5
    monkeypatch.setattr(espeak, "release", lambda: "another one")
    load_utterances()
    assert len([*few.iterdir()]) == 2


@installed
def test_where_nothing_can_be_kept(few, monkeypatch):
    (few / "file").touch()
    monkeypatch.setenv("MINIGRAD_DATA", str(few / "file"))
    with pytest.raises(DataError, match=r"no data can be kept in .*MINIGRAD_DATA"):
        load_utterances()


def test_without_the_extra(few, monkeypatch):
    def missing():
        raise SpeechError("not installed")

    monkeypatch.setattr(espeak, "release", missing)
    with pytest.raises(SpeechError, match="not installed"):
        Speech().load()
    assert os.listdir(few) == []


def test_what_is_heard_does_not_depend_on_loudness():
    sound = np.random.default_rng(0).normal(size=espeak.RATE)
    assert hear(sound).dtype == np.float32
    np.testing.assert_allclose(hear(sound), hear(sound * 0.05), atol=1e-3)


# --- the task, with sounds of another kind ----------------------------------------------------


def beeps(count, seed):
    """Strings in which each digit is a pattern of loud bands for a few steps, with noise."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(0).normal(size=(10, INPUTS))
    found = []
    for _ in range(count):
        digits = rng.integers(0, 10, rng.integers(1, 4)).tolist()
        steps = [np.zeros((2, INPUTS))]
        for digit in digits:
            steps += [patterns[digit][None].repeat(rng.integers(2, 5), 0), np.zeros((1, INPUTS))]
        features = np.concatenate(steps) + rng.normal(size=(sum(map(len, steps)), INPUTS)) * 0.3
        found.append(Utterance(features.astype("float32"), digits, "en-us+beep"))
    return found


def test_digits_are_learnt(monkeypatch):
    parts = {"train": beeps(400, 1), "validation": beeps(40, 2), "test": beeps(60, 3)}
    monkeypatch.setattr("minigrad.models.tasks.speech.load_utterances", lambda: parts)
    settings = SpeechSettings(cell="gru", hidden=24, epochs=6, batch_size=16, lr=2e-2, dropout=0.1)
    task = Speech(dataclasses.replace(settings, stretch=0.0))  # the patterns are no spectra
    training = fit(task)
    figures = evaluate(task, training.model, "test")
    assert figures["exact"] > 0.8 > 0.1 > task.baselines()["always the same string"]
    assert figures["digit_errors"] < 0.1
    shown = task.show(training.model).splitlines()
    assert len(shown) == 8 and max(map(len, shown)) <= 74
    assert shown[0].startswith("said ") and shown[0].endswith("by en-us+beep")
    for example in task.parts["test"][:10]:
        digits, steps = task.listen(training.model, example.steps)
        assert len(steps) == len(example.steps) and {*steps} <= {*".0123456789"}
        assert {*digits} <= {*"0123456789"}


def test_an_epoch_has_each_string_once_and_another_vocal_tract(monkeypatch):
    parts = {"train": beeps(33, 1), "validation": beeps(2, 2), "test": beeps(2, 3)}
    monkeypatch.setattr("minigrad.models.tasks.speech.load_utterances", lambda: parts)
    task = Speech(SpeechSettings(batch_size=8))
    task.load()
    epochs = [[*task.batches(np.random.default_rng(seed))] for seed in (0, 0, 1)]
    assert [len(epoch) for epoch in epochs] == [task.steps()] * 3
    for epoch in epochs:
        readings = sorted(e.readings[0] for batch in epoch for e in batch)
        assert readings == sorted([d + 1 for d in u.digits] for u in parts["train"])
    flat = [np.concatenate([e.steps for batch in epoch for e in batch]) for epoch in epochs]
    assert np.array_equal(flat[0], flat[1]) and not np.array_equal(flat[0], flat[2])
