"""Functions that behave well: softmax, losses, layer norm."""

from __future__ import annotations

from functools import partial

import numpy as np

from .case import Array, Case, add, normal

CASES: list[Case] = []
function = partial(add, CASES)


def softmax(x: Array, axis: int = 1) -> Array:
    """Along an axis."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def softmax_back(g: Array, x: Array, axis: int = 1) -> Array:
    """Its derivative; right only if both axes are 1."""
    y = softmax(x)
    return y * (g - (g * y).sum(axis, keepdims=True))


function(
    "softmax",
    softmax,
    normal((3, 3)),
    softmax_back,
    diagonal_only=lambda g, x: g * softmax(x) * (1 - softmax(x)),
    sum_over_the_wrong_axis=lambda g, x: softmax_back(g, x, axis=0),
    sum_forgotten=lambda g, x: softmax(x) * g,
    cotangent_ignored=lambda g, x: softmax_back(np.ones_like(g), x),
)
function(
    "log_softmax",
    lambda x: np.log(softmax(x)),
    normal((3, 3)),
    lambda g, x: g - softmax(x) * g.sum(1, keepdims=True),
    mean_in_place_of_sum=lambda g, x: g - softmax(x) * g.mean(1, keepdims=True),
    softmax_forgotten=lambda g, x: g - g.sum(1, keepdims=True) / 3,
)


def cross_entropy(x: Array, labels: Array) -> Array:
    """Of integer labels, averaged over the samples."""
    return -np.log(softmax(x))[np.arange(len(x)), labels].mean()


def cross_entropy_back(g: Array, x: Array, labels: Array) -> Array:
    """By the logits."""
    return g * (softmax(x) - np.eye(x.shape[1])[labels]) / len(x)


function(
    "cross entropy",
    cross_entropy,
    lambda rng: [rng.normal(size=(4, 3)), rng.integers(0, 3, 4)],
    lambda g, x, labels: (cross_entropy_back(g, x, labels), None),
    mean_forgotten=lambda g, x, labels: (4 * cross_entropy_back(g, x, labels), None),
    labels_shifted=lambda g, x, labels: (cross_entropy_back(g, x, (labels + 1) % 3), None),
    target_not_subtracted=lambda g, x, labels: (g * softmax(x) / len(x), None),
    last_sample_dropped=lambda g, x, labels: (
        cross_entropy_back(g, x, labels) * (np.arange(4) < 3)[:, None],
        None,
    ),
)
function(
    "masked mean square",
    lambda x, mask: ((x * mask) ** 2).sum() / mask.sum(),
    lambda rng: [rng.normal(size=(4,)), np.array([1, 1, 0, 1])],
    lambda g, x, mask: (2 * g * x * mask / mask.sum(), None),
    mask_forgotten=lambda g, x, mask: (2 * g * x / mask.sum(), None),
    count_includes_padding=lambda g, x, mask: (2 * g * x * mask / 4, None),
)


def layer_norm(x: Array, w: Array, b: Array) -> Array:
    """Over the last axis, with 0.1 added to the variance."""
    d = x - x.mean(1, keepdims=True)
    return d / np.sqrt(x.var(1, keepdims=True) + 0.1) * w + b


def layer_norm_back(
    g: Array, x: Array, w: Array, b: Array, mean: bool = True, var: bool = True, eps: float = 0.1
) -> tuple[Array, Array, Array]:
    """By input, weight and bias, all terms or some."""
    s = np.sqrt(x.var(1, keepdims=True) + eps)
    n = (x - x.mean(1, keepdims=True)) / s
    d = g * w
    dx = d - mean * d.mean(1, keepdims=True) - var * n * (d * n).mean(1, keepdims=True)
    return dx / s, (g * n).sum(0), g.sum(0)


function(
    "layer norm",
    layer_norm,
    normal((3, 3), (3,), (3,)),
    layer_norm_back,
    mean_term_dropped=lambda g, x, w, b: layer_norm_back(g, x, w, b, mean=False),
    variance_term_dropped=lambda g, x, w, b: layer_norm_back(g, x, w, b, var=False),
    epsilon_forgotten=lambda g, x, w, b: layer_norm_back(g, x, w, b, eps=0.0),
    weight_reads_the_raw_input=lambda g, x, w, b: (
        *layer_norm_back(g, x, w, b)[:1],
        (g * x).sum(0),
        g.sum(0),
    ),
    weight_not_reduced=lambda g, x, w, b: (
        layer_norm_back(g, x, w, b)[0],
        np.repeat((g * x).sum(0)[None], 3, 0),
        g.sum(0),
    ),
)
