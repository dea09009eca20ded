"""What a notebook shows of a module."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..utils.rich import folded, shown_text
from .parameter import Buffer
from .parts import parts_in

__all__ = ["module_html"]


def module_html(module: Any) -> str:
    """A tree that unfolds: parts, shapes and dtypes of parameters, how many numbers they have.

    >>> shown = module_html(mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.Linear(4, 2)))
    >>> "Sequential(), 26 parameters" in shown, "weight: float32 (4, 3)" in shown
    (True, True)
    """
    return _folded(_head(module), module, set(), unfolded=True)


def _head(module: Any) -> str:
    size = sum(part.size for part in module.parameters())
    return f"{type(module).__name__}({module.extra_repr()}), {size:,} parameters"


def _folded(head: str, module: Any, above: set[int], unfolded: bool = False) -> str:
    """A module and what is in it; one that is in itself isn't shown again."""
    lines = []
    for name, part in parts_in(module):
        if isinstance(part, Tensor):
            kind = "" if part.requires_grad else ", frozen"
            kind = ", buffer" if isinstance(part, Buffer) else kind
            lines.append(shown_text(f"{name}: {part.dtype} {part.shape}{kind}"))
        elif id(part) not in above:
            lines.append(_folded(f"{name}: {_head(part)}", part, above | {id(module)}))
    return folded(head, f'<div style="margin-left:1.5em">{"".join(lines)}</div>', unfolded=unfolded)
