"""Products that a loop computes step by step, though they could come before or after it."""

import numpy as np
import pytest
from bf16_parts import emulated_tiles
from fused_layers import LAYERS, made, results
from hypothesis import given
from hypothesis import strategies as st
from scans import assert_close, fusing

import minigrad as mg
from minigrad.compiler.fused_scan import ScanCall
from minigrad.utils import summation

pytest.importorskip("numba", reason="numba is not installed")

from minigrad.backends import numba_backend
from minigrad.backends.numba_kernels import threads

H, I = 5, 3


@pytest.fixture(autouse=True)
def new_plans(monkeypatch):
    """Few rows are enough; plans remember what their loops compute."""
    monkeypatch.setattr(numba_backend, "_ROWS_IN_LOOP", 4)
    ScanCall.plans.clear()
    with fusing("require"):
        yield
    ScanCall.plans.clear()


# Up to how many numbers weights are multiplied in the loop: those of x alone, or all.
@pytest.mark.parametrize(
    ("name", "most"), [("RNN", I * H), ("RNN", 1 << 18), ("LSTM", 1 << 18), ("GRU", 1 << 18)]
)
@given(data=st.data())
def test_layers(name, most, data):
    sizes = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 9)), I, H
    # Of the kernels, of which masks need others, LSTM and GRU have those with one.
    masked = name != "RNN" or data.draw(st.booleans())
    options = {"seed": data.draw(st.integers(0, 1000)), "state": data.draw(st.booleans())}
    if masked:
        options["lengths"] = [data.draw(st.integers(0, sizes[0])) for _ in range(sizes[1])]
    right = results("numpy", LAYERS[name], sizes, "float64", **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba_backend, "_ROWS_IN_LOOP", 1)
        patch.setattr(numba_backend, "_NUMBERS_IN_LOOP", most)
        patch.setattr(summation, "LONG", data.draw(st.sampled_from([sizes[1], 10, 4096])))
        patch.setattr(threads, "MIN_WORK_PER_THREAD", data.draw(st.sampled_from([1, 1 << 40])))
        patch.setenv("MINIGRAD_THREADS", "3")
        ScanCall.plans.clear()
        found = results("numba", LAYERS[name], sizes, "float64", **options)
    assert_close(found, right, 1e-10)


def rnn(w, x, h):
    h = mg.tanh(x @ w["x"] + h @ w["h"] + w["b"])
    return h, h


def weights(N, **options):
    shapes = {"x": (I, H), "h": (H, H), "b": (H,)}
    w = {name: mg.randn(shape, **options) for name, shape in shapes.items()}
    return w, mg.randn((N, I), **options), mg.randn((N, H), **options)


@pytest.mark.parametrize("rows", [3, 4, 10, 11])
def test_which_products(rows, monkeypatch):
    """Those of 4 rows or more, and of no more than can be added one after the other."""
    monkeypatch.setattr(summation, "LONG", 10)
    text = mg.source(rnn, *weights(rows, backend="numba"))
    forwards, _, rest = text.partition("# forwards: what")
    inside = 4 <= rows <= 10
    assert forwards.count(" product") == (2 if inside else 1)
    assert rest.count("add_product(") == (2 if inside else 0)
    assert ("matmul(" in rest) != inside


def test_large_weights_stay_outside(monkeypatch):
    given = weights(4, backend="numba")
    for most, count in ((I * H - 1, 0), (I * H, 1), (H * H, 2)):
        monkeypatch.setattr(numba_backend, "_NUMBERS_IN_LOOP", most)
        assert mg.source(rnn, *given).count("add_product(") == count


@pytest.mark.parametrize("small", [True, False])
def test_products_in_parts_stay_outside(small):
    """With `small`, small weights are multiplied in parts, too."""
    given = weights(4, backend="numba")
    with emulated_tiles(small):
        assert "add_product(" in mg.source(rnn, *given)
        with mg.set_products("bf16x6"):
            assert ("add_product(" in mg.source(rnn, *given)) != small


@pytest.mark.parametrize("leaves", [["x"], ["w.x"], ["w.h", "b"], ["b"], ["x", "w.x", "w.h", "b"]])
def test_gradients_of_some(leaves):
    """What isn't asked for is not computed, and what is comes out the same."""

    def gradients(backend):
        with mg.use_backend(backend), fusing("0" if backend == "numpy" else "require"):
            mg.manual_seed(0)
            w, _, h = weights(6, requires_grad=True, dtype="float64")
            x = mg.randn((4, 6, I), requires_grad=True, dtype="float64")
            y, _ = mg.scan(rnn, w, x, h)
            named = {"x": x, "w.x": w["x"], "w.h": w["h"], "b": w["b"]}
            g = mg.randn(y.shape, dtype="float64")
            return [t.numpy() for t in mg.grad(y, [named[name] for name in leaves], g)]

    assert_close(gradients("numba"), gradients("numpy"), 1e-12)


def test_a_gradient_lies_in_memory_as_its_weight():
    layer = made(LAYERS["LSTM"], I, H).to("numba")
    y, _ = layer(mg.randn((3, 8, I), dtype="float64", backend="numba"))
    y.sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad.data.flags.c_contiguous


def test_second_order_through_products_in_the_loop():
    def second(backend):
        with mg.use_backend(backend), fusing("0" if backend == "numpy" else "require"):
            layer = made(LAYERS["GRU"], 2, 3)
            x = mg.tensor(np.random.default_rng(0).normal(size=(3, 6, 2)), requires_grad=True)
            y, _ = layer(x)
            leaves = [x, *layer.parameters()]
            first = mg.grad((y * y).sum(), leaves, create_graph=True)
            found = [*first, *mg.grad(sum((g * g).sum() for g in first), leaves)]
            return [t.numpy() for t in found]

    assert_close(second("numba"), second("numpy"), 1e-10)


def test_long_sums_are_as_exact_as_short_ones():
    """30,000 terms of float32, added up a thousand steps at a time."""
    T, N = 6000, 5

    def cell(w, x, s):
        return x @ w, s

    x = mg.tensor(np.random.default_rng(0).random((T, N, 2), np.float32), backend="numba")
    w = mg.ones((2, 3), requires_grad=True, backend="numba")
    y, _ = mg.scan(cell, w, x, mg.zeros((N, 1), backend="numba"))
    (g,) = mg.grad(y.sum(), [w])
    right = x.numpy().astype(float).sum(axis=(0, 1))[:, None] * np.ones(3)
    np.testing.assert_allclose(g.numpy(), right, rtol=1e-5)
