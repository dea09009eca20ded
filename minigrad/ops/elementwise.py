"""Elementwise ops: arithmetic, functions, choices, comparisons. All broadcast as NumPy does."""

from __future__ import annotations

import math
from typing import Any

from ..creation import get_default_dtype
from ..op import NUMBERS, op

__all__ = ["abs", "add", "clip", "cos", "divide", "equal", "exp", "expm1", "greater"]
__all__ += ["greater_equal", "isfinite", "isnan", "less", "less_equal", "log", "log1p"]
__all__ += ["logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply"]
__all__ += ["negative", "not_equal", "power", "relu", "sigmoid", "sign", "sin"]
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
    """The power a ** b. Where a is 0, the derivative by b is taken as 0, and a ** 0 is flat.

    >>> mg.power(mg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return xp.power(a, b)


def _base(a: Any, b: Any) -> Any:
    """a, or 1 where a and b are 0: the power is flat there, and 0 * 0 ** -1 would be NaN."""
    if isinstance(b, (int, float)) and b:
        return a
    return where(logical_and(a == 0, b == 0), 1, a)


def _log_of_base(a: Any) -> Any:
    if isinstance(a, (int, float)):
        return math.log(a or 1) if a >= 0 else math.nan
    return log(where(a == 0, 1, a))


power.vjp(
    a=lambda g, a, b: g * b * _base(a, b) ** (b - 1),
    b=lambda g, y, a: g * y * _log_of_base(a),
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


log.vjp(x=lambda g, x: g / x)


@op
def log1p(xp, x):
    """log(1 + x), accurate near 0.

    >>> mg.log1p(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + x))


@op
def sqrt(xp, x):
    """The square root. Its slope at 0 is infinite; `norm` and `std` take 0 there.

    >>> mg.sqrt(mg.tensor([0.0, 4.0, 9.0]))
    tensor([0., 2., 3.])
    """
    return xp.sqrt(x)


sqrt.vjp(x=lambda g, y: g / (2 * y))


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
    """The absolute value. Its gradient at 0 is 0.

    >>> mg.abs(mg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return xp.abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@op
def sign(xp, x):
    """-1, 0 or 1. Its gradient is 0 everywhere.

    >>> mg.sign(mg.tensor([3.0, 0.0, -2.0]))
    tensor([ 1.,  0., -1.])
    """
    return xp.sign(x)


sign.vjp(x=lambda g: 0 * g)


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
    """max(x, 0). Its gradient at 0 is 0.

    >>> mg.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return xp.relu(x)


relu.vjp(x=lambda g, y: where(y > 0, g, 0))


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
    a=lambda g, a, b: where(a > b, g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where(b > a, g, where(a == b, g / 2, 0)),
)


@op
def minimum(xp, a, b):
    """The smaller of a and b. Where they are equal, each gets half of the gradient.

    >>> mg.minimum(mg.tensor([1.0, 5.0]), 3)
    tensor([1., 3.])
    """
    return xp.minimum(a, b)


minimum.vjp(
    a=lambda g, a, b: where(a < b, g, where(a == b, g / 2, 0)),
    b=lambda g, a, b: where(b < a, g, where(a == b, g / 2, 0)),
)


@op
def clip(xp, x, *, min=None, max=None):
    """x held between the numbers min and max; None is no bound. On a bound the gradient is kept.

    >>> mg.clip(mg.tensor([-2.0, 0.5, 7.0]), 0, 1)
    tensor([0. , 0.5, 1. ])
    """
    return xp.clip(x, *(n.item() if hasattr(n, "item") else n for n in (min, max)))


def _inside(x: Any, min: Any, max: Any) -> Any:
    if min is None or max is None:
        return x == x if min is max else x >= min if max is None else x <= max
    return logical_and(x >= min, x <= max)


clip.vjp(x=lambda g, x, min, max: where(_inside(x, min, max), g, 0))


# --- comparisons: truth values have no gradient ----------------------------------------------


@op
def equal(xp, a, b):
    """Where a == b.

    >>> mg.equal(mg.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return xp.equal(a, b)


equal.vjp(a=None, b=None)


@op
def not_equal(xp, a, b):
    """Where a != b.

    >>> mg.not_equal(mg.tensor([1, 2]), 2)
    tensor([ True, False])
    """
    return xp.not_equal(a, b)


not_equal.vjp(a=None, b=None)


@op
def less(xp, a, b):
    """Where a < b.

    >>> mg.less(mg.tensor([1, 2, 3]), 2)
    tensor([ True, False, False])
    """
    return xp.less(a, b)


less.vjp(a=None, b=None)


@op
def less_equal(xp, a, b):
    """Where a <= b.

    >>> mg.less_equal(mg.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """
    return xp.less_equal(a, b)


less_equal.vjp(a=None, b=None)


@op
def greater(xp, a, b):
    """Where a > b.

    >>> mg.greater(mg.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """
    return xp.greater(a, b)


greater.vjp(a=None, b=None)


@op
def greater_equal(xp, a, b):
    """Where a >= b.

    >>> mg.greater_equal(mg.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """
    return xp.greater_equal(a, b)


greater_equal.vjp(a=None, b=None)


@op
def logical_and(xp, a, b):
    """Where both hold.

    >>> mg.logical_and(mg.tensor([True, True]), mg.tensor([True, False]))
    tensor([ True, False])
    """
    return xp.logical_and(a, b)


logical_and.vjp(a=None, b=None)


@op
def logical_or(xp, a, b):
    """Where at least one holds.

    >>> mg.logical_or(mg.tensor([True, False]), mg.tensor([False, False]))
    tensor([ True, False])
    """
    return xp.logical_or(a, b)


logical_or.vjp(a=None, b=None)


@op
def logical_not(xp, x):
    """Where x doesn't hold.

    >>> mg.logical_not(mg.tensor([True, False]))
    tensor([False,  True])
    """
    return xp.logical_not(x)


logical_not.vjp(x=None)


@op
def isnan(xp, x):
    """Where x is not a number.

    >>> mg.isnan(mg.tensor([1.0, math.nan]))
    tensor([False,  True])
    """
    return xp.isnan(x)


isnan.vjp(x=None)


@op
def isfinite(xp, x):
    """Where x is neither infinite nor NaN.

    >>> mg.isfinite(mg.tensor([1.0, math.inf]))
    tensor([ True, False])
    """
    return xp.isfinite(x)


isfinite.vjp(x=None)
