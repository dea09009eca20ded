"""Fused scans on each backend that makes kernels: as composed, for any layer, cell and size."""

import contextlib
from importlib import import_module
from typing import NamedTuple

import numpy as np
import pytest
from fast_ways import forced_fast_ways
from fused_layers import LAYERS, definition, made, results, uses
from hypothesis import given, note, settings
from hypothesis import strategies as st
from random_cells import cases
from scans import Scan, assert_close, assert_fused_as_composed, fusing, run

import minigrad as mg
from minigrad.compiler.fused_scan import ScanCall
from minigrad.models import LSTM

# Each case is traced, and makes kernels if it is the first of its kind.
fewer = settings(max_examples=max(6, settings.default.max_examples // 2))


@pytest.fixture(autouse=True)
def always_fused():
    with fusing("require"):
        yield


# --- against the definition --------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@fewer
@given(data=st.data())
def test_layers(name, data, compiling):
    sizes, options = data.draw(uses(name))
    args = LAYERS[name], sizes, "float64"
    assert_close(results(compiling, *args, **options), definition(*args, **options), 1e-10)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "ZoneoutLSTM", "NormRNN"])
@fewer
@given(data=st.data())
def test_padded_batches(name, data, compiling):
    sizes, options = data.draw(uses(name))
    T, N = sizes[:2]
    options["lengths"] = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
    args = LAYERS[name], sizes, "float64"
    assert_close(results(compiling, *args, **options), definition(*args, **options), 1e-10)


@pytest.mark.parametrize("name", ["LSTM", "NormRNN"])
@fewer
@given(data=st.data())
def test_single_precision(name, data, compiling):
    sizes, options = data.draw(uses(name))
    args = LAYERS[name], sizes
    right, plain = (definition(*args, dtype, **options) for dtype in ("float64", "float32"))
    found = results(compiling, *args, "float32", **options)
    assert {a.dtype.name for a in found} == {"float32"}
    # As exact as the composed ops; a norm of almost equal numbers costs both some digits.
    tolerance = max(1e-5, 4 * max(map(error, plain, right)))
    assert_close([a.astype("float64") for a in found], right, tolerance)


def error(found, right):
    """The largest difference, relative to the largest number or to 1."""
    scale = np.abs(right).max(initial=1.0)
    return np.abs(found - right).max(initial=0.0) / scale


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "NormRNN"])
def test_second_order(name, compiling):
    def second(backend):
        with mg.use_backend(backend), fusing("0" if backend == "numpy" else "require"):
            layer = made(LAYERS[name], 2, 3)
            x = mg.tensor(np.random.default_rng(0).normal(size=(4, 3, 2)), requires_grad=True)
            y, _ = layer(x, lengths=[4, 1, 3])
            leaves = [x, *layer.parameters()]
            first = mg.grad((y * y).sum(), leaves, create_graph=True)
            found = [*first, *mg.grad(sum((g * g).sum() for g in first), leaves)]
            return [t.numpy() for t in found]

    assert_close(second(compiling), second("numpy"), 1e-10)


def test_it_is_counted_as_fused(compiling):
    layer, x = made(LSTM, 2, 3), mg.ones((4, 3, 2), dtype="float64")
    mg.reset_dispatch_counts()
    layer(x)
    assert mg.dispatch_counts() == {("lstm_cell", compiling, "fused", ""): 1}


# --- numbers at the edges ----------------------------------------------------------------------

EDGES = [-np.inf, -1e30, -1000, -90, -30, -1, -1e-6, -0.0, 0, 1e-30, 0.5, 1, 30, 90, 1e30, np.inf]
ABOVE_MINUS_ONE = [x for x in EDGES if not x < -1]


def at_edges(p, x, s):
    low = mg.maximum(x, -1)
    ys = [mg.tanh(x), mg.sigmoid(x), mg.exp(x), mg.expm1(x), mg.log1p(low), mg.relu(x), mg.sign(x)]
    ys += [mg.log(mg.abs(x)), mg.sqrt(mg.abs(x)), mg.minimum(x, s), mg.maximum(s, x), x**3, 1 / x]
    ys += [mg.isfinite(x), mg.isnan(x), mg.where(x > s, x, s), mg.sin(low), x.max(axis=1)]
    return ys, s


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_nan_and_both_tails(dtype, compiling):
    x = np.array([*EDGES, np.nan], dtype)[:, None, None] + np.zeros((1, 2, 3), dtype)
    scan = Scan(at_edges, {}, x, np.full((2, 3), 0.25, dtype))
    found = run(scan, compiling, "require", [], dtype)
    right = run(scan._replace(xs=x.astype("float64")), "numpy", "0", [], "float64")
    for a, b in zip(found, right, strict=True):
        with np.errstate(over="ignore", under="ignore"):
            b = b.astype(a.dtype)
        exact = 4e-16 if dtype == "float64" else 3e-7
        np.testing.assert_allclose(a, b, rtol=8 * exact, atol=np.finfo(dtype).tiny)


# --- cells with everything in them -------------------------------------------------------------


class Memory(NamedTuple):
    h: mg.Tensor
    level: mg.Tensor
    count: mg.Tensor


