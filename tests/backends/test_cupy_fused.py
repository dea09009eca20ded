"""Fused scans on the CuPy backend: as composed, with few launches and nothing else per step."""

from types import SimpleNamespace

import numpy as np
import pytest
from cupy_on_cpu.counters import ABSENT, PRESENT, counted
from fused_layers import LAYERS, made, results, uses
from hypothesis import given, note
from hypothesis import strategies as st
from odd_cells import SCANS
from random_cells import cases
from scans import Scan, assert_close, assert_fused_as_composed, fusing, run

import minigrad as mg
from minigrad.models import GRU, LSTM

try:
    CUPY = mg.get_backend("cupy")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

from minigrad.backends.cupy_kernels import loop
from minigrad.backends.cupy_kernels.loop import Kernels

pytestmark = pytest.mark.cupy


@pytest.fixture(autouse=True)
def always_fused():
    with fusing("require"):
        yield


@pytest.fixture
def on_cupy():
    with mg.use_backend(CUPY):
        yield


# --- against the definition --------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data())
def test_layers(name, data):
    sizes, options = data.draw(uses(name))
    args = LAYERS[name], sizes, "float64"
    assert_close(results("cupy", *args, **options), results("numpy", *args, **options), 1e-10)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "LayerNormLSTM"])
@given(data=st.data())
def test_padded_batches(name, data):
    sizes, options = data.draw(uses(name))
    T, N = sizes[:2]
    options["lengths"] = data.draw(st.lists(st.integers(0, T), min_size=N, max_size=N))
    args = LAYERS[name], sizes, "float64"
    assert_close(results("cupy", *args, **options), results("numpy", *args, **options), 1e-10)


@pytest.mark.parametrize("name", ["LSTM", "LayerNormLSTM"])
@given(data=st.data())
def test_single_precision(name, data):
    sizes, options = data.draw(uses(name))
    right = results("numpy", LAYERS[name], sizes, "float64", **options)
    found = results("cupy", LAYERS[name], sizes, "float32", **options)
    assert {a.dtype.name for a in found} == {"float32"}
    assert_close([a.astype("float64") for a in found], right, 1e-5)


@pytest.mark.parametrize("name", SCANS)
def test_odd_cells(name):
    scan = SCANS[name]
    assert_fused_as_composed(scan, "cupy", 1e-10)
    assert_fused_as_composed(scan._replace(reverse=True), "cupy", 1e-10, wanted=[])
    padded = scan._replace(lengths=[4, 0, 2], reverse=True)
    assert_fused_as_composed(padded, "cupy", 1e-10)


@given(scan=cases())
def test_any_cell(scan):
    note(scan.script)
    assert_fused_as_composed(scan, "cupy", 1e-8)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "LayerNormLSTM"])
def test_second_order(name):
    def second(backend):
        with mg.use_backend(backend), fusing("0" if backend == "numpy" else "require"):
            layer = made(LAYERS[name], 2, 3)
            x = mg.tensor(np.random.default_rng(0).normal(size=(4, 3, 2)), requires_grad=True)
            y, _ = layer(x, lengths=[4, 1, 3])
            leaves = [x, *layer.parameters()]
            first = mg.grad((y * y).sum(), leaves, create_graph=True)
            found = [*first, *mg.grad(sum((g * g).sum() for g in first), leaves)]
            return [t.numpy() for t in found]

    assert_close(second("cupy"), second("numpy"), 1e-10)


def test_it_is_counted_as_fused(on_cupy):
    layer, x = made(LSTM, 2, 3), mg.ones((4, 3, 2), dtype="float64")
    mg.reset_dispatch_counts()
    layer(x)
    assert mg.dispatch_counts() == {("lstm_cell", "cupy", "fused", ""): 1}


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
def test_infinities_nan_and_both_tails(dtype):
    x = np.array([*EDGES, np.nan], dtype)[:, None, None] + np.zeros((1, 2, 3), dtype)
    scan = Scan(at_edges, {}, x, np.full((2, 3), 0.25, dtype))
    found = run(scan, "cupy", "require", [], dtype)
    right = run(scan._replace(xs=x.astype("float64")), "numpy", "0", [], "float64")
    for a, b in zip(found, right, strict=True):
        with np.errstate(over="ignore", under="ignore"):
            b = b.astype(a.dtype)
        exact = 4e-16 if dtype == "float64" else 3e-7
        np.testing.assert_allclose(a, b, rtol=8 * exact, atol=np.finfo(dtype).tiny)


# --- what a step costs -------------------------------------------------------------------------

# Products and kernels of a step, forwards and backwards.
COSTS = {
    "RNN": ((1, 1), (1, 1)),
    "RNN relu": ((1, 1), (1, 1)),
    "LSTM": ((1, 1), (1, 1)),
    "LSTM gate by gate": ((1, 1), (1, 1)),
    "GRU": ((1, 1), (1, 2)),
    "MGU": ((2, 2), (2, 3)),
    "IndRNN": ((0, 1), (0, 1)),
    "PeepholeLSTM": ((1, 1), (1, 1)),
    "LayerNormLSTM": ((1, 1), (1, 1)),
    "ZoneoutLSTM": ((1, 1), (1, 2)),
}


