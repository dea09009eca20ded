"""Clips of moving digits and their sentences: made as described, learned."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.tasks import caption_task
from minigrad.models.tasks.caption_task import CaptionSettings, CaptionsTask, as_batch
from minigrad.models.tasks.clips import FRAMES, MOTIONS, WORDS, make_clips, sentence
from minigrad.models.tasks.digits import Digits
from minigrad.models.training.loop import evaluate, fit

CLAUSE = (
    r"(a|an) (zero|one|two|three|four|five|six|seven|eight|nine) "
    r"(moves left|moves right|moves up|moves down|stays)"
)
DIGIT = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def plain(count=50):
    """Digits whose pixels are 0.1 for zero, 0.2 for one, ..., so that a frame tells them."""
    labels = np.arange(count) % 10
    return Digits(np.ones((count, 8, 8), np.float32) * (labels[:, None, None] + 1) / 10, labels)


@given(st.integers(0, 2**32))
def test_clips_show_what_their_sentences_say(seed):
    frames, sentences = make_clips(plain(), 4, np.random.default_rng(seed))
    assert frames.shape == (FRAMES, 4, 16, 28) and frames.dtype == np.float32
    for n, text in enumerate(sentences):
        clauses = re.findall(CLAUSE, text)
        assert text == " and ".join(" ".join(clause) for clause in clauses)
        assert [article == "an" for article, *_ in clauses] == [d == "eight" for _, d, _ in clauses]
        shades = {round(float(v) * 10) - 1 for v in np.unique(frames[0, n])} - {-1}
        assert shades == {DIGIT.index(digit) for _, digit, _ in clauses}
        if len(clauses) == 1:
            assert as_moved(frames[:, n] > 0) == clauses[0][2]
        elif clauses[0][1] != clauses[1][1]:
            left, right = (
                np.argwhere(np.round(frames[0, n] * 10) - 1 == DIGIT.index(d))
                for _, d, _ in clauses
            )
            assert left[:, 1].min() + 6 <= right[:, 1].max() - 7
        assert ((frames[:, n] > 0).sum(axis=(1, 2)) >= 64).all()  # all in the frame, all the time


def as_moved(shown):
    """The motion of the one digit in frames of pixels."""
    corners = np.array([np.argwhere(frame).min(axis=0) for frame in shown])
    steps = np.unique(np.diff(corners, axis=0), axis=0)
    assert len(steps) == 1
    (how,) = (how for how, step in MOTIONS.items() if step == tuple(steps[0]))
    return how


def test_all_kinds_come_equally_often():
    _, sentences = make_clips(plain(), 3000, np.random.default_rng(0))
    assert np.mean([" and " in text for text in sentences]) == pytest.approx(0.5, abs=0.05)
    found = [clause for text in sentences for clause in re.findall(CLAUSE, text)]
    for place, kinds in ((1, 10), (2, 5)):
        shares = np.unique([clause[place] for clause in found], return_counts=True)[1] / len(found)
        assert len(shares) == kinds
        np.testing.assert_allclose(shares, 1 / kinds, atol=0.2 / kinds)


def test_words():
    said = " ".join(sentence([(d, how) for d in range(10)]) for how in MOTIONS)
    assert set(said.split()) == set(WORDS)
    assert len(set(WORDS)) == len(WORDS)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(caption_task, "EVALUATED", {"validation": 20, "test": 40})


def small(**settings):
    given = {"hidden": 16, "templates": 8, "epochs": 1, "batches": 12, "batch_size": 16}
    task = CaptionsTask(CaptionSettings(**{**given, **settings}))
    task.load = lambda: task.take(plain())
    return task


def test_trains(backend, few):
    task = small(lr=1e-2, epochs=2)
    training = fit(task)
    first, last = (record.train_loss for record in training.history)
    assert last < 0.95 * first
    figures = evaluate(task, training.model, "test")
    assert 0 <= figures["exact"] <= 1
    assert re.search(r"\|.{28}\| \|.{28}\|", task.show(training.model))


def test_exact_counts_whole_sentences(few):
    class Knowing:
        """Says each sentence right, but for a word in every other one."""

        def loss(self, frames, words, lengths):
            import minigrad as mg

            return mg.tensor(2.0), len(lengths)

        def sentences(self, frames, longest):
            words, lengths = batch[1:]
            said = [words[:length, n].copy() for n, length in enumerate(lengths)]
            for numbers in said[::2]:
                numbers[1] = numbers[1] % 10 + 6  # another word
            return said

    task = small()
    task.load()
    batch = as_batch(task.parts["test"])
    assert task.evaluate(Knowing(), "test") == {"loss": 2.0, "exact": 0.5}


def test_test_clips_show_other_digits_than_the_training(few):
    task = small()
    shades = np.arange(1, 61, dtype=np.float32)  # an image for each shade
    task.take(Digits(np.ones((60, 8, 8), np.float32) * shades[:, None, None], np.arange(60) % 10))
    seen = {part: np.unique(task.parts[part].frames) for part in ("validation", "test")}
    assert np.intersect1d(seen["validation"], seen["test"]).tolist() == [0]
    for found in seen.values():
        assert len(found) > 5
        assert not np.intersect1d(found, task.digits.images).size


def test_rivals(few):
    task = small()
    task.load()
    found = task.baselines()
    assert 1 / 40 <= found["always the same sentence"] <= 0.2
    assert 0.02 < found["motions right, digits guessed"] < 0.09
