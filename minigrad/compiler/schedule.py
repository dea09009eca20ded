"""Which work of a step belongs before the loop over time, in it, or after it.

Before: matrix products that need no carry (x @ W), for all steps at once. After: what the carry
doesn't need (the weights' gradients, as one product over all steps). In the loop: the rest, as
elementwise regions between the products that the carry does need.

Before and after, the steps are rows: the program's N is T*N there. That is right because the rows
of a batch never meet, except in sums over them, which are gradients of what all steps share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..errors import Untraceable
from .ir import ELEMENTWISE, REDUCTIONS, TRUTH, Value
from .program import Program
from .sizes import Dim

# Cheap enough to compute again in the backward pass rather than to keep.
CHEAP = TRUTH | {"add", "subtract", "multiply", "negative", "square", "where", "part"}
CHEAP |= {"maximum", "minimum", "relu", "abs", "sign"}

# What may be done to a sum over rows: the sum over the steps can then be taken first.
LINEAR = {"transpose", "reshape", "part", "place", "negative", "sum", "astype", "broadcast_to"}

ROW_OPS = ELEMENTWISE | REDUCTIONS | {"part", "place", "concatenate", "astype", "reshape"}
ROW_OPS |= {"broadcast_to", "matmul"}


@dataclass
class Loop:
    """The work of one step that stays in the loop: what a backend makes a kernel of.

    Attributes
    ----------
    once : arrays that are the same for all steps.
    steps : arrays with a step per row of their first axis, read only: (T, N, ...).
    carry_in, carry_out : what a step takes over, and what it leaves to the next, pairwise.
    kept : values of which every step's is written down: (T, N, ...).
    body : the values to compute, in order.
    """

    once: list[Value]
    steps: list[Value]
    carry_in: list[Value]
    carry_out: list[Value]
    kept: list[Value]
    body: list[Value]
    program: Program


@dataclass
class Backward:
    """The backward step, laid out over time, for the gradients that are asked for."""

    grads: dict[Value, Value]  # by input what its gradient is in one step
    state: list[Value]  # the parts of the state whose gradients are carried
    once: list[Value]  # of the parameters alone
    before: list[Value]
    loop: Loop
    after: list[Value]
    told: set[Value]  # carries of which every step's is needed outside of the loop

    @property
    def read(self) -> set[Value]:
        """All that it reads."""
        values = (*self.once, *self.before, *self.loop.body, *self.after)
        return {x for v in values for x in v.inputs}


@dataclass
class Schedule:
    """A step's program, laid out over time."""

    once: list[Value]  # of the parameters alone
    before: list[Value]
    loop: Loop
    after: list[Value]
    told: set[Value]  # values of which every step's is needed outside of the loop
    back: Backward | None


def depends(values: Iterable[Value], on: Iterable[Value]) -> set[Value]:
    """Those of the values, in order, that are made from one of `on`, and `on` itself."""
    found = set(on)
    for value in values:
        if any(x in found for x in value.inputs):
            found.add(value)
    return found


def readers(values: Sequence[Value]) -> dict[Value, list[Value]]:
    """For each of the values, in order, those that are made from it; twice if it is so twice."""
    found: dict[Value, list[Value]] = {v: [] for v in values}
    for reader in values:
        for x in reader.inputs:
            found[x].append(reader)
    return found


def carried(program: Program, values: Sequence[Value]) -> set[Value]:
    """Those of the values, in order, that wait for the step before; the rest are there for all."""
    forward = set(program.order(*program.ys, *program.new_state))
    late = depends(values, program.state) & forward
    return late | depends(values, program.g_state) - forward


