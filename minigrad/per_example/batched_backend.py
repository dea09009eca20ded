"""A backend of which each array holds one array per example.

A function for one example that runs on it runs for all of them at once. Each name of the protocol
is that of another backend, with its axes counted past the hidden one; what is the same for all
examples has 1 there, and broadcasting does the rest. As ops and derivatives are written in the
protocol, they run for all examples, too. Whatever would need to know the examples apart (a number
that is read, a mask whose count differs) raises `Untraceable`.
"""

from __future__ import annotations

import contextlib
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.backend import PROTOCOL, is_basic
from ..errors import Untraceable
from .positions import Positions
from .rows import Rows, aligned, data_of

_REDUCTIONS = ("sum", "mean", "max", "min", "any", "all")


class BatchedBackend:
    """The protocol for `n` examples at once, calculated by the backend `base`."""

    array_type = Rows
    is_host = False  # NumPy can't read its arrays

    def __init__(self, base: Any, n: int) -> None:
        self.base, self.n = base, n
        self.name, self.device = f"{base.name}, {n} examples", base.device
        elementwise = {
            *PROTOCOL["arithmetic"],
            *PROTOCOL["elementwise"],
            *PROTOCOL["truth"],
            *PROTOCOL["bits"],
        }
        for names in PROTOCOL.values():
            for name in names:
                if name in _REDUCTIONS:
                    setattr(self, name, self._reduction(name))
                elif not hasattr(self, name):
                    make = self._elementwise if name in elementwise else self._unknown
                    setattr(self, name, make(name))

    def __repr__(self) -> str:
        return f"<minigrad backend {self.name!r} on {self.device}>"

    def rows(self, data: Any) -> Rows:
        """An array of the base backend, one row per example."""
        return Rows(data, self)

    def same(self, array: Any) -> Rows:
        """An array of the base backend, the same for all examples."""
        return Rows(self.base.reshape(array, (1, *array.shape)), self)

    def all_rows(self, x: Rows) -> Any:
        """The array behind x, (n, *shape)."""
        if x.lead == self.n:
            return x.data
        return self.base.broadcast_to(x.data, (self.n, *x.shape))

    # --- kinds of functions ----------------------------------------------------------------

    def _elementwise(self, name: str) -> Callable[..., Rows]:
        function = getattr(self.base, name)

        def call(*values: Any, **settings: Any) -> Rows:
            if not any(isinstance(x, Rows) for x in values):
                return self.asarray(function(*values, **settings))
            return self.rows(function(*aligned(values), **settings))

        return call

    def _reduction(self, name: str) -> Callable[..., Rows]:
        function = getattr(self.base, name)

        def call(x: Rows, axis: Any = None, keepdims: bool = False) -> Rows:
            return self.rows(function(x.data, axis=past(axis, x.ndim), keepdims=keepdims))

        return call

    def _unknown(self, name: str) -> Callable[..., Rows]:
        def call(*values: Any, **settings: Any) -> Rows:
            raise Untraceable(f"{name} works on one example at a time")

        return call

    # --- in and out ------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Rows:
        """A number, or an array of this backend."""
        if isinstance(value, Rows):
            return value if dtype in (None, value.dtype) else self.astype(value, dtype)
        if isinstance(value, (int, float, np.generic, self.base.array_type)):
            return self.same(self.base.asarray(value, dtype=dtype))
        raise Untraceable(f"it calculates with a {type(value).__name__} from outside")

    def from_host(self, array: np.ndarray) -> Rows:
        """The same for all examples."""
        return self.same(self.base.from_host(array))

    def to_host(self, array: Rows) -> np.ndarray:
        """Only of what is the same for all examples."""
        if array.lead != 1:
            raise Untraceable("it reads numbers, which differ between examples")
        return self.base.to_host(array.data)[0]

    def astype(self, x: Rows, dtype: Any) -> Rows:
        """A copy in another dtype."""
        return self.rows(self.base.astype(x.data, dtype))

    def copy(self, x: Rows) -> Rows:
        """The same numbers in memory of their own."""
        return self.rows(self.base.copy(x.data))

    def contiguous(self, x: Rows) -> Rows:
        """x, whose elements may lie in any order."""
        return x

    def synchronize(self) -> None:
        """Wait for the base backend."""
        self.base.synchronize()

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        """The base backend's context."""
        return self.base.quiet()

    # --- creation --------------------------------------------------------------------------

    def zeros(self, shape: Any, dtype: Any = None) -> Rows:
        """Zeros, the same for all examples."""
        return self.same(self.base.zeros(shape, dtype))

    def ones(self, shape: Any, dtype: Any = None) -> Rows:
        """Ones, the same for all examples."""
        return self.same(self.base.ones(shape, dtype))

    empty = zeros

    def full(self, shape: Any, value: Any, dtype: Any = None) -> Rows:
        """One value, the same for all examples."""
        return self.same(self.base.full(shape, value, dtype=dtype))

    def arange(self, *args: Any, **settings: Any) -> Rows:
        """A range, the same for all examples."""
        return self.same(self.base.arange(*args, **settings))

    # --- along one axis --------------------------------------------------------------------

    def argmax(self, x: Rows, axis: Any = None, keepdims: bool = False) -> Rows:
        """The position of the largest element."""
        return self._position("argmax", x, axis, keepdims)

    def argmin(self, x: Rows, axis: Any = None, keepdims: bool = False) -> Rows:
        """The position of the smallest element."""
        return self._position("argmin", x, axis, keepdims)

    def _position(self, name: str, x: Rows, axis: Any, keepdims: bool) -> Rows:
        kept = [1] * x.ndim
        if axis is None:
            x, axis = self.reshape(x, (-1,)), 0
        else:
            kept = [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)]
        found = getattr(self.base, name)(x.data, axis=past(axis, x.ndim))
        return self.rows(self.base.reshape(found, (x.lead, *kept)) if keepdims else found)

    def argsort(self, x: Rows, axis: int) -> Rows:
        """The positions that sort."""
        return self.rows(self.base.argsort(x.data, past(axis, x.ndim)))

    def cumsum(self, x: Rows, axis: int) -> Rows:
        """The running sum."""
        return self.rows(self.base.cumsum(x.data, axis=past(axis, x.ndim)))

    # --- products --------------------------------------------------------------------------

    def matmul(self, a: Rows, b: Rows) -> Rows:
        """One product if b is the same matrix for all examples, else one per example."""
        if b.ndim == 2 and b.lead == 1 and a.ndim:
            return self.rows(self.base.matmul(a.data, self.base.getitem(b.data, 0)))
        left, right = a.ndim == 1, b.ndim == 1
        a = self.reshape(a, (1, *a.shape)) if left else a
        b = self.reshape(b, (*b.shape, 1)) if right else b
        ndim = max(a.ndim, b.ndim)
        product = self.rows(self.base.matmul(data_of(a, ndim), data_of(b, ndim)))
        shape = product.shape
        if left or right:
            shape = shape[:-2] + (() if left else shape[-2:-1]) + (() if right else shape[-1:])
            product = self.reshape(product, shape)
        return product

    def einsum(self, subscripts: str, *arrays: Rows) -> Rows:
        """Einstein's sum, with a letter for the examples."""
        terms, _, output = subscripts.partition("->")
        letter = next(c for c in string.ascii_letters if c not in subscripts)
        inner, data = [], []
        for term, x in zip(terms.split(","), arrays, strict=True):
            differs = x.lead > 1
            inner.append(letter + term if differs else term)
            data.append(x.data if differs else self.base.getitem(x.data, 0))
        batched = any(term.startswith(letter) for term in inner)
        found = self.base.einsum(f"{','.join(inner)}->{letter * batched}{output}", *data)
        return self.rows(found) if batched else self.same(self.base.asarray(found))

    # --- linear algebra --------------------------------------------------------------------

    def solve(self, a: Rows, b: Rows) -> Rows:
        """The x of a @ x = b."""
        return self.rows(self.base.solve(*self._equally_many((a, b))))

    def cholesky(self, a: Rows) -> Rows:
        """The lower factor."""
        return self.rows(self.base.cholesky(a.data))

    def slogdet(self, a: Rows) -> list[Rows]:
        """The sign of the determinant, and the logarithm of its absolute value."""
        return [self.rows(y) for y in self.base.slogdet(a.data)]

    def svd(self, a: Rows) -> list[Rows]:
        """Bases and singular values."""
        return [self.rows(y) for y in self.base.svd(a.data)]

    # --- shape -----------------------------------------------------------------------------

    def reshape(self, x: Rows, shape: Any) -> Rows:
        """Another shape of each example."""
        shape = shape if isinstance(shape, (tuple, list)) else (shape,)
        return self.rows(self.base.reshape(x.data, (x.lead, *shape)))

    def transpose(self, x: Rows, axes: Any = None) -> Rows:
        """Its axes in another order."""
        axes = tuple(range(x.ndim))[::-1] if axes is None else axes
        return self.rows(self.base.transpose(x.data, (0, *past(axes, x.ndim))))

    def broadcast_to(self, x: Rows, shape: tuple[int, ...]) -> Rows:
        """Repeated along axes."""
        data = data_of(x, len(shape))
        return self.rows(self.base.broadcast_to(data, (x.lead, *shape)))

    def concatenate(self, arrays: Sequence[Rows], axis: int = 0) -> Rows:
        """Joined along an axis."""
        return self.rows(
            self.base.concatenate(self._equally_many(arrays), axis=past(axis, arrays[0].ndim))
        )

    def stack(self, arrays: Sequence[Rows], axis: int = 0) -> Rows:
        """Joined along a new axis."""
        axis = past(axis, arrays[0].ndim + 1)
        return self.rows(self.base.stack(self._equally_many(arrays), axis=axis))

    def _equally_many(self, arrays: Sequence[Rows]) -> list[Any]:
        lead = max(x.lead for x in arrays)
        return [
            x.data if x.lead == lead else self.base.broadcast_to(x.data, (lead, *x.shape))
            for x in arrays
        ]

    def split(self, x: Rows, sections: Sequence[int], axis: int) -> list[Rows]:
        """Parts along an axis."""
        return [self.rows(y) for y in self.base.split(x.data, sections, past(axis, x.ndim))]

    def unstack(self, x: Rows, axis: int) -> list[Rows]:
        """One part per index of an axis."""
        return [self.rows(y) for y in self.base.unstack(x.data, past(axis, x.ndim))]

    def flip(self, x: Rows, axis: Any = None) -> Rows:
        """Reversed along axes."""
        return self.rows(self.base.flip(x.data, axis=past(axis, x.ndim)))

    def pad(self, x: Rows, widths: Any, constant_values: Any = 0) -> Rows:
        """With a border."""
        return self.rows(self.base.pad(x.data, ((0, 0), *widths), constant_values=constant_values))

    def tril(self, x: Rows, k: int = 0) -> Rows:
        """Zeros above a diagonal."""
        return self.rows(self.base.tril(x.data, k))

    def triu(self, x: Rows, k: int = 0) -> Rows:
        """Zeros below a diagonal."""
        return self.rows(self.base.triu(x.data, k))

    # --- indexing --------------------------------------------------------------------------

    def index_array(self, value: Any) -> Rows:
        """An index: a NumPy array is the same for all examples."""
        if isinstance(value, Rows):
            return self.rows(self.base.index_array(value.data))
        return self.same(self.base.index_array(value))

    def outside(self, positions: Rows, start: int, stop: int, allowed: int | None) -> bool:
        """Whether some positions are neither from `start` to below `stop` nor `allowed`."""
        numbers = self.base.to_host(positions.data)
        wrong = (numbers < start) | (numbers >= stop)
        return bool((wrong if allowed is None else wrong & (numbers != allowed)).any())

    def getitem(self, x: Rows, index: Any) -> Rows:
        """x[index] of each example."""
        parts = index if isinstance(index, tuple) else (index,)
        if is_basic(parts):
            return self.rows(self.base.getitem(x.data, (slice(None), *parts)))
        at = Positions(parts, x.ndim, self)
        lead = max(x.lead, at.lead)
        found = self.base.getitem(x.data, at.index(lead, differs=x.lead > 1))
        return self.rows(self.base.transpose(found, at.from_front(found.ndim)))

    def scatter(self, g: Rows, index: Any, shape: tuple[int, ...]) -> Rows:
        """Zeros of `shape` with g added at `index`, for each example."""
        parts = index if isinstance(index, tuple) else (index,)
        if is_basic(parts):
            axes = sum((part is None) - isinstance(part, int) for part in parts)
            data = data_of(g, len(shape) + axes)  # a number may go to many places
            return self.rows(self.base.scatter(data, (slice(None), *parts), (g.lead, *shape)))
        at = Positions(parts, len(shape), self)
        lead = max(g.lead, at.lead)
        data = data_of(g, at.ndim)
        data = self.base.broadcast_to(data, (lead, *data.shape[1:]))
        data = self.base.transpose(data, at.to_front(data.ndim))
        return self.rows(self.base.scatter(data, at.index(lead), (lead, *shape)))


def past(axis: Any, ndim: int) -> Any:
    """Axes of one example as axes of the array behind it; None means all."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, int):
        return axis % ndim + 1
    return tuple(i % ndim + 1 for i in axis)
