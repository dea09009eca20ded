"""Rows added to the rows of a table, where the same one may be named many times: an embedding's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .numba_threads import by_rows

_BLOCK = 16  # columns: a cache line of float32


def add_rows(table: np.ndarray, index: np.ndarray, rows: np.ndarray) -> None:
    """Add each row of `rows` (M, D) to the row of `table` (V, D) that `index` (M,) names.

    In the order of the index, whatever the number of threads. Negative positions count from the
    end. Raises IndexError for one that is not there.
    """
    columns = table.shape[1]
    wrong: list[int] = []

    def part(lo: int, hi: int) -> None:  # of the columns: two threads never meet in one place
        place = _add_rows(table, index, rows, lo, hi)
        if place >= 0:
            wrong.append(place)

    by_rows(part, columns, rows.size, _BLOCK)
    if wrong:
        raise IndexError(f"row {index[wrong[0]]} of a table of {table.shape[0]} rows")


@njit(nogil=True, cache=True)
def _add_rows(table: Any, index: Any, rows: Any, lo: int, hi: int) -> int:
    """Where in the index a row is named that is not there; -1 if nowhere."""
    count = table.shape[0]
    for i in range(index.size):
        place = index[i] + count if index[i] < 0 else index[i]
        if place < 0 or place >= count:
            return i
        target, row = table[place, lo:hi], rows[i, lo:hi]
        for j in range(hi - lo):
            target[j] += row[j]
    return -1
