"""Fused scans on the Numba backend: layers, options, orders, and what surrounds a scan."""

import sys
from typing import NamedTuple

import numpy as np
import pytest
from fused_layers import LAYERS, made, results, uses
from hypothesis import given, note, settings
from hypothesis import strategies as st
from random_cells import cases
from scans import Scan, assert_close, assert_fused_as_composed, fusing

import minigrad as mg
from minigrad.models import LSTM

try:
    NUMBA = mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)


@pytest.fixture(autouse=True)
def always_fused():
    with fusing("require"), mg.use_backend(NUMBA):
        yield


# --- against the definition --------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data())
def test_layers(name, data):
    sizes, options = data.draw(uses(name))
    args = LAYERS[name], sizes, "float64"
    assert_close(results("numba", *args, **options), results("numpy", *args, **options), 1e-10)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "ZoneoutLSTM"])
@given(data=st.data())
def test_padded_batches(name, data):
    sizes, options = data.draw(uses(name))
    T, N = sizes[:2]
    options["lengths"] = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
    args = LAYERS[name], sizes, "float64"
    assert_close(results("numba", *args, **options), results("numpy", *args, **options), 1e-10)


@pytest.mark.parametrize("name", ["LSTM", "LayerNormLSTM"])
@given(data=st.data())
def test_single_precision(name, data):
    sizes, options = data.draw(uses(name))
    right, plain, found = (
        results(backend, LAYERS[name], sizes, dtype, **options)
        for backend, dtype in (("numpy", "float64"), ("numpy", "float32"), ("numba", "float32"))
    )
    assert {a.dtype.name for a in found} == {"float32"}
    # As exact as the composed ops; a norm of almost equal numbers costs both some digits.
    tolerance = max(1e-5, 4 * max(map(error, plain, right)))
    assert_close([a.astype("float64") for a in found], right, tolerance)


def error(found, right):
    """The largest difference, relative to the largest number or to 1."""
    scale = np.abs(right).max(initial=1.0)
    return np.abs(found - right).max(initial=0.0) / scale


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
    T=st.sampled_from([1, 2, 5]),
    N=st.sampled_from([2, 5, 7]),
    H=st.sampled_from([3, 5, 16]),
    reverse=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_busy_cell(T, N, H, reverse, seed):
    scan = scan_of_busy(T, N, 2, H, seed, reverse=reverse)
    assert_fused_as_composed(scan, "numba", 1e-10)


def tangled(p, x, s):
    """States that move about, gradients that take every way."""
    a, b, c = s
    fresh = mg.tanh((a * b) @ p["u"] + x @ p["u"].T + c)
    w = p["v"] / mg.norm(p["v"], axis=0, keepdims=True)
    return (c, mg.where(a > 0, fresh @ p["u"], 0), x @ w), (b, x * p["b"], fresh)


def test_a_tangled_cell():
    for T, N, H in ((1, 1, 3), (2, 3, 17), (5, 4, 1)):
        rng = np.random.default_rng(H)
        params = {"u": rng.normal(size=(H, H)), "v": rng.normal(size=(H, 2))}
        params["b"] = rng.normal(size=H)
        state = tuple(rng.normal(size=(N, H)) for _ in range(3))
        for reverse in (False, True):
            scan = Scan(tangled, params, rng.normal(size=(T, N, H)), state, reverse=reverse)
            assert_fused_as_composed(scan, "numba", 1e-10)


few_steps = cases(most_steps=4)


@pytest.mark.parametrize("part", range(3))
@settings(
    max_examples=10 if settings.default.max_examples < 100 else 100, report_multiple_bugs=False
)
@given(data=st.data())
def test_any_cell(part, data, fast_ways):
    """In parts, so that several processes may have one each."""
    scan = data.draw(few_steps)
    note(scan.script)
    assert_fused_as_composed(scan, "numba", 1e-8)


# --- compiled once -----------------------------------------------------------------------------


def test_no_size_and_no_layout_compiles_anew():
    before = set(NUMBA.kernels)
    x = mg.randn((6, 5, 4), dtype="float64")
    layouts = [x, x[::2], mg.flip(x, axis=1), x[:1, :1], mg.transpose(x, (2, 1, 0)), x[:, :, 1:]]
    layouts += [mg.broadcast_to(x[:1], x.shape), mg.broadcast_to(x[:1, :1, :1], (1, 1, 1))]
    for x in layouts:
        for H in (1, x.shape[1], x.shape[2], 17):
            y, (h, _) = made(LSTM, x.shape[2], H)(x)
            (y.sum() + mg.transpose(h).sum()).backward()  # cotangents that are views of one number
    assert len(set(NUMBA.kernels) - before) <= 2


def test_each_kernel_is_compiled_for_one_kind_of_arguments():
    """In all tests that ran before this one, too."""
    counts = [len(kernel.compiled.signatures) for kernel in NUMBA.kernels.values()]
    assert counts and max(counts) == 1


# --- what surrounds the kernels --------------------------------------------------------------


def test_a_small_step_takes_few_calls():
    """Beside small kernels, Python's own time counts; it goes by the number of calls."""
    layer, x = LSTM(4, 4), mg.randn((5, 2, 4), requires_grad=True)
    leaves = [x, *layer.parameters()]

    def step():
        y, _ = layer(x)
        mg.grad(y, leaves, cotangent)

    cotangent = mg.ones((5, 2, 4))
    step()
    calls = []
    sys.setprofile(lambda frame, event, arg: event == "call" and calls.append(frame.f_code))
    try:
        step()
    finally:
        sys.setprofile(None)
    own = [code for code in calls if not code.co_filename.endswith("inplace.py")]  # if on guard
    assert 20 < len(own) < 250
