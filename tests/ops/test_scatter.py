"""Rows added to the rows of a table, by every way there is, from arrays of any layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import laid_out, layouts

import minigrad as mg

INDICES = ["int64", "int32", "int8", "uint8", ">i8", "bool"]


@given(
    table=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    count=st.lists(st.integers(0, 4), min_size=1, max_size=2),
    dtype=st.sampled_from(["float32", "float64", ">f8", "float16", "int64"]),
    kind=st.sampled_from(INDICES),
    data=st.data(),
)
def test_as_numpy_adds_them(table, count, dtype, kind, data, fast_ways, backend):
    if not mg.get_backend(backend).is_host:
        pytest.skip("a device has no arrays of any layout")
    rng = np.random.default_rng(0)
    if kind == "bool":
        index = rng.random(table[:1]) > 0.5
        count = [int(index.sum())]
    else:
        signed = np.dtype(kind).kind == "i"
        index = rng.integers(-table[0] if signed else 0, table[0], count).astype(kind)
    index = laid_out(index, **data.draw(layouts(index.ndim)))
    count = [int(index.sum())] if kind == "bool" else count
    g = (rng.normal(size=(*count, *table[1:])) * 9).astype(dtype)
    g = laid_out(g, **data.draw(layouts(g.ndim)))
    right = np.zeros(table)
    np.add.at(right, index, g.astype("float64"))
    found = mg.get_backend(backend).scatter(g, index, tuple(table))
    assert found.dtype == g.dtype
    np.testing.assert_allclose(found, right, rtol=1e-2 if dtype == "float16" else 1e-5, atol=1e-5)


def test_positions_that_are_not_there(fast_ways, backend):
    table = mg.zeros((3, 2), requires_grad=True)
    for index in ([0, 3], [-4, 1]):
        with pytest.raises(IndexError):
            table[index]
