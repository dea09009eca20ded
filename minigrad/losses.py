"""Losses: of numbers, of answers given as logits, and of labels, with the checks of the labels.

They are compositions of ops, so derivatives of every order follow from the ops; `@fuse` as in
`minigrad.functional`, which offers them too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .engine.creation import tensor
from .engine.op_calls import as_tensor
from .engine.tensor import Tensor, wrap
from .fuse import fuse, fuse_on_devices
from .fusion import is_composed
from .ops import (
    abs,
    astype,
    broadcast_to,
    clip,
    mean,
    moveaxis,
    reshape,
    softplus,
    square,
    sum,
    where,
)
from .ops.convert import in_float32
from .ops.indexing import getitem
from .ops.positions import check_positions
from .ops.softmaxes import label_loss, label_losses, label_sum, log_softmax_along

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "huber_loss", "l1_loss"]
__all__ += ["mse_loss", "nll_loss"]


def _loss(f: Any, reduction: str, x: Tensor, target: Tensor, *options: Any) -> Tensor:
    """The losses f(x, target, *options), reduced."""
    return in_float32(lambda *given: _reduce(f(*given), reduction), x, target, *options)


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none'; got {reduction!r}")


def _same_shape(name: str, x: Tensor, target: Any) -> Tensor:
    """The target as a tensor of the shape of x: broadcasting a loss is nearly always a bug."""
    if not isinstance(target, Tensor):
        target = tensor(target, dtype=x.dtype, backend=x.backend)
    if x.shape != target.shape:
        same = f"; write target.reshape({x.shape})" if x.size == target.size else ""
        raise ValueError(
            f"{name}: prediction {x.shape} and target {target.shape} differ in shape{same}"
        )
    return target


def mse_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The squared error (x - target) ** 2; `reduction` is "mean", "sum" or "none".

    >>> mg.mse_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(2.)
    """
    x = as_tensor(x)
    return _loss(_squared_errors, reduction, x, _same_shape("mse_loss", x, target))


@fuse_on_devices(name="mse_loss")
def _squared_errors(x: Tensor, target: Tensor) -> Tensor:
    return square(x - target)


def l1_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute error |x - target|; its derivatives at 0 are those of `abs`.

    >>> mg.l1_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(1.)
    """
    x = as_tensor(x)
    return _loss(_absolute_errors, reduction, x, _same_shape("l1_loss", x, target))


@fuse_on_devices(name="l1_loss")
def _absolute_errors(x: Tensor, target: Tensor) -> Tensor:
    return abs(x - target)


def huber_loss(x: Tensor, target: Any, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Quadratic for errors up to delta, linear beyond (Huber 1964).

    >>> mg.huber_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(0.75)
    """
    x = as_tensor(x)
    if not isinstance(delta, (int, float, np.number)) or not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive; got {delta!r:.40}")
    return _loss(_huber_losses, reduction, x, _same_shape("huber_loss", x, target), delta)


@fuse_on_devices(name="huber_loss")
def _huber_losses(x: Tensor, target: Tensor, delta: float) -> Tensor:
    error = x - target
    near = clip(error, -delta, delta)
    near = where(
        abs(error) >= delta, near.detach(), near
    )  # at delta the line begins, as in PyTorch
    return near * (error - 0.5 * near)


