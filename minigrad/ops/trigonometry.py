"""Functions of angles, and the hyperbolic ones."""

from __future__ import annotations

from ..engine.op import op

__all__ = ["cos", "sin", "tanh"]


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
def tanh(xp, x):
    """The hyperbolic tangent: squashes to between -1 and 1.

    >>> mg.tanh(mg.tensor([0.0, 100.0]))
    tensor([0., 1.])
    """
    return xp.tanh(x)


tanh.vjp(x=lambda g, y: g * (1 - y * y))
