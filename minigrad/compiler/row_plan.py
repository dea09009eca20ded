"""A function of rows as a loop of one step: its work laid out, and run by kernels.

The leading axes of the inputs are rows. What the function computes row by row, forwards and
backwards, is a `Loop` of one step that carries nothing, so that the backend's `compile_loop`
serves functions and scans alike. Sums over rows (the gradients of what all rows share) come
after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Untraceable
from .independent_rows import check_op, check_rows
from .ir import ELEMENTWISE, Value
from .leading_axes import Shape
from .program import Program, depends, inputs_of
from .schedule import Loop, Partition, make_loop, partition_backward
from .sizes import Dim
from .source import OpList

# What a kernel can compute of shared inputs in each row.
_SPREAD = ELEMENTWISE | {"arange", "astype", "broadcast_to", "full", "reshape"}

# How many numbers rows have that are cut anew.
_NARROWEST, _WIDEST = 128, 1024


@dataclass
class Layout:
    """A function's program, laid out; `saved` is what the backward pass reads of the forward."""

    invariant: list[Value]  # of the shared inputs alone
    loop: Loop
    saved: list[Value]
    back_invariant: list[Value]
    back: Loop | None
    sums: list[Value]  # sums over rows
    grads: dict[Value, Value]


def lay_out(program: Program, wanted: Collection[Value], few_launches: bool = False) -> Layout:
    """Lay out a program; `wanted` are the inputs whose gradients are asked for.

    What is made of shared inputs alone is computed before the rows; with `few_launches` in the loop
    and so in each row anew, where that is possible.

    The backward pass computes the forward's rows again rather than read them: reading an array
    costs as much as most functions. Numbers of which a row has one are stored.
    """
    forward = program.order(*program.ys)
    if any(value.op == "matmul" for value in forward):
        raise Untraceable("a matrix product belongs outside of it")
    per_row = depends(forward, program.xs)
    for value in forward:
        check_op(value)
        if value in per_row:
            check_rows(value)
        if value in program.params and value.has_rows:
            raise Untraceable("an input of shape (N,) meets the rows; give it the shape (N, 1)")
    part = Partition([v for v in forward if v.op != "input"], per_row)
    grads = {x: g for x, g in program.grads.items() if x in wanted}
    back: Loop | None = None
    back_part, saved = Partition([], set()), list[Value]()
    if grads:
        new, per_row, back_part = partition_backward(program, forward, grads)
        outside = inputs_of(back_part.sunk) | set(grads.values())
        recomputed, saved = _find_recomputed(program, part.loop, inputs_of(new) | outside)
        steps = [v for v in part.loop if v in recomputed] + back_part.loop
        back = make_loop(program, steps, [], [], [v for v in steps if v in outside], per_row)
    stored = [v for v in part.loop if v in program.ys or v in saved]
    loop = make_loop(program, part.loop, [], [], stored, depends(forward, program.xs))
    invariant, back_invariant = part.invariant, back_part.invariant
    layout = Layout(invariant, loop, saved, back_invariant, back, back_part.sunk, grads)
    _spread(layout, few_launches)
    return layout


def _spread(layout: Layout, arithmetic: bool) -> None:
    """Move what is made of shared inputs alone into the loops, as far as they read it.

    Without arithmetic only what would be a copy of the inputs for each row.
    """
    shared = [*layout.invariant, *layout.back_invariant]
    near: set[Value] = set()
    for value in shared:
        ins = (x in near or (x.op == "input" and _is_row(x)) for x in value.inputs)
        simple = value.op in _SPREAD if arithmetic else value.op == "broadcast_to"
        if simple and _is_row(value) and all(ins) and (arithmetic or value.has_rows):
            near.add(value)
    for loop in filter(None, (layout.loop, layout.back)):
        needed = {x for v in loop.body for x in v.inputs} & near
        for value in reversed(shared):
            if value in needed:
                needed.update(value.inputs)
        inner = [v for v in shared if v in needed & near and v.op != "full"]
        read = (x for v in inner for x in v.inputs if x.op == "input")
        loop.invariant = [x for x in dict.fromkeys([*loop.invariant, *read]) if x not in inner]
        loop.body = inner + loop.body
    # What is read elsewhere has to be there in any case.
    needed = {*layout.loop.program.ys, *layout.grads.values()}
    needed |= inputs_of(layout.sums)
    for value in reversed(shared):
        if value in needed or value not in near:
            needed |= {value, *value.inputs}
    layout.invariant = [v for v in layout.invariant if v in needed]
    layout.back_invariant = [v for v in layout.back_invariant if v in needed]


