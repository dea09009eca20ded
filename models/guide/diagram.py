"""The inside of a cell as a picture: named boxes with their numbers, and arrows between, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from minigrad import Tensor

from ...utils.rich import BLUE, ORANGE
from ...utils.svg import add, document, written

__all__ = ["Box", "diagram"]

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 100, 52, 110, 82
_EDGE = 12  # room at the sides for arrows that pass other boxes


class Box(NamedTuple):
    """Where a box stands: its column and row, from 0, and how many columns it is wide."""

    column: float
    row: float
    span: int = 1


def diagram(
    places: Mapping[str, Box],
    arrows: Sequence[tuple[str, str]],
    values: Mapping[str, Any],
    *,
    marked: Sequence[str] = (),
) -> str:
    """An SVG picture of a computation: boxes by name, arrows from one to another below it.

    `values` holds arrays (H,), full colour at -1 and 1, for boxes that have
    some by now; an arrow is faint until both of its boxes do. Those in `marked` have a frame. A box
    that is never to have numbers, but stands for an act, has None.

    >>> places = {"a": Box(0, 0), "tanh": Box(0, 1)}
    >>> picture = diagram(places, [("a", "tanh")], {"a": [0.5, -1.0]}, marked=["a"])
    >>> picture.count("<rect"), "-1.00" in picture, "stroke-opacity" in picture
    (4, True, True)
    """
    columns = max(box.column + box.span for box in places.values())
    rows = 1 + max(box.row for box in places.values())
    width = 2 * _EDGE + _ACROSS * columns - (_ACROSS - _WIDTH)
    height = _DOWN * rows - (_DOWN - _HEIGHT) + 6
    style: dict[str, Any] = {"fill": "currentColor", "font_family": "sans-serif", "font_size": 11.5}
    picture = document(0, 0, width, height, role="img", **style)
    there = {
        name: np.asarray(v.numpy() if isinstance(v, Tensor) else v, float).reshape(-1)
        for name, v in values.items()
        if v is not None
    }
    said = (f"{name}: {' '.join(f'{v:.2f}' for v in row)}" for name, row in there.items())
    picture.set("aria-label", "; ".join(said))
    for start, end in arrows:
        known = start in values and end in values
        passed = [box for name, box in places.items() if name not in (start, end)]
        _arrow(picture, places[start], places[end], passed, columns / 2, faint=not known)
    for name, box in places.items():
        _box(picture, name, box, there.get(name), known=name in values, marked=name in marked)
    return written(picture)


def _corner(box: Box) -> tuple[float, float]:
    return _EDGE + _ACROSS * box.column, 3 + _DOWN * box.row


def _box(
    picture: Element, name: str, box: Box, row: np.ndarray | None, *, known: bool, marked: bool
) -> None:
    x, y = _corner(box)
    width = _ACROSS * box.span - (_ACROSS - _WIDTH)
    line: dict[str, Any] = {"stroke": "currentColor", "stroke_width": 2.5 if marked else 1}
    if not known:
        line |= {"stroke_dasharray": "3 4", "stroke_opacity": "0.5"}
    add(picture, "rect", x=x, y=y, width=width, height=_HEIGHT, rx=7, fill="none", **line)
    middle = x + width / 2
    label: dict[str, Any] = {"text_anchor": "middle", "font_weight": 700 if marked else 400}
    if row is None:
        add(picture, "text", name, x=middle, y=y + _HEIGHT / 2 + 4, **label)
        return
    add(picture, "text", name, x=middle, y=y + 16, **label)
    each = (width - 6) / len(row)
    for i, value in enumerate(row):
        left = x + 3 + i * each
        cell: dict[str, Any] = {"x": left, "y": y + 24, "width": each - 2, "height": 24, "rx": 3}
        strength = f"{0.08 + 0.47 * min(abs(float(value)), 1.0):.2f}"
        add(picture, "rect", **cell, fill=ORANGE if value > 0 else BLUE, fill_opacity=strength)
        place: dict[str, Any] = {"x": left + each / 2 - 1, "y": y + 40}
        add(picture, "text", f"{value:.2f}", **place, text_anchor="middle", font_size=11)


def _arrow(
    picture: Element, start: Box, end: Box, others: Sequence[Box], middle: float, *, faint: bool
) -> None:
    """Straight down where no box is in the way; else along the nearer side of the picture."""
    (x, y), (to_x, to_y) = _corner(start), _corner(end)
    own, other = (_ACROSS * box.span - (_ACROSS - _WIDTH) for box in (start, end))
    # Between a wide box and a narrow one the arrow is upright.
    begin = to_x + other / 2 if start.span > 1 else x + own / 2
    finish = x + own / 2 if end.span > 1 else to_x + other / 2
    blocked = any(
        start.row < box.row < end.row and -1 < (begin - _corner(box)[0]) / (_ACROSS * box.span) < 1
        for box in others
    )
    if not blocked:
        points = [(begin, y + _HEIGHT), (finish, to_y - 2)]
    else:
        right = start.column + start.span / 2 > middle
        edge = max(x + own, to_x + other) + 8 if right else min(x, to_x) - 8
        begin, finish = (x + own, to_x + other + 1) if right else (x, to_x - 1)
        level = y + _HEIGHT / 2, to_y + _HEIGHT / 2
        points = [(begin, level[0]), (edge, level[0]), (edge, level[1]), (finish, level[1])]
    line: dict[str, Any] = {"stroke_opacity": "0.25"} if faint else {}
    path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
    add(picture, "path", d=path, fill="none", stroke="currentColor", **line)
    before, tip = np.array(points[-2:])
    along = (tip - before) / np.linalg.norm(tip - before)
    aside = np.array([-along[1], along[0]])
    head = [tip, tip - 8 * along + 4 * aside, tip - 8 * along - 4 * aside]
    shape = " ".join(f"{px:.1f},{py:.1f}" for px, py in head)
    add(picture, "polygon", points=shape, fill_opacity="0.25" if faint else "1")
