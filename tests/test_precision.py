"""How exact products are: who chooses, and what programs compute then."""

import threading
import warnings

import numpy as np
import pytest
from bf16_parts import emulated_tiles

import minigrad as mg
from minigrad import doctor
from minigrad.models import LSTM
from minigrad.precision import PARTS, products
from minigrad.utils.settings import SettingError


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv("MINIGRAD_PRODUCTS", raising=False)
    with mg.set_products("float32"):  # gives back what a test chooses
        yield


# --- who chooses -------------------------------------------------------------------------------


def test_from_here_on_and_within_blocks():
    assert products() == "float32"
    assert repr(mg.set_products("bf16")) == "set_products('bf16')"
    assert products() == "bf16"
    with mg.set_products("bf16x3"):
        assert products() == "bf16x3"
        with mg.set_products("bf16x6"):
            assert products() == "bf16x6"
        assert products() == "bf16x3"
        mg.set_products("float32")
        assert products() == "float32"
    assert products() == "bf16"


def test_a_decorated_function_and_a_generator():
    @mg.set_products("bf16x6")
    def inside():
        return products()

    @mg.set_products("bf16x3")
    def steps():
        yield products()
        yield products()

    assert (products(), inside(), products()) == ("float32", "bf16x6", "float32")
    going = steps()
    assert (next(going), products(), next(going)) == ("bf16x3", "float32", "bf16x3")


def test_the_variable_holds_where_nothing_is_chosen(monkeypatch):
    monkeypatch.setenv("MINIGRAD_PRODUCTS", "bf16x6")
    found = []
    other = threading.Thread(target=lambda: found.append(products()))
    other.start()
    other.join()
    assert found == ["bf16x6"] and products() == "float32"
    monkeypatch.setenv("MINIGRAD_PRODUCTS", "bf16x9")

    def fails():
        with pytest.raises(SettingError, match="float32, bf16x6, bf16x3 or bf16; got 'bf16x9'"):
            products()
        found.append("failed")

    other = threading.Thread(target=fails)
    other.start()
    other.join()
    assert found[-1] == "failed"


@pytest.mark.parametrize("mode", ["bf16x2", "tf32", "", None, 3, [], "BF16"])
def test_other_modes(mode):
    with pytest.raises(ValueError, match=r"set_products: mode is float32, .* or bf16; got"):
        mg.set_products(mode)
    assert products() == "float32"


# --- programs ----------------------------------------------------------------------------------


def step(seed=0):
    """The gradients of a layer and of a large product after it, N = 20."""
    mg.manual_seed(seed)
    layer, w = LSTM(24, 40), mg.randn((40, 130), requires_grad=True)
    x = mg.randn((6, 20, 24), requires_grad=True)
    y, _ = layer(x)
    loss = mg.mean(mg.tanh(mg.reshape(y, (120, 40)) @ w) ** 2)
    return [g.numpy() for g in mg.grad(loss, [x, w, *layer.parameters()])]


def large():
    """One product outside of scans."""
    rng = np.random.default_rng(0)
    a, b = (mg.tensor(rng.normal(size=n).astype(np.float32)) for n in ((70, 90), (90, 50)))
    return [(a @ b).numpy()]


def inside():
    """Products inside a scan, and none outside."""
    rng = np.random.default_rng(0)
    sizes = (40, 40), (6, 20, 40), (20, 40)
    u, x, h = (mg.tensor(rng.normal(size=n).astype(np.float32) / 6) for n in sizes)

    def cell(u, x, h):
        h = mg.tanh(x + h @ u)
        return h, h

    return [mg.scan(cell, u, x, h)[0].numpy()]


def distance(found, right):
    return max(
        np.sqrt(np.mean((x.astype(float) - y) ** 2) / np.mean(y.astype(float) ** 2))
        for x, y in zip(found, right, strict=True)
    )


@pytest.fixture
def numba():
    try:
        with mg.use_backend("numba"):
            yield
    except mg.BackendError as missing:
        pytest.skip(str(missing))


@pytest.mark.numba
@pytest.mark.parametrize("program", [large, inside, step])
def test_every_mode_in_scans_and_large_products(program, numba, fast_ways):
    """The kernels are the same in all modes, and float32 gives the same bits before and after."""
    with emulated_tiles():
        before = program()
        found = {}
        for mode in PARTS:
            with mg.set_products(mode):
                found[mode] = distance(program(), before)
        after = program()
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))
    assert found["float32"] == 0
    assert 0 < found["bf16x6"] < 3e-6
    assert 1e-7 < found["bf16x3"] < 3e-5
    assert 1e-4 < found["bf16"] < 3e-2


@pytest.mark.numba
def test_double_precision_and_small_products_stay(numba):
    with emulated_tiles(small=False):
        before = step()
        with mg.set_products("bf16"):
            after = step()
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))
    with emulated_tiles():
        x = mg.randn((300, 300), dtype="float64")
        y = (x @ x).numpy()
        with mg.set_products("bf16"):
            assert np.array_equal((x @ x).numpy(), y)


@pytest.mark.numba
def test_where_it_cannot_run_it_says_so_once(numba, monkeypatch):
    from minigrad.backends.numba_kernels import amx

    monkeypatch.setattr(amx, "why_not", lambda: "no AMX: the processor lacks amx_bf16")
    amx._warn.cache_clear()
    x = mg.ones((300, 300))
    y = (x @ x).numpy()
    with mg.set_products("bf16x3"):
        with pytest.warns(UserWarning, match="bf16x3 .* float32 here; no AMX: the processor lacks"):
            found = (x @ x).numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            x @ x
        lines = [row["lines"] for row in doctor.report() if row["name"] == "numba"]
    assert np.array_equal(found, y)
    assert lines == [["products in float32, not in bf16x3: no AMX: the processor lacks amx_bf16"]]


@pytest.mark.numba
def test_doctor_says_what_can_be_chosen(numba):
    with emulated_tiles():
        lines = [row["lines"] for row in doctor.report() if row["name"] == "numba"]
    modes = "float32, bf16x6, bf16x3, bf16"
    assert lines == [[f"products in float32; MINIGRAD_PRODUCTS may be {modes}"]]
