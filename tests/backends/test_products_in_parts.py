"""Products of float32 matrices in bf16 parts: the split, every size and layout, extreme numbers.

They run on the emulated tile unit, and on the processor's, where it has one.
"""

import numpy as np
import pytest
from bf16_parts import emulated_tiles, error, product, split
from hypothesis import given
from hypothesis import strategies as st
from layouts import laid_out, layouts

pytest.importorskip("numba", reason="numba is not installed")

from minigrad.backends.numba_kernels import amx, tile_product
from minigrad.backends.numba_kernels import gemm as numba_gemm
from minigrad.backends.numba_kernels.gemm import matmul, pack, panel_width

PARTS = (1, 2, 3)


@pytest.fixture(params=["emulated", "amx"], autouse=True, scope="module")
def unit(request):
    reason = amx.why_not()
    if request.param == "amx" and reason is not None:
        pytest.skip(reason)
    with emulated_tiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(amx, "EMULATED", request.param == "emulated")
        yield request.param


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def assert_as_reference(c, a, b, parts, start=0):
    """Equal but for the order of the sums: the parts dropped would show, unless they are three."""
    right = product(a, b, parts, start, np.float64)
    size = np.abs(a).astype(float) @ np.abs(b) + np.abs(start)
    np.testing.assert_array_less(np.abs(c - right), 4e-7 * np.sqrt(a.shape[1]) * size + 1e-30)


# --- the split ---------------------------------------------------------------------------------


@given(
    parts=st.sampled_from(PARTS),
    terms=st.integers(1, 70),
    columns=st.integers(1, 70),
    layout=layouts(),
)
def test_a_right_operand_is_packed_as_its_parts(parts, terms, columns, layout):
    b = laid_out(normal(np.random.default_rng(terms), terms, columns), **layout)
    packed = pack(b, parts)
    panels = -(-columns // panel_width("float32"))
    np.testing.assert_array_equal(packed[:panels], pack(b))
    tail = packed[panels:].reshape(-1).view(np.uint8)
    groups, blocks = -(-columns // 32), -(-terms // 32)
    halves = tail[tile_product.HEADER :].view(np.uint16)
    shape = groups, blocks, parts, 2, 16, 16, 2  # then pairs, columns, and the two of a pair
    found = halves[: np.prod(shape)].reshape(shape).transpose(2, 1, 4, 6, 0, 3, 5)
    for part, right in zip(found, split(b, parts), strict=True):
        whole = np.zeros((blocks * 32, groups * 32), np.float32)
        whole[:terms, :columns] = right
        upper = part.reshape(whole.shape).astype(np.uint32) << 16
        np.testing.assert_array_equal(upper, whole.view(np.uint32))


@given(st.lists(st.floats(2.0**-100, 2.0**64, width=32), min_size=1))
def test_three_parts_are_the_whole_number(numbers):
    x = np.array(numbers, np.float32)
    np.testing.assert_array_equal(sum(part.astype(float) for part in split(x, 3)), x)


# --- products ----------------------------------------------------------------------------------

sizes = st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 63, 64, 65, 97, 130, 263]))


@given(
    parts=st.sampled_from(PARTS),
    rows=sizes,
    terms=sizes,
    columns=sizes,
    a_layout=layouts(),
    b_layout=layouts(),
    start=st.sampled_from(["none", "vector", "matrix"]),
    c_backwards=st.booleans(),
)
def test_products(parts, rows, terms, columns, a_layout, b_layout, start, c_backwards):
    rng = np.random.default_rng(rows * terms * columns)
    a = laid_out(normal(rng, rows, terms), **a_layout)
    b = laid_out(normal(rng, terms, columns), **b_layout)
    base = {
        "none": None,
        "vector": normal(rng, columns),
        "matrix": normal(rng, rows, columns + 5)[:, 5:],
    }[start]
    margin = np.full((rows + 2, columns + 3), 7, np.float32)  # a wrong write would show in it
    c = margin[1:-1, :columns]
    c = c[::-1] if c_backwards else c
    matmul(a, b, c, base, parts)
    assert_as_reference(c, a, b, parts, 0 if base is None else base)
    assert (margin[[0, -1]] == 7).all() and (margin[:, columns:] == 7).all()


