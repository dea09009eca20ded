"""Which work of a step belongs before the loop over time, in it, or after it.

Hoisted before the loop: matrix products that need no carry (x @ W), for all steps at once. Sunk
after it: what the carry doesn't need (the weights' gradients, as one product over all steps). In
the loop: the rest, as elementwise regions between the products that the carry does need.

A backend may prefer to compute some products in the loop, too, while what they read is in cache:
those that would be hoisted or sunk, and the weights' gradients, which add up step by step then.

Before and after the loop, the steps are rows: the program's N is T*N there (see
independent_rows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .independent_rows import check_op, check_rows, sums_over_rows
from .ir import TRUTH, Value
from .program import Program, depends, inputs_of, topological_order

# Cheap enough to compute again in the backward pass rather than to keep.
CHEAP = TRUTH | {"add", "subtract", "multiply", "negative", "square", "where", "part"}
CHEAP |= {"maximum", "minimum", "relu", "abs", "sign"}

_PRODUCTS_AND_VIEWS = {"matmul", "part", "reshape"}

# in_loop(rows, terms, columns): whether a product of each step is computed in the loop.
InLoop = Callable[[int, int, int], bool]


class Partition:
    """The values of one direction of a step, divided by when they can be computed.

    Parameters
    ----------
    values : in order, each after what it is made from.
    per_step : the values, among others, that differ from step to step.
    carried_from : what a step takes over from the step before.
    awaited_by : what the next step waits for.
    across_rows : values per step that are not computed row by row: sums over rows, transposes.
    in_loop : which products the loop computes although they could be hoisted or sunk.

    Attributes
    ----------
    invariant : the same for all steps, computed once.
    hoisted : matrix products that need no carry and that other work waits for, and what these are
        made from; computed before the loop, for all steps at once.
    loop : all others, computed step by step.
    sunk : matrix products that the next step doesn't wait for, what is made from these, and what
        goes across rows; computed after the loop, for all steps at once.
    """

    def __init__(
        self,
        values: Sequence[Value],
        per_step: Collection[Value],
        carried_from: Iterable[Value] = (),
        awaited_by: Iterable[Value] = (),
        across_rows: Collection[Value] = (),
        in_loop: InLoop | None = None,
    ) -> None:
        rows = [v for v in values if v in per_step and v not in across_rows]
        products = [v for v in rows if v.op == "matmul"]
        if in_loop is not None:
            products = [v for v in products if not _stays(v, per_step, in_loop)]
        depends_on_carry = depends(rows, carried_from)
        # A product of which nothing is made but other products can come after the loop: before it,
        # all that it is made from would have to be there, too.
        read = set(topological_order(v for v in rows if v.op not in _PRODUCTS_AND_VIEWS))
        first = (v for v in products if v in read and v not in depends_on_carry)
        early = set(topological_order(first))
        awaited = early | set(topological_order(awaited_by))
        after_carry = depends(rows, (v for v in products if v not in awaited))
        self.invariant = [v for v in values if v not in per_step]
        self.hoisted = [v for v in rows if v in early]
        self.loop = [v for v in rows if v not in early and v not in after_carry]
        self.sunk = [v for v in values if v in after_carry or v in across_rows]


@dataclass
class Loop:
    """The work of one step that stays in the loop: what a backend makes a kernel of.

    Attributes
    ----------
    invariant : arrays that are the same for all steps.
    steps : arrays with a step per row of their first axis, read only: (T, N, ...).
    carry_in, carry_out : what a step takes over, and what it leaves to the next, pairwise.
    kept : values of which every step's is written down: (T, N, ...).
    body : the values to compute, in order.
    totals : sums over the rows of all steps, of what the body computes or reads: products a.T @ b,
        and sums over the first axis.
    """

    invariant: list[Value]
    steps: list[Value]
    carry_in: list[Value]
    carry_out: list[Value]
    kept: list[Value]
    body: list[Value]
    totals: list[Value]
    program: Program


@dataclass
class Pass:
    """One direction of a step, laid out over time: a `Partition` with its loop for a backend.

    `needed_outside` holds values of which every step's is needed outside of the loop.
    """

    invariant: list[Value]
    hoisted: list[Value]
    loop: Loop
    sunk: list[Value]
    needed_outside: set[Value]

    @property
    def read(self) -> set[Value]:
        """All that it reads."""
        computed = inputs_of((*self.invariant, *self.hoisted, *self.loop.body, *self.sunk))
        return computed.union(*map(rows_of, self.loop.totals))


@dataclass
class BackwardPass(Pass):
    """The backward step, for the gradients that are asked for.

    `grads` gives by input what its gradient is in one step; `carried_states` are the parts of the
    state whose gradients the loop carries.
    """

    grads: dict[Value, Value]
    carried_states: list[Value]


@dataclass
class Schedule:
    """A step's program, laid out over time; `backward` is None if no gradient is asked for."""

    forward: Pass
    backward: BackwardPass | None


