"""Functions of angles and their inverses, and the hyperbolic ones."""

from __future__ import annotations

from typing import Any

from ..engine.op import op
from .arithmetic import hypot, part_of_length, sqrt, square
from .choices import nan_below

__all__ = ["arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh"]
__all__ += ["sin", "sinh", "tan", "tanh"]


# --- of angles -----------------------------------------------------------------------------


@op
def sin(xp, x):
    """The sine; x in radians.

    >>> import math
    >>> mg.sin(mg.tensor([0.0, math.pi / 2]))
    tensor([0., 1.])
    """
    return xp.sin(x)


sin.vjp(x=lambda g, x: g * cos(x))


@op
def cos(xp, x):
    """The cosine; x in radians.

    >>> import math
    >>> mg.cos(mg.tensor([0.0, math.pi]))
    tensor([ 1., -1.])
    """
    return xp.cos(x)


cos.vjp(x=lambda g, x: -g * sin(x))


@op
def tan(xp, x):
    """The tangent; x in radians.

    >>> import math
    >>> mg.tan(mg.tensor([0.0, math.pi / 4]))
    tensor([0., 1.])
    """
    return xp.tan(x)


tan.vjp(x=lambda g, y: g * (1 + square(y)))


# --- angles --------------------------------------------------------------------------------


@op
def arcsin(xp, x):
    """The angle from -π/2 to π/2 whose sine is x; NaN if x is beyond -1 and 1.

    Its slope at -1 and 1 is infinite.

    >>> round(2 * mg.arcsin(mg.tensor(1.0)).item(), 4)
    3.1416
    """
    return xp.arcsin(x)


arcsin.vjp(x=lambda g, x: g / sqrt((1 - x) * (1 + x)))


@op
def arccos(xp, x):
    """The angle from 0 to π whose cosine is x; NaN if x is beyond -1 and 1.

    Its slope at -1 and 1 is infinite.

    >>> round(mg.arccos(mg.tensor(-1.0)).item(), 4)
    3.1416
    """
    return xp.arccos(x)


arccos.vjp(x=lambda g, x: -g / sqrt((1 - x) * (1 + x)))


@op
def arctan(xp, x):
    """The angle between -π/2 and π/2 whose tangent is x.

    >>> round(4 * mg.arctan(mg.tensor(1.0)).item(), 4)
    3.1416
    """
    return xp.arctan(x)


def _arctan_slope(g: Any, x: Any) -> Any:
    length = hypot(x, 1)  # x * x would overflow
    return g / length / length


arctan.vjp(x=_arctan_slope)


@op
def arctan2(xp, a, b):
    """The angle from -π to π of the point with height a, at b to the right; the height comes first.

    At (0, 0), where the angle jumps, its gradient is 0, as in PyTorch; a second derivative is NaN.

    >>> angle = mg.arctan2(mg.tensor([1.0, 0.0]), mg.tensor([1.0, -1.0]))
    >>> [round(degrees) for degrees in (angle * 180 / np.pi).tolist()]
    [45, 180]
    """
    return xp.arctan2(a, b)


def _turn(a: Any, b: Any) -> Any:
    """a / (a² + b²), without overflow on the way."""
    length = hypot(a, b)
    return part_of_length(part_of_length(a, length), length)


arctan2.vjp(a=lambda g, a, b: g * _turn(b, a), b=lambda g, a, b: -g * _turn(a, b))


# --- hyperbolic ----------------------------------------------------------------------------


@op
def sinh(xp, x):
    """The hyperbolic sine (exp(x) - exp(-x)) / 2.

    >>> mg.sinh(mg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10])
    """
    return xp.sinh(x)


sinh.vjp(x=lambda g, x: g * cosh(x))


@op
def cosh(xp, x):
    """The hyperbolic cosine (exp(x) + exp(-x)) / 2.

    >>> round(mg.cosh(mg.tensor(1.0)).item(), 4)
    1.5431
    """
    return xp.cosh(x)


cosh.vjp(x=lambda g, x: g * sinh(x))


@op
def tanh(xp, x):
    """The hyperbolic tangent: squashes to between -1 and 1.

    >>> mg.tanh(mg.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    return xp.tanh(x)


tanh.vjp(x=lambda g, y: g * (1 - y * y))


@op
def arcsinh(xp, x):
    """The number whose hyperbolic sine is x: near 0 x, far out a logarithm, with x's sign.

    >>> round(mg.arcsinh(mg.tensor(1e30)).item(), 4)
    69.7707
    """
    return xp.arcsinh(x)


arcsinh.vjp(x=lambda g, x: g / hypot(x, 1))


@op
def arccosh(xp, x):
    """The number from 0 on whose hyperbolic cosine is x; NaN if x is below 1.

    Its slope at 1 is infinite.

    >>> round(mg.arccosh(mg.tensor(1e30)).item(), 4)
    69.7707
    """
    return xp.arccosh(x)


arccosh.vjp(x=lambda g, x: g / (sqrt(x - 1) * sqrt(x + 1)))


@op
def arctanh(xp, x):
    """The number whose hyperbolic tangent is x: infinite at -1 and 1, NaN beyond.

    >>> round(mg.arctanh(mg.tensor(0.5)).item(), 4)
    0.5493
    """
    return xp.arctanh(x)


arctanh.vjp(x=lambda g, x: g / nan_below((1 - x) * (1 + x), 0))
