"""Fused or composed: which way everything runs, and a count of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .engine.graph import on_call, probing
from .errors import FusionError
from .utils.arguments import SettingError, Variable

_counts: Counter[tuple[str, str, str, str]] = Counter()
_variable = Variable("MINIGRAD_FUSED")

# With fewer numbers in its largest input a function is composed: calling a kernel costs more than
# NumPy's ops. On a device each op is a kernel, and one is always less than several.
MIN_ELEMENTS_TO_FUSE = 16_384
TOO_SMALL = f"too little work (fewer than {MIN_ELEMENTS_TO_FUSE} numbers) for a kernel to be faster"


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
    {('add', 'numpy', 'composed', 'the backend has no compiler'): 1}
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


def compiles(backend: Any) -> bool:
    """Whether a backend has a compiler; without one, minigrad does not import its own."""
    return getattr(backend, "compile_loop", None) is not None


def dispatch(
    name: str,
    what: str,
    backend: Any,
    attempt: Callable[[bool], Any] | None,
    times: int = 1,
) -> Any:
    """What `attempt(required)` gives, or None if it is a reason to compose instead; and count it.

    `name` is what the counts call it, `what` what an error does. There is no attempt if the backend
    has no compiler. It counts as so many `times`.
    """
    choice = _variable.get() or "1"
    if choice not in ("0", "1", "require"):
        raise SettingError(f"MINIGRAD_FUSED is 0, 1 or require; got {choice!r}")
    if choice == "0":
        outcome = "MINIGRAD_FUSED=0"
    elif attempt is None:
        outcome = "the backend has no compiler"
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


def is_worth_a_kernel(numbers: int, backend: Any) -> bool:
    """Whether a kernel for so many numbers does; on a device it always does."""
    return numbers >= MIN_ELEMENTS_TO_FUSE or not backend.is_host


def is_composed(
    name: str, numbers: int, backend: Any, times: int = 1, what: str | None = None
) -> bool:
    """Whether a function of so many numbers is composed in any case; then it is counted as such.

    Calls of it may be as many as `times`, each of at most so many numbers.
    """
    attempt = None
    if compiles(backend):
        if is_worth_a_kernel(numbers, backend) or _variable.get() == "require":
            return False
        attempt = _too_small
    dispatch(name, what or name, backend, attempt, times)
    return True


def _too_small(required: bool) -> str:
    return TOO_SMALL


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
