"""Pieces of HTML that notebooks show: small heat maps and curves, and texts that unfold.

Colours of lines and letters are those of the page, so that they suit a dark one, too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .svg import Value, add, document, written

__all__ = ["curves", "folded", "heat_map", "shown_text"]

# Of pictures: colours of the page, and no wider than a phone.
_ROOT: dict[str, Value] = {
    "role": "img",
    "fill": "currentColor",
    "style": "max-width:100%;height:auto",
}
_ROWS, _COLUMNS = 24, 60  # cells of a heat map at most
_FEW = 30  # columns that may be wide
ORANGE, BLUE = "#e8792b", "#3a7bd5"
_LINES = ("#3a7bd5", "#e8792b", "#2a9d61", "#b04fc4")


def heat_map(values: np.ndarray, title: str = "") -> str:
    """SVG of an array: orange above 0, blue below, full at the largest number; NaN is crossed out.

    Arrays of other than two axes become rows of their last one; of large ones it shows every k-th
    row and column, and says so.

    >>> picture = heat_map(np.array([[1.0, -2.0], [0.0, float("nan")]]), "w")
    >>> picture.count("<rect"), "w, from -2 to 1, one is NaN" in picture
    (4, True)
    """
    array = np.atleast_1d(np.asarray(values, float))
    rows = array.reshape(-1, array.shape[-1]) if array.size else np.zeros((0, 0))
    steps = [
        max(1, -(-size // most)) for size, most in zip(rows.shape, (_ROWS, _COLUMNS), strict=True)
    ]
    shown = rows[:: steps[0], :: steps[1]]
    finite = rows[np.isfinite(rows)]
    largest = float(np.abs(finite).max(initial=0)) or 1.0
    said = [title] if title else []
    if finite.size:
        said.append(f"from {finite.min():.3g} to {finite.max():.3g}")
    for name, count in (("NaN", np.isnan(rows).sum()), ("infinite", np.isinf(rows).sum())):
        if count:
            said.append(f"one is {name}" if count == 1 else f"{count:,} are {name}")
    if steps != [1, 1]:
        kinds = zip(("row", "column"), steps, strict=True)
        said.append("every " + " and every ".join(f"{_th(k)} {kind}" for kind, k in kinds if k > 1))
    size = 12.0 if shown.shape[1] <= _FEW else 8.0
    width = max(size * shown.shape[1] + 4, 7.0 * len(", ".join(said)))
    picture = document(0.0, 0.0, width, size * shown.shape[0] + 22, **_ROOT)
    picture.set("aria-label", ", ".join(said))
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            place: dict[str, Any] = {"x": 1 + j * size, "y": 1 + i * size}
            wrong = not math.isfinite(value)
            strength = 0.0 if wrong else abs(value) / largest
            add(
                picture,
                "rect",
                **place,
                width=size - 1,
                height=size - 1,
                fill="none" if wrong else ORANGE if value > 0 else BLUE,
                fill_opacity=f"{0.06 + 0.94 * strength:.2f}",
                stroke="currentColor" if wrong else "none",
            )
            if wrong:
                add(picture, "text", "×", **{**place, "y": place["y"] + size - 3}, font_size=11)
    below = size * shown.shape[0] + 16
    add(picture, "text", ", ".join(said), x=1, y=below, font_size=11, font_family="sans-serif")
    return written(picture)


def _th(k: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(k, f"{k}th")


def curves(lines: Mapping[str, Sequence[float]], title: str = "") -> str:
    """SVG of curves over 1, 2, ...: their names stand at their ends, with the last value.

    >>> picture = curves({"loss": [1.0, 0.5, 0.25]}, "training")
    >>> picture.count("<polyline"), "loss 0.25" in picture
    (1, True)
    """
    width, height, right = 360.0, 130.0, 150.0
    found = [v for line in lines.values() for v in line if math.isfinite(v)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    span, most = (high - low) or 1.0, max((len(line) for line in lines.values()), default=1)
    picture = document(0.0, 0.0, width + right, height + 40, **_ROOT)
    picture.set("aria-label", f"{title}: " + "; ".join(_ended(*line) for line in lines.items()))
    add(picture, "text", title, x=2, y=14, font_size=12, font_family="sans-serif")
    box: dict[str, Any] = {"x": 2.0, "y": 22.0, "width": width - 4, "height": height}
    add(picture, "rect", **box, fill="none", stroke="currentColor", stroke_opacity="0.3")
    for i, (name, line) in enumerate(lines.items()):
        colour = _LINES[i % len(_LINES)]
        places = [
            (6 + (width - 12) * t / max(most - 1, 1), 18 + height - (height - 8) * (v - low) / span)
            for t, v in enumerate(line)
            if math.isfinite(v)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        add(picture, "polyline", points=points, fill="none", stroke=colour, stroke_width=2)
        place: dict[str, Any] = {"x": width + 6, "y": 34.0 + 16 * i}
        said = _ended(name, line)
        add(picture, "text", said, **place, font_size=12, font_family="sans-serif", fill=colour)
    return written(picture)


def _ended(name: str, line: Sequence[float]) -> str:
    return f"{name} {line[-1]:.4g}" if len(line) else f"{name}: nothing yet"


def folded(summary: str, content: str, *, unfolded: bool = False) -> str:
    """HTML that unfolds: a line of text, and HTML below it.

    >>> folded("2 < 3", "<b>so</b>")
    '<details><summary>2 &lt; 3</summary><b>so</b></details>'
    """
    how = " open" if unfolded else ""
    return f"<details{how}><summary>{html.escape(summary)}</summary>{content}</details>"


def shown_text(text: str) -> str:
    """A text of several lines as HTML.

    >>> shown_text("a < b")
    '<pre style="margin:0;overflow-x:auto">a &lt; b</pre>'
    """
    return f'<pre style="margin:0;overflow-x:auto">{html.escape(text)}</pre>'
