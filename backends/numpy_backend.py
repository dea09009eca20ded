"""The NumPy backend: the default, and the definition that the others are tested against."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from minigrad.engine.backend import ArrayModuleBackend
from minigrad.utils import summation
from minigrad.utils.quiet import quiet
from minigrad.utils.summation import HALF, SINGLE

from .numpy_kernels.choices import where
from .numpy_kernels.freed_memory import keep_freed_memory
from .numpy_kernels.scatter import scatter_rows
from .numpy_kernels.sums import total
from .numpy_kernels.with_loops import WithLoops

# Called by position: to sort out names takes them as long as to add a few numbers.
_largest: Any = np.maximum.reduce
_least: Any = np.minimum.reduce

_FEW_FOR_ERF = 256  # numbers that Python's own function takes no longer for
_FEW = 64  # numbers to scatter for which sorting does not pay


class NumpyBackend(ArrayModuleBackend):
    """NumPy arrays on the CPU."""

    def __init__(self) -> None:
        super().__init__(np, name="numpy", device="cpu", is_host=True)
        keep_freed_memory()

    def contiguous(self, x: Any) -> Any:
        return x if x.flags.c_contiguous else np.array(x, order="C")

    # By the array's methods: NumPy's functions take anything, and several times as long.

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        return x.reshape(shape)

    def transpose(self, x: Any, axes: Any = None) -> Any:
        return x.transpose(axes)

    def ones(self, shape: Any, dtype: Any = None) -> Any:
        if shape == ():
            return np.array(1.0, dtype)
        y = np.empty(shape, dtype)
        y.fill(1)
        return y

    def stack(self, arrays: Any, axis: int = 0) -> Any:
        first = arrays[0]
        for x in arrays:
            if x.shape != first.shape:
                return np.stack(arrays, axis)  # the error is its own
        at = axis if axis >= 0 else axis + first.ndim + 1
        index = (*(slice(None),) * at, None)
        return np.concatenate([x[index] for x in arrays], axis)

    def broadcast_to(self, x: Any, shape: tuple[int, ...]) -> Any:
        if x.size != 1 or not isinstance(x, np.ndarray) or x.ndim > len(shape):
            return np.broadcast_to(x, shape)
        y = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))  # in a third of the time
        y.flags.writeable = False
        return y

    def max(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        return _largest(x, axis, None, None, keepdims)

    def min(self, x: Any, axis: Any = None, keepdims: Any = False) -> Any:
        return _least(x, axis, None, None, keepdims)

    where, _total = staticmethod(where), staticmethod(total)

    def sigmoid(self, x: Any) -> Any:
        if not x.ndim or x.dtype.kind != "f":
            return super().sigmoid(x)
        with self.quiet():  # as above, in one array
            y = np.negative(x)
            np.exp(y, out=y)
            y += 1
            return np.reciprocal(y, out=y)

    def erf(self, x: Any) -> Any:
        if x.size > _FEW_FOR_ERF:
            return super().erf(x)
        y = np.array([math.erf(number) for number in x.reshape(-1).tolist()])
        return y.reshape(x.shape).astype(x.dtype if x.dtype.kind == "f" else y.dtype, copy=False)

    def _matmul(self, a: Any, b: Any) -> Any:
        if a.dtype == HALF and b.dtype == HALF:  # which the library has no product of
            return self._matmul(a.astype(SINGLE), b.astype(SINGLE)).astype(HALF)
        # For a column times a row np.dot takes a tenth of np.matmul's time.
        return np.dot(a, b) if a.ndim == b.ndim == 2 else super()._matmul(a, b)

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        return quiet()

    def scatter(self, g: Any, index: Any, shape: tuple[int, ...]) -> Any:
        few = g.size <= summation.FEW and g.dtype != HALF
        if few and index.__class__ is tuple and index and index[0].__class__ is np.ndarray:
            y = np.zeros(shape, g.dtype)  # as the general way does it, without its questions
            np.add.at(y, index, g)
            return y
        rows = isinstance(index, np.ndarray) and index.dtype.kind == "i"
        if not rows or g.size <= _FEW or not shape:
            return super().scatter(g, index, shape)
        return scatter_rows(g, index, shape)


class LoopingNumpyBackend(WithLoops, NumpyBackend):
    """NumPy arrays on the CPU; scans run as loops of plain NumPy."""


def load() -> NumpyBackend:
    """The entry point's target: one backend object."""
    return LoopingNumpyBackend()
