"""Backends: who computes. The protocol, the array-module backend, the registry, the selection.

A backend is an object that every tensor carries. It offers the names of `PROTOCOL`;
an op's forward calls them on raw arrays and knows nothing else of the machine. What a backend
may offer besides is in `OPTIONAL`.
NumPy and CuPy are one class, `ArrayModuleBackend`, over two array modules.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..utils import error_function, summation
from ..utils.summation import HALF, SINGLE

__all__ = ["OPTIONAL", "PROTOCOL", "ArrayModuleBackend"]


# What a backend offers, by purpose. Arrays are whatever the backend likes, as long as they have
# `shape`, `dtype`, `ndim` and Python's arithmetic and comparison operators.
PROTOCOL: dict[str, tuple[str, ...]] = {
    "identity": ("name", "device", "array_type", "is_host"),
    "in and out": (
        *("asarray", "from_host", "to_host", "astype", "copy", "contiguous"),
        *("synchronize", "quiet"),
    ),
    "creation": ("zeros", "ones", "full", "empty", "arange"),
    "arithmetic": (
        *("add", "subtract", "multiply", "divide", "negative", "power", "square"),
        *("mod", "floor_divide"),
    ),
    "elementwise": (
        *("exp", "log", "log2", "log10", "log1p", "expm1"),
        "erf",
        *("sqrt", "abs", "sign", "hypot", "floor", "ceil", "trunc", "rint"),
        *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2"),
        *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
        *("sigmoid", "relu", "maximum", "minimum", "where", "clip"),
    ),
    "truth": (
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_not", "isfinite", "isnan", "any", "all"),
    ),
    "bits": (
        *("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift"),
        *("right_shift",),
    ),
    "reductions": ("sum", "mean", "max", "min", "argmax", "argmin", "argsort", "cumsum"),
    "products": ("matmul", "einsum"),
    "shape": (
        *("reshape", "transpose", "broadcast_to", "concatenate", "stack", "split", "unstack"),
        *("flip", "pad", "tril", "triu"),
    ),
    "indexing": ("getitem", "scatter", "index_array"),
}

# What a backend may offer besides: minigrad asks for each, and does without it.
OPTIONAL: dict[str, str] = {
    # choosing it, and reports
    "active": "active(): a context in which its device is the current one",
    "priority": "MINIGRAD_BACKEND=auto takes the one with the highest number above 0 that starts",
    "version": "the version of its array library",
    "doctor_lines": "doctor_lines(): what `minigrad doctor` prints of its device, line by line",
    "memory": "memory(): what its device has and what is in use, a dict of bytes by name",
    "about": "about(): the device and its software, a dict of texts by name",
    "launched": "how many kernels and products its loops have launched so far, a Counter",
    # edits of arrays
    "setitem": "setitem(x, index, value): a copy of x with `value` at `index`",
    "outside": "outside(positions, start, stop, allowed): whether some are out of range, on device",
    "fingerprint": "fingerprint(x): a checksum of its bytes that stays on the device",
    "lend": "lend(x): another array over the same memory, and a link that lives as long as it",
    "held": "held(link): whether anything but the link refers to its array",
    # linear algebra along the last two axes, of float32 and float64: for `minigrad.linalg`
    "solve": "solve(a, b): x with a @ x = b, leading axes equal; NumPy's LinAlgError if singular",
    "cholesky": "cholesky(a): the lower factor; NumPy's LinAlgError if not positive definite",
    "slogdet": "slogdet(a): the signs and the logarithms of determinants, 0 and -inf if singular",
    "svd": "svd(a): u, s and v with a = u @ diag(s) @ v, no larger than they must be",
    # compiling
    "compile_loop": "compile_loop(loop, dtype): a kernel with a `text`, for a `schedule.Loop`",
    "loops_only": "whether its kernels pay for cells over time, and for nothing else",
    "kernels": "its kernels that are in use, by their text",
    "product_starts": "whether matmul(a, b, start) adds to `start`, (N, M) or (M,)",
    "product_in_loop": "product_in_loop(rows, terms, columns): whether a loop computes a step's "
    "product that could be outside of it; its weights' gradients are `totals` then",
    "rows_per_sum": "how many rows its loops add up at a time, where they have a `block_sum`",
    "sum_rows": "sum_rows(arrays, shapes): the sums of several arrays over their rows, in one go",
}


class ArrayModuleBackend:
    """Every name of the protocol over an array module that follows NumPy.

    A subclass replaces what its module does differently; a backend with kernels of its own
    overrides single names (`self.tanh = ...`) and stays complete in all others.

    Parameters
    ----------
    xp : the array module, for example `numpy`.
    name : what `MINIGRAD_BACKEND` and error messages call it.
    device : where its arrays live, as people say it (`"cpu"`, `"cuda:0"`).
    is_host : whether `numpy.asarray` may read its arrays without a transfer.

    >>> mg.ArrayModuleBackend(np, "plain", is_host=True).tanh(np.zeros(2))
    array([0., 0.])
    """

    compile_loop: Callable[..., Callable[..., None]] | None = None  # see OPTIONAL
    priority = 0

    def __init__(self, xp: Any, name: str, device: str = "cpu", is_host: bool = False) -> None:
        self.xp = xp
        self.name = name
        self.device = device
        self.is_host = is_host
        self.array_type: type = xp.ndarray
        for group in PROTOCOL.values():
            for method in group:
                if not hasattr(self, method) and hasattr(xp, method):
                    setattr(self, method, getattr(xp, method))

    def __repr__(self) -> str:
        return f"<minigrad backend {self.name!r} on {self.device}>"

    # --- in and out ------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """An array of this backend from one of its arrays, its scalars or a Python number."""
        return self.xp.asarray(value, dtype=dtype)

    def from_host(self, array: np.ndarray) -> Any:
        """This backend's copy of a NumPy array."""
        return self.xp.array(array)

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy copy of this backend's array."""
        return np.array(array)

    def astype(self, x: Any, dtype: Any) -> Any:
        """A copy of x in another dtype."""
        return x.astype(dtype)

    def copy(self, x: Any) -> Any:
        """The same numbers in memory of their own."""
        return x.copy()

    def contiguous(self, x: Any) -> Any:
        """x if its elements lie in reading order, else a copy in which they do."""
        return self.xp.asarray(x, order="C")

    def synchronize(self) -> None:
        """Wait until everything asked for is computed; a host backend has nothing to wait for."""

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which overflow and division by zero give inf and NaN without a warning."""
        return contextlib.nullcontext()

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which this backend's device is the current one; entered by who selects it.

        A backend that has one device needs none, so plugins may leave this out.
        """
        return contextlib.nullcontext()

    # --- what array modules lack or do differently --------------------------------------------

    def sigmoid(self, x: Any) -> Any:
        """1 / (1 + exp(-x)), accurate in both tails."""
        with self.quiet():  # exp(-x) may be infinite, and then this is 0
            return 1 / (1 + self.xp.exp(-x))

    def erf(self, x: Any) -> Any:
        """The error function; of integers in float64."""
        return error_function.erf(self.xp, x)

    def relu(self, x: Any) -> Any:
        """x where it is positive, else 0."""
        return self.xp.maximum(x, 0)

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product over the last two axes."""
        if a.shape[-1:] > (summation.LONG,) and a.dtype.kind == b.dtype.kind == "f":
            if a.dtype == HALF and b.dtype == HALF:
                return self.matmul(a.astype(SINGLE), b.astype(SINGLE)).astype(HALF)
            return summation.product(self._matmul, a, b, not self.is_host)
        return self._matmul(a, b)

    def _matmul(self, a: Any, b: Any) -> Any:
        """The product by the module."""
        if b.ndim == 2 and a.ndim > 2:  # one large product beats a loop of small ones
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return self._matmul(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        return self.xp.matmul(a, b)

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum, of many numbers pairwise, of float16 in float32."""
        y = self._total(x, axis, keepdims)
        return y if y.dtype is x.dtype or x.dtype != HALF else y.astype(HALF)

    def _total(self, x: Any, axis: Any, keepdims: bool) -> Any:
        """The sum; that of float16 numbers is in float32."""
        return summation.total(x, axis, keepdims, not self.is_host)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean; of integers and truth values in float64."""
        if not self.is_host and x.size <= summation.DEVICE_FEW:
            return self.xp.mean(x, axis=axis, keepdims=keepdims)  # one launch
        y = self._total(x, axis, keepdims)
        y = y / (x.size // y.size if y.size else 1)
        return y if y.dtype is x.dtype or x.dtype != HALF else y.astype(HALF)

    def argsort(self, x: Any, axis: int) -> Any:
        """The positions that sort x along an axis; ties keep their order, NaN comes last."""
        return self.xp.argsort(x, axis=axis, kind="stable")

    def cumsum(self, x: Any, axis: int) -> Any:
        """The running sum, added up in float64."""
        if x.dtype.kind != "f":
            return self.xp.cumsum(x, axis=axis)
        return self.xp.cumsum(x, axis=axis, dtype=np.float64).astype(x.dtype, copy=False)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        """Einstein's sum, in its explicit form; of float16 in float32."""
        if arrays and all(x.dtype == HALF for x in arrays):
            return self.einsum(subscripts, *(x.astype(SINGLE) for x in arrays)).astype(HALF)
        terms, arrow, output = subscripts.partition("->")
        if not arrow or "." in subscripts:
            return self.xp.einsum(subscripts, *arrays)
        few = summation.FEW if self.is_host else summation.DEVICE_FEW
        return summation.contraction(self.xp.einsum, terms.split(","), output, arrays, few)

    def split(self, x: Any, sections: Sequence[int], axis: int) -> list[Any]:
        """Views of the given sizes along `axis`."""
        views, start = [], 0
        prefix = (slice(None),) * axis
        for size in sections:
            views.append(x[(*prefix, slice(start, start + size))])
            start += size
        return views

    def unstack(self, x: Any, axis: int) -> list[Any]:
        """One view per index of `axis`."""
        prefix = (slice(None),) * axis
        # Ellipsis: the last axis gone, an array of no dimensions must still be an array
        return [x[(*prefix, i, ...)] for i in range(x.shape[axis])]

    def getitem(self, x: Any, index: Any) -> Any:
        """x[index], the index prepared by `index_array`."""
        return x[index]

    def scatter(self, g: Any, index: Any, shape: tuple[int, ...]) -> Any:
        """Zeros of `shape` with `g` added at `index`; where an index repeats, its rows add up."""
        if is_basic(index):
            out = self.xp.zeros(shape, g.dtype)
            out[index] = g  # a slice names no element twice
            return out
        many = g.dtype.kind == "f" and (g.size > summation.FEW or g.dtype == HALF)
        out = self.xp.zeros(shape, np.float64 if many else g.dtype)
        self.xp.add.at(out, index, g)
        return out.astype(g.dtype) if many else out

    def setitem(self, x: Any, index: Any, value: Any) -> Any:
        """A copy of x with `value` at `index`; a plugin without this pays two ways to the host."""
        out = x.copy()
        out[index] = value
        return out

    def index_array(self, value: Any) -> Any:
        """An index (a NumPy array or one of this backend's) as `getitem` and `scatter` want it."""
        return self.xp.array(value)

    # --- linear algebra: see OPTIONAL ------------------------------------------------------

    def solve(self, a: Any, b: Any) -> Any:
        """The x of a @ x = b, for each matrix."""
        return self.xp.linalg.solve(a, b)

    def cholesky(self, a: Any) -> Any:
        """The lower factor of each matrix."""
        return self.xp.linalg.cholesky(a)

    def slogdet(self, a: Any) -> Sequence[Any]:
        """The sign of each determinant, and the logarithm of its absolute value."""
        return list(self.xp.linalg.slogdet(a))

    def svd(self, a: Any) -> Sequence[Any]:
        """The left basis, singular values and the right basis of each matrix."""
        return list(self.xp.linalg.svd(a, full_matrices=False))


def is_basic(index: Any) -> bool:
    """Whether an index is made of integers and slices alone, so that it gives a view."""
    for part in index if isinstance(index, tuple) else (index,):
        if not (part is None or part is ... or isinstance(part, (int, slice))):
            return False
    return True
