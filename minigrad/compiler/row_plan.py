"""A function of rows as a loop of one step: its work laid out, and run by kernels.

The leading axes of the inputs are rows. What the function computes row by row, forwards and
backwards, is a `Loop` of one step that carries nothing, so that the backend's `compile_loop`
serves functions and scans alike. Sums over rows (the gradients of what all rows share) come
after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from ..errors import Untraceable
from .independent_rows import check_op, check_rows
from .ir import ELEMENTWISE, Value
from .leading_axes import Shape
from .program import Program, depends, inputs_of
from .row_source import BackwardRows, ForwardRows
from .schedule import Loop, Partition, make_loop, partition_backward
from .sizes import Dim
from .source import OpList, shown

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
    blocks: dict[Value, Value]  # of what is only summed over rows, the sums that the loop makes


def lay_out(
    program: Program,
    wanted: Collection[Value],
    few_launches: bool = False,
    adds_rows: bool = False,
) -> Layout:
    """Lay out a program; `wanted` are the inputs whose gradients are asked for.

    What is made of shared inputs alone is computed before the rows; with `few_launches` in the loop
    and so in each row anew, where that is possible. With `adds_rows` the loop adds up blocks of
    rows, and what is left for sums over rows has a row per block.

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
            raise Untraceable(
                "an input of shape (N,) is used with values per row; reshape it to (N, 1)"
            )
    part = Partition([v for v in forward if v.op != "input"], per_row)
    grads = {x: g for x, g in program.grads.items() if x in wanted}
    back: Loop | None = None
    back_part, saved, blocks = Partition([], set()), list[Value](), dict[Value, Value]()
    if grads:
        new, per_row, back_part = partition_backward(program, forward, grads)
        if adds_rows:
            blocks = _find_blocks(back_part)
        outside = inputs_of(back_part.sunk) - {*blocks} | set(grads.values())
        recomputed, saved = _find_recomputed(program, part.loop, inputs_of(new) | outside)
        steps = [v for v in part.loop if v in recomputed] + back_part.loop
        for x, block in blocks.items():
            steps.insert(steps.index(x) + 1 if x in steps else 0, block)
        kept = [v for v in steps if v in outside or v in blocks.values()]
        back = make_loop(program, steps, [], [], kept, per_row)
    stored = [v for v in part.loop if v in program.ys or v in saved]
    loop = make_loop(program, part.loop, [], [], stored, depends(forward, program.xs))
    invariant, back_invariant = part.invariant, back_part.invariant
    layout = Layout(invariant, loop, saved, back_invariant, back, back_part.sunk, grads, blocks)
    _spread(layout, few_launches)
    return layout


def _find_blocks(part: Partition) -> dict[Value, Value]:
    """Rows of which only the sums are read after the loop, though the loop has them at hand."""
    found: dict[Value, Value] = {}
    at_hand = {*part.loop, *inputs_of(part.loop)}
    for x in dict.fromkeys(x for v in part.sunk for x in v.inputs):
        users = [v for v in part.sunk if x in v.inputs]
        sums = all(v.op == "sum" and 0 in v.settings["axes"] and v.dtype == x.dtype for v in users)
        if sums and x in at_hand and x.ndim == 2 and x.shape[1] != 1 and x.dtype.kind == "f":
            found[x] = Value(x.backend, "block_sum", (x,), {}, x.shape, x.dtype)
    return found


