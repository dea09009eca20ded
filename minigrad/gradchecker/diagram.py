"""The two curves of a report as SVG: they show at a glance what a wrong gradient looks like.

Left, the difference between the analytic and the numeric slope of the worst entry, against the
step: a valley where the gradient is right (noise on the left bank, truncation on the right), a
plateau where it is wrong. Right, the remainder of the first-order Taylor expansion against the
step: it falls with slope 2 where the gradient is right, and with slope 1 where it is wrong.
"""

from __future__ import annotations

import math
from html import escape

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 420, 300  # of one diagram, in pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 44, 46  # the margins around its axes
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.axis{stroke:#888;fill:none}"
    ".grid{stroke:#ddd}.curve{stroke:#1f5fa8;stroke-width:2;fill:none}.dot{fill:#1f5fa8}"
    ".guide{stroke:#b33;stroke-dasharray:4 3}"
)


def svg(diagrams: list[tuple[str, str, Points, Points]]) -> str:
    """Diagrams side by side, each a title, a label of the y axis, a curve, and a guide line."""
    width = WIDTH * len(diagrams)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}"><style>{_STYLE}</style>',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    for i, diagram in enumerate(diagrams):
        parts += [f'<g transform="translate({i * WIDTH} 0)">', *_diagram(*diagram), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _diagram(title: str, label: str, curve: Points, guide: Points) -> list[str]:
    curve = sorted((x, y) for x, y in curve if 0 < x < math.inf and 0 < y < math.inf)
    parts = [_text(WIDTH / 2, 24, title, "title")]
    if not curve:
        return [*parts, _text(WIDTH / 2, HEIGHT / 2, "nothing to show: no difference at all")]
    xs = _decades([x for x, _ in curve])
    ys = _decades([y for _, y in [*curve, *guide]])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - xs[0]) / (xs[-1] - xs[0])
        up = (math.log10(y) - ys[0]) / (ys[-1] - ys[0])
        inner = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + across * inner[0], 1), round(HEIGHT - BOTTOM - up * inner[1], 1)

    x0, y0 = at(10.0 ** xs[0], 10.0 ** ys[0])
    x1, y1 = at(10.0 ** xs[-1], 10.0 ** ys[-1])
    for decade in xs:
        x, _ = at(10.0**decade, 10.0 ** ys[0])
        parts += [_line("grid", [(x, y0), (x, y1)]), _text(x, y0 + 16, f"1e{decade}")]
    for decade in ys[:: max(1, len(ys) // 8)]:
        _, y = at(10.0 ** xs[0], 10.0**decade)
        parts += [_line("grid", [(x0, y), (x1, y)]), _text(x0 - 6, y + 4, f"1e{decade}", at="end")]
    parts.append(_line("axis", [(x0, y1), (x0, y0), (x1, y0)]))
    if guide:
        parts.append(_line("guide", [at(x, y) for x, y in guide]))
    points = [at(x, y) for x, y in curve]
    parts.append(_line("curve", points))
    parts += [f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>' for x, y in points]
    parts.append(_text((x0 + x1) / 2, HEIGHT - 8, "step"))
    parts.append(_text(LEFT, TOP - 6, label, at="start"))
    return parts


def _decades(values: list[float]) -> list[int]:
    """The exponents of ten that enclose the values."""
    low = math.floor(math.log10(min(values)))
    return list(range(low, max(low + 1, math.ceil(math.log10(max(values)))) + 1))


def _line(kind: str, points: list[tuple[float, float]]) -> str:
    listed = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline class="{kind}" points="{listed}"/>'


def _text(x: float, y: float, text: str, kind: str = "", at: str = "middle") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{at}"{name}>{escape(text)}</text>'
