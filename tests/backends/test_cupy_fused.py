"""Fused scans on the CuPy backend: as composed, with few launches and nothing else per step."""

from types import SimpleNamespace

import numpy as np
import pytest
from cupy_on_cpu.counters import ABSENT, PRESENT, counted
from fused_layers import LAYERS, made, results
from odd_cells import SCANS
from scans import assert_fused_as_composed, fusing

import minigrad as mg

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


@pytest.mark.parametrize("name", SCANS)
def test_odd_cells(name):
    scan = SCANS[name]
    assert_fused_as_composed(scan, "cupy", 1e-10)
    assert_fused_as_composed(scan._replace(reverse=True), "cupy", 1e-10, wanted=[])
    padded = scan._replace(lengths=[4, 0, 2], reverse=True)
    assert_fused_as_composed(padded, "cupy", 1e-10)


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
