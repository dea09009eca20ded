"""Whether numbers are equal up to rounding, and numbers in place of those that are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.op import op
from ..engine.op_calls import as_tensor
from .choices import where
from .comparisons import isnan
from .reductions import all

__all__ = ["allclose", "isclose", "nan_to_num"]


@op
def isclose(xp, a, b, *, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |a - b| <= atol + rtol * |b|, element by element; infinities if they are equal.

    b is the one to compare with: exchanged, the result may be another. NaN is close to nothing,
    or with `equal_nan` to NaN.

    >>> mg.isclose(mg.tensor([1.0, 1.1]), 1.000001)
    tensor([ True, False])
    """
    same = xp.equal(a, b)
    if not hasattr(b, "dtype"):
        b = float(b)
        is_finite, bound = math.isfinite(b), atol + rtol * abs(b)
    else:
        if b.dtype.kind != "f":
            b = xp.astype(b, np.float64)
        with xp.quiet():
            is_finite, bound = xp.isfinite(b), xp.add(xp.multiply(xp.abs(b), rtol), atol)
    with xp.quiet():  # inf - inf
        near = xp.less_equal(xp.abs(xp.subtract(a, b)), bound)
    close = xp.logical_or(xp.logical_and(near, is_finite), same)
    if equal_nan:
        nans = (xp.not_equal(x, x) if hasattr(x, "dtype") else x != x for x in (a, b))
        close = xp.logical_or(close, xp.logical_and(*nans))
    return close


isclose.vjp(a=None, b=None)


def allclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for all elements, as True or False; on a device it waits for them.

    >>> mg.allclose(mg.tensor([1.0, 2.0]), [1.0, 2.000001])
    True
    """
    close = isclose(as_tensor(a, b), b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    return bool(all(close).item())


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """x with `nan` in place of NaN, and with `posinf` and `neginf` in place of infinities.

    These are the largest and the lowest number of the dtype if none are given. No gradient flows
    to what is replaced. Integers come back as they are.

    >>> mg.nan_to_num(mg.tensor([1.0, float("nan"), float("inf")]), posinf=9)
    tensor([1., 0., 9.])
    """
    x = as_tensor(x)
    if x.dtype.kind != "f":
        return x
    largest = float(np.finfo(x.dtype).max)
    y = where(isnan(x), nan, x)
    y = where(x == math.inf, largest if posinf is None else posinf, y)
    return where(x == -math.inf, -largest if neginf is None else neginf, y)
