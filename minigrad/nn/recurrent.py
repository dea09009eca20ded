"""The base of recurrent layers, with PyTorch's names, shapes and conventions.

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

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.filled import zeros
from ..engine.rng import generator_again
from ..engine.tensor import Tensor
from ..functional import dropout
from ..ops import concatenate, expand_dims, reshape, squeeze, stack, swapaxes, unstack
from ..recording.probes import placed
from ..scan import scan
from ..valid_steps import ValidSteps
from .masks import (
    check_zoneout,
    drop_features,
    drop_weights,
    with_recurrent_dropout,
    with_zoneout,
)
from .recurrent_options import RecurrentOptions

if TYPE_CHECKING:
    from ..compiler import Program

__all__ = ["Recurrent"]


class Recurrent(RecurrentOptions):
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

    And by name:

    variational_dropout : in training, the probability that a sequence loses a feature of each
        layer's input, at all steps (Gal and Ghahramani 2016; `LockedDropout` of AWD-LSTM).
    recurrent_dropout : in training, the probability that a unit of h is 0 in the recurrent
        products of a sequence, at all steps (Gal and Ghahramani 2016; Keras). The state keeps it:
        an update gate still passes it on. Only for cells that declare `masks_h`.
    weight_drop : in training, the probability that a number in the weights of h (`recurrent` of
        the declaration) is 0 in this call, for all sequences (DropConnect; AWD-LSTM of Merity,
        Keskar and Socher 2017).
    zoneout : the probability that a unit of a state keeps its value at a step of training; one
        for all states, or one for each. In evaluation the expectation takes its place (Krueger et
        al. 2017).
    residual : from the second layer on, a layer's input is added to its output.
    stateful : a call without a state goes on from the last state of the call before, detached;
        `reset_state()` forgets it. For batches whose sequences go on in the next batch, as in
        Keras. (Without it, give the state yourself, or use `tbptt`.)

    Masks are drawn from the generator that `mg.manual_seed` sets, one for each layer and direction
    (`variational_dropout`: one for both directions); what is kept is scaled by 1 / (1 - p).

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
        *,
        variational_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        residual: bool = False,
        stateful: bool = False,
    ) -> None:
        self._set_options(
            num_layers=num_layers,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            variational_dropout=variational_dropout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            residual=residual,
            stateful=stateful,
        )
        self._last: Any = None  # of a stateful layer, the parts of its state
        super().__init__(input_size, hidden_size, bias)
        self._check_options()

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
        if state is None and self.stateful:
            state = self._remembered(x, single)
        if state is None:
            before: list[Any] = [self._state(None, (N,), x) for _ in range(runs)]
        else:
            parts = self._state(state, (runs,) if single else (runs, N), x)
            parts = [expand_dims(part, 1) for part in parts] if single else parts
            before = list(zip(*map(_runs, parts), strict=True))

        y, parts = self._run(x, before, valid)
        if single:
            y, parts = squeeze(y, 1), [squeeze(part, 1) for part in parts]
        elif self.batch_first:
            y = swapaxes(y, 0, 1)
        if self.stateful:
            self._last = [part.detach() for part in parts]
        return y, self._packed(parts)

    def _remembered(self, x: Tensor, single: bool) -> Any:
        """The last state of a stateful layer, for x (T, N, I)."""
        name = type(self).__name__
        if generator_again.get() is not None:
            raise RuntimeError(
                f"{name}: a stateful layer can't be run again, as for a checkpoint or gradients "
                "per example: its state has gone on. Give it the state"
            )
        if self._last is None:
            return None
        like, part = self._like(x), self._last[0]
        N = None if part.ndim == 2 else part.shape[1]
        now = None if single else x.shape[1]
        if (N, part.dtype, part.backend) != (now, like.dtype, like.backend):
            raise ValueError(
                f"{name}: the state of the call before is {part.dtype} {part.shape}, of other "
                f"sequences than x; call reset_state() before new ones begin"
            )
        return self._packed(self._last)

    def reset_state(self) -> None:
        """Forget the last state of a stateful layer: the next call begins with zeros.

        >>> layer = mg.nn.GRU(3, 4, stateful=True)
        >>> first, _ = layer(mg.ones((5, 2, 3)))
        >>> more, _ = layer(mg.ones((5, 2, 3)))  # steps 5 to 9 of the same sequences
        >>> layer.reset_state()
        >>> again, _ = layer(mg.ones((5, 2, 3)))
        >>> bool((again == first).all()), bool((again == more).any())
        (True, False)
        """
        self._last = None

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
            below = x
            if layer:
                x = dropout(x, self.dropout, self.training)
            if self.variational_dropout and self.training:
                x = drop_features(x, self.variational_dropout)
            outputs = []
            for direction, reverse in self._directions():
                cell, p, xs = self._prepared(f"_l{layer}{direction}", x)
                state = self._packed(next(states))
                with placed(f"l{layer}{direction}"):
                    y, state = scan(cell, p, xs, state, valid, reverse)
                outputs.append(y)
                after.append([state] if len(self.states) == 1 else state)
            x = concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
            if self.residual and layer:
                x = x + below
        return x, [_together(part) for part in zip(*after, strict=True)]

    def _prepared(self, suffix: str, x: Tensor) -> tuple[Any, Any, Any]:
        """The cell that runs over x (T, N, I), its parameters and inputs, by the options."""
        cell, p, xs = self.cell, self._weights(suffix), self.inputs(x)
        sizes = self.state_sizes(self.hidden_size)
        if self.training and self.weight_drop:
            drop_weights(p, self.recurrent, self.weight_drop)
        if self.training and self.recurrent_dropout:
            cell, xs = with_recurrent_dropout(cell, xs, sizes[0], self.recurrent_dropout)
        zoneout = self.zoneout
        if zoneout and (rates := check_zoneout(type(self).__name__, zoneout, self.states)):
            named = dict(zip(self.states, sizes, strict=True))
            cell, p, xs = with_zoneout(cell, p, xs, named, rates, self.training)
        return cell, p, xs

    def step(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """One step of a stream: y (N, D*H) and the new state, for x (N, I) and the last state.

        The same numbers as the layer gives for the whole sequence, up to rounding: a compiled loop
        multiplies the inputs of all steps at once. With `MINIGRAD_FUSED=0` they are the same to the
        bit on NumPy. For a single sequence x is (I,).

        Raises ValueError for a layer that is bidirectional, as it would have to know the end, or
        one that drops something in training, as those masks are drawn for whole sequences.
        (Zoneout draws at each step, and may be stepped.)

        >>> import minigrad as mg
        >>> gru = mg.nn.GRU(3, 4, num_layers=2)
        >>> x, h = mg.ones((5, 2, 3)), None
        >>> for t in range(5):
        ...     y, h = gru.step(x[t], h)
        >>> mg.allclose(y, gru(x)[0][-1], rtol=1e-6)
        True
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(f"{name}: a bidirectional layer has to see the end; it has no steps")
        for drop in ("dropout", "variational_dropout", "recurrent_dropout", "weight_drop"):
            if self.training and getattr(self, drop):
                raise ValueError(f"{name}: {drop} is drawn for whole sequences; call eval() first")
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

        return trace(*self._one_step())

    def source(self) -> str:
        """What the first layer runs, as text: on NumPy plain NumPy, elsewhere the kernels.

        On NumPy it is what one writes by hand: the loop over time forwards, and the backward pass
        that the chain rule gives. `mg.source` does the same for any cell, and says what it raises.

        >>> text = mg.nn.LSTM(3, 4).astype("float64").to("numpy").source()
        >>> print(text[text.index("        np.dot") : text.index("# forwards: what")].rstrip())
                np.dot(h_prev, w_hh_T, out=sums)
                np.add(sums, product, out=sums)
        ...
                np.add(tmp, tmp2, out=c)
                np.tanh(c, out=tanh_c)
                np.multiply(o, tanh_c, out=h)
        """
        from ..compiler.scan_plan import source

        return source(*self._one_step())

    def _one_step(self) -> tuple[Any, Any, Any, Any]:
        """The first layer's cell, its parameters, and an input and a state for one step."""
        like = next(self.parameters())
        x = zeros((1, 2, self.input_size), like.dtype, backend=like.backend)
        parts = self._state(None, (2,), x)
        cell, p, xs = self._prepared("_l0", x)
        step = tuple(part[0] for part in xs) if isinstance(xs, tuple) else xs[0]
        return cell, p, step, self._packed(parts)


def _runs(state: Tensor) -> list[Tensor]:
    """The states (N, S) of all layers and directions, from one for all (L*D, N, S)."""
    return unstack(state) if len(state) != 1 else [reshape(state, state.shape[1:])]


def _together(states: Sequence[Tensor]) -> Tensor:
    """One state for all (L*D, N, S) from those of all layers and directions (N, S)."""
    if len(states) != 1:
        return stack(states)
    return reshape(states[0], (1, *states[0].shape))
