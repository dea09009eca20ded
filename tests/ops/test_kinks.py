"""Gradients of both orders at kinks, as in PyTorch, and far out, where powers overflow."""

import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import functional as F

SMALL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0]


def zeros(x):
    return x.detach() * 0


# Of minigrad and of PyTorch (m, its functional f), elementwise.
KINKS = {
    "abs": lambda m, f, x: m.abs(x),
    "abs x": lambda m, f, x: m.abs(x) * x,
    "abs^2": lambda m, f, x: m.abs(x) ** 2,
    "abs^3": lambda m, f, x: m.abs(x) ** 3,
    "abs of abs": lambda m, f, x: m.abs(m.abs(x) - 1),
    "sqrt of abs": lambda m, f, x: m.sqrt(m.abs(x) + 1),
    "sign": lambda m, f, x: m.sign(x) * x,
    "relu": lambda m, f, x: m.relu(x),
    "relu^2": lambda m, f, x: m.relu(x) ** 2,
    "relu x": lambda m, f, x: m.relu(x) * x,
    "leaky": lambda m, f, x: f.leaky_relu(x) * x,
    "elu": lambda m, f, x: f.elu(x),
    "elu, alpha": lambda m, f, x: f.elu(x, 2.0) * x,
    "clip": lambda m, f, x: m.clip(x, 0, 1) * x,
    "clip below": lambda m, f, x: m.clip(x, -1, None) ** 2,
    "maximum": lambda m, f, x: m.maximum(x, zeros(x)) * x,
    "maximum of two": lambda m, f, x: m.maximum(x, x * x),
    "minimum of two": lambda m, f, x: m.minimum(x, x * x * x),
    "where": lambda m, f, x: m.where(x > 0, x, -x),
    "huber": lambda m, f, x: f.huber_loss(x, zeros(x), reduction="none"),
    "huber, delta": lambda m, f, x: f.huber_loss(x, zeros(x), delta=0.5, reduction="none"),
    "l1": lambda m, f, x: f.l1_loss(x, zeros(x), reduction="none"),
    "mse": lambda m, f, x: f.mse_loss(x, zeros(x), reduction="none"),
    "softplus": lambda m, f, x: f.softplus(x),
    "power 2": lambda m, f, x: x**2,
    "power 1": lambda m, f, x: x**1.0,
    "power 0": lambda m, f, x: x**0.0,
}
REDUCED = {
    "norm 1": lambda m, f, x: m.norm(x, 1),
    "norm inf": lambda m, f, x: m.norm(x, float("inf")),
    "max": lambda m, f, x: (x * x).max() if m is mg else (x * x).amax(),
    "min": lambda m, f, x: (x * x).min() if m is mg else (x * x).amin(),
    "std": lambda m, f, x: x.std() if m is mg else x.std(correction=0),
    "prod": lambda m, f, x: x.prod(),
    "sum of abs": lambda m, f, x: m.abs(x).sum() ** 2,
}


class Ours:
    """minigrad's activations and losses under the names of PyTorch's."""

    def __getattr__(self, name):
        return getattr(F, name, None) or getattr(mg, name)


def both_orders(m, f, kind, x, v):
    """The gradient of the sum of a function, and the gradient of its product with v."""
    grad = mg.grad if m is mg else m.autograd.grad
    (slope,) = grad([kind(m, f, x).sum()], [x], create_graph=True)
    second = [None]
    if slope.requires_grad:
        second = grad([(slope * v).sum()], [x], allow_unused=True)
    g = slope.detach().numpy()
    return g, np.zeros_like(g) if second[0] is None else (second[0] + zeros(x)).detach().numpy()


def compared(kind, values, seed):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    v = np.random.default_rng(seed).standard_normal(len(values))
    x = mg.tensor(values, requires_grad=True, dtype="float64")
    ours = both_orders(mg, Ours(), kind, x, mg.tensor(v))
    y = torch.tensor(values, requires_grad=True, dtype=torch.float64)
    theirs = both_orders(torch, torch.nn.functional, kind, y, torch.tensor(v))
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12), (ours, theirs)


@pytest.mark.parametrize("name", KINKS)
@given(values=st.lists(st.sampled_from(SMALL), min_size=1, max_size=6), seed=st.integers(0, 999))
@example(values=SMALL, seed=0)
def test_kinks_are_those_of_torch(backend, name, values, seed):
    compared(KINKS[name], values, seed)


