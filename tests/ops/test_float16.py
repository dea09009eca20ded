"""float16 is stored, float32 is calculated with: only a result that is too large overflows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

HALF = np.float16


def half(values, backend, **options):
    return mg.tensor(np.asarray(values, HALF), backend=backend, **options)


def calls():
    """By name: a function of x (M, 4), large numbers, whose results are not."""
    labels = [0, 3, 1, 2]
    return {
        "mean": lambda x: mg.mean(x, axis=0),
        "mean of all": mg.mean,
        "var": lambda x: mg.var(x / 8, axis=-1),
        "std": lambda x: mg.std(x, axis=0),
        "norm": lambda x: mg.norm(x, axis=-1),
        "matmul": lambda x: (x / 256) @ x.T / 64,
        "dot": lambda x: mg.dot(x[0] / 256, x[1]),
        "einsum": lambda x: mg.einsum("ij,kj->ik", x / 256, x) / 64,
        "logsumexp": lambda x: mg.logsumexp(x, axis=-1),
        "softmax": lambda x: mg.softmax(x / 256, axis=0),
        "log_softmax": lambda x: mg.log_softmax(x / 8, axis=-1),
        "layer_norm": lambda x: mg.layer_norm(x, 4),
        "l1_loss": lambda x: mg.l1_loss(x, mg.zeros_like(x)),
        "huber_loss": lambda x: mg.huber_loss(x, mg.zeros_like(x), delta=0.5),
        "cross_entropy": lambda x: mg.cross_entropy(x, labels),
        "soft cross_entropy": lambda x: mg.cross_entropy(x, mg.softmax(x / 256, axis=-1)),
        "nll_loss": lambda x: mg.nll_loss(mg.log_softmax(x, axis=-1), labels),
        "binary": lambda x: mg.binary_cross_entropy_with_logits(x, mg.zeros_like(x)),
        "cumsum": lambda x: mg.cumsum(x, axis=0) / 8,
    }


@pytest.mark.parametrize("name", calls())
def test_as_in_float64_and_rounded(name, backend):
    f, rng = calls()[name], np.random.default_rng(0)
    values = (rng.uniform(200, 900, (4, 4)) * rng.choice([-1, 1], (4, 4))).astype(HALF)
    cotangent = None
    found = {}
    for dtype in ("float64", "float16"):
        x = mg.tensor(values.astype(dtype), backend=backend, requires_grad=True)
        y = f(x)
        if cotangent is None:
            cotangent = rng.uniform(0.5, 1, y.shape).astype(HALF)
        g = mg.grad(y, x, mg.tensor(cotangent.astype(dtype), backend=backend))
        assert y.dtype == g.dtype == dtype
        found[dtype] = y.numpy().astype(float), g.numpy().astype(float)
    for right, rounded in zip(found["float64"], found["float16"], strict=True):
        np.testing.assert_allclose(rounded, right, rtol=1e-2, atol=2e-2 * np.abs(right).max())


LONG = {
    "sum": lambda x: mg.sum(x, axis=-1) / 8,
    "mean": lambda x: mg.mean(x, axis=-1),
    "var": lambda x: mg.var(x, axis=-1),
    "cumsum": lambda x: mg.cumsum(x, axis=-1) / 8,
    "matmul": lambda x: x @ x.T / 8,
    "dot": lambda x: mg.dot(x[0], x[1]) / 8,
    "linear": lambda x: mg.linear(x, x) / 8,
    "einsum of rows": lambda x: mg.einsum("ij,kj->ik", x, x) / 8,
    "einsum of pairs": lambda x: mg.einsum("ij,ij->i", x, x) / 8,
    "einsum of all": lambda x: mg.einsum("ij,ij,ij->", x, x, x) / 8,
    "softmax": lambda x: mg.softmax(x, axis=-1),
    "norm": lambda x: mg.norm(x, axis=-1),
}


@pytest.mark.parametrize("n", [300, 6000])
@pytest.mark.parametrize("name", LONG)
def test_many_terms(name, n, backend):
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (2, n)).astype(HALF)
    found = {}
    for dtype in ("float64", "float16"):
        x = mg.tensor(values.astype(dtype), backend=backend, requires_grad=True)
        y = LONG[name](x)
        g = mg.tensor(
            np.random.default_rng(1).uniform(0.5, 1, y.shape).astype(dtype), backend=backend
        )
        first = mg.grad(y, x, g, create_graph=True)
        assert y.dtype == first.dtype == dtype
        if first.requires_grad:  # those of sums have no slope
            second = mg.grad((first * first).sum(), x, allow_unused=True)
            assert second is None or second.dtype == dtype
        found[dtype] = y.numpy().astype(float), first.numpy().astype(float)
    for right, rounded in zip(found["float64"], found["float16"], strict=True):
        np.testing.assert_allclose(rounded, right, rtol=1e-2, atol=5e-3 * np.abs(right).max())


def test_a_mean_of_squares_fits_though_no_square_does(backend):
    x = half(np.r_[np.full(9, 300.0), np.zeros(991)], backend)
    assert mg.mse_loss(x, mg.zeros_like(x)).item() == 810
    assert mg.var(x).item() == pytest.approx(810 - 2.7**2, rel=1e-3)


def test_what_is_itself_too_large_is_infinite(backend):
    x = half([300.0, 300.0], backend)
    with x.backend.quiet():
        assert mg.mse_loss(x, mg.zeros_like(x)).item() == np.inf
        assert mg.sum(half(np.full(300, 300.0), backend)).item() == np.inf


def test_sums_of_other_dtypes_are_numpys(backend):
    for dtype in ("int8", "uint8", "int32", "bool"):
        x = np.full(1000, 100, dtype)
        found = mg.sum(mg.tensor(x, backend=backend))
        assert found.dtype == x.sum().dtype and found.item() == x.sum()
        assert mg.mean(mg.tensor(x, backend=backend)).item() == x.mean()


def test_losses_of_two_dtypes_have_the_wider_one(backend):
    for a, b in (("float16", "float32"), ("float32", "float16"), ("float32", "float64")):
        x = mg.tensor(np.full(4, 300, a), backend=backend)
        loss = mg.mse_loss(x, mg.zeros(4, dtype=b, backend=backend))
        assert loss.dtype == np.result_type(a, b) and loss.item() == 90_000


# --- training ----------------------------------------------------------------------------------


@given(
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    size=st.sampled_from([1e-30, 1e-3, 1.0, 300.0, 1e30]),
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    most=st.sampled_from([0.5, 1.0, 1e4]),
)
def test_clip_grad_norm_(dtype, size, counts, most, backend):
    if dtype == "float16":
        size = min(max(size, 1e-3), 300.0)
    rng, params = np.random.default_rng(0), []
    for n in counts:
        params.append(mg.zeros(n, dtype=dtype, backend=backend, requires_grad=True))
        params[-1].grad = mg.tensor((rng.normal(size=n) * size).astype(dtype), backend=backend)
    given = np.concatenate([p.grad.numpy().astype(float) for p in params])
    norm = mg.optim.clip_grad_norm_(params, most).item()
    loose = 5e-3 if dtype == "float16" else 1e-5
    assert norm == pytest.approx(np.linalg.norm(given), rel=1e-5)
    scaled = np.concatenate([p.grad.numpy().astype(float) for p in params])
    right = given * min(1.0, most / (norm + 1e-6))
    np.testing.assert_allclose(scaled, right, rtol=loose, atol=1e-7 if dtype == "float16" else 0)
    assert all(p.grad.dtype == dtype for p in params)


def test_clip_grad_norm_of_what_is_not_finite(backend):
    for bad, right in ((np.inf, np.inf), (np.nan, np.nan)):
        w = mg.zeros(2, backend=backend, requires_grad=True)
        w.grad = mg.tensor(np.float32([bad, 1.0]), backend=backend)
        with w.backend.quiet():
            norm = mg.optim.clip_grad_norm_([w], 1.0).item()
        assert np.array_equal(norm, right, equal_nan=True)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_optimisers_keep_running_values_in_float32(kind, backend):
    """Squares of 300 and more, and steps far smaller than float16 can add up."""
    made = {}
    for dtype in ("float32", "float16"):
        w = mg.tensor(np.ones(3, dtype), backend=backend, requires_grad=True)
        options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
        optimizer = getattr(mg.optim, kind)([w], lr=1e-2, **options)
        for step in range(4):
            w.grad = mg.tensor(np.array([300.0, -2.0, 1e-3 * step], dtype), backend=backend)
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        assert w.dtype == dtype
        made[dtype] = w.numpy().astype(float)
        for values in optimizer.state_dict()["state"]:
            assert {np.asarray(v).dtype for k, v in values.items() if k != "step"} == {
                np.dtype("float32")
            }
    np.testing.assert_allclose(made["float16"], made["float32"], rtol=5e-3, atol=2e-3)


# --- gradcheck -----------------------------------------------------------------------------------


@mg.op
def odd_tanh(xp, x, *, factor):
    return xp.tanh(x)


odd_tanh.vjp(x=lambda g, y, factor: factor * g * (1 - y * y))

THROUGH = {
    "the result": lambda f, x: f(x.astype("float16")),
    "the middle": lambda f, x: f(x.astype("float16")).astype("float64"),
    "a sum": lambda f, x: f(x.astype("float16")).sum(),
}


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0, 1.0])
@pytest.mark.parametrize("where", THROUGH)
def test_gradcheck_passes_nothing_that_it_could_not_see(where, factor):
    for shape in ((3,), (4, 5)):
        x = np.random.default_rng(0).normal(size=shape)
        report = mg.gradcheck(
            lambda x: THROUGH[where](lambda x: odd_tanh(x, factor=factor), x),
            x,
            raise_exception=False,
        )
        assert report.verdict in (("PASS",) if factor == 1 else ("FAIL",)) + ("INCONCLUSIVE",)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0])
def test_gradcheck_finds_what_is_wrong_of_float16_inputs(factor):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(HALF)
    report = mg.gradcheck(lambda x: odd_tanh(x, factor=factor), x, raise_exception=False)
    assert report.verdict == "FAIL"
