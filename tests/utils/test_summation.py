"""Sums of many numbers keep their digits: over any axes, in any layout, by every way there is.

The numbers are constants, whose rounding errors all go the same way: added one after the other,
a million of them are off by a percent in float32.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import laid_out, layouts

import minigrad as mg

TENTH = float(np.float32(0.1))


@given(data=st.data(), dtype=st.sampled_from(["float32", "float64", "float16", "int32", "bool"]))
def test_any_axes_of_any_layout(data, dtype, fast_ways, backend):
    xp = mg.get_backend(backend)
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=4)))
    x = (np.random.default_rng(1).normal(size=shape) * 3).astype(dtype)
    x = laid_out(x, **data.draw(layouts(len(shape)))) if xp.is_host and shape else x
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)) if shape else st.just(set()))
    axis = data.draw(st.sampled_from([None, tuple(axes), tuple(a - len(shape) for a in axes)]))
    if len(axes) == 1 and data.draw(st.booleans()):
        (axis,) = axes
    keepdims = data.draw(st.booleans())
    wide = x.astype("float64") if x.dtype.kind == "f" else x
    right = wide.sum(axis=axis, keepdims=keepdims)
    found = mg.sum(mg.tensor(x, backend=backend), axis=axis, keepdims=keepdims)
    assert found.shape == right.shape
    assert found.dtype == (dtype if x.dtype.kind == "f" else right.dtype)
    loose = 2e-3 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(found.numpy(), right, rtol=loose, atol=loose * 9)
    if right.size and x.size:
        found = mg.mean(mg.tensor(x, backend=backend), axis=axis, keepdims=keepdims)
        right = wide.mean(axis=axis, keepdims=keepdims)
        assert found.dtype == (dtype if x.dtype.kind == "f" else "float64")
        np.testing.assert_allclose(found.numpy(), right, rtol=loose, atol=loose * 9)


@given(data=st.data())
def test_products_of_any_layout(data, fast_ways, backend):
    xp = mg.get_backend(backend)
    terms = data.draw(st.integers(0, 12))
    rows, columns = (data.draw(st.integers(1, 4)) for _ in range(2))
    dtype = data.draw(st.sampled_from(["float32", "float64", "float16"]))
    batch = data.draw(st.sampled_from([(), (2,), (3, 1)]))
    shapes = data.draw(
        st.sampled_from(
            [
                *(((*batch, rows, terms), (terms, columns)), ((rows, terms), (terms,))),
                *(((terms,), (*batch, terms, columns)), ((terms,), (terms,))),
                ((*batch, rows, terms), (*batch[1:], terms, columns)),
            ]
        )
    )
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    if xp.is_host:
        arrays = [laid_out(x, **data.draw(layouts(x.ndim))) for x in arrays]
    right = np.matmul(*(x.astype("float64") for x in arrays))
    found = mg.matmul(*(mg.tensor(x, backend=backend) for x in arrays))
    assert found.dtype == dtype and found.shape == right.shape
    loose = 1e-2 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(found.numpy(), right, rtol=loose, atol=loose)


@given(data=st.data())
def test_einsum_of_any_layout(data, fast_ways, backend):
    xp = mg.get_backend(backend)
    sizes = {letter: data.draw(st.integers(1, 7)) for letter in "ijkl"}
    terms = data.draw(st.lists(st.sampled_from(["ij", "jk", "ki", "jkl", "i", "lj"]), min_size=2))
    terms = terms[:3]
    used = sorted(set("".join(terms)))
    output = "".join(data.draw(st.permutations(used))[: data.draw(st.integers(0, 2))])
    arrays = [np.random.default_rng(1).normal(size=[sizes[c] for c in term]) for term in terms]
    if xp.is_host:
        arrays = [laid_out(x, **data.draw(layouts(x.ndim))) for x in arrays]
    text = f"{','.join(terms)}->{output}"
    found = mg.einsum(text, *(mg.tensor(x, backend=backend) for x in arrays))
    np.testing.assert_allclose(found.numpy(), np.einsum(text, *arrays), rtol=1e-9, atol=1e-9)


# --- many numbers ------------------------------------------------------------------------------


def many(backend):
    """A number of numbers that a stand-in for a device can add up in a test's time, too."""
    return 100_000 if backend == "cupy" else 1_000_000


