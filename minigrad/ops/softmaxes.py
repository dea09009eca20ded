"""Softmax, its logarithm, and the losses of labels: one op each, with a short derivative."""

from __future__ import annotations

import math
from typing import Any

from ..op import op
from .elementwise import exp
from .indexing import scatter
from .reductions import sum
from .shape import reshape

__all__: list[str] = []  # users call what `minigrad.functional` makes of them


def _shifted(xp: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """x less its largest along an axis, against overflow; and that."""
    top = xp.max(x, axis=axis, keepdims=True)
    return x - top, top


@op
def softmax_along(xp, x, *, axis):
    """exp(x) scaled to sum to 1 along an axis."""
    if not math.prod(x.shape):
        return xp.exp(x)
    powers = xp.exp(_shifted(xp, x, axis)[0])
    return powers * (1 / xp.sum(powers, axis=axis, keepdims=True))  # one division per row


softmax_along.vjp(x=lambda g, y, axis: y * (g - sum(g * y, axis=axis, keepdims=True)))


@op
def log_softmax_along(xp, x, *, axis):
    """The logarithm of `softmax_along`, accurate where that is tiny."""
    if not math.prod(x.shape):
        return xp.exp(x)
    shifted, _ = _shifted(xp, x, axis)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax_along.vjp(x=lambda g, y, axis: g - exp(y) * sum(g, axis=axis, keepdims=True))


@op
def label_losses(xp, rows, *, index):
    """Per row (M, C) what `log_softmax_along` gives its label, with the sign changed: (M,).

    `index`: the numbers of the rows, and their labels.
    """
    if not rows.shape[0]:
        return xp.zeros((0,), rows.dtype)
    shifted, top = _shifted(xp, rows, -1)
    total = xp.log(xp.sum(xp.exp(shifted), axis=-1))
    return total - (xp.getitem(rows, index) - xp.reshape(top, total.shape))


def _label_slope(g: Any, rows: Any, index: Any) -> Any:
    shares = softmax_along(rows, axis=-1) * reshape(g, (*g.shape, 1))
    return shares - scatter(g, index=index, shape=rows.shape)


label_losses.vjp(rows=_label_slope)
