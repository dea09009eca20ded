"""A run of benchmarks as tables of Markdown, as they stand in benchmarks/README.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby

from .record import Line, Record
from .significance import FEWEST_ROUNDS, median_spread

__all__ = ["tables_of"]

# What a number of a unit is written in: the largest that is not larger than the number.
_SCALES = {
    "s": ((1, "s"), (1e-3, "ms"), (0, "µs")),
    "bytes": ((2**20, "MB"), (0, "kB")),
    "count": ((0, ""),),
}
_SMALLEST = {"s": 1e-6, "bytes": 2**10, "count": 1}


def tables_of(record: Record) -> str:
    """A table per group, threads and unit: medians, with the spread in brackets.

    Above them stand the processor, the versions and the commit.
    """
    about = [
        ", ".join(f"{name} {value}" for name, value in record.versions.items()),
        f"{record.machine.get('cpu', 'unknown')}, {record.machine.get('cores', '?')} cores",
        f"commit {record.commit.get('id', 'unknown')[:12]}"
        + (", edited" if record.commit.get("edited") else ""),
    ]
    parts = ["; ".join(reversed(about)) + "; medians, and the spread of each.\n"]

    def kind(line: Line) -> tuple[str, int, str]:
        return line.group, line.threads, line.unit

    for (group, threads, unit), found in groupby(sorted(record.lines, key=kind), kind):
        more = f"{threads} thread{'s' * (threads > 1)}, {unit}"
        parts.append(f"### {group}: {more}\n\n{_table(list(found))}\n")
    return "\n".join(parts)


def _table(lines: Sequence[Line]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in line.values))
    rows = [["", *names], ["---"] * (1 + len(names))]
    for line in lines:
        size = "" if line.axis is None else f", {line.axis} = {line.at}"
        cells = (_cell(line.values.get(name), line.unit) for name in names)
        rows.append([line.name + size, *cells])
    return "\n".join(f"| {' | '.join(_escaped(row))} |" for row in rows)


def _cell(values: Sequence[float] | None, unit: str) -> str:
    """The median in a unit that fits, and its spread where there are rounds enough.

    >>> _cell([0.0021, 0.002, 0.0022, 0.002, 0.0021], "s")
    '2.1 ms (2 to 2.2)'
    """
    if values is None:
        return "-"
    middle = statistics.median(values)
    scale, word = next((s, w) for s, w in _SCALES[unit] if middle >= s)
    scale = scale or _SMALLEST[unit]
    said = f"{middle / scale:.3g} {word}".rstrip()
    if len(values) < FEWEST_ROUNDS:
        return said
    spread = median_spread(values)
    return f"{said} ({spread.low / scale:.3g} to {spread.high / scale:.3g})"


def _escaped(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
