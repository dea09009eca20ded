"""Elementwise functions against NumPy and PyTorch: values, dtypes, edges, gradients, kernels."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg
from minigrad.testing import strategies

inf, nan = math.inf, math.nan

# NumPy's name: PyTorch's, and an interval within which it has a slope.
UNARY = {
    "tan": ("tan", (-1.4, 1.4)),
    "arcsin": ("asin", (-0.95, 0.95)),
    "arccos": ("acos", (-0.95, 0.95)),
    "arctan": ("atan", (-30, 30)),
    "sinh": ("sinh", (-5, 5)),
    "cosh": ("cosh", (-5, 5)),
    "arcsinh": ("asinh", (-30, 30)),
    "arccosh": ("acosh", (1.1, 30)),
    "arctanh": ("atanh", (-0.95, 0.95)),
    "log2": ("log2", (0.1, 30)),
    "log10": ("log10", (0.1, 30)),
    "exp2": ("exp2", (-9, 9)),
    "reciprocal": ("reciprocal", (0.1, 30)),
}
BINARY = {"arctan2": "atan2", "hypot": "hypot", "logaddexp": "logaddexp"}
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1e-4, -1e-4, 300.0, -300.0, inf, -inf, nan]


def same(found, right, dtype, ulps=4):
    """Equal up to a few units of the last place, zeros and NaN in the same places."""
    assert found.dtype == right.dtype == dtype
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, right, rtol=ulps * np.finfo(dtype).eps, atol=0)
    number = ~np.isnan(right)
    assert (np.signbit(found) == np.signbit(right))[number].all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_values_at_edges_are_numpys(name, dtype, backend):
    x = np.array(EDGES, dtype)
    with np.errstate(all="ignore"):
        right = getattr(np, name)(x)
        found = getattr(mg, name)(mg.tensor(x, backend=backend)).numpy()
    same(found, right, dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_pairs_at_edges_are_numpys(name, dtype, backend):
    a, b = np.array(EDGES, dtype)[:, None], np.array(EDGES, dtype)
    with np.errstate(all="ignore"):
        right = getattr(np, name)(a, b)
        found = getattr(mg, name)(*(mg.tensor(x, backend=backend) for x in (a, b))).numpy()
    same(found, right, dtype)


ALWAYS_FLOAT64 = {
    "exp2",
    "reciprocal",
    "logaddexp",
}  # float64 where NumPy has float16, or integers


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_integers_become_what_numpy_makes_of_them(name, dtype, backend):
    x = np.array([0, 1, 1], dtype)
    operands = (x,) * (2 if name in BINARY else 1)
    with np.errstate(all="ignore"):
        wide = [x.astype("float64") if name in ALWAYS_FLOAT64 else x for x in operands]
        right = getattr(np, name)(*wide)
        found = getattr(mg, name)(*(mg.tensor(x, backend=backend) for x in operands)).numpy()
    assert found.dtype == right.dtype
    np.testing.assert_allclose(found, right, rtol=1e-3 if right.dtype == np.float16 else 1e-12)


def by_both(f, g, torch, arrays, backend):
    """Value, gradients and second derivatives of a function, of minigrad's f and PyTorch's g."""
    found = []
    for kind, function in ((mg, f), (torch, g)):
        rng = np.random.default_rng(5)

        def leaf(x, kind=kind):
            options = {"backend": backend} if kind is mg else {}
            return kind.tensor(x, requires_grad=True, **options)

        def random(like, leaf=leaf, rng=rng):
            return leaf(np.array(rng.normal(size=tuple(like.shape)))).detach()

        grad = mg.grad if kind is mg else torch.autograd.grad
        xs = [leaf(x) for x in arrays]
        y = function(*xs)
        first = grad([y], xs, [random(y)], create_graph=True)
        total = sum((t * random(t)).sum() for t in first)
        second = [None] * len(xs)
        if total.requires_grad:
            second = grad([total], xs, allow_unused=True)
        parts = [
            y,
            *first,
            *(x.detach() * 0 if s is None else s for x, s in zip(xs, second, strict=True)),
        ]
        found.append([t.detach().numpy() for t in parts])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


@given(name=st.sampled_from([*UNARY]), shape=strategies.shapes(), seed=st.integers(0, 999))
def test_functions_are_pytorchs(name, shape, seed, torch, backend):
    theirs, (low, high) = UNARY[name]
    x = np.random.default_rng(seed).uniform(low, high, shape)
    by_both(getattr(mg, name), getattr(torch, theirs), torch, [x], backend)


@given(name=st.sampled_from([*BINARY]), seed=st.integers(0, 999))
def test_functions_of_two_are_pytorchs(name, seed, torch, backend):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 1, 3)), rng.normal(size=(2, 1))
    by_both(getattr(mg, name), getattr(torch, BINARY[name]), torch, [a, b], backend)


# --- no warning where the result is finite -------------------------------------------------------

FINITE = {
    "sinh": (mg.sinh, [0.0, -710.0, 710.0]),
    "cosh": (mg.cosh, [0.0, -710.0, 710.0]),
    "arctan": (mg.arctan, [0.0, -inf, 1e300]),
    "arcsinh": (mg.arcsinh, [0.0, -1e300, 1e300]),
    "arccosh": (mg.arccosh, [1.5, 1e300]),
    "hypot": (lambda x: mg.hypot(x, 1e300), [0.0, 1e300, -1e-300]),
    "exp2": (mg.exp2, [-inf, 1000.0]),
    "logaddexp": (lambda x: mg.logaddexp(x, -1e308), [1e308, -1e308, 0.0]),
    "logaddexp of one": (lambda x: mg.logaddexp(x, -inf), [1e308, 0.0]),
    "arctan2": (lambda x: mg.arctan2(x, 1e300), [0.0, 1e300, -1e-300]),
    "arctan2 at 0": (lambda x: mg.arctan2(x, 0.0), [0.0, -0.0, 1e300]),
}


@pytest.mark.parametrize("name", FINITE)
def test_no_warning_where_the_result_is_finite(name, backend):
    f, values = FINITE[name]
    x = mg.tensor(values, dtype="float64", backend=backend, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = f(x)
        g = mg.grad(y, x, mg.ones_like(y))
    assert np.isfinite(y.numpy()).all() and np.isfinite(g.numpy()).all()


# --- kernels -------------------------------------------------------------------------------------

ROWS = {
    **{name: getattr(mg, name) for name in UNARY},
    "logaddexp": lambda x: mg.logaddexp(x, 0.25 - x) + mg.logaddexp(2, x),
    "isinf": lambda x: mg.where(mg.isinf(x), 3.0, x),
    "arctan2": lambda x: mg.arctan2(x, 0.25 - x) + mg.arctan2(2, x),
    "hypot": lambda x: mg.hypot(x, 0.25 - x) + mg.hypot(1, x),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("name", ROWS)
def test_kernels_are_as_the_ops(name, dtype, backend):
    """Fused and composed: the same values at edges, and the same gradients."""
    if getattr(mg.get_backend(backend), "compile_loop", None) is None:
        pytest.skip("the backend has no compiler")
    f = mg.fuse(lambda x, one: ROWS[name](x) * one)
    kind = "float64" if dtype == "int64" else dtype
    numbers = [-7, -2, -1, 0, 1, 2, 5, 9] if dtype == "int64" else EDGES
    found = []
    for way in ("0", "require"):
        with fusing(way), mg.get_backend(backend).quiet():
            x = mg.tensor(np.array([numbers, numbers[::-1]], dtype), backend=backend)
            x.requires_grad = dtype != "int64"
            y = f(x, mg.ones(x.shape, dtype=kind, backend=backend))
            parts = [y] if dtype == "int64" else [y, mg.grad(y.sum(), x)]
            found.append([part.numpy() for part in parts])
    for composed, fused in zip(*found, strict=True):
        assert composed.dtype == fused.dtype
        loose = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(fused, composed, rtol=loose, atol=loose / 10)
