"""Rows added to the rows of a table, where the same one may be named many times: an embedding's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minigrad.utils import summation

from .files import keep_compiled
from .threads import by_rows

_BLOCK = 16  # columns: a cache line of float32


def add_rows(table: np.ndarray, index: np.ndarray, rows: np.ndarray) -> None:
    """Add each row of `rows` (M, D) to the row of `table` (V, D) that `index` (M,) names.

    In the order of the index, whatever the number of threads; what is added to one row very often
    in float64. Negative positions count from the end. Raises IndexError for one that is not there.
    """
    columns = table.shape[1]
    busy = np.empty(len(table), np.int64)
    wrong, count = _find_busy(index, busy, summation.FEW)
    if wrong >= 0:
        raise IndexError(f"row {index[wrong]} of a table of {table.shape[0]} rows")
    sums = np.zeros((count, columns))

    def part(lo: int, hi: int) -> None:  # of the columns: two threads never meet in one place
        _add_rows(table, index, rows, busy, sums, lo, hi)

    by_rows(part, columns, rows.size, _BLOCK)


@keep_compiled
@njit(nogil=True)
def _find_busy(index: Any, busy: Any, few: int) -> tuple[int, int]:
    """Number the rows that are named more than `few` times in `busy`, the others get -1.

    Where in the index a row is named that is not there, -1 if nowhere; and how many are busy.
    """
    count, found = busy.size, 0
    busy[:] = 0
    for i in range(index.size):
        place = index[i] + count if index[i] < 0 else index[i]
        if place < 0 or place >= count:
            return i, 0
        busy[place] += 1
    for place in range(count):
        if busy[place] > few:
            busy[place] = found
            found += 1
        else:
            busy[place] = -1
    return -1, found


@keep_compiled
@njit(nogil=True)
def _add_rows(table: Any, index: Any, rows: Any, busy: Any, sums: Any, lo: int, hi: int) -> None:
    count = table.shape[0]
    for i in range(index.size):
        place = index[i] + count if index[i] < 0 else index[i]
        row = rows[i, lo:hi]
        if busy[place] >= 0:
            total = sums[busy[place], lo:hi]
            for j in range(hi - lo):
                total[j] += row[j]
        else:
            target = table[place, lo:hi]
            for j in range(hi - lo):
                target[j] += row[j]
    for place in range(count):
        if busy[place] >= 0:
            target, total = table[place, lo:hi], sums[busy[place], lo:hi]
            for j in range(hi - lo):
                target[j] += total[j]
