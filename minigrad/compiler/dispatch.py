"""Which way a scan runs: fused, by a generated kernel, or composed, as a loop of ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..derivatives import replay
from ..fuse import dispatched, no_compiler, shows_every_op
from ..graph import Node, Output, PlainOp, grad_enabled, observers, tick
from ..messages import Untraceable
from ..ops import reshape, where
from ..scan import _layout, _like, _name, _parts
from ..tensor import Tensor, wrap
from .fused import Fused, Plan
from .identity import Unknown, identity
from .structure import Structure

_plans: dict[Any, Plan | str] = {}
_MOST_PLANS = 1000  # the oldest is forgotten when there are more
_CHUNK = 4096  # steps that a scan without gradients takes at a time, to bound its memory


def fused_scan(
    cell: Callable[..., Any],
    params: Any,
    xs: Any,
    state: Any,
    valid: Tensor | None,
    reverse: bool,
    composed: Callable[..., tuple[Any, Any]],
) -> tuple[Any, Any] | None:
    """The scan by a kernel, or None (and the reason counted) if it has to be composed.

    `valid` (T, N) says which steps count, if not all do; `composed(params, xs, state)` is the
    definition, which a second-order gradient runs.
    """
    backend = _parts(state)[0].backend

    def attempt(required: bool) -> tuple[Any, Any] | str:
        return _attempt(cell, params, xs, state, valid, reverse, composed, backend)

    name, compiles = _name(cell), getattr(backend, "compile_loop", None) is not None
    return dispatched(name, f"a scan of {name}", backend, attempt if compiles else no_compiler)


def _attempt(
    cell: Any,
    params: Any,
    xs: Any,
    state: Any,
    valid: Tensor | None,
    reverse: bool,
    composed: Any,
    backend: Any,
) -> tuple[Any, Any] | str:
    """The result, or the reason why there is none."""
    if shows_every_op():
        return "anomaly mode looks at every op"
    p, x, s = Structure(params), _parts(xs), _parts(state)
    if any(t.backend is not backend for t in (*p.tensors, *x)):
        return "its tensors are on several backends"
    T, N = x[0].shape[:2]
    if T == 0 or N == 0:
        return "there are no steps, or no sequences"
    if valid is not None:
        x = (*x, valid)
    tensors = [*p.tensors, *x, *s]
    wanted = tuple(t._node is not None for t in tensors)
    tracked = grad_enabled.get() and any(wanted)
    made = _planned(cell, p, params, xs, x, state, wanted, backend)
    if isinstance(made, str):
        return made
    arrays = [backend.contiguous(t._data) for t in tensors]
    if tracked:
        run = Fused(made, arrays, T, reverse, keep=True)
        node = _node(run, tensors, backend)
        inputs = [t for t in tensors if t is not valid]

        def again(*inputs: Tensor) -> Any:
            rest = iter(inputs)
            given = p.rebuild([next(rest) for _ in p.tensors])
            ys, last = composed(
                given, _like(xs, [next(rest) for _ in _parts(xs)]), _like(state, rest)
            )
            return (*_parts(ys), *_parts(last))

        node.settings = (again, tuple((t._data, t._node) for t in inputs))
        outs = [
            Tensor(y, backend, Output(node, i, y) if differentiable else None)
            for i, (y, differentiable) in enumerate(
                zip((*run.ys, *run.last), made.differentiable, strict=True)
            )
        ]
    else:
        node = None
        first = len(p.tensors)
        ys, last = _in_chunks(
            made, arrays[:first], arrays[first : first + len(x)], arrays[first + len(x) :], reverse
        )
        outs = [Tensor(y, backend) for y in (*ys, *last)]
    for observe in observers:
        observe(_SCAN, node, arrays, [t._data for t in outs], backend)
    count = len(made.program.ys)
    return _like(made.program.ys_like, outs[:count]), _like(state, outs[count:])


def _in_chunks(
    plan: Plan, params: list[Any], xs: list[Any], state: list[Any], reverse: bool
) -> tuple[list[Any], list[Any]]:
    """The scan without gradients, some thousand steps at a time."""
    xp, T = plan.xp, xs[0].shape[0]
    ys: list[Any] = []
    starts = range(0, T, _CHUNK)
    for start in reversed(starts) if reverse else starts:
        steps = [x[start : start + _CHUNK] for x in xs]
        run = Fused(plan, [*params, *steps, *state], len(steps[0]), reverse, keep=False)
        if len(starts) == 1:
            return run.ys, run.last
        ys = ys or [xp.empty((T, *y.shape[1:]), y.dtype) for y in run.ys]
        for whole, part in zip(ys, run.ys, strict=True):
            whole[start : start + _CHUNK] = part
        state = run.last
    return ys, state


def _node(run: Fused, tensors: Sequence[Tensor], backend: Any) -> Node:
    """The scan's place in the graph."""
    node = Node()
    node.op, node.birth, node.backend, node.hooks = _SCAN, tick(), backend, None
    node.edges = tuple(t._node for t in tensors)
    node.shape = [y.shape for y in (*run.ys, *run.last)]
    node.dtype = next(y.dtype for y in (*run.ys, *run.last) if y.dtype.kind == "f")
    # The second order reads the inputs themselves, which may be laid out in another way.
    node.saved = (run, *run.arrays(), *(t._data for t in tensors))
    return node


