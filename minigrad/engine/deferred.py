"""Errors that a device finds: they stay there, and are raised when the host reads numbers.

To ask a device whether something is wrong means to wait until it has done all that was asked
before. A check on a device leaves its answer there instead, and the next `numpy()`, `item()` or the
like of any tensor there reads all the answers. Until then results may be wrong.
"""

from __future__ import annotations

from typing import Any

_MOST = 10_000  # answers that may wait; each keeps a little memory on its device

_pending: list[tuple[Any, Any, Exception]] = []  # backend, raw truth value there, what to raise


def defer(wrong: Any, backend: Any, error: Exception) -> None:
    """Raise `error` if `wrong` holds: now if it is a Python bool, later if it is on a device."""
    try:
        if isinstance(wrong, bool):
            if wrong:
                raise error
            return
        _pending.append((backend, wrong, error))
    finally:
        del error  # which refers to this frame once it is raised: a cycle that keeps graphs alive
    if len(_pending) >= _MOST:
        raise_pending(backend)


def raise_pending(backend: Any) -> None:
    """Read all answers on a backend, and raise the error of the first that says so."""
    if backend.is_host:
        return
    waiting = [(wrong, error) for other, wrong, error in _pending if other is backend]
    _pending[:] = [noted for noted in _pending if noted[0] is not backend]
    error = next((error for wrong, error in waiting if backend.to_host(wrong)), None)
    waiting.clear()
    if error is None:
        return
    error.add_note(
        f"The error happened earlier on device {backend.name!r}; it is reported now, when results "
        "are read."
    )
    try:
        raise error
    finally:
        del error  # as above
