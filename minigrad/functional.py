"""Functions composed of ops: activations, losses, and what layers compute.

Nothing here knows calculus: derivatives of every order follow from the ops. Those marked by
`@fuse` run as one kernel on a backend with a compiler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .creation import tensor
from .fuse import fuse
from .ops import (
    abs,
    astype,
    exp,
    expm1,
    logsumexp,
    max,
    mean,
    moveaxis,
    reshape,
    sigmoid,
    softplus,
    square,
    sum,
    tanh,
    where,
)
from .ops.indexing import getitem, note_outside
from .rng import generator
from .tensor import Tensor, same_backend

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "dropout", "elu", "embedding"]
__all__ += ["gelu", "huber_loss", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax"]
__all__ += ["mse_loss", "nll_loss", "silu", "softmax"]


# --- activations ---------------------------------------------------------------------------


@fuse
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, accurate where a probability is tiny."""
    return x - logsumexp(x, axis=axis, keepdims=True)


@fuse
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) scaled to sum to 1 along `axis`.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """
    if not x.size:
        return exp(x)
    # The largest is subtracted against overflow alone: it cancels, and so do its gradients.
    powers = exp(x - max(x, axis=axis, keepdims=True).detach())
    return powers / sum(powers, axis=axis, keepdims=True)


@fuse
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return x * sigmoid(x)


@fuse
def gelu(x: Tensor) -> Tensor:
    """The Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016).

    It differs from the form with the error function by less than 5e-4.
    """
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * square(x))))


@fuse
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015)."""
    positive = x > 0
    return where(positive, x, alpha * expm1(where(positive, 0, x)))


@fuse
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, negative_slope * x elsewhere."""
    return where(x > 0, x, negative_slope * x)


# --- layers --------------------------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias: x (..., I), weight (O, I), bias (O,) to (..., O)."""
    y = x @ weight.T
    return y if bias is None else y + bias


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of a table: indices (...) of integers, weight (V, D) to (..., D).

    The row `padding_idx` gets no gradient. Raises IndexError for an index outside 0..V-1; if the
    indices are on a device, that happens when numbers come to the host.
    """
    indices = _integers(indices, weight, "embedding", weight.shape[0])
    rows = getitem(weight, index=weight.backend.copy(indices._data))
    if padding_idx is None:
        return rows
    return where(reshape(indices == padding_idx, (*indices.shape, 1)), rows.detach(), rows)


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p), when training."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1; got {p}")
    if not training or p == 0:
        return x
    kept = tensor(generator().random(x.shape, dtype="float32") >= p, backend=x.backend)
    return x * (astype(kept, x.dtype) * (1 / (1 - p) if p < 1 else 0.0))


def layer_norm(
    x: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """x with mean 0 and variance 1 over its last axes, then scaled and shifted (Ba et al. 2016).

    `normalized_shape` is the shape of those axes, and of weight and bias.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise ValueError(f"layer_norm: the last axes of x {x.shape} are not {shape}")
    if len(shape) == 1:
        return _normalized(x, weight, bias, eps)
    size = math.prod(shape)
    weight, bias = (w if w is None else reshape(w, (size,)) for w in (weight, bias))
    rows = reshape(x, (*x.shape[: x.ndim - len(shape)], size))
    return reshape(_normalized(rows, weight, bias, eps), x.shape)