def schedule(
    program: Program, wanted: Collection[Value], in_loop: InLoop | None = None
) -> Schedule:
    """Lay out a program; `wanted` are the inputs whose gradients are asked for."""
    forward = program.forward
    per_step = depends(forward, program.step_inputs)
    for value in forward:
        check_op(value)
        if value in per_step:
            check_rows(value)
    computed = [v for v in forward if v.op != "input"]
    part = Partition(computed, per_step, program.state, program.new_state, in_loop=in_loop)
    needed_outside = {*program.ys, *inputs_of(part.sunk)}

    backward: BackwardPass | None = None
    recomputed: set[Value] = set()
    if any(x in program.grads for x in wanted):
        available = {*part.invariant, *part.hoisted, *needed_outside}
        backward, recomputed = _backward(program, wanted, forward, available, in_loop)
    read = needed_outside | (backward.read if backward else set())
    at_hand = {*program.new_state, *recomputed}
    stored = [v for v in part.loop if v in read and v not in at_hand]
    loop = make_loop(program, part.loop, program.state, program.new_state, stored, per_step)
    first = Pass(part.invariant, part.hoisted, loop, part.sunk, needed_outside)
    return Schedule(first, backward)


def make_loop(
    program: Program,
    body: list[Value],
    carry_in: list[Value],
    carry_out: list[Value],
    stored: list[Value],
    per_step: set[Value],
    totals: Sequence[Value] = (),
) -> Loop:
    """The loop that computes `body`, with what it reads and leaves."""
    computed = {*body, *carry_in}
    added = (x for v in totals for x in rows_of(v))
    read = dict.fromkeys([*(x for v in body for x in v.inputs), *carry_out, *added])
    rest = [x for x in read if x not in computed and x.op != "full"]
    return Loop(
        [x for x in rest if x not in per_step],
        [x for x in rest if x in per_step],
        carry_in,
        carry_out,
        stored,
        body,
        [*totals],
        program,
    )


# --- what could be outside of the loop --------------------------------------------------------


def _stays(product: Value, per_step: Collection[Value], in_loop: InLoop) -> bool:
    """Whether a loop can compute a product of rows and is to do it."""
    a, w, *_ = product.args
    if w in per_step or w.has_rows or not a.has_rows or a.ndim != 2:
        return False
    return a.dtype == w.dtype == product.dtype and in_loop(*map(int, (*a.shape, w.shape[1])))


def _find_totals(part: Partition, in_loop: InLoop) -> list[Value]:
    """Sums over rows whose rows a loop has at hand."""
    outside = {*part.sunk}
    found = []
    for v in part.sunk:
        if v.op == "matmul":
            turned, b = v.args[:2]
            if turned.op != "transpose" or not turned.args[0].has_rows or not b.has_rows:
                continue
            terms = turned.shape[0]
        elif v.op == "sum" and v.settings["axes"] == (0,):
            b, terms = v.args[0], 1
        else:
            continue
        fits = all(
            x.ndim == 2 and x.dtype == v.dtype and x.dtype.kind == "f" and x not in outside
            for x in rows_of(v)
        )
        if fits and in_loop(int(b.shape[0]), int(terms), int(b.shape[1])):
            found.append(v)
    return found


