"""The Numba backend's own matrix product: every size of block, every layout, every start."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import STEPS, laid_out, layouts

numba = pytest.importorskip("numba", reason="numba is not installed")

import minigrad as mg  # noqa: E402
from minigrad import get_backend  # noqa: E402
from minigrad.backends.numba_kernels import gemm as numba_gemm  # noqa: E402
from minigrad.backends.numba_kernels import register_block, threads  # noqa: E402
from minigrad.backends.numba_kernels.gemm import MR, gemm, matmul, pack, panel_width  # noqa: E402
from minigrad.backends.numba_kernels.kernel_products import product, product_onto  # noqa: E402

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}  # per term, relative to the largest numbers


def matrix(rng, rows, columns, dtype, layout=None):
    x = rng.normal(size=(rows, columns)).astype(dtype)
    return x if layout is None else laid_out(x, **layout)


def assert_close(c, a, b, start=None):
    right = a.astype(np.float64) @ b.astype(np.float64)
    right += 0 if start is None else start
    bound = TOLERANCE[c.dtype.name] * (a.shape[1] + 1) * 5
    np.testing.assert_allclose(c, right, rtol=0, atol=bound)


@numba.njit
def multiply(gemm, a, packed, c, lo, hi):
    product(gemm, a, packed, c, lo, hi)


@numba.njit
def multiply_onto(gemm, start, a, packed, c, lo, hi):
    product_onto(gemm, start, a, packed, c, lo, hi)


# On both sides of every block, panel and part.
sizes = st.one_of(st.integers(0, 20), st.sampled_from([63, 64, 65, 97, 130, 257, 391]))


@given(
    rows=sizes,
    terms=sizes,
    columns=st.one_of(sizes, st.just(790)),
    dtype=st.sampled_from(DTYPES),
    a_layout=layouts(),
    b_layout=layouts(),
    start=st.sampled_from(["none", "vector", "matrix"]),
    start_layout=layouts(),
    c_backwards=st.booleans(),
)
def test_products(
    rows, terms, columns, dtype, a_layout, b_layout, start, start_layout, c_backwards
):
    rng = np.random.default_rng(rows * terms * columns)
    a = matrix(rng, rows, terms, dtype, a_layout)
    b = matrix(rng, terms, columns, dtype, b_layout)
    base = {
        "none": None,
        "vector": matrix(rng, 1, columns, dtype, start_layout)[0],
        "matrix": matrix(rng, rows, columns, dtype, start_layout),
    }[start]
    margin = np.full((rows + 2, columns + 3), 7, dtype)  # a wrong write would show in it
    c = margin[1:-1, :columns]
    c = c[::-1] if c_backwards else c
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
            multiply(address, a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b)
            assert (c[[0, -1]] == 7).all()
            multiply_onto(address, start, a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b, start[1:-1])
            multiply_onto(address, start[0], a, pack(b), c, 1, rows + 1)
            assert_close(c[1:-1], a[1:-1], b, start[0])
            assert (c[[0, -1]] == 7).all()


OTHER_REGISTERS = """
import numpy as np
from llvmlite import binding
known = binding.get_host_cpu_features
features = known()
features["avx512f"] = False
binding.get_host_cpu_features = lambda: features
from minigrad.backends.numba_kernels import gemm as numba_gemm, register_block
binding.get_host_cpu_features = known
rng, wrong = np.random.default_rng(0), []
for dtype in ("float32", "float64"):
    for rows in range(1, 2 * numba_gemm.MR + 2):
        a, b = rng.normal(size=(rows, 97)).astype(dtype), rng.normal(size=(97, 70)).astype(dtype)
        for left in (a, np.asfortranarray(a)):
            c = np.empty((rows, 70), dtype)
            numba_gemm.matmul(left, b, c)
            if abs(c - a @ b).max() > 1e-3:
                wrong.append((dtype, rows, left.flags.f_contiguous))
