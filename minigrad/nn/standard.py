"""`RNN`, `LSTM` and `GRU`, and their single cells: the options that are theirs alone."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np

from ..engine.filled import zeros
from ..engine.rng import generator
from ..utils.arguments import check_flag, check_positive, is_number
from ..utils.spelling import nearest
from .cell_module import CellModule
from .cells import (
    gru_cell,
    gru_reset_before_cell,
    lstm_cell,
    lstm_projected_cell,
    rnn_relu_cell,
    rnn_tanh_cell,
)
from .init import orthogonal_
from .recurrent import Recurrent
from .single_cell import RecurrentCell

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell"]


class _Standard(CellModule):
    """What the three have in common: how recurrent weights and biases of gates begin."""

    recurrent = ("w_hh", "w_hn")
    masks_h = True

    def __init__(
        self, *sizes: Any, orthogonal: bool = False, memory: float | None = None, **options: Any
    ) -> None:
        name = type(self).__name__
        self.orthogonal = check_flag(name, "orthogonal", orthogonal)
        if memory is not None and not (is_number(memory) and memory > 2):
            raise ValueError(
                f"{name}: memory is the number of steps that memories may last, more than 2; "
                f"got {memory!r}"
            )
        self.memory = memory
        known = {*inspect.signature(super().__init__).parameters, *self.options}
        for option in options:
            if option not in known and (near := nearest(option, known)):
                raise TypeError(
                    f"{name}() got an unexpected keyword argument {option!r}. Did you mean {near}? "
                    f"It has {', '.join(sorted(known))}"
                )
        super().__init__(*sizes, **options)
        if memory is not None and not self.bias:
            raise ValueError(f"{name}: memory={memory} needs a bias; got bias=False")

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Initial values of a parameter: PyTorch's, but for the options."""
        values = super().initial(name, shape)
        if self.orthogonal and name in self.recurrent:
            for first in range(0, shape[0], self.hidden_size):  # each gate's
                rows = slice(first, first + self.hidden_size)
                values[rows] = orthogonal_(zeros(values[rows].shape, "float64")).numpy()
        return values

    def _memories(self) -> np.ndarray:
        """Biases of gates that keep: 1 / (1 - sigmoid(b)) steps, between 2 and `memory`."""
        assert self.memory is not None
        return np.log(generator().uniform(1, self.memory - 1, self.hidden_size))

    def _rows(self, gate: str) -> slice:
        """The rows of a gate in the biases."""
        first = self.gate_names.index(gate) * self.hidden_size
        return slice(first, first + self.hidden_size)


