"""Reductions over axes: sums, extremes, products, spreads.

`axis` is an int, a tuple of ints, negative ones too, or None for all; `keepdims` keeps the
reduced axes with size 1. With `where`, a mask that broadcasts to x, they take only the elements
where it is true. What the others are reaches neither the result nor a gradient, not even NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.explain import public_name
from ..engine.op import OPS, op
from ..engine.op_calls import as_tensor
from ..utils.summation import HALF, SINGLE
from .arithmetic import abs, root, sqrt, square
from .axes import axis_tuple, count, keepdims_shape
from .choices import nan_at_nan, where
from .convert import astype, cast, in_float32
from .exponentials import exp
from .shape import broadcast_to, concatenate, reshape, split, transpose

__all__ = ["all", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "nanmean"]
__all__ += ["nansum", "norm", "prod", "std", "sum", "var"]


def _selected(x: Any, mask: Any, rest: Any) -> Any:
    """x with `rest` where a mask isn't true: a number, or what gives one for a dtype."""
    x = as_tensor(x, mask)
    return where(_as_mask(mask, x), x, rest(x.dtype) if callable(rest) else rest)


def _as_mask(mask: Any, x: Any) -> Any:
    """A mask as a tensor of the shape of x."""
    mask = as_tensor(mask, x)
    if mask.dtype.kind != "b":
        raise TypeError(
            f"{public_name()}: where= is a mask of truth values; got {mask.dtype}. Write mask != 0"
        )
    sizes = zip(mask.shape[::-1], x.shape[::-1], strict=False)
    if mask.ndim > x.ndim or {n for n, m in sizes if n != m} - {1}:
        raise ValueError(
            f"{public_name()}: the mask {mask.shape} doesn't broadcast to the shape of x {x.shape}"
        )
    return mask if mask.shape == x.shape else broadcast_to(mask, x.shape)


def _where(reduce: str, rest: Any) -> Any:
    """What a reduction is with `where`: the other elements become one that changes nothing."""
    return lambda x, where, axis, keepdims: OPS[reduce](
        _selected(x, where, rest), axis=axis, keepdims=keepdims
    )


def _lowest(dtype: Any) -> Any:
    return -math.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _highest(dtype: Any) -> Any:
    return math.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def _masked_mean(x: Any, where: Any, axis: Any, keepdims: bool) -> Any:
    return in_float32(_mean_where, as_tensor(x, where), where, axis, keepdims)


def _mean_where(x: Any, mask: Any, axis: Any, keepdims: bool) -> Any:
    return _per_element(_selected(x, mask, 0), mask, axis, keepdims)


def _per_element(x: Any, mask: Any, axis: Any, keepdims: bool, less: float = 0) -> Any:
    """The sum of x over how many elements a mask selects, less some; NaN if nothing is left."""
    n = sum(_as_mask(mask, x), axis=axis, keepdims=keepdims)
    left = n > less
    number = astype(where(left, n, less + 1), x.dtype if x.dtype.kind == "f" else "float64") - less
    return where(left, sum(x, axis=axis, keepdims=keepdims) / number, math.nan)