def schedule(program: Program, wanted: Collection[Value]) -> Schedule:
    """Lay out a program; `wanted` are the inputs whose gradients are asked for."""
    forward = program.order(*program.ys, *program.new_state)
    per_step = depends(forward, [*program.xs, *program.state])
    for value in forward:
        check_op(value)
        if value in per_step:
            check_rows(value)
    carried = depends(forward, program.state)
    once = [v for v in forward if v not in per_step and v.op != "input"]
    before = _products(program, [v for v in forward if v in per_step and v not in carried])
    after = _late(program, forward, per_step, before, program.new_state)
    elsewhere = {*once, *before, *after}
    body = [v for v in forward if v.op != "input" and v not in elsewhere]
    told = {*program.ys, *(x for v in after for x in v.inputs)}

    back: Backward | None = None
    again: set[Value] = set()
    if any(x in program.grads for x in wanted):
        back, again = _backward(program, wanted, forward, {*once, *before}, told)
    available = {*program.new_state, *again}
    read = told | (back.read if back else set())
    kept = [v for v in body if v in read and v not in available]
    loop = make_loop(program, body, program.state, program.new_state, kept, per_step)
    return Schedule(once, before, loop, after, told, back)


def check_op(value: Value) -> None:
    """Refuse what would be wrong when N stands for all rows of all steps."""
    if any(isinstance(arg, Dim) and arg.counts_rows for arg in value.args):
        raise Untraceable("it calculates with the number of rows")
    rest = value.shape[1:] if value.has_rows else value.shape
    if value.op != "transpose" and any(isinstance(n, Dim) and n.counts_rows for n in rest):
        raise Untraceable(f"{value.op} gives an array with a column for each row")
    if value.op in REDUCTIONS - {"sum"} and value.args[0].has_rows and not value.has_rows:
        raise Untraceable(f"a {value.op} over the rows lets them meet")


def check_rows(value: Value) -> None:
    """Refuse what isn't done row by row."""
    if value.op not in ROW_OPS | {"input"} or not value.has_rows:
        raise Untraceable(f"{value.op} lets rows meet")
    if value.ndim > 2:
        raise Untraceable(
            f"{value.name or value.op} has the shape {value.shape}; compiled are (N,) and (N, H)"
        )


def _products(program: Program, values: Sequence[Value]) -> list[Value]:
    """Matrix products among the values, and those that they are made from."""
    needed = set(program.order(*(v for v in values if v.op == "matmul")))
    return [v for v in values if v in needed and v.op != "input"]


def _late(
    program: Program,
    values: Sequence[Value],
    per_step: set[Value],
    before: Sequence[Value],
    carry_out: Iterable[Value],
) -> list[Value]:
    """Matrix products that the carry doesn't need, and what is made from them."""
    needed = {*before, *program.order(*carry_out)}
    products = [v for v in values if v.op == "matmul" and v in per_step and v not in needed]
    late = depends(values, products)
    return [v for v in values if v in late]


def make_loop(
    program: Program,
    body: list[Value],
    carry_in: list[Value],
    carry_out: list[Value],
    kept: list[Value],
    per_step: set[Value],
) -> Loop:
    """The loop that computes `body`, with what it reads and leaves."""
    computed = {*body, *carry_in}
    read = dict.fromkeys([*(x for v in body for x in v.inputs), *carry_out])
    rest = [x for x in read if x not in computed and x.op != "full"]
    return Loop(
        [x for x in rest if x not in per_step],
        [x for x in rest if x in per_step],
        carry_in,
        carry_out,
        kept,
        body,
        program,
    )


# --- the backward step ---------------------------------------------------------------------


