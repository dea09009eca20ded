"""Cells without recurrent products: all matrix products are of the input, and none waits.

On a backend with a compiler they are computed for all steps at once, before the loop, which is left
with a few numbers per unit.

>>> import minigrad as mg
>>> y, h = MinGRU(3, 4, num_layers=2, bidirectional=True)(mg.ones((7, 2, 3)), lengths=[7, 5])
>>> y.shape, h.shape
((7, 2, 8), (4, 2, 4))
"""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Recurrent

__all__ = ["QRNN", "SRU", "MinGRU", "MinLSTM", "min_gru_cell", "min_lstm_cell", "qrnn_cell"]
__all__ += ["sru_cell"]

Pair = tuple[Tensor, Tensor]
Shapes = dict[str, tuple[int, ...]]


def min_gru_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """A GRU whose gate and candidate see the input alone.

    The gate z says how much stays, as in `minigrad.nn.cells.gru_cell`; the paper's z is 1 - z.

    >>> from types import SimpleNamespace
    >>> shapes = MinGRU(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, h = min_gru_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    z, n = mg.split(mg.linear(x, p.w_ih, p.b_ih), 2, axis=-1)
    z, n = mg.probe("update", mg.sigmoid(z)), mg.probe("candidate", n)
    h = mg.probe("hidden", z * h + (1 - z) * n)
    return h, h


class MinGRU(Recurrent):
    """minGRU (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024), with `min_gru_cell`.

    >>> y, h = MinGRU(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = min_gru_cell
    gate_names = "zn"

    def shapes(self, I: int, H: int) -> Shapes:
        """Update gate and candidate side by side."""
        return {"w_ih": (2 * H, I), "b_ih": (2 * H,)}


def min_lstm_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """An LSTM without output gate, whose gates see the input alone and add up to 1.

    sigmoid(f) / (sigmoid(f) + sigmoid(i)) is computed by way of logarithms, as both may be 0.

    >>> from types import SimpleNamespace
    >>> shapes = MinLSTM(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, h = min_lstm_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    f, i, n = mg.split(mg.linear(x, p.w_ih, p.b_ih), 3, axis=-1)
    f = mg.probe("forget", mg.sigmoid(mg.softplus(-i) - mg.softplus(-f)))
    i, n = mg.probe("input", 1 - f), mg.probe("candidate", n)
    h = mg.probe("hidden", f * h + i * n)
    return h, h


class MinLSTM(Recurrent):
    """minLSTM (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024), with `min_lstm_cell`.

    >>> y, h = MinLSTM(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = min_lstm_cell
    gate_names = "fin"

    def shapes(self, I: int, H: int) -> Shapes:
        """Forget gate, input gate and candidate side by side."""
        return {"w_ih": (3 * H, I), "b_ih": (3 * H,)}


def sru_cell(p: Any, x: Tensor, c: Tensor) -> Pair:
    """Gates see the input and their own unit's cell state; the input passes beside it.

    >>> from types import SimpleNamespace
    >>> shapes = SRU(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, c = sru_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, c.shape
    ((2, 4), (2, 4))
    """
    n = mg.probe("candidate", mg.linear(x, p.w_ih))
    f, r = mg.split(mg.linear(x, p.w_fr, p.b_fr), 2, axis=-1)
    f = mg.probe("forget", mg.sigmoid(f + p.w_cf * c))
    r = mg.probe("reset", mg.sigmoid(r + p.w_cr * c))
    c = mg.probe("cell", f * c + (1 - f) * n)
    beside = mg.linear(x, p.w_skip) if hasattr(p, "w_skip") else x
    return mg.probe("hidden", r * c + (1 - r) * beside), c


class SRU(Recurrent):
    """Simple recurrent unit (Lei, Zhang, Wang, Dai and Artzi 2017, with the gates of 2018).

    With `sru_cell`. Its state is the cell state c; the output is another one.

    >>> y, c = SRU(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, c.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = sru_cell
    states = ("c",)

    def shapes(self, I: int, H: int) -> Shapes:
        """Candidate; both gates, side by side; where sizes differ, the input on its way around."""
        gates = {"w_fr": (2 * H, I), "b_fr": (2 * H,), "w_cf": (H,), "w_cr": (H,)}
        return {"w_ih": (H, I), **gates, **({} if I == H else {"w_skip": (H, I)})}


def qrnn_cell(p: Any, x: Tensor, c: Tensor) -> Pair:
    """An LSTM whose candidate and gates see the input alone.

    >>> from types import SimpleNamespace
    >>> shapes = QRNN(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, c = qrnn_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, c.shape
    ((2, 4), (2, 4))
    """
    n, f, o = mg.split(mg.linear(x, p.w_ih, p.b_ih), 3, axis=-1)
    n, f = mg.probe("candidate", mg.tanh(n)), mg.probe("forget", mg.sigmoid(f))
    c = mg.probe("cell", f * c + (1 - f) * n)
    o = mg.probe("output", mg.sigmoid(o))
    return mg.probe("hidden", o * c), c


class QRNN(Recurrent):
    """Quasi-recurrent network (Bradbury, Merity, Xiong and Socher 2016), with `qrnn_cell`.

    With fo-pooling and a window of one step; for a wider one, give it steps side by side. Its
    state is the cell state c; the output is another one.

    >>> y, c = QRNN(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, c.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = qrnn_cell
    states = ("c",)
    gate_names = "nfo"

    def shapes(self, I: int, H: int) -> Shapes:
        """Candidate, forget gate and output gate side by side."""
        return {"w_ih": (3 * H, I), "b_ih": (3 * H,)}
