"""Which backends there are, which of them work here, and who chose the current one.

`minigrad doctor` prints `table()` (or `report()` as JSON) and exits with `exit_code()`.
"""

from __future__ import annotations

import os
from typing import Any

from .engine.creation import tensor
from .engine.registry import (
    available_backends,
    chosen_by,
    current_backend,
    get_backend,
    how_to_install,
)
from .errors import BackendError
from .fusion import compiles
from .utils.settings import SettingError, wrong_settings

__all__ = ["exit_code", "report", "table"]


def report() -> list[dict[str, Any]]:
    """One dict per known backend, by name; every one is loaded and tried, and none can crash this.

    Keys: name, available (it computes a gradient here), why (the reason if not, else None),
    version (of the array library), device, fuses (what it has kernels for; else None), memory (of a
    device: what it has and what is in use, in bytes; else None), lines (what the table says of the
    device), install (what to type if it is not available; else None), current (whether new tensors
    are made on it), chosen_by (who says so: "use_backend", "set_backend", "MINIGRAD_BACKEND" or
    "default"; None if it is not the current one).

    A current backend that is not even known, as by a misspelt `MINIGRAD_BACKEND`, has a dict, too.

    >>> from minigrad import doctor
    >>> [row["available"] for row in doctor.report() if row["name"] == "numpy"]
    [True]
    """
    try:
        current = current_backend().name
    except BackendError:
        current = os.environ.get("MINIGRAD_BACKEND", "")
    names = available_backends()
    if current not in names:
        names = [*names, current]
    return [_examine(name, name == current) for name in names]


def _examine(name: str, current: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "available": False,
        "why": None,
        "version": None,
        "device": None,
        "fuses": None,
        "memory": None,
        "lines": [],
        "install": how_to_install(name),
        "current": current,
        "chosen_by": chosen_by() if current else None,
    }
    try:
        backend = get_backend(name)
        module = getattr(backend, "xp", None)
        found["version"] = getattr(backend, "version", None) or getattr(module, "__version__", None)
        found["device"] = backend.device
        if compiles(backend):
            loops_only = getattr(backend, "loops_only", False)
            found["fuses"] = "scans" if loops_only else "scans, functions and updates"
        _try(backend)
        found["memory"] = getattr(backend, "memory", lambda: None)()
        found["lines"] = list(getattr(backend, "doctor_lines", list)())
        found["available"], found["install"] = True, None
    except Exception as error:  # the report says whatever a plugin does wrong
        found["why"] = f"{error}"
        found["install"] = getattr(error.__cause__, "hint", None) or found["install"]
        if isinstance(error, SettingError):  # there is nothing to install
            found["install"] = None
    return found


def _try(backend: Any) -> None:
    """A gradient: the first thing that fails where a driver or a device is missing."""
    x = tensor([1.0, 2.0], requires_grad=True, backend=backend)
    (x * x).sum().backward()
    if x.grad is None or x.grad.tolist() != [2.0, 4.0]:
        raise BackendError(f"the gradient of x * x at [1, 2] comes out as {x.grad}")


def table(rows: list[dict[str, Any]] | None = None) -> str:
    """The report as text: a line per backend, with the reason and the cure below if it fails.

    At its end stand environment variables that are set to what they can't be, or misspelt.
    """
    rows = report() if rows is None else rows
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        mark = "*" if row["current"] else " "
        state = "works" if row["available"] else "not available"
        details = " ".join(filter(None, [row["version"], f"on {row['device']}"]))
        lines.append(
            f"{mark} {row['name']:{width}}  {state}"
            + (f": {details}" if row["device"] else "")
            + (f"; fuses {row['fuses']}" if row["fuses"] else "")
        )
        lines += [f"      {line}" for line in row["lines"]]
        if row["why"]:
            lines.append(f"      {row['why']}")
        if row["why"] and row["install"] and row["install"] not in row["why"]:
            lines.append(f"      {row['install']}")
    for row in rows:
        if row["current"] and row["available"]:
            lines.append(f"* new tensors are made on {row['name']!r}, chosen by {row['chosen_by']}")
        elif row["current"]:
            lines.append(
                f"* {row['name']!r}, chosen by {row['chosen_by']}, does not work here: no tensors "
                "can be made until another backend is chosen"
            )
    lines += [f"! {sentence}" for sentence in wrong_settings()]
    return "\n".join(lines)


def exit_code(rows: list[dict[str, Any]] | None = None) -> int:
    """0 if the current backend works and no environment variable is wrong, else 1."""
    rows = report() if rows is None else rows
    works = any(row["current"] and row["available"] for row in rows)
    return 0 if works and not any(wrong_settings()) else 1
