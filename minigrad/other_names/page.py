"""The page "Coming from PyTorch", written from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from .arguments import ARGUMENTS
from .differences import DIFFERENCES, INTRODUCTION
from .table import GROUPS

PATH = Path(__file__).parents[1] / "coming_from_pytorch.md"
"""Where it lies."""


def page() -> str:
    """Its text: what means something else, then the table by groups."""
    return "\n".join([*_first(), *_table(), *_keywords()])


def _first() -> Iterator[str]:
    yield "# Coming from PyTorch\n"
    yield INTRODUCTION
    yield "## What means something else\n"
    for title, text, example in DIFFERENCES:
        yield textwrap.fill(f"**{title}.** {text}", 100, break_on_hyphens=False) + "\n"
        if example:
            yield f"```python\n{example}\n\n```\n"


def _table() -> Iterator[str]:
    yield "## What has another name\n"
    yield textwrap.fill(
        "In these lines x and y are tensors of floats (2, 3), a and b matrices (2, 2), v a vector "
        "(3,), i integers, m truth values (2, 3); model is an `nn.Linear(3, 2)`, optimizer trains "
        "it, and loss is a number.",
        100,
    )
    for title, rows in GROUPS.items():
        yield f"\n### {title}\n"
        yield "| PyTorch, NumPy | minigrad | |\n|---|---|---|"
        for row in rows:
            names = ", ".join(f"`{_shown(name)}`" for name in row.names)
            ours = f"`{row.ours}`" if row.ours else ""
            ours = f"nearest: {ours}" if row.is_near else ours
            yield f"| {names} | {ours} | {_escaped(row.note)} |".replace("  ", " ")


def _shown(name: str) -> str:
    return name.removeprefix("*.") if name.startswith("*.") else name


def _keywords() -> Iterator[str]:
    yield "\n## Keywords\n"
    yield "| PyTorch, NumPy | minigrad | where there is none |\n|---|---|---|"
    for name, row in ARGUMENTS.items():
        ours = ", ".join(f"`{own}`" for own in row.ours)
        yield f"| `{name}` | {ours} | {_escaped(row.note)} |".replace("  ", " ")
    yield ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
