"""Which work of a step belongs before the loop over time, in it, or after it.

Before: matrix products that need no carry (x @ W), for all steps at once. After: what the carry
doesn't need (the weights' gradients, as one product over all steps). In the loop: the rest, as
elementwise regions between the products that the carry does need.

Before and after, the steps are rows: the program's N is T*N there. That is right because the rows
of a batch never meet, except in sums over them, which are gradients of what all steps share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .sizes import Dim
from .symbolic import ELEMENTWISE, REDUCTIONS, TRUTH, Untraceable, Value
from .trace import Program

# Cheap enough to compute again in the backward pass rather than to keep.
CHEAP = TRUTH | {"add", "subtract", "multiply", "negative", "square", "where", "part"}
CHEAP |= {"maximum", "minimum", "relu", "abs", "sign"}

# What may be done to a sum over rows: the sum over the steps can then be taken first.
LINEAR = {"transpose", "reshape", "part", "place", "concatenate", "add", "subtract", "negative"}
LINEAR |= {"sum", "astype", "broadcast_to"}

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
class Schedule:
    """A step's program, laid out over time."""

    program: Program
    once: list[Value]  # of the parameters alone
    before: list[Value]
    loop: Loop
    after: list[Value]
    back_before: list[Value]
    back_loop: Loop
    back_after: list[Value]
    grads: dict[Value, Value] = field(default_factory=dict)


def _check(value: Value, program: Program) -> None:
    """Refuse what would be wrong when N stands for all rows of all steps."""
    if any(isinstance(arg, Dim) and arg.counts_rows for arg in value.args):
        raise Untraceable("it calculates with the number of sequences in the batch")
    columns = any(isinstance(n, Dim) and n.counts_rows for n in value.shape[1:])
    if columns and value.op != "transpose":
        raise Untraceable(f"{value.op} gives an array with a column per sequence")
    if value.op in REDUCTIONS and 0 in value.settings["axes"] and value.op != "sum":
        raise Untraceable(f"a {value.op} over the batch lets its rows meet")


def depends(values: Iterable[Value], on: Iterable[Value]) -> set[Value]:
    """Those of the values, in order, that are made from one of `on`, and `on` itself."""
    found = set(on)
    for value in values:
        if any(x in found for x in value.inputs):
            found.add(value)
    return found


def schedule(program: Program, wanted: Sequence[Value]) -> Schedule:
    """Lay out a program; `wanted` are the inputs whose gradients are asked for."""
    forward = program.order(*program.ys, *program.new_state)
    per_step = depends(forward, [*program.xs, *program.state])
    carried = depends(forward, program.state)
    for value in forward:
        _check(value, program)
        if value in per_step and value.op not in ROW_OPS | {"input"}:
            raise Untraceable(f"{value.op} in a step")
        if value in per_step and not value.has_rows:
            raise Untraceable(f"{value.op} lets the rows of a batch meet")
    once = [v for v in forward if v not in per_step]
    before = _batched(program, [v for v in forward if v in per_step - carried])
    state_work = set(program.order(*program.new_state))
    late = [
        v
        for v in forward
        if v in per_step and v not in state_work and v.op == "matmul" and v not in before
    ]
    after = [v for v in forward if v in depends(forward, late) and v.op != "input"]
    inside = set(forward) - set(once) - set(before) - set(after)
    body = [v for v in forward if v in inside and v.op != "input"]

    grads = {x: g for x, g in program.grads.items() if x in wanted or x in program.state}
    back = _backward(program, grads, forward, once, before, after)
    outside = {*program.xs, *program.state, *before}
    available = outside | set(program.new_state)
    read = {x for v in back.values for x in v.inputs if x in per_step}
    kept = [v for v in body if v in read and v not in available and v not in back.again]
    for value in after:
        kept += [x for x in value.inputs if x in inside and x not in {*kept, *available}]
    kept += [y for y in dict.fromkeys(program.ys) if y in inside and y not in {*kept, *available}]
    loop = _loop(program, body, program.state, program.new_state, kept, per_step)
    return Schedule(
        program,
        [v for v in [*once, *back.once] if v.op != "input"],
        before,
        loop,
        after,
        back.before,
        back.loop,
        back.after,
        grads,
    )


def _batched(program: Program, values: Sequence[Value]) -> list[Value]:
    """Matrix products among the values, and what they are made from."""
    products = [v for v in values if v.op == "matmul"]
    needed = set(program.order(*products))
    return [v for v in values if v in needed and v.op != "input"]


