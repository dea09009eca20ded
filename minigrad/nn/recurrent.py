"""The bases of recurrent layers and single cells, with PyTorch's names, shapes and conventions.

A layer is the declaration of a cell: the function, the shapes of its parameters, the names of
its states. The base classes do the rest, for a new cell as for those here:

>>> import minigrad as mg
>>> def leaky_cell(p, x, h):
...     new = mg.tanh(mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh))
...     h = h + mg.sigmoid(p.leak) * (new - h)
...     return h, h
>>> class Leaky(Recurrent):
...     cell = leaky_cell
...
...     def shapes(self, I, H):
...         return {"w_ih": (H, I), "w_hh": (H, H), "b_ih": (H,), "leak": (H,)}
>>> layer = Leaky(3, 4, num_layers=2, bidirectional=True)
>>> y, h = layer(mg.ones((7, 2, 3)), lengths=[7, 5])
>>> y.shape, h.shape
((7, 2, 8), (4, 2, 4))
>>> [name for name, _ in layer.named_parameters()][:4]
['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'leak_l0']
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.filled import zeros
from ..engine.tensor import Tensor
from ..functional import dropout
from ..ops import concatenate, expand_dims, squeeze, stack, swapaxes, unstack
from ..recording.probes import placed
from ..scan import scan
from ..utils.arguments import check_flag, check_positive, check_probability
from ..valid_steps import ValidSteps
from .cell_module import CellModule

if TYPE_CHECKING:
    from ..compiler import Program

__all__ = ["Recurrent", "RecurrentCell"]


class Recurrent(CellModule):
    """A cell over whole sequences: one or more layers, one or both directions.

    The base of `RNN`, `LSTM`, `GRU` and of new layers (see the module's docstring).

    Parameters
    ----------
    input_size : I, the features of an input step.
    hidden_size : H, the size of each state of each layer and direction.
    num_layers : L; each layer above the first runs over the outputs of the one below.
    bias : without it, the parameters `bias_...` don't exist.
    batch_first : x and y are (N, T, ...) instead of (T, N, ...); states don't change.
    dropout : in training, the probability that an output is dropped before the next layer.
    bidirectional : a second set of weights (`..._reverse`) runs backwards in each layer, and
        its outputs stand behind those of the first; D = 2 directions instead of 1.

    Calling it
    ----------
    `y, state = layer(x, state=None, lengths=None, mask=None)`

    x : (T, N, I), or (T, I) for a single sequence, for which all else has no N either.
    state : before the first step, (L*D, N, H), the directions of a layer side by side; zeros if
        None. A tuple of such for a cell of several states, as `(h, c)` for `LSTM`.
    lengths : for padded batches, N integers: the valid steps of each sequence. Outputs beyond
        are zeros, final states are those after the last valid step, the backward direction begins
        there, and the padding's content, NaN included, has no effect.
    mask : in place of lengths, (T, N), true where a step counts, in the layout of x: for padding
        on the left, or steps that are missing. At the others outputs are zeros, and the state
        stays.

    y is (T, N, D*H), of the last layer; the state after the last step is as the one before.

    >>> class Sum(Recurrent):
    ...     def cell(p, x, h):
    ...         h = h + mg.linear(x, p.w)
    ...         return h, h
    ...
    ...     def shapes(self, I, H):
    ...         return {"w": (H, I)}
    >>> y, h = Sum(3, 4)(mg.ones((5, 2, 3)))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        name = type(self).__name__
        check_probability(name, "dropout", dropout)
        if isinstance(num_layers, str) and hasattr(self, "cell"):
            raise TypeError(
                f"{name}: the third argument is num_layers; give other options by name, as in "
                f"nonlinearity={num_layers!r}"
            )
        self.num_layers = check_positive(name, "num_layers", num_layers)
        if dropout and num_layers == 1:
            raise ValueError(
                f"{name}: dropout acts between layers, and there is one only. Take num_layers=2 "
                "or more, or apply mg.dropout to the output"
            )
        self.batch_first = check_flag(name, "batch_first", batch_first)
        self.dropout = dropout
        self.bidirectional = check_flag(name, "bidirectional", bidirectional)
        super().__init__(input_size, hidden_size, bias)

    def _directions(self) -> tuple[tuple[str, bool], ...]:
        return (("", False), ("_reverse", True)) if self.bidirectional else (("", False),)

    def _copies(self) -> Iterator[tuple[str, int]]:
        for layer in range(self.num_layers):
            below = len(self._directions()) * self.state_sizes(self.hidden_size)[0]
            I = below if layer else self.input_size
            for direction, _ in self._directions():
                yield f"_l{layer}{direction}", I

    def where(self, name: int | str, index: tuple[int, ...]) -> str:
        """What an entry of a parameter, or of input 0, is in words; `gradcheck` asks for it.

        >>> layer = mg.nn.LSTM(3, 4)
        >>> layer.where("weight_hh_l0", (5, 0)), layer.where(0, (6, 1, 0))
        ('layer 0, forward direction, gate f', 'time step 6')
        """
        if name == 0 and len(index) == 3:
            return f"time step {index[1 if self.batch_first else 0]}"
        return super().where(name, index)

    def _whose(self, suffix: str) -> str:
        layer, _, reverse = suffix.removeprefix("_l").partition("_")
        return f"layer {layer}, {'backward' if reverse else 'forward'} direction"

    def forward(
        self, x: Tensor, state: Any = None, lengths: Any = None, mask: Any = None
    ) -> tuple[Tensor, Any]:
        """y and the final state; see the class.

        >>> layer = mg.nn.GRU(3, 4)
        >>> y, h = layer.forward(mg.ones((5, 2, 3)), lengths=[5, 1])
        >>> bool((y[1:, 1] == 0).all() and (h[0, 1] == y[0, 1]).all())
        True
        """
        layout = "(N, T, I)" if self.batch_first else "(T, N, I)"
        self._check_input(x, {2: "(T, I)", 3: layout})
        single = x.ndim == 2
        if single and lengths is not None:
            raise ValueError(f"{type(self).__name__}: lengths belong to a batch, x {layout}")
        runs = self.num_layers * len(self._directions())
        if single:
            x = expand_dims(x, 1)
        elif self.batch_first:
            x = swapaxes(x, 0, 1)
        T, N = x.shape[:2]
        valid = None
        if lengths is not None or mask is not None:  # once for all scans
            valid = ValidSteps(lengths, T, N, x.backend, self._laid_out(mask, single))
        if state is None:
            before: list[Any] = [self._state(None, (N,), x) for _ in range(runs)]
        else:
            parts = self._state(state, (runs,) if single else (runs, N), x)
            parts = [expand_dims(part, 1) for part in parts] if single else parts
            before = list(zip(*map(unstack, parts), strict=True))

        y, parts = self._run(x, before, valid)
        if single:
            return squeeze(y, 1), self._packed([squeeze(part, 1) for part in parts])
        return swapaxes(y, 0, 1) if self.batch_first else y, self._packed(parts)

    def _laid_out(self, mask: Any, single: bool) -> Any:
        """A mask that is laid out as x is, as (T, N)."""
        if mask is None:
            return None
        array = mask.numpy() if isinstance(mask, Tensor) else np.asarray(mask)
        if single:
            return array[..., None]
        return array.swapaxes(0, 1) if self.batch_first and array.ndim == 2 else array

    def _run(self, x: Tensor, before: list[Any], valid: Any) -> tuple[Tensor, list[Tensor]]:
        """All layers and directions over x (T, N, I), each from the parts of its state (N, S)."""
        states = iter(before)
        after = []
        for layer in range(self.num_layers):
            if layer:
                x = dropout(x, self.dropout, self.training)
            outputs = []
            for direction, reverse in self._directions():
                p = self._weights(f"_l{layer}{direction}")
                state = self._packed(next(states))
                with placed(f"l{layer}{direction}"):
                    y, state = scan(self.cell, p, self.inputs(x), state, valid, reverse)
                outputs.append(y)
                after.append([state] if len(self.states) == 1 else state)
            x = concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return x, [stack(part) for part in zip(*after, strict=True)]

    def step(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One step of a stream: y (N, D*H) and the new state, for x (N, I) and the last state.

        The same numbers as the layer gives for the whole sequence; for a single sequence x is
        (I,). Raises ValueError for a layer that is bidirectional, as it would have to know the
        end, or one with dropout in training, whose masks are drawn for whole sequences.

        >>> import minigrad as mg
        >>> gru = mg.nn.GRU(3, 4, num_layers=2)
        >>> x, h = mg.ones((5, 2, 3)), None
        >>> for t in range(5):
        ...     y, h = gru.step(x[t], h)
        >>> bool((y == gru(x)[0][-1]).all())
        True
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(f"{name}: a bidirectional layer has to see the end; it has no steps")
        if self.dropout and self.training:
            raise ValueError(f"{name}: dropout is drawn for whole sequences; call eval() first")
        self._check_input(x, {1: "(I,)", 2: "(N, I)"})
        single = x.ndim == 1
        time = 1 if self.batch_first and not single else 0
        y, state = self(expand_dims(x, time), state)
        return squeeze(y, time), state

    def inputs(self, x: Tensor) -> Any:
        """What the cell is given step by step for x (T, N, I): x itself.

        A cell can't draw random numbers; a layer whose cell wants some returns a tuple of x and
        tensors (T, N, ...) that it draws here.

        >>> class Noisy(Recurrent):
        ...     def cell(p, inputs, h):
        ...         x, noise = inputs
        ...         h = mg.tanh(mg.linear(x, p.w_ih) + mg.linear(h, p.w_hh) + noise)
        ...         return h, h
        ...
        ...     def inputs(self, x):
        ...         return x, 0.1 * mg.randn(*x.shape[:2], self.hidden_size)
        >>> y, h = Noisy(3, 4)(mg.ones((5, 2, 3)))
        """
        return x

    def trace(self) -> Program:
        """The program of one step of the first layer, forwards and backwards, to be printed.

        Raises `minigrad.compiler.Untraceable` for a cell that can't be compiled; see `mg.trace`.

        >>> print(mg.nn.RNN(3, 4).trace())
        forward:
        ...
          -> d w_hh: ...
          -> d state: ...
        """
        from ..compiler.trace import trace  # loaded when it is first asked for

        like = next(self.parameters())
        x = zeros((1, 2, self.input_size), like.dtype, backend=like.backend)
        parts = self._state(None, (2,), x)
        inputs = self.inputs(x)
        several = isinstance(inputs, tuple)
        step = tuple(part[0] for part in inputs) if several else inputs[0]
        return trace(self.cell, self._weights("_l0"), step, self._packed(parts))

    def extra_repr(self) -> str:
        """Its sizes, and the options that differ from their defaults."""
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        defaults["bidirectional"] = False
        return _shown(self, {**defaults, **self.options})


class RecurrentCell(CellModule):
    """A cell over one step, for loops that you write: the base of `RNNCell`, `LSTMCell`, `GRUCell`.

    Its parameters have the names of a layer's without a suffix: `weight_ih`, `bias_hh`.

    Calling it
    ----------
    `state = cell(x, state=None)` with x (N, I) and a state (N, H), or a tuple of them for a cell of
    several states; zeros if None. For a single sequence, x is (I,) and a state (H,).

    >>> class Step(RecurrentCell):
    ...     def cell(p, x, h):
    ...         h = h + mg.linear(x, p.w)
    ...         return h, h
    ...
    ...     def shapes(self, I, H):
    ...         return {"w": (H, I)}
    >>> Step(3, 4)(mg.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """The state after one step.

        >>> cell = mg.nn.GRUCell(3, 4)
        >>> h = cell.forward(mg.ones((2, 3)))
        >>> cell.forward(mg.ones((2, 3)), h).shape
        (2, 4)
        """
        self._check_input(x, {1: "(I,)", 2: "(N, I)"})
        parts = self._state(state, x.shape[:-1], x)
        _, state = self.cell(self._weights(""), x, self._packed(parts))
        return state

    def extra_repr(self) -> str:
        """Its sizes, and whether it has no bias."""
        return _shown(self, {"bias": True, **self.options})


def _shown(module: CellModule, defaults: dict[str, Any]) -> str:
    options = ((name, getattr(module, name)) for name in defaults)
    changed = [f"{name}={value!r}" for name, value in options if value != defaults[name]]
    return ", ".join([str(module.input_size), str(module.hidden_size), *changed])
