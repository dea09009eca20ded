"""Tensors in containers: structures, which are a tensor or a flat tuple, and nested containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .engine.tensor import Tensor

# --- structures: a tensor, or a (named) tuple of tensors -------------------------------------


def parts_of(value: Any) -> tuple[Any, ...]:
    """The tensors of a structure."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def rebuild(template: Any, parts: Any) -> Any:
    """The parts in the structure of `template`."""
    if not isinstance(template, (tuple, list)):
        (part,) = parts
        return part
    return type(template)(*parts) if hasattr(template, "_fields") else tuple(parts)


def without_tensors(value: Any) -> Any:
    """A structure of tensors with None in their places."""
    return rebuild(value, [None] * len(value)) if isinstance(value, (tuple, list)) else None


def layout_of(value: Any) -> list[Any]:
    """Shape and dtype of each part of a structure."""
    return [(x.shape, x.dtype) if isinstance(x, Tensor) else type(x) for x in parts_of(value)]


# --- containers in containers ----------------------------------------------------------------


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What nested dicts, lists and tuples hold, in order, each with the keys that lead to it.

    >>> list(leaves_of({"w": [1, (2, 3)], "b": 4}))
    [(('w', 0), 1), (('w', 1, 0), 2), (('w', 1, 1), 3), (('b',), 4)]
    """
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves_of(part, (*path, key))
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from leaves_of(part, (*path, i))
    else:
        yield path, value


def map_leaves(change: Callable[[Any], Any], value: Any) -> Any:
    """Nested dicts, lists and tuples with `change(leaf)` in place of each leaf.

    >>> map_leaves(lambda n: n * 10, {"w": [1, (2, 3)], "b": 4})
    {'w': [10, (20, 30)], 'b': 40}
    """
    if isinstance(value, Mapping):
        return {key: map_leaves(change, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [map_leaves(change, part) for part in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return tuple(parts) if isinstance(value, tuple) else parts
    return change(value)


# --- words for messages ----------------------------------------------------------------------


def describe(value: Any) -> str:
    """What was given in place of a structure of tensors, in words."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of [{', '.join(map(describe, value))}]"
    if isinstance(value, np.ndarray):
        return f"ndarray {value.dtype} {value.shape}"
    return f"{type(value).__name__} {value!r:.40}"


def name_of(cell: Any) -> str:
    """What counts and errors call a cell."""
    return getattr(cell, "__name__", type(cell).__name__)
