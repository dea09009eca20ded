"""Places for boxes and arrows.

The layers, the order within them and the places come from grandalf (Sugiyama's method).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..utils.install import install_line
from .parts import BETWEEN, EM, LABEL, LAYERS, Arrow, Box, Point, size_of


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

    def __init__(self, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> None:
        self.size = [size_of(box) for box in boxes]
        for head, wanted in _label_widths(arrows).items():
            width, height = self.size[head]
            self.size[head] = max(width, wanted), height
        pairs = [(arrow.tail, arrow.head) for arrow in arrows]
        self.centre, paths = _placed(self.size, pairs)
        self.path = [paths[pair] for pair in pairs]
        if self._order(arrows) < 0:
            self.centre = [(-x, y) for x, y in self.centre]
            self.path = [[(-x, y) for x, y in path] for path in self.path]
        self.end = self._ends(arrows)
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
            gap = min(_gap([arrows[i] for i in here]), width / (len(here) + 0.5))
            for place, i in enumerate(here):
                ends[i] = x + gap * (place - (len(here) - 1) / 2)
        return ends


def _gap(arrows: Sequence[Arrow]) -> float:
    """Between the ends of arrows at one box, so that their labels have room."""
    longest = max((len(arrow.label) for arrow in arrows), default=0)
    return max(30, longest * EM * LABEL + 14)


def _label_widths(arrows: Sequence[Arrow]) -> dict[int, float]:
    """How wide boxes have to be for the names at their inputs; numbers may overlap."""
    coming: dict[int, list[Arrow]] = {}
    for arrow in arrows:
        coming.setdefault(arrow.head, []).append(arrow)
    return {
        head: _gap(here) * (len(here) + 0.5)
        for head, here in coming.items()
        if any(len(arrow.label) > 3 for arrow in here)
    }


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
    layout.xspace, layout.yspace = BETWEEN, LAYERS
    layout.dw = layout.dh = 1  # of an edge that passes a layer
    layout.init_all(optimize=True)  # every box in the layer above the first that uses it
    layout.draw(8)  # rounds of putting each layer in order
    for layer in layout.layers:  # in dense graphs it lets boxes overlap now and then
        for before, after in itertools.pairwise(layer):
            (x, y), gap = before.view.xy, (before.view.w + after.view.w) / 2 + BETWEEN
            after.view.xy = max(x + gap, after.view.xy[0]), y
    layout.draw_edges()
    paths = {pair: edge.view.path[1:-1] for pair, edge in edges.items()}
    return [vertex.view.xy for vertex in vertices], paths
