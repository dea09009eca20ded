"""Recurrent cells: one time step each, as a plain function of ops.

A cell is `cell(p, x, state) -> (y, state)`: it takes its parameters, the input of this step and the
state that the step before left behind, and gives an output and the state for the next step.
`mg.scan` runs a cell over time, `minigrad.nn.recurrent` makes a layer of it, and all its
derivatives follow automatically.

`p` is anything with the attributes that the cell reads. Here these are

    w_ih  (k*H, I)  from the input        b_ih  (k*H,), or None for no bias
    w_hh  (k*H, H)  from the hidden state b_hh  (k*H,), or None

with k gates side by side, in PyTorch's order, for inputs x (N, I) and hidden states h (N, H). If it
has `mask_h` (N, H), recurrent products see h times it (recurrent dropout).

Gates and states have names, by which `mg.record()` keeps them: forget, candidate, input, cell,
output and hidden in an LSTM, reset, update, candidate and hidden in a GRU, hidden in an RNN.
"""

from __future__ import annotations

from typing import Any

from ..engine.explain import packages_of_cells
from ..engine.tensor import Tensor
from ..functional import linear
from ..ops import relu, sigmoid, split, tanh
from ..recording import probe

packages_of_cells.add(__name__)

__all__ = ["gru_cell", "gru_reset_before_cell", "lstm_cell", "lstm_projected_cell"]
__all__ += ["masked", "rnn_relu_cell", "rnn_tanh_cell"]


def masked(p: Any, h: Tensor) -> Tensor:
    """h as recurrent products see it: times `p.mask_h`, if recurrent dropout set that.

    >>> from types import SimpleNamespace
    >>> import minigrad as mg
    >>> h = mg.tensor([[1.0, 2.0]])
    >>> masked(SimpleNamespace(mask_h=mg.tensor([[0.0, 2.0]])), h)
    tensor([[0., 4.]])
    >>> masked(SimpleNamespace(), h) is h
    True
    """
    mask = getattr(p, "mask_h", None)
    return h if mask is None else h * mask


