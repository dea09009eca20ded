"""Which way a scan runs: fused, by a generated kernel, or composed, as a loop of ops.

`MINIGRAD_FUSED` is 1 (fuse where it is possible, the default), 0 (never), or `require` (an error
that says why, where it isn't). `dispatch_counts()` tells what ran and, if composed, the reason.
"""

from __future__ import annotations

import os
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..derivatives import replay
from ..graph import Node, Output, PlainOp, grad_enabled, observers, tick
from ..ops import reshape, where
from ..tensor import Tensor, wrap
from .fused import Fused, Plan
from .structure import Structure
from .symbolic import Untraceable

_counts: Counter[tuple[str, str, str, str]] = Counter()
_plans: dict[Any, Plan | str] = {}
_CHUNK = 4096  # steps that a scan without gradients takes at a time, to bound its memory


class FusionError(RuntimeError):
    """MINIGRAD_FUSED=require, and a scan can't be fused."""


def dispatch_counts() -> dict[tuple[str, str, str, str], int]:
    """How often scans ran, by (name, backend, "fused" or "composed", reason)."""
    return dict(_counts)


def reset_dispatch_counts() -> None:
    """Start counting anew."""
    _counts.clear()


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
    name = getattr(cell, "__name__", type(cell).__name__)
    backend = Structure(state).tensors[0].backend
    choice = os.environ.get("MINIGRAD_FUSED", "1")
    if choice not in ("0", "1", "require"):
        raise ValueError(f"MINIGRAD_FUSED is 0, 1 or require; got {choice!r}")
    outcome = (
        "MINIGRAD_FUSED=0"
        if choice == "0"
        else _attempt(cell, params, xs, state, valid, reverse, composed, backend)
    )
    if isinstance(outcome, str):
        if choice == "require":
            raise FusionError(
                f"MINIGRAD_FUSED=require, but a scan of {name} on backend {backend.name!r} can't "
                f"be fused: {outcome}"
            )
        _counts[name, backend.name, "composed", outcome] += 1
        return None
    _counts[name, backend.name, "fused", ""] += 1
    return outcome


def _attempt(
    cell: Any,
    params: Any,
    xs: Any,
    state: Any,
    valid: Any,
    reverse: bool,
    composed: Any,
    backend: Any,
) -> tuple[Any, Any] | str:
    """The result, or the reason why there is none."""
    if getattr(backend, "compile_loop", None) is None:
        return "the backend has no compiler"
    if observers and any(o.__module__ == "minigrad.anomaly" for o in observers):
        return "anomaly mode looks at every op"
    p, x, s = Structure(params), Structure(xs), Structure(state)
    tensors = [*p.tensors, *x.tensors, *s.tensors]
    if any(t.backend is not backend for t in tensors):
        return "its tensors are on several backends"
    T, N = x.tensors[0].shape[:2]
    if T == 0 or N == 0:
        return "there are no steps, or no sequences"
    step: Any = cell
    if valid is not None:
        step, tensors = _masked(cell), [*p.tensors, *x.tensors, valid, *s.tensors]
    tracked = grad_enabled.get() and any(t._node is not None for t in tensors)
    wanted = tuple(tracked and t._node is not None for t in tensors)
    key = _key(cell, p, x, s, tensors, wanted, backend, valid is not None)
    made = _plans.get(key) if key is not None else None
    if made is None:
        one = x.rebuild([wrap(t._data[0], backend) for t in x.tensors])
        if valid is not None:
            one = (one, wrap(valid._data[0], backend))
        try:
            made = Plan(step, params, one, state, backend, wanted)
        except Untraceable as refusal:
            made = str(refusal)
        if key is not None:
            _plans[key] = made
    if isinstance(made, str):
        return made
    if tracked:
        return _remembered(made, backend, p, x, s, tensors, T, reverse, composed)
    ys, last = _in_chunks(made, backend, p, x, s, tensors, T, reverse)
    template = made.program
    return (
        template.ys_like.rebuild([wrap(y, backend) for y in ys]),
        s.rebuild([wrap(part, backend) for part in last]),
    )


def _masked(cell: Any) -> Any:
    """The cell for padded batches: where a step doesn't count it sees zeros and changes nothing."""

    def masked(p: Any, x_and_valid: Any, state: Any) -> Any:
        x, valid = x_and_valid

        def only(a: Tensor, b: Any) -> Tensor:
            return where(reshape(valid, valid.shape + (1,) * (a.ndim - 1)), a, b)

        shown = Structure(x)
        y, new = cell(p, shown.rebuild([only(t, 0) for t in shown.tensors]), state)
        outs, after, before = Structure(y), Structure(new), Structure(state)
        carried = [only(a, b) for a, b in zip(after.tensors, before.tensors, strict=True)]
        return outs.rebuild([only(t, 0) for t in outs.tensors]), after.rebuild(carried)

    return masked


