"""Fused functions: which arguments share a kernel, and their place in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ..checkpoint import check_outside, replay
from ..engine.graph import Node, Output, Outside, PlainOp, grad_enabled, on_call, only_values, tick
from ..engine.tensor import Tensor, wrap
from ..errors import Untraceable
from ..fusion import PLAIN, FusedFunction, why_composed
from ..nested import rebuild
from .cache_key import identity
from .leading_axes import Shape, leading_axes, shared_shape, treats_alike
from .lookup import code_of
from .program import Program
from .purity import Read, Refusals, remember
from .row_plan import RowCall, RowPlan, even_rows
from .scalars import may_change
from .structure import Structure, of_kind, why_not_plain
from .trace import trace

# Rows of so many numbers are left as they are; others are cut anew, where that can be.
_NARROW, _WIDE = 128, 4096
_plans: dict[Any, RowPlan] = {}  # by the widths of the inputs
_calls: dict[Any, RowCall | str] = {}  # by their shapes
_pinned: dict[Any, tuple[int, ...]] = {}  # which numbers are constants, as they are looked at
_refusals = Refusals()


class Arguments:
    """What a function is called with: its tensors, its numbers, and all the rest.

    `numbers` are the floats of which a kernel may take any value; `facts` is equal for arguments
    that differ in their tensors and numbers alone.
    """

    def __init__(self, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
        values = (*args, *settings.values())
        self._names, self._count = tuple(settings), len(args)
        self.tensors: list[Tensor] = []
        self.numbers: list[float] = []
        self._objects: Structure | None = None  # if some are within containers or objects
        self.facts: Any = (self._count, self._names)
        rest: list[Any] = []
        for x in values:
            if isinstance(x, Tensor):
                self.tensors.append(x)
                rest.append(x.__class__)
            elif may_change(x):
                self.numbers.append(x)
                rest.append(float)
            elif x.__class__ in PLAIN:
                rest.append((x.__class__, repr(x)))  # 0.0 and -0.0 differ
            else:
                self._open(values)
                return
        self._values: Any = [None if isinstance(x, Tensor) else x for x in values]
        self._places = [i for i, x in enumerate(values) if isinstance(x, Tensor)]
        self._kinds = [rest[i] for i in self._places]
        self._number_places = [i for i, x in enumerate(rest) if x is float]
        self.facts = (*self.facts, *rest)

    def _open(self, values: tuple[Any, ...]) -> None:
        """Some tensors are within containers or objects."""
        self._objects = self._values = Structure(values)
        self._places = self._number_places = []
        self._kinds = self._values.kinds
        self.tensors, self.numbers = self._values.tensors, self._values.numbers
        self.facts = (*self.facts, self._values.signature)

    def outside(self, function: Callable[..., Any], args: Any, settings: dict[str, Any]) -> Any:
        """All that a function called so reads besides numbers in tensors."""
        objects = self._objects
        if objects is None:
            return identity(function), self.facts
        known, names = dict(enumerate(args)), getattr(code_of(function), "co_varnames", ())
        for name, value in settings.items():
            known[names.index(name) if name in names else len(names) + len(known)] = value
        known = {i: x for i, x in known.items() if id(x) in objects.opened}
        return identity(function, known, objects.opened, objects.has_classes), self.facts

    def release(self) -> None:
        """Let the tensors go; what is not a tensor stays."""
        self.tensors.clear()
        if self._objects is not None:
            self._objects.opened.clear()

    def names(self, function: Callable[..., Any]) -> list[str]:
        """What each tensor is called: the parameter that it was given to, or its number."""
        if isinstance(self._values, Structure):
            return [f"number {i}" for i in range(len(self._values.tensors))]
        code: Any = getattr(function, "__code__", None)
        known = code.co_varnames[: code.co_argcount] if code is not None else ()
        places = enumerate([*known[: self._count], *self._names])
        by_place = dict(places) if len(known) >= self._count else {}
        return [by_place.get(place, f"number {place}") for place in self._places]

    def rebuilt(
        self, tensors: Iterable[Any], numbers: Sequence[Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with these in place of the tensors, and maybe of the numbers."""
        given = [of_kind(kind, t) for kind, t in zip(self._kinds, tensors, strict=True)]
        if isinstance(self._values, Structure):
            values = list(self._values.rebuild(given, numbers))
        else:
            values = list(self._values)
            for place, t in zip(self._places, given, strict=True):
                values[place] = t
            if numbers is not None:
                for place, x in zip(self._number_places, numbers, strict=True):
                    values[place] = x
        count = self._count
        return tuple(values[:count]), dict(zip(self._names, values[count:], strict=True))

    def check(self) -> None:
        """Refuse if what was rebuilt was written to."""
        if self._objects is not None:
            self._objects.check()


