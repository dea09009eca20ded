"""Pictures of boxes and arrows as DOT text and as SVG; `boxes.py` decides what the boxes say.

The layers, the order within them and the places come from grandalf (Sugiyama's method). This
file measures the text, asks for places, and writes.
"""

from __future__ import annotations

import functools
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ..utils import svg
from ..utils.files import replace_file
from ..utils.install import install_line

Point = tuple[float, float]


class Row(NamedTuple):
    """A line of a box: a label (or none) and a text in one of the styles of `_STYLES`."""

    label: str
    text: str
    style: str


class Box(NamedTuple):
    """A node: its kind (of `_KINDS`), a title, small print beside and below it, rows, a tooltip."""

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


class Drawing:
    """A picture of a graph, made by `minigrad.drawing.draw`; notebooks display it.

    Attributes
    ----------
    dot : the picture as DOT text, for Graphviz and its kin.
    svg : the picture as the text of an SVG file, which refers to no other file. It is made at
        first use and needs the extra `learn`; ImportError says so.
    boxes, arrows, notes : its parts, and the lines below them.
    """

    def __init__(self, boxes: Sequence[Box], arrows: Sequence[Arrow], notes: Sequence[str]) -> None:
        self.boxes, self.arrows, self.notes = boxes, arrows, notes

    def __repr__(self) -> str:
        return f"<drawing of {len(self.boxes)} nodes and {len(self.arrows)} edges>"

    def _repr_svg_(self) -> str:
        return self.svg

    @functools.cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return _svg(self)

    @functools.cached_property
    def dot(self) -> str:
        """The picture as DOT text."""
        return "\n".join(_dot(self)) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: SVG if its name ends in .svg, DOT text if in .dot or .gv.

        Raises ValueError for any other ending.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".dot", ".gv"):
            raise ValueError(
                f"a drawing is saved as .svg, .dot or .gv; got {path.name!r}. For other formats "
                "save .svg and convert it, or save .dot and let Graphviz draw it: "
                "dot -Tpng -O graph.dot"
            )
        text = self.svg if path.suffix == ".svg" else self.dot
        replace_file(path, text.encode())


# --- looks ---------------------------------------------------------------------------------

_INK, _MUTED, _FAINT, _PAPER = "#1f2933", "#6b7785", "#9aa5b1", "#ffffff"
_STYLES = {"value": _INK, "grad": "#a8480f", "faint": _FAINT, "bad": "#d0021b"}


class _Kind(NamedTuple):
    fill: str
    stroke: str
    width: float = 1.2
    radius: int = 4
    dash: str = "none"


_KINDS = {
    "leaf": _Kind("#e4effa", "#3f7fbf", radius=12),
    "constant": _Kind("#f4f5f7", "#9aa5b1", radius=12, dash="4 3"),
    "op": _Kind("#fffdf7", "#6b7785"),
    "output": _Kind("#f7f4ea", "#9aa5b1"),
    "result": _Kind("#e7f5ea", "#2f8a4c", width=2),
}

_SANS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_TITLE, _TEXT, _LABEL = 13, 11, 9  # font sizes
_EM = 0.605  # a monospaced character's width by its size; in no font of the list is it wider
_BOLD = 0.62  # the same for a bold title, on average
_PAD, _LEAD = 10, 15  # around the text of a box; from line to line
_BETWEEN, _LAYERS, _MARGIN = 26, 44, 20  # gaps between boxes, between layers, around all


def _size(box: Box) -> Point:
    """The width and height that the text of a box needs."""
    em = _EM * _TEXT
    title = len(box.title) * _BOLD * _TITLE + (len(box.detail) + 1.5) * em * bool(box.detail)
    rows = (_indent(box) + len(row.text) * em for row in box.rows)
    width = max(title, len(box.subtitle) * em, *rows) + 2 * _PAD
    return width, _TITLE + _LEAD * (1 + len(box.rows)) + 1.4 * _PAD


def _indent(box: Box) -> float:
    """The width of the labels' column."""
    longest = max((len(row.label) for row in box.rows), default=0)
    return (longest + 1) * _EM * _TEXT if longest else 0.0


# --- places --------------------------------------------------------------------------------


class _View:
    """What grandalf asks of a box or an edge: a size, and room for the answer."""

    def __init__(self, width: float = 0, height: float = 0) -> None:
        self.w, self.h = width, height
        self.xy: Point = (0.0, 0.0)
        self.path: list[Point] = []

    def setpath(self, path: list[Point]) -> None:
        self.path = path


