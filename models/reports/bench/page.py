"""A run of benchmarks as one page of plots, with all they need in it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from minigrad.utils.install import install_line

from .record import Line, Record
from .significance import FEWEST_ROUNDS, median_spread, ranking

__all__ = ["page_of"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
"""
_TITLES = {"s": "seconds", "bytes": "bytes", "count": "how many"}
_FLOOR = {"symbol": "line-ns-open", "size": 20, "color": "black", "line": {"width": 3}}


def page_of(record: Record) -> str:
    """The page, as HTML that needs no other file and no network.

    Each group has a plot: a row per line, a point per contender at its median, with its spread as
    a bar; the floor, what NumPy alone takes, is a black stroke. Where a line was measured at
    several sizes (`Line.axis`), the plot shows how its cost grows. Under it stands the ranking,
    with ≈ where no difference can be seen.

    Raises ImportError without plotly.
    """
    try:
        import plotly.io
    except ImportError as error:
        raise ImportError(f"plots need plotly; {install_line('learn')}") from error
    parts = [f"<h1>Benchmarks of minigrad</h1>{_about(record)}"]
    script: bool | str = True  # in the page once
    for (group, threads, unit), lines in _grouped(record.lines):
        more = "s" * (threads > 1)
        parts.append(f"<h2>{html.escape(group)}: {_TITLES[unit]}, {threads} thread{more}</h2>")
        for figure in _figures(lines):
            parts.append(plotly.io.to_html(figure, full_html=False, include_plotlyjs=script))
            script = False
        parts.append(_rankings(lines))
    head = f'<meta charset="utf-8"><title>Benchmarks of minigrad</title><style>{_STYLE}</style>'
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    )


def _about(record: Record) -> str:
    rows = []
    for name in ("machine", "versions", "commit", "settings"):
        said = ", ".join(f"{key}: {_text(value)}" for key, value in getattr(record, name).items())
        rows.append(f"<tr><td>{name}</td><td>{html.escape(said or 'unknown')}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "as usual" if value is None else str(value)


def _grouped(lines: Iterable[Line]) -> list[tuple[tuple[str, int, str], list[Line]]]:
    def kind(line: Line) -> tuple[str, int, str]:
        return line.group, line.threads, line.unit

    return [(key, list(found)) for key, found in groupby(sorted(lines, key=kind), kind)]


def _figures(lines: list[Line]) -> list[Any]:
    growing = [line for line in lines if line.axis is not None]
    plain = [line for line in lines if line.axis is None]
    series = groupby(growing, lambda line: (line.name, line.axis))
    return [*([_points(plain)] if plain else []), *(_growth(list(found)) for _, found in series)]


def _points(lines: list[Line]) -> Any:
    """A row per line, a point per contender."""
    import plotly.graph_objects as go

    figure = go.Figure()
    names = dict.fromkeys(name for line in lines for name in line.values)
    for name in names:
        having = [line for line in lines if name in line.values]
        is_floor = [name == line.floor for line in having]
        figure.add_scatter(
            **_spreads([line.values[name] for line in having], "x"),
            y=[line.name for line in having],
            mode="markers",
            marker=_FLOOR if all(is_floor) else {"size": 9},
            name=f"{name} (floor)" if all(is_floor) else name,
        )
    logarithmic = all(min(v) > 0 for line in lines for v in line.values.values())
    figure.update_layout(
        height=160 + 26 * len(lines),
        margin={"l": 10, "t": 20},
        xaxis={**_axis(lines[0].unit), "type": "log" if logarithmic else "linear"},
        yaxis={"autorange": "reversed", "automargin": True},
        hovermode="y unified",
    )
    return figure


def _growth(lines: list[Line]) -> Any:
    """The cost against a size, both in logarithms."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name in dict.fromkeys(name for line in lines for name in line.values):
        having = [line for line in lines if name in line.values]
        is_floor = name == having[0].floor
        figure.add_scatter(
            **_spreads([line.values[name] for line in having], "y"),
            x=[line.at for line in having],
            mode="lines+markers",
            line={"color": "black", "dash": "dash"} if is_floor else {},
            name=f"{name} (floor)" if is_floor else name,
        )
    figure.update_layout(
        title=lines[0].name,
        xaxis={"title": lines[0].axis, "type": "log"},
        yaxis={**_axis(lines[0].unit), "type": "log"},
    )
    return figure


def _axis(unit: str) -> dict[str, Any]:
    """An axis with numbers as 10 ms and 3 MB."""
    suffix = {"s": "s", "bytes": "B", "count": ""}[unit]
    return {"title": _TITLES[unit], "ticksuffix": suffix, "exponentformat": "SI"}


def _spreads(rounds: list[list[float]], axis: str) -> dict[str, Any]:
    """Medians along an axis, with their spread as error bars where there are rounds enough."""
    medians, above, below = [], [], []
    for values in rounds:
        if len(values) < FEWEST_ROUNDS:
            middle = sorted(values)[len(values) // 2]
            low = high = middle
        else:
            spread = median_spread(values)
            low, middle, high = spread.low, spread.median, spread.high
        medians.append(middle)
        above.append(high - middle)
        below.append(middle - low)
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {axis: medians, f"error_{axis}": bars}


def _rankings(lines: list[Line]) -> str:
    """In words, the fastest first, for what took turns often enough."""
    rows = []
    for line in lines:
        enough = line.paired and all(len(v) >= FEWEST_ROUNDS for v in line.values.values())
        if enough and line.axis is None and min(map(min, line.values.values())) > 0:
            rows.append((line.name, ranking(line.values)))
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(said)}</td></tr>" for name, said in rows
    )
    return f"<p>The fastest first; ≈ where no difference can be seen.</p><table>{cells}</table>"