def _backward(node: Node, saved: Any, g: Any, work: Any) -> None:
    again, given = node.settings
    if work.builds_graph:
        inputs = [wrap(array, node.backend, source) for array, source in given]
        replay(lambda: again(*inputs), g, node, work)
        return
    run, xp = saved[0], node.backend
    g = [
        xp.zeros(y.shape, y.dtype) if part is None else xp.contiguous(part)
        for part, y in zip(g, (*run.ys, *run.last), strict=True)
    ]
    count = len(run.ys)
    wanted = [i for i, edge in enumerate(node.edges) if edge in work.grads]
    for i, part in run.backward(g[:count], g[count:], wanted).items():
        edge = node.edges[i]
        assert edge is not None
        if part.shape != edge.shape:
            part = xp.reshape(part, edge.shape)
        if work.grads[edge] is None:
            work.grads[edge] = part
        else:
            work.add(edge, part)


_SCAN = PlainOp("scan", _backward)


# --- plans ---------------------------------------------------------------------------------


def _planned(
    cell: Any,
    p: Structure,
    params: Any,
    xs: Any,
    x: tuple[Tensor, ...],
    state: Any,
    wanted: tuple[bool, ...],
    backend: Any,
) -> Plan | str:
    """A plan for these arguments, made now or for an earlier call; or why there is none.

    `x` are the parts of `xs` and, behind them, which steps count, if not all do.
    """
    masked = len(x) > len(_parts(xs))
    key = _key(cell, p, xs, x, state, wanted, backend)
    made = _plans.get(key) if key is not None else None
    if made is None:
        one: Any = tuple(wrap(t._data[0], backend) for t in x)
        step = _masked(cell, xs) if masked else cell
        try:
            made = Plan(step, params, one if masked else _like(xs, one), state, backend, wanted)
        except Untraceable as refusal:
            made = str(refusal)
        except Exception as error:
            error.add_note(
                f"This happened while {_name(cell)} was compiled. MINIGRAD_FUSED=0 runs it without."
            )
            raise
        if key is not None:
            if len(_plans) >= _MOST_PLANS:
                del _plans[next(iter(_plans))]
            _plans[key] = made
    return made


def _key(
    cell: Any,
    p: Structure,
    xs: Any,
    x: tuple[Tensor, ...],
    state: Any,
    wanted: tuple[bool, ...],
    backend: Any,
) -> Any:
    """What a plan depends on; None if nobody can tell, and the cell is traced at each call."""
    try:
        told = identity(cell)
    except Unknown:
        return None
    if p.signature is None:
        return None
    one = [(t.shape[1:], t.dtype) for t in x]  # a plan serves any number of steps
    shapes = [(t.shape, t.dtype) for t in (*p.tensors, *_parts(state))]
    kinds = type(xs), type(state)
    return told, p.signature, kinds, (*one, *shapes), wanted, backend


def _masked(cell: Any, xs: Any) -> Any:
    """The cell for padded batches: where a step doesn't count it sees zeros and changes nothing."""

    def masked(p: Any, x_and_valid: Any, state: Any) -> Any:
        *x, valid = x_and_valid

        def only(a: Tensor, b: Any) -> Tensor:
            return where(reshape(valid, valid.shape + (1,) * (a.ndim - 1)), a, b)

        def or_zero(a: Tensor) -> Tensor:
            return only(a, False if a.dtype.kind == "b" else 0)

        y, new = cell(p, _like(xs, map(or_zero, x)), state)
        if _layout(new) != _layout(state):
            raise Untraceable("it returns a state of another structure, shape or dtype")
        carried = map(only, _parts(new), _parts(state))
        return _like(y, map(or_zero, _parts(y))), _like(new, carried)

    return masked
