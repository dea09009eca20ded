"""Exponentials and logarithms, and functions made of them."""

from __future__ import annotations

from ..engine.op import op
from .choices import nan_below

__all__ = ["exp", "expm1", "log", "log1p", "sigmoid", "softplus"]


@op
def exp(xp, x):
    """The exponential.

    >>> import math
    >>> mg.exp(mg.tensor([0.0, -math.inf]))
    tensor([1., 0.])
    """
    return xp.exp(x)


exp.vjp(x=lambda g, y: g * y)


@op
def expm1(xp, x):
    """exp(x) - 1, accurate near 0.

    >>> mg.expm1(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.expm1(x)


expm1.vjp(x=lambda g, y: g * (y + 1))


@op
def log(xp, x):
    """The natural logarithm.

    >>> import math
    >>> mg.log(mg.tensor([1.0, math.e]))
    tensor([0., 1.])
    """
    return xp.log(x)


log.vjp(x=lambda g, x: g / nan_below(x, 0))


@op
def log1p(xp, x):
    """log(1 + x), accurate near 0.

    >>> mg.log1p(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + nan_below(x, -1)))


@op
def sigmoid(xp, x):
    """1 / (1 + exp(-x)): squashes to between 0 and 1; accurate in both tails.

    >>> mg.sigmoid(mg.tensor([0.0, 100.0]))
    tensor([0.5, 1. ])
    """
    return xp.sigmoid(x)


sigmoid.vjp(x=lambda g, y: g * y * (1 - y))


@op
def softplus(xp, x):
    """log(1 + exp(x)), the smooth relu, without overflow.

    >>> mg.softplus(mg.tensor([-200.0, 100.0]))
    tensor([  0., 100.])
    """
    return xp.add(xp.maximum(x, 0), xp.log1p(xp.exp(xp.negative(xp.abs(x)))))


softplus.vjp(x=lambda g, x: g * sigmoid(x))
