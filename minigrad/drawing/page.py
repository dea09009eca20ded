"""A picture as HTML: boxes that open are parts that unfold below it, one in the other.

It works without scripts; with them, a click on a box opens its part, too.
"""

from __future__ import annotations

from typing import Any

from ..utils.rich import folded
from .svg_text import svg_text

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>:root {{ color-scheme: light dark }} body {{ font-family: sans-serif; margin: 1em }}
summary {{ cursor: pointer; padding: .2em 0 }}</style></head>
<body>{body}</body></html>
"""


def html_of(drawing: Any) -> str:
    """The picture, and below it what is in its boxes."""
    parts = [
        f'<div style="margin-left:1em">{folded(_summary(drawing, place), html_of(inner))}</div>'
        for place, inner in drawing.inside.items()
    ]
    picture = f'<div style="overflow-x:auto">{svg_text(drawing, opens=True)}</div>'
    return f'<div class="minigrad-drawing">{picture}{"".join(parts)}</div>'


def page_of(drawing: Any) -> str:
    """The same as a file."""
    return _PAGE.format(title=f"{drawing!r}"[1:-1], body=html_of(drawing))


def _summary(drawing: Any, place: int) -> str:
    box = drawing.boxes[place]
    return f"{box.title} ({box.detail or box.subtitle})"
