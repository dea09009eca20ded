"""The table as a whole: rows by name."""

from __future__ import annotations

from collections.abc import Iterable

from . import formulas, tensors, training
from .rows import Row, rows_of

GROUPS: dict[str, list[Row]] = {
    title: list(rows_of(text))
    for groups in (tensors.GROUPS, formulas.GROUPS, training.GROUPS)
    for title, text in groups.items()
}
"""The rows in the order of the page."""

_ANYWHERE = ("torch.", "x.", "F.")  # where a name is that begins with `*.`


def _by_name() -> dict[str, Row]:
    named = [(name, row) for rows in GROUPS.values() for row in rows for name in row.names]
    found: dict[str, Row] = {}
    for name, row in named:
        found.setdefault(name, row)
    for name, row in named:
        if name.startswith("*."):
            for where in _ANYWHERE:
                found.setdefault(where + name.removeprefix("*."), row)
    return found


ROWS = _by_name()
"""Each row by each of its names."""


def look_up(places: Iterable[str], path: list[str]) -> tuple[Row, str] | None:
    """The row for a name in one of some places, such as `torch.`, and the part of it that it has.

    `path` is the name and the attributes that were asked of it; the more of it a row has, the
    better.

    >>> row, name = look_up(["optim."], ["lr_scheduler", "StepLR"])
    >>> name, row.ours
    ('lr_scheduler', 'mg.optim.StepLR(optimizer, step_size=10)')
    """
    for count in range(len(path), 0, -1):
        name = ".".join(path[:count])
        for place in places:
            if (row := ROWS.get(place + name)) is not None:
                return row, name
    return None


def names_in(places: Iterable[str]) -> set[str]:
    """The names without a dot that some places have."""
    starts = tuple(places)
    return {
        name[len(start) :]
        for name in ROWS
        for start in starts
        if name.startswith(start) and "." not in name[len(start) :]
    }