@pytest.mark.parametrize("parts", PARTS)
def test_every_remainder(parts):
    """Rows, columns and terms on all sides of a tile."""
    rng = np.random.default_rng(0)
    cases = [(m, n, 5) for m in range(1, 50) for n in (1, 16, 33, 64, 65)]
    cases += [(m, n, 37) for n in range(1, 70) for m in (5, 20, 40)]
    cases += [(m, 20, k) for k in range(1, 67) for m in (3, 19)]
    for rows, columns, terms in cases:
        a, b = normal(rng, rows, terms), normal(rng, terms, columns)
        start = normal(rng, rows, columns)
        for base in (None, start, start[0]):
            c = np.full((rows + 2, columns), 7, np.float32)
            matmul(a, b, c[1:-1], base, parts)
            assert_as_reference(c[1:-1], a, b, parts, 0 if base is None else base)
            assert (c[[0, -1]] == 7).all()


KINDS = {
    "normal": normal,
    "positive": lambda rng, *shape: rng.random(shape, np.float32),
    "as in a layer": lambda rng, *shape: np.tanh(normal(rng, *shape)) / 20,
    "of all sizes": lambda rng, *shape: (
        normal(rng, *shape) * np.float32(10.0 ** rng.integers(-6, 6))
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    rows=st.integers(16, 60),
    terms=st.integers(32, 300),
    columns=st.integers(32, 80),
    seed=st.integers(0, 99),
)
def test_errors(kind, rows, terms, columns, seed):
    """Three parts are at least as exact as float32, two have errors of at most 1e-5."""
    rng = np.random.default_rng(seed)
    a, b = KINDS[kind](rng, rows, terms), normal(rng, terms, columns)
    found = []
    for parts in (0, *PARTS):
        c = np.empty((rows, columns), np.float32)
        matmul(a, b, c, parts=parts)
        found.append(error(c, a, b))
    float32, one, two, three = found
    assert three <= float32
    assert two <= 1e-5
    assert 5e-4 < one < 1e-2


def test_rows_do_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 300, 200), normal(rng, 200, 100)
    a[7, 3], a[99] = np.inf, 1e-25
    monkeypatch.setattr(numba_gemm, "_TERMS_PER_NUMBER", 1)
    for parts in PARTS:
        found = []
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("MINIGRAD_THREADS", threads)
            c = np.empty((300, 100), np.float32)
            matmul(a, b, c, parts=parts)
            found.append(c)
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


# --- numbers for which parts don't do ----------------------------------------------------------

EXTREME = [np.inf, -np.inf, np.nan, 3.4028235e38, -3e38, 1e25, 1e-20, 1e-38, 1e-45]
EXTREME = [*np.array(EXTREME, np.float32)]
EXTREME.append(np.uint32(0x7FFFFFFF).view(np.float32))  # a NaN that rounds away


def in_float32_and_in_parts(a, b, start, parts):
    float32, c = np.empty((2, len(a), b.shape[1]), np.float32)
    matmul(a, b, float32, start)
    matmul(a, b, c, start, parts)
    return float32, c


def assert_same_bits(x, y):
    np.testing.assert_array_equal(x.view(np.uint32), y.view(np.uint32))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("number", EXTREME, ids=str)
def test_rows_of_extreme_numbers_are_as_in_float32(number, parts, order):
    rng = np.random.default_rng(0)
    a, b, start = normal(rng, 37, 50), normal(rng, 50, 40), normal(rng, 40)
    a[3:5] = a[20] = number
    a[36, 49] = number  # a small one among others does no harm
    start = None if abs(number) < 1 else start  # which would hide it
    extreme = [3, 4, 20] if abs(number) < 1 else [3, 4, 20, 36]
    float32, c = in_float32_and_in_parts(np.array(a, order=order), b, start, parts)
    assert_same_bits(c[extreme], float32[extreme])
    others = np.setdiff1d(range(37), extreme)
    assert_as_reference(c[others], a[others], b, parts, 0 if start is None else start)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("number", EXTREME, ids=str)
def test_with_columns_of_extreme_numbers_all_is_as_in_float32(number, order):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 37, 50), normal(rng, 50, 40)
    b[:, 39] = number
    float32, c = in_float32_and_in_parts(a, np.array(b, order=order), None, 2)
    assert_same_bits(c, float32)


@pytest.mark.parametrize("parts", PARTS)
def test_extreme_starts(parts):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 20, 50), normal(rng, 50, 40)
    a[5] = 0
    start = normal(rng, 20, 40)
    start[0, 1], start[2, 3], start[4, 5], start[6, 7] = np.inf, -np.inf, np.nan, 3e38
    c = np.empty((20, 40), np.float32)
    matmul(a, b, c, start, parts)
    assert c[0, 1] == np.inf and c[2, 3] == -np.inf and np.isnan(c[4, 5]) and c[6, 7] == start[6, 7]
    np.testing.assert_array_equal(c[5], start[5])
    assert np.isnan(c).sum() == 1 and np.isinf(c).sum() == 2
