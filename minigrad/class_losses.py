"""Losses of labels: cross entropies and likelihoods of classes, with the checks of the classes.

They are compositions of ops, as in `losses.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .engine.op_calls import as_tensor
from .engine.tensor import Tensor
from .engine.wrapping import wrap
from .fuse import fuse, fuse_on_devices
from .fusion import is_composed
from .losses import loss_of, reduced, same_shape
from .ops import (
    astype,
    broadcast_to,
    mean,
    moveaxis,
    reshape,
    sum,
    where,
)
from .ops.convert import in_float32
from .ops.indexing import getitem
from .ops.positions import check_positions
from .ops.softmaxes import label_loss, label_losses, label_sum, log_softmax_along
from .utils.arguments import check_number

__all__ = ["cross_entropy", "nll_loss"]


def cross_entropy(
    logits: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross entropy between logits and classes, as `torch.nn.functional.cross_entropy`.

    Parameters
    ----------
    logits : (C,), (N, C) or (N, C, ...): the class axis is the second, or the only one.
    target : integers, of the shape of logits without the class axis; or probabilities, of the
        shape of logits.
    weight : (C,), one factor per class; "mean" then is the weighted mean.
    ignore_index : integer targets of this value don't count, neither in the sum nor in the mean.
    reduction : "mean", "sum" or "none". The mean over no target is NaN, as in PyTorch.
    label_smoothing : how much of each target is spread evenly over the classes, 0 to 1.

    Examples
    --------
    >>> import minigrad as mg
    >>> mg.cross_entropy(mg.tensor([[0.0, 0.0], [5.0, 0.0]]), [1, 0]).item()  # doctest: +ELLIPSIS
    0.34993...
    """
    logits = as_tensor(logits)
    _check_smoothing("cross_entropy", label_smoothing)
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits need a class axis; got a tensor of no dimensions")
    if not isinstance(target, (Tensor, logits.backend.array_type)):
        target = np.asarray(target)  # classes are checked before they go to a device
    if target.dtype.kind != "f" or target.shape != logits.shape:
        options = weight, ignore_index, reduction, label_smoothing, True
        return in_float32(_over_labels, logits, target, *options)
    if ignore_index >= 0:
        raise ValueError(
            f"cross_entropy: ignore_index={ignore_index} is for targets that are classes; these "
            "are probabilities. Leave it out"
        )
    target = same_shape("cross_entropy", logits, target)
    weight = _class_weight("cross_entropy", weight, logits)
    logits, target = _classes_last(logits), _classes_last(target)
    return loss_of(
        "cross_entropy", _soft_losses, reduction, logits, target, weight, label_smoothing
    )


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
    _check_smoothing("nll_loss", label_smoothing)
    if not isinstance(target, (Tensor, log_probabilities.backend.array_type)):
        target = np.asarray(target)
    options = weight, ignore_index, reduction, label_smoothing
    return in_float32(_over_labels, log_probabilities, target, *options, False)


def _check_smoothing(name: str, share: Any) -> None:
    check_number(name, "label_smoothing", share)
    if not 0 <= share <= 1:
        raise ValueError(f"{name}: label_smoothing is from 0 to 1; got {share}")


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
    return reduced(name, losses if len(shape) == 1 else reshape(losses, shape), reduction)


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
