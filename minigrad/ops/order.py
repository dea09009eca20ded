"""Order along an axis: positions that sort, what lies at positions, the largest elements.

Which elements they are has no gradient; what is read from there has.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..engine.op import op
from ..engine.op_calls import as_tensor
from ..engine.tensor import Tensor
from .axes import as_count, one_axis
from .indexing import getitem, index_of
from .shape import reshape

__all__ = ["argsort", "sort", "take_along_axis", "topk"]


@op
def argsort(xp, x, *, axis=-1, descending=False, stable=True):
    """The positions that sort x along `axis`, or the flattened array if it is None.

    Ties keep their order, in both directions; `stable` is there for programs that ask for it. NaN
    counts as larger than all numbers: it comes last as in NumPy, and first if `descending`.
    The result is of dtype int64. Raises ValueError for an axis that x doesn't have.

    >>> mg.argsort(mg.tensor([3, 9, 2]))
    tensor([2, 0, 1])
    >>> mg.argsort(mg.tensor([3, 9, 2]), descending=True)
    tensor([1, 0, 2])
    """
    if axis is None:
        x, axis = xp.reshape(x, (math.prod(x.shape),)), 0
    axis = one_axis(axis, x.ndim)
    if not descending:
        return xp.argsort(x, axis)
    backwards = xp.argsort(xp.flip(x, axis=axis), axis)  # of ties the last comes first
    return xp.flip(xp.subtract(x.shape[axis] - 1, backwards), axis=axis)


argsort.vjp(x=None)


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """The entries of x that `indices` name along `axis`, for each place along the other axes.

    `indices` are integers with as many axes as x, and of the same sizes but along `axis`; sizes
    of 1 broadcast. If `axis` is None, x is flattened and `indices` have one axis. The result has
    the shape of `indices`, and gradients add up where an entry is read more than once.
    Raises IndexError for a position that x doesn't have, ValueError for another number of axes.

    >>> x = mg.tensor([[3, 9, 2], [5, 4, 6]])
    >>> mg.take_along_axis(x, mg.argmax(x, axis=1, keepdims=True), axis=1)
    tensor([[9],
            [6]])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    axis = one_axis(axis, x.ndim)
    if not hasattr(indices, "dtype"):
        indices = np.asarray(indices)
    if indices.dtype.kind == "b":
        raise IndexError("take_along_axis: indices are integers; got truth values. Write x[mask]")
    *_, positions = index_of((slice(None),) * axis + (indices,), x)
    if positions.ndim != x.ndim:
        raise ValueError(
            f"take_along_axis: indices have as many axes as x, {x.ndim}; got shapes "
            f"{tuple(positions.shape)} and {x.shape}. mg.take reads the same positions everywhere"
        )
    return entries_at(x, positions, axis)


def entries_at(x: Tensor, positions: Any, axis: int) -> Tensor:
    """What lies at `positions`, an array of x's backend whose numbers are known to be good."""
    backend, index = x.backend, [positions] * x.ndim
    for i, n in enumerate(x.shape):
        if i != axis:
            line = [1] * x.ndim
            line[i] = n
            index[i] = backend.reshape(backend.arange(n), tuple(line))
    return getitem(x, index=tuple(index))


def sort(x: Any, axis: int | None = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along `axis`, or all of them in one axis if it is None.

    Ties and NaN are placed as `argsort` says. An element's gradient comes from the place
    that it goes to. Tensors have no method `sort`: NumPy's sorts the array itself, PyTorch's gives
    a pair; for both results see `topk`.

    >>> mg.sort(mg.tensor([3.0, 9.0, 2.0]))
    tensor([2., 3., 9.])
    >>> mg.sort(mg.tensor([3.0, 9.0, 2.0]), descending=True)
    tensor([9., 3., 2.])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    order = argsort(x.detach(), axis=axis, descending=descending, stable=stable)
    return entries_at(x, order._data, one_axis(axis, x.ndim))


class TopK(NamedTuple):
    """What `topk` gives.

    >>> mg.topk(mg.tensor([3, 9, 2]), 1)
    TopK(values=tensor([9]), indices=tensor([1]))
    """

    values: Any
    indices: Any


def topk(
    x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Any, Any]:
    """The k largest elements along `axis`, the largest first, and their positions: a pair.

    With `largest=False` the k smallest, the smallest first. Of ties the first come first; NaN
    counts as larger than all numbers. They are always in order: `sorted` is there for programs
    that don't need it. The gradient flows to the elements that were chosen. Raises ValueError if
    the axis has fewer than k elements.

    >>> values, indices = mg.topk(mg.tensor([3.0, 9.0, 2.0, 5.0]), 2)
    >>> values, indices
    (tensor([9., 5.]), tensor([1, 3]))
    """
    x = as_tensor(x)
    axis, k = one_axis(axis, x.ndim), as_count(k, "k")
    if k > x.shape[axis]:
        raise ValueError(f"topk: axis {axis} of shape {x.shape} has no {k} elements")
    order = argsort(x.detach(), axis=axis, descending=largest)
    indices = getitem(order, index=(slice(None),) * axis + (slice(k),))
    return TopK(entries_at(x, indices._data, axis), indices)
