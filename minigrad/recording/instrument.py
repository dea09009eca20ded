"""Instrumented cells: what a cell names is among its outputs, what replaces it among its inputs.

A scan of such a cell is a scan like any other, so kernels run it, and a backward pass goes
through it. What a cell names is found by calling it once, on the first step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..engine.graph import HandmadeOp, Node, grad_enabled, no_grad, on_call, only_values, probing
from ..engine.rng import generator, generator_again, generator_at
from ..engine.tensor import Tensor
from ..engine.wrapping import alias
from ..nested import parts_of, rebuild, without_tensors
from ..utils.scope import Scope
from .override import is_function, replacement
from .probes import Probing, here, place

__all__ = ["Instrument", "run_probed"]


class Irregular(Exception):
    """What a cell names can't be among its outputs."""


def run_probed(
    run: Callable[[Any, Any, Any], tuple[Any, Any]],
    cell: Callable[..., Any],
    params: Any,
    xs: Any,
    state: Any,
    known: Any,
    **scan: Any,
) -> tuple[Any, Any]:
    """What `run(cell, xs, instrument)` gives, a scan, whose values are recorded or replaced.

    `known` remembers what the cells of compiled scans name, see `KnownNames` of the compiler; None
    if the backend has no compiler. `scan` has `valid` and `reverse` of the scan, see `Steps`.
    """
    asks: Probing | Visits = probing.get()
    if isinstance(asks, Visits):
        raise Irregular  # a scan within a cell: its values have no row per sequence
    if asks.each_step:
        return run(cell, xs, None)
    try:
        instrument = Instrument(asks, cell, params, xs, state, known)
        extended = instrument.extended(xs)
        with Scope(probing, None):
            ys, last = run(cell, extended, instrument)
        return instrument.taken(ys, **scan), last
    except Irregular:
        return run(cell, xs, None)  # op by op; probes in it ask `asks`


class Visits:
    """What probes ask while an instrumented cell runs: the values of one step."""

    def __init__(self, replace: Callable[[int, str, Tensor], Tensor]) -> None:
        self.names: list[str] = []
        self.values: list[Tensor] = []
        self._replace = replace

    def visit(self, full: str, x: Tensor) -> Tensor:
        x = self._replace(len(self.names), full, x)
        self.names.append(full)
        self.values.append(x)
        return x

    def why_composed(self) -> str:
        return ""  # it sees the values of kernels, too


class Like(NamedTuple):
    """What a value is like."""

    shape: tuple[int, ...]
    dtype: Any
    backend: Any


class Names(NamedTuple):
    """What a cell names in a step, what these values are like, and its output, without tensors."""

    names: list[str]
    likes: list[Like]
    y: Any
    outputs: int  # of how many tensors its output is


def find_names(cell: Callable[..., Any], params: Any, xs: Any, state: Any) -> Names:
    """What a cell names, from a call on the first step. Raises `Irregular`."""
    first = rebuild(xs, [alias(x.detach()[0]) for x in parts_of(xs)])
    before = rebuild(state, [alias(part.detach()) for part in parts_of(state)])
    visits = Visits(lambda i, full, x: x)
    drawn = Scope(generator_again, generator_at(generator().bit_generator.state))
    try:
        with no_grad(), drawn, Scope(probing, visits), Scope(only_values, True):
            result = cell(params, first, before)
    except Exception as error:
        raise Irregular from error  # the scan itself says what is wrong
    if not isinstance(result, tuple) or len(result) != 2:
        raise Irregular  # and an error soon
    likes = [Like(x.shape, x.dtype, x.backend) for x in visits.values]
    if len({*visits.names}) < len(visits.names):
        raise Irregular
    n = parts_of(xs)[0].shape[1]
    if any(like.shape[:1] != (n,) for like in likes):
        raise Irregular
    y = result[0]
    return Names(visits.names, likes, without_tensors(y), len(parts_of(y)))


