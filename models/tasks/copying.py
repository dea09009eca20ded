"""The task `copy`: say a few symbols again after a pause."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module

from ..training.task import Settings, setting
from .memory_data import copying_examples
from .memory_task import MemorySettings, MemoryTask, as_letters

__all__ = ["Copying", "CopyingSettings"]


@dataclass(frozen=True)
class CopyingSettings(MemorySettings):
    """Those of all memory tasks, and what is copied.

    Arjovsky et al. 2016 copy 10 of 8 symbols; that takes 128 units or more and minutes.
    """

    lag: int = 20
    length: int = setting(5, "How many symbols are copied.", least=1, most=1000)
    symbols: int = setting(8, "How many different ones there are.", least=2, most=26)
    hidden: int = 64
    epochs: int = 30
    lr: float = 1e-2


class Copying(MemoryTask):
    """Say a few symbols again, in their order, after a pause.

    See `copying_examples`. The loss is the cross-entropy per symbol; it is solved below 0.05.
    Arjovsky et al. 2016 ask for blanks until the pause is over, too; here nothing is asked before.

    >>> task = Copying(CopyingSettings(lag=4, length=3))
    >>> task.load()
    >>> print(task.show(task.model()))
    dbb: said ...
    ...
    """

    name, title = "copy", "copied symbols"
    Settings: ClassVar[type[Settings]] = CopyingSettings
    solved = 0.05

    def examples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Symbols, blanks and a signal (length + lag + length, N), and answers (length, N)."""
        s = self.settings
        return copying_examples(rng, count, s.lag, s.symbols, s.length)

    def network(self) -> tuple[int, int, int, int]:
        """Two symbols more in than out; what was read is asked `length + lag` steps later."""
        s = self.settings
        return s.symbols + 2, s.symbols, s.length, s.length + s.lag

    def loss_of(self, outputs: Tensor, answers: np.ndarray) -> Tensor:
        """The mean cross-entropy of a symbol."""
        flat = outputs.reshape(-1, self.settings.symbols)
        return mg.cross_entropy(flat, mg.tensor(answers.reshape(-1)))

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The loss, the share of right symbols, and that of copies without a mistake."""
        x, answers = self.parts[part]
        outputs = model(x)
        right = outputs.numpy().argmax(axis=-1) == answers
        return {
            "loss": self.loss_of(outputs, answers).item(),
            "accuracy": float(right.mean()),
            "exact": float(right.all(axis=0).mean()),
        }

    def baselines(self) -> dict[str, float]:
        """The loss of symbols by chance, which is all that a model without memory can do."""
        return {"by chance": math.log(self.settings.symbols)}

    def show(self, model: Module) -> str:
        """Three copies."""
        x, answers = (part[:, :3] for part in self.parts["test"])
        said = model(x).numpy().argmax(axis=-1)
        rows: Any = zip(as_letters(answers), as_letters(said), strict=True)
        return "\n".join(f"{right}: said {answer}" for right, answer in rows)
