"""Very long sequences without gradients: memory is the outputs' and a bounded rest."""

import tracemalloc

import numpy as np
import pytest
from scans import fusing

import minigrad as mg
from minigrad.models import GRU, LSTM, RNN
from minigrad.models.zoo import MGU

T, N, H = 100_000, 1, 4


def peak(run):
    """The most bytes that were allocated at one time in between."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def numba():
    try:
        backend = mg.get_backend("numba")
    except mg.BackendError as missing:
        pytest.skip(str(missing))
    with mg.use_backend(backend), fusing("require"):
        yield


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU, MGU])
def test_a_hundred_thousand_steps(cell, numba):
    layer = cell(H, H)
    x = mg.randn((T, N, H))
    kept = []
    with mg.no_grad():
        layer(x[:10])  # compiled before
        used = peak(lambda: kept.extend(layer(x)))
        y, last = kept
        assert used < 2 * y.data.nbytes  # less than the inputs' products alone would take
        half, state = layer(x[: T // 2])
        rest, end = layer(x[T // 2 :], state)
    found = np.concatenate([half.numpy(), rest.numpy()])
    np.testing.assert_allclose(y.numpy(), found, rtol=1e-5, atol=1e-6)
    for a, b in zip(np.asarray(last), np.asarray(end), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_composed_steps_keep_their_outputs_only():
    layer = LSTM(64, 64).to("numpy")
    x = mg.randn((300, 8, 64), backend="numpy")
    outputs = x.data.nbytes  # as large as the inputs
    with fusing("0"):
        graph = peak(lambda: layer(x))
        with mg.no_grad():
            used = peak(lambda: layer(x))
    assert outputs < used < 3 * outputs < graph / 2