def busy(p, x, s):
    """Ops, dtypes and shapes that the layers don't have."""
    value, chosen, gap = x  # (N, I), truth values (N, H), (N,)
    count = s.count + 1
    mean = (x[0] @ p["w"] + s.h).mean(axis=-1, keepdims=True)
    h = mg.where(chosen, mg.elu(s.h * p["row"] - mean), mg.relu(s.h) + p["number"])
    h = mg.tanh(h @ p["narrow"] @ p["wide"] + value[:, :1] / count.astype("float64"))
    a, b = mg.split(h @ p["two"], 2, axis=-1)
    top, low = h.max(axis=1), h.min(axis=1, keepdims=True)
    level = mg.clip(s.level * 0.5 + gap, -1, 1) + top
    turned = mg.concatenate([h[:, 2:], mg.abs(h[:, :2]) ** 1.5], axis=1)
    h = turned * mg.sigmoid(a) + p["rows"] * mg.softmax(turned) + mg.log1p(h * h) * b
    fine = mg.isfinite(h / low) & (h > 0) | ~chosen
    bad = mg.where(h > 0.5, np.nan, h)
    ys = [h @ p["head"], s.h, value, fine, bad.max(axis=1), mg.sign(bad), mg.exp(h), count]
    return ys, Memory(h, level, count)


def scan_of_busy(T, N, I, H, seed=0, **options):
    rng = np.random.default_rng(seed)
    shapes = {"w": (I, H), "row": (1, H), "number": (), "narrow": (H, 2), "wide": (2, H)}
    shapes |= {"two": (H, 2), "rows": (N, H), "head": (H, I)}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    xs = rng.normal(size=(T, N, I)), rng.random(size=(T, N, H)) > 0.5, rng.normal(size=(T, N))
    state = Memory(rng.normal(size=(N, H)), rng.normal(size=N), np.zeros((N, 1), int))
    return Scan(busy, params, xs, state, **options)


@given(
    T=st.sampled_from([2, 5]),  # test_one_step.py has kernels of a single step
    N=st.sampled_from([12, 13]),  # random cells have fewer rows, whose products are outside
    H=st.sampled_from([3, 5, 16]),
    reverse=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_busy_cell(T, N, H, reverse, seed, compiling):
    scan = scan_of_busy(T, N, 2, H, seed, reverse=reverse)
    assert_fused_as_composed(scan, compiling, 1e-10)


def tangled(p, x, s):
    """States that move about, gradients that take every way."""
    a, b, c = s
    fresh = mg.tanh((a * b) @ p["u"] + x @ p["u"].T + c)
    w = p["v"] / mg.norm(p["v"], axis=0, keepdims=True)
    return (c, mg.where(a > 0, fresh @ p["u"], 0), x @ w), (b, x * p["b"], fresh)


def test_a_tangled_cell(compiling):
    for T, N, H in ((1, 1, 3), (2, 3, 17), (5, 4, 1)):
        rng = np.random.default_rng(H)
        params = {"u": rng.normal(size=(H, H)), "v": rng.normal(size=(H, 2))}
        params["b"] = rng.normal(size=H)
        state = tuple(rng.normal(size=(N, H)) for _ in range(3))
        for reverse in (False, True):
            scan = Scan(tangled, params, rng.normal(size=(T, N, H)), state, reverse=reverse)
            assert_fused_as_composed(scan, compiling, 1e-10)


few_steps = cases(most_steps=4)


@pytest.mark.parametrize("part", range(3))
@settings(
    max_examples=4 if settings.default.max_examples < 100 else 100, report_multiple_bugs=False
)
@given(data=st.data())
def test_any_cell(part, data, compiling):
    """In parts, so that several processes may have one each."""
    scan = data.draw(few_steps)
    note(scan.script)
    with forced_fast_ways() if part else contextlib.nullcontext():
        assert_fused_as_composed(scan, compiling, 1e-8)


# --- compiled once -----------------------------------------------------------------------------


@pytest.mark.parametrize("least", [1, 1 << 20])
def test_no_size_and_no_layout_compiles_anew(least, compiling, monkeypatch):
    """`least`: the fewest rows of a step whose products are computed in the loop."""
    if compiling == "numba":
        module = import_module("minigrad.backends.numba_backend")
        monkeypatch.setattr(module, "_ROWS_IN_LOOP", least)
    ScanCall.plans.clear()
    kernels = mg.get_backend(compiling).kernels
    before = set(kernels)
    x = mg.randn((6, 5, 4), dtype="float64")
    layouts = [x, x[::2], mg.flip(x, axis=1), x[:1, :1], mg.transpose(x, (2, 1, 0)), x[:, :, 1:]]
    layouts += [mg.broadcast_to(x[:1], x.shape), mg.broadcast_to(x[:1, :1, :1], (1, 1, 1))]
    for x in layouts:
        for H in (1, x.shape[1], x.shape[2], 17):
            y, (h, _) = made(LSTM, x.shape[2], H)(x)
            (y.sum() + mg.transpose(h).sum()).backward()  # cotangents that are views of one number
    ScanCall.plans.clear()
    new = set(kernels) - before
    assert len(new) <= 4  # of several steps, and of a single one
    if compiling == "numba":  # each is compiled for one kind of arguments
        assert {len(kernels[text].compiled.signatures) for text in new} <= {1}