class Instrument:
    """What a cell names at each step, and what is asked about it.

    `like` is the compiler's call of the plain cell, if what the cell names was known from that.

    Raises `Irregular` if it names something twice in a step, or something that has no row per
    sequence, or contains a scan.
    """

    def __init__(
        self,
        asks: Probing,
        cell: Callable[..., Any],
        params: Any,
        xs: Any,
        state: Any,
        known: Any = None,
    ) -> None:
        inputs = parts_of(xs)
        self.T = inputs[0].shape[0]
        if not self.T:
            raise Irregular
        self._asks, self._at, self._place = asks, here(), place.get()
        self._xs, self._inputs = without_tensors(xs), len(inputs)
        found: Names | None = None if known is None else known.get(self._place)
        self.like = None if found is None else known.like
        self._known = known if found is None else None  # then it isn't remembered yet
        self._found = found = found or find_names(cell, params, xs, state)
        self.names = found.names
        self._given = [[o.of(full) for o in asks.overrides] for full in self.names]
        self._added: list[list[tuple[Any, Tensor]]] = []

    def remember(self) -> None:
        """A plan has served this call, so what the cell names is known for the next one."""
        if self._known is not None:
            self._known.put(self._place, self._found)

    @property
    def key(self) -> Any:
        """What a plan of the instrumented cell depends on, besides the cell and its inputs."""
        way = [tuple(map(_kind, given)) for given in self._given]
        return tuple(self.names), tuple(way), tuple(map(len, self._added)), self._found.outputs

    @property
    def why_composed(self) -> str:
        """Why no kernel can run it, or nothing."""
        if any(is_function(given) for row in self._given for given in row):
            return "a function replaces one of its values"
        return ""

    def extended(self, xs: Any) -> tuple[Tensor, ...]:
        """The cell's inputs (T, N, ...), then what replaces values, and what is added to them."""
        more: list[Tensor] = []
        self._added = []
        zeros: dict[Like, Any] = {}
        for full, like, row in zip(self.names, self._found.likes, self._given, strict=True):
            shape = (self.T, *like.shape)
            for given in row:
                if given is not None and not is_function(given):
                    more.append(replacement(full, given, like, shape))
            added = []
            for recording in self._asks.recordings:
                if recording.wants_gradient(like.dtype):
                    if like not in zeros:
                        zeros[like] = _zeros(shape, like)
                    zero = Tensor(zeros[like], like.backend)
                    zero._node = zero._as_leaf()
                    added.append((recording, zero))
                    more.append(zero)
            self._added.append(added)
        return (*parts_of(xs), *more)

    def around(self, cell: Callable[..., Any]) -> Callable[..., Any]:
        """The instrumented cell: of the inputs of `extended`, its outputs are more, too."""

        @functools.wraps(cell, updated=())
        def instrumented(params: Any, x: Any, state: Any) -> Any:
            more = iter(x[self._inputs :])

            def replace(i: int, full: str, value: Tensor) -> Tensor:
                if i >= len(self.names) or full != self.names[i]:
                    raise Irregular
                for override, given in zip(self._asks.overrides, self._given[i], strict=True):
                    if is_function(given):
                        value = override.instead(full, value)
                    elif given is not None:
                        value = next(more)
                for _ in self._added[i]:
                    value = _tapped(value, next(more))
                return value

            visits = Visits(replace)
            with Scope(probing, visits), Scope(place, self._place):
                result = cell(params, rebuild(self._xs, x[: self._inputs]), state)
            if not isinstance(result, tuple) or len(result) != 2:
                return result  # an error soon
            if len(visits.names) < len(self.names):
                raise Irregular
            y, new = result
            recorded = visits.values if self._asks.recordings else []
            return (*parts_of(y), *(value.detach() for value in recorded)), new

        return instrumented

    def taken(self, ys: Sequence[Tensor], **scan: Any) -> Any:
        """The cell's own outputs; what it named is kept."""
        for recording in self._asks.recordings:
            for full, values in zip(self.names, ys[self._found.outputs :], strict=True):
                recording.keep_scan(full, values, self._at, **scan)
        for full, added in zip(self.names, self._added, strict=True):
            for recording, zero in added:
                recording.keep_gradient(full, zero, self._at, **scan)
        return rebuild(self._found.y, ys[: self._found.outputs])


def _zeros(shape: tuple[int, ...], like: Like) -> Any:
    """An array of zeros that take no memory, as no cell reads them."""
    return like.backend.broadcast_to(like.backend.zeros((), like.dtype), shape)


def _tapped(value: Tensor, zero: Tensor) -> Tensor:
    """The value, whose gradient is that of `zero`, too, as if zero had been added to it."""
    if not grad_enabled.get():
        return value
    array, backend = value._data, value.backend
    node = Node(_TAP, (value._node, zero._node), (), array.shape, array.dtype, backend)
    if on_call:
        on_call.tell(_TAP, node, (array, zero._data), array, backend, ())
    return Tensor(array, backend, node)


def _give_to_both(node: Node, saved: Any, g: Any, sweep: Any) -> None:
    for edge in node.edges:
        sweep.give(edge, g)


_TAP = HandmadeOp("tap", _give_to_both)


def _kind(given: Any) -> Any:
    return None if given is None else is_function(given)
