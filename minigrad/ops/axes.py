"""Axis arguments in plain integers: what NumPy's `axis=` and `keepdims=` mean for a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.explain import axis_fault, public_name


def axis_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes meant by an int, a sequence of them, or None for all; each from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        return (one_axis(axis, ndim),)
    axes = tuple([one_axis(a, ndim) for a in axis])
    if len(set(axes)) < len(axes):
        _refuse(tuple(axis), ndim)
    return axes


def one_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front."""
    if axis.__class__ is not int or not -ndim <= axis < ndim:
        _refuse(axis, ndim)
        axis = int(axis)
    return axis % ndim


def _refuse(axis: Any, ndim: int) -> None:
    """Raise unless an axis is an integer of another class, such as NumPy's, that is in range."""
    fault = axis_fault(axis, ndim, several=isinstance(axis, tuple))
    if fault:
        kind = TypeError if " must be " in fault else ValueError
        raise kind(f"{public_name('axes')}: {fault}")


def as_count(value: Any, name: str) -> int:
    """An integer of 0 or more, such as how often something is repeated."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{public_name('op')}: {name} must be an integer; got {value!r:.40}")
    if value < 0:
        raise ValueError(f"{public_name('op')}: {name} must be 0 or more; got {value!r:.40}")
    return int(value) if isinstance(value, np.generic) else value


def keepdims_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape after a reduction with keepdims."""
    axes = axis_tuple(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` takes together."""
    return math.prod(shape[i] for i in axis_tuple(axis, len(shape)))