def binary_cross_entropy_with_logits(
    x: Tensor, target: Any, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The cross entropy of yes-or-no answers given as logits; accurate for any logit.

    `target` holds probabilities from 0 to 1, of the shape of x; `pos_weight` weighs the yes.

    >>> mg.binary_cross_entropy_with_logits(mg.tensor([100.0, 100.0]), [1, 0])
    tensor(50.)
    """
    x = as_tensor(x)
    target = _same_shape("binary_cross_entropy_with_logits", x, target)
    return _loss(_logit_losses, reduction, x, target, pos_weight)


@fuse(name="binary_cross_entropy_with_logits")
def _logit_losses(x: Tensor, target: Tensor, pos_weight: Any) -> Tensor:
    """The loss of each logit."""
    if pos_weight is None:
        return softplus(x) - x * target
    return (1 - target) * x + (1 + (pos_weight - 1) * target) * softplus(-x)


def cross_entropy(
    logits: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy between logits and classes, as `torch.nn.functional.cross_entropy`.

    Parameters
    ----------
    logits : (C,), (N, C) or (N, C, ...): the class axis is the second, or the only one.
    target : integers, of the shape of logits without the class axis; or probabilities, of the
        shape of logits.
    weight : (C,), one factor per class; "mean" then is the weighted mean.
    ignore_index : integer targets of this value don't count, neither in the sum nor in the mean.
    label_smoothing : how much of each target is spread evenly over the classes, 0 to 1.
    reduction : "mean", "sum" or "none".

    Examples
    --------
    >>> import minigrad as mg
    >>> mg.cross_entropy(mg.tensor([[0.0, 0.0], [5.0, 0.0]]), [1, 0]).item()  # doctest: +ELLIPSIS
    0.34993...
    """
    logits = as_tensor(logits)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is from 0 to 1; got {label_smoothing}")
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits need a class axis; got a tensor of no dimensions")
    if not isinstance(target, (Tensor, logits.backend.array_type)):
        target = np.asarray(target)  # classes are checked before they go to a device
    if target.dtype.kind != "f" or target.shape != logits.shape:
        options = weight, ignore_index, reduction, label_smoothing, True
        return in_float32(_over_labels, logits, target, *options)
    target = _same_shape("cross_entropy", logits, target)
    weight = _class_weight("cross_entropy", weight, logits)
    logits, target = _classes_last(logits), _classes_last(target)
    return _loss(_soft_losses, reduction, logits, target, weight, label_smoothing)


def nll_loss(
    log_probabilities: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log likelihood of integer classes; arguments as for `cross_entropy`.

    >>> round(mg.nll_loss(mg.log(mg.tensor([[0.25, 0.75]])), [1]).item(), 4)
    0.2877
    """
    log_probabilities = as_tensor(log_probabilities)
    if not isinstance(target, (Tensor, log_probabilities.backend.array_type)):
        target = np.asarray(target)
    options = weight, ignore_index, reduction, label_smoothing
    return in_float32(_over_labels, log_probabilities, target, *options, False)


def _over_labels(
    x: Tensor,
    target: Any,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    are_logits: bool,
) -> Tensor:
    """The loss of integer classes, of logits or of logarithms of probabilities."""
    name = "cross_entropy" if are_logits else "nll_loss"
    sizes, backend = x.shape, x.backend
    shape = sizes[:1] + sizes[2:] if len(sizes) > 1 else ()
    if target.shape != shape or target.dtype.kind not in "iu" or x.dtype.kind != "f":
        raise _no_labels(name, x, target, shape)
    classes = sizes[:2][-1]
    target, outside = check_positions(target, x, name, classes, allowed=ignore_index)
    if weight is not None:
        weight = _class_weight(name, weight, x)
    rows, count = x, sizes[0]  # (M, C)
    if len(sizes) != 2:
        count = math.prod(shape)
        rows = reshape(_classes_last(x), (count, classes))
    all_count = backend.is_host and not outside
    if all_count and 0 <= ignore_index < classes:
        all_count = not (target._data == ignore_index).any()
    ignored = None if all_count else ignore_index
    plain = all_count and weight is None and not label_smoothing
    if plain and reduction in _SHARES and count and is_composed(name, count * classes, backend):
        own = backend.copy(target._data)  # the user may edit the others
        labels = backend.arange(count), own if len(sizes) == 2 else backend.reshape(own, (count,))
        share = _SHARES[reduction](count)
        if are_logits:
            return label_loss(rows, index=labels, share=share)
        return label_sum(rows, index=labels, share=-share)
    target = wrap(backend.reshape(target._data, (count, 1)), backend)  # (M, 1)
    options = weight, ignored, label_smoothing, are_logits
    if reduction == "mean" and (weight is not None or not all_count):
        return _weighted_mean(*_label_losses(rows, target, *options, True))
    losses = _label_losses(rows, target, *options, False)
    return _reduce(losses if len(shape) == 1 else reshape(losses, shape), reduction)


# Of so many losses, what each one's share in the result is.
_SHARES: dict[str, Callable[[int], float]] = {"mean": lambda n: 1 / n, "sum": lambda n: 1.0}


def _no_labels(name: str, x: Tensor, target: Any, shape: tuple[int, ...]) -> Exception:
    """The error for targets that aren't one class for each prediction, integers of this shape."""
    what, given = "logits" if name == "cross_entropy" else "x", f"{target.dtype} {target.shape}"
    if x.dtype.kind != "f":
        return TypeError(
            f"{name}: {what} must be floats; got {x.dtype} {x.shape}. The prediction comes first: "
            f"{name}({what}, target)"
        )
    if target.dtype.kind not in "fiub":
        return TypeError(f"{name}: targets must be integers, one class each; got {given}")
    if target.shape == shape:
        return TypeError(
            f"{name}: classes must be integers; got {given}. Convert them: target.astype('int64')"
        )
    text = f"{name}: {what} {x.shape} need integer targets of shape {shape}; got {target.shape}"
    if target.shape == x.shape and name == "cross_entropy":
        text += ". Probabilities must be floats: target.astype('float32')"
    elif target.shape == x.shape:
        text += ". For targets with a 1 at each class, write mg.argmax(target, axis=1)"
    elif x.ndim > 2 and target.shape == x.shape[:-1]:
        text += (
            f". The class axis of {what} is the second, as in PyTorch; move the last one there: "
            f"mg.moveaxis({what}, -1, 1)"
        )
    elif math.prod(target.shape) == math.prod(shape):
        text += f". Write target.reshape({shape})"
    return ValueError(text)


def _class_weight(name: str, weight: Any, x: Tensor) -> Tensor | None:
    """The factor of each class as a tensor (C,)."""
    if weight is None:
        return None
    if isinstance(weight, str):
        raise TypeError(f"{name}: weight has a factor per class; write reduction={weight!r}")
    classes = x.shape[min(1, x.ndim - 1)]
    weight = as_tensor(weight, x)
    if weight.shape != (classes,):
        raise ValueError(
            f"{name}: {classes} classes need a weight of shape ({classes},); got {weight.shape}"
        )
    return weight


def _classes_last(x: Tensor) -> Tensor:
    """x with its class axis, the second or the only one, as the last."""
    return moveaxis(x, 1, -1) if x.ndim > 2 else x


@fuse(name="cross_entropy")
def _label_losses(
    rows: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignored: int | None,
    smoothing: float,
    are_logits: bool,
    has_factors: bool,
) -> Any:
    """Per row its loss, or its loss and its factor in a mean; both are 0 if its label is ignored.

    rows (M, C), target (M, 1), weight (C,) to losses (M,) and factors (M,). `ignored` is None if
    no label is.
    """
    if are_logits and smoothing:
        rows, are_logits = log_softmax_along(rows, axis=-1), False
    shape = (rows.shape[0],)
    if ignored is None:  # the user may edit the labels, and settings are not guarded
        target = wrap(target.backend.copy(target._data), target.backend)
    else:
        counts = target != ignored
        target, counts = where(counts, target, 0), reshape(counts, shape)

    def if_it_counts(x: Tensor) -> Tensor:
        return x if ignored is None else where(counts, x, 0)

    labels = rows.backend.arange(shape[0]), reshape(target, shape)._data
    losses = label_losses(rows, index=labels) if are_logits else -getitem(rows, index=labels)
    losses = if_it_counts(losses)
    if weight is not None:
        factors = if_it_counts(getitem(broadcast_to(weight, rows.shape), index=labels))
        losses = losses * factors
    elif has_factors:
        factors = astype(counts, rows.dtype)
    if smoothing:
        weighted = rows if weight is None else rows * weight
        spread = -if_it_counts(mean(weighted, axis=-1))
        losses = (1 - smoothing) * losses + smoothing * spread
    return (losses, factors) if has_factors else losses


@fuse_on_devices(name="cross_entropy")
def _weighted_mean(losses: Tensor, factors: Tensor) -> Tensor:
    """Of losses (M,) that have been multiplied by their factors (M,)."""
    return sum(losses, axis=-1) / sum(factors, axis=-1)


@fuse(name="cross_entropy")
def _soft_losses(logits: Tensor, target: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
    """Per row the cross entropy with probabilities."""
    if smoothing:
        target = target * (1 - smoothing) + smoothing / logits.shape[-1]
    if weight is not None:
        target = target * weight
    return -sum(target * log_softmax_along(logits, axis=-1), axis=-1)
