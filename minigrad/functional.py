"""Functions composed of ops: activations, losses, and what layers compute.

Nothing here knows calculus: derivatives of every order follow from the ops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .creation import tensor
from .ops import (
    abs,
    exp,
    expm1,
    logsumexp,
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
from .ops.indexing import getitem
from .rng import generator
from .tensor import Tensor

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "dropout", "elu", "embedding"]
__all__ += ["gelu", "huber_loss", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax"]
__all__ += ["mse_loss", "nll_loss", "silu", "softmax"]


# --- activations ---------------------------------------------------------------------------


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, accurate where a probability is tiny."""
    return x - logsumexp(x, axis=axis, keepdims=True)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) scaled to sum to 1 along `axis`.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0]))
    tensor([0.5, 0.5])
    """
    return exp(log_softmax(x, axis))


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return x * sigmoid(x)


def gelu(x: Tensor) -> Tensor:
    """The Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016).

    It differs from the form with the error function by less than 5e-4.
    """
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015)."""
    positive = x > 0
    return where(positive, x, alpha * expm1(where(positive, 0, x)))


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

    The row `padding_idx` gets no gradient. Raises IndexError for an index outside 0..V-1.
    """
    indices = _integers(indices, weight.backend, "embedding", weight.shape[0])
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
    kept = generator().random(x.shape, dtype="float32") >= p
    scale = 1 / (1 - p) if p < 1 else 0.0
    return x * tensor(kept * scale, dtype=x.dtype, backend=x.backend)


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
    axes = tuple(range(-len(shape), 0))
    deviations = x - mean(x, axis=axes, keepdims=True)
    y = deviations / (mean(square(deviations), axis=axes, keepdims=True) + eps) ** 0.5
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
    if pos_weight is None:
        return _reduce(softplus(x) - x * target, reduction)
    losses = (1 - target) * x + (1 + (pos_weight - 1) * target) * softplus(-x)
    return _reduce(losses, reduction)


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
    axis = min(1, logits.ndim - 1)
    log_probabilities = log_softmax(logits, axis)
    if not isinstance(target, Tensor):
        target = tensor(target, backend=logits.backend)
    if target.dtype.kind != "f":
        return nll_loss(log_probabilities, target, weight, ignore_index, reduction, label_smoothing)
    target = _same_shape("cross_entropy", logits, target)
    classes = logits.shape[axis]
    target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * reshape(weight, (-1, *(1,) * (logits.ndim - axis - 1)))
    losses = -sum(target * log_probabilities, axis=axis)
    return _reduce(losses, reduction)


def nll_loss(
    log_probabilities: Tensor,
    target: Any,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log likelihood of integer classes; arguments as for `cross_entropy`."""
    axis = min(1, log_probabilities.ndim - 1)
    classes = log_probabilities.shape[axis]
    target = _integers(
        target, log_probabilities.backend, "cross_entropy", classes, allowed=ignore_index
    )
    shape = (*log_probabilities.shape[:axis], *log_probabilities.shape[axis + 1 :])
    if target.shape != shape:
        raise ValueError(
            f"cross_entropy: logits {log_probabilities.shape} need integer targets of shape "
            f"{shape}; got {target.shape}"
        )
    rows = reshape(moveaxis(log_probabilities, axis, -1), (math.prod(shape), classes))  # (M, C)
    target = target.reshape(math.prod(shape))  # (M,)
    counts = target != ignore_index
    labels = where(counts, target, 0)
    backend = rows.backend
    picked = getitem(rows, index=(backend.arange(labels.size), labels._data))  # (M,)
    factors = counts.astype(rows.dtype)
    if weight is not None:
        factors = factors * getitem(weight, index=labels._data)
    losses = -where(counts, picked, 0) * factors
    if label_smoothing:
        weighted = rows if weight is None else rows * weight
        spread = -where(counts, mean(weighted, axis=-1), 0)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    if reduction == "mean":
        return sum(losses) / sum(factors)
    return _reduce(reshape(losses, shape), reduction)


def _integers(
    values: Any, backend: Any, name: str, stop: int, allowed: int | None = None
) -> Tensor:
    """Integer positions 0..stop-1 (or `allowed`) as a tensor of `backend`.

    Checked where the numbers are at hand: NumPy would take a negative one from the end.
    """
    if not isinstance(values, Tensor):
        values = tensor(values, backend=backend)
    if values.dtype.kind not in "iu":
        raise TypeError(f"{name}: positions must be integers; got {values.dtype}")
    if backend.is_host and values.size:
        numbers = values._data
        wrong = numbers[(numbers < 0) | (numbers >= stop)]
        if allowed is not None:
            wrong = wrong[wrong != allowed]
        if wrong.size:
            raise IndexError(
                f"{name}: {int(wrong[0])} is not one of the {stop} positions 0..{stop - 1}"
            )
    return values
