"""Losses of numbers and of probabilities; those of classes are in `class_losses.py`.

They are compositions of ops, so derivatives of every order follow from the ops; `@fuse` as in
`minigrad.functional`, which offers them too. Names and the order of the options are PyTorch's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .engine.creation import tensor
from .engine.graph import is_tracing
from .engine.op_calls import as_tensor
from .engine.tensor import Tensor
from .fuse import fuse, fuse_on_devices
from .ops import (
    abs,
    clip,
    exp,
    log,
    log1p,
    mean,
    softplus,
    square,
    sum,
    where,
)
from .ops.convert import in_float32
from .utils.arguments import check_flag

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "kl_div"]
__all__ += ["l1_loss", "mse_loss", "smooth_l1_loss"]

# The least logarithm of a probability in a binary cross entropy, as in PyTorch.
_LEAST = -100.0


def loss_of(name: str, f: Any, reduction: str, x: Tensor, target: Tensor, *options: Any) -> Tensor:
    """The losses f(x, target, *options), reduced."""
    return in_float32(lambda *given: reduced(name, f(*given), reduction), x, target, *options)


def reduced(name: str, losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of the losses of a function, or all of them."""
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none'; got {reduction!r:.40}")


def same_shape(name: str, x: Tensor, target: Any) -> Tensor:
    """The target as a tensor of the shape of x: broadcasting a loss is nearly always a bug."""
    if not isinstance(target, Tensor):
        target = tensor(target, dtype=x.dtype, backend=x.backend)
    if x.shape != target.shape:
        same = f"; write target.reshape({x.shape})" if x.size == target.size else ""
        raise ValueError(
            f"{name}: prediction {x.shape} and target {target.shape} differ in shape{same}"
        )
    return target


def _factor(name: str, what: str, factor: Any, x: Tensor) -> Any:
    """A factor of the losses: None, a number, or a tensor that broadcasts to the shape of x."""
    if factor is None or isinstance(factor, (int, float)):
        return factor
    if isinstance(factor, str):
        raise TypeError(f"{name}: {what} is a factor; write reduction={factor!r}")
    if not isinstance(factor, Tensor):
        factor = tensor(factor, dtype=x.dtype, backend=x.backend)
    missing = x.ndim - factor.ndim
    if missing < 0 or any(
        n not in (1, m) for n, m in zip(factor.shape, x.shape[missing:], strict=True)
    ):
        raise ValueError(
            f"{name}: {what} {factor.shape} doesn't broadcast to the shape of the prediction "
            f"{x.shape}"
        )
    return factor


# --- of numbers ----------------------------------------------------------------------------


def mse_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The squared error (x - target) ** 2; `reduction` is "mean", "sum" or "none".

    >>> mg.mse_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(2.)
    """
    x = as_tensor(x)
    target = same_shape("mse_loss", x, target)
    return loss_of("mse_loss", _squared_errors, reduction, x, target)


@fuse_on_devices(name="mse_loss")
def _squared_errors(x: Tensor, target: Tensor) -> Tensor:
    return square(x - target)


def l1_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute error |x - target|; its derivatives at 0 are those of `abs`.

    >>> mg.l1_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(1.)
    """
    x = as_tensor(x)
    target = same_shape("l1_loss", x, target)
    return loss_of("l1_loss", _absolute_errors, reduction, x, target)


@fuse_on_devices(name="l1_loss")
def _absolute_errors(x: Tensor, target: Tensor) -> Tensor:
    return abs(x - target)


