"""A picture as DOT text, and as a listing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .parts import FAINT, KINDS


def dot_lines(drawing: Any) -> Iterator[str]:
    """The lines of DOT text."""
    yield "digraph minigrad {"
    yield f"  graph [label={_quoted(drawing.notes)}, labeljust=l, fontname=Helvetica];"
    yield '  node [shape=box, fontname="Courier", fontsize=10, margin="0.1,0.06"];'
    yield f'  edge [color="{FAINT}", fontname="Courier", fontsize=8, arrowsize=0.7];'
    for i, box in enumerate(drawing.boxes):
        kind = KINDS[box.kind]
        width = max((len(row.label) for row in box.rows), default=0)
        head = f"{box.title}  {box.detail}".rstrip()
        lines = [
            head,
            *filter(None, [box.subtitle]),
            *(f"{row.label:{width}} {row.text}" for row in box.rows),
        ]
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


# --- a listing -----------------------------------------------------------------------------


def listing(drawing: Any) -> str:
    """A line for each box: its number, what it is, and the numbers of the boxes that it takes."""
    columns = [_columns(drawing, place) for place in range(len(drawing.boxes))]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    lines = (
        "  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in columns
    )
    return "\n".join([*lines, *drawing.notes])


def _columns(drawing: Any, place: int) -> tuple[str, ...]:
    box = drawing.boxes[place]
    title = f"[{box.title}]" if box.kind == "group" else box.title
    taken = [arrow for arrow in drawing.arrows if arrow.head == place]
    inputs = ", ".join(f"{a.label} {a.tail}" if a.label else str(a.tail) for a in taken)
    labels = [row.label for row in box.rows]
    value = "" if "" in labels or not labels else " ".join(box.rows[0].text.split())
    return f"{place:>3}", title, box.subtitle, box.detail, inputs and f"<- {inputs}", value
