"""Sums over the rows of all steps, which a loop adds up step by step: weights' gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compiler.ir import Value
from minigrad.utils import summation


class Totals:
    """The arrays that one call of a kernel adds to: each thread has its own, by its first row.

    An array is a total of some steps at a time, so that few numbers are added one after the other.

    Parameters
    ----------
    values : the loop's totals.
    wanted : which of them are; others get empty arrays, and are None.
    steps, rows : how many there are; a step has so many rows.
    empty : makes an array.
    """

    def __init__(
        self,
        values: Sequence[Value],
        wanted: Sequence[bool],
        steps: int,
        rows: int,
        empty: Callable[..., np.ndarray],
    ) -> None:
        self._values, self._wanted, self._empty = values, wanted, empty
        self._parts = min(steps, -(-steps * rows // summation.LONG))
        self._arrays: dict[int, list[np.ndarray]] = {}

    def of(self, lo: int) -> list[np.ndarray]:
        """Zeros for the thread that begins with a row: (parts, K, M), or (parts, M) for sums.

        Those are float64.
        """
        arrays = []
        for value, wanted in zip(self._values, self._wanted, strict=True):
            shape, dtype = [*map(int, value.shape)], value.dtype
            if value.op == "sum":  # written in any case; precise, as it costs little
                shape, dtype = shape[1:], np.dtype(np.float64)
            elif not wanted:
                shape = [0, 0]
            array = self._empty((self._parts, *shape), dtype)
            array[...] = 0
            arrays.append(array)
        self._arrays[lo] = arrays
        return arrays

    @property
    def found(self) -> list[Any]:
        """The totals."""
        threads = [self._arrays[lo] for lo in sorted(self._arrays)]
        found = []
        for value, wanted, *arrays in zip(self._values, self._wanted, *threads, strict=True):
            total = arrays[0][0]
            if len(arrays) > 1 or self._parts > 1:
                total = summation.total(np.concatenate(arrays), axis=0)
            if value.op == "sum":
                total = total[None].astype(value.dtype)
            found.append(total if wanted else None)
        return found


__all__ = ["Totals"]