def rnn_tanh_cell(p: Any, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Elman's network: the new hidden state is tanh of a weighted sum of input and old one.

    >>> from types import SimpleNamespace
    >>> w_ih, w_hh = mg.randn(4, 3), mg.randn(4, 4)
    >>> p = SimpleNamespace(w_ih=w_ih, w_hh=w_hh, b_ih=None, b_hh=None)
    >>> y, h = rnn_tanh_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    h = tanh(linear(x, p.w_ih, p.b_ih) + linear(masked(p, h), p.w_hh, p.b_hh))
    h = probe("hidden", h)
    return h, h


def rnn_relu_cell(p: Any, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """As `rnn_tanh_cell`, with max(0, sum) in place of tanh: the state has no upper bound.

    >>> from types import SimpleNamespace
    >>> w_ih, w_hh = mg.randn(4, 3), mg.randn(4, 4)
    >>> p = SimpleNamespace(w_ih=w_ih, w_hh=w_hh, b_ih=None, b_hh=None)
    >>> y, h = rnn_relu_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    h = relu(linear(x, p.w_ih, p.b_ih) + linear(masked(p, h), p.w_hh, p.b_hh))
    h = probe("hidden", h)
    return h, h


def lstm_cell(
    p: Any, x: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with Gers's forget gate of 2000).

    The state is a pair: h, what the outside sees, and c, the cell state, a belt on which memories
    travel from step to step, changed by a multiplication and an addition only. A gate is a number
    from 0 (shut) to 1 (open) per unit. In seven steps:

    1. Combine: input and old hidden state go into one weighted sum. Four sums are needed, for
       three gates and a candidate; they lie side by side (i, f, g, o) and are computed at once.
    2. Forget: f = sigmoid(...) says how much of each memory stays on the belt.
    3. Candidate: g = tanh(...), from -1 to 1, is what might be put on it.
    4. Input: i = sigmoid(...) says how much of the candidate is worth it.
    5. New cell state: c = f * c + i * g, the old memories weakened, the new ones added.
    6. Output: o = sigmoid(...) says which memories matter at this moment.
    7. New hidden state: h = o * tanh(c). The tanh brings memories that have added up back to
       between -1 and 1.

    The article that these steps follow (M. Phi, "Illustrated Guide to LSTM's and GRU's", 2018) has
    the tanh of step 7 in its text and its pictures but not in its code; PyTorch has it, and so
    has this cell.

    Parameters
    ----------
    p : w_ih (4H, I), w_hh (4H, H), b_ih and b_hh (4H,) or None.
    x : (N, I).
    state : h and c, each (N, H).

    Examples
    --------
    With all weights 0, every gate is half open: half of the old memory stays.

    >>> from types import SimpleNamespace
    >>> import minigrad as mg
    >>> p = SimpleNamespace(w_ih=mg.zeros((4, 3)), w_hh=mg.zeros((4, 1)), b_ih=None, b_hh=None)
    >>> y, (h, c) = lstm_cell(p, mg.ones((1, 3)), (mg.zeros((1, 1)), mg.ones((1, 1))))
    >>> c.item()
    0.5
    """
    h, c = state
    sums = linear(x, p.w_ih, p.b_ih) + linear(masked(p, h), p.w_hh, p.b_hh)  # (N, 4H)
    i, f, g, o = split(sums, 4, axis=-1)
    f = probe("forget", sigmoid(f))
    g = probe("candidate", tanh(g))
    i = probe("input", sigmoid(i))
    c = probe("cell", f * c + i * g)
    o = probe("output", sigmoid(o))
    h = probe("hidden", o * tanh(c))
    return h, (h, c)


def lstm_projected_cell(
    p: Any, x: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """`lstm_cell` whose hidden state is a projection of it (Sak, Senior and Beaufays 2014).

    h (N, P) is smaller than c (N, H): h = W_hr (o * tanh(c)), named "projected". `p` holds w_hr
    (P, H), too, and w_hh is (4H, P).

    >>> from types import SimpleNamespace
    >>> import minigrad as mg
    >>> p = SimpleNamespace(w_ih=mg.zeros((4, 3)), w_hh=mg.zeros((4, 2)), b_ih=None, b_hh=None)
    >>> p.w_hr = mg.zeros((2, 1))
    >>> y, (h, c) = lstm_projected_cell(p, mg.ones((1, 3)), (mg.zeros((1, 2)), mg.ones((1, 1))))
    >>> h.shape, c.item()
    ((1, 2), 0.5)
    """
    h, (_, c) = lstm_cell(p, x, state)
    h = probe("projected", linear(h, p.w_hr))
    return h, (h, c)


def gru_cell(p: Any, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Gated recurrent unit (Cho et al. 2014): the new state lies between the old and a candidate n.

    The update gate z says how much of the old state stays. The reset gate r weakens the old state's
    part in the candidate *after* the matrix product, as in PyTorch and cuDNN:
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn)). With r before the product it is another model,
    for which these weights mean nothing.

    `p` holds w_ih (3H, I), w_hh (3H, H), b_ih and b_hh (3H,) or None, in the order r, z, n;
    x is (N, I), h is (N, H).

    >>> from types import SimpleNamespace
    >>> w_ih, w_hh = mg.randn(12, 3), mg.randn(12, 4)
    >>> p = SimpleNamespace(w_ih=w_ih, w_hh=w_hh, b_ih=None, b_hh=None)
    >>> y, h = gru_cell(p, mg.ones((2, 3)), mg.zeros((2, 4)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """
    x_r, x_z, x_n = split(linear(x, p.w_ih, p.b_ih), 3, axis=-1)
    h_r, h_z, h_n = split(linear(masked(p, h), p.w_hh, p.b_hh), 3, axis=-1)
    r = probe("reset", sigmoid(x_r + h_r))
    z = probe("update", sigmoid(x_z + h_z))
    n = probe("candidate", tanh(x_n + r * h_n))
    h = probe("hidden", (1 - z) * n + z * h)
    return h, h


def gru_reset_before_cell(p: Any, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """`gru_cell` with the reset gate before the product, as in Cho et al. 2014 and Keras.

    n = tanh(W_in x + b_in + W_hn (r * h)): a unit that is reset is out of all sums. It is
    another model than `gru_cell`, and the weights of one mean nothing to the other.

    `p` holds w_ih (3H, I) and b_ih (3H,) or None, in the order r, z, n; w_hh (2H, H) for r and z,
    and w_hn (H, H); x is (N, I), h is (N, H).

    >>> from types import SimpleNamespace
    >>> import minigrad as mg
    >>> shapes = mg.nn.GRU(3, 1, reset_after=False).shapes(3, 1)
    >>> p = SimpleNamespace(**{name: mg.zeros(shape) for name, shape in shapes.items()})
    >>> y, h = gru_reset_before_cell(p, mg.ones((1, 3)), mg.ones((1, 1)))
    >>> h.item()
    0.5
    """
    x_r, x_z, x_n = split(linear(x, p.w_ih, p.b_ih), 3, axis=-1)
    seen = masked(p, h)
    h_r, h_z = split(linear(seen, p.w_hh), 2, axis=-1)
    r = probe("reset", sigmoid(x_r + h_r))
    z = probe("update", sigmoid(x_z + h_z))
    n = probe("candidate", tanh(x_n + linear(r * seen, p.w_hn)))
    h = probe("hidden", (1 - z) * n + z * h)
    return h, h
