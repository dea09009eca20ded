"""Functions that behave well: elementwise, sums, products, indexing, several outputs."""

from __future__ import annotations

from functools import partial

import numpy as np

from .case import Array, Case, add, clear, normal, positive, spread

CASES: list[Case] = []
function = partial(add, CASES)

V, M = (5,), (3, 4)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


# --- elementwise ---------------------------------------------------------------------------

function(
    "tanh",
    np.tanh,
    normal(M),
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    factor_1_001=lambda g, x: 1.001 * g * (1 - np.tanh(x) ** 2),
    square_forgotten=lambda g, x: g * (1 - np.tanh(x)),
    input_in_place_of_output=lambda g, x: g * (1 - x * x),
    cotangent_ignored=lambda g, x: 1 - np.tanh(x) ** 2,
    cotangent_averaged=lambda g, x: g.mean() * (1 - np.tanh(x) ** 2),
    cotangent_clipped=lambda g, x: np.clip(g, -1, 1) * (1 - np.tanh(x) ** 2),
    zero=lambda g, x: np.zeros_like(x),
    single_precision_constant=lambda g, x: (
        g * (1 - np.tanh(x) ** 2) * np.float64(np.float32(1.0001))
    ),
    one_entry=lambda g, x: (
        g * (1 - np.tanh(x) ** 2) * np.where(np.arange(12).reshape(M) == 7, 1.01, 1)
    ),
)
function(
    "sigmoid",
    sigmoid,
    normal(M),
    lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)),
    sign=lambda g, x: -g * sigmoid(x) * (1 - sigmoid(x)),
    dropped_term=lambda g, x: g * sigmoid(x),
)
function("exp", np.exp, normal(M), lambda g, x: g * np.exp(x), passes_cotangent=lambda g, x: g)
function("log", np.log, positive(M), lambda g, x: g / x, squared=lambda g, x: g / x**2)
function(
    "sqrt", np.sqrt, positive(M), lambda g, x: g / 2 / np.sqrt(x), half=lambda g, x: g / np.sqrt(x)
)
function(
    "power",
    lambda x: x**3,
    normal(M),
    lambda g, x: 3 * g * x**2,
    exponent_not_lowered=lambda g, x: 3 * g * x**3,
    exponent_forgotten=lambda g, x: g * x**2,
)
function("cos", np.cos, normal(M), lambda g, x: -g * np.sin(x), sign=lambda g, x: g * np.sin(x))
function(
    "softplus",
    lambda x: np.logaddexp(x, 0),
    normal(M),
    lambda g, x: g * sigmoid(x),
    mirrored=lambda g, x: g * sigmoid(-x),
)
function(
    "silu",
    lambda x: x * sigmoid(x),
    normal(M),
    lambda g, x: g * sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    dropped_term=lambda g, x: g * sigmoid(x),
)
function(
    "divide",
    lambda a, b: a / b,
    positive(M, M),
    lambda g, a, b: (g / b, -g * a / b**2),
    sign=lambda g, a, b: (g / b, g * a / b**2),
    square_forgotten=lambda g, a, b: (g / b, -g * a / b),
    swapped=lambda g, a, b: (-g * a / b**2, g / b),
)
function(
    "multiply and broadcast",
    lambda a, b: a * b,
    normal((3, 3), (3,)),
    lambda g, a, b: (g * b, (g * a).sum(0)),
    missing_unbroadcast=lambda g, a, b: (g * b, g * a),
    mean_in_place_of_sum=lambda g, a, b: (g * b, (g * a).mean(0)),
    wrong_axis=lambda g, a, b: (g * b, (g * a).sum(1)),
    axis_kept=lambda g, a, b: (g * b, (g * a).sum(0, keepdims=True)),
)
function(
    "relu",
    lambda x: np.maximum(x, 0),
    clear(M),
    lambda g, x: g * (x > 0),
    leaks=lambda g, x: g * np.where(x > 0, 1, 0.01),
    mask_of_the_cotangent=lambda g, x: g * (g > 0),
)
function("abs", np.abs, clear(M), lambda g, x: g * np.sign(x), sign_forgotten=lambda g, x: g)
function(
    "clip",
    lambda x: np.clip(x, -1, 1),
    clear(M),
    lambda g, x: g * (np.abs(x) < 1),
    passes_above=lambda g, x: g * (x > -1),
)
function(
    "maximum",
    np.maximum,
    normal(M, M),
    lambda g, a, b: (g * (a > b), g * (a <= b)),
    to_both=lambda g, a, b: (g, g),
    halved=lambda g, a, b: (g / 2, g / 2),
)

