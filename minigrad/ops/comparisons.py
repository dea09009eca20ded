"""Comparisons and logic, element by element: truth values, which have no gradient."""

from __future__ import annotations

import math

from ..engine.op import op

__all__ = ["equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less"]
__all__ += ["less_equal", "logical_and", "logical_not", "logical_or", "not_equal"]


@op
def equal(xp, a, b):
    """Whether a == b, element by element.

    >>> mg.equal(mg.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return xp.equal(a, b)


equal.vjp(a=None, b=None)


@op
def not_equal(xp, a, b):
    """Whether a != b, element by element.

    >>> mg.not_equal(mg.tensor([1, 2]), 2)
    tensor([ True, False])
    """
    return xp.not_equal(a, b)


not_equal.vjp(a=None, b=None)


@op
def less(xp, a, b):
    """Whether a < b, element by element.

    >>> mg.less(mg.tensor([1, 2, 3]), 2)
    tensor([ True, False, False])
    """
    return xp.less(a, b)


less.vjp(a=None, b=None)


@op
def less_equal(xp, a, b):
    """Whether a <= b, element by element.

    >>> mg.less_equal(mg.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """
    return xp.less_equal(a, b)


less_equal.vjp(a=None, b=None)


@op
def greater(xp, a, b):
    """Whether a > b, element by element.

    >>> mg.greater(mg.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """
    return xp.greater(a, b)


greater.vjp(a=None, b=None)


@op
def greater_equal(xp, a, b):
    """Whether a >= b, element by element.

    >>> mg.greater_equal(mg.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """
    return xp.greater_equal(a, b)


greater_equal.vjp(a=None, b=None)


@op
def logical_and(xp, a, b):
    """Whether a and b are both true, that is not 0.

    >>> mg.logical_and(mg.tensor([True, True]), mg.tensor([True, False]))
    tensor([ True, False])
    """
    return xp.logical_and(a, b)


logical_and.vjp(a=None, b=None)


@op
def logical_or(xp, a, b):
    """Whether at least one of a and b is true, that is not 0.

    >>> mg.logical_or(mg.tensor([True, False]), mg.tensor([False, False]))
    tensor([ True, False])
    """
    return xp.logical_or(a, b)


logical_or.vjp(a=None, b=None)


@op
def logical_not(xp, x):
    """Whether x is false, that is 0.

    >>> mg.logical_not(mg.tensor([True, False]))
    tensor([False,  True])
    """
    return xp.logical_not(x)


logical_not.vjp(x=None)


@op
def isnan(xp, x):
    """Whether x is NaN, element by element.

    >>> mg.isnan(mg.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """
    return xp.isnan(x)


isnan.vjp(x=None)


@op
def isfinite(xp, x):
    """Whether x is neither infinite nor NaN, element by element.

    >>> mg.isfinite(mg.tensor([1.0, float("inf")]))
    tensor([ True, False])
    """
    return xp.isfinite(x)


isfinite.vjp(x=None)


@op
def isinf(xp, x):
    """Whether x is inf or -inf, element by element.

    >>> mg.isinf(mg.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """
    return xp.equal(xp.abs(x), math.inf)


isinf.vjp(x=None)