def _loop(
    program: Program,
    body: list[Value],
    carry_in: list[Value],
    carry_out: list[Value],
    kept: list[Value],
    per_step: set[Value],
) -> Loop:
    computed = set(body)
    read = dict.fromkeys(x for v in body for x in v.inputs if x not in computed)
    read |= dict.fromkeys(x for x in (*carry_out, *kept) if x not in computed)
    rest = [x for x in read if x not in carry_in]
    return Loop(
        [x for x in rest if x not in per_step],
        [x for x in rest if x in per_step],
        carry_in,
        carry_out,
        kept,
        body,
        program,
    )


@dataclass
class _Backward:
    values: list[Value]
    again: set[Value]  # forward values that are computed again
    once: list[Value]
    before: list[Value]
    loop: Loop
    after: list[Value]


def _backward(
    program: Program,
    grads: dict[Value, Value],
    forward: list[Value],
    once: list[Value],
    before: list[Value],
    after: list[Value],
) -> _Backward:
    everything = program.order(*grads.values())
    known = set(forward)
    new = [v for v in everything if v not in known and v.op != "input"]
    for value in new:
        _check(value, program)
    g_in = [*program.g_ys, *program.g_state]
    per_step = depends([*forward, *new], [*program.xs, *program.state, *g_in])
    sums = _sums(new, per_step)
    again = _again(program, new, forward, {*once, *before}, per_step)
    rows = [
        v
        for v in [*forward, *new]
        if v in per_step and v not in sums and (v in again or v not in known)
    ]
    rows = [v for v in rows if v.op != "transpose" and v.op != "input"]
    for value in rows:
        if value.op not in ROW_OPS or not value.has_rows:
            raise Untraceable(f"the derivative needs {value.op}, which lets rows of a batch meet")
    carried = depends(rows, program.g_state)
    first = _batched(program, [v for v in rows if v not in carried and v not in known])
    first = [v for v in first if v in rows]
    carry_out = [grads[x] for x in program.state if x in grads]
    needed = set(program.order(*carry_out))
    late = [v for v in rows if v.op == "matmul" and v not in needed and v not in first]
    last = depends(rows, late)
    body = [v for v in rows if v not in last and v not in first]
    behind = [v for v in new if v in sums or v in last or (v.op == "transpose" and v in per_step)]
    computed = set(body)
    kept = [v for v in body if any(v in u.inputs for u in behind) or v in _direct(grads, program)]
    loop = _loop(program, body, program.g_state, [], kept, per_step)
    loop.carry_out = [grads.get(x, x) for x in program.state]
    missing = [x for x in program.state if x not in grads]
    if missing:
        raise Untraceable("a part of the state has no influence on what comes after")
    extra = [v for v in loop.carry_out if v not in computed and v not in loop.steps]
    loop.steps += [v for v in extra if v in per_step and v not in program.g_state]
    return _Backward(new, again, [v for v in new if v not in per_step], first, loop, behind)


def _direct(grads: dict[Value, Value], program: Program) -> set[Value]:
    """Gradients of inputs that are themselves values of the loop."""
    return {g for x, g in grads.items() if x not in program.state}


def _sums(values: list[Value], per_step: set[Value]) -> set[Value]:
    """Values that are sums over rows, and what is made of them, linearly."""
    found: set[Value] = set()
    for value in values:
        ins = [x for x in value.inputs if x in found]
        meets = value in per_step and not value.has_rows and value.op != "transpose"
        if not ins and not meets:
            continue
        if ins and len(ins) < sum(x in per_step for x in value.inputs):
            raise Untraceable("a parameter's gradient meets the rows of a batch again")
        ok = value.op in LINEAR or (value.op in ("multiply", "matmul") and len(ins) == 1)
        ok = ok or (value.op == "divide" and value.args[0] in ins)
        if ins and not ok:
            raise Untraceable(f"a parameter's gradient goes through {value.op}")
        found.add(value)
    return found


def _again(
    program: Program,
    new: list[Value],
    forward: list[Value],
    available: set[Value],
    per_step: set[Value],
) -> set[Value]:
    """Forward values that are cheaper to compute again than to keep, since their inputs are."""
    read = {x for v in new for x in v.inputs if x in set(forward)}
    have = available | {*program.xs, *program.state, *program.new_state}
    again: set[Value] = set()
    for value in reversed(forward):
        if value not in read or value in have or value not in per_step:
            continue
        if value.op in CHEAP and all(x in read or x in have for x in value.inputs):
            again.add(value)
    return again