# --- reductions ----------------------------------------------------------------------------

function(
    "sum",
    lambda x: (x * x).sum(1),
    normal(M),
    lambda g, x: 2 * x * g[:, None],
    last_sample_dropped=lambda g, x: 2 * x * np.where(np.arange(3) < 2, g, 0)[:, None],
    last_column_dropped=lambda g, x: 2 * x * g[:, None] * (np.arange(4) < 3),
)
function(
    "mean",
    lambda x: np.tanh(x).mean(0),
    normal(M),
    lambda g, x: g * (1 - np.tanh(x) ** 2) / 3,
    count_forgotten=lambda g, x: g * (1 - np.tanh(x) ** 2),
    count_of_the_wrong_axis=lambda g, x: g * (1 - np.tanh(x) ** 2) / 4,
)
function(
    "max",
    lambda x: x.max(1),
    spread(M),
    lambda g, x: g[:, None] * (x == x.max(1, keepdims=True)),
    to_all=lambda g, x: np.repeat(g[:, None], 4, 1),
    to_the_first=lambda g, x: g[:, None] * (np.arange(4) == 0),
)
function(
    "logsumexp",
    lambda x: np.log(np.exp(x).sum(1)),
    normal(M),
    lambda g, x: g[:, None] * np.exp(x) / np.exp(x).sum(1, keepdims=True),
    not_normalised=lambda g, x: g[:, None] * np.exp(x),
    normalised_over_all=lambda g, x: g[:, None] * np.exp(x) / np.exp(x).sum(),
)
function(
    "variance",
    lambda x: x.var(1),
    normal(M),
    lambda g, x: g[:, None] * 2 * (x - x.mean(1, keepdims=True)) / 4,
    mean_forgotten=lambda g, x: g[:, None] * 2 * x / 4,
    degrees_of_freedom=lambda g, x: g[:, None] * 2 * (x - x.mean(1, keepdims=True)) / 3,
)
function(
    "product",
    lambda x: x.prod(1),
    clear(M),
    lambda g, x: (g * x.prod(1))[:, None] / x,
    not_divided=lambda g, x: np.repeat((g * x.prod(1))[:, None], 4, 1),
)
function(
    "cumulative sum",
    np.cumsum,
    normal(V),
    lambda g, x: np.cumsum(g[::-1])[::-1],
    not_reversed=lambda g, x: np.cumsum(g),
)
function(
    "norm",
    lambda x: np.linalg.norm(x, axis=1),
    normal(M),
    lambda g, x: g[:, None] * x / np.linalg.norm(x, axis=1, keepdims=True),
    not_divided=lambda g, x: g[:, None] * x,
)

# --- products ------------------------------------------------------------------------------

