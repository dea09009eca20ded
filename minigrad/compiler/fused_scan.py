"""Scans by kernels: what a call is given, and the plan that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar

from ..engine.graph import HandmadeOp, Node
from ..engine.tensor import Tensor
from ..engine.wrapping import wrap
from ..errors import Untraceable
from ..nested import layout_of, name_of, parts_of, rebuild, without_tensors
from ..ops import reshape, where
from ..precision import products
from .fused_call import FusedCall, backward
from .parameter_tree import ParameterTree, of_kind, read_outside, why_not_plain
from .plan_cache import PlanCache
from .scan_plan import ScanPlan

_backend, _shape, _dtype = attrgetter("backend"), attrgetter("shape"), attrgetter("dtype")

# Values that kernels compute in a step, forwards and backwards: with fewer, a single step is
# composed. Calling a kernel costs more than some ops.
MIN_WORK_OF_A_STEP = 12

_CHUNK = 4096  # steps that a scan without gradients takes at a time, to bound its memory


def _input_names(node: Node) -> tuple[int, list[str]]:
    """The inputs, which are the first of what a node has saved, by their names in the program."""
    _, plan, _ = node.settings
    return 0, [value.name for value in plan.inputs]


def _inside(node: Node) -> tuple[str, Any]:
    """What the node stands for, and the program of one step."""
    call, plan, _ = node.settings
    return f"scan of {call.name}", plan.program


_SCAN = HandmadeOp("scan", backward, _input_names, _inside)


@dataclass(eq=False)
class ScanCall(FusedCall):
    """A call of `scan`.

    A scan of one step has a plan of its own, in which no state is carried.

    Parameters
    ----------
    cell, params, xs, state, reverse : as `scan` is given them.
    valid : (T, N), which steps count; None if all do.
    composition : the definition, a function of params, xs and state.
    instrument : what makes another cell of it, so that values that it names are recorded or
        replaced (see recording/instrument.py); `xs` has that cell's inputs then.
    like : the call without an instrument, if nothing has changed since it was made.
    """

    plans = PlanCache()
    op = _SCAN
    has_time: ClassVar[bool] = True  # whether xs and ys have an axis of steps

    cell: Callable[..., Any]
    params: Any
    xs: Any
    state: Any
    valid: Tensor | None
    reverse: bool
    composition: Callable[..., tuple[Any, Any]]
    backend: Any
    instrument: Any = None
    like: ScanCall | None = None
    tree: ParameterTree = field(init=False, repr=False)  # of the parameters

    def __post_init__(self) -> None:
        self.function, self.name = self.cell, name_of(self.cell)
        self.title = f"a scan of {self.name}"
        self.tree = p = ParameterTree(self.params) if self.like is None else self.like.tree
        steps = parts_of(self.xs)
        self.T, self.N = steps[0].shape[:2] if self.has_time else (1, *steps[0].shape[:1])
        if self.valid is not None:
            steps = (*steps, self.valid)
        self.take([*p.tensors, *steps, *parts_of(self.state)])
        self.numbers = p.numbers
        self._first = len(p.tensors)  # of the tensors that have a row per step
        self._end = self._first + len(steps)

    @property
    def facts(self) -> Any:
        """Shapes and dtypes for any number of steps, which gradients are wanted, the backend.

        And how exact products are, which says whether they are in the loop.
        """
        arrays, first, end = self.arrays, self._first, self._end
        shapes = list(map(_shape, arrays))
        for i in range(first, end) if self.has_time else ():
            shapes[i] = shapes[i][1:]
        kinds = type(self.xs), end - first, type(self.state)
        wanted = tuple([edge is not None for edge in self.edges])
        named = None if self.instrument is None else self.instrument.key
        one = self.T == 1
        return kinds, one, *shapes, *map(_dtype, arrays), wanted, self.backend, named, products()

    def outside(self, again: bool = False) -> Any:
        """All that the cell reads from outside."""
        if self.like is not None and not again:
            return self.like.found_outside
        p = None if again else self.tree
        return read_outside(self.cell, self.params, self.xs, self.state, p)

    @cached_property
    def found_outside(self) -> Any:
        """What `outside()` gave when it was first asked."""
        return self.outside()

    def why_not(self) -> str:
        """A reason not to run it by kernels, or nothing."""
        if self.instrument is not None and (reason := self.instrument.why_composed):
            return reason
        if set(map(_backend, self.tensors)) != {self.backend}:
            return "its tensors are on several backends"
        if reason := why_not_plain(self.tree.tensors):
            return reason
        return "" if self.T and self.N else "there are no steps, or no sequences"

    def build(self, pinned: Sequence[int]) -> ScanPlan:
        """A plan for any number of steps."""
        steps = self.arrays[self._first : self._end]
        steps = [array[0] for array in steps] if self.has_time else steps
        xs: Any = tuple(wrap(array, self.backend) for array in steps)
        cell = self.cell if self.instrument is None else self.instrument.around(self.cell)
        if self.valid is not None:
            cell = _mask_cell(cell, self.xs)
        else:
            xs = rebuild(self.xs, xs)
        wanted = [edge is not None for edge in self.edges]

        def outside() -> Any:
            return self.outside(again=True)

        given = cell, self.params, xs, self.state, self.backend, wanted, outside, pinned
        return ScanPlan(*given, one_step=self.T == 1)

    def run(
        self, plan: Any, arrays: list[Any], numbers: list[Any], saves: bool
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Outputs and final states, and what the gradients read."""
        contiguous, unread = self.backend.contiguous, plan.unread
        arrays = [x if i in unread else contiguous(x) for i, x in enumerate(arrays)]
        if self.T == 1:
            return self._run_one_step(plan.forward(store=saves), arrays, numbers)
        if saves or self.T <= _CHUNK:
            forward = plan.forward(store=saves)
            ys, last, saved = forward(self.T, self.N, self.reverse, *arrays, *numbers)
            return (*ys, *last), saved
        return self._in_chunks(plan.forward(store=False), arrays, numbers), ()

    def _run_one_step(
        self, forward: Callable[..., Any], arrays: list[Any], numbers: list[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """By a plan whose states are laid out as its inputs are."""
        start = self._end if self.has_time else self._first
        steps = [x[None] for x in arrays[start:]]
        found, _, saved = forward(1, self.N, self.reverse, *arrays[:start], *steps, *numbers)
        kept = self._with_time(len(found), len(arrays))
        return [*found[:kept], *[x[0] for x in found[kept:]]], saved

    def _with_time(self, results: int, inputs: int) -> int:
        """How many of the outputs and final states have an axis of steps."""
        return results - (inputs - self._end) if self.has_time else 0

    def _in_chunks(
        self, forward: Callable[..., Any], arrays: list[Any], numbers: list[Any]
    ) -> list[Any]:
        """Without gradients, some thousand steps at a time."""
        first, end = self._first, self._end
        params, xs, state = arrays[:first], arrays[first:end], arrays[end:]
        ys: list[Any] = []
        starts = range(0, self.T, _CHUNK)
        for start in reversed(starts) if self.reverse else starts:
            steps = [x[start : start + _CHUNK] for x in xs]
            given = *params, *steps, *state, *numbers
            parts, state, _ = forward(len(steps[0]), self.N, self.reverse, *given)
            ys = ys or [self.backend.empty((self.T, *y.shape[1:]), y.dtype) for y in parts]
            for whole, part in zip(ys, parts, strict=True):
                whole[start : start + _CHUNK] = part
        return [*ys, *state]

    def gradients(
        self,
        plan: Any,
        arrays: Sequence[Any],
        saved: Sequence[Any],
        numbers: list[Any],
        gs: Sequence[Any],
        wanted: tuple[bool, ...],
    ) -> tuple[Any, ...]:
        """Those of the inputs, by the loop that runs the other way round."""
        run = plan.backward(wanted)
        if self.T != 1:
            found: tuple[Any, ...] = run(self.T, self.N, not self.reverse, saved, numbers, *gs)
            return found
        start = self._end if self.has_time else self._first
        kept = self._with_time(len(gs), len(arrays))
        steps = [g if g is None else g[None] for g in gs[kept:]]
        found = run(1, self.N, not self.reverse, saved, numbers, *gs[:kept], *steps)
        return *found[:start], *[g if g is None else g[0] for g in found[start:]]

    def results(self, plan: Any, tensors: list[Tensor]) -> tuple[Any, Any]:
        """Outputs and final state."""
        count = len(plan.program.ys)
        return rebuild(plan.program.ys_like, tensors[:count]), rebuild(self.state, tensors[count:])

    def with_inputs(self, tensors: Sequence[Tensor]) -> ScanCall:
        """The call of other tensors."""
        first, end = self._first, self._end
        pairs = zip(self.tree.kinds, tensors[:first], strict=True)
        params = self.tree.rebuild([of_kind(kind, t) for kind, t in pairs])
        steps = tensors[first:end]
        valid = None if self.valid is None else steps[-1]
        xs = rebuild(self.xs, steps if valid is None else steps[:-1])
        state = rebuild(self.state, tensors[end:])
        given = self.cell, params, xs, state, valid
        return type(self)(*given, self.reverse, self.composition, self.backend, self.instrument)

    def compose(self) -> tuple[Any, ...]:
        """Outputs and final states, as a loop of ops."""
        ys, last = self.composition(self.params, self.xs, self.state)
        return (*parts_of(ys), *parts_of(last))

    def release(self) -> None:
        """Let the inputs go; of xs and state their structure stays."""
        self.tensors, self.arrays, self.edges, self.params = [], [], (), None
        self.tree.release()
        self.like = None
        self.xs, self.state = without_tensors(self.xs), without_tensors(self.state)


@dataclass(eq=False)
class StepCall(ScanCall):
    """A call of a cell for one step: x is (N, ...), and so is y.

    With `required`, a kernel runs even if it is no faster.
    """

    has_time = False
    required: bool = False

    @property
    def facts(self) -> Any:
        """As above; and which plans it declines."""
        return "step", self.required, super().facts

    def build(self, pinned: Sequence[int]) -> ScanPlan:
        """A plan with a kernel that is faster than its ops."""
        plan = super().build(pinned)
        if self.backend.is_host and plan.work < MIN_WORK_OF_A_STEP and not self.required:
            raise Untraceable(
                f"too little work besides products (fewer than {MIN_WORK_OF_A_STEP} values) for a "
                "kernel to be faster"
            )
        return plan


def _mask_cell(cell: Any, xs: Any) -> Any:
    """The cell for padded batches: where a step doesn't count it sees zeros and changes nothing."""

    def masked(p: Any, x_and_valid: Any, state: Any) -> Any:
        *x, valid = x_and_valid

        def only(a: Tensor, b: Any) -> Tensor:
            return where(reshape(valid, valid.shape + (1,) * (a.ndim - 1)), a, b)

        def or_zero(a: Tensor) -> Tensor:
            return only(a, False if a.dtype.kind == "b" else 0)

        y, new = cell(p, rebuild(xs, map(or_zero, x)), state)
        if layout_of(new) != layout_of(state):
            raise Untraceable("it returns a state of another structure, shape or dtype")
        kept = map(only, parts_of(new), parts_of(state))
        return rebuild(y, map(or_zero, parts_of(y))), rebuild(new, kept)

    return masked
