"""Which way a scan runs: fused, by a generated kernel, or composed, as a loop of ops."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from ..checkpoint import check_outside, replay
from ..engine.graph import Node, Output, Outside, PlainOp, grad_enabled, on_call, tick
from ..engine.tensor import Tensor, wrap
from ..errors import Untraceable
from ..fusion import why_composed
from ..nested import layout_of, name_of, parts_of, rebuild
from ..ops import reshape, where
from .lookup import code_of
from .purity import Refusals, remember
from .scan_plan import Plan
from .structure import Structure, of_kind, read_outside, why_not_plain

_backend, _data, _node = attrgetter("backend"), attrgetter("_data"), attrgetter("_node")
_shape, _dtype = attrgetter("shape"), attrgetter("dtype")

scan_plans: dict[Any, Plan | str] = {}
_pinned: dict[Any, tuple[int, ...]] = {}  # which numbers are constants, as they are looked at
_refusals = Refusals()
_CHUNK = 4096  # steps that a scan without gradients takes at a time, to bound its memory


def fused_scan(
    cell: Callable[..., Any],
    params: Any,
    xs: Any,
    state: Any,
    valid: Tensor | None,
    reverse: bool,
    composed: Callable[..., tuple[Any, Any]],
    backend: Any,
) -> tuple[Any, Any] | str:
    """The scan by a kernel, or the reason why there is none.

    `valid` (T, N) says which steps count, if not all do; `composed(params, xs, state)` is the
    definition, which a second-order gradient runs.
    """
    if reason := why_composed():
        return reason
    p, x, s = Structure(params), parts_of(xs), parts_of(state)
    T, N = x[0].shape[:2]
    if valid is not None:
        x = (*x, valid)
    tensors = [*p.tensors, *x, *s]
    if set(map(_backend, tensors)) != {backend}:
        return "its tensors are on several backends"
    if reason := why_not_plain(p.tensors):
        return reason
    if T == 0 or N == 0:
        return "there are no steps, or no sequences"
    arrays, edges = list(map(_data, tensors)), tuple(map(_node, tensors))
    wanted = tuple([node is not None for node in edges])
    plan = _planned(cell, p, params, xs, x, state, arrays, wanted, backend)
    if isinstance(plan, str):
        return plan
    given = list(map(backend.contiguous, arrays))
    numbers = plan.program.scalars(p.numbers)
    count = len(plan.program.ys)
    if plan.dtype is not None and grad_enabled.get():
        ys, last, saved = plan.forward(store=True)(T, N, reverse, *given, *numbers)
        results = (*ys, *last)
        node = Node()
        node.op, node.birth, node.backend, node.hooks = _SCAN, tick(), backend, None
        node.edges, node.shape, node.dtype = edges, list(map(_shape, results)), plan.dtype
        # The second order reads the inputs themselves, which may be laid out in another way.
        node.saved = (*saved, *arrays)
        hidden = None if valid is None else len(p.tensors) + len(x) - 1
        node.settings = (
            plan,
            T,
            N,
            reverse,
            _again(cell, composed, plan, p, xs, state),
            hidden,
            numbers,
        )
        outs = [
            Tensor(y, backend, Output(node, i, y) if differentiable else None)
            for i, (y, differentiable) in enumerate(zip(results, plan.differentiable, strict=True))
        ]
    else:
        node, first = None, len(p.tensors)
        end = first + len(x)
        groups = given[:first], given[first:end], given[end:]
        ys, last = _in_chunks(plan, *groups, numbers, reverse)
        outs = [Tensor(y, backend) for y in (*ys, *last)]
    if on_call:
        besides = Outside((plan.reads, repr(p.numbers)))
        on_call.tell(_SCAN, node, (*arrays, besides), [t._data for t in outs], backend, ())
    return rebuild(plan.program.ys_like, outs[:count]), rebuild(state, outs[count:])


def _again(
    cell: Any, composed: Any, plan: Plan, p: Structure, xs: Any, state: Any
) -> Callable[..., Any]:
    """The composition, as a function of the tensors in params, xs and state."""

    def again(*inputs: Tensor) -> Any:
        rest = iter(inputs)
        params = p.rebuild([of_kind(kind, next(rest)) for kind in p.kinds])
        given = params, rebuild(xs, [next(rest) for _ in parts_of(xs)]), rebuild(state, rest)
        check_outside(f"a scan of {name_of(cell)}", plan.reads, read_outside(cell, *given))
        ys, last = composed(*given)
        return (*parts_of(ys), *parts_of(last))

    return again


def _in_chunks(
    plan: Plan,
    params: list[Any],
    xs: list[Any],
    state: list[Any],
    numbers: list[Any],
    reverse: bool,
) -> tuple[list[Any], list[Any]]:
    """The scan without gradients, some thousand steps at a time."""
    T, N = xs[0].shape[:2]
    run = plan.forward(store=False)
    if T <= _CHUNK:
        ys, last, _ = run(T, N, reverse, *params, *xs, *state, *numbers)
        return ys, last
    ys = []
    starts = range(0, T, _CHUNK)
    for start in reversed(starts) if reverse else starts:
        steps = [x[start : start + _CHUNK] for x in xs]
        parts, state, _ = run(len(steps[0]), N, reverse, *params, *steps, *state, *numbers)
        ys = ys or [plan.xp.empty((T, *y.shape[1:]), y.dtype) for y in parts]
        for whole, part in zip(ys, parts, strict=True):
            whole[start : start + _CHUNK] = part
    return ys, state


def _backward(node: Node, saved: Any, g: Any, work: Any) -> None:
    plan, T, N, reverse, again, hidden, numbers = node.settings
    edges, count = node.edges, len(node.edges)
    if work.builds_graph:
        pairs = enumerate(zip(saved[-count:], edges, strict=True))
        inputs = [wrap(array, node.backend, edge) for i, (array, edge) in pairs if i != hidden]
        replay(lambda: again(*inputs), g, node, work)
        return
    grads = work.grads
    run = plan.backward(tuple([edge in grads for edge in edges]))
    for edge, part in zip(edges, run(T, N, not reverse, saved[:-count], numbers, *g), strict=True):
        if part is None:
            continue
        assert edge is not None
        if grads[edge] is None:
            grads[edge] = part
        else:
            work.add(edge, part)


def _input_names(node: Node) -> tuple[int, list[str]]:
    """Where the inputs begin among what a node has saved, and their names in the program."""
    program = node.settings[0].program
    names = [value.name for value in (*program.params, *program.xs, *program.state)]
    return len(node.saved or ()) - len(node.edges), names


_SCAN = PlainOp("scan", _backward, _input_names)


# --- plans ---------------------------------------------------------------------------------


def _planned(
    cell: Any,
    p: Structure,
    params: Any,
    xs: Any,
    x: tuple[Tensor, ...],
    state: Any,
    arrays: list[Any],
    wanted: tuple[bool, ...],
    backend: Any,
) -> Plan | str:
    """A plan for these arguments, made now or for an earlier call; or why there is none.

    `x` are the parts of `xs` and, behind them, which steps count, if not all do.
    """
    masked = len(x) > len(parts_of(xs))
    shapes = list(map(_shape, arrays))
    for i in range(len(p.tensors), len(p.tensors) + len(x)):
        shapes[i] = shapes[i][1:]  # a plan serves any number of steps
    kinds = type(xs), len(x), type(state)
    facts = (kinds, *shapes, *map(_dtype, arrays), wanted, backend)

    def outside() -> Any:
        return read_outside(cell, params, xs, state)

    try:
        key = read_outside(cell, params, xs, state, p), facts
    except Untraceable as unknown:
        return str(unknown)  # as it is now: what it reads may be another thing at the next call
    pinned = _pinned.get(key, ()) if p.numbers else ()
    made = scan_plans.get((key, *[repr(p.numbers[i]) for i in pinned]))
    if made is not None:
        return made
    one: Any = tuple(wrap(t._data[0], backend) for t in x)
    step = _masked(cell, xs) if masked else cell
    one = one if masked else rebuild(xs, one)

    def make() -> Plan:
        plan = Plan(step, params, one, state, backend, wanted, outside, pinned)
        plan.reads = outside()  # it may have made something that it needed
        return plan

    def keep(made: Plan | str) -> None:
        at, places = key, pinned
        if isinstance(made, Plan):
            at, places = (made.reads, facts), tuple(sorted(made.program.pinned))
            if places:
                remember(_pinned, at, places)
        remember(scan_plans, (at, *[repr(p.numbers[i]) for i in places]), made)

    return _refusals.plan((code_of(cell), facts), name_of(cell), make, keep)


def _masked(cell: Any, xs: Any) -> Any:
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
        carried = map(only, parts_of(new), parts_of(state))
        return rebuild(y, map(or_zero, parts_of(y))), rebuild(new, carried)

    return masked
