"""scan: a cell run over time.

What is here is the composition, a loop of ops. It is the definition of what `scan` computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .engine.filled import zeros
from .engine.graph import is_tracing, only_values, probing, scanning, tick, time_step
from .engine.spans import Span, note_span
from .engine.tensor import Tensor
from .engine.wrapping import alias, apart
from .fusion import NO_COMPILER, compiles, dispatch, is_composed
from .nested import describe, layout_of, name_of, parts_of, rebuild
from .ops import astype, reshape, stack, sum, unstack, where
from .recording.instrument import run_probed
from .recording.probes import Steps, place
from .valid_steps import ValidSteps

__all__ = ["scan", "step"]


def scan(
    cell: Callable[[Any, Any, Any], tuple[Any, Any]],
    params: Any,
    xs: Any,
    state: Any,
    lengths: Any = None,
    reverse: bool = False,
    mask: Any = None,
) -> tuple[Any, Any]:
    """Call `cell` once per time step, each time with the state that the last call returned.

    Parameters
    ----------
    cell : `cell(params, x, state) -> (y, state)`, a function of ops that never mixes
        sequences of a batch. x is one step of `xs`. y is a tensor (N, ...) or a tuple of them, and
        the new state has the structure, shapes and dtypes of the old one.
    params : what the cell reads; it gets this very object.
    xs : a tensor (T, N, ...) or a (named) tuple of them.
    state : the state before the first step: a tensor (N, ...) or a (named) tuple of them.
    lengths : for padded batches, N integers from 0 to T: how many steps of each sequence count.
        Beyond them the state is carried through unchanged, ys is zero, and whatever `xs` holds
        (NaN, too) touches neither results nor gradients: the cell is shown zeros instead.
    reverse : run from the last step to the first; each sequence from *its* last valid step.
    mask : in place of lengths, (T, N), true where a step counts: for padding on the left, or
        steps in between that are missing. What holds beyond the lengths holds for all others.

    Returns
    -------
    ys : the outputs, (T, N, ...) in the order of xs, in the structure of y.
    state : the state after each sequence's last step (its first one with `reverse`).

    With T = 0 the state comes back as it was, and ys is empty; the cell is called once, on zeros,
    for the shapes of its outputs.

    Raises
    ------
    TypeError : not tensors; lengths that aren't integers; a cell that doesn't return (y, state).
    ValueError : sizes that don't fit; lengths out of range; a state that changes its shape.

    Examples
    --------
    A running sum, of which every second sequence is shorter:

    >>> import minigrad as mg
    >>> def add(p, x, total):
    ...     total = total + p * x
    ...     return total, total
    >>> ys, last = mg.scan(add, 10.0, mg.ones((3, 2)), mg.zeros(2), lengths=[3, 1])
    >>> ys
    tensor([[10., 10.],
            [20.,  0.],
            [30.,  0.]])
    >>> last
    tensor([30., 10.])
    """
    T, N = _sizes(xs, state)
    shortest, valid = T, None
    if lengths is not None or mask is not None:
        steps = lengths
        if not isinstance(steps, ValidSteps):
            steps = ValidSteps(lengths, T, N, parts_of(xs)[0].backend, mask)
        shortest, valid = steps.shortest, steps.mask

    instead = scanning.get()
    if instead is not None:
        result: tuple[Any, Any] = instead(cell, params, xs, state, valid, reverse)
        return result
    backend, name = parts_of(state)[0].backend, name_of(cell)

    def run(cell: Any, xs: Any, instrument: Any) -> tuple[Any, Any]:
        def composed(params: Any, xs: Any, state: Any) -> tuple[Any, Any]:
            if instrument is None:
                return _compose(cell, params, xs, state, shortest, valid, reverse)
            called, xs = instrument.step_by_step(cell, xs, masked)
            return _compose(called, params, xs, state, shortest, valid, reverse)

        def masked(x: Tensor) -> Tensor:
            return x if valid is None else _choose(valid, x, _zero(x))

        def attempt(required: bool) -> Any:
            like = None if instrument is None else instrument.like
            call = _compiler().ScanCall
            given = cell, params, xs, state, valid, reverse, composed, backend, instrument, like
            return call(*given).attempt()

        way = attempt if compiles(backend) else NO_COMPILER
        fused = dispatch(name, f"a scan of {name}", backend, way)
        if fused is None:
            return composed(params, xs, state)
        if instrument is not None:
            instrument.remember()
        return fused

    if probing.get() is None:
        return run(cell, xs, None)
    known = None
    if compiles(backend):
        call = _compiler().ScanCall(cell, params, xs, state, valid, reverse, None, backend)
        known = _known_names()(call)
    return run_probed(run, cell, params, xs, state, known, valid=valid, reverse=reverse)


def step(cell: Callable[[Any, Any, Any], tuple[Any, Any]], params: Any, x: Any, state: Any) -> Any:
    """`cell(params, x, state)`, by kernels where that is possible and faster.

    x and state are tensors (N, ...), or tuples of them.

    >>> import minigrad as mg
    >>> def add(p, x, total):
    ...     return total + p * x, total + p * x
    >>> step(add, 10.0, mg.ones((2, 3)), mg.zeros((2, 3)))[1].shape
    (2, 3)
    """
    backend, name = parts_of(state)[0].backend, name_of(cell)
    inside = probing.get() is not None or scanning.get() is not None or is_tracing()
    if inside or is_composed(name, None, backend):
        return cell(params, x, state)

    def attempt(required: bool) -> Any:
        given = cell, params, x, state, None, False, cell, backend
        return _compiler().StepCall(*given, required=required).attempt()

    fused = dispatch(name, f"a step of {name}", backend, attempt)
    return cell(params, x, state) if fused is None else fused


@functools.cache
def _compiler() -> Any:
    """The compiler's side of it, loaded at the first scan on a backend that has one."""
    from .compiler import fused_scan

    return fused_scan


