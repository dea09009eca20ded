"""A picture as the text of an SVG file."""

from __future__ import annotations

import textwrap
from typing import Any
from xml.etree.ElementTree import Element

from ..utils import svg
from .layout import Layout
from .parts import (
    FAINT,
    INK,
    KINDS,
    LABEL,
    LEAD,
    MARGIN,
    MONO,
    MUTED,
    PAD,
    PAPER,
    SANS,
    STYLES,
    TEXT,
    TITLE,
    Arrow,
    Box,
    Point,
    indent,
)

# A click on a box opens, or closes, its part of the page; see page.py.
_TOGGLE = (
    "var d=this.closest('.minigrad-drawing').querySelectorAll(':scope>div>details')[{}];"
    "d.open=!d.open;if(d.open)d.scrollIntoView({{block:'nearest',behavior:'smooth'}})"
)


def svg_text(drawing: Any, opens: bool = False) -> str:
    """The text; in a page that `opens` boxes they can be clicked on."""
    layout = Layout(drawing.boxes, drawing.arrows)
    left, top = layout.left - MARGIN, -MARGIN
    width = max(layout.right - left + MARGIN, 360)  # room for the notes
    columns = int((width - 2 * MARGIN) / (0.52 * TEXT))
    notes = [line for note in drawing.notes for line in textwrap.wrap(note, columns)]
    height = layout.bottom + 2 * MARGIN + LEAD * len(notes)
    root = svg.document(left, top, width, height, font_family=MONO, font_size=TEXT)
    svg.add(root, "rect", x=left, y=top, width="100%", height="100%", fill=PAPER)
    for i, arrow in enumerate(drawing.arrows):
        _svg_arrow(root, i, arrow, layout)
    numbers = {place: number for number, place in enumerate(drawing.inside)}
    for place, (box, (centre, size)) in enumerate(zip(drawing.boxes, layout.boxes(), strict=True)):
        group = _svg_box(root, box, size, centre)
        if opens and place in numbers:
            toggle = _TOGGLE.format(numbers[place])
            key = f"if(event.key=='Enter'){{{toggle}}}"
            for name, value in (("onclick", toggle), ("onkeydown", key), ("tabindex", "0")):
                group.set(name, value)
            group.set("role", "button")
            group.set("style", "cursor:pointer")
    for i, line in enumerate(notes):
        y = layout.bottom + MARGIN + LEAD * (i + 0.5)
        _text(root, layout.left, y, line, MUTED, class_="note", font_family=SANS)
    return svg.written(root)


def _text(
    parent: Element, x: float, y: float, text: str, colour: str, **more: svg.Value
) -> Element:
    # white-space: columns of numbers are lined up by spaces
    return svg.add(parent, "text", text, x=x, y=y, fill=colour, style="white-space:pre", **more)


def _svg_box(root: Element, box: Box, size: Point, centre: Point) -> Element:
    kind, (width, height) = KINDS[box.kind], size
    left, y = centre[0] - width / 2, centre[1] - height / 2
    group = svg.add(root, "g", class_=f"node {box.kind}")
    svg.add(group, "title", box.tip)
    svg.add(
        group,
        "rect",
        x=left,
        y=y,
        width=width,
        height=height,
        rx=kind.radius,
        fill=kind.fill,
        stroke=kind.stroke,
        stroke_width=kind.width,
        stroke_dasharray=kind.dash,
    )
    left += PAD
    y += 0.75 * TITLE + PAD
    bold: dict[str, svg.Value] = {"font_size": TITLE, "font_weight": "bold"}
    title = _text(group, left, y, box.title, INK, font_family=SANS, **bold)
    plain: dict[str, svg.Value] = {"font_size": TEXT, "font_weight": "normal"}
    svg.add(title, "tspan", box.detail, dx=7, fill=MUTED, font_family=MONO, **plain)
    if box.subtitle:
        y += LEAD
        _text(group, left, y, box.subtitle, MUTED)
    for row in box.rows:
        y += LEAD
        _text(group, left, y, row.label, MUTED)
        _text(group, left + indent(box), y, row.text, STYLES[row.style])
    return group


def _svg_arrow(root: Element, i: int, arrow: Arrow, layout: Layout) -> None:
    (x, y), (_, height) = layout.centre[arrow.tail], layout.size[arrow.tail]
    y += height / 2
    line = f"M{x:.1f} {y:.1f}"
    for via, middle in layout.path[i]:
        half = layout.layers[middle] / 2
        line += f"{_curve(x, y, via, middle - half)}V{middle + half:.1f}"
        x, y = via, middle + half
    end = layout.end[i]
    tip = layout.centre[arrow.head][1] - layout.size[arrow.head][1] / 2 - 1
    line += _curve(x, y, end, tip - 6)
    group = svg.add(root, "g", class_="edge")
    svg.add(group, "path", d=line, fill="none", stroke=FAINT, stroke_width=1.3)
    svg.add(group, "path", d=f"M{end:.1f} {tip:.1f}l-3.5 -8q3.5 2 7 0z", fill=MUTED)
    if arrow.label:
        _text(group, end + 6, tip - 3, arrow.label, MUTED, font_size=LABEL)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """A curve from (x, y) that leaves and arrives vertically."""
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