@fuse(name="layer_norm")
def _normalized(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`layer_norm` over the last axis."""
    deviations = x - mean(x, axis=-1, keepdims=True)
    y = deviations * (mean(square(deviations), axis=-1, keepdims=True) + eps) ** -0.5
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


# --- losses --------------------------------------------------------------------------------


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
        raise ValueError(f"{name}: prediction {x.shape} and target {target.shape} differ in shape")
    return target


def mse_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The squared error (x - target) ** 2; `reduction` is "mean", "sum" or "none"."""
    return _reduce(square(x - _same_shape("mse_loss", x, target)), reduction)


def l1_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute error |x - target|; its gradient at 0 is 0."""
    return _reduce(abs(x - _same_shape("l1_loss", x, target)), reduction)


def huber_loss(x: Tensor, target: Any, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Quadratic for errors up to delta, linear beyond (Huber 1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive; got {delta}")
    error = x - _same_shape("huber_loss", x, target)
    size = abs(error)
    small = size <= delta
    losses = where(small, 0.5 * square(error), delta * (size - 0.5 * delta))
    return _reduce(losses, reduction)


def binary_cross_entropy_with_logits(
    x: Tensor, target: Any, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The cross entropy of yes-or-no answers given as logits; accurate for any logit.

    `target` holds probabilities from 0 to 1, of the shape of x; `pos_weight` weighs the yes.
    """
    target = _same_shape("binary_cross_entropy_with_logits", x, target)
    return _reduce(_logit_losses(x, target, pos_weight), reduction)


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
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is from 0 to 1; got {label_smoothing}")
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits need a class axis; got a tensor of no dimensions")
    if not isinstance(target, (Tensor, logits.backend.array_type)):
        target = np.asarray(target)  # classes are checked before they go to a device
    if target.dtype.kind != "f":
        options = weight, ignore_index, reduction, label_smoothing
        return _over_labels(logits, target, *options, are_logits=True)
    target = _same_shape("cross_entropy", logits, target)
    logits, target = _classes_last(logits), _classes_last(target)
    target = target * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    return _reduce(_soft_losses(logits, target if weight is None else target * weight), reduction)


def nll_loss(
    log_probabilities: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log likelihood of integer classes; arguments as for `cross_entropy`."""
    options = weight, ignore_index, reduction, label_smoothing
    return _over_labels(log_probabilities, target, *options, are_logits=False)


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
    classes = x.shape[min(1, x.ndim - 1)]
    shape = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    target = _integers(target, x, "cross_entropy", classes, allowed=ignore_index)
    if target.shape != shape:
        raise ValueError(
            f"cross_entropy: logits {x.shape} need integer targets of shape "
            f"{shape}; got {target.shape}"
        )
    rows = reshape(_classes_last(x), (math.prod(shape), classes))  # (M, C)
    if are_logits and label_smoothing:
        rows, are_logits = log_softmax(rows), False
    target = target.reshape(math.prod(shape))  # (M,)
    losses = _label_losses(rows, reshape(target, (-1, 1)), ignore_index, are_logits)
    if weight is None and not label_smoothing and reduction != "mean":
        return _reduce(reshape(losses, shape), reduction)
    counts = target != ignore_index
    factors = counts.astype(rows.dtype)
    if weight is not None:
        factors = factors * getitem(weight, index=where(counts, target, 0)._data)
        losses = losses * factors
    if label_smoothing:
        weighted = rows if weight is None else rows * weight
        spread = -where(counts, mean(weighted, axis=-1), 0)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    if reduction == "mean":
        return sum(losses) / sum(factors)
    return _reduce(reshape(losses, shape), reduction)


def _classes_last(x: Tensor) -> Tensor:
    """x with its class axis, the second or the only one, as the last."""
    return moveaxis(x, 1, -1) if x.ndim > 2 else x


def _at_labels(rows: Tensor, labels: Tensor) -> Tensor:
    """Per row the entry of its label."""
    n = rows.shape[0]
    return getitem(rows, index=(rows.backend.arange(n), reshape(labels, (n,))._data))


@fuse(name="cross_entropy")
def _label_losses(rows: Tensor, target: Tensor, ignored: int, are_logits: bool) -> Tensor:
    """Per row minus the logarithm of its label's probability, 0 if ignored; target is (M, 1)."""
    counts = target != ignored
    losses = -_at_labels(rows, where(counts, target, 0))
    if are_logits:
        losses = logsumexp(rows, axis=-1) + losses
    return where(reshape(counts, losses.shape), losses, 0)


@fuse(name="cross_entropy")
def _soft_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Per row the cross entropy with probabilities."""
    return -sum(target * log_softmax(logits), axis=-1)


def _integers(
    values: Any, like: Tensor, name: str, stop: int, allowed: int | None = None
) -> Tensor:
    """Integer positions 0..stop-1 (or `allowed`) as a tensor on the backend of `like`.

    Checked, since NumPy would take a negative one from the end, and CuPy any: at once where the
    numbers are at hand, later if they are on a device.
    """
    backend = like.backend
    if isinstance(values, Tensor):
        same_backend(name, like, values)
    else:
        there = isinstance(values, backend.array_type)
        values = tensor(values, backend=backend if there else "numpy")
    if values.dtype.kind not in "iu":
        raise TypeError(f"{name}: positions must be integers; got {values.dtype}")
    numbers, said = values._data, f"is not one of the {stop} positions 0..{stop - 1}"
    if not values.backend.is_host:
        if values.size:
            error = IndexError(f"{name}: an index {said}")
            note_outside(numbers, 0, stop, backend, error, allowed)
        return values
    wrong = numbers[(numbers < 0) | (numbers >= stop)]
    if allowed is not None:
        wrong = wrong[wrong != allowed]
    if wrong.size:
        raise IndexError(f"{name}: {int(wrong[0])} {said}")
    return values.to(backend)