def _is_row(value: Value) -> bool:
    """Whether a value that all rows share has numbers along the last axis alone."""
    return all(n == 1 and not isinstance(n, Dim) for n in value.shape[value.has_rows : -1])


def _find_recomputed(
    program: Program, body: list[Value], read: Collection[Value]
) -> tuple[set[Value], list[Value]]:
    """The forward values that are computed again, and those that are stored instead."""
    computed, recomputed, saved = set(body), set(), []
    stack = [v for v in body if v in read]
    seen = set(stack)
    while stack:
        value = stack.pop()
        if value in program.ys or value.ndim == 1 or value.shape[1] == 1:
            saved.append(value)
            continue
        recomputed.add(value)
        new = {x for x in value.inputs if x in computed} - seen
        seen |= new
        stack += new
    return recomputed, [v for v in body if v in saved]


class RowPlan:
    """A program layout out for given widths and dtypes, with its kernels; any number of rows.

    Its arrays are those of the inputs, shared ones first, then rows (N, F). `wanted` says which
    of them need a gradient. Raises `Untraceable`.
    """

    def __init__(self, program: Program, wanted: Sequence[bool], backend: Any) -> None:
        self.program, self.xp = program, backend
        self.inputs = [*program.params, *program.xs]
        dtypes = sorted({v.dtype.name for v in self.inputs if v.dtype.kind == "f"})
        if len(dtypes) != 1:
            raise Untraceable(f"its tensors are of {' and '.join(dtypes) or 'no float dtype'}")
        if not all(v.dtype.isnative for v in self.inputs):
            raise Untraceable("its numbers are in another machine's byte order")
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        # On a device each op is a launch; on the CPU a row's arithmetic costs more than an op.
        self.layout = layout = lay_out(program, asked, few_launches=not backend.is_host)
        self.differentiable = program.differentiable(asked)
        self.invariant = OpList(layout.invariant, backend)
        self.forward = _kernel(layout.loop, backend, dtypes[0])
        if layout.back is not None:
            self.back_invariant = OpList(layout.back_invariant, backend)
            self.sums = OpList(layout.sums, backend)
            self.backward = _kernel(layout.back, backend, dtypes[0])

    @property
    def is_elementwise(self) -> bool:
        """Whether it may be given its numbers in rows of any length."""
        program = self.program
        values = program.order(*program.ys)
        all_values = program.order(*program.ys, *self.layout.grads.values())
        widths = {repr(v.shape[1:]) for v in all_values if v.has_rows}
        return len(widths) == 1 and all(
            (v.has_rows or v.size == 1)
            and v.op in ELEMENTWISE | {"input", "full", "astype"}
            and not any(isinstance(arg, Dim) for arg in v.args)
            for v in values
        )


def _kernel(loop: Loop, backend: Any, dtype: str) -> Callable[..., None]:
    """What runs a loop's one step: on the number of rows, on arrays (1, N, ...), on its results."""
    compiled = backend.compile_loop(loop, dtype) if loop.body else None

    def run(N: int, known: Mapping[Value, Any], kept: Sequence[Any]) -> None:
        if compiled is not None:
            invariant, steps = [known[v] for v in loop.invariant], [known[v] for v in loop.steps]
            compiled(1, N, False, True, (), invariant, steps, (), kept)

    return run


