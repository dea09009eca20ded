"""The task `adding`: the sum of two marked numbers in a long sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..training.task import Settings
from .memory_data import adding_examples
from .memory_task import MemorySettings, MemoryTask

__all__ = ["Adding", "AddingSettings"]


@dataclass(frozen=True)
class AddingSettings(MemorySettings):
    """Those of all memory tasks; `lag` is the length of a sequence."""

    lag: int = 100
    epochs: int = 20
    lr: float = 4e-3


class Adding(MemoryTask):
    """Say at the end of a sequence the sum of the two numbers that were marked.

    See `adding_examples`. The loss is the mean squared error; it is solved below 0.01.

    >>> task = Adding(AddingSettings(lag=10))
    >>> task.load()
    >>> print(task.show(task.model()))
    0.93 + 0.83 = 1.76, said ...
    ...
    """

    name, title = "adding", "sums of two marked numbers"
    Settings: ClassVar[type[Settings]] = AddingSettings
    solved = 0.01

    def examples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers with marks (lag, N, 2), and sums (1, N, 1)."""
        return adding_examples(rng, count, self.settings.lag)

    def network(self) -> tuple[int, int, int, int]:
        """Two features in, a number out, at the last step, for memories of `lag` steps."""
        return 2, 1, 1, self.settings.lag

    def loss_of(self, outputs: Tensor, answers: np.ndarray) -> Tensor:
        """The mean squared error."""
        return mg.mse_loss(outputs, mg.tensor(answers))

    def baselines(self) -> dict[str, float]:
        """Of 1, the mean, whatever the sequence; and of a memory of the second number alone."""
        return {"always 1": 1 / 6, "the second number and a half": 1 / 12}

    def show(self, model: Module) -> str:
        """Three sums, and what they are by the model."""
        x, answers = (part[:, :3] for part in self.parts["test"])
        said = model(x).numpy()[0, :, 0]
        lines = []
        for n, answer in enumerate(said):
            first, second = x[x[:, n, 1] == 1, n, 0]
            lines.append(f"{first:.2f} + {second:.2f} = {answers[0, n, 0]:.2f}, said {answer:.2f}")
        return "\n".join(lines)
