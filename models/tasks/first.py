"""The task `first`: remember the first symbol of a sequence until its end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..training.task import Settings, setting
from .memory_data import first_examples
from .memory_task import MemorySettings, MemoryTask, as_letters

__all__ = ["First", "FirstSettings"]


@dataclass(frozen=True)
class FirstSettings(MemorySettings):
    """Those of all memory tasks, and how many symbols there are."""

    symbols: int = setting(8, "How many symbols there are.", least=2, most=26)
    lr: float = 8e-3


class First(MemoryTask):
    """Say at the end of a sequence which symbol came first.

    All that lies between are symbols, too, and say nothing about it; see `first_examples`. The loss
    is the cross-entropy; it is solved below 0.05. The README of this folder says which cells learn
    it, and when.

    >>> task = First(FirstSettings(lag=5, cell="gru", epochs=3, lr=0.02))
    >>> from minigrad.models.training.loop import fit
    >>> training = fit(task)
    >>> training.best.value < task.solved
    True
    >>> print(task.show(training.model))
    dbbhfg: asked d, said d
    eafbgc: asked e, said e
    gcdagf: asked g, said g
    """

    name, title = "first", "first symbols"
    Settings: ClassVar[type[Settings]] = FirstSettings
    solved = 0.05

    def examples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (1 + lag, N), and the first ones (1, N)."""
        return first_examples(rng, count, self.settings.lag, self.settings.symbols)

    def network(self) -> tuple[int, int, int, int]:
        """Symbols in, symbols out, at the last step, for memories of `lag` steps."""
        return self.settings.symbols, self.settings.symbols, 1, self.settings.lag

    def loss_of(self, outputs: Tensor, answers: np.ndarray) -> Tensor:
        """The mean cross-entropy."""
        return mg.cross_entropy(outputs[0], mg.tensor(answers[0]))

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The loss, and the share of right answers."""
        x, answers = self.parts[part]
        outputs = model(x)
        right = outputs.numpy().argmax(axis=-1) == answers
        return {"loss": self.loss_of(outputs, answers).item(), "accuracy": float(right.mean())}

    def baselines(self) -> dict[str, float]:
        """The loss of an answer by chance, which is all that a model without memory can do."""
        return {"by chance": math.log(self.settings.symbols)}

    def show(self, model: Module) -> str:
        """Three sequences, and what came first by the model."""
        x, answers = (part[:, :3] for part in self.parts["test"])
        said = model(x).numpy().argmax(axis=-1)
        rows: Any = zip(as_letters(x), as_letters(answers), as_letters(said), strict=True)
        return "\n".join(f"{text}: asked {right}, said {answer}" for text, right, answer in rows)
