"""Elementwise ops: arithmetic, functions, choices. All broadcast as NumPy does."""

from __future__ import annotations

import math
from typing import Any

from ..engine.creation import get_default_dtype
from ..engine.op import NUMBERS, op
from ..engine.to_numpy import check_gradient
from .comparisons import logical_and
from .convert import cast

__all__ = ["abs", "add", "clip", "cos", "divide", "exp", "expm1", "log", "log1p", "maximum"]
__all__ += ["minimum", "multiply", "negative", "power", "relu", "sigmoid", "sign", "sin"]
__all__ += ["softplus", "sqrt", "square", "subtract", "tanh", "where"]

# --- arithmetic ----------------------------------------------------------------------------


@op
def add(xp, a, b):
    """The sum a + b.

    >>> mg.add(mg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    return xp.add(a, b)


add.vjp(a=lambda g: g, b=lambda g: g)


@op
def subtract(xp, a, b):
    """The difference a - b.

    >>> mg.subtract(mg.tensor([1.0, 2.0]), 10)
    tensor([-9., -8.])
    """
    return xp.subtract(a, b)


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@op
def multiply(xp, a, b):
    """The product a * b, element by element.

    >>> mg.multiply(mg.tensor([1.0, 2.0]), 10)
    tensor([10., 20.])
    """
    return xp.multiply(a, b)


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@op
def divide(xp, a, b):
    """The quotient a / b.

    >>> mg.divide(mg.tensor([1.0, 2.0]), 4)
    tensor([0.25, 0.5 ])
    """
    return xp.divide(a, b)


divide.vjp(a=lambda g, b: g / b, b=lambda g, y, b: -g * y / b)


@op
def negative(xp, x):
    """The opposite -x.

    >>> mg.negative(mg.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return xp.negative(x)


negative.vjp(x=lambda g: -g)


@op
def power(xp, a, b):
    """The power a ** b; where a is negative, the derivative by b is NaN.

    Where a is 0, the derivative by b is the limit for a near 0, which is 0 if b is positive and
    -inf if it is negative. 0 ** 0 is 1, and both its derivatives are taken as 0.

    >>> mg.power(mg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return xp.power(a, b)


def _by_base(g: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float)) and b:
        return g * b * a ** (b - 1)
    base = where(logical_and(a == 0, b == 0), 1, a)  # the power is flat there: no 0 * 0 ** -1
    return g * b * power_log(base, b - 1, times=0)


def _by_exponent(g: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(a, (int, float)) and a > 0:
        return g * y * math.log(a)
    return g * where(logical_and(b == 0, a == 0), 0, power_log(a, b, times=1))


power.vjp(a=_by_base, b=_by_exponent)


@op
def power_log(xp, a, b, *, times):
    """a ** b * log(a) ** times, of which derivatives of the power are made.

    It is the limit where a is 0: 0 if b is positive.

    >>> from minigrad.ops.elementwise import power_log
    >>> power_log(mg.tensor([0.0, 0.0, math.e]), mg.tensor([1.0, -1.0, 0.0]), times=1)
    tensor([  0., -inf,   1.])
    """
    with xp.quiet():  # log(0) is -inf, which is right
        if isinstance(a, (int, float)):
            log_of_a: Any = -math.inf if a == 0 else math.log(a) if a > 0 else math.nan
            is_zero: Any = a == 0
        else:
            log_of_a, is_zero = xp.log(a), xp.equal(a, 0)
        y = xp.power(a, b)
        for _ in range(times):
            y = xp.multiply(y, log_of_a)
        return xp.where(xp.logical_and(xp.greater(b, 0), is_zero), 0, y)


power_log.vjp(
    a=lambda g, a, b, times: (
        g * (b * power_log(a, b - 1, times=times) + times * power_log(a, b - 1, times=times - 1))
    ),
    b=lambda g, a, b, times: g * power_log(a, b, times=times + 1),
)


# --- functions -----------------------------------------------------------------------------


@op
def exp(xp, x):
    """The exponential.

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

    >>> mg.log(mg.tensor([1.0, math.e]))
    tensor([0., 1.])
    """
    return xp.log(x)


log.vjp(x=lambda g, x: g / _or_nan(x, 0))


def _or_nan(x: Any, least: float) -> Any:
    """x, or NaN where it is below `least`: where a function is not defined, nor is its slope."""
    return x + cast(where(x < least, math.nan, 0), dtype=x.dtype)


@op
def log1p(xp, x):
    """log(1 + x), accurate near 0.

    >>> mg.log1p(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + _or_nan(x, -1)))


@op
def sqrt(xp, x):
    """The square root. Its slope at 0 is infinite; see `norm` and `std`, which take 0 there.

    >>> mg.sqrt(mg.tensor([0.0, 4.0, 9.0]))
    tensor([0., 2., 3.])
    """
    return xp.sqrt(x)


sqrt.vjp(x=lambda g, y: g / (2 * y))


@op
def root(xp, x):
    """The square root with gradient 0 at 0, of what is never negative, as a sum of squares."""
    return xp.sqrt(x)


