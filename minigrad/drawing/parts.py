"""What pictures consist of, boxes and arrows, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]


class Row(NamedTuple):
    """A line of a box: a label (or none) and a text in one of the styles of `STYLES`."""

    label: str
    text: str
    style: str


class Box(NamedTuple):
    """A node: its kind (of `KINDS`), a title, small print beside and below it, rows, a tooltip."""

    kind: str
    title: str
    detail: str
    subtitle: str
    rows: Sequence[Row]
    tip: str


class Arrow(NamedTuple):
    """An edge between boxes, by their places in the list; the label says which input it is."""

    tail: int
    head: int
    label: str


# --- looks ---------------------------------------------------------------------------------

INK, MUTED, FAINT, PAPER = "#1f2933", "#6b7785", "#9aa5b1", "#ffffff"
STYLES = {"value": INK, "grad": "#a8480f", "faint": FAINT, "bad": "#d0021b"}


class Kind(NamedTuple):
    """The looks of a kind of box."""

    fill: str
    stroke: str
    width: float = 1.2
    radius: int = 4
    dash: str = "none"


KINDS = {
    "leaf": Kind("#e4effa", "#3f7fbf", radius=12),
    "constant": Kind("#f4f5f7", "#9aa5b1", radius=12, dash="4 3"),
    "op": Kind("#fffdf7", "#6b7785"),
    "output": Kind("#f7f4ea", "#9aa5b1"),
    "result": Kind("#e7f5ea", "#2f8a4c", width=2),
    "group": Kind("#f1ecfb", "#7a5bb8", width=2, radius=8),
    "outside": Kind("#ffffff", "#9aa5b1", radius=12, dash="2 3"),
}

SANS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
TITLE, TEXT, LABEL = 13, 11, 9  # font sizes
EM = 0.605  # a monospaced character's width by its size; in no font of the list is it wider
_BOLD = 0.62  # the same for a bold title, on average
PAD, LEAD = 10, 15  # around the text of a box; from line to line
BETWEEN, LAYERS, MARGIN = 26, 44, 20  # gaps between boxes, between layers, around all


def size_of(box: Box) -> Point:
    """The width and height that the text of a box needs."""
    em = EM * TEXT
    title = len(box.title) * _BOLD * TITLE + (len(box.detail) + 1.5) * em * bool(box.detail)
    rows = (indent(box) + len(row.text) * em for row in box.rows)
    width = max(title, len(box.subtitle) * em, *rows) + 2 * PAD
    return width, TITLE + LEAD * (bool(box.subtitle) + len(box.rows)) + 1.4 * PAD


def indent(box: Box) -> float:
    """The width of the labels' column."""
    longest = max((len(row.label) for row in box.rows), default=0)
    return (longest + 1) * EM * TEXT if longest else 0.0
