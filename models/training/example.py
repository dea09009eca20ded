"""The smallest task, an example to read: remember the first of five numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module

from ..registry import CELLS
from .task import Metric, Settings, Task, setting

__all__ = ["FirstNumber", "FirstNumberSettings"]


@dataclass(frozen=True)
class FirstNumberSettings(Settings):
    """Those of every task, a length, and other defaults."""

    length: int = setting(5, "How many numbers a sequence has.", least=1, most=1000)
    cell: str = "gru"
    hidden: int = 16
    epochs: int = 3
    lr: float = 5e-2


class FirstNumber(Task):
    """Say the first number of a sequence at its end; the others don't matter.

    >>> from minigrad.models.training.loop import fit
    >>> training = fit(FirstNumber())
    >>> [record.epoch for record in training.history]
    [1, 2, 3]
    >>> training.best.value < 0.5 * FirstNumber().baselines()["always 0.5"]
    True
    """

    name, title = "first-number", "first numbers"
    metric = Metric("error", "lower")
    Settings: ClassVar[type[Settings]] = FirstNumberSettings

    def load(self) -> None:
        """Numbers for validation and for the test; those to train on are always new."""
        rng = np.random.default_rng(0)
        self.parts = {part: [self._draw(rng) for _ in range(4)] for part in ("validation", "test")}

    def model(self) -> Module:
        """A recurrent layer, and a linear one that reads its last output."""
        return _Reader(self.settings.cell, self.settings.hidden)

    def steps(self) -> int:
        """Thirty batches."""
        return 30

    def batches(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """New numbers, (T, N, 1) each."""
        return (self._draw(rng) for _ in range(self.steps()))

    def loss(self, model: Module, batch: np.ndarray) -> tuple[Tensor, int]:
        """The mean squared error."""
        return mg.mse_loss(model(mg.tensor(batch)), mg.tensor(batch[0])), batch.shape[1]

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The mean squared error, and its root."""
        loss = float(np.mean([self.loss(model, batch)[0].item() for batch in self.parts[part]]))
        return {"loss": loss, "error": loss**0.5}

    def baselines(self) -> dict[str, float]:
        """The same answer always: the standard deviation of what is uniform from 0 to 1."""
        return {"always 0.5": 12**-0.5}

    def show(self, model: Module) -> str:
        """Three numbers, and what the model remembers of them."""
        batch = self.parts["test"][0][:, :3]
        answers = model(mg.tensor(batch)).numpy()
        pairs = zip(batch[0, :, 0], answers[:, 0], strict=True)
        return ", ".join(f"{number:.2f} -> {answer:.2f}" for number, answer in pairs)

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        shape = self.settings.length, self.settings.batch_size, 1
        return rng.random(shape, dtype="float32")  # (T, N, 1)


class _Reader(Module):
    def __init__(self, cell: str, hidden: int) -> None:
        self.recurrent = CELLS[cell](1, hidden)
        self.head = Linear(hidden, 1)

    def forward(self, x: Any) -> Tensor:
        y, _ = self.recurrent(x)  # (T, N, H)
        return self.head(y[-1])  # (N, 1)
