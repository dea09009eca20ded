"""The library's functions by Numba's kernels, against their compositions on NumPy."""

import os

import numpy as np
import pytest
from functions import assert_fused_as_composed, normal, results
from hypothesis import given
from hypothesis import strategies as st
from random_rows import classified
from scans import assert_close, fusing

import minigrad as mg

try:
    NUMBA = mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

ROWS = st.sampled_from([(7,), (1, 5), (3, 1), (4, 33), (2, 3, 16), (1, 2, 1, 5)])


def same(function, *arrays, order=2):
    assert_fused_as_composed(function, arrays, order=order, backend=NUMBA)


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "leaky_relu", "softmax", "log_softmax"])
@given(shape=ROWS)
def test_activations(name, shape):
    same(getattr(mg, name), normal(*shape) * 3)


@given(shape=ROWS, affine=st.sampled_from(["", "w", "wb"]))
def test_layer_norm(shape, affine):
    n = shape[-1]
    same(lambda x, *wb: mg.layer_norm(x, n, *wb), normal(*shape), *(normal(n) for _ in affine))


def test_layer_norm_over_several_axes():
    w = normal(2, 3)
    same(lambda x, w, b: mg.layer_norm(x, (2, 3), w, b), normal(4, 2, 3), w, w + 1)


@pytest.mark.parametrize("shared", [(3,), (1, 3), (), (1,), (1, 1)])
def test_what_rows_share_in_several_places(shared):
    def spread(x, w):
        rows = mg.broadcast_to(w, x.shape)
        return mg.where(x > 0, rows, 0), rows * x, rows.sum(axis=-1)

    same(mg.fuse(spread), normal(5, 3), normal(*shared))
    same(mg.fuse(spread), normal(2, 4, 3), normal(*shared))


@given(
    shape=ROWS,
    pos_weight=st.sampled_from([None, 2.5]),
    reduction=st.sampled_from(["mean", "none"]),
)
def test_logit_losses(shape, pos_weight, reduction):
    target = np.random.default_rng(0).random(shape)
    options = {"pos_weight": pos_weight, "reduction": reduction}
    same(
        lambda x, t: mg.binary_cross_entropy_with_logits(x, t.detach(), **options),
        *(normal(*shape) * 3, target),
    )


@given(case=classified())
def test_cross_entropy(case):
    arrays, labels, options = case
    same(lambda x, *weight: mg.cross_entropy(x, labels, *weight, **options), *arrays)


@given(case=classified())
def test_cross_entropy_with_probabilities(case):
    (x, *weight), _, options = case
    target = np.random.default_rng(1).random(x.shape)
    same(lambda x, t, *weight: mg.cross_entropy(x, t, *weight, **options), x, target, *weight)


