"""Vectors as rows of coloured boxes with their numbers in them, as SVG."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["boxes"]

_WIDTH, _HEIGHT, _LEFT = 54, 30, 150


def boxes(
    rows: Mapping[str, Any], *, marked: Sequence[str] = (), largest: float = 1.0, left: int = _LEFT
) -> str:
    """An SVG picture of vectors, each a row with its name: orange above 0, blue below.

    Colours are full at `largest`. Rows whose names are in `marked` have a frame: those that a
    step has just computed. Arrays of one axis, numbers or tensors; a row may have its own length.

    >>> picture = boxes({"h": [0.5, -1.0]}, marked=["h"])
    >>> picture.count("<rect"), "-1.00" in picture
    (3, True)
    """
    found = {
        name: np.asarray(getattr(row, "data", row), float).reshape(-1) for name, row in rows.items()
    }
    width = left + _WIDTH * max((len(row) for row in found.values()), default=0) + 4
    height = (_HEIGHT + 6) * len(found) + 4
    text = "; ".join(f"{name}: {' '.join(f'{v:.2f}' for v in row)}" for name, row in found.items())
    parts = [
        f"<svg viewBox='0 0 {width} {height}' width='{width}' role='img' font-size='13' "
        f"aria-label='{html.escape(text, True)}' fill='currentColor' "
        "font-family='ui-monospace, monospace'>"
    ]
    for i, (name, row) in enumerate(found.items()):
        y = 2 + i * (_HEIGHT + 6)
        parts.append(f"<text x='2' y='{y + 20}'>{html.escape(name)}</text>")
        for j, value in enumerate(row):
            x = left + j * _WIDTH
            strength = min(abs(value) / largest, 1.0)
            colour = "#e8792b" if value > 0 else "#3a7bd5"
            parts.append(
                f"<rect x='{x}' y='{y}' width='{_WIDTH - 4}' height='{_HEIGHT}' rx='4' "
                f"fill='{colour}' fill-opacity='{0.08 + 0.62 * strength:.2f}'/>"
                f"<text x='{x + _WIDTH / 2 - 2}' y='{y + 20}' text-anchor='middle'>"
                f"{value:.2f}</text>"
            )
        if name in marked:
            parts.append(
                f"<rect x='{left - 4}' y='{y - 1}' width='{_WIDTH * len(row) + 4}' rx='6' "
                f"height='{_HEIGHT + 2}' fill='none' stroke='currentColor' stroke-width='2'/>"
            )
    return "".join([*parts, "</svg>"])
