"""A run of benchmarks as one page of plots, with all they need in it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from minigrad.utils.install import install_line

from .growth import growths, verdict
from .record import Line, Record
from .significance import FEWEST_ROUNDS, median_spread, ranking
from .summary import standings

__all__ = ["page_of"]

_STYLE = """
:root { color-scheme: light dark; overflow-y: scroll }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: light-dark(#222, #ddd); background: light-dark(#fff, #161616) }
table { border-collapse: collapse } td, th { padding: .1rem 1rem .1rem 0; vertical-align: top;
  text-align: left }
.wide { overflow-x: auto }
"""
# Plots have their colours in themselves: they follow the system's choice of light or dark.
_SCRIPT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const ink = dark.matches ? "#ddd" : "#222", grid = dark.matches ? "#444" : "#ddd";
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    Plotly.relayout(plot, {"font.color": ink, "xaxis.gridcolor": grid, "yaxis.gridcolor": grid,
      "xaxis.tickfont.color": ink, "yaxis.tickfont.color": ink});
    const floors = plot.data.flatMap((trace, i) => trace.name.endsWith("(floor)") ? [i] : []);
    if (floors.length)
      Plotly.restyle(plot, {"marker.color": ink, "line.color": ink, "error_x.color": ink}, floors);
  }
}
dark.addEventListener("change", paint);
paint();
"""
_TITLES = {"s": "seconds", "bytes": "bytes", "count": "how many"}
_FLOOR = {"symbol": "line-ns-open", "size": 20, "color": "black", "line": {"width": 3}}
_LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}
_CLEAR = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}


def page_of(record: Record) -> str:
    """The page, as HTML that needs no other file and no network.

    At its top stands how minigrad compares with PyTorch. Each group has a plot: a row per line, a
    point per contender at its median, with its spread as a bar; the floor, what NumPy alone takes,
    is a black stroke. Where a line was measured at several sizes (`Line.axis`), the plot shows how
    its cost grows, and a table the slopes. Under it stands the ranking, with ≈ where no difference
    can be seen.

    Raises ImportError without plotly.
    """
    try:
        import plotly.io
    except ImportError as error:
        raise ImportError(f"plots need plotly; {install_line('learn')}") from error
    parts = [f"<h1>Benchmarks of minigrad</h1>{_about(record)}{_standings(record)}"]
    options = {"full_html": False, "config": {"responsive": True, "displayModeBar": False}}
    script: bool | str = True  # in the page once
    for (group, threads, unit), lines in _grouped(record.lines):
        more = "s" * (threads > 1)
        parts.append(f"<h2>{html.escape(group)}: {_TITLES[unit]}, {threads} thread{more}</h2>")
        for figure in _figures(lines):
            parts.append(plotly.io.to_html(figure, include_plotlyjs=script, **options))
            script = False
        parts += [_slopes(lines), _rankings(lines)]
    if not script:
        parts.append(f"<script>{_SCRIPT}</script>")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += '<title>Benchmarks of minigrad</title><link rel="icon" href="data:,">'
    head += f"<style>{_STYLE}</style>"
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    )


def _rows(rows: Iterable[Iterable[str]], head: Iterable[str] = ()) -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    first = row(head, "th") if head else ""
    return f'<div class="wide"><table>{first}{body}</table></div>'


def _standings(record: Record) -> str:
    rows = [
        (
            *(each.group, str(each.threads), each.contender, f"{each.mean:.2f}"),
            *(f"{each.worst:.2f} to {each.best:.2f}", f"{each.lines}, {each.unclear} unclear"),
        )
        for each in standings(record)
    ]
    if not rows:
        return ""
    head = ("group", "threads", "", "geometric mean", "worst to best", "cases")
    return f"<h2>How many times as fast as PyTorch</h2>{_rows(rows, head)}"


def _slopes(lines: Iterable[Line]) -> str:
    found = growths(lines)
    if not found:
        return ""
    rows = [
        (
            *(f"{cell} by {axis}", name, f"{growth.slope.median:.2f}"),
            f"{growth.slope.low:.2f} to {growth.slope.high:.2f}",
        )
        for (cell, axis, _), contenders in found.items()
        for name, growth in contenders.items()
    ]
    said = html.escape(verdict(found))
    head = ("", "", "slope", "spread")
    return f"<p>1: twice the cost for twice the size. Verdict: {said}.</p>{_rows(rows, head)}"


def _about(record: Record) -> str:
    rows = []
    for name in ("machine", "versions", "commit", "settings"):
        said = ", ".join(f"{key}: {_text(value)}" for key, value in getattr(record, name).items())
        rows.append((name, said or "unknown"))
    return _rows(rows)


def _text(value: Any) -> str:
    if isinstance(value, str) and len(value) == 40:  # a commit
        return value[:12]
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
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
        height=200 + 44 * len(lines),
        margin={"l": 10, "r": 10, "t": 90},
        xaxis={**_axis(lines[0].unit), "type": "log" if logarithmic else "linear"},
        # Labels above their rows leave a narrow page all its width.
        yaxis={
            **{"range": [len(lines) - 0.4, -0.9], "ticklabelposition": "inside top"},
            **{"gridcolor": "#ddd", "zeroline": False},
        },
        hovermode="y unified",
        legend=_LEGEND,
        **_CLEAR,
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
        margin={"l": 10, "r": 10, "t": 110},
        title={"text": lines[0].name, "yref": "container", "y": 0.98, "yanchor": "top"},
        xaxis={"title": lines[0].axis, "type": "log", "zeroline": False},
        yaxis={**_axis(lines[0].unit), "type": "log", "zeroline": False},
        legend=_LEGEND,
        **_CLEAR,
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
    return f"<p>The fastest first; ≈ where no difference can be seen.</p>{_rows(rows)}"