FUNCTIONS = {name: getattr(mg, name) for name in ("gelu", "silu", "elu", "softmax", "log_softmax")}
FUNCTIONS |= {
    "dropout": mg.dropout,
    "layer_norm": lambda x, *wb: mg.layer_norm(x, 4, *wb),
    "cross_entropy": lambda x: mg.cross_entropy(x, [1, 3, 0]),
    "logit losses": lambda x: mg.binary_cross_entropy_with_logits(x, mg.full_like(x, 0.3)),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_by_finite_differences(name, order):
    shapes = [(3, 4), *([(4,), (4,)] if name == "layer_norm" else [])]
    inputs = [mg.tensor(normal(*shape), backend=NUMBA) for shape in shapes]
    with fusing("require"):
        report = mg.gradcheck(FUNCTIONS[name], inputs, order=order)
    assert report, report


@pytest.mark.parametrize("n", [1, 3, 70])
def test_extremes_of_rows_wherever_a_nan_is(n):
    extremes = mg.fuse(lambda x: (x.max(axis=-1), x.min(axis=-1), mg.maximum(x, 0.5)))
    x = normal(2 * n + 2, n)
    x[range(n), range(n)] = np.nan
    x[range(n, 2 * n), range(n)] = -np.inf
    x[-2:] = [[0.0], [-0.0]]
    same(extremes, x, order=1)


@pytest.mark.parametrize("shape", [(40, 33), (9, 2000)])
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
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("MINIGRAD_THREADS", threads)
            found = results(function, single, NUMBA, "require")
            assert {a.dtype.name for a in found} == {"float32"}
            assert_close([a.astype("float64") for a in found], right, 3e-5)


def test_losses_of_little_work_are_composed_on_the_cpu():
    mg.reset_dispatch_counts()
    with fusing("require"), mg.use_backend(NUMBA):
        for loss in (mg.mse_loss, mg.l1_loss, mg.huber_loss):
            assert loss(mg.ones((200, 300)), mg.zeros((200, 300))).item() in (0.5, 1.0)
    assert mg.dispatch_counts() == {}


def test_no_shape_compiles_anew():
    mg.manual_seed(0)
    with fusing("require"), mg.use_backend(NUMBA):
        mg.softmax(mg.randn((4, 5)))
        before = set(NUMBA.kernels)
        for shape in ((2, 3), (7,), (2, 3, 4), (100, 2)):
            mg.softmax(mg.randn(shape))
    assert set(NUMBA.kernels) == before


def test_training_with_kernels_is_training_without():
    def trained(backend, choice):
        mg.manual_seed(0)
        with mg.use_backend(backend), fusing(choice):
            layers = mg.nn.Sequential(
                *(mg.nn.Linear(5, 8), mg.nn.LayerNorm(8), mg.gelu, mg.nn.Dropout(0.2)),
                mg.nn.Linear(8, 3),
            ).astype("float64")
            optimizer = mg.optim.AdamW(layers.parameters(), lr=0.05)
            x, losses = mg.tensor(normal(20, 5)), []
            for _ in range(8):
                optimizer.zero_grad()
                loss = mg.cross_entropy(layers(x), np.arange(20) % 3)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

    found = trained("numba", "require")
    assert found[-1] < found[0]
    np.testing.assert_allclose(found, trained("numpy", "0"), rtol=1e-9)


# --- an embedding's gradient ----------------------------------------------------------------------


@given(
    table=st.sampled_from([(5,), (5, 300), (3, 2, 7), (1, 1)]),
    index=st.sampled_from([(2000,), (40, 50), (1000, 1)]),
    threads=st.sampled_from(["1", "2"]),
    kind=st.sampled_from(["int64", "int32", "backwards"]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
def test_scatter_adds_up_rows(table, index, threads, kind, dtype):
    rng = np.random.default_rng(0)
    positions = rng.integers(-table[0], table[0], index)
    positions = positions[::-1] if kind == "backwards" else positions.astype(kind)
    g = rng.integers(-9, 9, (*index, *table[1:])).astype(dtype)  # sums are exact
    right = np.zeros(table, dtype)
    np.add.at(right, positions, g)
    before = os.environ.get("MINIGRAD_THREADS")
    os.environ["MINIGRAD_THREADS"] = threads
    try:
        found = NUMBA.scatter(g, positions, table)
    finally:
        os.environ.pop("MINIGRAD_THREADS")
        os.environ.update({} if before is None else {"MINIGRAD_THREADS": before})
    assert found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)


def test_scatter_of_broadcast_cotangents_and_of_other_indices():
    g = np.broadcast_to(np.float32(2), (2000, 3))
    index = np.zeros(2000, int)
    np.testing.assert_array_equal(NUMBA.scatter(g, index, (2, 3)), [[4000] * 3, [0] * 3])
    flags = np.arange(2000) % 2 == 0
    pairs = (np.zeros(2000, int), np.arange(2000) % 3)
    host = mg.get_backend("numpy")
    for index, part, shape in (
        (flags, g[:1000], (2000, 3)),
        (pairs, g[:, 0], (2, 3)),
        (slice(0, 2000), g, (3000, 3)),
    ):
        found = NUMBA.scatter(part, index, shape)
        np.testing.assert_array_equal(found, host.scatter(part, index, shape))


def test_scatter_knows_no_rows_that_are_not_there():
    g = np.ones((2000, 3), "float32")
    for wrong in (5, -6):
        index = np.full(2000, wrong)
        with pytest.raises(IndexError, match=f"row {wrong} of a table of 5 rows"):
            NUMBA.scatter(g, index, (5, 3))