class _RNN(_Standard):
    options: ClassVar = {"nonlinearity": "tanh", "orthogonal": False}

    def __init__(self, *sizes: Any, nonlinearity: str = "tanh", **options: Any) -> None:
        cells = {"tanh": rnn_tanh_cell, "relu": rnn_relu_cell}
        name = type(self).__name__
        if nonlinearity not in cells:
            raise ValueError(f"{name}: nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
        if options.get("memory") is not None:
            raise ValueError(f"{name}: memory is for cells with gates, LSTM and GRU")
        self.cell, self.nonlinearity = cells[nonlinearity], nonlinearity
        super().__init__(*sizes, **options)


class _LSTM(_Standard):
    cell: Any = lstm_cell
    states = ("h", "c")
    gates, gate_names = 4, "ifgo"
    options: ClassVar = {"proj_size": 0, "forget_bias": 0.0, "memory": None, "orthogonal": False}

    def __init__(
        self, *sizes: Any, forget_bias: float = 0.0, proj_size: int = 0, **options: Any
    ) -> None:
        name = type(self).__name__
        self.forget_bias = forget_bias
        if forget_bias and options.get("memory") is not None:
            raise ValueError(
                f"{name}: forget_bias and memory both set the biases of the forget gates; give one"
            )
        self.proj_size = proj_size and check_positive(name, "proj_size", proj_size)
        if proj_size:
            self.cell = lstm_projected_cell
        super().__init__(*sizes, **options)
        if proj_size >= self.hidden_size:
            raise ValueError(
                f"{name}: proj_size must be smaller than hidden_size = {self.hidden_size}; got "
                f"{proj_size}"
            )
        if forget_bias and not self.bias:
            raise ValueError(f"{name}: forget_bias={forget_bias} needs a bias; got bias=False")

    def shapes(self, I: int, H: int) -> dict[str, tuple[int, ...]]:
        """Those of four gates; with `proj_size` P, w_hh (4H, P) and w_hr (P, H)."""
        P = self.proj_size
        if not P:
            return super().shapes(I, H)
        return {**super().shapes(I, H), "w_hh": (4 * H, P), "w_hr": (P, H)}

    def state_sizes(self, H: int) -> tuple[int, ...]:
        """H for h and c; P for h with `proj_size`."""
        return self.proj_size or H, H

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """With `memory`, the input gates open as much as the forget gates shut."""
        values = super().initial(name, shape)
        if name == "b_ih":  # and not in b_hh as well: the two add up
            values[self._rows("f")] += self.forget_bias
        if self.memory is not None and name in ("b_ih", "b_hh"):
            keeps = self._memories() if name == "b_ih" else 0
            values[self._rows("f")], values[self._rows("i")] = keeps, 0 - keeps
        return values


class _GRU(_Standard):
    cell: Any = gru_cell
    gates, gate_names = 3, "rzn"
    options: ClassVar = {"reset_after": True, "memory": None, "orthogonal": False}

    def __init__(self, *sizes: Any, reset_after: bool = True, **options: Any) -> None:
        self.reset_after = check_flag(type(self).__name__, "reset_after", reset_after)
        if not reset_after:
            self.cell = gru_reset_before_cell
        super().__init__(*sizes, **options)

    def shapes(self, I: int, H: int) -> dict[str, tuple[int, ...]]:
        """Those of three gates; if r comes before, the candidate's recurrent weights lie apart."""
        if self.reset_after:
            return super().shapes(I, H)
        return {"w_ih": (3 * H, I), "w_hh": (2 * H, H), "w_hn": (H, H), "b_ih": (3 * H,)}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """With `memory`, the update gates keep."""
        values = super().initial(name, shape)
        if self.memory is not None and name in ("b_ih", "b_hh"):
            values[self._rows("z")] = self._memories() if name == "b_ih" else 0
        return values


class RNN(_RNN, Recurrent):
    """Elman's network: h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu in place of tanh.

    Takes what `Recurrent` takes, and by keyword nonlinearity="tanh" or "relu", and `orthogonal`,
    see `LSTM`.

    >>> import minigrad as mg
    >>> y, h = RNN(3, 4, nonlinearity="relu")(mg.ones((5, 2, 3)))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """


class LSTM(_LSTM, Recurrent):
    """Long short-term memory, step by step in `minigrad.nn.cells.lstm_cell`.

    Takes what `Recurrent` takes, and by keyword:

    proj_size : P; h is projected to (N, P), as in PyTorch (Sak, Senior and Beaufays 2014).
    forget_bias : added to the initial bias of the forget gates. With PyTorch's initial weights
        (0.0) an LSTM forgets nearly as fast as an RNN; 1.0 lets it remember from the start.
        PyTorch has two biases that add up, `bias_ih` and `bias_hh`; it goes into `bias_ih`.
    memory : in its place, how many steps the longest memories last: the initial biases of
        the gates are drawn so that memories last from 2 to so many steps (chrono initialisation;
        Tallec and Ollivier 2018).
    orthogonal : whether the recurrent weights of each gate begin as an orthogonal matrix (Saxe
        et al. 2014), as in Keras.

    >>> import minigrad as mg
    >>> lstm = LSTM(3, 4, num_layers=2, batch_first=True, forget_bias=1.0)
    >>> y, (h, c) = lstm(mg.ones((2, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (2, 2, 4), (2, 2, 4))
    """


class GRU(_GRU, Recurrent):
    """Gated recurrent unit: `cells.gru_cell`.

    Takes what `Recurrent` takes, and by keyword:

    reset_after : the reset gate acts after the recurrent product, as in PyTorch and cuDNN. With
        False it acts before, as in Cho et al. 2014 (`cells.gru_reset_before_cell`). That is another
        model, whose parameters have other shapes, so neither loads the other's weights.
    memory, orthogonal : see `LSTM`. The gate that keeps is the update gate.

    >>> import minigrad as mg
    >>> y, h = GRU(3, 4, bidirectional=True)(mg.ones((5, 3)))
    >>> y.shape, h.shape
    ((5, 8), (2, 4))
    """


class RNNCell(_RNN, RecurrentCell):
    """One step of `RNN`: RNNCell(input_size, hidden_size, bias=True, nonlinearity="tanh").

    It takes `orthogonal` by keyword, too.

    >>> import minigrad as mg
    >>> RNNCell(3, 4)(mg.ones((2, 3))).shape
    (2, 4)
    """


class LSTMCell(_LSTM, RecurrentCell):
    """One step of `LSTM`: LSTMCell(input_size, hidden_size, bias=True, forget_bias=0.0).

    It takes LSTM's other keywords, too.

    >>> import minigrad as mg
    >>> cell = LSTMCell(3, 4)
    >>> h, c = cell(mg.ones((2, 3)))
    >>> h, c = cell(mg.ones((2, 3)), (h, c))
    """


class GRUCell(_GRU, RecurrentCell):
    """One step of `GRU`: GRUCell(input_size, hidden_size, bias=True).

    It takes GRU's keywords, too.

    >>> import minigrad as mg
    >>> GRUCell(3, 4)(mg.ones(3)).shape
    (4,)
    """
