"""Fused functions and losses on the CuPy backend are those of NumPy's ops."""

from types import SimpleNamespace

import numpy as np
import pytest
from cupy_on_cpu.counters import ABSENT, PRESENT, counted
from functions import assert_fused_as_composed, normal
from hypothesis import given
from hypothesis import strategies as st
from random_rows import functions

import minigrad as mg

pytestmark = pytest.mark.cupy

try:
    CUPY = mg.get_backend("cupy")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

counts = pytest.mark.skipif(not PRESENT, reason=ABSENT)


def same(function, *arrays, order=2):
    assert_fused_as_composed(function, arrays, order=order, backend=CUPY)


@given(case=functions())
def test_random_functions(case):
    same(mg.fuse(case.function), *case.arrays)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@given(shape=st.sampled_from([(1,), (3,), (4, 1), (2, 5), (2, 3, 130)]))
def test_losses_of_numbers(name, reduction, shape):
    same(
        lambda x, t: getattr(mg, name)(x, t, reduction=reduction),
        normal(*shape),
        normal(*shape, seed=1),
    )


# --- what all rows share -------------------------------------------------------------------------


SHARED = {
    "numbers made of shared ones": lambda x, w: x * (mg.exp(w) - 1) + w,
    "made of each other": lambda x, w: (v := mg.tanh(w) * 2) * x + v / (v + 3),
    "for each row": lambda x, w: mg.broadcast_to(mg.exp(w), x.shape) * x,
    "beside rows": lambda x, w: mg.concatenate([x, mg.broadcast_to(w * w, x.shape)], axis=-1),
    "a part": lambda x, w: x[..., 1:] * mg.exp(w)[1:],
    "summed up": lambda x, w: x * mg.exp(w).sum() + mg.sum(w * w),
    "one column": lambda x, w: x * mg.exp(w[:1]) + w[1:2],
    "a result": lambda x, w: (mg.broadcast_to(w + 1, x.shape), x * (w + 1)),
    "in several places": lambda x, w: (
        mg.where(x > 0, mg.broadcast_to(w, x.shape), 0),
        mg.broadcast_to(w, x.shape).sum(axis=-1),
    ),
    "not read": lambda x, w: x + mg.zeros_like(w),
}


@pytest.mark.parametrize("name", SHARED)
def test_what_rows_share(name):
    same(mg.fuse(SHARED[name]), normal(5, 3), normal(3))
    same(mg.fuse(SHARED[name]), normal(2, 4, 3), normal(3))


@pytest.mark.parametrize("rows", [1, 2, 31, 300])
@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 33])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_rows(rows, width, dtype):
    x, z = (np.asarray(normal(rows, width, seed=i), dtype) for i in range(2))
    there = [CUPY.from_host(a) for a in (x, z, x, z)]
    there[1] = there[1][::-1, ::-1]
    there[2] = CUPY.xp.asfortranarray(there[2])
    there.append(CUPY.xp.broadcast_to(there[0][:1], x.shape))
    shapes = [(width,), (1, width), (1, width), (1, 1), (width,)]
    found = CUPY.sum_rows(there, shapes)
    right = [*(a.sum(axis=0) for a in (x, z[:, ::-1], x)), z.sum(), rows * x[0]]
    for a, b, shape in zip(found, right, shapes, strict=True):
        assert a.dtype == dtype and a.shape == shape
        tolerance = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(a.get().reshape(-1), np.reshape(b, -1), tolerance, tolerance)


def test_gradients_of_several_dtypes_of_sums():
    """A kernel of sums takes arrays of any of the two."""
    arrays = [CUPY.from_host(normal(9, 4).astype(dtype)) for dtype in ("float32", "float64")]
    found = CUPY.sum_rows(arrays, [(4,), (4,)])
    for a, x in zip(found, arrays, strict=True):
        assert a.dtype == x.dtype
        np.testing.assert_allclose(a.get(), x.get().sum(axis=0), 1e-6)


# --- cotangents that are one number ---------------------------------------------------------------


@mg.fuse
def normalised(x, w):
    deviations = x - x.mean(axis=-1, keepdims=True)
    return deviations[..., 1:] * w, deviations.max(axis=-1)


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (4,)])
def test_one_number_for_all(shape):
    def gradients(backend):
        x, w = (
            mg.tensor(a, backend=backend, requires_grad=True) for a in (normal(*shape), normal())
        )
        y, top = normalised(x, w)
        return [g.numpy() for g in mg.grad(2 * y.sum() + 3 * top.sum(), [x, w])]

    for found, right in zip(gradients("cupy"), gradients("numpy"), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12)


@counts
def test_one_number_is_not_copied_out():
    with mg.use_backend(CUPY):
        x = mg.randn((6, 4), requires_grad=True)
        mg.grad(mg.gelu(x).sum(), x)
        y = mg.gelu(x).sum()
        with counted() as asked:
            mg.grad(y, x)
    assert asked.launches == 2, asked  # the first cotangent is a 1
    assert asked.d2d == asked.fills == 0, asked


# --- positions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
@pytest.mark.parametrize(
    ("positions", "allowed", "wrong"),
    [
        ([0, 1, 2], None, False),
        ([0, 3, 2], None, True),
        ([0, 3, 2], 3, False),
        ([0, 100, 2], 3, True),
        ([[2, 2], [2, 9]], None, True),
    ],
)
def test_positions_outside(dtype, positions, allowed, wrong):
    there = CUPY.from_host(np.array(positions, dtype))
    assert bool(CUPY.outside(there, 0, 3, allowed)) is wrong


def test_positions_far_outside():
    for value, dtype in ((2**63 + 1, "uint64"), (-(2**63), "int64"), (-1, "int8")):
        assert CUPY.outside(CUPY.from_host(np.array([value], dtype)), 0, 3, None)
    assert not CUPY.outside(CUPY.from_host(np.array([-1, -100])), -1, 3, -100)


def test_a_backend_without_such_a_kernel_says_the_same():
    """As a plugin for another device may be."""
    plain = SimpleNamespace(**{name: getattr(CUPY, name) for name in ("clip", "any", "not_equal")})
    plain.logical_and, plain.name, plain.is_host = CUPY.logical_and, "plain", False
    plain.to_host, plain.astype = CUPY.to_host, CUPY.astype
    from minigrad.engine import deferred
    from minigrad.ops.indexing import note_outside

    note_outside(CUPY.from_host(np.array([0, -7])), 0, 3, plain, IndexError("wrong"), -7)
    deferred.raise_pending(plain)
    note_outside(CUPY.from_host(np.array([0, 3], "int32")), 0, 3, plain, IndexError("wrong"))
    with pytest.raises(IndexError, match="wrong"):
        deferred.raise_pending(plain)
