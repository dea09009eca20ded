"""`Drawing`: a picture of boxes and arrows, to be shown, opened and saved."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..utils.files import replace_file
from .page import html_of, page_of
from .parts import Arrow, Box
from .plain_text import dot_lines, listing
from .svg_text import svg_text


class Drawing:
    """A picture of a graph, made by `minigrad.drawing.draw`; notebooks display it.

    Attributes
    ----------
    dot : the picture as DOT text, for Graphviz and its kin.
    svg : the picture as the text of an SVG file, which refers to no other file. It is made at
        first use and needs the extra `learn`; ImportError says so.
    html : the picture as HTML, with the boxes that open below it; it needs `learn`, too.
    boxes, arrows, notes : its parts, and the lines below them.
    inside : the drawings of what is in folded boxes, by the places of these among the boxes.
    """

    def __init__(
        self,
        boxes: Sequence[Box],
        arrows: Sequence[Arrow],
        notes: Sequence[str],
        inside: Mapping[int, Drawing] | None = None,
    ) -> None:
        self.boxes, self.arrows, self.notes = boxes, arrows, notes
        self.inside = dict(inside or {})

    def open(self, title: str) -> Drawing:
        """The drawing of what is in a folded box.

        Raises KeyError if no box of this title opens.

        >>> import minigrad as mg
        >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.tanh)
        >>> picture = mg.draw(model(mg.ones((1, 2))).sum(), fold="layer")
        >>> [box.title for box in picture.boxes]
        ['0: Linear', 'tanh', 'sum']
        >>> [box.title for box in picture.open("0: Linear").boxes]
        ['0.weight', '0.bias', 'constant', 'affine']
        """
        found = {self.boxes[place].title: drawing for place, drawing in self.inside.items()}
        if title not in found:
            titles = ", ".join(map(repr, found)) or "no others do"
            raise KeyError(f"no box {title!r} opens; these do: {titles}")
        return found[title]

    def __repr__(self) -> str:
        return f"<drawing of {len(self.boxes)} nodes and {len(self.arrows)} edges>"

    def __str__(self) -> str:
        return listing(self)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.html

    @functools.cached_property
    def html(self) -> str:
        """The picture and what is in its boxes, as HTML."""
        return html_of(self)

    @functools.cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return svg_text(self)

    @functools.cached_property
    def dot(self) -> str:
        """The picture as DOT text."""
        return "\n".join(dot_lines(self)) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: HTML, SVG or DOT text.

        By the end of its name: .html, whose boxes open, .svg, .dot or .gv. Raises ValueError for
        any other.
        """
        path = Path(path)
        if path.suffix not in (".html", ".svg", ".dot", ".gv"):
            raise ValueError(
                f"a drawing is saved as .html, .svg, .dot or .gv; got {path.name!r}. For others "
                "save .svg and convert it, or save .dot and let Graphviz draw it: "
                "dot -Tpng -O graph.dot"
            )
        if path.suffix == ".html":
            text = page_of(self)
        else:
            text = self.svg if path.suffix == ".svg" else self.dot
        replace_file(path, text.encode())
