"""The Numba backend's own matrix product: every size of block, every layout, every start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

numba = pytest.importorskip("numba", reason="numba is not installed")

from minigrad import get_backend  # noqa: E402
from minigrad.backends import numba_gemm  # noqa: E402
from minigrad.backends.numba_gemm import MR, gemm, matmul, pack, panel_width  # noqa: E402

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}  # per term, relative to the largest numbers


def matrix(rng, rows, columns, dtype, layout="rows"):
    x = rng.normal(size=(rows, columns)).astype(dtype)
    if layout == "columns":
        return np.asfortranarray(x)
    if layout == "cut":  # rows with something behind them
        return np.concatenate([x, x], axis=1)[:, :columns]
    return x


def assert_close(c, a, b, start=None):
    right = a.astype(np.float64) @ b.astype(np.float64)
    right += 0 if start is None else start
    bound = TOLERANCE[c.dtype.name] * (a.shape[1] + 1) * 5
    np.testing.assert_allclose(c, right, rtol=0, atol=bound)


sizes = st.one_of(st.integers(1, 20), st.sampled_from([63, 64, 65, 97, 130, 257, 391]))
layouts = st.sampled_from(["rows", "columns", "cut"])


@given(
    rows=sizes,
    terms=sizes,
    columns=sizes,
    dtype=st.sampled_from(DTYPES),
    a_layout=layouts,
    b_layout=layouts,
    start=st.sampled_from(["none", "vector", "matrix"]),
)
def test_products(rows, terms, columns, dtype, a_layout, b_layout, start):
    rng = np.random.default_rng(rows * terms * columns)
    a = matrix(rng, rows, terms, dtype, a_layout)
    b = matrix(rng, terms, columns, dtype, b_layout)
    base = {
        "none": None,
        "vector": rng.normal(size=columns).astype(dtype),
        "matrix": matrix(rng, rows, columns, dtype, "cut"),
    }[start]
    margin = np.full((rows + 2, columns + 3), 7, dtype)  # a wrong write would show in it
    c = margin[1:-1, :columns]
    matmul(a, b, c, base)
    assert_close(c, a, b, base)
    assert (margin[[0, -1]] == 7).all() and (margin[:, columns:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_remainder(dtype):
    """All heights and widths of blocks, also where a kernel calls by address, for some rows."""
    rng = np.random.default_rng(0)
    address = gemm(dtype).address
    for rows in range(1, 2 * MR + 2):
        for columns in {
            *range(1, 20),
            *(panel_width(dtype) * k + d for k in (1, 2) for d in (-1, 0, 1)),
        }:
            a, b = matrix(rng, rows + 2, 9, dtype), matrix(rng, 9, columns, dtype)
            start = matrix(rng, rows + 2, columns, dtype)
            c = np.full((rows + 2, columns), 7, dtype)
            numba_gemm.product(address, a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b)
            assert (c[[0, -1]] == 7).all()
            numba_gemm.product_onto(address, start, a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b, start[1:-1])
            numba_gemm.product_onto(address, start[0], a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b, start[0])
            assert (c[[0, -1]] == 7).all()


def test_without_terms():
    address = gemm("float32").address
    a, b = np.ones((4, 0), np.float32), np.ones((0, 5), np.float32)
    c, start = np.full((4, 5), 7, np.float32), np.arange(5, dtype=np.float32)
    numba_gemm.product(address, a, pack(b), c, 1, 3)
    assert (c[1:3] == 0).all() and (c[[0, 3]] == 7).all()
    numba_gemm.product_onto(address, start, a, pack(b), c, 1, 3)
    assert (c[1:3] == start).all() and (c[[0, 3]] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan_stay_where_they_belong(dtype):
    a, b = np.ones((70, 40), dtype), np.ones((40, 70), dtype)
    a[3, 5], a[4, 6], b[7, 8] = np.nan, np.inf, np.nan
    c = np.empty((70, 70), dtype)
    matmul(a, b, c)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(c, a @ b)


@given(
    shape=st.tuples(*[st.sampled_from([1, 15, 16, 70, 200])] * 3),
    dtype=st.sampled_from([*DTYPES, "float16", "int64"]),
    a_layout=layouts,
    b_layout=layouts,
)
def test_the_backends_matmul(shape, dtype, a_layout, b_layout):
    """Whoever computes it, our product or the library."""
    rows, terms, columns = shape
    rng = np.random.default_rng(rows + terms + columns)
    a = (matrix(rng, rows, terms, "float64", a_layout) * 3).astype(dtype)
    b = (matrix(rng, terms, columns, "float64", b_layout) * 3).astype(dtype)
    xp = get_backend("numba")
    tolerance = {"float16": 0.2, "int64": 0}.get(dtype) or TOLERANCE.get(dtype, 0) * 100 * terms
    right = a.astype(np.float64) @ b.astype(np.float64)
    for c in (xp.matmul(a, b), xp.matmul(np.stack([a, a]), b)[1]):
        assert c.dtype == dtype
        np.testing.assert_allclose(c, right, rtol=0.01 if dtype == "float16" else 0, atol=tolerance)
    if dtype in DTYPES:
        start = b[0] * 2
        np.testing.assert_allclose(xp.matmul(a, b, start), right + start, rtol=0, atol=tolerance)


def test_rows_do_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = matrix(rng, 500, 300, "float32"), matrix(rng, 300, 400, "float32")
    found = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("MINIGRAD_THREADS", threads)
        c = np.empty((500, 400), np.float32)
        matmul(a, b, c)
        found.append(c)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
