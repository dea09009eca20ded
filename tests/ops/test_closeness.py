"""isclose, allclose, isinf and nan_to_num against NumPy and PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import fusing

import minigrad as mg

inf, nan = math.inf, math.nan
NUMBERS = [0.0, -0.0, 1.0, 1.0 + 1e-6, 1.1, -1.0, 300.0, inf, -inf, nan]
DTYPES = st.sampled_from(["float16", "float32", "float64", "int64", "int8", "uint8", "bool"])


def drawn(dtype, data, size=4):
    values = st.sampled_from(
        NUMBERS if dtype[0] == "f" else [0, 1, 2, 200 if dtype[0] == "u" else 9]
    )
    return np.array(data.draw(st.lists(values, min_size=size, max_size=size))).astype(dtype)


@given(
    dtypes=st.tuples(DTYPES, DTYPES),
    tolerances=st.sampled_from([{}, {"rtol": 0.2}, {"atol": 0.15, "rtol": 0}, {"atol": 250.0}]),
    equal_nan=st.booleans(),
    number=st.sampled_from(["", "", "first", "second"]),
    data=st.data(),
)
def test_isclose_is_numpys(dtypes, tolerances, equal_nan, number, data, backend):
    a, b = (drawn(dtype, data) for dtype in dtypes)
    if dtypes == ("bool", "bool"):
        a = a.astype("int64")  # of two arrays of truth values NumPy takes no difference
    if number:
        a, b = (a[0].item(), b) if number == "first" else (a, b[0].item())
    options = {**tolerances, "equal_nan": equal_nan}
    with np.errstate(all="ignore"):
        right = np.isclose(a, b, **options)
    x, y = (
        t if isinstance(t, (bool, int, float)) else mg.tensor(t, backend=backend) for t in (a, b)
    )
    found = mg.isclose(x, y, **options)
    assert found.dtype == "bool" and found.tolist() == right.tolist()
    everything = mg.allclose(x, y, **options)
    assert everything is bool(right.all())
    if not number:
        assert x.isclose(y, **options).tolist() == right.tolist()
        assert x.allclose(y, **options) is everything


def test_allclose_takes_what_tensors_are_made_of(backend):
    x = mg.tensor([[1.0, 2.0]], backend=backend, requires_grad=True)
    assert mg.allclose(x, [[1.0, 2.0]]) and mg.allclose([[1.0, 2.0]], x)
    assert mg.allclose(x, x.detach() + 1e-9)
    assert not mg.allclose(x, 1.0)
    assert mg.allclose(mg.zeros((0, 3), backend=backend), 1.0)
    assert not mg.isclose(x, 1.0).requires_grad


def test_isclose_in_a_kernel(backend):
    if getattr(mg.get_backend(backend), "compile_loop", None) is None:
        pytest.skip("the backend has no compiler")
    f = mg.fuse(lambda x, y: mg.where(mg.isclose(x, y, rtol=0.1, equal_nan=True), x, 7 * y))
    x = np.array([NUMBERS, NUMBERS[::-1]])
    y = np.roll(x, 1, axis=1)
    found = []
    for way in ("0", "require"):
        with fusing(way), mg.get_backend(backend).quiet():
            found.append(f(*(mg.tensor(t, backend=backend) for t in (x, y))).numpy())
    np.testing.assert_array_equal(*found)


@given(dtype=DTYPES, data=st.data())
def test_infinities_are_numpys(dtype, data, backend):
    x = drawn(dtype, data)
    t = mg.tensor(x, backend=backend)
    assert mg.isinf(t).tolist() == t.isinf().tolist() == np.isinf(x).tolist()


@given(
    dtype=DTYPES,
    options=st.fixed_dictionaries(
        {}, optional={"nan": st.just(2.0), "posinf": st.just(3.0), "neginf": st.just(-5.0)}
    ),
    data=st.data(),
)
def test_nan_to_num_is_numpys(dtype, options, data, backend):
    x = drawn(dtype, data)
    t = mg.tensor(x, backend=backend)
    found = mg.nan_to_num(t, **options).numpy()
    right = np.nan_to_num(x, **options)
    assert found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)
    np.testing.assert_array_equal(t.nan_to_num(**options).numpy(), right)


def test_no_gradient_flows_to_what_is_replaced(backend):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = [1.0, nan, inf, -inf, -2.0]
    x = mg.tensor(values, dtype="float64", backend=backend, requires_grad=True)
    y = mg.nan_to_num(x, nan=0.5, posinf=2.0, neginf=-2.0)
    t = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (torch.nan_to_num(t, nan=0.5, posinf=2.0, neginf=-2.0) ** 2).sum().backward()
    first = mg.grad((y * y).sum(), x, create_graph=True)
    np.testing.assert_array_equal(first.numpy(), t.grad.numpy())
    assert mg.grad(first.sum(), x).tolist() == [2, 0, 0, 0, 2]
