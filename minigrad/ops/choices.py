"""Choices, element by element: one or the other, the larger, what is within bounds."""

from __future__ import annotations

import math
from typing import Any

from ..engine.creation import get_default_dtype
from ..engine.op import NUMBERS, op
from ..engine.to_numpy import check_gradient
from .comparisons import logical_and
from .convert import cast

__all__ = ["clip", "maximum", "minimum", "relu", "where"]


@op
def where(xp, condition, a, b):
    """a where the condition holds, else b. No gradient flows to the condition.

    >>> mg.where(mg.tensor([True, False]), mg.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])

    Both a and b are computed everywhere, and so are their derivatives: where a is not taken its
    gradient is 0, and 0 times an infinite slope is NaN. Choose the input first, so that its slope
    is finite everywhere:

    >>> x = mg.tensor([0.0, 2.0], requires_grad=True)
    >>> with np.errstate(all="ignore"):  # the slope of log at 0 is infinite
    ...     mg.grad(mg.where(x > 0, mg.log(x), 0).sum(), x)
    tensor([nan, 0.5])
    >>> safe = mg.where(x > 0, x, 1)
    >>> mg.grad(mg.where(x > 0, mg.log(safe), 0).sum(), x)
    tensor([0. , 0.5])

    Sums and means take such a mask themselves: `mg.sum(x, where=mask)`.
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


@op
def relu(xp, x):
    """max(x, 0). Its gradient at 0 is 0; at NaN it is NaN.

    >>> mg.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return xp.relu(x)


relu.vjp(x=lambda g, y: where(y > 0, g, y))  # y is 0 or NaN then


# --- NaN in derivatives ---------------------------------------------------------------------


def nan_at_nan(part: Any, x: Any) -> Any:
    """A gradient that is 0 where x is NaN, with NaN there: a fault must not vanish backwards."""
    return part / (x == x)  # 0 / 0


def nan_below(x: Any, least: float) -> Any:
    """x, with NaN where it is below `least`: where a function is not defined, nor is its slope."""
    return x + cast(where(x < least, math.nan, 0), dtype=x.dtype)
