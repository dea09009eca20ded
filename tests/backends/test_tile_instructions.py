"""The instructions of a tile unit: products by them are those of the emulated unit, to the bit.

They run on a processor with the unit (Intel AMX), and on others in a process where the instructions
are trapped: the last test runs the others there, and those of `test_products_in_parts.py`.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading

import amx_trap
import numpy as np
import pytest
from bf16_parts import emulated_tiles
from fast_ways import forced_fast_ways
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

import minigrad as mg
from minigrad import models

pytest.importorskip("numba", reason="numba is not installed")

from numba import njit

from minigrad.backends.numba_kernels import amx, tiles
from minigrad.backends.numba_kernels import gemm as numba_gemm

with_unit = pytest.mark.skipif(amx.why_not() is not None, reason=str(amx.why_not()))
PARTS, MODES = (1, 2, 3), ("bf16", "bf16x3", "bf16x6")

# Kernels of gates take long to compile, once more for another processor.
DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
LAYERS = ("RNN", "GRU", "LSTM") if DEEP or "LD_PRELOAD" not in os.environ else ("RNN",)


@contextlib.contextmanager
def on(unit):
    with emulated_tiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(amx, "EMULATED", unit == "emulated")
        yield


def assert_same_bits(x, y):
    np.testing.assert_array_equal(x.view(np.uint32), y.view(np.uint32))


# --- one instruction after the other -----------------------------------------------------------


def one_product(real):
    @njit
    def run(unit, config, a, a_row, b, b_row, c, c_row):
        tiles.load_config(real, unit, config)
        tiles.load(real, unit, 0, c, c_row)
        tiles.load(real, unit, 5, a, a_row)
        tiles.load(real, unit, 7, b, b_row)
        tiles.multiply_add(real, unit, 0, 5, 7)
        tiles.store(real, unit, 0, c, c_row)
        tiles.zero(real, unit, 0)
        tiles.multiply_add(real, unit, 0, 5, 7)
        tiles.store(real, unit, 0, c + 16 * c_row, c_row)
        tiles.release(real, unit)

    return run


if amx.why_not() is None:
    PRODUCTS = one_product(True), one_product(False)


def description(rows, pairs, columns):
    """Registers 0, 5 and 7 as a result and its operands."""
    config = np.zeros(64, np.uint8)
    config[0] = 1
    config[16:32].view(np.uint16)[[0, 5, 7]] = 4 * columns, 4 * pairs, 4 * columns
    config[[48, 53, 55]] = rows, rows, pairs
    return config


def any_numbers(rng, *shape):
    """Of all sizes: some close together, some far apart, and the odd ones."""
    low = rng.integers(1, 256)
    exponents = rng.integers(0, low, shape, np.uint32) + rng.integers(0, 256 - low)
    bits = exponents << 23 | rng.integers(0, 1 << 23, shape, np.uint32)
    return bits ^ rng.integers(0, 2, shape, np.uint32) << 31


@with_unit
@given(
    rows=st.integers(1, 16),
    pairs=st.integers(1, 16),
    columns=st.integers(1, 16),
    seed=st.integers(0, 1 << 30),
)
def test_numbers_of_all_kinds(rows, pairs, columns, seed):
    """Rounding, infinity, numbers below the normal ones, signs of zeros; NaN where it is NaN."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        config = description(rows, pairs, columns)
        strides = [int(4 * rng.integers(16, 40)) for _ in range(3)]
        a, b = (any_numbers(rng, 16, stride // 4) for stride in strides[:2])
        c = any_numbers(rng, 32, strides[2] // 4)
        a[rng.random(a.shape) < 0.2] &= 0x80000000
        found = []
        for product in PRODUCTS:
            unit, out = np.zeros(tiles.UNIT, np.uint8), c.copy()
            places = [x.ctypes.data for x in (unit, config, a, b, out)]
            product(*places[:3], strides[0], places[3], strides[1], places[4], strides[2])
            out = out.view(np.float32)
            out[np.isnan(out)] = np.nan
            found.append(out)
        assert_same_bits(*found)


# --- products ----------------------------------------------------------------------------------


def product(a, b, start, parts):
    c = np.full((len(a) + 2, b.shape[1] + 3), 7, np.float32)
    numba_gemm.matmul(a, b, c[1:-1, :-3], start, parts)
    assert not is_configured()
    return c


def is_configured():
    """Whether a product left this thread's unit configured; only the trap knows."""
    library = ctypes.CDLL(None)
    return hasattr(library, "amx_trap_configured") and library.amx_trap_configured()


def cases():
    """Rows, terms and columns on all sides of a tile, of pairs of tiles, and of 128 rows."""
    yield from ((m, 5, 40) for m in range(1, 50))
    yield from ((m, 70, 33) for m in (127, 129, 140, 263))
    yield from ((20, k, 19) for k in range(1, 67))
    yield from ((m, 37, n) for n in range(1, 70) for m in (19, 47))


@with_unit
@pytest.mark.parametrize("parts", PARTS)
def test_every_remainder(parts):
    rng = np.random.default_rng(parts)
    for rows, terms, columns in cases():
        a, b, start = (
            rng.standard_normal(shape, np.float32)
            for shape in ((rows, terms), (terms, columns), (rows, columns))
        )
        order = rng.choice(["C", "F"], 2)
        a, b = np.array(a, order=order[0]), np.array(b, order=order[1])
        start = (None, start, start[0])[rng.integers(3)]
        found = []
        for unit in ("emulated", "processor's"):
            with on(unit):
                found.append(product(a, b, start, parts))
        assert_same_bits(*found)


@with_unit
@pytest.mark.parametrize("parts", PARTS)
def test_rows_of_extreme_numbers(parts):
    """Of the left operand they are in float32, as are all if there are any in the right one."""
    rng = np.random.default_rng(parts)
    for number in (np.inf, np.nan, -3e38, 1e-30, 1e-45):
        a, b = rng.standard_normal((37, 50), np.float32), rng.standard_normal((50, 40), np.float32)
        a[3:5], a[20, 7] = number, number
        bad = b.copy()
        bad[:, 3] = number
        for right in (b, bad):
            with on("emulated"):
                float32 = product(a, right, None, 0)
                emulated = product(a, right, None, parts)
            with on("processor's"):
                found = product(a, right, None, parts)
            assert_same_bits(found, emulated)
            assert_same_bits(found[4:6], float32[4:6])


def layer(kind):
    """The outputs and gradients of a layer, in chunks of rows for three threads."""
    mg.manual_seed(0)
    one = getattr(models, kind)(7, 24).to("numba")
    x = mg.randn((4, 19, 7), requires_grad=True, backend="numba")
    y, _ = one(x)
    gradients = mg.grad(y, [x, *one.parameters()], mg.randn(y.shape, backend="numba"))
    return [g.numpy() for g in (y, *gradients)]


@with_unit
@pytest.mark.numba
@pytest.mark.parametrize("kind", LAYERS)
def test_layers(kind, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    with forced_fast_ways():
        for mode in MODES:
            found = []
            for unit in ("emulated", "processor's"):
                with on(unit), mg.set_products(mode):
                    found.append(layer(kind))
            for x, y in zip(*found, strict=True):
                assert_same_bits(x, y)


# --- threads, signals, processes ---------------------------------------------------------------


def operands(seed):
    rng = np.random.default_rng(seed)
    rows, terms, columns = [(5, 64, 100), (32, 128, 70), (16, 64, 90), (50, 90, 120)][seed % 4]
    a = rng.standard_normal((rows, terms), np.float32)
    return a, rng.standard_normal((terms, columns), np.float32)


@with_unit
def test_many_threads_at_once():
    """Each has registers of its own, of other sizes."""
    wrong = []

    def work(seed):
        for _ in range(5):
            if not np.array_equal(product(*operands(seed), None, 2), right[seed]):
                wrong.append(seed)

    with on("emulated"):
        right = [product(*operands(seed), None, 2) for seed in range(8)]
    with on("processor's"):
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@with_unit
def test_signals_within_products():
    """The system keeps the registers while a handler runs."""
    count = 0

    def handle(*_):
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        with on("processor's"):
            found = [product(*operands(3), None, 3) for _ in range(20)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with on("emulated"):
        right = product(*operands(3), None, 3)
    assert count > 0 and all(np.array_equal(c, right) for c in found)


def in_a_child(work):
    """A fork's exit code, as `os.waitstatus_to_exitcode` gives it, and what it wrote to stderr."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 2)
        os.close(read)
        os._exit(0 if work() else 1)
    os.close(write)
    with open(read) as stderr:
        text = stderr.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


@with_unit
def test_a_fork_may_use_the_unit():
    with on("processor's"):
        right = product(*operands(1), None, 3)
        assert in_a_child(lambda: np.array_equal(product(*operands(1), None, 3), right)) == (0, "")


@with_unit
def test_the_trap_tells_wrong_use():
    """Or the tests above would prove little."""
    if not hasattr(ctypes.CDLL(None), "amx_trap_configured"):
        pytest.skip("this processor has the unit: nothing is trapped")
    memory = np.zeros((64, 64), np.uint8)

    def run(config):
        places = [x.ctypes.data for x in (memory, config, memory)]
        PRODUCTS[0](*places, 64, places[2], 64, places[2], 64)
        return True

    def changed(**changes):
        config = description(5, 6, 7)
        for at, value in changes.items():
            config[int(at[1:])] = value
        return config

    assert in_a_child(lambda: run(changed()))[0] == 0
    for config, message in (
        (changed(_0=2), "#GP: palette"),
        (changed(_0=0), "#UD: tiles are not configured"),
        (changed(_3=1), "#GP: a reserved byte"),
        (changed(_48=17), "#GP: a tile is too large"),
        (changed(_53=0), "#GP: one of rows and bytes is 0"),
        (changed(_48=4), "#UD: rows differ"),
        (changed(_26=20), "#UD: terms differ"),
        (changed(_16=20), "#UD: columns differ"),
    ):
        code, text = in_a_child(lambda config=config: run(config))
        assert code == -signal.SIGABRT and message in text


# --- all of it, trapped ------------------------------------------------------------------------

PRODUCTS_IN_PARTS = "tests/backends/test_products_in_parts.py"
TRAPPED = __file__, PRODUCTS_IN_PARTS if DEEP else f"{PRODUCTS_IN_PARTS}::test_products"


@pytest.mark.skipif(amx.why_not() is None, reason="the tests ran on the processor's own unit")
@pytest.mark.skipif(amx_trap.why_not() is not None, reason=str(amx_trap.why_not()))
def test_with_the_instructions_trapped(tmp_path):
    # No faulthandler, which would take the trap's signal; not the emulated unit once more.
    chosen = "-p", "no:faulthandler", "-p", "no:xdist", "-q", "-k", "not emulated and not trapped"
    command = [sys.executable, "-m", "pytest", *chosen, *TRAPPED]
    done = subprocess.run(
        command,
        env=amx_trap.environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout) and "skipped" not in done.stdout, done.stdout