root.vjp(x=lambda g, y: g * root_slope(y))


@op
def root_slope(xp, r):
    """The slope of `root` by its value r: 1 / (2 r), or 0 at 0, where it has no derivative."""
    zero = r == 0
    return xp.where(zero, 0, 0.5 / xp.where(zero, 1, r))


root_slope.vjp(r=lambda g, r: where(r == 0, math.nan, -0.5 * g / square(r)))


@op
def square(xp, x):
    """The square x * x.

    >>> mg.square(mg.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return xp.square(x)


square.vjp(x=lambda g, x: 2 * g * x)


@op
def abs(xp, x):
    """The absolute value. At 0 its gradient is 0, and so is its second derivative.

    >>> mg.abs(mg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return xp.abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@op
def sign(xp, x):
    """-1, 0 or 1. Its gradient is 0, also at 0; at NaN it is NaN.

    >>> mg.sign(mg.tensor([3.0, 0.0, -2.0]))
    tensor([ 1.,  0., -1.])
    """
    return xp.sign(x)


sign.vjp(x=lambda g, y: 0 * g * y)


@op
def sin(xp, x):
    """The sine; x in radians.

    >>> mg.sin(mg.tensor([0.0, math.pi / 2]))
    tensor([0., 1.])
    """
    return xp.sin(x)


sin.vjp(x=lambda g, x: g * cos(x))


@op
def cos(xp, x):
    """The cosine; x in radians.

    >>> mg.cos(mg.tensor([0.0, math.pi]))
    tensor([ 1., -1.])
    """
    return xp.cos(x)


cos.vjp(x=lambda g, x: -g * sin(x))


@op
def tanh(xp, x):
    """The hyperbolic tangent: squashes to between -1 and 1.

    >>> mg.tanh(mg.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    return xp.tanh(x)


tanh.vjp(x=lambda g, y: g * (1 - y * y))


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


@op
def relu(xp, x):
    """max(x, 0). Its gradient at 0 is 0; at NaN it is NaN.

    >>> mg.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return xp.relu(x)


relu.vjp(x=lambda g, y: where(y > 0, g, y))  # y is 0 or NaN then


# --- choices -------------------------------------------------------------------------------


@op
def where(xp, condition, a, b):
    """a where the condition holds, else b. No gradient flows to the condition.

    >>> mg.where(mg.tensor([True, False]), mg.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])
    """
    kinds = {a.__class__, b.__class__}
    if float in kinds and kinds <= NUMBERS:  # no array whose dtype the numbers would take on
        a = xp.asarray(a, dtype=get_default_dtype())
    return xp.where(condition, a, b)


where.vjp(
    condition=None,
    a=lambda g, condition: where(condition, g, 0),
    b=lambda g, condition: where(condition, 0, g),
)


@op
def maximum(xp, a, b):
    """The larger of a and b. Where they are equal, each gets half of the gradient.

    >>> mg.maximum(mg.tensor([1.0, 5.0]), 3)
    tensor([3., 5.])
    """
    return xp.maximum(a, b)


maximum.vjp(
    a=lambda g, y, a, b: _of_the_larger(g, y, a, b),
    b=lambda g, y, a, b: _of_the_larger(g, y, b, a),
)


def _of_the_larger(g: Any, y: Any, a: Any, b: Any) -> Any:
    """The gradient of a, if the larger of a and b has g; NaN if one of them is NaN, as y is."""
    return nan_at_nan(where(a > b, g, where(a == b, g / 2, 0)), y)


def nan_at_nan(part: Any, x: Any) -> Any:
    """A gradient that is 0 where x is NaN, with NaN there: a fault must not vanish backwards."""
    return part / (x == x)  # 0 / 0


@op
def minimum(xp, a, b):
    """The smaller of a and b. Where they are equal, each gets half of the gradient.

    >>> mg.minimum(mg.tensor([1.0, 5.0]), 3)
    tensor([1., 3.])
    """
    return xp.minimum(a, b)


minimum.vjp(
    a=lambda g, y, a, b: _of_the_larger(g, y, b, a),
    b=lambda g, y, a, b: _of_the_larger(g, y, a, b),
)


@op
def clip(xp, x, *, min=None, max=None):
    """x limited to the range from min to max; None is no bound. On a bound the gradient passes.

    NaN stays NaN, and so is the gradient there.

    >>> mg.clip(mg.tensor([-2.0, 0.5, 7.0]), 0, 1)
    tensor([0. , 0.5, 1. ])
    """
    for n in (min, max):
        check_gradient("clip", n, "Bounds are numbers: use mg.maximum and mg.minimum")
    return xp.clip(x, *(n.item() if hasattr(n, "item") else n for n in (min, max)))


def _inside(x: Any, min: Any, max: Any) -> Any:
    if min is None or max is None:
        return x == x if min is max else x >= min if max is None else x <= max
    return logical_and(x >= min, x <= max)


clip.vjp(x=lambda g, x, min, max: nan_at_nan(where(_inside(x, min, max), g, 0), x))