def _reduced(f: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    if not x.ndim:
        axis_tuple(axis, 0)  # NumPy lets some reductions take an axis that isn't there
    return f(x, axis=axis, keepdims=keepdims)


@op(masked=_where("sum", 0))
def sum(xp, x, *, axis=None, keepdims=False):
    """The sum over `axis`.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask that broadcasts to x, it is the sum of the elements where that
    is true: what the others are, even NaN, reaches neither the sum nor a gradient.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.sum(mg.ones((2, 3)), axis=0)
    tensor([2., 2., 2.])
    >>> x = mg.tensor([1.0, math.nan, 3.0])
    >>> mg.sum(x, where=mg.tensor([True, False, True]))
    tensor(4.)
    """
    return _reduced(xp.sum, x, axis, keepdims)


sum.vjp(
    x=lambda g, like, axis: broadcast_to(reshape(g, keepdims_shape(like.shape, axis)), like.shape)
)


@op(masked=_masked_mean)
def mean(xp, x, *, axis=None, keepdims=False):
    """The arithmetic mean over `axis`.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, it is the mean of the elements where that is
    true; NaN if there is none, and then with gradient 0. Raises ValueError for an axis that x
    doesn't have.

    >>> mg.mean(mg.tensor([1.0, 2.0, 6.0]))
    tensor(3.)
    >>> x = mg.tensor([[1.0, 2.0, 6.0], [3.0, 5.0, 0.0]])
    >>> mg.mean(x, axis=1, where=mg.arange(3) < mg.tensor([[3], [2]]))  # of sequences with lengths
    tensor([3., 4.])
    """
    return xp.mean(x, axis=axis, keepdims=keepdims)


mean.vjp(
    x=lambda g, like, axis: broadcast_to(
        reshape(g / count(like.shape, axis), keepdims_shape(like.shape, axis)), like.shape
    )
)


def _shared_among_ties(g: Any, x: Any, y: Any, axis: Any) -> Any:
    """The gradient of an extreme: equal parts for all the elements that attain it.

    If there is a NaN among them, y is NaN, and so are all parts.
    """
    shape = keepdims_shape(x.shape, axis)
    ties = x == reshape(y, shape)
    number = cast(sum(ties, axis=axis, keepdims=True), dtype=g.dtype)
    return nan_at_nan(where(ties, reshape(g, shape) / number, 0), reshape(y, shape))


@op(masked=_where("max", _lowest))
def max(xp, x, *, axis=None, keepdims=False):
    """The largest element over `axis`. Elements that tie share the gradient equally.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, only elements where that is true are looked at;
    of none it is -inf. Raises ValueError for an axis that x doesn't have, or if there are no
    elements.

    >>> mg.max(mg.tensor([[1, 5], [7, 3]]), axis=1)
    tensor([5, 7])
    """
    return _reduced(xp.max, x, axis, keepdims)


max.vjp(x=_shared_among_ties)


@op(masked=_where("min", _highest))
def min(xp, x, *, axis=None, keepdims=False):
    """The smallest element over `axis`. Elements that tie share the gradient equally.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, only elements where that is true are looked at;
    of none it is inf. Raises ValueError for an axis that x doesn't have, or if there are no
    elements.

    >>> mg.min(mg.tensor([[1, 5], [7, 3]]), axis=1)
    tensor([1, 3])
    """
    return _reduced(xp.min, x, axis, keepdims)


min.vjp(x=_shared_among_ties)


@op(masked=_where("logsumexp", -math.inf))
def logsumexp(xp, x, *, axis=None, keepdims=False):
    """log(sum(exp(x))) over `axis`, without overflow; of nothing it is -inf.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, only elements where that is true are looked at.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.logsumexp(mg.tensor([1000.0, 0.0]))
    tensor(1000.)
    """
    shape = keepdims_shape(x.shape, axis)
    if count(x.shape, axis) == 0:
        y = xp.full(shape, -math.inf, dtype=x.dtype)
    else:
        wide = xp.astype(x, SINGLE) if x.dtype == HALF else x
        top = xp.max(wide, axis=axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        with xp.quiet():  # log(0) is -inf, which is right
            y = xp.log(xp.sum(xp.exp(wide - top), axis=axis, keepdims=True)) + top
        y = y if y.dtype == x.dtype else xp.astype(y, x.dtype)
    return y if keepdims else xp.reshape(y, _without(shape, axis))


def _without(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    axes = axis_tuple(axis, len(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _softmax_weights(g: Any, x: Any, y: Any, axis: Any) -> Any:
    shape = keepdims_shape(x.shape, axis)
    y = reshape(y, shape)
    weights = exp(x - where(abs(y) == math.inf, 0, y))  # of NaN, NaN
    # They sum to 1 but for the rounding of y, and with a large x that is far from 1.
    total = sum(weights, axis=axis, keepdims=True)
    return reshape(g, shape) / where(total > 0, total, 1) * weights


logsumexp.vjp(x=_softmax_weights)


def prod(x: Any, axis: Any = None, keepdims: bool = False, where: Any = None) -> Any:
    """The product over `axis`; its gradients of any order are right at zeros, too.

    Halves are multiplied with each other until one element is left: no division anywhere. With
    `where`, a mask as for `sum`, it is the product of the elements where that is true.

    >>> mg.prod(mg.tensor([2.0, 3.0, 4.0]))
    tensor(24.)
    """
    x = as_tensor(x, where) if where is None else _selected(x, where, 1)
    axes = axis_tuple(axis, x.ndim)
    shape = keepdims_shape(x.shape, axes) if keepdims else _without(x.shape, axes)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    n = count(x.shape, axes)
    if n == 0:
        return reshape(sum(x, axis=axes), shape) + 1
    x = reshape(transpose(x, axes=(*rest, *axes)), (*(x.shape[i] for i in rest), n))
    while n > 1:
        half = n // 2
        a, b, odd = split(x, (half, 2 * half), axis=-1)
        x = concatenate([a * b, odd], axis=-1) if n % 2 else a * b
        n = half + n % 2
    return reshape(x, shape)


def var(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0, where: Any = None) -> Any:
    """The variance over `axis`: the squared deviations' sum over n - ddof, as in NumPy.

    With no more than `ddof` numbers it is infinite, or NaN if they are all the same. With `where`,
    a mask as for `sum`, it is that of the n elements where that is true, or NaN.

    >>> mg.var(mg.tensor([1.0, 3.0]), ddof=1)
    tensor(2.)
    """
    x = as_tensor(x, where)
    return in_float32(_variance, x, axis, keepdims, ddof, where)


def _variance(x: Any, axis: Any, keepdims: bool, ddof: float, mask: Any) -> Any:
    if mask is not None:
        deviations = _selected(x - mean(x, axis=axis, keepdims=True, where=mask), mask, 0)
        return _per_element(square(deviations), mask, axis, keepdims, ddof)
    n = count(x.shape, axis)
    deviations = x - mean(x, axis=axis, keepdims=True)
    spread = mean(square(deviations), axis=axis, keepdims=keepdims)
    return spread if ddof == 0 else spread * (n / (n - ddof) if n > ddof else math.inf)


def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0, where: Any = None) -> Any:
    """The standard deviation over `axis`; where it is 0, its derivatives are 0, too.

    `ddof` and `where` are those of `var`.

    >>> mg.std(mg.tensor([1.0, 3.0]))
    tensor(1.)
    """
    x = as_tensor(x, where)
    return in_float32(_deviation, x, axis, keepdims, ddof, where)


def _deviation(x: Any, *given: Any) -> Any:
    squared = _variance(x, *given)
    flat = squared == 0
    return where(flat, 0, sqrt(where(flat, 1, squared)))


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over `axis` of the elements that aren't NaN; the others have gradient 0.

    `axis` and `keepdims` are those of `sum`.

    >>> mg.nansum(mg.tensor([1.0, math.nan, 3.0]))
    tensor(4.)
    """
    x = as_tensor(x)
    return sum(x, axis=axis, keepdims=keepdims, where=x == x)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over `axis` of the elements that aren't NaN; the others have gradient 0.

    `axis` and `keepdims` are those of `mean`. If all are NaN, so is the mean, with gradient 0.

    >>> mg.nanmean(mg.tensor([1.0, math.nan, 3.0]))
    tensor(2.)
    """
    x = as_tensor(x)
    return mean(x, axis=axis, keepdims=keepdims, where=x == x)


def norm(x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Any:
    """The vector norm over `axis`: `ord` 1, 2 or infinity.

    Where the norm is 0, its gradient is 0, the shortest of all subgradients; for `ord` 2 its second
    derivative is NaN there.

    Raises ValueError for another `ord`. For norms of any order, of matrices, and of numbers whose
    squares are too large or small, see `mg.linalg.norm`.

    >>> mg.norm(mg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = as_tensor(x)
    if ord == 2:
        return in_float32(lambda x: root(sum(square(x), axis=axis, keepdims=keepdims)), x)
    if ord == 1:
        return sum(abs(x), axis=axis, keepdims=keepdims)
    if ord == math.inf:
        return max(abs(x), axis=axis, keepdims=keepdims)
    raise ValueError(f"norm: ord must be 1, 2 or math.inf; got {ord!r}. See mg.linalg.norm")


# --- truth and positions: no gradient --------------------------------------------------------


@op
def argmax(xp, x, *, axis=None, keepdims=False):
    """The position of the (first) largest element along one axis, or in the flattened array.

    The result is of dtype int64. Raises ValueError if there are no elements.

    >>> mg.argmax(mg.tensor([3, 9, 2]))
    tensor(1)
    """
    return _reduced(xp.argmax, x, axis, keepdims)


argmax.vjp(x=None)


@op
def argmin(xp, x, *, axis=None, keepdims=False):
    """The position of the (first) smallest element along one axis, or in the flattened array.

    The result is of dtype int64. Raises ValueError if there are no elements.

    >>> mg.argmin(mg.tensor([3, 9, 2]))
    tensor(2)
    """
    return _reduced(xp.argmin, x, axis, keepdims)


argmin.vjp(x=None)


@op(masked=_where("any", False))
def any(xp, x, *, axis=None, keepdims=False):
    """Whether any element over `axis` is true, that is not 0.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, only elements where that is true are looked at.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.any(mg.tensor([False, True]))
    tensor(True)
    """
    return _reduced(xp.any, x, axis, keepdims)


any.vjp(x=None)


@op(masked=_where("all", True))
def all(xp, x, *, axis=None, keepdims=False):
    """Whether all elements over `axis` are true, that is not 0.

    `axis` is an integer, a tuple of integers, or None for all; with `keepdims` these axes stay,
    of size 1. With `where`, a mask as for `sum`, only elements where that is true are looked at.
    Raises ValueError for an axis that x doesn't have.

    >>> mg.all(mg.tensor([False, True]))
    tensor(False)
    """
    return _reduced(xp.all, x, axis, keepdims)


all.vjp(x=None)
