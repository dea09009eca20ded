"""Sizes that happen to be equal, or 1: what an axis means, no size says."""

import numpy as np
import pytest
from interpreted_backend import InterpretedBackend
from scans import Scan, assert_close, fusing, run

import minigrad as mg

SQUARE = 3  # sequences and features


def both_ways(cell, xs, state, **params):
    """What a cell gives if it is compiled where that can be, and composed."""
    params = {name: np.asarray(value) for name, value in params.items()}
    for wanted in (None, []):
        scan = Scan(cell, params, xs, state)
        found = run(scan, InterpretedBackend(), "1", wanted)
        assert_close(found, run(scan, "numpy", "0", wanted), 1e-9)


ROW_COUNTERS = {
    "length": lambda p, x, s: (x * len(x), mg.tanh(s + x)),
    "share": lambda p, x, s: (x * (1 / x.shape[0]), mg.tanh(s + x)),
    "branch": lambda p, x, s: (x * 2 if x.shape[0] == 1 else x, mg.tanh(s + x)),
    "constant": lambda p, x, s: (x, mg.tanh(s + mg.full((1, s.shape[1]), float(len(s))))),
    "none": lambda p, x, s: (x, mg.tanh(s + x)),
}


@pytest.mark.parametrize("name", ROW_COUNTERS)
def test_a_cell_that_counts_its_rows(name):
    rng = np.random.default_rng(0)
    mg.reset_dispatch_counts()
    for n in (1, 2, 3):
        both_ways(ROW_COUNTERS[name], rng.normal(size=(4, n, 3)), rng.normal(size=(n, 3)))
    fused = [key for key in mg.dispatch_counts() if key[2] == "fused"]
    assert fused or name == "constant"


def repeated_to_one(p, x, s):
    column = mg.broadcast_to(x, (x.shape[0], 1)) * p["w"]
    return mg.broadcast_to(s @ p["u"] * column, column.shape), mg.tanh(s + column)


def test_a_single_feature_that_has_to_be_one():
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(1, 1)), "u": rng.normal(size=(4, 1))}
    both_ways(repeated_to_one, rng.normal(size=(4, 3, 1)), rng.normal(size=(3, 4)), **params)


ROWS_AS_FEATURES = {
    "state": lambda p, x, s: (x * s[1], (mg.tanh(s[0] + x * s[1]), mg.tanh(s[1]))),
    "sum": lambda p, x, s: (x * s[0].sum(axis=1), (mg.tanh(s[0] + x), s[1])),
    "turned": lambda p, x, s: (x.reshape(x.shape[1], x.shape[0]), (mg.tanh(s[0] + x), s[1])),
    "parameter": lambda p, x, s: (x * p["v"], (mg.tanh(s[0] + x), s[1])),
    "column": lambda p, x, s: (x * p["v"].reshape(-1, 1), (mg.tanh(s[0] + x), s[1])),
}


@pytest.mark.parametrize("name", ROWS_AS_FEATURES)
def test_as_many_sequences_as_features(name):
    """A vector with a number per sequence, or per feature: which, no size says."""
    rng = np.random.default_rng(0)
    x, h, v = (rng.normal(size=size) for size in ((4, SQUARE, SQUARE), (SQUARE, SQUARE), SQUARE))
    both_ways(ROWS_AS_FEATURES[name], x, (h, v), v=v)


# --- fused functions ---------------------------------------------------------------------------

FUNCTIONS = {
    "sum of rows": lambda x, v: x * x.sum(axis=-1),
    "features": lambda x, v: x * v,
    "column": lambda x, v: x * v.reshape(-1, 1),
    "length": lambda x, v: x * len(x),
    "share": lambda x, v: x * (1 / x.shape[0]),
    "branch": lambda x, v: x * 2 if x.shape[0] == 1 else x + v,
    "turned": lambda x, v: mg.swapaxes(x, -1, -2) * x,
    "in place": lambda x, v: mg.transpose(x, tuple(range(x.ndim))) * v,
    "turned in shape": lambda x, v: mg.reshape(x, x.shape[::-1]) * x,
    "one column": lambda x, v: x[..., :1] * x + v[-1:],
    "whole": lambda x, v: x[..., :3] * x[..., 0:] + v[:3],
    "last axis": lambda x, v: mg.softmax(x, axis=1),
    "leading axis": lambda x, v: mg.softmax(x, axis=-2),
    "turned columns": lambda x, v: mg.concatenate([x[..., 1:], x[..., :1]], axis=1) + v,
    "none": lambda x, v: mg.concatenate([x[..., 3:], x, v * x[..., :0]], axis=-1),
}
SHAPES = [(3, 3), (1, 3), (3, 1), (1, 1), (3, 3, 3), (1, 3, 3), (2, 1, 3), (3,), (1,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_any_rows(name, shape, fast_ways):
    function = mg.fuse(FUNCTIONS[name], name=name)
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=shape), rng.normal(size=shape[-1])

    def results(backend, fused):
        x, v = (mg.tensor(a, requires_grad=True, backend=backend) for a in arrays)
        with mg.use_backend(backend), fusing(fused):
            y = function(x, v)
            g = mg.tensor(np.random.default_rng(1).normal(size=y.shape))
            grads = mg.grad(y, [x, v], g, allow_unused=True)
        return [t.numpy() for t in (y, *grads) if t is not None]

    try:
        right = results("numpy", "0")
    except ValueError as wrong:  # such a shape is none for it: then the kernel's way says so, too
        with pytest.raises(ValueError, match=str(wrong).partition(":")[0]):
            results(InterpretedBackend(), "1")
    else:
        assert_close(results(InterpretedBackend(), "1"), right, 1e-9)


def test_slices_of_all_features_are_fused():
    with fusing("require"), mg.use_backend(InterpretedBackend()):
        x, v = mg.ones((2, 3)), mg.ones(3)
        assert mg.fuse(FUNCTIONS["whole"])(x, v).tolist() == [[2.0] * 3] * 2