@pytest.mark.parametrize("name", REDUCED)
@given(values=st.lists(st.sampled_from(SMALL), min_size=2, max_size=4), seed=st.integers(0, 999))
@example(values=[0.0, 0.0], seed=0)
@example(values=[2.0, 2.0, 2.0], seed=0)
@example(values=[1.0, -1.0, 0.0], seed=0)
def test_kinks_of_reductions_are_those_of_torch(backend, name, values, seed):
    compared(REDUCED[name], values, seed)


# --- far out -------------------------------------------------------------------------------------

FAR = {
    **{name: getattr(mg, name) for name in ("abs", "relu", "sigmoid", "sign", "softplus", "tanh")},
    **{name: getattr(mg, name) for name in ("sin", "cos", "negative", "expm1", "exp")},
    **{name: getattr(mg, name) for name in ("arctan", "sinh", "cosh", "arcsinh", "exp2")},
    "erf": mg.erf,
    "exact gelu": lambda x: mg.gelu(x, approximate="none"),
    "logaddexp": lambda x: mg.logaddexp(x, 0.5),
    "arctan2": lambda x: mg.arctan2(x, 2.0),
    "hypot": lambda x: mg.hypot(x, 0.5),
    **{name: getattr(mg, name) for name in ("gelu", "silu", "elu", "leaky_relu")},
    **{name: getattr(mg, name) for name in ("softmax", "log_softmax")},
    "clip": lambda x: mg.clip(x, -1, 1),
    "maximum": lambda x: mg.maximum(x, 0),
    "minimum": lambda x: mg.minimum(x, 0),
    "huber": lambda x: mg.huber_loss(x, zeros(x), reduction="none"),
    "l1": lambda x: mg.l1_loss(x, zeros(x), reduction="none"),
    "mse": lambda x: mg.mse_loss(x, zeros(x), reduction="none"),
    "logits, no": lambda x: mg.binary_cross_entropy_with_logits(x, zeros(x), reduction="none"),
    "logits, yes": lambda x: mg.binary_cross_entropy_with_logits(
        x, zeros(x) + 1, pos_weight=3.0, reduction="none"
    ),
    "cross entropy": lambda x: mg.cross_entropy(x, [0] * len(x), reduction="none"),
    "smooth cross entropy": lambda x: mg.cross_entropy(
        x, [1] * len(x), label_smoothing=0.1, reduction="none"
    ),
    "logsumexp": lambda x: mg.logsumexp(x, axis=-1),
}
# Bounds of the gradient and of the second derivative; exp and mse have none but infinity.
UNBOUNDED = ("exp", "expm1", "mse", "sinh", "cosh", "exp2")


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("fused", ["0", "1"])
def test_gradients_far_out(backend, name, dtype, fused, monkeypatch):
    """Whatever finite number comes in, no derivative is NaN, and it is that of more digits."""
    monkeypatch.setenv("MINIGRAD_FUSED", fused)
    monkeypatch.setattr(sys.modules["minigrad.fusion"], "MIN_ELEMENTS_TO_FUSE", 1)
    top = float(np.finfo(dtype).max)
    sizes = [n for n in (5.0, 30.0, 300.0, 1e4, 6e4, 1e10, 1e20, 1e30, 1e100, 1e200) if n < top]
    sizes += [float(np.finfo(dtype).tiny), top / 16]
    points = np.array([[sign * n, 0.5] for n in sizes for sign in (1, -1)], dtype)
    found = []
    for kind in (dtype, "float64"):
        with np.errstate(all="ignore"):
            x = mg.tensor(points.astype(kind), requires_grad=True)
            y = FAR[name](x)
            g = mg.grad(y.sum(), x, create_graph=True)
            second = mg.grad(g.sum(), x, allow_unused=True) if g.requires_grad else None
            first = mg.grad(FAR[name](x).sum(), x)  # by the kernel
        results = [g, first, g * 0 if second is None else second]
        found.append([result.numpy().astype("float64") for result in results])
    for a, b in zip(*found, strict=True):
        assert not np.isnan(a).any()
        if name not in UNBOUNDED and name not in ("sin", "cos"):
            assert np.abs(a).max() <= 4
        if name not in UNBOUNDED:
            assert np.allclose(a, b, atol=2e-2 if dtype == "float16" else 1e-5)