class Layout:
    """Where everything is: `size` and `centre` by box, `path` and `end` by arrow.

    A path is the points where the arrow passes the layers between its ends; it ends on the upper
    side of its head at `end`, beside the others that end there.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.size = [_size(box) for box in drawing.boxes]
        pairs = [(arrow.tail, arrow.head) for arrow in drawing.arrows]
        self.centre, paths = _placed(self.size, pairs)
        self.path = [paths[pair] for pair in pairs]
        if self._order(drawing.arrows) < 0:
            self.centre = [(-x, y) for x, y in self.centre]
            self.path = [[(-x, y) for x, y in path] for path in self.path]
        self.end = self._ends(drawing.arrows)
        sides = [x + side * w / 2 for (x, _), (w, _) in self.boxes() for side in (-1, 1)]
        sides += [x for path in self.path for x, _ in path]
        self.left, self.right = min(sides), max(sides)
        self.bottom = max(y + h / 2 for (_, y), (_, h) in self.boxes())
        self.layers: dict[float, float] = {}  # by the height of its middle: the height of a layer
        for (_, y), (_, h) in self.boxes():
            self.layers[y] = max(h, self.layers.get(y, 0))

    def boxes(self) -> Iterator[tuple[Point, Point]]:
        """The centre and size of each box."""
        return zip(self.centre, self.size, strict=True)

    def _came(self, arrows: Sequence[Arrow]) -> list[float]:
        """From where, horizontally, each arrow comes to its head."""
        return [
            path[-1][0] if path else self.centre[arrow.tail][0]
            for arrow, path in zip(arrows, self.path, strict=True)
        ]

    def _order(self, arrows: Sequence[Arrow]) -> int:
        """By how many more inputs come from the left to the right than the other way round."""
        came = list(zip(arrows, self._came(arrows), strict=True))
        return sum(
            (x < next_x) - (x > next_x)
            for (arrow, x), (following, next_x) in itertools.pairwise(came)
            if arrow.head == following.head
        )

    def _ends(self, arrows: Sequence[Arrow]) -> list[float]:
        came = self._came(arrows)
        ends = [0.0] * len(arrows)
        for head, ((x, _), (width, _)) in enumerate(self.boxes()):
            here = [i for i, arrow in enumerate(arrows) if arrow.head == head]
            here.sort(key=came.__getitem__)
            longest = max((len(arrows[i].label) for i in here), default=0)
            gap = min(max(30, longest * _EM * _LABEL + 14), width / (len(here) + 0.5))
            for place, i in enumerate(here):
                ends[i] = x + gap * (place - (len(here) - 1) / 2)
        return ends


def _placed(
    sizes: Sequence[Point], pairs: Sequence[tuple[int, int]]
) -> tuple[list[Point], dict[tuple[int, int], list[Point]]]:
    """The centre of each box, and for each edge the points where it passes a layer."""
    try:
        from grandalf.graphs import Edge, Vertex, graph_core
        from grandalf.layouts import SugiyamaLayout
    except ImportError as error:
        raise ImportError(
            "an SVG picture needs the library grandalf, which places the boxes (the DOT text, "
            f"drawing.dot, does without); {install_line('learn')}"
        ) from error

    vertices = [Vertex() for _ in sizes]
    for vertex, size in zip(vertices, sizes, strict=True):
        vertex.view = _View(*size)
    edges = {pair: Edge(vertices[pair[0]], vertices[pair[1]]) for pair in pairs}
    for edge in edges.values():
        edge.view = _View()
    # Not a Graph, which looks for parts that are not connected (here all leads to the result)
    # and forgets the order: the same graph would look different each time.
    layout = SugiyamaLayout(graph_core(vertices, list(edges.values())))
    layout.xspace, layout.yspace = _BETWEEN, _LAYERS
    layout.dw = layout.dh = 1  # of an edge that passes a layer
    layout.init_all(optimize=True)  # every box in the layer above the first that uses it
    layout.draw(8)  # rounds of putting each layer in order
    for layer in layout.layers:  # in dense graphs it lets boxes overlap now and then
        for before, after in itertools.pairwise(layer):
            (x, y), gap = before.view.xy, (before.view.w + after.view.w) / 2 + _BETWEEN
            after.view.xy = max(x + gap, after.view.xy[0]), y
    layout.draw_edges()
    paths = {pair: edge.view.path[1:-1] for pair, edge in edges.items()}
    return [vertex.view.xy for vertex in vertices], paths


# --- SVG -----------------------------------------------------------------------------------


def _svg(drawing: Drawing) -> str:
    layout = Layout(drawing)
    left, top = layout.left - _MARGIN, -_MARGIN
    width = max(layout.right - left + _MARGIN, 360)  # room for the notes
    columns = int((width - 2 * _MARGIN) / (0.52 * _TEXT))
    notes = [line for note in drawing.notes for line in textwrap.wrap(note, columns)]
    height = layout.bottom + 2 * _MARGIN + _LEAD * len(notes)
    root = svg.document(left, top, width, height, font_family=_MONO, font_size=_TEXT)
    svg.add(root, "rect", x=left, y=top, width="100%", height="100%", fill=_PAPER)
    for i, arrow in enumerate(drawing.arrows):
        _svg_arrow(root, i, arrow, layout)
    for box, (centre, size) in zip(drawing.boxes, layout.boxes(), strict=True):
        _svg_box(root, box, size, centre)
    for i, line in enumerate(notes):
        y = layout.bottom + _MARGIN + _LEAD * (i + 0.5)
        _text(root, layout.left, y, line, _MUTED, class_="note", font_family=_SANS)
    return svg.written(root)


def _text(
    parent: Element, x: float, y: float, text: str, colour: str, **more: svg.Value
) -> Element:
    # white-space: columns of numbers are lined up by spaces
    return svg.add(parent, "text", text, x=x, y=y, fill=colour, style="white-space:pre", **more)


def _svg_box(root: Element, box: Box, size: Point, centre: Point) -> None:
    kind, (width, height) = _KINDS[box.kind], size
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
    left += _PAD
    y += 0.75 * _TITLE + _PAD
    bold: dict[str, svg.Value] = {"font_size": _TITLE, "font_weight": "bold"}
    title = _text(group, left, y, box.title, _INK, font_family=_SANS, **bold)
    plain: dict[str, svg.Value] = {"font_size": _TEXT, "font_weight": "normal"}
    svg.add(title, "tspan", box.detail, dx=7, fill=_MUTED, font_family=_MONO, **plain)
    y += _LEAD
    _text(group, left, y, box.subtitle, _MUTED)
    for row in box.rows:
        y += _LEAD
        _text(group, left, y, row.label, _MUTED)
        _text(group, left + _indent(box), y, row.text, _STYLES[row.style])


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
    svg.add(group, "path", d=line, fill="none", stroke=_FAINT, stroke_width=1.3)
    svg.add(group, "path", d=f"M{end:.1f} {tip:.1f}l-3.5 -8q3.5 2 7 0z", fill=_MUTED)
    if arrow.label:
        _text(group, end + 6, tip - 3, arrow.label, _MUTED, font_size=_LABEL)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """A curve from (x, y) that leaves and arrives vertically."""
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


# --- DOT -----------------------------------------------------------------------------------


def _dot(drawing: Drawing) -> Iterator[str]:
    yield "digraph minigrad {"
    yield f"  graph [label={_quoted(drawing.notes)}, labeljust=l, fontname=Helvetica];"
    yield '  node [shape=box, fontname="Courier", fontsize=10, margin="0.1,0.06"];'
    yield f'  edge [color="{_FAINT}", fontname="Courier", fontsize=8, arrowsize=0.7];'
    for i, box in enumerate(drawing.boxes):
        kind = _KINDS[box.kind]
        width = max((len(row.label) for row in box.rows), default=0)
        head = f"{box.title}  {box.detail}".rstrip()
        lines = [head, box.subtitle, *(f"{row.label:{width}} {row.text}" for row in box.rows)]
        style = "dashed" if kind.dash != "none" else "rounded" if kind.radius > 4 else "solid"
        yield (
            f"  n{i} [label={_quoted(lines)}, tooltip={_quoted([box.tip])}, "
            f'style="filled,{style}", fillcolor="{kind.fill}", color="{kind.stroke}"];'
        )
    for arrow in drawing.arrows:
        label = f" [label={_quoted([arrow.label])}]" if arrow.label else ""
        yield f"  n{arrow.tail} -> n{arrow.head}{label};"
    yield "}"


def _quoted(lines: Sequence[str]) -> str:
    """Lines as a DOT string that sets them flush left."""
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(line + "\\l" for line in text.split("\n")) + '"'