print(register_block.BYTES, wrong)
"""


@pytest.mark.skipif(register_block.BYTES < 64, reason="no wider registers to leave")
def test_on_a_processor_with_narrower_registers(tmp_path):
    """A block of columns is then higher than a vector is long."""
    environment = os.environ | {"MINIGRAD_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", OTHER_REGISTERS]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split(" ", 1) == ["32", "[]\n"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [511, 512, 513, 1030])
def test_on_both_sides_of_the_columns_that_are_packed_at_a_time(columns, dtype):
    rng = np.random.default_rng(0)
    for terms in (3, 257):
        a, b, start = (
            matrix(rng, *shape, dtype) for shape in ((7, terms), (columns, terms), (7, columns))
        )
        c = np.empty((7, columns), dtype)
        for right in (b.T, np.ascontiguousarray(b.T)):
            matmul(a, right, c)
            assert_close(c, a, right)
            matmul(a, right, c, start)
            assert_close(c, a, right, start)
        matmul(right.T, a.T, c.T)
        assert_close(c, a, right)


@given(
    shape=st.tuples(sizes, st.integers(1, 70), sizes),
    size=st.integers(1, 70),
    dtype=st.sampled_from(DTYPES),
    layout=st.tuples(layouts(), layouts(), layouts()),
    start=st.sampled_from(["none", "whole columns", "vector", "matrix"]),
    shared=st.booleans(),
)
def test_products_of_some_terms_each(shape, size, dtype, layout, start, shared, monkeypatch):
    rows, terms, columns = shape
    monkeypatch.setattr(threads, "MIN_WORK_PER_THREAD", 1 if shared else 1 << 40)
    monkeypatch.setattr(numba_gemm, "_TERMS_PER_NUMBER", 1)
    monkeypatch.setenv("MINIGRAD_THREADS", "3")
    rng = np.random.default_rng(rows * terms * columns)
    a, b = matrix(rng, rows, terms, dtype, layout[0]), matrix(rng, terms, columns, dtype, layout[1])
    cuts = [slice(k, k + size) for k in range(0, terms, size)]
    base = {
        "vector": matrix(rng, 1, columns, dtype, layout[2])[0],
        "matrix": matrix(rng, rows, columns, dtype, layout[2]),
    }.get(start)
    if start == "whole columns":
        c = np.full((len(cuts), columns, rows), 7, dtype).swapaxes(1, 2)
    else:
        c = np.full((len(cuts), rows, columns), 7, dtype)
    numba_gemm.products(a, b, c, base, size)
    for i, cut in enumerate(cuts):
        assert_close(c[i], a[:, cut], b[cut], None if i else base)


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("starts", [False, True])
def test_long_products_in_threads(by_column, starts, monkeypatch):
    """Threads share each of the products that are added up, or take some of them."""
    backend, rng = get_backend("numba"), np.random.default_rng(0)
    a, b = matrix(rng, 33, 4200, "float32"), matrix(rng, 4200, 70, "float32")
    a = np.asfortranarray(a) if by_column else a
    start = matrix(rng, 33, 70, "float32") if starts else None
    found = []
    for least, count in ((1, 3), (4000, 3), (4000, 2), (1 << 40, 2)):
        monkeypatch.setattr(threads, "MIN_WORK_PER_THREAD", least)
        monkeypatch.setenv("MINIGRAD_THREADS", str(count))
        found.append(backend.matmul(a, b, start))
    for c in found:
        assert_close(c, a, b, start)
    for c in found[2:]:  # the sums don't depend on the number of threads
        np.testing.assert_array_equal(c, found[1])


def test_where_a_product_is_written_to():
    a = np.ones((4, 4), np.float32)
    for c in (np.empty((8, 8), np.float32)[::2, ::2], np.empty((4, 4), ">f4")):
        with pytest.raises(ValueError, match="whole rows or columns"):
            matmul(a, a, c)
    with pytest.raises(ValueError, match="whole rows"):
        matmul(a, a, np.empty((4, 4), np.float32, order="F"), a)


def test_without_terms():
    address = gemm("float32").address
    a, b = np.ones((4, 0), np.float32), np.ones((0, 5), np.float32)
    c, start = np.full((4, 5), 7, np.float32), np.arange(5, dtype=np.float32)
    multiply(address, a, pack(b), c, 1, 3)
    assert (c[1:3] == 0).all() and (c[[0, 3]] == 7).all()
    multiply_onto(address, start, a, pack(b), c, 1, 3)
    assert (c[1:3] == start).all() and (c[[0, 3]] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan_stay_where_they_belong(dtype):
    a, b = np.ones((70, 40), dtype), np.ones((40, 70), dtype)
    a[3, 5], a[4, 6], b[7, 8] = np.nan, np.inf, np.nan
    c = np.empty((70, 70), dtype)
    matmul(a, b, c)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(c, a @ b)


ANY_DTYPE = [*DTYPES, ">f4", ">f8", "float16", "int64", "int32", "bool"]
SHAPES = ["nk,km", "nk,km", "bnk,km", "nk,bkm", "bnk,bkm", "k,km", "nk,k", "k,k"]


@given(
    shapes=st.sampled_from(SHAPES),
    sizes=st.tuples(*[st.one_of(st.integers(0, 9), st.sampled_from([65, 130]))] * 3),
    dtypes=st.sampled_from([(d, d) for d in ANY_DTYPE] + [(c, d) for c in DTYPES for d in DTYPES]),
    data=st.data(),
)
def test_the_backends_matmul(shapes, sizes, dtypes, data, fast_ways):
    """Whoever computes it, our product or the library, it is as NumPy has it."""
    sizes = {"b": 2, **dict(zip("nkm", sizes, strict=True))}
    rng = np.random.default_rng(0)
    a, b = (
        laid_out(
            (rng.normal(size=[sizes[n] for n in names]) * 3).astype(dtype),
            **data.draw(layouts(len(names))),
        )
        for names, dtype in zip(shapes.split(","), dtypes, strict=True)
    )
    right = np.matmul(a, b)
    found = get_backend("numba").matmul(a, b)
    assert (found.shape, found.dtype.newbyteorder("=")) == (
        right.shape,
        right.dtype.newbyteorder("="),
    )
    assert_near(found, right)


def assert_near(found, right):
    kind = np.result_type(found)
    tolerance = {2: 0.05, 4: 1e-5, 8: 1e-11}[kind.itemsize] if kind.kind == "f" else 0
    scale = np.abs(right).max(initial=1).astype(float)
    np.testing.assert_allclose(found, right, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("columns", [15, 16, 17])
@pytest.mark.parametrize("rows", [15, 16, 17])
def test_on_both_sides_of_what_the_library_computes(rows, columns):
    rng = np.random.default_rng(0)
    a, b = matrix(rng, rows, 2000, "float32"), matrix(rng, 2000, columns, "float32")
    xp, start = get_backend("numba"), b[0] * 2
    for terms in (1000, 2000):
        left, right = a[:, :terms], b[:terms]
        assert_near(xp.matmul(left, right), left @ right)
        assert_near(xp.matmul(left, right, start), left @ right + start)


@pytest.mark.parametrize("rows, columns", [(500, 400), (400, 500)])
def test_results_do_not_depend_on_the_number_of_threads(rows, columns, monkeypatch):
    """They share out the rows, or the columns where there are more of them."""
    rng = np.random.default_rng(0)
    a, b = matrix(rng, rows, 300, "float32"), matrix(rng, 300, columns, "float32")
    found = []
    for count in ("1", "2", "3"):
        monkeypatch.setenv("MINIGRAD_THREADS", count)
        c = np.empty((rows, columns), np.float32)
        matmul(a, b, c)
        found.append(c)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


# --- in programs -------------------------------------------------------------------------------


def viewed(t, steps, transposed):
    """A view of a leaf by ops: its axes so many items apart, or repeated."""
    for axis, step in enumerate(steps):
        if step == 0:
            first = t[(slice(None),) * axis + (slice(0, 1),)]
            t = mg.broadcast_to(first, t.shape)
        else:
            t = t[(slice(None),) * axis + (slice(None, None, step),)]
    return mg.transpose(t) if transposed else t


def leaf_shape(shape, steps, transposed):
    shape = shape[::-1] if transposed else shape
    return tuple(n * (abs(step) or 1) for n, step in zip(shape, steps, strict=True))


def cell(p, x, h):
    h = mg.tanh(x @ p[0] + mg.linear(h, p[1], p[2]))
    return h, h


def scanned(x, w, u, bias, h):
    ys, last = mg.scan(cell, (w, u, bias), mg.stack([x, mg.tanh(x)]), h)
    return mg.concatenate([*ys, last])


PROGRAMS = {
    "matmul": (lambda a, b: a @ b, "nk,km"),
    "of three": (lambda a, b, c: mg.tanh(a @ b) @ c, "nk,km,mk"),
    "linear": (lambda x, w, b: mg.linear(x, w, b[0]), "nk,mk,1m"),
    "einsum": (lambda a, b: mg.einsum("kn,km->mn", a, b), "kn,km"),
    "batched": (lambda a, b: mg.stack([a, mg.sin(a)]) @ b, "nk,km"),
    "with itself": (lambda a, b: (a @ b) @ (a @ b).T, "nk,km"),
    "scan": (lambda x, w, u, b, h: scanned(x, w, u, b[0], h), "nk,km,mm,1m,nm"),
}


@pytest.mark.parametrize("name", PROGRAMS)
@given(data=st.data())
def test_programs_of_views(name, data, fast_ways):
    """Products of views, and both orders of their gradients, as NumPy has them."""
    program, shapes = PROGRAMS[name]
    # From 64 columns on, the product rearranges what lies by columns.
    size = st.one_of(st.integers(1, 7), st.sampled_from([65, 99]))
    sizes = {"1": 1, **{n: data.draw(size, n) for n in "nkm"}}
    views = st.tuples(st.tuples(*[st.sampled_from(STEPS)] * 2), st.booleans())
    rng, cases = np.random.default_rng(0), []
    for names in shapes.split(","):
        view = data.draw(views, names)
        cases.append((rng.normal(size=leaf_shape([sizes[n] for n in names], *view)), view))
    found, right = (both_orders(backend, program, cases) for backend in ("numba", "numpy"))
    for x, y in zip(found, right, strict=True):
        assert_near(x, y)


def both_orders(backend, program, cases):
    """The values of a program of views of leaves, and its gradients of first and second order."""
    rng = np.random.default_rng(1)
    leaves = [mg.tensor(x, requires_grad=True, backend=backend) for x, _ in cases]

    def against(tensors):
        """A number that hangs on all numbers of the tensors."""
        cotangents = [mg.tensor(rng.normal(size=t.shape), backend=backend) for t in tensors]
        return sum((t * g).sum() for t, g in zip(tensors, cotangents, strict=True))

    with mg.use_backend(backend):
        y = program(*(viewed(t, *view) for t, (_, view) in zip(leaves, cases, strict=True)))
        first = mg.grad(against([y]), leaves, create_graph=True)
        second = mg.grad(against(first), leaves, allow_unused=True)
    zeros = [np.zeros(t.shape) for t in leaves]
    second = [z if g is None else g.numpy() for z, g in zip(zeros, second, strict=True)]
    return [y.numpy(), *(g.numpy() for g in first), *second]
