"""What example calls of the backend protocol consist of: calls, views, indices, random arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["BOOL", "F32", "F64", "FLOATS", "I64", "INTEGERS", "PAIRS", "RNG", "SHAPES", "Call"]
__all__ += ["Index", "Strided", "above_one", "away_from_zero", "halves", "normal", "positive"]
__all__ += ["share", "specials"]


@dataclass
class Call:
    """One call of a protocol name; NumPy arrays among the arguments go to the backend first."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = [*map(_brief, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"({', '.join(parts)})"


@dataclass
class Strided:
    """An array that the backend is to hold as a view which is not contiguous."""

    array: np.ndarray


@dataclass
class Index:
    """An index; the arrays in it go through the backend's `index_array`."""

    value: Any


def _brief(value: Any) -> str:
    if isinstance(value, Strided):
        return f"strided {_brief(value.array)}"
    if isinstance(value, Index):
        return f"index {value.value!r}".replace("\n", "")
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_brief, value))}]"
    return repr(value)


# --- arrays ----------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
F32, F64, I64, BOOL = (np.dtype(name) for name in ("float32", "float64", "int64", "bool"))
INTEGERS = (I64, np.dtype("int32"), np.dtype("uint8"))
FLOATS = (F32, F64)
SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (4,), (2, 3))
PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    *(((), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((4,), ())),
    *(((0, 3), (3,)), ((2, 1, 3), (4, 1))),
)


def normal(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Numbers around 0; small integers and truth values for those dtypes."""
    values = RNG.standard_normal(shape)
    if np.dtype(dtype).kind == "b":
        return np.asarray(values > 0)
    return np.asarray(values * (1 if np.dtype(dtype).kind == "f" else 3)).astype(dtype)


def positive(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Numbers from 0.5 to 3; for integers 1 to 3."""
    return np.asarray(RNG.uniform(0.5, 3, shape) + (np.dtype(dtype).kind != "f")).astype(dtype)


def share(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Numbers from -0.9 to 0.9."""
    return np.asarray(RNG.uniform(-0.9, 0.9, shape)).astype(dtype)


def above_one(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Numbers from 1.5 to 4."""
    return np.asarray(positive(shape, dtype) + np.dtype(dtype).type(1))


def away_from_zero(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Numbers of both signs, from 0.5 to 3 in size."""
    x = positive(shape, dtype)
    return np.asarray(np.where(normal(shape) > 0, x, -x))


def halves(shape: tuple[int, ...], dtype: Any = F32) -> np.ndarray:
    """Multiples of 0.5."""
    return np.asarray(np.round(4 * RNG.standard_normal(shape)) / 2).astype(dtype)


def specials(dtype: Any) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, and a number."""
    return np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5], dtype)
