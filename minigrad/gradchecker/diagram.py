"""The two curves of a report as SVG: they show at a glance what a wrong gradient looks like.

Left, the difference between the analytic and the numeric slope of the worst entry, against the
step: a valley where the gradient is right (noise on the left bank, truncation on the right), a
plateau where it is wrong. Right, the remainder of the first-order Taylor expansion against the
step: it falls with slope 2 where the gradient is right, and with slope 1 where it is wrong.
"""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from ..utils import svg

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 420, 300  # of one diagram, in pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 44, 46  # the margins around its axes
# Of these pictures alone: a page that contains one has texts of its own.
_STYLE = (
    ".gradcheck text{font:12px sans-serif;fill:#222}.gradcheck .title{font-weight:bold}"
    ".gradcheck .axis{stroke:#888;fill:none}.gradcheck .grid{stroke:#ddd}"
    ".gradcheck .curve{stroke:#1f5fa8;stroke-width:2;fill:none}.gradcheck .dot{fill:#1f5fa8}"
    ".gradcheck .guide{stroke:#b33;stroke-dasharray:4 3}"
)


def diagrams(given: list[tuple[str, str, Points, Points]]) -> str:
    """Diagrams side by side, each a title, a label of the y axis, a curve, and a guide line."""
    root = svg.document(0, 0, WIDTH * len(given), HEIGHT, class_="gradcheck")
    svg.add(root, "style", _STYLE)
    svg.add(root, "rect", width="100%", height="100%", fill="white")
    for i, diagram in enumerate(given):
        _draw(svg.add(root, "g", transform=f"translate({i * WIDTH} 0)"), *diagram)
    return svg.written(root)


def _draw(group: Element, title: str, label: str, curve: Points, guide: Points) -> None:
    curve = sorted((x, y) for x, y in curve if 0 < x < math.inf and 0 < y < math.inf)
    _text(group, WIDTH / 2, 24, title, class_="title")
    if not curve:
        _text(group, WIDTH / 2, HEIGHT / 2, "nothing to show: no difference at all")
        return
    xs = _decades([x for x, _ in curve])
    ys = _decades([y for _, y in [*curve, *guide]])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - xs[0]) / (xs[-1] - xs[0])
        up = (math.log10(y) - ys[0]) / (ys[-1] - ys[0])
        inner = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * inner[0], HEIGHT - BOTTOM - up * inner[1]

    x0, y0 = at(10.0 ** xs[0], 10.0 ** ys[0])
    x1, y1 = at(10.0 ** xs[-1], 10.0 ** ys[-1])
    for decade in xs:
        x, _ = at(10.0**decade, 10.0 ** ys[0])
        _line(group, "grid", [(x, y0), (x, y1)])
        _text(group, x, y0 + 16, f"1e{decade}")
    for decade in ys[:: max(1, len(ys) // 8)]:
        _, y = at(10.0 ** xs[0], 10.0**decade)
        _line(group, "grid", [(x0, y), (x1, y)])
        _text(group, x0 - 6, y + 4, f"1e{decade}", anchor="end")
    _line(group, "axis", [(x0, y1), (x0, y0), (x1, y0)])
    if guide:
        _line(group, "guide", [at(x, y) for x, y in guide])
    points = [at(x, y) for x, y in curve]
    _line(group, "curve", points)
    for x, y in points:
        svg.add(group, "circle", class_="dot", cx=x, cy=y, r=3)
    _text(group, (x0 + x1) / 2, HEIGHT - 8, "step")
    _text(group, LEFT, TOP - 6, label, anchor="start")


def _decades(values: list[float]) -> list[int]:
    """The exponents of ten that enclose the values."""
    low = math.floor(math.log10(min(values)))
    return list(range(low, max(low + 1, math.ceil(math.log10(max(values)))) + 1))


def _line(group: Element, kind: str, points: Points) -> None:
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    svg.add(group, "polyline", class_=kind, points=listed)


def _text(
    group: Element, x: float, y: float, text: str, anchor: str = "middle", class_: str = "label"
) -> None:
    svg.add(group, "text", text, class_=class_, x=x, y=y, text_anchor=anchor)