def _spread(layout: Layout, arithmetic: bool) -> None:
    """Move what is made of shared inputs alone into the loops, as far as they read it.

    Without arithmetic only what would be a copy of the inputs for each row, and counted columns.
    """
    shared = [*layout.invariant, *layout.back_invariant]
    near: set[Value] = set()
    for value in shared:
        ins = (x in near or (x.op == "input" and _is_row(x)) for x in value.inputs)
        copies = value.op == "arange" or (value.op == "broadcast_to" and value.has_rows)
        simple = value.op in _SPREAD if arithmetic else copies
        if simple and _is_row(value) and all(ins):
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
    """A program laid out for given widths and dtypes, with its kernels; any number of rows.

    Its inputs are shared ones first, then rows (N, F). `wanted` says which of them need a gradient;
    `order`, which of the arrays that it is given each of them is. With `is_cut` the rows are not
    those of the arrays, which are all of one shape. Raises `Untraceable`.
    """

    def __init__(
        self,
        program: Program,
        wanted: Sequence[bool],
        backend: Any,
        order: Sequence[int],
        is_cut: bool = False,
    ) -> None:
        self.program, self.xp, self.order, self.is_cut = program, backend, order, is_cut
        self.inputs = [*program.params, *program.xs]
        dtypes = sorted({v.dtype.name for v in self.inputs if v.dtype.kind == "f"})
        if len(dtypes) != 1:
            raise Untraceable(f"its tensors are of {' and '.join(dtypes) or 'no float dtype'}")
        if not all(v.dtype.isnative for v in self.inputs):
            raise Untraceable("its numbers are in another machine's byte order")
        asked = [value for value, want in zip(self.inputs, wanted, strict=True) if want]
        # On a device each op is a launch; on the CPU a row's arithmetic costs more than an op.
        self.rows_per_sum = getattr(backend, "rows_per_sum", 0)
        self.layout = layout = lay_out(
            program, asked, few_launches=not backend.is_host, adds_rows=self.rows_per_sum > 0
        )
        self.differentiable = program.differentiable(asked)
        self.invariant = OpList(layout.invariant, backend)
        self.saved = [*self.invariant.values, *layout.saved]
        self.kernel = backend.compile_loop(layout.loop, dtypes[0]) if layout.loop.body else None
        if layout.back is not None:
            self.back_invariant = OpList(layout.back_invariant, backend)
            self.sums = OpList(layout.sums, backend)
            back = layout.back
            self.back_kernel = backend.compile_loop(back, dtypes[0]) if back.body else None

    @cached_property
    def forward(self) -> Callable[..., Any]:
        """What runs it; see `ForwardRows`."""
        return ForwardRows(self).compile()

    @cached_property
    def backward(self) -> Callable[..., Any]:
        """What gives the gradients; see `BackwardRows`."""
        return BackwardRows(self).compile()

    @property
    def source(self) -> str:
        """All that runs: the kernels of the rows and what is around them."""
        sides: list[tuple[str, Any, Any]] = [("forwards", self.kernel, ForwardRows(self))]
        if self.layout.back is not None:
            sides.append(("backwards", self.back_kernel, BackwardRows(self)))
        parts = []
        for title, kernel, around in sides:
            around.compile()
            parts += shown(title, "the rows", kernel, around.text)
        return "\n\n\n".join(parts) + "\n"

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


class RowCall:
    """A plan for arrays with the given leading axes; or if their rows are cut anew, of that shape.

    `forward(arrays, numbers)` gives the results, and what `backward(arrays, saved, numbers, gs)`
    reads besides; that gives the gradients of the arrays.
    """

    reads: Any = None  # what the function read from outside, as something to compare

    def __init__(self, plan: RowPlan, lead: Shape, rows: int) -> None:
        self.plan, self.program, self.differentiable = plan, plan.program, plan.differentiable
        self.pinned = sorted(plan.program.pinned)
        self.forward = partial(plan.forward, lead, rows)
        self._at = lead, rows

    @cached_property
    def backward(self) -> Callable[..., Any]:
        """It is written when it is first needed."""
        return partial(self.plan.backward, *self._at)


def even_rows(numbers: int) -> int | None:
    """The width of rows, if there is a good one, into which so many numbers can be cut.

    A row of every array of a kernel should fit into the fastest cache.
    """
    return next((n for n in range(_WIDEST, _NARROWEST - 1, -1) if numbers % n == 0), None)
