"""Textbook versions in NumPy of what NumPy lacks: slow, plain, and independent of the ops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    *("argsort", "binary_cross_entropy", "cross_entropy", "cross_entropy_soft", "ctc_loss"),
    *(
        "cummax",
        "cummin",
        "dot",
        "dropout",
        "elu",
        "erf",
        "gelu",
        "huber",
        "kl_div",
        "layer_norm",
        "logsumexp",
        "norm",
    ),
    *("reduced", "running_argmax", "scatter", "scatter_add", "sigmoid", "softmax", "sort", "topk"),
]

Array = np.ndarray


def sigmoid(x: Array) -> Array:
    """The logistic function, each tail by the form that can't overflow there."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def logsumexp(
    x: Array, axis: Any = None, keepdims: bool = False, where: Array | bool = True
) -> Array:
    """By pairs, as NumPy's logaddexp does it; of nothing it is -inf."""
    x = x if where is True else np.where(where, x, -np.inf)
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [a % x.ndim for a in given]
    for a in axes:
        x = np.logaddexp.reduce(x, axis=a, keepdims=True)
    return x if keepdims else x.reshape([n for i, n in enumerate(x.shape) if i not in axes])


def norm(x: Array, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Array:
    """The vector norm over any axes."""
    if ord == math.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def dot(a: Array, b: Array) -> Array:
    """NumPy's dot, but for a number: 0 times NaN is NaN, which BLAS leaves out."""
    return a * b if a.ndim == 0 or b.ndim == 0 else np.dot(a, b)


def argsort(x: Array, axis: int | None = -1, descending: bool = False) -> Array:
    """A stable sort of the numbers, or of NaN and then the numbers' opposites."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    x, axis = (x.ravel(), 0) if axis is None else (x, axis)
    return np.lexsort((-x.astype(float), x == x), axis=axis)


def sort(x: Array, axis: int | None = -1, descending: bool = False) -> Array:
    """The smallest first, or the other way."""
    y = np.sort(x, axis=axis)
    return np.flip(y, axis=-1 if axis is None else axis) if descending else y


def topk(x: Array, k: int, axis: int = -1, largest: bool = True) -> list[Array]:
    """The first of all in order, and their positions."""
    order = np.take(argsort(x, axis, largest), range(k), axis)
    return [np.take_along_axis(x, order, axis), order]


def cummax(x: Array, axis: int | None = None) -> Array:
    """The running maximum."""
    return np.maximum.accumulate(x.ravel() if axis is None else x, axis=axis or 0)


def cummin(x: Array, axis: int | None = None) -> Array:
    """The running minimum."""
    return np.minimum.accumulate(x.ravel() if axis is None else x, axis=axis or 0)


def running_argmax(x: Array, axis: int, smallest: bool) -> Array:
    """Where the running extreme was attained last, step by step."""
    x = np.moveaxis(-x if smallest else x, axis, 0)
    at = np.zeros(x.shape, int)
    for i in range(1, len(x)):
        best = np.take_along_axis(x, at[i - 1 : i], 0)[0]
        at[i] = np.where(x[i] >= best, i, at[i - 1])
    return np.moveaxis(at, 0, axis)


def softmax(x: Array, axis: int = -1) -> Array:
    """Exponentials over their sum."""
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def erf(x: Array) -> Array:
    """Python's error function, number by number; of integers in float64."""
    y = np.array([math.erf(number) for number in x.ravel().tolist()])
    return y.reshape(x.shape).astype(x.dtype if x.dtype.kind == "f" else "float64")


def gelu(x: Array, approximate: str = "tanh") -> Array:
    """The tanh form, or x times the share of a normal distribution below it."""
    if approximate == "none":
        return x / 2 * (1 + erf(x / np.sqrt(2)))
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Linear above 0, exponential below."""
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def huber(x: Array, target: Array, delta: float = 1.0, reduction: str = "mean") -> Array:
    """Element by element."""
    size = np.abs(x - target)
    return reduced(
        np.where(size <= delta, size * size / 2, delta * size - delta * delta / 2), reduction
    )


def reduced(losses: Array, reduction: str) -> Array:
    """The mean or the sum of losses, or all of them."""
    kinds: dict[str, Callable[[Array], Array]] = {"mean": np.mean, "sum": np.sum}
    return losses if reduction == "none" else kinds[reduction](losses)


def layer_norm(
    x: Array, weight: Array | float = 1.0, bias: Array | float = 0.0, axes: int = 1
) -> Array:
    """Mean 0 and variance 1 over the last axes, with NumPy's own variance."""
    over = tuple(range(-axes, 0))
    centred = x - x.mean(axis=over, keepdims=True)
    return centred / np.sqrt(x.var(axis=over, keepdims=True) + 1e-5) * weight + bias


def dropout(x: Array, p: float, seed: int) -> Array:
    """The mask that minigrad's generator draws first after `manual_seed(seed)`."""
    kept = np.random.default_rng(seed).random(x.shape, dtype="float32") >= p
    return np.where(kept, x / (1 - p), 0)


def scatter(values: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros with values added at an index, one after the other."""
    return scatter_add(np.zeros(shape, values.dtype), values, index)


def scatter_add(x: Array, values: Array, index: Any) -> Array:
    """A copy of x with values added at an index, one after the other."""
    out = x.copy()
    np.add.at(out, index, values)
    return out


def binary_cross_entropy(
    p: Array,
    target: Array,
    weight: Array | float = 1.0,
    reduction: str = "mean",
    pos_weight: Array | float = 1.0,
) -> Array:
    """By its definition, from probabilities."""
    losses = -(pos_weight * target * np.log(p) + (1 - target) * np.log(1 - p))
    return reduced(weight * losses, reduction)


def kl_div(x: Array, target: Array, reduction: str = "mean") -> Array:
    """By its definition, from logarithms of probabilities and probabilities."""
    losses = target * (np.log(target) - x)
    if reduction == "batchmean":
        return losses.sum() / len(x)
    return reduced(losses, reduction)


def cross_entropy(
    logits: Array,
    weight: Array | None = None,
    *,
    target: Any,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """Integer targets, position by position; as PyTorch documents it."""
    axis = min(1, logits.ndim - 1)
    log_p = np.log(softmax(logits, axis))
    classes = logits.shape[axis]
    weights = np.ones(classes) if weight is None else weight
    target = np.asarray(target)
    losses, total = np.zeros(target.shape), 0.0
    for at in np.ndindex(target.shape):
        if target[at] == ignore_index:
            continue
        row = log_p[(*at[:axis], slice(None), *at[axis:])]
        sharp = -weights[target[at]] * row[target[at]]
        spread = -sum(weights[k] * row[k] for k in range(classes)) / classes
        losses[at] = (1 - label_smoothing) * sharp + label_smoothing * spread
        total += weights[target[at]]
    return losses.sum() / total if reduction == "mean" else reduced(losses, reduction)


def cross_entropy_soft(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """Targets that are probabilities."""
    axis = min(1, logits.ndim - 1)
    log_p = np.moveaxis(np.log(softmax(logits, axis)), axis, -1)
    smooth = np.moveaxis(target, axis, -1) * (1 - label_smoothing)
    smooth = smooth + label_smoothing / logits.shape[axis]
    return reduced(-(smooth * log_p * (1.0 if weight is None else weight)).sum(-1), reduction)


def ctc_loss(log_probs: Array, targets: Any, blank: int = 0) -> Array:
    """By all ways to say a class at each step, summed up where they say the labels."""
    T, N, C = log_probs.shape
    found = np.zeros(N)
    for n, labels in enumerate(targets):
        for way in itertools.product(range(C), repeat=T):
            said = [a for a, _ in itertools.groupby(way) if a != blank]
            if said == list(labels):
                found[n] += np.exp(sum(log_probs[t, n, a] for t, a in enumerate(way)))
    return -np.log(found)