def fused_call(function: FusedFunction, args: Any, settings: Any, backend: Any) -> Any:
    """The results by a kernel, or the reason why there is none."""
    if reason := why_composed():
        return reason
    given = Arguments(args, settings)
    tensors = given.tensors
    tracks, described = grad_enabled.get(), []
    for t in tensors:
        if t.backend is not backend:
            return "its tensors are on several backends"
        described.append((t._data.shape, t._data.dtype, tracks and t._node is not None))
    facts = tuple(described)
    if reason := why_not_plain(tensors):
        return reason

    try:
        key = given.outside(function.function, args, settings), backend
    except Untraceable as unknown:
        return str(unknown)  # as it is now: what it reads may be another thing at the next call
    numbers = given.numbers
    pinned = _pinned.get(key, ()) if numbers else ()
    call = _calls.get((key, facts, *[repr(numbers[i]) for i in pinned]))
    if call is None:

        def outside() -> Any:
            return Arguments(args, settings).outside(function.function, args, settings)

        call = _planned(function, given, facts, backend, key, outside)
    if call.__class__ is str:
        return call
    assert isinstance(call, RowCall)
    arrays = [t._data for t in tensors]
    scalars = call.plan.program.scalars(numbers)
    ys, saved = call.forward(arrays, scalars)
    node = None
    if tracks and any(call.plan.differentiable):
        node = _node(function, call, given, ys, saved, scalars, backend)
        given.release()  # the node has their arrays, as long as they are needed
    program = call.plan.program
    if isinstance(program.ys_like, Tensor):
        outs = [Tensor(ys[0], backend, node)]
    else:
        flags = call.plan.differentiable
        outs = [
            Tensor(y, backend, Output(node, i, y) if node is not None and flag else None)
            for i, (y, flag) in enumerate(zip(ys, flags, strict=True))
        ]
    if on_call:
        besides = Outside((call.reads, repr(numbers)))
        on_call.tell(_op(function), node, (*arrays, besides), ys, backend, ())
    return outs if isinstance(program.ys_like, list) else rebuild(program.ys_like, outs)


def _op(function: FusedFunction) -> PlainOp:
    """What the graph calls the function."""
    if function.op is None:
        function.op = PlainOp(function.name, _backward, _input_names)
    return function.op


def _input_names(node: Node) -> tuple[int, list[str]]:
    """The inputs, which are the first of what a node has saved, by their parameters' names."""
    function, _, given, *_ = node.settings
    return 0, given.names(function)


def _node(
    function: FusedFunction,
    call: RowCall,
    given: Arguments,
    ys: Sequence[Any],
    saved: Sequence[Any],
    scalars: Sequence[Any],
    backend: Any,
) -> Node:
    """The call's place in the graph."""
    node = Node()
    node.op, node.birth, node.backend, node.hooks = _op(function), tick(), backend, None
    node.edges = tuple(t._node for t in given.tensors)
    single = isinstance(call.plan.program.ys_like, Tensor)
    node.shape = ys[0].shape if single else [y.shape for y in ys]
    node.dtype = next(y.dtype for y in ys if y.dtype.kind == "f")
    node.saved = (*(t._data for t in given.tensors), *saved)
    node.settings = (function.function, call, given, scalars, single)
    return node


