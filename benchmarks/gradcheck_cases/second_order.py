"""Derivatives of derivatives: these are functions, too, of the inputs and the cotangent."""

from __future__ import annotations

from functools import partial

import numpy as np

from .case import Case, add, normal
from .losses import softmax, softmax_back
from .ordinary import V

CASES: list[Case] = []
function = partial(add, CASES)

function(
    "second order of tanh",
    lambda x, h: h * (1 - np.tanh(x) ** 2),
    normal(V, V),
    lambda g, x, h: (-2 * g * h * np.tanh(x) * (1 - np.tanh(x) ** 2), g * (1 - np.tanh(x) ** 2)),
    array_captured=lambda g, x, h: (np.zeros_like(x), g * (1 - np.tanh(x) ** 2)),
    inner_slope_forgotten=lambda g, x, h: (-2 * g * h * np.tanh(x), g * (1 - np.tanh(x) ** 2)),
)
function(
    "second order of matmul",
    lambda a, b, h: h @ b.T,
    normal((2, 2), (2, 2), (2, 2)),
    lambda g, a, b, h: (None, g.T @ h, g @ b),
    array_captured=lambda g, a, b, h: (None, None, g @ b),
    transposed=lambda g, a, b, h: (None, h.T @ g, g @ b),
)
function(
    "second order of softmax",
    lambda x, h: softmax_back(h, x),
    normal((2, 3), (2, 3)),
    lambda g, x, h: (
        softmax_back(g * (h - (h * softmax(x)).sum(1, keepdims=True)), x)
        - softmax_back(h * (g * softmax(x)).sum(1, keepdims=True), x),
        softmax_back(g, x),
    ),
    array_captured=lambda g, x, h: (np.zeros_like(x), softmax_back(g, x)),
    sum_captured=lambda g, x, h: (
        softmax_back(g * (h - (h * softmax(x)).sum(1, keepdims=True)), x),
        softmax_back(g, x),
    ),
)
