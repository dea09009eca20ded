"""An embedding's gradient by a kernel of the Numba backend."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

try:
    NUMBA = mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

pytestmark = pytest.mark.numba


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
