"""SVG files, element by element.

>>> picture = document(0, 0, 40, 20, fill="white")
>>> label = add(picture, "text", "a < b", x=1.25, y=9, text_anchor="end")
>>> print(written(picture), end="")
<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20" fill="white">
<text x="1.2" y="9" text-anchor="end">a &lt; b</text>
</svg>
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

Value = str | float


def document(left: float, top: float, width: float, height: float, **attributes: Value) -> Element:
    """An empty picture of this size, whose upper left corner has these coordinates."""
    box = " ".join(map(_text, (left, top, width, height)))
    root = Element("svg", xmlns="http://www.w3.org/2000/svg")
    _set(root, width=round(width), height=round(height), viewBox=box, **attributes)
    root.text = "\n"
    return root


def add(parent: Element, name: str, text: str = "", **attributes: Value) -> Element:
    """Add an element and return it; `font_size` is written as `font-size`, `class_` as `class`."""
    child = SubElement(parent, name)
    _set(child, **attributes)
    child.text = text or None
    if parent.tag == "svg":
        child.tail = "\n"
    return child


def written(root: Element) -> str:
    """The text of the file."""
    return tostring(root, encoding="unicode") + "\n"


def _set(element: Element, **attributes: Value) -> None:
    for name, value in attributes.items():
        element.set(name.rstrip("_").replace("_", "-"), _text(value))


def _text(value: Value) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
