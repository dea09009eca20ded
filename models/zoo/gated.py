"""Cells with recurrent products, each declared in a few lines.

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
from minigrad.nn import LSTM, Recurrent
from minigrad.nn.cells import masked

__all__ = ["MGU", "IndRNN", "LayerNormGRU", "LayerNormLSTM", "MinimalRNN", "PeepholeLSTM"]
__all__ += ["ZoneoutLSTM", "indrnn_cell", "layer_norm_gru_cell", "layer_norm_lstm_cell"]
__all__ += ["mgu_cell", "minimal_rnn_cell", "peephole_lstm_cell"]

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
    seen = masked(p, h)
    f = mg.probe("forget", mg.sigmoid(x_f + mg.linear(seen, p.w_hf)))
    n = mg.probe("candidate", mg.tanh(x_n + mg.linear(f * seen, p.w_hn)))
    h = mg.probe("hidden", h + f * (n - h))
    return h, h


class MGU(Recurrent):
    """Minimal gated unit (Zhou, Wu, Zhang and Zhou 2016), with `mgu_cell`.

    >>> y, h = MGU(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = mgu_cell
    recurrent, masks_h = ("w_hf", "w_hn"), True

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
    sums = mg.linear(x, p.w_ih, p.b_ih) + mg.linear(masked(p, h), p.w_hh, p.b_hh)  # (N, 4H)
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
    masks_h = True

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
    from_h = mg.layer_norm(mg.linear(masked(p, h), p.w_hh), p.g_hh.shape, p.g_hh, p.b_hh)
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
    masks_h = True

    def shapes(self, I: int, H: int) -> Shapes:
        """Those of an LSTM, and gains and biases of the three norms."""
        norms = {"g_ih": (4 * H,), "g_hh": (4 * H,), "g_c": (H,), "b_c": (H,)}
        return {**super().shapes(I, H), **norms}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Gains begin with 1."""
        return np.ones(shape) if name.startswith("g_") else super().initial(name, shape)


def layer_norm_gru_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """A GRU whose sums have mean 0 and variance 1 over the units, then a gain.

    >>> from types import SimpleNamespace
    >>> shapes = LayerNormGRU(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, h = layer_norm_gru_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    from_x = mg.layer_norm(mg.linear(x, p.w_ih), p.g_ih.shape, p.g_ih, p.b_ih)
    from_h = mg.layer_norm(mg.linear(masked(p, h), p.w_hh), p.g_hh.shape, p.g_hh, p.b_hh)
    x_r, x_z, x_n = mg.split(from_x, 3, axis=-1)
    h_r, h_z, h_n = mg.split(from_h, 3, axis=-1)
    r = mg.probe("reset", mg.sigmoid(x_r + h_r))
    z = mg.probe("update", mg.sigmoid(x_z + h_z))
    n = mg.probe("candidate", mg.tanh(x_n + r * h_n))
    h = mg.probe("hidden", (1 - z) * n + z * h)
    return h, h


class LayerNormGRU(Recurrent):
    """GRU with layer normalisation (Ba, Kiros and Hinton 2016), with `layer_norm_gru_cell`.

    >>> y, h = LayerNormGRU(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = layer_norm_gru_cell
    gates, gate_names = 3, "rzn"
    masks_h = True

    def shapes(self, I: int, H: int) -> Shapes:
        """Those of a GRU, and a gain for each sum."""
        return {**super().shapes(I, H), "g_ih": (3 * H,), "g_hh": (3 * H,)}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Gains begin with 1."""
        return np.ones(shape) if name.startswith("g_") else super().initial(name, shape)


class ZoneoutLSTM(LSTM):
    """LSTM with zoneout (Krueger et al. 2017): `LSTM` with `zoneout=(0.05, 0.5)`, for h and c.

    >>> y, (h, c) = ZoneoutLSTM(3, 4, zoneout=(0.1, 0.3))(mg.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    def __init__(
        self, *sizes: Any, zoneout: float | tuple[float, ...] = (0.05, 0.5), **options: Any
    ) -> None:
        super().__init__(*sizes, zoneout=zoneout, **options)


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
    h = mg.probe("hidden", mg.relu(mg.linear(x, p.w_ih, p.b_ih) + p.w_hh * masked(p, h)))
    return h, h


class IndRNN(Recurrent):
    """Independently recurrent network (Li, Li, Cook, Zhu and Gao 2018), with `indrnn_cell`.

    >>> y, h = IndRNN(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = indrnn_cell
    masks_h = True

    def shapes(self, I: int, H: int) -> Shapes:
        """One recurrent weight per unit."""
        return {"w_ih": (H, I), "w_hh": (H,), "b_ih": (H,)}

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Recurrent weights from 0 to 1: memories of all lengths."""
        return generator().random(shape) if name == "w_hh" else super().initial(name, shape)


def minimal_rnn_cell(p: Any, x: Tensor, h: Tensor) -> Pair:
    """The state moves in the space of the transformed input, by one gate.

    >>> from types import SimpleNamespace
    >>> shapes = MinimalRNN(3, 4).shapes(3, 4)
    >>> p = SimpleNamespace(**{name: mg.randn(shape) for name, shape in shapes.items()})
    >>> y, h = minimal_rnn_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    n = mg.probe("candidate", mg.tanh(mg.linear(x, p.w_ih, p.b_ih)))
    u = mg.linear(masked(p, h), p.w_hh, p.b_hh) + mg.linear(n, p.w_nh)
    u = mg.probe("update", mg.sigmoid(u))
    h = mg.probe("hidden", u * h + (1 - u) * n)
    return h, h


class MinimalRNN(Recurrent):
    """MinimalRNN (Chen 2017), with `minimal_rnn_cell`.

    >>> y, h = MinimalRNN(3, 4)(mg.ones((7, 2, 3)), lengths=[7, 5])
    >>> y.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    cell = minimal_rnn_cell
    masks_h = True

    def shapes(self, I: int, H: int) -> Shapes:
        """Those of an RNN, and the gate's weights of the transformed input."""
        return {**super().shapes(I, H), "w_nh": (H, H)}
