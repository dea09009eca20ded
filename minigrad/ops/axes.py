"""Axis arguments in plain integers: what NumPy's `axis=` and `keepdims=` mean for a shape."""

from __future__ import annotations

import math
from typing import Any


def axis_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes meant by an int, a sequence of them, or None for all; each from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(one_axis(a, ndim) for a in axes)


def one_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front."""
    if not -ndim <= axis < ndim:
        allowed = f"-{ndim} to {ndim - 1}" if ndim else "none, as it has no dimensions"
        raise ValueError(f"axis {axis} is out of range; allowed are {allowed}")
    return axis % ndim


def kept(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape after a reduction with keepdims."""
    axes = axis_tuple(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` takes together."""
    return math.prod(shape[i] for i in axis_tuple(axis, len(shape)))
