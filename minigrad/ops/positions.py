"""Integers that pick rows, checked: the indices of an embedding, the labels of a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.tensor import Tensor
from ..engine.wrapping import same_backend
from .indexing import note_outside

__all__: list[str] = []  # for `minigrad.functional` and `minigrad.losses`


def row_number(what: str, position: int, count: int) -> int:
    """A position among so many rows, from 0 on; negative ones count from the end."""
    if isinstance(position, bool) or not isinstance(position, (int, np.integer)):
        raise TypeError(f"{what} is the number of a row; got {position!r:.40}")
    if not -count <= position < count:
        raise ValueError(
            f"{what} {position} is none of the {count} rows; allowed are {-count} to {count - 1}"
        )
    return int(position) % count


def check_positions(
    values: Any, like: Tensor, name: str, stop: int, allowed: int | None = None
) -> tuple[Tensor, bool]:
    """Integer positions 0..stop-1 (or `allowed`) as a tensor on the backend of `like`.

    Also returns whether some are known to be outside, which only `allowed` may be.

    NumPy would count a negative position from the end, and CuPy would take any; so they are
    checked: at once on the host, later (see `engine/deferred.py`) on a device.
    """
    backend = like.backend
    if isinstance(values, Tensor):
        if values.backend is not backend:
            same_backend(name, like, values)
    else:
        there = isinstance(values, backend.array_type)
        values = tensor(values, backend=backend if there else "numpy")
    if values.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: positions must be integers; got {values.dtype}. Convert them: "
            "x.astype('int64')"
        )
    numbers = values._data
    if not values.backend.is_host:
        if values.size:
            wrong = f"{name}: an index {_no_position(stop)}"
            note_outside(numbers, 0, stop, backend, IndexError(wrong), allowed)
        return values, False
    outside = _any_outside(numbers, stop)
    if outside:
        wrong = numbers[((numbers < 0) | (numbers >= stop)) & (numbers != allowed)]
        if wrong.size:
            raise IndexError(f"{name}: {int(wrong[0])} {_no_position(stop)}")
    return (values if values.backend is backend else values.to(backend)), outside


def _no_position(stop: int) -> str:
    return f"is not one of the {stop} positions 0..{stop - 1}"


# So many integers or fewer are read as a list: NumPy's reductions take longer to start.
_FEW = 16


def _any_outside(numbers: np.ndarray, stop: int) -> bool:
    """Whether some integers are not in 0..stop-1."""
    size = numbers.size
    if size <= _FEW:
        few = numbers.reshape(size).tolist()
        return size > 0 and (min(few) < 0 or max(few) >= stop)
    if numbers.dtype.kind == "i":  # negative ones as very large ones: one look finds both
        numbers = numbers.view(f"u{numbers.itemsize}")
    return bool(numbers.max() >= stop)
