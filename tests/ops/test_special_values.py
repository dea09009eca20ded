"""Infinities, NaN, zeros of both signs, the smallest and largest numbers: functions at their ends.

Derivatives at such points are in `minigrad.testing.conventions`; here are values, and kernels,
which give the same as the ops that they are made of.
"""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg

inf, nan = math.inf, math.nan
SPECIAL = [0.0, -0.0, inf, -inf, nan, 1e-310, -1e-40, 3e-5, 80.0, -80.0, -1e3, 6e4, -6e4, 1.5, -0.5]

# By name: the function, and its values at -inf, -1e4, -0.0, 0.0, 1e4, inf.
VALUES = {
    "sigmoid": (mg.sigmoid, [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]),
    "silu": (mg.silu, [-0.0, -0.0, -0.0, 0.0, 1e4, inf]),
    "gelu": (mg.gelu, [-0.0, -0.0, -0.0, 0.0, 1e4, inf]),
    "exact gelu": (
        lambda x: mg.gelu(x, approximate="none"),
        [-0.0, -0.0, -0.0, 0.0, 1e4, inf],
    ),
    "erf": (mg.erf, [-1.0, -1.0, -0.0, 0.0, 1.0, 1.0]),
    "relu": (mg.relu, [0.0, 0.0, 0.0, 0.0, 1e4, inf]),
    "leaky_relu": (mg.leaky_relu, [-inf, -100.0, -0.0, 0.0, 1e4, inf]),
    "elu": (mg.elu, [-1.0, -1.0, 0.0, 0.0, 1e4, inf]),
    "softplus": (mg.softplus, [0.0, 0.0, math.log(2), math.log(2), 1e4, inf]),
    "tanh": (mg.tanh, [-1.0, -1.0, -0.0, 0.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", VALUES)
def test_activations_at_both_ends(name, dtype, backend):
    f, right = VALUES[name]
    with mg.get_backend(backend).quiet():
        x = mg.tensor(np.array([-inf, -1e4, -0.0, 0.0, 1e4, inf, nan], dtype), backend=backend)
        found = f(x)
    assert found.dtype == dtype
    loose = 1e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(found.numpy(), [*right, nan], rtol=loose)
    if name in ("silu", "gelu", "exact gelu"):
        assert np.signbit(found.numpy()[:3]).all()


def row_functions():
    return {
        **{name: f for name, (f, _) in VALUES.items()},
        "softmax": mg.softmax,
        "log_softmax": mg.log_softmax,
        "layer_norm": lambda x: mg.layer_norm(x, x.shape[-1]),
        "abs": mg.abs,
        "clip": lambda x: mg.clip(x, -1.0, 2.0),
        "maximum": lambda x: mg.maximum(x, 0.5),
        "minimum": lambda x: mg.minimum(x, 0.5),
        "sqrt": mg.sqrt,
        "log": mg.log,
        "log1p": mg.log1p,
        "square": mg.square,
        "exp": mg.exp,
        "expm1": mg.expm1,
        "sign": mg.sign,
        "tan": lambda x: mg.tan(mg.clip(x, -1.5, 80.0)),
        "arcsin": mg.arcsin,
        "arccos": mg.arccos,
        "arctan": mg.arctan,
        "arctan2": lambda x: mg.arctan2(x, 0.5 - x),
        "sinh": mg.sinh,
        "cosh": mg.cosh,
        "arcsinh": mg.arcsinh,
        "arccosh": mg.arccosh,
        "arctanh": mg.arctanh,
        "exp2": mg.exp2,
        "log2": mg.log2,
        "log10": mg.log10,
        "logaddexp": lambda x: mg.logaddexp(x, 0.5 * x),
        "hypot": lambda x: mg.hypot(x, 0.25),
        "max": lambda x: mg.max(x, axis=-1),
        "min": lambda x: mg.min(x, axis=-1),
        "sum": lambda x: mg.sum(x, axis=-1),
        "norm": lambda x: mg.norm(x, axis=-1),
        "std": lambda x: mg.std(x, axis=-1),
        "huber": lambda x: mg.huber_loss(x, mg.zeros_like(x), reduction="none"),
        "power": lambda x: mg.abs(x) ** 1.5,
        "root": lambda x: mg.maximum(x, -6e4) ** 0.5,  # C's power of -inf is inf
        "inverse": lambda x: x**-1,
    }


# Each function is a kernel to be compiled; those of more values are in test_elementwise.py.
@settings(max_examples=max(6, settings.default.max_examples // 2))
@given(
    name=st.sampled_from(sorted(row_functions())),
    values=st.lists(st.sampled_from(SPECIAL), min_size=3, max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_kernels_give_what_their_ops_give(name, values, dtype, backend):
    """Whether a function is fused or not: the same values and gradients at the same points."""
    if getattr(mg.get_backend(backend), "compile_loop", None) is None:
        pytest.skip("the backend has no compiler")
    f = row_functions()[name]
    function, found = mg.fuse(lambda x: f(x) * 1.0, name=name), {}
    for way in ("0", "require"):
        with pytest.MonkeyPatch.context() as patch, mg.get_backend(backend).quiet():
            patch.setenv("MINIGRAD_FUSED", way)
            x = mg.tensor(np.array([values, [1.5, -0.5, 0.25]], dtype), backend=backend)
            x.requires_grad = True
            y = function(x)
            g = mg.tensor(np.arange(1, y.size + 1).reshape(y.shape), dtype=dtype, backend=backend)
            found[way] = y.numpy(), mg.grad(y, x, g).numpy()
    for composed, fused in zip(found["0"], found["require"], strict=True):
        np.testing.assert_allclose(fused, composed, rtol=2e-5, atol=1e-30, err_msg=name)


# --- bits ----------------------------------------------------------------------------------------

SIGNS = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}


@given(
    sign=st.sampled_from(sorted(SIGNS)),
    dtypes=st.tuples(*[st.sampled_from(["int64", "int32", "uint8", "int8", "bool"])] * 2),
    data=st.data(),
)
def test_bits_are_numpys(sign, dtypes, data, backend):
    f, rng = SIGNS[sign], np.random.default_rng(0)
    if sign in ("<<", ">>"):
        dtypes = tuple("int64" if d == "bool" else d for d in dtypes)
    a, b = (rng.integers(0, 7, (2, 3)).astype(d) for d in dtypes)
    number = data.draw(st.sampled_from([None, 1, 2]))
    if number is not None:
        a, b = data.draw(st.sampled_from([(a, number), (number, a)]))
    right = f(a, b)
    found = f(*(x if x is number else mg.tensor(x, backend=backend) for x in (a, b)))
    assert found.dtype == right.dtype and np.array_equal(found.numpy(), right)


def test_not_is_of_bits_or_of_truth(backend):
    assert (~mg.tensor([6, 5], backend=backend)).tolist() == [-7, -6]
    assert (~mg.tensor([True, False], backend=backend)).tolist() == [False, True]


@pytest.mark.parametrize("sign", SIGNS)
def test_floats_have_no_bits(sign, backend):
    x = mg.ones(2, backend=backend)
    for a, b in ((x, x), (x, 1), (1, x), (mg.ones(2, dtype="int64", backend=backend), 1.5)):
        with pytest.raises(TypeError, match="takes integers and truth values; got"):
            SIGNS[sign](a, b)
    with pytest.raises(TypeError, match=r"write mg.logical_not\(x\)"):
        mg.bitwise_not(x)


def test_masks_are_still_fused(backend):
    """`&` of two comparisons is logic, which kernels have."""
    f = mg.fuse(lambda x: mg.where((x > 0) & ~(x > 1) | (x < -1), x, 0))
    x = mg.tensor(np.float32([[-2, -0.5, 0.5, 2]]), backend=backend)
    assert f(x).tolist() == [[-2, 0, 0.5, 0]]
    if getattr(x.backend, "compile_loop", None) is not None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIGRAD_FUSED", "require")
            assert f(x).tolist() == [[-2, 0, 0.5, 0]]


# --- positions, spreads ------------------------------------------------------------------------


@given(rows=st.integers(1, 4), padding=st.integers(-4, 3))
def test_the_padding_row_gets_no_gradient(rows, padding, backend):
    w = mg.ones((rows, 2), backend=backend, requires_grad=True)
    positions = np.arange(rows)
    if not -rows <= padding < rows:
        with pytest.raises(ValueError, match=f"padding_idx {padding} is none of the {rows} rows"):
            mg.embedding(positions, w, padding_idx=padding)
        with pytest.raises(ValueError, match=f"padding_idx {padding} is none of the {rows} rows"):
            mg.nn.Embedding(rows, 2, padding_idx=padding)
        return
    mg.embedding(positions, w, padding_idx=padding).sum().backward()
    right = np.ones((rows, 2))
    right[padding] = 0
    assert np.array_equal(w.grad.numpy(), right)


def test_the_padding_row_is_a_number():
    for wrong in (1.0, True, "1"):
        with pytest.raises(TypeError, match="padding_idx is the number of a row"):
            mg.embedding([0], mg.ones((3, 2)), padding_idx=wrong)


@given(
    ddof=st.integers(0, 6),
    axis=st.sampled_from([None, 0, 1, (0, 1)]),
    same=st.booleans(),
)
def test_variances_of_too_few_are_numpys(ddof, axis, same, backend):
    x = np.ones((2, 3)) if same else np.random.default_rng(0).normal(size=(2, 3))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of too few degrees of freedom
        right = [f(x, axis=axis, ddof=ddof) for f in (np.var, np.std)]
        t = mg.tensor(x, backend=backend)
        found = [f(t, axis=axis, ddof=ddof).numpy() for f in (mg.var, mg.std)]
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("values", [[nan, 1.0], [1.0, nan, 2.0], [nan, inf], [-inf, nan]])
def test_the_gradient_of_logsumexp_is_nan_where_its_value_is(values, backend):
    x = mg.tensor(values, dtype="float64", backend=backend, requires_grad=True)
    with mg.get_backend(backend).quiet():
        y = mg.logsumexp(x)
        y.backward()
    assert np.isnan(y.item())
    assert np.isnan(x.grad.numpy()).all()
