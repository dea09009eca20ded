"""Tensors in structures: a tensor, or a (named) tuple of tensors."""

from __future__ import annotations

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


def layout_of(value: Any) -> list[Any]:
    """Shape and dtype of each part of a structure."""
    return [(x.shape, x.dtype) if isinstance(x, Tensor) else type(x) for x in parts_of(value)]


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
