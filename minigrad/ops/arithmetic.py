"""Arithmetic, element by element: sums, products, powers, roots, signs."""

from __future__ import annotations

import math
from typing import Any

from ..engine.op import op
from ..engine.op_calls import as_tensor
from .choices import where
from .comparisons import logical_and

__all__ = ["abs", "add", "divide", "hypot", "multiply", "negative", "power", "sign", "sqrt"]
__all__ += ["reciprocal", "square", "subtract"]


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


def reciprocal(x: Any) -> Any:
    """1 / x; of integers it is a float, as in PyTorch.

    >>> mg.reciprocal(mg.tensor([2.0, -0.5]))
    tensor([ 0.5, -2. ])
    """
    return divide(1, as_tensor(x))


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

    >>> from minigrad.ops.arithmetic import power_log
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


@op
def square(xp, x):
    """The square x * x.

    >>> mg.square(mg.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return xp.square(x)


square.vjp(x=lambda g, x: 2 * g * x)


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
    """The square root with gradient 0 at 0, of what is never negative, as a sum of squares.

    >>> x = mg.tensor([0.0, 4.0], requires_grad=True)
    >>> mg.grad(root(x).sum(), x)
    tensor([0.  , 0.25])
    """
    return xp.sqrt(x)


root.vjp(x=lambda g, y: g * root_slope(y))


@op
def root_slope(xp, r):
    """The slope of `root` by its value r: 1 / (2 r), or 0 at 0, where it has no derivative.

    >>> root_slope(mg.tensor([0.0, 2.0]))
    tensor([0.  , 0.25])
    """
    zero = r == 0
    return xp.where(zero, 0, 0.5 / xp.where(zero, 1, r))


root_slope.vjp(r=lambda g, r: where(r == 0, math.nan, -0.5 * g / square(r)))


@op
def hypot(xp, a, b):
    """The length sqrt(a * a + b * b), without overflow on the way. At (0, 0) its gradient is 0.

    A second derivative at (0, 0) is NaN: there is none, as for `norm`.

    >>> mg.hypot(mg.tensor([3.0, 1e38]), mg.tensor([4.0, 0.0]))
    tensor([5.e+00, 1.e+38])
    """
    return xp.hypot(a, b)


hypot.vjp(
    a=lambda g, y, a: g * part_of_length(a, y),
    b=lambda g, y, b: g * part_of_length(b, y),
)


@op
def part_of_length(xp, a, r):
    """a / r, the share of a coordinate in a length r; 0 where both are.

    >>> part_of_length(mg.tensor([0.0, 3.0]), mg.tensor([0.0, 5.0]))
    tensor([0. , 0.6])
    """
    return xp.divide(a, xp.where(xp.equal(r, 0), 1, r))


part_of_length.vjp(a=lambda g, r: g / r, r=lambda g, y, r: -g * y / r)  # none at 0


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
