"""Five cells from the literature, each declared in a few lines: examples for new cells.

Each declaration gives a layer with several layers, both directions, lengths, initial states, and
fused kernels on backends that have a compiler:

>>> import minigrad as mg
>>> layer = PeepholeLSTM(3, 4, num_layers=2, bidirectional=True)
>>> y, (h, c) = layer(mg.ones((7, 2, 3)), lengths=[7, 5])
>>> y.shape, h.shape
((7, 2, 8), (4, 2, 4))
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.engine.rng import generator
from minigrad.nn import Recurrent
from minigrad.nn.cells import lstm_cell

__all__ = ["MGU", "IndRNN", "LayerNormLSTM", "PeepholeLSTM", "ZoneoutLSTM"]
__all__ += ["indrnn_cell", "layer_norm_lstm_cell", "mgu_cell", "peephole_lstm_cell"]
__all__ += ["zoneout_lstm_cell"]

Pair = tuple[Tensor, Tensor]
Shapes = dict[str, tuple[int, ...]]


def mgu_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """A GRU with one gate, which both resets and updates.

    >>> from types import SimpleNamespace
    >>> shapes = MGU(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> state = mg.zeros((2, 4))
    >>> y, h = mgu_cell(p, mg.ones((2, 3)), state)
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    x_f, x_n = mg.split(mg.linear(x, p.w_ih, p.b_ih), 2, axis=-1)
    f = mg.probe("forget", mg.sigmoid(x_f + mg.linear(h, p.w_hf)))
    n = mg.probe("candidate", mg.tanh(x_n + mg.linear(f * h, p.w_hn)))
    h = mg.probe("hidden", h + f * (n - h))
    return h, h


class MGU(Recurrent):
    """Minimal gated unit (Zhou, Wu, Zhang and Zhou 2016), with `mgu_cell`.

    >>> y, h = MGU(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = mgu_cell

    def shapes(self, I: int, H: int) -> Shapes:
        """Forget gate and candidate side by side in `w_ih` and `b_ih`."""
        return {"w_ih": (2 * H, I), "b_ih": (2 * H,), "w_hf": (H, H), "w_hn": (H, H)}


def peephole_lstm_cell(p: Any, x: Tensor, state: Pair) -> tuple[Tensor, Pair]:
    """An LSTM whose gates see the cell state: i and f the old one, o the new one.

    >>> from types import SimpleNamespace
    >>> shapes = PeepholeLSTM(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> state = (mg.zeros((2, 4)), mg.zeros((2, 4)))
    >>> y, (h, c) = peephole_lstm_cell(p, mg.ones((2, 3)), state)
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    h, c = state
    sums = mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh, p.b_hh)  # (N, 4H)
    i, f, g, o = mg.split(sums, 4, axis=-1)
    f = mg.probe("forget", mg.sigmoid(f + p.w_cf * c))
    g = mg.probe("candidate", mg.tanh(g))
    i = mg.probe("input", mg.sigmoid(i + p.w_ci * c))
    c = mg.probe("cell", f * c + i * g)
    o = mg.probe("output", mg.sigmoid(o + p.w_co * c))
    h = mg.probe("hidden", o * mg.tanh(c))
    return h, (h, c)


class PeepholeLSTM(Recurrent):
    """LSTM with peepholes (Gers and Schmidhuber 2000), with `peephole_lstm_cell`.

    >>> y, (h, c) = PeepholeLSTM(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = peephole_lstm_cell
    states = ("h", "c")
    gates, gate_names = 4, "ifgo"

    def shapes(self, I: int, H: int) -> Shapes:
        """Those of an LSTM, and a weight per unit and peephole."""
        return {**super().shapes(I, H), "w_ci": (H,), "w_cf": (H,), "w_co": (H,)}


def layer_norm_lstm_cell(p: Any, x: Tensor, state: Pair) -> tuple[Tensor, Pair]:
    """An LSTM whose sums and cell state have mean 0 and variance 1 over the units, then a gain.

    >>> from types import SimpleNamespace
    >>> shapes = LayerNormLSTM(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> state = (mg.zeros((2, 4)), mg.zeros((2, 4)))
    >>> y, (h, c) = layer_norm_lstm_cell(p, mg.ones((2, 3)), state)
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    h, c = state
    from_x = mg.layer_norm(mg.linear(x, p.w_ih), p.g_ih.shape, p.g_ih, p.b_ih)
    from_h = mg.layer_norm(mg.linear(h, p.w_hh), p.g_hh.shape, p.g_hh, p.b_hh)
    i, f, g, o = mg.split(from_x + from_h, 4, axis=-1)
    f, i = mg.probe("forget", mg.sigmoid(f)), mg.probe("input", mg.sigmoid(i))
    g = mg.probe("candidate", mg.tanh(g))
    c = mg.probe("cell", f * c + i * g)
    o = mg.probe("output", mg.sigmoid(o))
    h = mg.probe("hidden", o * mg.tanh(mg.layer_norm(c, p.g_c.shape, p.g_c, p.b_c)))
    return h, (h, c)


class LayerNormLSTM(Recurrent):
    """LSTM with layer normalisation (Ba, Kiros and Hinton 2016), with `layer_norm_lstm_cell`.

    >>> y, (h, c) = LayerNormLSTM(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = layer_norm_lstm_cell
    states = ("h", "c")
    gates, gate_names = 4, "ifgo"

    def shapes(self, I: int, H: int) -> Shapes:
        """Those of an LSTM, and gains and biases of the three norms."""
        return {
            **super().shapes(I, H),
            "g_ih": (4 * H,),
            "g_hh": (4 * H,),
            "g_c": (H,),
            "b_c": (H,),
        }

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Gains begin with 1."""
        return np.ones(shape) if name.startswith("g_") else super().initial(name, shape)


def zoneout_lstm_cell(p: Any, x: tuple[Tensor, Tensor], state: Pair) -> tuple[Tensor, Pair]:
    """An LSTM in which the mask says how much of a unit's h and c stays as it was: 1 is all.

    x and mask come in together, for each step: (N, I) and (N, 2H), for h and c side by side.

    >>> from types import SimpleNamespace
    >>> shapes = ZoneoutLSTM(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> state = (mg.zeros((2, 4)), mg.zeros((2, 4)))
    >>> y, (h, c) = zoneout_lstm_cell(p, (mg.ones((2, 3)), mg.zeros((2, 8))), state)
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    x_t, mask = x
    keep_h, keep_c = mg.split(mask, 2, axis=-1)
    _, (h, c) = lstm_cell(p, x_t, state)
    h = mg.probe("zoneout_hidden", keep_h * state[0] + (1 - keep_h) * h)
    c = mg.probe("zoneout_cell", keep_c * state[1] + (1 - keep_c) * c)
    return h, (h, c)


class ZoneoutLSTM(Recurrent):
    """LSTM with zoneout (Krueger et al. 2017), with `zoneout_lstm_cell`.

    Takes what `Recurrent` takes, and zoneout=(0.05, 0.5) by keyword: how probable it is that a
    unit's h, c keeps its value at a step of training. Otherwise the expectation takes its place.

    >>> y, (h, c) = ZoneoutLSTM(3, 4, zoneout=(0.1, 0.3))(mg.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = zoneout_lstm_cell
    states = ("h", "c")
    gates, gate_names = 4, "ifgo"

    def __init__(
        self, *sizes: Any, zoneout: tuple[float, float] = (0.05, 0.5), **options: Any
    ) -> None:
        super().__init__(*sizes, **options)
        self.zoneout = zoneout

    def inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x with a mask (T, N, 2H)."""
        rates = np.repeat(self.zoneout, self.hidden_size)
        shape = (*x.shape[:2], 2 * self.hidden_size)
        mask = generator().random(shape) < rates if self.training else np.broadcast_to(rates, shape)
        return x, mg.tensor(mask, dtype=x.dtype, backend=x.backend)


def indrnn_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """An RNN in which each unit sees only its own past: the recurrent weight is a vector.

    >>> from types import SimpleNamespace
    >>> shapes = IndRNN(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> state = mg.zeros((2, 4))
    >>> y, h = indrnn_cell(p, mg.ones((2, 3)), state)
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    h = mg.probe("hidden", mg.relu(mg.linear(x, p.w_ih, p.b_ih) + p.w_hh * h))
    return h, h


class IndRNN(Recurrent):
    """Independently recurrent network (Li, Li, Cook, Zhu and Gao 2018), with `indrnn_cell`.

    >>> y, h = IndRNN(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = indrnn_cell

    def shapes(self, I: int, H: int) -> Shapes:
        """One recurrent weight per unit."""
        return {"w_ih": (H, I), "w_hh": (H,), "b_ih": (H,)}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Recurrent weights from 0 to 1: memories of all lengths."""
        return generator().random(shape) if name == "w_hh" else super().initial(name, shape)
