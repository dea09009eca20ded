"""Instrumented cells: what a cell names is among its outputs, what replaces it among its inputs.

A scan of such a cell is a scan like any other, so kernels run it, and a backward pass goes
through it. What a cell names is found by calling it once, on the first step; or it is known from an
earlier call that the same plan has served.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..engine.graph import Node, no_grad, only_values, probing
from ..engine.rng import generator, generator_again, generator_at
from ..engine.tensor import Tensor
from ..engine.wrapping import alias
from ..nested import parts_of, rebuild, without_tensors
from ..utils.scope import Scope
from .override import is_function, replacement
from .probes import Probing, here, place
from .taps import collector, tapped, unread_zeros

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
        self._taps: list[list[tuple[Any, Tensor]]] = []

    def remember(self) -> None:
        """A plan has served this call, so what the cell names is known for the next one.

        The plain call is let go: it holds the inputs, and the graph this object.
        """
        if self._known is not None:
            self._known.put(self._place, self._found)
        self._known = self.like = None

    @property
    def key(self) -> Any:
        """What a plan of the instrumented cell depends on, besides the cell and its inputs."""
        way = [tuple(map(_kind, given)) for given in self._given]
        return tuple(self.names), tuple(way), tuple(map(len, self._taps)), self._found.outputs

    @property
    def why_composed(self) -> str:
        """Why no kernel can run it, or nothing."""
        if any(is_function(given) for row in self._given for given in row):
            return "a function replaces one of its values"
        return ""

    def extended(self, xs: Any) -> tuple[Tensor, ...]:
        """The cell's inputs (T, N, ...), then what replaces values, then zeros that tap them."""
        replacements: list[Tensor] = []
        taps: list[Tensor] = []
        self._taps = []
        zeros: dict[Like, Any] = {}
        for full, like, row in zip(self.names, self._found.likes, self._given, strict=True):
            shape = (self.T, *like.shape)
            for given in row:
                if given is not None and not is_function(given):
                    replacements.append(replacement(full, given, like, shape))
            tapping = []
            for recording in self._asks.recordings:
                if recording.wants_gradient(like.dtype):
                    if like not in zeros:
                        zeros[like] = unread_zeros(shape, like.dtype, like.backend)
                    zero = Tensor(zeros[like], like.backend)
                    zero._node = zero._as_leaf()
                    tapping.append((recording, zero))
                    taps.append(zero)
            self._taps.append(tapping)
        inputs = (*parts_of(xs), *replacements)
        self._first_tap = len(inputs)
        return (*inputs, *taps)

    def around(
        self, cell: Callable[..., Any], taps: Sequence[Node] | None = None
    ) -> Callable[..., Any]:
        """The instrumented cell: of the inputs of `extended`, its outputs are more, too.

        With `taps` the gradients go to these nodes in place of the zeros, which aren't among the
        inputs then.
        """
        overrides, names, given = self._asks.overrides, self.names, self._given
        counts = list(map(len, self._taps))
        records = bool(self._asks.recordings)

        @functools.wraps(cell, updated=())
        def instrumented(params: Any, x: Any, state: Any) -> Any:
            more = iter(x[self._inputs : self._first_tap])
            tap: Iterator[Any] = iter(x[self._first_tap :] if taps is None else taps)

            def replace(i: int, full: str, value: Tensor) -> Tensor:
                if i >= len(names) or full != names[i]:
                    raise Irregular
                if overrides:
                    for override, instead in zip(overrides, given[i], strict=True):
                        if is_function(instead):
                            value = override.instead(full, value)
                        elif instead is not None:
                            value = next(more)
                for _ in range(counts[i]):
                    value = tapped(value, next(tap))
                return value

            visits = Visits(replace)
            with Scope(probing, visits), Scope(place, self._place):
                result = cell(params, rebuild(self._xs, x[: self._inputs]), state)
            if not isinstance(result, tuple) or len(result) != 2:
                return result  # an error soon
            if len(visits.names) < len(names):
                raise Irregular
            y, new = result
            recorded = visits.values if records else []
            return (*parts_of(y), *(Tensor(v._data, v.backend) for v in recorded)), new

        return instrumented

    def step_by_step(
        self, cell: Callable[..., Any], xs: Any, masked: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Any]:
        """The instrumented cell and its inputs (T, N, ...) for a scan that runs op by op.

        The zeros, `masked` as the inputs are in that scan, are no inputs: a node collects the
        gradients of all steps.
        """
        taps = [collector(masked(zero)) for zero in xs[self._first_tap :]]
        return self.around(cell, taps), xs[: self._first_tap]

    def taken(self, ys: Sequence[Tensor], **scan: Any) -> Any:
        """The cell's own outputs; what it named is kept."""
        for recording in self._asks.recordings:
            for full, values in zip(self.names, ys[self._found.outputs :], strict=True):
                recording.keep_scan(full, values, self._at, **scan)
        for full, tapping in zip(self.names, self._taps, strict=True):
            for recording, zero in tapping:
                recording.keep_gradient(full, zero, self._at, **scan)
        return rebuild(self._found.y, ys[: self._found.outputs])


def _kind(given: Any) -> Any:
    return None if given is None else is_function(given)
