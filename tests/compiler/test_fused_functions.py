"""The library's functions by kernels, against their compositions on NumPy."""

import numpy as np
import pytest
from functions import assert_fused_as_composed, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from random_rows import classified
from scans import fusing

import minigrad as mg

# Each case is traced, and makes kernels if it is the first of its kind.
fewer = settings(max_examples=max(6, settings.default.max_examples // 2))
ROWS = st.sampled_from([(7,), (1, 5), (3, 1), (4, 33), (2, 3, 16), (1, 2, 1, 5)])


def same(function, *arrays, order=2):
    """On the current backend."""
    assert_fused_as_composed(function, arrays, order=order, backend=mg.current_backend())


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "leaky_relu", "softmax", "log_softmax"])
@given(shape=ROWS)
def test_activations(name, shape, compiling):
    same(getattr(mg, name), normal(*shape) * 3)


@given(shape=ROWS, affine=st.sampled_from(["", "w", "wb"]))
def test_layer_norm(shape, affine, compiling):
    n = shape[-1]
    same(lambda x, *wb: mg.layer_norm(x, n, *wb), normal(*shape), *(normal(n) for _ in affine))


def test_layer_norm_over_several_axes(compiling):
    w = normal(2, 3)
    same(lambda x, w, b: mg.layer_norm(x, (2, 3), w, b), normal(4, 2, 3), w, w + 1)


@pytest.mark.parametrize("shared", [(3,), (1, 3), (), (1,), (1, 1)])
def test_what_rows_share_in_several_places(shared, compiling):
    def spread(x, w):
        rows = mg.broadcast_to(w, x.shape)
        return mg.where(x > 0, rows, 0), rows * x, rows.sum(axis=-1)

    same(mg.fuse(spread), normal(5, 3), normal(*shared))
    same(mg.fuse(spread), normal(2, 4, 3), normal(*shared))


@given(rows=st.sampled_from([1, 2, 15, 16, 17, 33]), n=st.sampled_from([2, 5]))
def test_sums_over_rows_are_added_up_in_the_kernel(rows, n, compiling):
    def scaled(x, weight, bias, number):
        y = mg.sin(x) * weight
        return y * number + bias, mg.exp(x).sum(axis=-1) * number

    same(mg.fuse(scaled), normal(rows, n), normal(n), normal(n), normal())


@fewer
@given(
    shape=ROWS,
    pos_weight=st.sampled_from([None, 2.5]),
    reduction=st.sampled_from(["mean", "none"]),
)
def test_logit_losses(shape, pos_weight, reduction, compiling):
    target = np.random.default_rng(0).random(shape)
    options = {"pos_weight": pos_weight, "reduction": reduction}
    same(
        lambda x, t: mg.binary_cross_entropy_with_logits(x, t.detach(), **options),
        *(normal(*shape) * 3, target),
    )


@fewer
@given(case=classified())
def test_cross_entropy(case, compiling):
    arrays, labels, options = case
    same(lambda x, *weight: mg.cross_entropy(x, labels, *weight, **options), *arrays)


@fewer
@given(case=classified())
def test_likelihood_of_labels_on_the_device(case, compiling):
    arrays, labels, options = case

    def loss(x, *weight):
        there = mg.tensor(labels.astype("int32"), backend=x.backend)
        return mg.functional.nll_loss(x, there, *weight, **options)

    same(loss, *arrays)


@fewer
@given(case=classified())
def test_cross_entropy_with_probabilities(case, compiling):
    (x, *weight), _, options = case
    target = np.random.default_rng(1).random(x.shape)
    same(lambda x, t, *weight: mg.cross_entropy(x, t, *weight, **options), x, target, *weight)


FUNCTIONS = {name: getattr(mg, name) for name in ("gelu", "silu", "elu", "softmax", "log_softmax")}
FUNCTIONS |= {
    "dropout": mg.dropout,
    "layer_norm": lambda x, *wb: mg.layer_norm(x, 4, *wb),
    "cross_entropy": lambda x: mg.cross_entropy(x, [1, 3, 0]),
    "logit losses": lambda x: mg.binary_cross_entropy_with_logits(x, mg.full_like(x, 0.3)),
    "probability losses": lambda x: mg.binary_cross_entropy(mg.sigmoid(x), mg.full_like(x, 0.3)),
    "divergences": lambda x: mg.kl_div(x, mg.full_like(x, 0.3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_by_finite_differences(name, compiling):
    shapes = [(3, 4), *([(4,), (4,)] if name == "layer_norm" else [])]
    inputs = [mg.tensor(normal(*shape), backend=compiling) for shape in shapes]
    with fusing("require"):
        report = mg.gradcheck(FUNCTIONS[name], inputs, order=2)  # which checks the first, too
    assert report, report


@pytest.mark.parametrize("n", [1, 3, 70])
def test_extremes_of_rows_wherever_a_nan_is(n, compiling):
    extremes = mg.fuse(lambda x: (x.max(axis=-1), x.min(axis=-1), mg.maximum(x, 0.5)))
    x = normal(2 * n + 2, n)
    x[range(n), range(n)] = np.nan
    x[range(n, 2 * n), range(n)] = -np.inf
    x[-2:] = [[0.0], [-0.0]]
    same(extremes, x, order=1)


def test_no_shape_compiles_anew(compiling):
    mg.manual_seed(0)
    kernels = mg.get_backend(compiling).kernels
    with fusing("require"):
        mg.softmax(mg.randn((4, 5)))
        before = set(kernels)
        for shape in ((2, 3), (7,), (2, 3, 4), (100, 2)):
            mg.softmax(mg.randn(shape))
    assert set(kernels) == before


def test_training_with_kernels_is_training_without(compiling):
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

    found = trained(compiling, "require")
    assert found[-1] < found[0]
    np.testing.assert_allclose(found, trained("numpy", "0"), rtol=1e-9)