def _backward(
    program: Program,
    wanted: Collection[Value],
    forward: list[Value],
    available: set[Value],
    told: set[Value],
) -> tuple[Backward, set[Value]]:
    """The backward step; and the forward values that it computes again."""
    state = _carried(program, wanted)
    grads = {x: g for x, g in program.grads.items() if x in wanted or x in state}
    known = set(forward)
    new = [v for v in program.order(*grads.values()) if v not in known and v.op != "input"]
    cotangents = dict(zip(program.state, program.g_state, strict=True))
    carry_in = [cotangents[x] for x in state]
    carry_out = [grads[x] if x in grads else _zeros(cotangents[x]) for x in state]
    inputs = [*program.xs, *program.state, *program.g_ys, *program.g_state]
    per_step = depends([*forward, *new], inputs)
    for value in new:
        check_op(value)
    sums = sums_over_rows(new, per_step)
    rows = [v for v in new if v in per_step and v not in sums and v.op != "transpose"]
    for value in rows:
        check_rows(value)
    carried = depends(rows, carry_in)
    before = _products(program, [v for v in rows if v not in carried])
    late = _late(program, rows, per_step, before, carry_out)
    again = _again(program, new, forward, available, told | {x for v in before for x in v.inputs})
    elsewhere = {*before, *late}
    body = [v for v in forward if v in again] + [v for v in rows if v not in elsewhere]
    after = [v for v in new if v in per_step and (v in sums or v in late or v.op == "transpose")]
    outside = {x for v in after for x in v.inputs}
    outside |= {g for x, g in grads.items() if x not in program.state}
    kept = [v for v in body if v in outside]
    back = Backward(
        grads,
        state,
        [v for v in new if v not in per_step],
        before,
        make_loop(program, body, carry_in, carry_out, kept, per_step),
        after,
        {g for g in carry_in if g in outside},
    )
    return back, again


def _carried(program: Program, wanted: Collection[Value]) -> list[Value]:
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


def sums_over_rows(values: list[Value], per_step: set[Value]) -> set[Value]:
    """Values that are sums over rows, and what is made of them, linearly."""
    found: set[Value] = set()
    for value in values:
        if value not in per_step or (value.op == "transpose" and not found & {*value.inputs}):
            continue
        ins = [x for x in value.inputs if x in found]
        if not ins:
            if value.has_rows:
                continue
            if not _is_sum(value):
                raise Untraceable(f"the derivative needs {value.op}, which lets rows meet")
        elif value.has_rows or len(ins) < sum(x in per_step for x in value.inputs):
            raise Untraceable("the gradient of what all rows share meets them again")
        elif not _is_linear(value, ins):
            raise Untraceable(f"the gradient of what all rows share goes through {value.op}")
        found.add(value)
    return found


def _is_sum(value: Value) -> bool:
    """Whether a value is a sum over rows."""
    if value.op == "matmul":
        a, b = value.args
        return a.op == "transpose" and a.args[0].has_rows and b.has_rows
    return value.op == "sum" and 0 in value.settings["axes"]


def _is_linear(value: Value, ins: list[Value]) -> bool:
    """Whether a value is linear in those of its inputs."""
    if value.op in ("multiply", "matmul"):
        return len(ins) == 1
    if value.op == "divide":
        return value.args[1] not in ins
    if value.op == "where":
        if value.args[0] in ins:
            return False
        return _is_homogeneous(value.args[1:], ins) or _is_slope_of_relu(value)
    if value.op in ("add", "subtract", "concatenate"):
        return _is_homogeneous(value.args, ins)
    return value.op in LINEAR


def _is_slope_of_relu(value: Value) -> bool:
    """Whether a value is a gradient where a relu is positive, else the relu: 0 or NaN, as sums."""
    condition, _, y = value.args
    return (
        isinstance(y, Value)
        and y.op == "relu"
        and isinstance(condition, Value)
        and condition.op == "greater"
        and condition.args[0] is y
    )


def _is_homogeneous(args: Iterable[object], ins: list[Value]) -> bool:
    """Whether nothing but zero stands beside the inputs."""
    return all(arg in ins or arg == 0 or _is_zeros(arg) for arg in args)


def _is_zeros(arg: object) -> bool:
    return isinstance(arg, Value) and arg.op == "full" and arg.args == (0,)


def _again(
    program: Program,
    new: list[Value],
    forward: list[Value],
    available: set[Value],
    kept: set[Value],
) -> set[Value]:
    """Forward values that are computed again, since all that they need is kept anyway."""
    read = {x for v in new for x in v.inputs}
    have = available | {*program.params, *program.xs, *program.state, *program.new_state, *kept}
    return {
        v
        for v in forward
        if v in read
        and v not in have
        and v.op in CHEAP
        and all(x in read or x in have for x in v.inputs)
    }
