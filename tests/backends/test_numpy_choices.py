"""NumPy's choice by bits is NumPy's choice, to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import laid_out, layouts

import minigrad as mg
from minigrad.backends.numpy_kernels import choices

NUMBERS = st.sampled_from([0, 0.0, -0.0, 1, -2.5, np.inf, -np.inf, np.nan])


@st.composite
def operands(draw, shape):
    """A number, or an array of the shape, of a part of it, or of another layout or dtype."""
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "int64", ">f4"]))
    if draw(st.booleans()):
        return draw(st.one_of(NUMBERS, NUMBERS.map(lambda n: np.float32(n))))
    if draw(st.booleans()):
        shape = draw(st.sampled_from([shape, shape[1:], (1, *shape[1:]), ()]))
    seed = draw(st.integers(0, 99))
    x = np.random.default_rng(seed).choice([0.0, -0.0, 1.5, -3.0, 7.0], shape).astype(dtype)
    return laid_out(x, **draw(layouts(x.ndim))) if x.ndim else x


@pytest.fixture(autouse=True, params=[0, 10_000], ids=["many", "few"])
def limit(request, monkeypatch):
    monkeypatch.setattr(choices, "_MANY", request.param)


@given(data=st.data())
def test_as_numpy_chooses(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), "shape")
    held = data.draw(hnp.arrays(bool, shape), "condition")
    held = laid_out(held, **data.draw(layouts(held.ndim), "its layout"))
    a, b = data.draw(operands(held.shape), "a"), data.draw(operands(held.shape), "b")
    found, right = mg.get_backend("numpy").where(held, a, b), np.where(held, a, b)
    assert found.dtype == right.dtype and found.shape == right.shape
    assert found.tobytes() == right.tobytes()


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_gradients_of_choices(name):
    pytest.importorskip(name)
    x = mg.tensor(np.linspace(-2, 2, 12).reshape(3, 4), requires_grad=True, backend=name)
    assert mg.gradgradcheck(lambda x: mg.where(x > 0.1, x * x, -3 * x) + mg.relu(x), x)