def _backward(node: Node, saved: Any, g: Any, work: Any) -> None:
    function, call, given, scalars, single = node.settings
    count = len(node.edges)
    gs = [g] if single else g
    if work.builds_graph:
        pairs = zip(saved[:count], node.edges, strict=True)
        inputs = [wrap(array, node.backend, source) for array, source in pairs]

        def again() -> Any:
            args, settings = given.rebuilt(inputs)
            now = Arguments(args, settings).outside(function, args, settings)
            check_outside(node.op.name, call.reads, now)
            token = only_values.set(True)
            try:
                return function(*args, **settings)
            finally:
                only_values.reset(token)

        replay(again, gs, node, work)
        return
    for i, part in call.backward(saved[:count], saved[count:], gs, scalars).items():
        edge = node.edges[i]
        assert edge is not None
        if edge not in work.grads:
            continue
        if part.shape != edge.shape:
            part = part.reshape(edge.shape)
        if work.grads[edge] is None:
            work.grads[edge] = part
        else:
            work.add(edge, part)


# --- plans ---------------------------------------------------------------------------------


def _planned(
    function: FusedFunction,
    given: Arguments,
    facts: tuple[Any, ...],
    backend: Any,
    key: Any,
    outside: Read,
) -> RowCall | str:
    """How to run the function on such arguments, made now; or why there is no way."""

    def make() -> RowCall:
        call = _made(function, given, facts, key, backend, outside)
        call.reads = outside()  # it may have made something that it needed
        return call

    def keep(made: RowCall | str) -> None:
        at = (made.reads, backend) if isinstance(made, RowCall) else key
        numbers = [repr(given.numbers[i]) for i in _pinned.get(at, ())]
        remember(_calls, (at, facts, *numbers), made)

    return _refusals.plan((code_of(function), facts, backend), function.name, make, keep)


def _made(
    function: FusedFunction,
    given: Arguments,
    facts: tuple[Any, ...],
    key: Any,
    backend: Any,
    outside: Read,
) -> RowCall:
    shapes = [shape for shape, _, _ in facts]
    lead, flags = leading_axes(shapes)
    order = sorted(range(len(shapes)), key=flags.__getitem__)  # shared ones first
    cell = _Cell(function.function, given, order)
    wanted = [facts[i][2] for i in order]
    widths = tuple(
        (flag, shape[-1] if flag else shape, *rest)
        for flag, (shape, *rest) in zip(flags, facts, strict=True)
    )
    pinned = _pinned.get(key, ())
    plan = _plans.get((key, len(lead), widths, *[repr(given.numbers[i]) for i in pinned]))
    if plan is None or not treats_alike(cell, plan.program, lead, [shapes[i] for i in order]):
        plan = RowPlan(_traced(cell, given, outside, flags, lead, pinned), wanted, backend)
        if not treats_alike(cell, plan.program, lead, [shapes[i] for i in order]):
            raise Untraceable("it does not treat its leading axes as rows, all alike")
        pinned = tuple(sorted(plan.program.pinned))
        if pinned:
            remember(_pinned, key, pinned)
        values = [repr(given.numbers[i]) for i in pinned]
        remember(_plans, (key, len(lead), widths, *values), plan)
    whole = next(shape for shape, flag in zip(shapes, flags, strict=True) if flag)
    width = even_rows(math.prod(whole))
    if width is None or _NARROW <= whole[-1] <= _WIDE or not plan.is_elementwise:
        return RowCall(plan, order, lead)
    rows = (math.prod(whole) // width, width)
    program = _traced(cell, given, outside, flags, rows[:1], plan.program.pinned, width)
    plan = RowPlan(program, wanted, backend)
    return RowCall(plan, order, rows[:1], whole)


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
        args, settings = self._given.rebuilt([t for _, t in tensors], numbers)
        result = self._function(*args, **settings)
        self._given.check()
        return result, ()


def _traced(
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