def _in_chunks(
    made: Plan,
    xp: Any,
    p: Structure,
    x: Structure,
    s: Structure,
    tensors: Any,
    T: int,
    reverse: bool,
) -> tuple[list[Any], list[Any]]:
    """The scan without gradients, some thousand steps at a time."""
    first = len(p.tensors)
    count = len(tensors) - first - len(s.tensors)
    arrays = [xp.contiguous(t._data) for t in tensors]
    stepped = arrays[first : first + count]
    state = arrays[first + count :]
    starts = list(range(0, T, _CHUNK))
    parts = []
    for start in reversed(starts) if reverse else starts:
        steps = [a[start : start + _CHUNK] for a in stepped]
        run = Fused(made, [*arrays[:first], *steps, *state], len(steps[0]), reverse, keep=False)
        parts.append(run.ys)
        state = [xp.copy(part) for part in run.last]
    if reverse:
        parts.reverse()
    ys = (
        parts[0]
        if len(parts) == 1
        else [xp.concatenate(y, axis=0) for y in zip(*parts, strict=True)]
    )
    return ys, state


def _remembered(
    made: Plan,
    backend: Any,
    p: Structure,
    x: Structure,
    s: Structure,
    tensors: Any,
    T: int,
    reverse: bool,
    composed: Any,
) -> tuple[Any, Any]:
    """The scan with a node in the graph."""
    arrays = [backend.contiguous(t._data) for t in tensors]
    run = Fused(made, arrays, T, reverse, keep=True)
    outs = [*run.ys, *run.last]
    node = Node()
    node.op, node.birth, node.backend, node.hooks = _SCAN, tick(), backend, None
    node.edges = tuple(t._node for t in tensors)
    node.shape, node.dtype = [y.shape for y in outs], outs[0].dtype
    node.saved = (run, *run.arrays())
    given = [t for group in (p, x, s) for t in group.tensors]

    def again(*inputs: Tensor) -> Any:
        rest = iter(inputs)
        ys, last = composed(
            *(group.rebuild([next(rest) for _ in group.tensors]) for group in (p, x, s))
        )
        return (*Structure(ys).tensors, *Structure(last).tensors)

    node.settings = (again, tuple((t._data, t._node) for t in given))
    parts = [Tensor(y, backend, Output(node, i, y)) for i, y in enumerate(outs)]
    count = len(run.ys)
    return made.program.ys_like.rebuild(parts[:count]), s.rebuild(parts[count:])


def _backward(node: Node, saved: Any, g: Any, work: Any) -> None:
    again, given = node.settings
    if work.builds_graph:
        inputs = [wrap(array, node.backend, source) for array, source in given]
        replay(lambda: again(*inputs), g, node, work)
        return
    run = saved[0]
    xp = node.backend
    g = [xp.contiguous(part) for part in work.fill(g, node)]
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


# --- when a plan serves again --------------------------------------------------------------

_SIMPLE = (int, float, str, bytes, type(None))


def _key(
    cell: Any,
    p: Structure,
    x: Structure,
    s: Structure,
    tensors: Any,
    wanted: Any,
    backend: Any,
    masked: bool,
) -> Any:
    """What a plan depends on; None if that can't be told, and the cell is traced each time."""
    told = _told(cell)
    signatures = (p.signature, x.signature, s.signature)
    if told is None or None in signatures:
        return None
    first, last = len(p.tensors), len(tensors) - len(s.tensors)
    shapes = tuple(  # of one step: a plan serves any number of them
        (t.shape[1:] if first <= i < last else t.shape, t.dtype) for i, t in enumerate(tensors)
    )
    return told, signatures, shapes, wanted, backend.name, masked


def _told(cell: Any) -> Any:
    """All that a function's results depend on besides its arguments, as far as it is constant."""
    if not isinstance(cell, types.FunctionType):
        return None
    inner = []
    for held in cell.__closure__ or ():
        value = held.cell_contents
        part = value if isinstance(value, _SIMPLE) else _told(value)
        if part is None and value is not None:
            return None
        inner.append((type(value), part))
    defaults = cell.__defaults__ or ()
    if cell.__kwdefaults__ or not all(isinstance(value, _SIMPLE) for value in defaults):
        return None
    return cell.__code__, tuple(inner), defaults
