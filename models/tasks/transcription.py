"""What tasks have in common that turn a sequence into shorter labels without times, by CTC."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.data.order import batch_rows
from minigrad.data.padding import pad_sequence
from minigrad.nn import Module

from ..training.task import Task

__all__ = ["Example", "Transcription"]

_AT_ONCE = 256  # examples in a batch of an evaluation


class Example(NamedTuple):
    """A sequence (T, ...) and what it says: a list of acceptable rows of labels, the best first."""

    steps: np.ndarray
    readings: list[list[int]]


class Transcription(Task):
    """A task whose model gives log-probabilities for `mg.ctc_loss`, with class 0 as the blank.

    A subclass sets `parts` in `load()`, and defines `model()` and `figures()`. `steps_out` is how
    many steps the model puts out for each of a sequence.
    """

    steps_out = 1
    parts: dict[str, list[Example]]

    def about(self) -> str:
        """How many examples there are."""
        train, validation, test = (len(self.parts[p]) for p in ("train", "validation", "test"))
        return f"{train:,} to train on, {validation:,} to validate, {test:,} held out"

    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.parts["train"]) // self.settings.batch_size)

    def batches(self, rng: np.random.Generator) -> Iterator[list[Example]]:
        """Examples of about the same length, in random order."""
        examples = self.parts["train"]
        lengths = [np.array([len(example.steps) for example in examples])]
        for rows in batch_rows(len(examples), self.settings.batch_size, rng, lengths):
            yield [examples[row] for row in rows]

    def loss(self, model: Module, batch: Sequence[Example]) -> tuple[Tensor, int]:
        """The CTC loss of the first readings, per label; one that is too long counts as 0."""
        log_probs, lengths = self.read(model, [example.steps for example in batch])
        labels = [example.readings[0] for example in batch]
        return mg.ctc_loss(log_probs, labels, lengths, None, zero_infinity=True), len(batch)

    def read(self, model: Module, sequences: Sequence[np.ndarray]) -> tuple[Tensor, np.ndarray]:
        """Log-probabilities (T, N, C) for N sequences, and the steps (N,) of each that count."""
        lengths = np.array([len(sequence) for sequence in sequences])
        log_probs: Tensor = model(pad_sequence([*sequences]), lengths)
        return log_probs, lengths * self.steps_out

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The loss, and the figures of what the model says."""
        examples = self.parts[part]
        order = sorted(range(len(examples)), key=lambda i: len(examples[i].steps))
        said: dict[int, list[int]] = {}
        total = 0.0
        for start in range(0, len(order), _AT_ONCE):
            rows = order[start : start + _AT_ONCE]
            batch = [examples[row] for row in rows]
            log_probs, lengths = self.read(model, [example.steps for example in batch])
            labels = [example.readings[0] for example in batch]
            loss = mg.ctc_loss(log_probs, labels, lengths, None, zero_infinity=True)
            total += loss.item() * len(batch)
            said.update(zip(rows, mg.ctc_greedy(log_probs, lengths), strict=True))
        answers = [said[row] for row in range(len(examples))]
        return {"loss": total / len(examples), **self.figures(answers, examples)}

    @abstractmethod
    def figures(self, said: Sequence[list[int]], examples: Sequence[Example]) -> dict[str, float]:
        """The figures of rows of labels that were said for examples."""

    def transcribe(self, model: Any, sequence: np.ndarray, beam_width: int = 10) -> list[int]:
        """The likeliest labels of a sequence, by beam search."""
        model.eval()
        with mg.no_grad():
            log_probs, _ = self.read(model, [sequence])
        return mg.ctc_beam_search(log_probs, beam_width=beam_width)[0][0][0]
