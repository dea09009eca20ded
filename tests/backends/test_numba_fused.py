"""What fused scans and functions cost on the Numba backend."""

import sys

import numpy as np
import pytest
from functions import normal, results
from scans import assert_close, fusing

import minigrad as mg
from minigrad.models import LSTM

try:
    NUMBA = mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

pytestmark = pytest.mark.numba


@pytest.fixture(autouse=True)
def always_fused():
    with fusing("require"), mg.use_backend(NUMBA):
        yield


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
    assert 20 < len(own) < 265


def test_losses_of_little_work_are_composed_on_the_cpu():
    mg.reset_dispatch_counts()
    with fusing("require"):
        for loss in (mg.mse_loss, mg.l1_loss, mg.huber_loss):
            assert loss(mg.ones((200, 300)), mg.zeros((200, 300))).item() in (0.5, 1.0)
    assert mg.dispatch_counts() == {}


@pytest.mark.parametrize("shape", [(40, 33), (9, 2000), (70, 900)])
def test_single_precision_and_any_number_of_threads(shape, monkeypatch):
    n = shape[1]
    labels = np.random.default_rng(0).integers(0, n, shape[0])
    functions = {
        "gelu": (mg.gelu, 1),
        "softmax": (mg.softmax, 1),
        "layer_norm": (lambda x, w, b: mg.layer_norm(x, n, w, b), 3),
        "cross_entropy": (lambda x: mg.cross_entropy(x, labels), 1),
    }
    for function, count in functions.values():
        arrays = [normal(*shape), normal(n), normal(n)][:count]
        right = results(function, arrays, "numpy", "0")
        single = [a.astype("float32") for a in arrays]
        alone = None
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("MINIGRAD_THREADS", threads)
            found = results(function, single, NUMBA, "require")
            assert {a.dtype.name for a in found} == {"float32"}
            assert_close([a.astype("float64") for a in found], right, 3e-5)
            alone = alone or found
            assert all(map(np.array_equal, found, alone))
