"""Calls of fused functions: which of their arguments are rows, and the plan that serves them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..engine.graph import HandmadeOp, Node, grad_enabled, only_values
from ..engine.tensor import Tensor
from ..engine.wrapping import wrap
from ..errors import FusionError, Untraceable
from ..fusion import FusedFunction
from ..nested import rebuild
from .arguments import Arguments
from .determinism import Read
from .fused_call import FusedCall, backward
from .leading_axes import Shape, leading_axes, shared_shape, treats_alike
from .parameter_tree import why_not_plain
from .plan_cache import PlanCache
from .program import Program
from .row_plan import RowCall, RowPlan, even_rows
from .trace import trace

# Rows of so many numbers are left as they are; others are cut anew, where that can be.
_NARROW, _WIDE = 128, 4096

row_plans = PlanCache()  # by the widths of the inputs


class FunctionCall(FusedCall):
    """A call of a fused function; its plans are `RowCall`s, by the shapes of the inputs."""

    plans = PlanCache()

    def __init__(
        self, fused: FusedFunction, args: tuple[Any, ...], settings: dict[str, Any], backend: Any
    ) -> None:
        self._fused, self._args, self._settings = fused, args, settings
        self.function, self.backend = fused.function, backend
        self.name = self.title = fused.name
        self.given = given = Arguments(args, settings)
        self.take(given.tensors)
        self.numbers = given.numbers

    @property
    def op(self) -> HandmadeOp:
        """One per function, under its name."""
        op = self._fused.op
        if op is None:
            op = self._fused.op = HandmadeOp(self.name, backward, _input_names, _inside)
        return op

    @property
    def facts(self) -> Any:
        """Shape and dtype of each tensor, and whether its gradient is wanted; and the backend."""
        tracks, edges = grad_enabled.get(), self.edges
        described = [
            (x.shape, x.dtype, tracks and edges[i] is not None) for i, x in enumerate(self.arrays)
        ]
        return tuple(described), self.backend

    def outside(self, again: bool = False) -> Any:
        """All that the function reads from outside."""
        given = Arguments(self._args, self._settings) if again else self.given
        return given.outside(self.function, self._args, self._settings)

    def why_not(self) -> str:
        """A reason not to run it by kernels, or nothing."""
        for t in self.tensors:
            if t.backend is not self.backend:
                return "its tensors are on several backends"
        return why_not_plain(self.tensors)

    def run(
        self, plan: Any, arrays: list[Any], numbers: list[Any], saves: bool
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Its results, and what its gradients read besides the inputs."""
        ran: tuple[list[Any], list[Any]] = plan.forward(arrays, numbers)
        return ran

    def gradients(
        self,
        plan: Any,
        arrays: Sequence[Any],
        saved: Sequence[Any],
        numbers: list[Any],
        gs: Sequence[Any],
        wanted: tuple[bool, ...],
    ) -> list[Any]:
        """Those of its inputs for which the plan is made."""
        grads = plan.backward(arrays, saved, numbers, gs)
        return [
            g if g is None or g.shape == x.shape else g.reshape(x.shape)
            for g, x in zip(grads, arrays, strict=True)
        ]

    def results(self, plan: Any, tensors: list[Tensor]) -> Any:
        """A tensor, or as many as the function returns."""
        like = plan.program.ys_like
        if isinstance(like, Tensor):
            return tensors[0]
        return tensors if isinstance(like, list) else rebuild(like, tensors)

    def with_inputs(self, tensors: Sequence[Tensor]) -> FunctionCall:
        """The call of other tensors."""
        args, settings = self.given.rebuild(tensors)
        return FunctionCall(self._fused, args, settings, self.backend)

    def source(self) -> str:
        """The kernels that run it, and what is around them."""
        plan = self.why_not() or self.plans.plan_for(self)
        if isinstance(plan, str):
            raise FusionError(f"{self.name} on backend {self.backend.name!r} has no kernel: {plan}")
        text: str = plan.plan.source
        return text

    def compose(self) -> Any:
        """What the function gives, op by op."""
        token = only_values.set(True)
        try:
            return self.function(*self._args, **self._settings)
        finally:
            only_values.reset(token)

    def release(self) -> None:
        """Let the inputs go; all else stays."""
        self.tensors, self.arrays, self.edges = [], [], ()
        self._args, self._settings = (), {}
        self.given.release()

    # --- plans -----------------------------------------------------------------------------

    def build(self, pinned: Sequence[int]) -> RowCall:
        """A plan for inputs of these shapes, by a plan for rows of these widths."""
        facts, _ = self.facts
        shapes = [shape for shape, _, _ in facts]
        lead, flags = leading_axes(shapes)
        order = sorted(range(len(shapes)), key=flags.__getitem__)  # shared ones first
        cell = _Cell(self.function, self.given, order)
        wanted = [facts[i][2] for i in order]
        widths = tuple(
            (flag, shape[-1] if flag else shape, *rest)
            for flag, (shape, *rest) in zip(flags, facts, strict=True)
        )
        key = self.outside(), self.backend, len(lead), widths
        plan = row_plans.get(key, self.numbers)

        def outside() -> Any:
            return self.outside(again=True)

        if plan is None or not treats_alike(cell, plan.program, lead, [shapes[i] for i in order]):
            program = _trace_rows(cell, self.given, outside, flags, lead, row_plans.pinned(key))
            plan = RowPlan(program, wanted, self.backend, order)
            if not treats_alike(cell, program, lead, [shapes[i] for i in order]):
                raise Untraceable("it does not treat its leading axes as rows, all alike")
            row_plans.put(key, plan, self.numbers, sorted(program.pinned))
        whole = next(shape for shape, flag in zip(shapes, flags, strict=True) if flag)
        width = even_rows(math.prod(whole))
        if width is None or _NARROW <= whole[-1] <= _WIDE or not plan.is_elementwise:
            return RowCall(plan, lead, math.prod(lead))
        rows = (math.prod(whole) // width, width)
        program = _trace_rows(
            cell, self.given, outside, flags, rows[:1], plan.program.pinned, width
        )
        plan = RowPlan(program, wanted, self.backend, order, is_cut=True)
        return RowCall(plan, whole, rows[0])


def _input_names(node: Node) -> tuple[int, list[str]]:
    """The inputs, which are the first of what a node has saved, by their parameters' names."""
    call, *_ = node.settings
    return 0, call.given.names(call.function)


def _inside(node: Node) -> tuple[str, Any]:
    """What the node stands for, and its program."""
    call, plan, _ = node.settings
    return call.title, plan.program


class _Cell:
    """The function as a cell of a scan that carries nothing."""

    def __init__(self, function: Callable[..., Any], given: Arguments, order: list[int]) -> None:
        self.__name__ = function.__name__
        self._function, self._given, self._order = function, given, order

    def __call__(self, params: Any, rows: Any, state: Any) -> tuple[Any, Any]:
        shared, numbers = params
        tensors = sorted(zip(self._order, (*shared, *rows), strict=True), key=lambda pair: pair[0])
        for _, t in tensors:
            if hasattr(t, "grad"):
                del t.grad  # it may be another thing at each call
        args, settings = self._given.rebuild([t for _, t in tensors], numbers)
        result = self._function(*args, **settings)
        self._given.check()
        return result, ()


def _trace_rows(
    cell: _Cell,
    given: Arguments,
    outside: Read,
    flags: Sequence[bool],
    lead: Shape,
    pinned: Collection[int],
    width: int | None = None,
) -> Program:
    """The program of rows, of their own width or of another."""
    shared: list[Tensor] = []
    rows: list[Tensor] = []
    for t, flag in zip(given.tensors, flags, strict=True):
        shape = (math.prod(lead), width or t.shape[-1]) if flag else shared_shape(t.shape)
        (rows if flag else shared).append(wrap(t._data.reshape(shape), t.backend))
    return trace(cell, (tuple(shared), given.numbers), tuple(rows), (), outside, pinned)
