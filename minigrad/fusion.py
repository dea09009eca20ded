"""Fused or composed: which way everything runs, and a count of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .engine.graph import on_call, probing
from .errors import FusionError
from .utils.settings import Variable, why_not_among

_counts: Counter[tuple[str, str, str, str]] = Counter()
_variable = Variable("MINIGRAD_FUSED", why_not_among(("0", "1", "require")))
_composing: ContextVar[bool] = ContextVar("composing", default=False)

# With fewer numbers in its largest input a function is composed: calling a kernel costs more than
# NumPy's ops. On a device each op is a kernel, and one is always less than several.
MIN_ELEMENTS_TO_FUSE = 16_384
TOO_SMALL = f"too little work (fewer than {MIN_ELEMENTS_TO_FUSE} numbers) for a kernel to be faster"
OP_BY_OP = "on this backend its ops are faster one by one"
NO_COMPILER = "the backend has no compiler"


def dispatch_counts() -> dict[tuple[str, str, str, str], int]:
    """How often scans, fused functions and updates ran since the last reset, and which way.

    The keys are (name, backend, "fused" or "composed", reason); the reason is empty if fused. For
    `per_example_grad` they say "batched" or "looped".

    >>> import minigrad as mg
    >>> mg.reset_dispatch_counts()
    >>> def add(p, x, total):
    ...     return total + x, total + x
    >>> _ = mg.scan(add, None, mg.ones((3, 2), backend="numpy"), mg.zeros(2, backend="numpy"))
    >>> mg.dispatch_counts()
    {('add', 'numpy', 'fused', ''): 1}
    """
    return dict(_counts)


def count(name: str, backend: Any, way: str, reason: str, times: int = 1) -> None:
    """Count a call, or several, that ran in a certain way."""
    _counts[name, backend.name, way, reason] += times


def reset_dispatch_counts() -> None:
    """Start counting anew; see `dispatch_counts`.

    >>> mg.reset_dispatch_counts()
    >>> mg.dispatch_counts()
    {}
    """
    _counts.clear()


@contextmanager
def composed() -> Iterator[None]:
    """Within, everything runs op by op, as with MINIGRAD_FUSED=0."""
    before = _composing.set(True)
    try:
        yield
    finally:
        _composing.reset(before)


def compiles(backend: Any) -> bool:
    """Whether a backend has a compiler; without one, minigrad does not import its own."""
    return getattr(backend, "compile_loop", None) is not None


def _choice() -> str:
    """Whether functions run as kernels: "0" is never, "1" where that is faster, or "require"."""
    return "0" if _composing.get() else _variable.get() or "1"


def dispatch(
    name: str,
    what: str,
    backend: Any,
    attempt: Callable[[bool], Any] | str,
    times: int = 1,
) -> Any:
    """What `attempt(required)` gives, or None if it is a reason to compose instead; and count it.

    `name` is what the counts call it, `what` what an error does. In place of an attempt there may
    be the reason at once. It counts as so many `times`.
    """
    choice = _choice()
    if choice == "0":
        outcome = "MINIGRAD_FUSED=0"
    elif isinstance(attempt, str):
        outcome = attempt
    else:
        outcome = attempt(choice == "require")
    if outcome.__class__ is not str:
        count(name, backend, "fused", "", times)
        return outcome
    if choice == "require":
        raise FusionError(
            f"MINIGRAD_FUSED=require, but {what} on backend {backend.name!r} can't be fused: "
            f"{outcome}"
        )
    count(name, backend, "composed", outcome, times)
    return None


def why_no_kernel(numbers: int | None, backend: Any) -> str:
    """Why no kernel runs for so many numbers, if that is known; or nothing.

    There is none without a compiler; on the host it may be no faster. On a device it always is.
    """
    if getattr(backend, "compile_loop", None) is None:
        return NO_COMPILER
    if not backend.is_host:
        return ""
    if getattr(backend, "loops_only", False):
        return OP_BY_OP
    return TOO_SMALL if numbers is not None and numbers < MIN_ELEMENTS_TO_FUSE else ""


def is_composed(
    name: str, numbers: int | None, backend: Any, times: int = 1, what: str | None = None
) -> bool:
    """Whether a function of so many numbers is composed in any case; then it is counted as such.

    Calls of it may be as many as `times`, each of at most so many numbers.
    """
    reason = why_no_kernel(numbers, backend)
    if not reason:
        return False
    choice = _choice()
    if choice == "require":
        if reason is not NO_COMPILER:
            return False
        dispatch(name, what or name, backend, reason)  # an error
    count(name, backend, "composed", reason if choice == "1" else "MINIGRAD_FUSED=0", times)
    return True


def why_composed() -> str:
    """Why no kernel may run here, as it would pass over what is looked at; or nothing."""
    if on_call and (reason := on_call.why_composed()):
        return reason
    asks = probing.get()
    return "" if asks is None else asks.why_composed()


# Arguments of these classes hold no tensors.
PLAIN = frozenset({int, float, bool, str, type(None)})


class FusedFunction:
    """What `fuse` makes of a function: it may run as one kernel; see `fuse.py` for the call."""

    function: Callable[..., Any]
    name: str
    op: Any = None  # what the graph calls it, once it has run as a kernel
