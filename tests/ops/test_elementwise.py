"""Elementwise functions against NumPy and PyTorch: values, dtypes, edges, gradients, kernels."""

import math
import os
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.testing import references, strategies

inf, nan = math.inf, math.nan
DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"

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
    "erf": ("erf", (-3, 3)),
    "log2": ("log2", (0.1, 30)),
    "log10": ("log10", (0.1, 30)),
    "exp2": ("exp2", (-9, 9)),
    "reciprocal": ("reciprocal", (0.1, 30)),
}
FLAT = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "round"}
WHOLE = ("mod", "floor_divide")
BINARY = {"arctan2": "atan2", "hypot": "hypot", "logaddexp": "logaddexp"}
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 1e-4, -1e-4, 300.0, -300.0, inf, -inf, nan]


def numpys(name):
    """NumPy's function, or what stands for one that it lacks."""
    return getattr(np, name, None) or getattr(references, name)


def same(found, right, dtype, ulps=4):
    """Equal up to a few units of the last place, zeros and NaN in the same places."""
    assert found.dtype == right.dtype == dtype
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, right, rtol=ulps * np.finfo(dtype).eps, atol=0)
    number = ~np.isnan(right)
    assert (np.signbit(found) == np.signbit(right))[number].all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", [*UNARY, *FLAT])
def test_values_at_edges_are_numpys(name, dtype, backend):
    x = np.array(EDGES, dtype)
    with np.errstate(all="ignore"):
        right = numpys(name)(x)
        found = getattr(mg, name)(mg.tensor(x, backend=backend)).numpy()
    same(found, right, dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", [*BINARY, *WHOLE])
def test_pairs_at_edges_are_numpys(name, dtype, backend):
    a, b = np.array(EDGES, dtype)[:, None], np.array(EDGES, dtype)
    with np.errstate(all="ignore"):
        right = numpys(name)(a, b)
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
        right = numpys(name)(*wide)
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


@pytest.mark.parametrize("name", FLAT)
def test_flat_functions_are_pytorchs(name, torch, backend):
    x = np.array([*np.arange(-12, 13) / 4, inf, -inf, 1e20])
    ours, theirs = mg.tensor(x, backend=backend, requires_grad=True), torch.tensor(x)
    theirs.requires_grad = True
    y, z = getattr(mg, name)(ours), getattr(torch, name)(theirs)
    np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
    with ours.backend.quiet():
        slopes = mg.grad(y, ours, mg.ones_like(y))
    z.sum().backward()
    np.testing.assert_array_equal(slopes.numpy(), theirs.grad.numpy())


@given(seed=st.integers(0, 999))
def test_what_is_left_is_pytorchs(seed, torch, backend):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 9, (2, 1, 3)), rng.choice([-2.5, -0.3, 0.7, 3.0], (2, 1))
    by_both(mg.mod, torch.remainder, torch, [a, b], backend)
    by_both(lambda a, b: a % b * b, lambda a, b: a % b * b, torch, [a, b], backend)
    quotients = mg.floor_divide(mg.tensor(a, backend=backend), mg.tensor(b, backend=backend))
    np.testing.assert_array_equal(quotients.numpy(), np.floor_divide(a, b))


