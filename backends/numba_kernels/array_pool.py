"""Large arrays used again: fresh memory costs a page fault per 4 KB, and a step feels it."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

MIN_BYTES_TO_POOL = 1 << 16  # the allocator gives smaller arrays as fast
_LARGEST = 1 << 28  # bytes kept in all
_LINE = 64  # bytes of a cache line


class ArrayPool:
    """Hands out arrays with undefined contents, in memory whose arrays are no longer held.

    There is nothing to give back: a block of memory is free when the pool's own reference is the
    last one. Arrays, their views and everything else that looks at its memory hold a reference.
    A free block serves any shape and dtype of its size, so that what one pass is done with the next
    one writes to.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, list[np.ndarray]] = {}  # by their size in bytes
        self._bytes = 0
        self._lock = threading.Lock()

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        """An array of this shape and dtype, whose contents don't matter."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < MIN_BYTES_TO_POOL:
            return np.empty(shape, dtype)
        shape, size = tuple(shape), _round_up(size)
        with self._lock:  # until the array's reference is there for other threads to see
            known = self._blocks.setdefault(size, [])
            for i in range(len(known)):
                if sys.getrefcount(known[i]) == 2:  # the list's, and that of this call's argument
                    return _array(known[i], shape, dtype)
            block = _aligned(size)
            if self._bytes + size > _LARGEST:
                self._drop_unused()
            if self._bytes + size <= _LARGEST:
                known.append(block)
                self._bytes += size
            return _array(block, shape, dtype)

    def _drop_unused(self) -> None:
        for known in self._blocks.values():
            for i in reversed(range(len(known))):
                if sys.getrefcount(known[i]) == 2:
                    self._bytes -= known.pop(i).nbytes


def _aligned(size: int) -> np.ndarray:
    """So many bytes from where a cache line begins: a vector or a row of a tile is in one line."""
    memory = np.empty(size + _LINE, np.uint8)
    return memory[-memory.ctypes.data % _LINE :][:size]


def _array(block: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The beginning of a block as an array.

    Through a memoryview, so that the owner of the memory, as far as arrays know, is a new one each
    time: what the in-place guard knows of it ends with it.
    """
    return np.frombuffer(block.data, dtype, math.prod(shape)).reshape(shape)


def _round_up(size: int) -> int:
    """The next larger one of eight sizes per doubling: sequences of many lengths share blocks."""
    step = 1 << max(size.bit_length() - 4, 0)
    return -(-size // step) * step
