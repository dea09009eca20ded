"""A run of benchmarks as tables of Markdown, as they stand in benchmarks/README.md."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from .growth import growths, verdict
from .record import Line, Record
from .significance import FEWEST_ROUNDS, Spread, median_spread
from .summary import standings

__all__ = ["BEGIN", "END", "about", "amount", "replaced", "tables_of"]

BEGIN, END = "<!-- tables of minigrad bench -->", "<!-- end of the tables -->"

# What a number of a unit is written in: the largest that is not larger than the number.
_SCALES = {
    "s": ((1, "s"), (1e-3, "ms"), (0, "µs")),
    "bytes": ((2**20, "MB"), (0, "kB")),
}
_SMALLEST = {"s": 1e-6, "bytes": 2**10}
_SAID = {"s": "time", "bytes": "memory", "count": "counts"}


def tables_of(record: Record) -> str:
    """How minigrad stands beside PyTorch, then a table per group, threads and unit, and slopes.

    Above them stand the processor, the versions and the commit. A cell has the median, with the
    spread in brackets.
    """
    parts = [textwrap.fill(f"{about(record)}.", 100) + "\n", *_standings(record)]

    def kind(line: Line) -> tuple[str, int, str]:
        return line.group, line.threads, line.unit

    plain = [line for line in record.lines if line.axis is None]
    for (group, threads, unit), found in groupby(sorted(plain, key=kind), kind):
        more = f"{threads} thread{'s' * (threads > 1)}"
        parts.append(f"### {group}: {_SAID[unit]}, {more}\n\n{_table(list(found))}\n")
    return "\n".join([*parts, *_slopes(record)])


def about(record: Record) -> str:
    """On what the run was made, in a line."""
    commit = f"commit {record.commit.get('id', 'unknown')[:12]}"
    return "; ".join(
        [
            commit + (", edited" if record.commit.get("edited") else ""),
            f"{record.machine.get('cpu', 'unknown')}, {record.machine.get('cores', '?')} cores",
            ", ".join(f"{name} {value}" for name, value in record.versions.items()),
        ]
    )


def replaced(text: str, tables: str) -> str:
    """The text, with the tables between the lines `BEGIN` and `END`.

    Raises ValueError if the two don't stand in it once each, in this order.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not (begin and end) or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"it must have the lines {BEGIN} and {END}, once each, in this order")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def _standings(record: Record) -> Iterable[str]:
    rows = [
        [
            *(each.group, str(each.threads), each.contender, f"{each.mean:.2f}"),
            *(f"{each.worst:.2f} to {each.best:.2f}", f"{each.lines}, {each.unclear} unclear"),
        ]
        for each in standings(record)
    ]
    if rows:
        head = ["group", "threads", "", "geometric mean", "worst to best", "cases"]
        yield (
            "How many times as fast as PyTorch (larger is faster; unclear: the spread is larger "
            f"than the difference):\n\n{_markdown([head, *rows])}\n"
        )


def _slopes(record: Record) -> Iterable[str]:
    found = growths(record.lines)
    if not found:
        return
    names = list(dict.fromkeys(name for contenders in found.values() for name in contenders))
    rows = []
    for (cell, axis, unit), contenders in found.items():
        cells = []
        for name in names:
            growth = contenders.get(name)
            cells.append("-" if growth is None else _slope(growth.slope))
        rows.append([f"{cell}, {_SAID[unit]} by {axis}", *cells])
    yield (
        "### growth: slopes (1: twice the cost for twice the size)\n\n"
        f"{_markdown([['', *names], *rows])}\n\nVerdict: {verdict(found)}.\n"
    )


def _slope(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def _table(lines: Sequence[Line]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in line.values))
    rows = [
        [line.name, *(amount(line.values.get(name), line.unit) for name in names)] for line in lines
    ]
    return _markdown([["", *names], *rows])


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(_escaped(row))} |" for row in lines)


def amount(values: Sequence[float] | None, unit: str) -> str:
    """The median in a unit that fits, and its spread where there are rounds enough.

    >>> amount([0.0021, 0.002, 0.0022, 0.002, 0.0021], "s")
    '2.1 ms (2 to 2.2)'
    >>> amount([9e-4, 9.1e-4, 9e-4, 9e-4, 0.0011], "s")
    '900 µs (900 to 1100)'
    >>> amount([3, 4, 4], "count")
    '11 in 3 rounds'
    """
    if values is None:
        return "-"
    if unit == "count":
        return f"{sum(values):g}" + f" in {len(values)} rounds" * (len(values) > 1)
    middle = statistics.median(values)
    scale, word = next((s, w) for s, w in _SCALES[unit] if middle >= s)
    scale = scale or _SMALLEST[unit]
    said = f"{_digits(middle / scale)} {word}"
    if len(values) < FEWEST_ROUNDS:
        return said
    spread = median_spread(values)
    return f"{said} ({_digits(spread.low / scale)} to {_digits(spread.high / scale)})"


def _digits(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def _escaped(cells: Iterable[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