def costs(name, T, lengths):
    """What the device is asked for in a training step: forwards, and backwards."""
    layer = made(LAYERS[name], 2, 5)
    x = mg.ones((T, 3, 2), dtype="float64", requires_grad=True)
    g = mg.ones((T, 3, 5), dtype="float64")
    with counted() as forward:
        y, _ = layer(x, lengths=lengths)
    with counted() as backward:
        mg.grad([y], [x, *layer.parameters()], [g])
    return forward, backward


@pytest.mark.skipif(not PRESENT, reason=ABSENT)
@pytest.mark.parametrize("lengths", [None, [4, 1, 2]])
@pytest.mark.parametrize("name", COSTS)
def test_each_step_is_a_few_products_and_kernels(name, lengths, on_cupy):
    for _ in range(2):  # first it compiles, and CuPy's pool asks for memory
        few, many = costs(name, 4, lengths), costs(name, 14, lengths)
    for a, b, (products, kernels) in zip(few, many, COSTS[name], strict=True):
        per_step = {
            key: (getattr(b, key) - getattr(a, key)) / 10 for key in vars(a) if key != "kernels"
        }
        if b is many[1] and lengths and products == kernels:
            kernels += 1  # the gradients of the steps that were not valid
        expected = {"products": products, "launches": kernels}
        assert {key: count for key, count in per_step.items() if count} == {
            key: count for key, count in expected.items() if count
        }


class Allocations(CUPY.xp.cuda.MemoryHook):
    """Counts what the pool is asked for."""

    name = "minigrad tests"
    count = 0

    def malloc_preprocess(self, **_):
        self.count += 1


@pytest.mark.parametrize("name", ["LSTM", "LayerNormLSTM"])
def test_no_step_asks_for_memory(name, on_cupy):
    layer = made(LAYERS[name], 2, 5)
    counts = []
    for T in (3, 20):
        x = mg.ones((T, 3, 2), dtype="float64", requires_grad=True)
        memory = CUPY.xp.cuda.MemoryPool().malloc
        with CUPY.xp.cuda.using_allocator(memory), Allocations() as pool:
            y, _ = layer(x)
            mg.grad([y.sum()], [x, *layer.parameters()])
        counts.append(pool.count)
    assert counts[0] == counts[1] > 0


# --- kernels -----------------------------------------------------------------------------------


def test_kernels_are_readable_files_in_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    kernels = Kernels("// text\n", CUPY.xp)
    assert kernels.path.parent == tmp_path and kernels.path.suffix == ".cu"
    assert kernels.path.read_text() == "// text\n"


def test_no_size_compiles_anew(on_cupy):
    before = set(CUPY.kernels)
    for T, N, I, H in ((4, 3, 2, 5), (1, 1, 1, 1), (2, 2, 2, 2), (3, 33, 1, 70)):
        y, _ = made(GRU, I, H)(mg.ones((T, N, I), dtype="float64"))
        y.sum().backward()
    assert len(set(CUPY.kernels) - before) <= 2


def test_line_information_is_for_cuda_only():
    """It is NVIDIA's profilers that want it, and AMD's compiler that doesn't know the option."""
    for is_hip in (False, True):
        asked = []

        def module(code, options, asked=asked):
            asked.append((code, options))
            return SimpleNamespace(get_function=lambda name: name)

        runtime = SimpleNamespace(is_hip=is_hip)
        cupy = SimpleNamespace(RawModule=module, cuda=SimpleNamespace(runtime=runtime))
        kernels = Kernels("// text\n", cupy)
        assert kernels.get("region0", large=False) == "region0"
        kernels.get("region1", large=False)
        kernels.get("region0", large=True)
        (code, few), (_, large) = asked
        assert code == f'#line 1 "{kernels.path.as_posix()}"\n// text\n'
        assert (few, large) == (
            ((), ("-DLARGE",)) if is_hip else (("-lineinfo",), ("-DLARGE", "-lineinfo"))
        )


@pytest.mark.parametrize("name", ["LSTM", "LayerNormLSTM"])
def test_indices_of_64_bits_where_32_do_not_reach(name, monkeypatch):
    sizes, options = (4, 3, 2, 17), {"seed": 0}
    few = results("cupy", LAYERS[name], sizes, "float64", **options)
    monkeypatch.setattr(loop, "_LARGE", 1)
    asked = []
    get = Kernels.get
    monkeypatch.setattr(
        Kernels, "get", lambda self, name, large: asked.append(large) or get(self, name, large)
    )
    large = results("cupy", LAYERS[name], sizes, "float64", **options)
    assert asked and all(asked)
    for a, b in zip(few, large, strict=True):
        np.testing.assert_array_equal(a, b)
