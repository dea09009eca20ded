"""Vectors as rows of coloured boxes with their numbers in them, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor

from ...utils.rich import BLUE, ORANGE
from ...utils.svg import add, document, written

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
    found = {name: _numbers(row) for name, row in rows.items()}
    width = left + _WIDTH * max((len(row) for row in found.values()), default=0) + 4
    height = (_HEIGHT + 6) * len(found) + 4
    style: dict[str, Any] = {"fill": "currentColor", "font_family": "monospace", "font_size": 13}
    picture = document(0, 0, width, height, role="img", **style)
    picture.set("style", f"min-width:{0.78 * width:.0f}px")  # narrower pages scroll it
    said = (f"{name}: {' '.join(f'{v:.2f}' for v in row)}" for name, row in found.items())
    picture.set("aria-label", "; ".join(said))
    for i, (name, row) in enumerate(found.items()):
        y = 2 + i * (_HEIGHT + 6)
        add(picture, "text", name, x=2, y=y + 20)
        for j, value in enumerate(row):
            x = left + j * _WIDTH
            box: dict[str, Any] = {"x": x, "y": y, "width": _WIDTH - 4, "height": _HEIGHT, "rx": 4}
            strength = f"{0.08 + 0.47 * min(abs(value) / largest, 1.0):.2f}"
            add(picture, "rect", **box, fill=ORANGE if value > 0 else BLUE, fill_opacity=strength)
            middle = x + _WIDTH // 2 - 2
            add(picture, "text", f"{value:.2f}", x=middle, y=y + 20, text_anchor="middle")
        if name in marked:
            frame: dict[str, Any] = {
                "x": left - 4,
                "y": y - 1,
                "width": _WIDTH * len(row) + 4,
                "rx": 6,
            }
            line: dict[str, Any] = {"fill": "none", "stroke": "currentColor", "stroke_width": 2}
            add(picture, "rect", **frame, height=_HEIGHT + 2, **line)
    return written(picture)


def _numbers(row: Any) -> np.ndarray:
    return np.asarray(row.numpy() if isinstance(row, Tensor) else row, float).reshape(-1)