def huber_loss(x: Tensor, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Quadratic for errors up to delta, linear of slope delta beyond (Huber 1964).

    >>> mg.huber_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(0.75)
    """
    x = as_tensor(x)
    if not isinstance(delta, (int, float, np.number)) or not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive; got {delta!r:.40}")
    target = same_shape("huber_loss", x, target)
    return loss_of("huber_loss", _huber_losses, reduction, x, target, delta)


@fuse_on_devices(name="huber_loss")
def _huber_losses(x: Tensor, target: Tensor, delta: float) -> Tensor:
    return _parabola_and_line(x - target, delta)


def _parabola_and_line(error: Tensor, delta: float) -> Tensor:
    near = clip(error, -delta, delta)
    near = where(
        abs(error) >= delta, near.detach(), near
    )  # at delta the line begins, as in PyTorch
    return near * (error - 0.5 * near)


def smooth_l1_loss(x: Tensor, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Quadratic for errors up to beta, linear of slope 1 beyond; `l1_loss` if beta is 0.

    It is `huber_loss` with delta = beta, divided by beta (Girshick 2015).

    >>> mg.smooth_l1_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0], beta=0.5)
    tensor(0.875)
    """
    x = as_tensor(x)
    if not isinstance(beta, (int, float, np.number)) or not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be 0 or more; got {beta!r:.40}")
    target = same_shape("smooth_l1_loss", x, target)
    if beta == 0:
        return loss_of("smooth_l1_loss", _absolute_errors, reduction, x, target)
    return loss_of("smooth_l1_loss", _smooth_losses, reduction, x, target, beta)


@fuse_on_devices(name="smooth_l1_loss")
def _smooth_losses(x: Tensor, target: Tensor, beta: float) -> Tensor:
    return _parabola_and_line(x - target, beta) / beta


# --- of probabilities ----------------------------------------------------------------------


def binary_cross_entropy_with_logits(
    x: Tensor,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """The cross entropy of yes-or-no answers given as logits; accurate for any logit.

    `target` holds probabilities from 0 to 1, of the shape of x; `weight` multiplies the losses,
    `pos_weight` weighs the yes. Both are numbers, or broadcast to the shape of x.

    >>> mg.binary_cross_entropy_with_logits(mg.tensor([100.0, 100.0]), [1, 0])
    tensor(50.)
    """
    x, name = as_tensor(x), "binary_cross_entropy_with_logits"
    target = same_shape(name, x, target)
    weight = _factor(name, "weight", weight, x)
    pos_weight = _factor(name, "pos_weight", pos_weight, x)
    return loss_of(name, _logit_losses, reduction, x, target, weight, pos_weight)


@fuse(name="binary_cross_entropy_with_logits")
def _logit_losses(x: Tensor, target: Tensor, weight: Any, pos_weight: Any) -> Tensor:
    """The loss of each logit."""
    if pos_weight is None:
        losses = softplus(x) - x * target
    else:
        losses = (1 - target) * x + (1 + (pos_weight - 1) * target) * softplus(-x)
    return losses if weight is None else weight * losses


def binary_cross_entropy(
    x: Tensor, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The cross entropy of yes-or-no answers given as probabilities x.

    `target` holds probabilities of the shape of x; `weight` multiplies the losses. Logarithms are
    at least -100, as in PyTorch; where one is held there, its gradient is 0. Prefer
    `binary_cross_entropy_with_logits`, which needs no such limit. Raises ValueError for numbers
    that aren't from 0 to 1; on a device they aren't looked at, and the loss is NaN.

    >>> round(mg.binary_cross_entropy(mg.tensor([0.5, 0.25]), [1, 0]).item(), 4)
    0.4904
    """
    x, name = as_tensor(x), "binary_cross_entropy"
    target = same_shape(name, x, target)
    _check_probabilities(name, "x", x)
    _check_probabilities(name, "targets", target)
    weight = _factor(name, "weight", weight, x)
    return loss_of(name, _probability_losses, reduction, x, target, weight)


@fuse(name="binary_cross_entropy")
def _probability_losses(x: Tensor, target: Tensor, weight: Any) -> Tensor:
    """The loss of each probability; what is multiplied by a zero in any case is held finite."""
    never, always = abs(x) <= math.exp(_LEAST), x == 1
    yes = where(never, _LEAST, log(where(never, 1, x)))
    no = where(always, _LEAST, log1p(where(always, 0, -x)))
    losses = (target - 1) * no - target * yes
    return losses if weight is None else weight * losses


def _check_probabilities(name: str, what: str, p: Tensor) -> None:
    """Raise if some aren't from 0 to 1, where that is seen without waiting for a device."""
    if not p.backend.is_host or not p.size or is_tracing():
        return
    for number in (p._data.min(), p._data.max()):
        if number < 0 or number > 1:
            hint = ". For logits there is binary_cross_entropy_with_logits" if what == "x" else ""
            raise ValueError(f"{name}: {what} are from 0 to 1; got {number:.6g}{hint}")


def kl_div(x: Tensor, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """The Kullback-Leibler divergence from the distribution exp(x) to the target's.

    x holds logarithms of probabilities; so does the target with `log_target`, else probabilities,
    of which those that are 0 add nothing. "mean" is over all elements, as in PyTorch; "batchmean",
    the sum over the number of rows, is the divergence's mean over a batch.

    >>> x = mg.log(mg.tensor([[0.5, 0.5]]))
    >>> round(mg.kl_div(x, [[1.0, 0.0]], reduction="batchmean").item(), 4)
    0.6931
    """
    x = as_tensor(x)
    target = same_shape("kl_div", x, target)
    log_target = check_flag("kl_div", "log_target", log_target)
    if reduction == "batchmean":
        if x.ndim == 0:
            raise ValueError("kl_div: a mean over the batch needs a first axis; got x of shape ()")
        return loss_of("kl_div", _divergences, "sum", x, target, log_target) / x.shape[0]
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"kl_div: reduction must be 'mean', 'batchmean', 'sum' or 'none'; got {reduction!r:.40}"
        )
    return loss_of("kl_div", _divergences, reduction, x, target, log_target)


@fuse(name="kl_div")
def _divergences(x: Tensor, target: Tensor, log_target: bool) -> Tensor:
    """The share of each element."""
    if log_target:
        return exp(target) * (target - x)
    nothing = target == 0
    share = target * (log(where(nothing, 1, target)) - where(nothing, 0, x))
    return where(nothing, 0, share)
