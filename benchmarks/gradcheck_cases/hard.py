"""Functions that make checkers cry wolf, or miss: of extreme size, noisy, kinked, rude."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .case import Array, Case, add, listed, normal
from .losses import softmax, softmax_back
from .ordinary import M, V, sigmoid

CASES: list[Case] = []
function = partial(add, CASES)

# --- tiny, huge, shifted, narrow -----------------------------------------------------------

function(
    "tiny loss",
    lambda x: 1e-12 * (x * x).sum(),
    normal(V),
    lambda g, x: 2e-12 * g * x,
    ten_percent=lambda g, x: 2.2e-12 * g * x,
    zero=lambda g, x: np.zeros_like(x),
)
function(
    "huge loss",
    lambda x: 1e12 * np.sin(x).sum(),
    normal(V),
    lambda g, x: 1e12 * g * np.cos(x),
    factor_1_001=lambda g, x: 1.001e12 * g * np.cos(x),
)
function(
    "exp far below",
    lambda x: np.exp(x - 200),
    normal(V),
    lambda g, x: g * np.exp(x - 200),
    hard=True,
    factor_1_01=lambda g, x: 1.01 * g * np.exp(x - 200),
    zero=lambda g, x: np.zeros_like(x),
)
function(
    "huge offset",
    lambda x: 1e8 + np.tanh(x),
    normal(M),
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    hard=True,
    factor_1_01=lambda g, x: 1.01 * g * (1 - np.tanh(x) ** 2),
    zero=lambda g, x: np.zeros_like(x),
)
function(
    "single precision",
    lambda x: np.tanh(x.astype(np.float32)),
    normal(M),
    lambda g, x: (g * (1 - np.tanh(x.astype(np.float32)) ** 2)).astype(np.float32),
    hard=True,
    factor_1_01=lambda g, x: (1.01 * g * (1 - np.tanh(x.astype(np.float32)) ** 2)).astype(
        np.float32
    ),
)
function(
    "input of single precision",
    lambda x: np.exp(x) / (1 + x * x),
    lambda rng: [rng.normal(size=M).astype(np.float32)],
    lambda g, x: g * np.exp(x) * (1 - x) ** 2 / (1 + x * x) ** 2,
    hard=True,
    dropped_term=lambda g, x: g * np.exp(x) / (1 + x * x),
)
function(
    "loss times 1e6",
    lambda x: 1e6 * np.log(np.cosh(x)).mean(),
    normal(M),
    lambda g, x: 1e6 * g * np.tanh(x) / 12,
    hard=True,
    last_sample_dropped=lambda g, x: 1e6 * g * np.tanh(x) / 12 * (np.arange(3) < 2)[:, None],
)
function(
    "loss times 1e-6",
    lambda x: 1e-6 * np.log(np.cosh(x)).mean(),
    normal(M),
    lambda g, x: 1e-6 * g * np.tanh(x) / 12,
    hard=True,
    factor_1_001=lambda g, x: 1.001e-6 * g * np.tanh(x) / 12,
)

# --- right, but hard -----------------------------------------------------------------------


def with_zeros(rng: np.random.Generator) -> list[Array]:
    """Three entries are exactly 0."""
    x = rng.normal(size=M)
    x.ravel()[rng.permutation(12)[:3]] = 0.0
    return [x]


def zeros_of(x: Array) -> list[tuple[int, tuple[int, ...]]]:
    """The indices of the zeros."""
    return [(0, tuple(int(k) for k in index)) for index in np.argwhere(x == 0)]


def tied(rng: np.random.Generator) -> list[Array]:
    """Two entries of each row share the maximum."""
    x = rng.normal(size=(2, 4))
    x[:, 1] = x[:, 3] = 5.0
    return [x]


function(
    "relu at 0", lambda x: np.maximum(x, 0), with_zeros, lambda g, x: g * (x > 0), zeros_of, True
)
function("abs at 0", np.abs, with_zeros, lambda g, x: g * np.sign(x), zeros_of, True)
function(
    "loss behind a relu at 0",
    lambda x: (np.maximum(x, 0) * np.arange(1, 13).reshape(M)).sum(),
    with_zeros,
    lambda g, x: g * (x > 0) * np.arange(1, 13).reshape(M),
    zeros_of,
    True,
)
function(
    "clip at its ends",
    lambda x: np.clip(x, -1, 1),
    lambda rng: [np.array([-1.0, rng.uniform(-0.9, 0.9), 1.0, rng.uniform(1.1, 2)])],
    lambda g, x: g * (np.abs(x) <= 1),
    lambda x: [(0, (0,)), (0, (2,))],
    True,
)
function(
    "max with ties",
    lambda x: x.max(1),
    tied,
    lambda g, x: g[:, None] * (x == 5.0) / 2,
    lambda x: [(0, (0, 1)), (0, (0, 3)), (0, (1, 1)), (0, (1, 3))],
    True,
)
function(
    "norm at 0",
    lambda x: np.linalg.norm(x, axis=1),
    lambda rng: [np.stack([np.zeros(3), rng.normal(size=3)])],
    lambda g, x: g[:, None] * x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30),
    lambda x: [(0, (0, 0)), (0, (0, 1)), (0, (0, 2))],
    True,
)
function(
    "close to a kink",
    lambda x: np.maximum(x, 0),
    lambda rng: [np.array([1e-3, -1e-3, 1e-4, -1e-4, 1e-5, 1.0, -1.0]) * rng.uniform(0.5, 2)],
    lambda g, x: g * (x > 0),
    lambda x: [],
    True,
)
function(
    "cancellation of 1e8",
    lambda x: (1e8 + np.tanh(x)) - 1e8,
    normal(M),
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    hard=True,
    factor_1_01=lambda g, x: 1.01 * g * (1 - np.tanh(x) ** 2),
)
function(
    "cancellation of 1e12",
    lambda x: (1e12 + np.tanh(x)) - 1e12,
    normal(M),
    lambda g, x: g * (1 - np.tanh(x) ** 2),
    hard=True,
)
function(
    "variance by differences",
    lambda x: (x * x).mean() - x.mean() ** 2,
    lambda rng: [1e4 + rng.normal(size=6)],
    lambda g, x: 2 * g * (x - x.mean()) / 6,
    hard=True,
)
function(
    "one minus cosine",
    lambda x: (1 - np.cos(x)) / (x * x),
    lambda rng: [rng.uniform(1, 9, 5) * 10.0 ** -np.arange(5)],
    lambda g, x: g * (np.sin(x) / (x * x) - 2 * (1 - np.cos(x)) / x**3),
    hard=True,
)
function(
    "saturated sigmoid",
    sigmoid,
    lambda rng: [rng.choice([-1, 1], 8) * rng.uniform(5, 60, 8)],
    lambda g, x: g * sigmoid(x) * sigmoid(-x),
    hard=True,
)
function(
    "saturated softmax",
    softmax,
    lambda rng: [rng.normal(size=(2, 4)) * 30],
    softmax_back,
    hard=True,
)
function(
    "softmax summed to 1",
    lambda x: softmax(x).sum(1),
    normal(M),
    lambda g, x: softmax_back(np.repeat(g[:, None], 4, 1), x),
    hard=True,
)
function(
    "inputs with a huge offset",
    lambda x: np.sin(x - 1e8),
    lambda rng: [1e8 + rng.normal(size=6)],
    lambda g, x: g * np.cos(x - 1e8),
    hard=True,
)
function(
    "fast oscillation",
    lambda x: np.sin(1e4 * x),
    normal(V),
    lambda g, x: 1e4 * g * np.cos(1e4 * x),
    hard=True,
    factor_1_001=lambda g, x: 1.001e4 * g * np.cos(1e4 * x),
)
function(
    "inputs of every size",
    np.log,
    lambda rng: [10.0 ** rng.uniform(-8, 8, 9)],
    lambda g, x: g / x,
    hard=True,
    factor_1_001=lambda g, x: 1.001 * g / x,
)
function(
    "outputs of every size",
    np.exp,
    lambda rng: [rng.uniform(-60, 5, 9)],
    lambda g, x: g * np.exp(x),
    hard=True,
    small_ones_lost=lambda g, x: g * np.exp(x) * (x > x.min()),
)

# --- what has nothing to do with slopes ------------------------------------------------------


def edits_cotangent(g: Array, x: Array) -> Array:
    """Right, at the cost of the caller's array."""
    g *= 1 - np.tanh(x) ** 2
    return g


