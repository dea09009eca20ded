"""Instrumented cells: what a cell names is among its outputs, what replaces it among its inputs.

A scan of such a cell is a scan like any other, so kernels run it, and a backward pass goes
through it. What a cell names is found by calling it once, on the first step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..engine.filled import zeros
from ..engine.graph import no_grad, only_values, probing
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
    **scan: Any,
) -> tuple[Any, Any]:
    """What `run(cell, xs, instrument)` gives, a scan, whose values are recorded or replaced.

    `scan` has `valid` and `reverse` of the scan, see `Steps`.
    """
    asks: Probing | Visits = probing.get()
    if isinstance(asks, Visits):
        raise Irregular  # a scan within a cell: its values have no row per sequence
    if asks.each_step:
        return run(cell, xs, None)
    try:
        instrument = Instrument(asks, cell, params, xs, state)
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


class Instrument:
    """What a cell names at each step, and what is asked about it.

    Raises `Irregular` if it names something twice in a step, or something that has no row per
    sequence, or contains a scan.
    """

    def __init__(
        self, asks: Probing, cell: Callable[..., Any], params: Any, xs: Any, state: Any
    ) -> None:
        inputs = parts_of(xs)
        self.T, n = inputs[0].shape[:2]
        if not self.T:
            raise Irregular
        self._asks, self._at, self._place = asks, here(), place.get()
        self._xs, self._inputs = without_tensors(xs), len(inputs)
        first = rebuild(xs, [alias(x.detach()[0]) for x in inputs])
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
        self._y = without_tensors(result[0])
        self._outputs = len(parts_of(result[0]))
        self.names, self._like = visits.names, [value.detach() for value in visits.values]
        if len({*self.names}) < len(self.names):
            raise Irregular
        if any(x.shape[:1] != (n,) for x in self._like):
            raise Irregular
        self._given = [[o.of(full) for o in asks.overrides] for full in self.names]
        self._added: list[list[tuple[Any, Tensor]]] = []

    @property
    def key(self) -> Any:
        """What a plan of the instrumented cell depends on, besides the cell and its inputs."""
        way = [tuple(map(_kind, given)) for given in self._given]
        return tuple(self.names), tuple(way), tuple(map(len, self._added)), self._outputs

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
        for full, like, row in zip(self.names, self._like, self._given, strict=True):
            shape = (self.T, *like.shape)
            for given in row:
                if given is not None and not is_function(given):
                    more.append(replacement(full, given, like, shape))
            added = [
                (recording, zeros(shape, like.dtype, True, backend=like.backend))
                for recording in self._asks.recordings
                if recording.wants_gradient(like.dtype)
            ]
            more += [zero for _, zero in added]
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
                    value = value + next(more)
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
            for full, values in zip(self.names, ys[self._outputs :], strict=True):
                recording.keep_scan(full, values, self._at, **scan)
        for full, added in zip(self.names, self._added, strict=True):
            for recording, zero in added:
                recording.keep_gradient(full, zero, self._at, **scan)
        return rebuild(self._y, ys[: self._outputs])


def _kind(given: Any) -> Any:
    return None if given is None else is_function(given)