def tenths(*shape, backend, **options):
    return mg.full(shape, TENTH, dtype="float32", backend=backend, **options)


def off(found, right):
    """The largest relative error."""
    return np.max(np.abs(np.asarray(found.numpy(), np.float64) / right - 1))


def summed(backend):
    """By name: what is found, and what is right."""
    n = many(backend)
    x, row = tenths(n, 3, backend=backend), tenths(1, 3, backend=backend)
    yield "leading axis", mg.sum(x, axis=0), n * TENTH
    yield "all", mg.sum(x), 3 * n * TENTH
    yield "transposed", mg.sum(x.T, axis=1), n * TENTH
    yield "first and last", mg.sum(mg.reshape(x, (n // 4, 3, 4)), axis=(0, 2)), n * TENTH
    yield "in the middle", mg.sum(mg.reshape(x, (3, n // 2, 2)), axis=1), n / 2 * TENTH
    yield "every second one", mg.sum(x[::2], axis=0), n / 2 * TENTH
    yield "backwards", mg.sum(x[::-1], axis=0), n * TENTH
    yield "broadcast", mg.sum(mg.broadcast_to(row, (n, 3)), axis=0), n * TENTH
    yield "broadcast rows", mg.sum(mg.broadcast_to(x[:, :1], (n, 3)), axis=0), n * TENTH
    yield "mean", mg.mean(x, axis=0), TENTH
    yield "norm", mg.norm(x, axis=0), TENTH * math.sqrt(n)
    yield "norm of absolute values", mg.norm(x, ord=1, axis=0), TENTH * n
    ups = mg.concatenate([x[: n // 2], -x[n // 2 :]])
    yield "var", mg.var(ups, axis=0), TENTH**2
    yield "std", mg.std(ups), TENTH
    yield "logsumexp", mg.logsumexp(x, axis=0), math.log(n) + TENTH
    yield "softmax", mg.sum(mg.softmax(x[:, 0], axis=0)), 1
    yield "cumsum", mg.cumsum(x, axis=0)[-1], n * TENTH
    for name, loss in (("mse", mg.mse_loss), ("l1", mg.l1_loss)):
        right = TENTH**2 if name == "mse" else TENTH
        zeros = mg.zeros_like(x)
        yield f"{name}, mean", loss(x, zeros), right
        yield f"{name}, sum", loss(x, zeros, reduction="sum"), 3 * n * right
    labels = mg.zeros(n, dtype="int64", backend=backend)
    yield "cross entropy", mg.cross_entropy(x, labels), math.log(3)
    yield "cross entropy, sum", mg.cross_entropy(x, labels, reduction="sum"), n * math.log(3)


def multiplied(backend):
    """Products, likewise: of long vectors, and of matrices."""
    n = many(backend)
    x, one = tenths(n, 3, backend=backend), tenths(n, backend=backend)
    ones = mg.ones_like(one)
    yield "dot", mg.dot(one, ones), n * TENTH
    yield "matrix by vector", mg.stack([one, one, one]) @ ones, n * TENTH
    yield "vector by matrix", ones @ x, n * TENTH
    yield "matrices", x.T @ x, n * TENTH**2
    yield "einsum", mg.einsum("i,i->", one, ones), n * TENTH
    yield "einsum of columns", mg.einsum("ij,ij->j", x, x), n * TENTH**2


def test_values(backend):
    for name, found, right in summed(backend):
        assert off(found, right) < 1e-6, name


def test_products(backend):
    for name, found, right in multiplied(backend):
        assert off(found, right) < 3e-6, name  # a library adds some terms in its own order


def gradients(backend):
    n = many(backend)
    g = tenths(n, 3, backend=backend)
    zeros = mg.zeros((n, 3), backend=backend)

    def of(f, *shape):
        x = mg.zeros(shape, backend=backend, requires_grad=True)
        y = f(x)
        return mg.grad(y, x, mg.broadcast_to(mg.full((), TENTH, backend=backend), y.shape))

    yield "bias", of(lambda b: zeros + b, 3), n * TENTH
    yield "scale", of(lambda w: g * w, 3), n * TENTH**2
    yield "number", of(lambda b: zeros + b, 1), 3 * n * TENTH
    yield "column", of(lambda b: mg.zeros((3, n), backend=backend) + b, 3, 1), n * TENTH
    yield "broadcast_to", of(lambda b: mg.broadcast_to(b, (n, 3)), 3), n * TENTH
    yield "linear", of(lambda w: mg.linear(g, w), 2, 3), n * TENTH**2
    yield "linear's bias", of(lambda b: mg.linear(g, g[:2], b), 2), n * TENTH
    one_row = mg.zeros(n, dtype="int64", backend=backend)
    yield "embedding", of(lambda w: mg.embedding(one_row, w), 2, 3)[0], n * TENTH
    yield "take", of(lambda w: mg.take(w, one_row), 2)[0], n * TENTH
    yield "pairs", of(lambda w: w[one_row, one_row], 2, 2)[0, 0], n * TENTH
    yield "cumsum", of(lambda w: mg.cumsum(w), n)[0], n * TENTH
    yield "layer norm's bias", of(lambda b: mg.layer_norm(g, 3, bias=b), 3), n * TENTH
    rows = mg.tensor(np.tile(np.float32([-1, 1]), (n, 1)), backend=backend)
    scale = of(lambda w: mg.layer_norm(rows, 2, w, eps=0.0), 2)
    yield "layer norm's weight", mg.abs(scale), n * TENTH


def test_gradients(backend):
    for name, found, right in gradients(backend):
        assert off(found, right) < 1e-6, name


def test_a_scan_sums_over_its_steps_and_rows(backend):
    def add(p, x, h):
        return x + p, h

    bias = mg.zeros(2, backend=backend, requires_grad=True)
    x = mg.zeros((500, 400, 2), backend=backend)
    ys, _ = mg.scan(add, bias, x, mg.zeros((400, 2), backend=backend))
    assert off(mg.grad(ys, bias, tenths(*ys.shape, backend=backend)), 500 * 400 * TENTH) < 1e-6


@pytest.mark.parametrize("width", [100, 512, 513, 200_000])
def test_a_kernels_rows(width, backend):
    """A row of any length within a fused function."""

    @mg.fuse
    def centred(x):
        return x - mg.mean(x, axis=-1, keepdims=True), mg.sum(x, axis=-1)

    x = tenths(200, width, backend=backend) if width < 1000 else tenths(2, width, backend=backend)
    deviation, total = centred(x)
    assert off(total, width * TENTH) < 1e-6
    assert np.abs(deviation.numpy()).max() < 1e-6 * TENTH


def test_ten_millions(backend):
    n = 10 * many(backend)
    x = tenths(n, 1, backend=backend)
    assert off(mg.sum(x, axis=0), n * TENTH) < 1e-6
    assert off(mg.sum(mg.reshape(x, (n // 2, 2)), axis=0), n / 2 * TENTH) < 1e-6
    assert off(mg.dot(x[:, 0], mg.ones_like(x[:, 0])), n * TENTH) < 1e-6


def test_infinities_and_nan_stay_what_they_are(backend):
    x = np.full((3000, 3), 0.1, np.float32)
    x[7] = np.inf, -np.inf, np.nan
    x[2000, 1] = np.inf
    x = mg.tensor(x, backend=backend)
    with x.backend.quiet():
        total, mean = mg.sum(x, axis=0), mg.mean(x.T, axis=1)
    for found in (total, mean):
        assert np.array_equal(found.numpy(), [np.inf, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_zero_times_what_is_no_number(dtype, bad, fast_ways, backend):
    """Wherever it stands in a long product, in the first part or alone at the end."""
    for terms in range(4, 10):
        for place in range(terms):
            a, b = np.ones((2, terms), dtype), np.ones((terms, 2), dtype)
            a[:, place], b[place, 1] = 0, bad
            a, b = mg.tensor(a, backend=backend), mg.tensor(b, backend=backend)
            right = [terms - 1, np.nan]
            with a.backend.quiet():
                for left in (a[0], a[:1], a):
                    found = mg.matmul(left, b).numpy()
                    assert np.array_equal(found, np.broadcast_to(right, found.shape), True)
                    found = mg.matmul(b.T, left.T).numpy().T
                    assert np.array_equal(found, np.broadcast_to(right, found.shape), True)


def test_an_axis_that_is_not_there(backend):
    x = tenths(300, 2, backend=backend)
    for axis in (2, -3, (0, 2), (0, 0), (1, -1)):
        with pytest.raises(ValueError, match="axis"):
            mg.sum(x, axis=axis)
