"""Spans: which call of a module, or which step of a scan, made a node.

A node knows only when it was born. So a call that can be found again in the graph notes when it
began and ended, at the nodes that it returns; what was born in between is its own. Other nodes cost
nothing more, and spans live as long as their graph. Pictures read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .tensor import Tensor

__all__ = ["Span", "note_span"]


class Span(NamedTuple):
    """From when to when something was computed: all nodes born in between belong to it.

    Nodes have plain tuples of these fields, which are made faster.
    """

    start: int  # on the clock of births
    end: int
    made_by: type | str  # the class of a module; of a scan, its place in a layer or its cell
    owner: Callable[[], Any] | None = None  # a weak reference to the module
    # Of a scan, for each step its number and when it began, in the order in which they ran; last,
    # when the last one ended.
    steps: Sequence[tuple[int, int]] = ()


def note_span(result: Any, span: tuple[Any, ...]) -> None:
    """Nodes of a result, a tensor or containers of some, refer to the span that made them."""
    if isinstance(result, Tensor):
        node = result._node
        if node is not None and node.birth > span[0]:
            node.spans = (*getattr(node, "spans", ()), span)
    elif isinstance(result, (tuple, list)):
        for part in result:
            note_span(part, span)
    elif isinstance(result, Mapping):
        for part in result.values():
            note_span(part, span)
