"""What the memory tasks have in common: settings, a small network, always new examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module, Recurrent, init

from ..networks.parts import recurrent_layer
from ..registry import CELLS
from ..training.task import Metric, Settings, Task, setting

__all__ = ["STARTS", "MemoryNetwork", "MemorySettings", "MemoryTask", "as_letters"]
__all__ += ["starting_layer"]

EVALUATED = 512  # examples for validation, and as many for the test
STARTS = ("memory", "usual", "orthogonal", "identity")


@dataclass(frozen=True)
class MemorySettings(Settings):
    """Those of every task, how far apart question and answer are, and how the weights begin.

    `start` is one of

    - memory: the gates of an LSTM or a GRU begin so that memories last for up to as many steps as
      the task asks for (`memory=` in `mg.nn.LSTM`); cells without such gates begin as usual;
    - usual: PyTorch's initial weights, with which all cells forget within a few steps;
    - orthogonal: as memory, and the recurrent weights begin as orthogonal matrices;
    - identity: an RNN of relu in place of tanh, whose recurrent weights begin as the identity, with
      small input weights and no bias (Le, Jaitly and Hinton 2015). For an RNN only.

    Raises ValueError for a start that the cell can't have.
    """

    lag: int = setting(40, "How many steps lie between.", least=2, most=10_000)
    batches: int = setting(100, "Batches of new examples in an epoch.", least=1, most=100_000)
    start: str = setting(
        "memory",
        "How the recurrent weights begin. memory: the gates of LSTM and GRU keep for up to as many "
        "steps as are asked for; usual: as in PyTorch; orthogonal: as memory, with orthogonal "
        "matrices; identity: an RNN of relu that begins by keeping its state.",
        choices=STARTS,
    )
    hidden: int = 32
    epochs: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start == "identity" and self.cell != "rnn":
            raise ValueError(f"start identity is for the cell rnn; the cell is {self.cell}")
        if self.start == "orthogonal" and "orthogonal" not in CELLS[self.cell].options:
            cells = ", ".join(name for name in CELLS if "orthogonal" in CELLS[name].options)
            raise ValueError(f"start orthogonal is for the cells {cells}; the cell is {self.cell}")


def starting_layer(settings: MemorySettings, input_size: int, steps: int) -> Recurrent:
    """The recurrent layer of some settings, for memories of up to so many steps.

    >>> starting_layer(MemorySettings(cell="gru", start="orthogonal"), 8, 40)
    GRU(8, 32, memory=40, orthogonal=True)
    >>> starting_layer(MemorySettings(cell="rnn", start="identity"), 8, 40)
    RNN(8, 32, nonlinearity='relu')
    """
    start = settings.start
    options: dict[str, Any] = {}
    if start in ("memory", "orthogonal"):
        options["memory"] = max(steps, 3)
    if start == "orthogonal":
        options["orthogonal"] = True
    if start == "identity":
        options["nonlinearity"] = "relu"
    given = settings.cell, input_size, settings.hidden
    layer = recurrent_layer(*given, num_layers=settings.layers, forget_bias=0.0, **options)
    if start == "identity":
        for name, weight in layer.named_parameters():
            if name.startswith("weight_hh"):
                weight.data = mg.eye(settings.hidden, dtype=weight.dtype)
            elif name.startswith("weight_ih"):
                init.normal_(weight, std=0.03)
            else:
                init.zeros_(weight)
    return layer


class MemoryNetwork(Module):
    """A recurrent layer, and a linear one that reads its last outputs.

    Calling it
    ----------
    `model(x)` with features (T, N, I), or symbols (T, N), which become vectors of zeros and a one;
    outputs (asked, N, O) of the last `asked` steps.

    >>> layer = mg.nn.GRU(8, 4)
    >>> MemoryNetwork(layer, outputs=5, asked=2)(np.zeros((7, 3), int)).shape
    (2, 3, 5)
    """

    def __init__(self, recurrent: Recurrent, outputs: int, asked: int = 1) -> None:
        self.recurrent, self.asked = recurrent, asked
        self.head = Linear(recurrent.hidden_size, outputs)

    def forward(self, x: Any) -> Tensor:
        """The outputs of the last steps."""
        if x.ndim == 2:
            x = mg.one_hot(x, self.recurrent.input_size, "float32")  # (T, N, I)
        y, _ = self.recurrent(x if isinstance(x, Tensor) else mg.tensor(x))  # (T, N, H)
        return self.head(y[-self.asked :])


class MemoryTask(Task):
    """A task of generated examples, (x, answers), of which no two epochs have the same.

    A subclass defines `examples`, `network` and `loss_of`, and says from which loss on it counts as
    `solved`. The examples for validation and test are always the same `EVALUATED` ones.
    """

    metric = Metric("loss", "lower", "{:.4f}")
    Settings: ClassVar[type[Settings]] = MemorySettings
    solved: ClassVar[float]

    @abstractmethod
    def examples(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """New examples, time-major: what is read (T, N, ...) and the answers (asked, N, ...)."""

    @abstractmethod
    def network(self) -> tuple[int, int, int, int]:
        """Sizes of the input and the output, steps that are asked, steps that memories last."""

    @abstractmethod
    def loss_of(self, outputs: Tensor, answers: np.ndarray) -> Tensor:
        """The mean loss of outputs (asked, N, O)."""

    def load(self) -> None:
        """Draw the examples for validation and test."""
        self.parts = {
            part: self.examples(np.random.default_rng(seed), EVALUATED)
            for seed, part in enumerate(("validation", "test"))
        }

    def model(self) -> Module:
        """A `MemoryNetwork`."""
        inputs, outputs, asked, steps = self.network()
        return MemoryNetwork(starting_layer(self.settings, inputs, steps), outputs, asked)

    def steps(self) -> int:
        """As the settings say."""
        return int(self.settings.batches)

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """New examples for each batch."""
        return (self.examples(rng, self.settings.batch_size) for _ in range(self.steps()))

    def loss(self, model: Module, batch: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, int]:
        """The mean loss, and the number of examples."""
        x, answers = batch
        return self.loss_of(model(x), answers), x.shape[1]

    def evaluate(self, model: Module, part: str) -> dict[str, float]:
        """The loss."""
        return {"loss": self.loss(model, self.parts[part])[0].item()}


def as_letters(symbols: np.ndarray, most: int = 50) -> list[str]:
    """Each sequence of symbols (T, N) as letters; of a long one how many are left out.

    >>> as_letters(np.array([[0], [1], [25]]))
    ['abz']
    >>> as_letters(np.zeros((9, 1), int), most=4)
    ['aa(5 more)aa']
    """
    texts = ["".join(chr(ord("a") + symbol) for symbol in column) for column in symbols.T]
    if len(symbols) <= most:
        return texts
    half = most // 2
    more = f"({len(symbols) - 2 * half} more)"
    return [f"{text[:half]}{more}{text[-half:]}" for text in texts]
