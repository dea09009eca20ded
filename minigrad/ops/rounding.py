"""Whole numbers: rounding in all directions, quotients that are whole, and what is left of them.

Gradients of what is piecewise constant are 0, also at the jumps, as in PyTorch; at NaN they are
NaN. Integers and truth values are rounded already: they come back as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..engine.op import op
from .choices import nan_at_nan

__all__ = ["ceil", "floor", "floor_divide", "mod", "round", "trunc"]


def _rounded(xp: Any, function: Callable[[Any], Any], x: Any) -> Any:
    return function(x) if x.dtype.kind == "f" else xp.copy(x)


@op
def floor(xp, x):
    """The largest integer up to x. Its gradient is 0.

    >>> mg.floor(mg.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return _rounded(xp, xp.floor, x)


floor.vjp(x=lambda g, y: nan_at_nan(0 * g, y))


@op
def ceil(xp, x):
    """The smallest integer from x on. Its gradient is 0.

    >>> mg.ceil(mg.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    return _rounded(xp, xp.ceil, x)


ceil.vjp(x=lambda g, y: nan_at_nan(0 * g, y))


@op
def trunc(xp, x):
    """x without its digits after the point. Its gradient is 0.

    >>> mg.trunc(mg.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return _rounded(xp, xp.trunc, x)


trunc.vjp(x=lambda g, y: nan_at_nan(0 * g, y))


@op
def round(xp, x, *, decimals=0):
    """x with so many digits after the point; halves go to the even side. Its gradient is 0.

    Negative `decimals` round to tens, hundreds and so on, of integers, too. Raises TypeError for
    a number of digits that is no integer.

    >>> mg.round(mg.tensor([0.5, 1.5, -1.26]))
    tensor([ 0.,  2., -1.])
    >>> mg.tensor([0.5, 1.5, -1.26]).round(1)
    tensor([ 0.5,  1.5, -1.3])
    """
    try:
        digits = operator.index(decimals)
    except TypeError:
        raise TypeError(f"decimals is an integer; got {decimals!r}, as in mg.round(x, 2)") from None
    if x.dtype.kind != "f":
        if digits >= 0 or x.dtype.kind == "b":
            return xp.copy(x)
        whole = xp.rint(xp.divide(xp.astype(x, "float64"), 10.0**-digits))
        return xp.astype(xp.multiply(whole, 10.0**-digits), x.dtype)
    if digits == 0:
        return xp.rint(x)
    factor = 10.0 ** abs(digits)
    up, down = (xp.multiply, xp.divide) if digits > 0 else (xp.divide, xp.multiply)
    with xp.quiet():  # what is too large to be scaled has no digits there
        scaled = up(x, factor)
        return xp.where(xp.isfinite(scaled), down(xp.rint(scaled), factor), x)


round.vjp(x=lambda g, y: nan_at_nan(0 * g, y))


@op
def floor_divide(xp, a, b):
    """a // b: the quotient, rounded down. Its gradients are 0.

    By zero it gives inf or NaN; of integers 0 and, on the host, a warning, as in NumPy.

    >>> mg.tensor([7.0, -7.0]) // 2
    tensor([ 3., -4.])
    """
    return xp.floor_divide(a, b)


floor_divide.vjp(a=lambda g, y: nan_at_nan(0 * g, y), b=lambda g, y: nan_at_nan(0 * g, y))


@op
def mod(xp, a, b):
    """a % b: what is left of a by `floor_divide`, with the sign of b, as in Python.

    By zero it gives NaN; of integers 0 and, on the host, a warning, as in NumPy. Its gradient is 1
    for a and -(a // b) for b.

    >>> mg.tensor([7.0, -7.0]) % 4
    tensor([3., 1.])
    """
    return xp.mod(a, b)


mod.vjp(a=lambda g: g, b=lambda g, a, b: -g * floor_divide(a, b))