class RowCall:
    """A plan for inputs of given shapes.

    `lead` are the leading axes, which are its rows. `order` says which of the arrays that it is
    given each of the plan's inputs is. Where all that has rows is of one shape, `whole`, the rows
    may be others than its own.
    """

    reads: Any = None  # what the function read from outside, as something to compare

    def __init__(
        self, plan: RowPlan, order: Sequence[int], lead: Shape, whole: Shape | None = None
    ) -> None:
        self.plan, self._lead, self._whole = plan, lead, whole
        self.program, self.differentiable = plan.program, plan.differentiable
        self.pinned = sorted(plan.program.pinned)
        self.rows = math.prod(lead)
        self._inputs = [
            (value, i, self._view(value)) for value, i in zip(plan.inputs, order, strict=True)
        ]
        program, layout = plan.program, plan.layout
        self.saved = [*plan.invariant.values, *layout.saved]
        self._kept = [self._room(v) for v in layout.loop.kept]
        self._ys = [(y, self._shape(y), y in program.ys[:i]) for i, y in enumerate(program.ys)]
        if layout.back is not None:
            self._saved_rows = [(v, self._view(v)) for v in layout.saved]
            read = {
                *layout.back.invariant,
                *layout.back.steps,
                *layout.grads.values(),
                *plan.sums.inputs,
            }
            read.update(plan.back_invariant.inputs)
            self._gs = [(g in read, *self._room(g)) for g in program.g_ys]
            self._back_kept = [self._room(v) for v in layout.back.kept]
            self._grads = [(i, layout.grads[x]) for x, i, _ in self._inputs if x in layout.grads]

    def _shape(self, value: Value) -> Shape:
        """The shape of a value's array as the user sees it."""
        if not value.has_rows:
            return tuple(map(int, value.shape))
        if self._whole is not None:
            return self._whole
        return (*self._lead, *map(int, value.shape[1:]))

    def _view(self, value: Value) -> Shape:
        """The shape of a value's array as a kernel takes it: of rows, (1, N, F)."""
        if not value.has_rows:
            return tuple(map(int, value.shape))
        return (1, self.rows, *map(int, value.shape[1:]))

    def _room(self, value: Value) -> tuple[Value, Shape, Shape, Any]:
        return value, self._shape(value), self._view(value), value.dtype

    def forward(
        self, arrays: Sequence[Any], numbers: Sequence[Any] = ()
    ) -> tuple[list[Any], list[Any]]:
        """The results, and the arrays of the values in `saved`; `numbers` are the program's."""
        plan, xp = self.plan, self.plan.xp
        known = self._inputs_by_value(arrays, numbers)
        if plan.invariant.values:
            known.update(plan.invariant.run(known, self.rows))
        made, kept = {}, []
        for value, shape, view, dtype in self._kept:
            made[value] = out = xp.empty(shape, dtype)
            kept.append(out.reshape(view))
        plan.forward(self.rows, known, kept)
        ys = []
        for y, shape, again in self._ys:
            if y in made:
                ys.append(xp.copy(made[y]) if again else made[y])
            else:
                ys.append(xp.copy(known[y].reshape(shape)))  # an input as it is
        return ys, [made[v] if v in made else known[v] for v in self.saved]

    def backward(
        self,
        arrays: Sequence[Any],
        saved: Sequence[Any],
        gs: Sequence[Any],
        numbers: Sequence[Any] = (),
    ) -> dict[int, Any]:
        """Gradients of the wanted inputs, by position, from those of the results."""
        plan, xp, count = self.plan, self.plan.xp, len(self.plan.invariant.values)
        known, made, kept = self._inputs_by_value(arrays, numbers), {}, []
        known.update(zip(plan.invariant.values, saved[:count], strict=True))
        for (value, view), array in zip(self._saved_rows, saved[count:], strict=True):
            known[value] = array.reshape(view)
        for (is_read, value, shape, view, dtype), g in zip(self._gs, gs, strict=True):
            if not is_read:
                continue
            made[value] = g = xp.zeros(shape, dtype) if g is None else g
            known[value] = g.reshape(view)
        if plan.back_invariant.values:
            known.update(plan.back_invariant.run(known, self.rows))
        for value, shape, view, dtype in self._back_kept:
            made[value] = out = xp.empty(shape, dtype)
            known[value] = room = out.reshape(view)
            kept.append(room)
        plan.backward(self.rows, known, kept)
        if plan.sums.values:
            given = {}
            for value in plan.sums.inputs:
                array = known[value]
                given[value] = array if array.ndim == value.ndim else array[0]
            made.update(plan.sums.run(given, self.rows))
        return {i: made[g] if g in made else known[g] for i, g in self._grads}

    def _inputs_by_value(self, arrays: Sequence[Any], numbers: Sequence[Any]) -> dict[Value, Any]:
        """The inputs as kernels take them: rows as (1, N, F)."""
        known = {value: arrays[i].reshape(view) for value, i, view in self._inputs}
        known.update(zip(self.plan.program.numbers, numbers, strict=True))
        return known


def even_rows(numbers: int) -> int | None:
    """The width of rows, if there is a good one, into which so many numbers can be cut.

    A row of every array of a kernel should fit into the fastest cache.
    """
    return next((n for n in range(_WIDEST, _NARROWEST - 1, -1) if numbers % n == 0), None)
