"""Softmax, its logarithm, and the losses of labels: one op each, with a short derivative."""

from __future__ import annotations

from typing import Any

from ..engine.op import op
from .exponentials import exp
from .indexing import scatter
from .reductions import sum
from .shape import expand_dims

__all__: list[str] = []  # users call what `minigrad.functional` makes of them


@op
def softmax_along(xp, x, *, axis):
    """exp(x) scaled to sum to 1 along an axis.

    >>> softmax_along(mg.tensor([0.0, 0.0]), axis=0)
    tensor([0.5, 0.5])
    """
    return _shares(xp, x, axis)


def _shares(xp: Any, x: Any, axis: int) -> Any:
    if 0 in x.shape:
        return xp.exp(x)
    powers = xp.exp(x - xp.max(x, axis=axis, keepdims=True))  # of 0 and less: no overflow
    return powers / xp.sum(powers, axis=axis, keepdims=True)


def _softmax_slope(g: Any, y: Any, axis: int) -> Any:
    return y * (g - sum(g * y, axis=axis, keepdims=True))


softmax_along.vjp(x=_softmax_slope)


@op
def log_softmax_along(xp, x, *, axis):
    """The logarithm of `softmax_along`, accurate where that is tiny.

    >>> log_softmax_along(mg.tensor([0.0, -1000.0]), axis=0)
    tensor([    0., -1000.])
    """
    if 0 in x.shape:
        return xp.exp(x)
    return _logarithms(xp, x, axis)


def _logarithms(xp: Any, x: Any, axis: int) -> Any:
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax_along.vjp(x=lambda g, y, axis: g - exp(y) * sum(g, axis=axis, keepdims=True))


@op
def label_losses(xp, rows, *, index):
    """Per row (M, C) what `log_softmax_along` gives its label, with the sign changed: (M,).

    `index`: the numbers of the rows, and their labels.

    >>> rows = mg.tensor([[0.0, 0.0], [0.0, 50.0]])
    >>> label_losses(rows, index=(np.array([0, 1]), np.array([0, 1])))
    tensor([0.6931472, 0.       ])
    """
    return _losses(xp, rows, index)


label_losses.vjp(rows=lambda g, rows, index: label_slopes(rows, index=index) * expand_dims(g, -1))


def _label_loss_slope(g: Any, logs: Any, index: Any, share: float) -> Any:
    g = g * share
    return exp(logs) * g - scatter(g, index=index, shape=logs.shape)


@op(keeps=("logs", log_softmax_along, {"axis": -1}))
def label_loss(xp, rows, *, index, share):
    """The sum of `label_losses` times a number, as one over how many there are for their mean.

    >>> rows = mg.tensor([[0.0, 0.0], [0.0, 50.0]])
    >>> label_loss(rows, index=(np.array([0, 1]), np.array([0, 1])), share=0.5)
    tensor(0.3465736)
    """
    logs = _logarithms(xp, rows, -1)
    return xp.sum(xp.getitem(logs, index)) * -share, logs


label_loss.vjp(rows=_label_loss_slope)


@op
def label_sum(xp, rows, *, index, share):
    """The sum of the entries of rows (M, C) at their labels, times a number.

    >>> rows = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> label_sum(rows, index=(np.array([0, 1]), np.array([1, 0])), share=0.5)
    tensor(2.5)
    """
    return xp.sum(xp.getitem(rows, index)) * share


label_sum.vjp(rows=lambda g, like, index, share: scatter(g * share, index=index, shape=like.shape))


@op
def label_slopes(xp, rows, *, index):
    """The slopes of `label_losses`: `softmax_along` less 1 at each row's label.

    >>> label_slopes(mg.tensor([[0.0, 0.0]]), index=(np.array([0]), np.array([1])))
    tensor([[ 0.5, -0.5]])
    """
    # Not by `_shares`: a kernel would keep its powers of the loss for the slopes, not only totals.
    shares = xp.exp(_logarithms(xp, rows, -1))
    return shares - xp.scatter(xp.ones(rows.shape[:1], rows.dtype), index, rows.shape)


label_slopes.vjp(rows=lambda g, rows: _softmax_slope(g, softmax_along(rows, axis=-1), -1))


def _losses(xp: Any, rows: Any, index: Any) -> Any:
    if not rows.shape[0]:
        return xp.zeros((0,), rows.dtype)
    top = xp.max(rows, axis=-1, keepdims=True)
    total = xp.log(xp.sum(xp.exp(rows - top), axis=-1))
    return total - (xp.getitem(rows, index) - xp.reshape(top, total.shape))