def rows_of(total: Value) -> list[Value]:
    """The rows that a sum over rows is made of."""
    if total.op == "sum":
        return [total.args[0]]
    turned, b = total.args
    return [turned.args[0], b]


def _rest(sunk: Sequence[Value], totals: Collection[Value], wanted: Iterable[Value]) -> list[Value]:
    """What of the sunk values is still wanted if the loop computes the totals."""
    needed = set(wanted)
    for v in reversed(sunk):
        if v in needed and v not in totals:
            needed.update(v.inputs)
    return [v for v in sunk if v in needed and v not in totals]


# --- the backward step ---------------------------------------------------------------------


def _backward(
    program: Program,
    wanted: Collection[Value],
    forward: list[Value],
    available: set[Value],
    in_loop: InLoop | None,
) -> tuple[BackwardPass, set[Value]]:
    """The backward step; and the forward values that it computes again.

    Of the forward values the `available` ones are there outside of the loop in any case.
    """
    states = _carried_states(program, wanted)
    grads = {x: g for x, g in program.grads.items() if x in wanted or x in states}
    cotangents = dict(zip(program.state, program.g_state, strict=True))
    carry_in = [cotangents[x] for x in states]
    carry_out = [grads[x] if x in grads else _zeros(cotangents[x]) for x in states]
    new, per_step, part = partition_backward(program, forward, grads, carry_in, carry_out, in_loop)
    totals = [] if in_loop is None else _find_totals(part, in_loop)
    sunk = _rest(part.sunk, totals, grads.values()) if totals else part.sunk
    recomputed = _find_recomputed(program, new, forward, available | inputs_of(part.hoisted))
    body = [v for v in forward if v in recomputed] + part.loop
    outside = inputs_of(sunk) | {g for x, g in grads.items() if x not in program.state}
    stored = [v for v in body if v in outside]
    loop = make_loop(program, body, carry_in, carry_out, stored, per_step, totals)
    needed_outside = {g for g in carry_in if g in outside}
    back = BackwardPass(part.invariant, part.hoisted, loop, sunk, needed_outside, grads, states)
    return back, recomputed


def partition_backward(
    program: Program,
    forward: Sequence[Value],
    grads: Mapping[Value, Value],
    carry_in: Iterable[Value] = (),
    carry_out: Iterable[Value] = (),
    in_loop: InLoop | None = None,
) -> tuple[list[Value], set[Value], Partition]:
    """The values that only the gradients need; all values that differ per step; a partition."""
    known = set(forward)
    new = [v for v in program.order(*grads.values()) if v not in known and v.op != "input"]
    per_step = depends([*forward, *new], program.step_inputs)
    for value in new:
        check_op(value)
    across_rows = sums_over_rows(new, per_step)
    across_rows |= {v for v in new if v in per_step and v.op == "transpose"}
    for value in new:
        if value in per_step and value not in across_rows:
            check_rows(value)
    part = Partition(new, per_step, carry_in, carry_out, across_rows, in_loop)
    return new, per_step, part


def _carried_states(program: Program, wanted: Collection[Value]) -> list[Value]:
    """The parts of the state whose gradients are wanted, or needed for what is wanted."""
    found = {x for x in program.state if x in wanted and x in program.grads}
    while True:
        roots = [g for x, g in program.grads.items() if x in wanted or x in found]
        needed = set(program.order(*roots))
        more = {x for x, g in zip(program.state, program.g_state, strict=True) if g in needed}
        if more <= found:
            return [x for x in program.state if x in found]
        found |= more


def _zeros(like: Value) -> Value:
    return Value(like.backend, "full", (0,), {}, like.shape, like.dtype)


def _find_recomputed(
    program: Program, new: list[Value], forward: list[Value], available: set[Value]
) -> set[Value]:
    """Forward values that are computed again, since all that they need is stored anyway."""
    read = inputs_of(new)
    have = available | {*program.params, *program.xs, *program.state, *program.new_state}
    return {
        v
        for v in forward
        if v in read
        and v not in have
        and v.op in CHEAP
        and all(x in read or x in have for x in v.inputs)
    }
