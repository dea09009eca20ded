"""Docstrings as Markdown: sections with lists of arguments, examples, formulas in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["to_markdown"]

_UNDERLINE = re.compile(r"-{3,}$")
_ITEM = re.compile(r"([*\w]+(?:, [*\w]+)*) : (.*)")
_FLAGS = re.compile(r"\s*#\s*doctest:.*$")
_EMPHASIS = re.compile(r"(?<![\w*`])\*\w[^*\n]*\*(?![\w*])")  # *words*
_CODE = re.compile(r"(`[^`]*`)")


def to_markdown(docstring: str) -> str:
    """The Markdown of a docstring that `inspect.cleandoc` has cleaned.

    >>> print(to_markdown("What it does.\\n\\nRaises\\n------\\nTypeError : x is *no* tensor."))
    What it does.
    <BLANKLINE>
    **Raises**
    <BLANKLINE>
    - `TypeError`: x is *no* tensor.
    """
    return "\n".join(_lines(docstring.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    at, section, listing = 0, False, False
    while at < len(lines):
        line = lines[at]
        if line.startswith(">>> "):
            end = next((i for i in range(at, len(lines)) if not lines[i].strip()), len(lines))
            session = [_FLAGS.sub("", shown) for shown in lines[at:end]]
            yield from ("", "```pycon", *session, "```", "")
            at = end
            continue
        if at + 1 < len(lines) and _UNDERLINE.match(lines[at + 1]) and line.strip():
            section = line.strip() != "Examples"  # these are seen to be some
            if section:
                yield from (f"**{line.strip()}**", "")
            at += 2
            continue
        item = _ITEM.match(line)  # of any list: classes have some below a sentence
        listing = bool(item) or (listing and bool(line))
        if item:
            yield f"- `{item[1]}`: {_text(item[2])}"
        elif line.startswith("    ") and not (section or listing):
            yield line  # a block of code
        else:
            yield _text(line)
        at += 1


def _text(line: str) -> str:
    """A line with what Markdown and HTML would take for theirs put apart from it."""
    parts = _CODE.split(line)
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].replace("&", "&amp;").replace("<", "&lt;")
        kept = _EMPHASIS.findall(parts[i])
        pieces = _EMPHASIS.split(parts[i])
        pieces = [piece.replace("*", r"\*") for piece in pieces]
        parts[i] = "".join(
            piece + (kept[k] if k < len(kept) else "") for k, piece in enumerate(pieces)
        )
    return "".join(parts)
