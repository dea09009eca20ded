"""NumPy's loops: the text of any cell, run with buffers that hold rubbish; and texts as shown."""

import re

import numpy as np
import pytest
from fused_layers import LAYERS, made
from hypothesis import given, note, settings
from hypothesis import strategies as st
from odd_cells import SCANS
from random_cells import cases
from scans import assert_fused_as_composed, fusing

import minigrad as mg
from minigrad.backends.numpy_backend import LoopingNumpyBackend
from minigrad.backends.numpy_kernels import loops

some = settings(max_examples=30 if settings.default.max_examples < 100 else 3000)


class Rubbish:
    """NumPy, but for `empty`: what is read before it is written is NaN, or far out."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype):
        kind = np.dtype(dtype).kind
        return np.full(shape, np.nan if kind == "f" else 99 if kind == "i" else 1, dtype)


@pytest.fixture
def on_rubbish(monkeypatch):
    monkeypatch.setattr(loops, "np", Rubbish())
    backend = LoopingNumpyBackend()  # with no kernels yet
    backend.empty = Rubbish.empty
    return backend


@some
@given(scan=cases(), data=st.data())
def test_any_cell(on_rubbish, scan, data):
    places = range(len(scan.arrays))
    some = st.lists(st.sampled_from(places), unique=True)
    wanted = data.draw(st.one_of(st.just(list(places)), some), "wanted")
    note(scan.script)
    assert_fused_as_composed(scan, on_rubbish, 1e-8, wanted)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["full", "padded"])
@pytest.mark.parametrize("name", SCANS)
def test_odd_cells(on_rubbish, name, lengths):
    for reverse in (False, True):
        scan = SCANS[name]._replace(lengths=lengths, reverse=reverse)
        assert_fused_as_composed(scan, on_rubbish, 1e-9)
        assert_fused_as_composed(scan, on_rubbish, 1e-9, wanted=[])


# --- texts -----------------------------------------------------------------------------------


def texts(layer):
    """The two kernels, and what is around them."""
    parts = re.split(r"^# \w+wards: .*\n", layer.source(), flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


@pytest.mark.parametrize("name", LAYERS)
def test_a_step_makes_no_array(on_numpy, name):
    """Every line of a loop is a call of NumPy that writes to what is there."""
    kernel, _, back, _ = texts(made(LAYERS[name], 3, 4))
    for text in (kernel, back):
        lines = [line.strip() for line in text.splitlines() if line.startswith(" " * 8)]
        calls = [line for line in lines if "(" in line and "=" in line]
        writes = re.compile(r"(np\.\w+(\.reduce)?|sigmoid)\(.*out=\w+\)|np\.copyto\(.*\)")
        copies = re.compile(r"\w+\[\.\.\.\] = (\w+|xp\.\w+\(\w+\))")
        assert len(calls) > 2
        assert not [x for x in calls if not (writes.fullmatch(x) or copies.fullmatch(x))]


def test_the_shown_text_computes_the_layer(on_numpy):
    """What `source()` prints runs as it is, in NumPy alone."""
    layer = made(mg.nn.LSTM, 3, 4)
    kernel, forward, back_kernel, backward = texts(layer)
    names = ["transpose", "add", "matmul", "empty", "copy", "zeros", "reshape", "sum", "float64"]
    scope = {name: getattr(np, name) for name in names}
    scope |= {"np": np, "contiguous": np.ascontiguousarray}
    scope["matmul"] = lambda a, b, start=0: a @ b + start

    def by_hand(text, around):
        found = {"np": np, "sigmoid": loops.sigmoid}
        exec(text, found)

        def run(T, N, descending, keep, full, invariant, steps, carries, kept):
            def each(x):
                return x[::-1] if descending else x

            def before(x, full):
                return (
                    (x[:0:-1] if descending else x[:-1]) if full else [x[t % 2] for t in range(T)]
                )

            def after(x, full):
                return (
                    (x[-2::-1] if descending else x[1:])
                    if full
                    else [x[1 - t % 2] for t in range(T)]
                )

            given = *invariant, *steps, *carries, *kept
            found["kernel"](T, each, before, after, *full, N, 4, *given)

        whole = scope | {"kernel": run}
        exec(around, whole)
        return whole

    T, N = 5, 2
    x = mg.randn((T, N, 3), dtype="float64", requires_grad=True)
    start = mg.randn((2, 1, N, 4), dtype="float64")
    h0, c0 = start[0], start[1]
    weights = list(layer.parameters())
    g = np.random.default_rng(0).normal(size=(T, N, 4))
    arrays = [p.numpy() for p in weights]
    (y,), last, saved = by_hand(kernel, forward)["forward"](
        T, N, False, *arrays, x.numpy(), h0.numpy()[0], c0.numpy()[0]
    )
    grads = by_hand(back_kernel, backward)["backward"](T, N, True, saved, (), g, None, None)
    with fusing("0"):
        right, state = layer(x, (h0, c0))
        expected = mg.grad(right, [*weights, x], mg.tensor(g))
    np.testing.assert_allclose(y, right.numpy(), rtol=1e-12)
    np.testing.assert_allclose(last, [part.numpy()[0] for part in state], rtol=1e-12)
    for found, one in zip(grads, expected, strict=False):
        np.testing.assert_allclose(found, one.numpy(), rtol=1e-9, atol=1e-12)


def test_names_are_those_of_the_cell(on_numpy):
    kernel, forward, back, backward = texts(mg.nn.GRU(3, 4))
    assert "sigmoid(tmp, out=z)" in kernel and "np.dot(h_prev, w_hh_T, out=" in kernel
    assert "np.dot(dh_r" not in back and re.search(r"np.dot\(\w+, w_hh, out=dh_prev\)", back)
    assert re.search(r"def forward\(T, N, descending, w_ih, w_hh, b_ih, b_hh, xs, h0\)", forward)
    assert re.search(r"return \(dw_ih, dw_hh, db_ih, db_hh, dxs_steps, .*\)", backward)


def test_names_that_are_taken(on_numpy):
    """A cell may call its values as the text calls other things."""

    def cell(p, x, h):
        np, each, out = mg.split(x * p["N"] + h, 3, axis=-1)
        zip = mg.tanh(np) * each
        lambda_, T = out + zip, zip * 2
        h = mg.concatenate([lambda_, T, each], axis=-1)
        return T, h

    params = {"N": mg.randn(6), "is": mg.randn(6)}
    x, h = mg.randn((4, 3, 6)), mg.randn((3, 6))

    def results(way):
        with fusing(way):
            ys, last = mg.scan(cell, params, x, h)
            return ys.numpy(), last.numpy()

    for a, b in zip(results("require"), results("0"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


# --- where there is none ---------------------------------------------------------------------


def test_source_needs_a_compiler():
    layer = mg.nn.RNN(3, 4).to("strict")
    with pytest.raises(mg.BackendError, match="backend 'strict' has no compiler, so scans run op"):
        layer.source()


def test_source_of_what_is_refused(on_numpy):
    def cell(p, x, h):
        return h, h * float(mg.sum(x))

    with pytest.raises(mg.compiler.Untraceable, match="it reads a tensor's values"):
        mg.source(cell, None, mg.ones((2, 3)), mg.ones((2, 3)))


def test_source_on_each_backend(compiling):
    text = mg.nn.GRU(3, 4).source()
    titles = [line for line in text.splitlines() if line.startswith("# ") and "wards: " in line]
    assert len(titles) == 4 and text.count("def forward(") == text.count("def backward(") == 1


# --- functions -------------------------------------------------------------------------------


@mg.fuse
def swish(x, beta):
    return x * mg.sigmoid(beta * x)


def test_source_of_a_function_on_each_backend(compiling):
    x = mg.ones((2, 3), "float64")
    assert swish.source(x, 1.5).count("# forwards: ") == 2
    text = swish.source(x.requires_grad_(), 1.5)
    titles = [line for line in text.splitlines() if line.startswith("# ") and "wards: " in line]
    assert len(titles) == 4 and text.count("def forward(") == text.count("def backward(") == 1


def test_the_shown_text_computes_the_function(on_numpy):
    kernel = re.split(
        r"^# \w+wards: .*\n", swish.source(mg.ones((2, 3), "float64"), 1.5), flags=re.M
    )
    x = np.random.default_rng(0).standard_normal((1, 2, 3))
    y, scope = np.empty_like(x), {"np": np, "sigmoid": loops.sigmoid}
    exec(kernel[1], scope)
    scope["kernel"](1, iter, None, None, 2, 3, 1.5, x, y)
    np.testing.assert_allclose(y[0], swish(mg.tensor(x[0]), 1.5).numpy(), rtol=1e-12)


def test_source_of_a_function_says_why_there_is_none(on_numpy):
    with pytest.raises(TypeError, match="source of swish: give it the arguments of a call"):
        swish.source(3.0, 1.5)
    with pytest.raises(mg.BackendError, match="backend 'strict' has no compiler, so functions run"):
        swish.source(mg.ones(3, backend="strict"), 1.5)
    with pytest.raises(mg.errors.FusionError, match="swish on backend 'numpy' has no kernel: "):
        swish.source(mg.ones(()), 1.5)
