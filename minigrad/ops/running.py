"""Along an axis: running sums, products and extremes, and the differences between neighbours."""

from __future__ import annotations

import math
from typing import Any

from ..engine.creation import tensor
from ..engine.op import NUMBERS, op
from ..engine.op_calls import as_tensor
from .arithmetic import multiply, subtract
from .axes import as_count, one_axis
from .comparisons import not_equal
from .convert import astype
from .indexing import getitem
from .order import entries_at
from .shape import broadcast_to, concatenate, flip, reshape

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff"]


def _with_axis(x: Any, axis: int | None) -> tuple[Any, int]:
    """x and the axis to go along: all elements in reading order if it is None."""
    x = as_tensor(x)
    if axis is None:
        return reshape(x, (math.prod(x.shape),)), 0
    return x, one_axis(axis, x.ndim)


@op
def cumsum_along(xp, x, *, axis):
    """The running sum along one axis.

    >>> cumsum_along(mg.tensor([1.0, 2.0, 3.0]), axis=0)
    tensor([1., 3., 6.])
    """
    return xp.cumsum(x, axis=one_axis(axis, x.ndim))


cumsum_along.vjp(x=lambda g, axis: flip(cumsum_along(flip(g, axis=axis), axis=axis), axis=axis))


def cumsum(x: Any, axis: int | None = None) -> Any:
    """The running sum along `axis`, or of all elements in reading order if it is None.

    Raises ValueError for an axis that x doesn't have.

    >>> mg.cumsum(mg.tensor([1, 2, 3]))
    tensor([1, 3, 6])
    """
    x, axis = _with_axis(x, axis)
    return cumsum_along(x, axis=axis)


def _halves(axis: int, step: int) -> tuple[Any, Any, Any]:
    """Indices: the first `step` entries along an axis, all but the last, all but the first."""
    before = (slice(None),) * axis
    return (*before, slice(step)), (*before, slice(-step)), (*before, slice(step, None))


def cumprod(x: Any, axis: int | None = None) -> Any:
    """The running product along `axis`, or of all elements in reading order if it is None.

    Its gradients of any order are right at zeros, too: products of 2, 4, 8 ... neighbours are
    multiplied with each other, and nothing is divided. Products of small integers and of truth
    values are of dtype int64, as in NumPy. Raises ValueError for an axis that x doesn't have.

    >>> mg.cumprod(mg.tensor([1, 2, 3, 4]))
    tensor([ 1,  2,  6, 24])
    """
    x, axis = _with_axis(x, axis)
    if x.dtype.kind in "iub" and x.dtype.itemsize < 8:
        x = astype(x, "uint64" if x.dtype.kind == "u" else "int64")
    step = 1
    while step < x.shape[axis]:
        # x[i] is the product of `step` elements up to i, or of all if there are no more.
        done, earlier, later = (getitem(x, index=part) for part in _halves(axis, step))
        x = concatenate([done, multiply(earlier, later)], axis=axis)
        step *= 2
    return x if step > 1 else reshape(x, x.shape)


@op
def running_argmax(xp, x, *, axis, smallest):
    """The positions of `cummax` (or `cummin`), the last of ties.

    >>> running_argmax(mg.tensor([2.0, 1.0, 3.0]), axis=0, smallest=False)
    tensor([0, 0, 2])
    """
    axis, n, step = one_axis(axis, x.ndim), x.shape[axis], 1
    after = xp.less_equal if smallest else xp.greater_equal
    line = tuple(n if i == axis else 1 for i in range(x.ndim))
    at = xp.broadcast_to(xp.reshape(xp.arange(n), line), x.shape)
    while step < n:
        # x[i] is the extreme of `step` elements up to i, as in `cumprod`; and `at` its position.
        done, earlier, later = _halves(axis, step)
        old, new = xp.getitem(x, earlier), xp.getitem(x, later)
        wins = xp.logical_or(after(new, old), xp.not_equal(new, new))  # NaN wins
        x, at = (
            xp.concatenate(
                [xp.getitem(a, done), xp.where(wins, xp.getitem(a, later), xp.getitem(a, earlier))],
                axis=axis,
            )
            for a in (x, at)
        )
        step *= 2
    return at


running_argmax.vjp(x=None)


def cummax(x: Any, axis: int | None = None) -> Any:
    """The running maximum along `axis`, or of all elements in reading order if it is None.

    NumPy calls it `maximum.accumulate`. After a NaN it is NaN. The gradient flows to the element
    that each value is, to the last of ties as in PyTorch; PyTorch gives its positions, too.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.cummax(mg.tensor([1, 5, 2, 7]))
    tensor([1, 5, 5, 7])
    """
    x, axis = _with_axis(x, axis)
    return entries_at(x, running_argmax(x.detach(), axis=axis, smallest=False)._data, axis)


def cummin(x: Any, axis: int | None = None) -> Any:
    """The running minimum along `axis`, or of all elements in reading order if it is None.

    NumPy calls it `minimum.accumulate`. After a NaN it is NaN. The gradient flows to the element
    that each value is, to the last of ties as in PyTorch; PyTorch gives its positions, too.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.cummin(mg.tensor([7, 2, 5, 1]))
    tensor([7, 2, 2, 1])
    """
    x, axis = _with_axis(x, axis)
    return entries_at(x, running_argmax(x.detach(), axis=axis, smallest=True)._data, axis)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Each entry along `axis` less the one before it, `n` times over.

    The axis gets shorter by one each time. `prepend` and `append` are numbers or arrays that are
    joined to x first; not if n is 0, as in NumPy. Of truth values it is whether neighbours differ.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.diff(mg.tensor([1.0, 4.0, 9.0, 16.0]))
    tensor([3., 5., 7.])
    >>> mg.diff(mg.tensor([1.0, 4.0, 9.0, 16.0]), n=2)
    tensor([2., 2.])
    """
    x = as_tensor(x)
    axis, n = one_axis(axis, x.ndim), as_count(n, "n")
    if n == 0:
        return reshape(x, x.shape)
    ends = [None if end is None else _beside(end, x, axis) for end in (prepend, append)]
    parts = [part for part in (ends[0], x, ends[1]) if part is not None]
    if len(parts) > 1:
        x = concatenate(parts, axis=axis)
    minus = not_equal if x.dtype.kind == "b" else subtract
    for _ in range(n):
        _, earlier, later = _halves(axis, 1)
        x = minus(getitem(x, index=later), getitem(x, index=earlier))
    return x


def _beside(end: Any, x: Any, axis: int) -> Any:
    """What is joined to x: a number stands for one entry, and takes on the dtype of floats."""
    weak = end.__class__ in NUMBERS and x.dtype.kind == "f"
    end = tensor(end, dtype=x.dtype, backend=x.backend) if weak else as_tensor(end, x)
    if end.ndim:
        return end
    return broadcast_to(end, tuple(1 if i == axis else m for i, m in enumerate(x.shape)))
