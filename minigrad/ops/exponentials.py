"""Exponentials and logarithms, and functions made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.op import op
from ..engine.op_calls import as_tensor
from .arithmetic import power, square
from .choices import clip, nan_below, where
from .comparisons import isinf, logical_and

__all__ = ["erf", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "logaddexp", "sigmoid"]
__all__ += ["softplus"]

_FLAT = 30.0  # from here on exp(-x²) is 0 in all dtypes


@op
def exp(xp, x):
    """The exponential.

    >>> import math
    >>> mg.exp(mg.tensor([0.0, -math.inf]))
    tensor([1., 0.])
    """
    return xp.exp(x)


exp.vjp(x=lambda g, y: g * y)


def exp2(x: Any) -> Any:
    """The power 2 ** x; of integers in float64.

    >>> mg.exp2(mg.tensor([3.0, -1.0]))
    tensor([8. , 0.5])
    """
    return power(2.0, as_tensor(x))


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
def log2(xp, x):
    """The logarithm of base 2, exact for powers of 2.

    >>> mg.log2(mg.tensor([8.0, 0.5]))
    tensor([ 3., -1.])
    """
    return xp.log2(x)


log2.vjp(x=lambda g, x: g / (math.log(2) * nan_below(x, 0)))


@op
def log10(xp, x):
    """The logarithm of base 10.

    >>> round(mg.log10(mg.tensor(1000.0)).item(), 4)
    3.0
    """
    return xp.log10(x)


log10.vjp(x=lambda g, x: g / (math.log(10) * nan_below(x, 0)))


@op
def log1p(xp, x):
    """log(1 + x), accurate near 0.

    >>> mg.log1p(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + nan_below(x, -1)))


@op
def logaddexp(xp, a, b):
    """log(exp(a) + exp(b)), without overflow on the way; for more than two see `logsumexp`.

    >>> mg.logaddexp(mg.tensor([1000.0, -1000.0]), 0.0)
    tensor([1000.,    0.])
    """
    a, b = (xp.astype(x, np.float64) if _is_whole(x) else x for x in (a, b))
    with xp.quiet():  # inf - inf
        larger, gap = xp.maximum(a, b), xp.subtract(a, b)
        y = xp.add(larger, xp.log1p(xp.exp(xp.negative(xp.abs(gap)))))
        return xp.where(xp.equal(gap, gap), y, larger)


def _is_whole(x: Any) -> bool:
    """Whether x is an array of integers or truth values, of which some have no negative numbers."""
    return hasattr(x, "dtype") and x.dtype.kind != "f"


def _share(y: Any, a: Any, b: Any) -> Any:
    """exp(a) / (exp(a) + exp(b)), a half of two equal infinities."""
    return sigmoid(where(logical_and(isinf(y), a == b), 0, a - b))


logaddexp.vjp(
    a=lambda g, y, a, b: g * _share(y, a, b),
    b=lambda g, y, a, b: g * _share(y, b, a),
)


@op
def erf(xp, x):
    """The error function, 2 / sqrt(π) times the integral of exp(-t²) from 0 to x.

    (1 + erf(x / sqrt(2))) / 2 is the probability of a normal number up to x.

    >>> mg.erf(mg.tensor([0.0, -100.0]))
    tensor([ 0., -1.])
    """
    return xp.erf(x)


def _bell(g: Any, x: Any) -> Any:
    near = clip(x, -_FLAT, _FLAT)  # the square of a large number would overflow
    return g * (2 / math.sqrt(math.pi) * exp(-square(near)))


erf.vjp(x=_bell)


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