def edits_input(g: Array, x: Array) -> Array:
    """Right, at the cost of the caller's array."""
    x[...] = np.tanh(x)
    return g * (1 - x * x)


def edited(x: Array) -> Array:
    """tanh that overwrites its argument."""
    np.tanh(x, out=x)
    return x.copy()


class Stateful:
    """A function that remembers, and a derivative that trusts its memory."""

    def __init__(self) -> None:
        self.last: Any = None
        self.calls = 0

    def f(self, x: Array) -> Array:
        """tanh; its result is remembered."""
        self.last = np.tanh(x)
        return self.last

    def vjp(self, arrays: list[Array], cotangents: list[Array]) -> list[Array]:
        """Reads what the last call of `f` left behind."""
        return [cotangents[0] * (1 - self.last**2)]

    def carried(self, x: Array) -> Array:
        """Gives more with every call."""
        self.calls += 1
        return np.tanh(x) + 0.01 * self.calls

    def weakening(self, arrays: list[Array], cotangents: list[Array]) -> list[Array]:
        """Gives another gradient with every call."""
        self.calls += 1
        return [cotangents[0] * (1 - np.tanh(arrays[0]) ** 2) * (1 + 1e-4 * self.calls)]


_memory = Stateful()
right_tanh = listed(lambda g, x: g * (1 - np.tanh(x) ** 2))
CASES += [
    Case("manners", name, "bug", f, vjp, normal(V))
    for name, f, vjp in (
        ("the cotangent is edited in place", np.tanh, listed(edits_cotangent)),
        ("the input is edited in the backward pass", np.tanh, listed(edits_input)),
        ("the input is edited in the forward pass", edited, right_tanh),
        ("stale state: the activations of the last call", _memory.f, _memory.vjp),
        ("stale state: carried from call to call", _memory.carried, right_tanh),
        ("another gradient at every call", np.tanh, _memory.weakening),
    )
]
function(
    "sinc",
    np.sinc,
    lambda rng: [np.append(rng.uniform(0.1, 0.9, 4), 0.0)],
    lambda g, x: g * np.where(x == 0, 0, (np.cos(np.pi * x) - np.sinc(x)) / np.where(x == 0, 1, x)),
    not_a_number_at_0=lambda g, x: g * (np.cos(np.pi * x) - np.sinc(x)) / x,
)
