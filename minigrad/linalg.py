"""Linear algebra under NumPy's names: `mg.linalg.solve(a, b)` and the like.

Matrices lie along the last two axes, and leading axes hold many of them. All have derivatives of
any order. What a matrix function can't do raises `LinAlgError`, which is NumPy's and a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from .engine.op_calls import as_tensor
from .ops import (
    abs,
    astype,
    determinants,
    diagonal,
    max,
    min,
    moveaxis,
    reshape,
    sign,
    square,
    sum,
    where,
)
from .ops.arithmetic import root
from .ops.axes import axis_tuple, count, keepdims_shape
from .ops.convert import in_float32
from .ops.determinants import det
from .ops.linear_algebra import cholesky, inv, solve

__all__ = ["LinAlgError", "cholesky", "det", "inv", "norm", "slogdet", "solve", "trace"]


class SlogdetResult(NamedTuple):
    """What `slogdet` gives.

    >>> mg.linalg.slogdet(mg.eye(2))
    SlogdetResult(sign=tensor(1.), logabsdet=tensor(0.))
    """

    sign: Any
    logabsdet: Any


def slogdet(a: Any) -> SlogdetResult:
    """The sign of each determinant and the logarithm of its absolute value: (..., n, n) to (...).

    The determinant is sign * exp(logabsdet), which may be too large or too small for a number.
    Of a singular matrix they are 0 and -inf; the gradient there is an error. The sign has gradient
    0. Raises `LinAlgError`, a ValueError, if the matrices aren't square.

    >>> sign, logabsdet = mg.linalg.slogdet(mg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(0.))
    """
    return SlogdetResult(*determinants.slogdet(as_tensor(a)))


def trace(x: Any, *, offset: int = 0) -> Any:
    """The sum of a diagonal of each matrix: (..., n, m) to (...).

    `offset` is how far above the main diagonal it lies, below it if negative. Raises ValueError if
    x has fewer than two axes.

    >>> mg.linalg.trace(mg.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    return sum(diagonal(as_tensor(x), offset, -2, -1), axis=-1)


# --- norms -------------------------------------------------------------------------------------


def norm(
    x: Any, ord: Any = None, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Any:
    """A norm of vectors or of matrices, as in NumPy.

    Parameters
    ----------
    x : a tensor; float16 is computed in float32.
    ord : which norm. Of vectors: any number p for (sum of |x| ** p) ** (1 / p), `math.inf` for the
        largest |x|, `-math.inf` for the smallest, 0 for how many aren't 0, None for 2. Of
        matrices: None or "fro" for the root of the sum of squares, 1 and -1 for the largest and
        the smallest sum of |x| over a column, `math.inf` and `-math.inf` over a row; 2, -2 and
        "nuc" for the largest, the smallest and the sum of the singular values.
    axis : one axis of vectors, or two of matrices: that of rows, then of columns. Without it
        x is a vector or a matrix, or, if `ord` is None, all its elements are one vector.
    keepdims : whether these axes stay, of size 1.

    Returns
    -------
    The norms. They are right where squares or powers would overflow or vanish. Where a norm is 0
    its gradient is 0, the shortest of all subgradients, and its second derivative NaN if p isn't
    1 or infinite. For p below 1 an element that is 0 has gradient 0. Elements that tie for
    the largest or the smallest share the gradient equally.

    Raises
    ------
    ValueError : an `ord` that there isn't, or more axes than a matrix has.

    Examples
    --------
    >>> mg.linalg.norm(mg.tensor([[3.0, 4.0], [0.0, 0.0]]), axis=1)
    tensor([5., 0.])
    >>> mg.linalg.norm(mg.tensor([[3.0, 4.0], [0.0, 2.0]]), ord=1)
    tensor(6.)
    >>> mg.linalg.norm(mg.tensor([3e30, 4e30], dtype="float32"))  # whose squares are too large
    tensor(5.e+30)
    """
    x = as_tensor(x)
    x = x if x.dtype.kind == "f" else astype(x, "float64")
    if axis is None and ord is not None and x.ndim not in (1, 2):
        raise ValueError(
            f"norm: ord={ord!r} is of a vector or a matrix; got shape {x.shape}. Say which "
            "axes those are: axis=-1, or axis=(-2, -1)"
        )
    axes = axis_tuple(axis, x.ndim)
    if len(axes) == 2 and ord is not None:
        return in_float32(_matrix_norm, x, ord, axes, keepdims)
    if axis is not None and len(axes) not in (1, 2):
        raise ValueError(f"norm: the axes are one of vectors or two of matrices; got axis={axis!r}")
    p = 2 if ord is None else ord
    if isinstance(p, (bool, str)) or not isinstance(p, (int, float, np.number)) or p != p:
        raise ValueError(f"norm: for vectors ord is a number, math.inf or -math.inf; got {ord!r}")
    return in_float32(_vector_norm, x, float(p), axes, keepdims)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord == "fro":
        return _vector_norm(x, 2, axes, keepdims)
    if ord in ("nuc", 2, -2):
        s = determinants.svd(moveaxis(x, axes, (-2, -1)))[1]  # the largest first
        y = sum(s, axis=-1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
        return reshape(y, keepdims_shape(x.shape, axes)) if keepdims else y
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(
            "norm: for matrices ord is 'fro', 'nuc', 1, 2, -1, -2, math.inf or -math.inf; got "
            f"{ord!r}. One vector of all elements is x.reshape(-1)"
        )
    rows, columns = axes
    along, over = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = sum(abs(x), axis=along, keepdims=True)
    y = (max if ord > 0 else min)(sums, axis=over, keepdims=True)
    return y if keepdims else reshape(y, _without(x.shape, axes))


def _vector_norm(x: Any, p: float, axes: tuple[int, ...], keepdims: bool) -> Any:
    if p in (math.inf, -math.inf):
        return (max if p > 0 else min)(abs(x), axis=axes, keepdims=keepdims)
    if p == 1:
        return sum(abs(x), axis=axes, keepdims=keepdims)
    if p == 0:
        return sum(abs(sign(x)), axis=axes, keepdims=keepdims)
    scale = _scale(x, p, axes)
    if p == 2:
        y = root(sum(square(x / scale), axis=axes, keepdims=True))
    else:
        total = sum(_power(abs(x / scale), p), axis=axes, keepdims=True)
        zero = total == 0
        y = root(where(zero, total, where(zero, 1, total) ** (2 / p)))
    y = y * scale
    return y if keepdims else reshape(y, _without(x.shape, axes))


def _power(a: Any, p: float) -> Any:
    """a ** p of numbers that aren't negative; for p below 1 with gradient 0 at 0."""
    if p > 1:
        return a**p
    zero = a == 0
    return where(zero, 0 if p > 0 else math.inf, where(zero, 1, a) ** p)


def _scale(x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """What x is divided by so that powers neither overflow nor vanish: constants."""
    if count(x.shape, axes) == 0:
        return 1.0
    extreme: Callable[..., Any] = max if p > 0 else min
    size = extreme(abs(x.detach()), axis=axes, keepdims=True)
    limit = np.finfo(x.dtype).max ** 0.25
    plain = (size == 0) | (size == math.inf) | (size != size)
    if p == 2:  # as it is, then, where squares are exact enough
        plain = plain | ((size < limit) & (size > 1 / limit))
    return where(plain, 1, size)


def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    kept = keepdims_shape(shape, axes)
    return tuple(n for i, n in enumerate(kept) if i not in axes)
