"""Reading and adding at positions: slices, integer arrays, truth values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..op import op
from ..tensor import Tensor
from .axes import one_axis
from .shape import broadcast_to, reshape

__all__ = ["index", "scatter_add", "take"]


@op
def getitem(xp, x, *, index):
    """x[index], the index prepared by `index_of`."""
    return xp.getitem(x, index)


getitem.vjp(x=lambda g, like, index: scatter(g, index=index, shape=like.shape))


@op
def scatter(xp, x, *, index, shape):
    """Zeros of `shape` with x added at `index`; what meets at one place adds up."""
    return xp.scatter(x, index, shape)


scatter.vjp(x=lambda g, index: getitem(g, index=index))


def index_of(index: Any, backend: Any) -> Any:
    """An index as the backend takes it: tensors, lists and NumPy arrays as arrays of its own."""
    if isinstance(index, tuple):
        return tuple(index_of(part, backend) for part in index)
    if index is None or index is ... or isinstance(index, (int, slice)):
        return index
    if isinstance(index, np.integer):
        return int(index)
    array = index._data if isinstance(index, Tensor) else np.asarray(index)
    if array.size == 0 and not isinstance(index, (Tensor, np.ndarray)):
        array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iub":
        raise IndexError(
            f"an index must be made of integers, slices or truth values; got {array.dtype}"
        )
    return backend.index_array(array)


def index(x: Tensor, index: Any) -> Tensor:
    """x[index]: integers, slices, ellipsis, None, integer arrays or truth values, as in NumPy.

    Gradients add up where an element is read more than once.

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, 3)[:, [2, 0]]
    tensor([[2, 0],
            [5, 3]])
    """
    return getitem(x, index=index_of(index, x.backend))


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries at integer `indices` along `axis`, or in the flattened array."""
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    return index(x, (slice(None),) * one_axis(axis, x.ndim) + (indices,))


def scatter_add(x: Tensor, index: Any, values: Any) -> Tensor:
    """A copy of x with `values` added at `index`; where an index repeats, all its values count.

    >>> import minigrad as mg
    >>> mg.scatter_add(mg.zeros(3), [0, 2, 2], mg.ones(3))
    tensor([1., 0., 2.])
    """
    where = index_of(index, x.backend)
    if not isinstance(values, Tensor):
        from ..creation import tensor

        values = tensor(values, dtype=x.dtype, backend=x.backend)
    shape = getitem(x.detach(), index=where).shape
    return x + scatter(broadcast_to(values, shape), index=where, shape=x.shape)
