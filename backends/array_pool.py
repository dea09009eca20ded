"""Large arrays used again: fresh memory costs a page fault per 4 KB, and a step feels it."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

_SMALLEST = 1 << 16  # bytes; below, the allocator does the same by itself
_LARGEST = 1 << 28  # bytes kept in all


class ArrayPool:
    """Hands out arrays with undefined contents, and takes back those that nobody holds any more.

    There is nothing to give back: an array is free when the pool's own reference is the last one.
    Views and everything else that looks at an array's memory hold a reference to it.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[tuple[int, ...], np.dtype], list[np.ndarray]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        """An array of this shape and dtype, whose contents don't matter."""
        shape, dtype = tuple(shape), np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        with self._lock:  # until the caller's reference is there for other threads to see
            known = self._arrays.setdefault((shape, dtype), [])
            for i in range(len(known)):
                if sys.getrefcount(known[i]) == 2:  # the list's, and that of this call's argument
                    return known[i]
            array = np.empty(shape, dtype)
            if self._bytes + size > _LARGEST:
                self._drop_unused()
            if self._bytes + size <= _LARGEST:
                known.append(array)
                self._bytes += size
            return array

    def _drop_unused(self) -> None:
        for known in self._arrays.values():
            for i in reversed(range(len(known))):
                if sys.getrefcount(known[i]) == 2:
                    self._bytes -= known.pop(i).nbytes
