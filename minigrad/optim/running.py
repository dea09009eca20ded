"""Running values of update rules: numbers and arrays of each parameter, saved and taken up again.

What a value is says its type: a Python number (or None, or a word) stays as it is, an array goes
with its parameter's backend and dtype. Lists, tuples and dicts hold either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..fusion import PLAIN
from ..nested import leaves_of, map_leaves
from ..utils.summation import HALF, SINGLE


def is_array(value: Any) -> bool:
    """Whether a running value is an array, of whatever backend; NumPy's numbers are of no axes."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def arrays_in(values: Any) -> list[Any]:
    """The arrays among running values."""
    if is_array(values):
        return [values]
    if values.__class__ in PLAIN:
        return []
    return [x for _, x in leaves_of(values) if is_array(x)]


def running_dtype(dtype: np.dtype) -> np.dtype:
    """In which dtype running values of a parameter of this one are: no float16 ones."""
    return SINGLE if dtype == HALF else dtype


def are_of(values: Any, p: Tensor, made_for: Any) -> bool:
    """Whether arrays that were made for a dtype, `made_for`, are still right for a parameter."""
    kind = p.backend.array_type
    if values.__class__ is not kind:
        arrays = arrays_in(values)
        if not arrays:
            return True
        if not all(isinstance(x, (kind, np.generic)) for x in arrays):
            return False
    return made_for is None or made_for == p._data.dtype


def to_host(values: dict[str, Any], p: Tensor) -> dict[str, Any]:
    """Running values with NumPy copies of their arrays."""

    def copied(x: Any) -> Any:
        return p.backend.to_host(p.backend.asarray(x)) if is_array(x) else x

    return map_leaves(copied, values)


def from_host(values: Mapping[str, Any], p: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_host` gave, for a parameter of which `saved` says what it was like.

    Arrays of the parameter's dtype then get that of now. Raises `Misfit` for another shape.
    """

    def made(x: Any) -> Any:
        if not is_array(x):
            return x
        x = np.asarray(x)
        known = tuple(saved["shape"]) if "shape" in saved else x.shape or p.shape
        if known != p.shape:
            raise Misfit(x.shape)
        then = running_dtype(np.dtype(saved.get("dtype", x.dtype)))
        is_float = x.dtype.kind == "f" and x.dtype == then
        dtype = running_dtype(p.dtype) if is_float else x.dtype
        return p.backend.from_host(np.array(x, dtype, order="C"))

    return map_leaves(made, values)


class Misfit(ValueError):
    """A running value is of another shape than the parameter that it is meant for."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.shape = shape