@given(
    dtypes=st.tuples(*[st.sampled_from(["int64", "int32", "int8", "uint8", "bool"])] * 2),
    number=st.sampled_from([None, 3, -2, 1]),
)
def test_whole_divisions_of_integers_are_numpys(dtypes, number, backend):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, 40).astype(dtype) for dtype in dtypes)
    if number is not None:
        b = abs(number) if a.dtype.kind == "u" else number
    given_b = b if number is not None else mg.tensor(b, backend=backend)
    x = mg.tensor(a, backend=backend)
    with np.errstate(all="ignore"):
        pairs = [(x % given_b, a % b), (x // given_b, a // b)]
        if number is not None:
            pairs += [(b % x, b % a), (b // x, b // a)]
    for found, right in pairs:
        assert found.dtype == right.dtype
        np.testing.assert_array_equal(found.numpy(), right)


def test_the_least_integer_has_a_quotient(backend):
    least = np.iinfo("int64").min
    with np.errstate(all="ignore"):
        x = mg.tensor([least], dtype="int64", backend=backend)
        assert (x // -1).tolist() == [least] and (x % -1).tolist() == [0]


def test_arrays_and_numbers_before_the_operator(backend):
    x = mg.tensor([2.0, -3.0], dtype="float64", backend=backend, requires_grad=True)
    for y, right in ((7 % x, [1, -2]), (7 // x, [3, -3])):
        assert y.tolist() == right
    assert mg.grad((7 % x).sum(), x).tolist() == [-3, 3]
    if x.backend.is_host and backend != "strict":
        assert (np.array([7.0, 8.0]) % x).tolist() == [1, -1]
        assert np.floor_divide(np.array([7.0, 8.0]), x).tolist() == [3, -3]


def test_edited_by_whole_divisions(backend):
    x = mg.tensor([7.0, -7.0], backend=backend)
    x %= 4
    assert x.tolist() == [3, 1]
    x //= 2
    assert x.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("name", FLAT)
def test_integers_are_whole_already(name, dtype, backend):
    x = mg.tensor(np.array([0, 1, 5], dtype), backend=backend)
    y = getattr(mg, name)(x)
    assert y.dtype == dtype and y.tolist() == x.tolist()
    assert getattr(x, name)().tolist() == x.tolist()


@given(
    dtype=st.sampled_from(["float16", "float32", "float64", "int64"]),
    decimals=st.integers(-3, 4),
    values=st.lists(st.integers(-9999, 9999), min_size=1, max_size=5),
)
def test_rounding_to_digits_is_numpys(dtype, decimals, values, backend):
    x = np.array(values) * 5 if dtype == "int64" else (np.array(values) / 80).astype(dtype)
    found = mg.round(mg.tensor(x, backend=backend), decimals).numpy()
    with np.errstate(over="ignore"):
        right = np.round(x, decimals)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.where(np.isfinite(right), right, x))


def test_what_is_too_large_to_have_digits_is_round_already(backend):
    x = mg.tensor(np.array([1e300, -inf, nan]), backend=backend)
    np.testing.assert_array_equal(mg.round(x, 20).numpy(), x.numpy())


def test_digits_are_counted_by_integers():
    with pytest.raises(TypeError, match=r"decimals is an integer; got 1.5, as in mg.round\(x, 2\)"):
        mg.round(mg.ones(2), 1.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_function_is_as_exact_as_pythons(dtype, backend):
    rng = np.random.default_rng(0)
    x = [*rng.uniform(-7, 7, 3000), *10.0 ** rng.uniform(-40, 1, 999), *rng.normal(0, 0.1, 999)]
    for edge in (0.84375, 1.25, 1 / 0.35, 6.0):
        x += [*np.linspace(edge - 1e-3, edge + 1e-3, 101)]
    x = np.array([*x, 0.0, -0.0, inf, -inf], dtype)
    found = mg.erf(mg.tensor(x, backend=backend)).numpy()
    right = np.array([math.erf(number) for number in x])
    off = np.abs(found - right) / np.spacing(np.abs(right.astype(dtype)))
    assert off.max() <= 2 and not np.signbit(found[[-4, -2]]).any() and np.signbit(found[-3])
    for part in (x[:5], x[7], x[:4800].reshape(2, 3, -1)[:, ::-1, ::3], x[:0]):  # few, or views
        found = mg.erf(mg.tensor(part, backend=backend)).numpy()
        assert found.shape == part.shape and found.dtype == dtype
        np.testing.assert_allclose(found, references.erf(part), rtol=3 * np.finfo(dtype).eps)


def test_forms_of_gelu(torch, backend):
    x = np.linspace(-9, 9, 99)
    for form in ("tanh", "none"):
        by_both(
            lambda x, form=form: mg.gelu(x, approximate=form),
            lambda x, form=form: torch.nn.functional.gelu(x, approximate=form),
            torch,
            [x],
            backend,
        )
    with pytest.raises(ValueError, match=r"gelu: approximate is 'tanh' or 'none' .*; got 'exact'"):
        mg.gelu(mg.ones(2), approximate="exact")
    with pytest.raises(ValueError, match="got 'erf'"):
        mg.nn.GELU("erf")(mg.ones(2))


# --- no warning where the result is finite -------------------------------------------------------

FINITE = {
    "sinh": (mg.sinh, [0.0, -710.0, 710.0]),
    "cosh": (mg.cosh, [0.0, -710.0, 710.0]),
    "arctan": (mg.arctan, [0.0, -inf, 1e300]),
    "arcsinh": (mg.arcsinh, [0.0, -1e300, 1e300]),
    "arccosh": (mg.arccosh, [1.5, 1e300]),
    "hypot": (lambda x: mg.hypot(x, 1e300), [0.0, 1e300, -1e-300]),
    "erf": (mg.erf, [0.0, 1e300, -inf]),
    "exact gelu": (lambda x: mg.gelu(x, approximate="none"), [0.0, 1e300, -1e300, -inf]),
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
    **{name: lambda x, name=name: getattr(mg, name)(1.3 * x) * x for name in FLAT},
    "round to digits": lambda x: mg.round(x, 1) * x,
    "mod": lambda x: x % 0.75 + 7 % x + mg.mod(x, 0.3 - x),
    "floor_divide": lambda x: (x // 0.75 + 7 // x + mg.floor_divide(x, 0.3 - x)) * x,
    "exact gelu": lambda x: mg.gelu(x, approximate="none"),
    "isinf": lambda x: mg.where(mg.isinf(x), 3.0, x),
    "arctan2": lambda x: mg.arctan2(x, 0.25 - x) + mg.arctan2(2, x),
    "hypot": lambda x: mg.hypot(x, 0.25 - x) + mg.hypot(1, x),
}


# Several functions to a kernel, which so takes a third of the time to compile.
GROUPS = {first: list(ROWS)[i : i + 5] for i, first in list(enumerate(ROWS))[::5]}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("first", GROUPS)
def test_kernels_are_as_the_ops(first, dtype, compiling):
    """Fused and composed: the same values at edges, and the same gradients.

    In the fast profile Numba's kernels of float64 are run as Python: compiled they are in float32,
    and test_numba_math.py has the functions that they call in both.
    """
    as_text = compiling == "numba" and dtype == "float64" and not DEEP
    backend = InterpretedBackend() if as_text else compiling
    names = GROUPS[first]
    f = mg.fuse(lambda one, *xs: [ROWS[k](x) * one for k, x in zip(names, xs, strict=True)])
    kind = "float64" if dtype == "int64" else dtype
    numbers = [-7, -2, -1, 0, 1, 2, 5, 9] if dtype == "int64" else EDGES
    found = []
    for way in ("0", "require"):
        with fusing(way), mg.get_backend(backend).quiet():
            array = np.array([numbers, numbers[::-1]], dtype)
            xs = [mg.tensor(array, backend=backend, requires_grad=dtype != "int64") for _ in names]
            ys = f(mg.ones(array.shape, dtype=kind, backend=backend), *xs)
            gradients = () if dtype == "int64" else mg.grad([y.sum() for y in ys], xs)
            found.append([part.numpy() for part in (*ys, *gradients)])
    for i, (composed, fused) in enumerate(zip(*found, strict=True)):
        assert composed.dtype == fused.dtype
        loose = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(
            fused, composed, rtol=loose, atol=loose / 10, err_msg=names[i % len(names)]
        )