@functools.cache
def _known_names() -> Any:
    """Which cells' names are known, loaded at the first such scan that is recorded."""
    from .compiler.known_names import KnownNames

    return KnownNames


def _compose(
    cell: Callable[..., Any],
    params: Any,
    xs: Any,
    state: Any,
    shortest: int,
    valid: Tensor | None,
    reverse: bool,
) -> tuple[Any, Any]:
    """The loop, on arguments that have been checked; `valid` as in `ValidSteps.mask`."""
    inputs = parts_of(xs)
    T = inputs[0].shape[0]
    start = tick()
    if T == 0:
        nothing = rebuild(xs, [astype(sum(x, axis=0), x.dtype) for x in inputs])  # zeros (N, ...)
        with Steps(T, None):
            y, _ = _step(cell, params, nothing, state)
        return rebuild(y, [stack([part])[:0] for part in parts_of(y)]), apart(state)
    running = []
    if valid is not None:
        # Zeros in place of the padding, and not only its results dropped: the cotangents there
        # are 0, and 0 * NaN is NaN.
        inputs = tuple(_choose(valid, x, _zero(x)) for x in inputs)
        running = unstack(valid)
    steps = [rebuild(xs, parts) for parts in zip(*map(unstack, inputs), strict=True)]
    outputs: list[Any] = [None] * T
    began = []
    token = time_step.set(None)
    try:
        with Steps(T, valid, reverse) as scan:
            for t in reversed(range(T)) if reverse else range(T):
                time_step.set(t)
                scan.t = t
                began.append((t, tick()))
                y, new = _step(cell, params, steps[t], state)
                outputs[t] = parts_of(y)
                after = parts_of(new)
                if t >= shortest:
                    pairs = zip(after, parts_of(state), strict=True)
                    after = tuple(_choose(running[t], a, b) for a, b in pairs)
                state = rebuild(state, after)
    except Exception as error:
        error.add_note(
            f"This happened in {name_of(cell)} at time step {time_step.get()} of a scan."
        )
        raise
    finally:
        time_step.reset(token)
    if len({len(parts) for parts in outputs}) > 1:
        raise ValueError(
            f"scan: {name_of(cell)} returned more outputs in some steps than in others"
        )
    began.append((T, tick()))
    ys = [stack(parts) for parts in zip(*outputs, strict=True)]  # each (T, N, ...)
    if valid is not None:
        ys = [_choose(valid, part, _zero(part)) for part in ys]
    state = apart(state)
    where_it_is = place.get().removesuffix(".") or name_of(cell)
    note_span((ys, state), Span(start, tick(), where_it_is, steps=began))
    return rebuild(y, ys), state


def _step(cell: Callable[..., Any], params: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """One call of the cell, and an error that says what it must return if it doesn't."""
    token = only_values.set(True)
    try:
        x, old = rebuild(x, map(alias, parts_of(x))), rebuild(state, map(alias, parts_of(state)))
        result = cell(params, x, old)
    finally:
        only_values.reset(token)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            "scan: a cell must return a pair (y, state), its output and the state for the next "
            f"step; {name_of(cell)} returned {describe(result)}"
        )
    y, new = result
    n = parts_of(state)[0].shape[0]
    if any(not isinstance(part, Tensor) or part.shape[:1] != (n,) for part in parts_of(y)):
        raise TypeError(
            f"scan: the output of a cell must be a tensor ({n}, ...) or a tuple of them, with a "
            f"row per sequence; {name_of(cell)} returned {describe(y)}"
        )
    if isinstance(new, Tensor) != isinstance(state, Tensor) or layout_of(new) != layout_of(state):
        raise ValueError(
            "scan: a cell must return a state of the same structure, shapes and dtypes as it was "
            f"given, {describe(state)}; {name_of(cell)} returned {describe(new)}"
        )
    return y, new


# --- padding -------------------------------------------------------------------------------


def _choose(valid: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where valid, else b; `valid` has the leading axes of a."""
    return where(reshape(valid, valid.shape + (1,) * (a.ndim - valid.ndim)), a, b)


def _zero(like: Tensor) -> Tensor:
    return zeros((), like.dtype, backend=like.backend)  # a Python 0 would make integers of bools


def _sizes(xs: Any, state: Any) -> tuple[int, int]:
    """T and N, which all parts of xs and state agree on."""
    inputs, states = parts_of(xs), parts_of(state)
    for name, value, parts in (("xs", xs, inputs), ("state", state, states)):
        if not parts or not all(isinstance(part, Tensor) for part in parts):
            raise TypeError(
                f"scan: {name} must be a tensor or a tuple of tensors; got {describe(value)}"
            )
    leading = {x.shape[:2] for x in inputs}
    if len(leading) > 1 or len(min(leading)) < 2:
        raise ValueError(
            "scan: xs must be a tensor (T, N, ...), time first, or a tuple of them with the same T "
            f"and N; got {describe(xs)}"
        )
    ((T, N),) = leading
    for part in states:
        if part.shape[:1] != (N,):
            raise ValueError(
                f"scan: xs has {N} sequences ({describe(xs)}), so the state must have {N} rows; "
                f"got {describe(state)}"
            )
    return T, N