function(
    "matmul",
    np.matmul,
    normal((3, 3), (3, 3)),
    lambda g, a, b: (g @ b.T, a.T @ g),
    operand_not_transposed=lambda g, a, b: (g @ b, a.T @ g),
    other_operand_not_transposed=lambda g, a, b: (g @ b.T, a @ g),
    result_transposed=lambda g, a, b: (g @ b.T, (a.T @ g).T),
    operands_swapped=lambda g, a, b: (a.T @ g, g @ b.T),
)
function(
    "batched matmul",
    np.matmul,
    normal((2, 3, 2), (2, 3)),
    lambda g, a, b: (g @ b.T, np.einsum("nij,nik->jk", a, g)),
    first_of_the_batch_only=lambda g, a, b: (g @ b.T, a[0].T @ g[0]),
    missing_unbroadcast=lambda g, a, b: (g @ b.T, np.einsum("nij,nik->njk", a, g)),
)
function(
    "linear",
    lambda x, w, b: x @ w.T + b,
    normal((3, 3), (3, 3), (3,)),
    lambda g, x, w, b: (g @ w, g.T @ x, g.sum(0)),
    bias_over_the_wrong_axis=lambda g, x, w, b: (g @ w, g.T @ x, g.sum(1)),
    last_sample_missing_in_bias=lambda g, x, w, b: (g @ w, g.T @ x, g[:-1].sum(0)),
    weight_transposed=lambda g, x, w, b: (g @ w, x.T @ g, g.sum(0)),
    no_gradient_of_the_bias=lambda g, x, w, b: (g @ w, g.T @ x, None),
    cotangent_of_ones=lambda g, x, w, b: (np.ones_like(g) @ w, np.ones_like(g).T @ x, g.sum(0)),
)
function(
    "convolution",
    lambda x, k: np.convolve(x, k, "valid"),
    normal((6,), (3,)),
    lambda g, x, k: (np.convolve(g, k[::-1]), np.correlate(x, g, "valid")[::-1]),
    kernel_not_flipped=lambda g, x, k: (np.convolve(g, k), np.correlate(x, g, "valid")[::-1]),
    gradient_not_flipped=lambda g, x, k: (np.convolve(g, k[::-1]), np.correlate(x, g, "valid")),
)

# --- indexing ------------------------------------------------------------------------------


def scattered(g: Array, rows: Array, w: Array, keep: int | None = None) -> Array:
    """Rows of g added up where they came from in w."""
    out = np.zeros_like(w)
    np.add.at(out, rows[:keep], g[:keep])
    return out


def assigned(g: Array, rows: Array, w: Array) -> Array:
    """The same with only the last of equal rows."""
    out = np.zeros_like(w)
    out[rows] = g
    return out


function(
    "embedding, repeated indices",
    lambda rows, w: w[rows],
    lambda rng: [np.array([0, 2, 2, 3, 2, 0]), rng.normal(size=(5, 3))],
    lambda g, rows, w: (None, scattered(g, rows, w)),
    assigned_in_place_of_added=lambda g, rows, w: (None, assigned(g, rows, w)),
    last_index_dropped=lambda g, rows, w: (None, scattered(g, rows, w, keep=-1)),
    off_by_one=lambda g, rows, w: (None, scattered(g, (rows + 1) % 5, w)),
    averaged=lambda g, rows, w: (
        None,
        scattered(g, rows, w) / np.maximum(np.bincount(rows, minlength=5), 1)[:, None],
    ),
)
function(
    "concatenate",
    lambda a, b: np.concatenate([a, b]) ** 2,
    normal((2, 3), (2, 3)),
    lambda g, a, b: (2 * g[:2] * a, 2 * g[2:] * b),
    pieces_swapped=lambda g, a, b: (2 * g[2:] * a, 2 * g[:2] * b),
)
function(
    "transpose",
    lambda x: np.tanh(x.T),
    normal((3, 3)),
    lambda g, x: (g * (1 - np.tanh(x.T) ** 2)).T,
    forgotten=lambda g, x: g * (1 - np.tanh(x.T) ** 2),
)

# --- several outputs -----------------------------------------------------------------------

function(
    "two outputs",
    lambda x: (np.sin(x), (x * x).sum()),
    normal(V),
    lambda g, h, x: g * np.cos(x) + 2 * h * x,
    second_ignored=lambda g, h, x: g * np.cos(x),
    cotangents_mixed_up=lambda g, h, x: g.sum() * np.cos(x) + 2 * h * x,
)
function(
    "outputs of very different size",
    lambda x: (1e6 * np.sin(x), 1e-6 * np.exp(x)),
    normal(V),
    lambda g, h, x: 1e6 * g * np.cos(x) + 1e-6 * h * np.exp(x),
    small_one_ignored=lambda g, h, x: 1e6 * g * np.cos(x),
)
