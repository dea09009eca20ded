"""The pool of large arrays: when memory is used again, and when it must not be."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minigrad.backends.numba_kernels import array_pool
from minigrad.backends.numba_kernels.array_pool import ArrayPool
from minigrad.backends.numpy_backend import load
from minigrad.engine import inplace

LARGE = (100, 64, 32)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def pool():
    return ArrayPool()


def test_arrays_are_as_asked(pool):
    for shape, dtype in ((LARGE, np.float32), ([3, 50_000], "float64"), (100_001, "bool")):
        shape = (shape,) if isinstance(shape, int) else shape
        for array in (pool.empty(shape, dtype), pool.empty(shape, dtype)):
            assert (array.shape, array.dtype) == (tuple(shape), dtype)
            assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
            assert address(array) % 64 == 0  # where a cache line begins
            array[...] = 1


def test_a_free_block_serves_any_shape_and_dtype(pool):
    a = pool.empty(LARGE, np.float32)
    where = address(a)
    del a
    for shape, dtype in ((LARGE, np.float32), ((64, 3200), np.float32), ((102_400,), np.float64)):
        array = pool.empty(shape, dtype)
        assert address(array) == where
        del array


def test_nearly_the_same_size_is_the_same_block(pool):
    where = address(pool.empty((97, 1000), np.float32))
    assert address(pool.empty((96, 1000), np.float32)) == where
    assert address(pool.empty((48, 1000), np.float32)) != where


@pytest.mark.parametrize(
    "look",
    [
        lambda a: a,
        lambda a: a[5:],
        lambda a: a.T[3],
        lambda a: memoryview(a),
        lambda a: np.frombuffer(a, np.uint8),
        lambda a: load().transpose(a, (2, 0, 1)),
        lambda a: (x for x in a),
    ],
    ids=["itself", "slice", "transposed", "memoryview", "buffer", "backend", "iterator"],
)
def test_whoever_looks_at_it_keeps_it(pool, look):
    a = pool.empty(LARGE, np.float32)
    where = address(a)
    seen = look(a)
    if hasattr(seen, "__next__"):
        next(seen)
    del a
    assert address(pool.empty(LARGE, np.float32)) != where
    del seen
    assert where in {address(x) for x in [pool.empty(LARGE, np.float32) for _ in range(3)]}


def test_small_arrays_are_numpys(pool):
    array = pool.empty((10, 10), np.float32)
    assert array.base is None and not pool._blocks


def test_it_keeps_so_much_and_no_more(pool, monkeypatch):
    monkeypatch.setattr(array_pool, "_LARGEST", 3 << 17)
    held = [pool.empty((1 << 17,), np.uint8) for _ in range(5)]
    assert pool._bytes == 3 << 17
    held.clear()
    other = pool.empty((1 << 18,), np.uint8)  # for which all unused ones go
    assert pool._bytes == 1 << 18 == sum(b.nbytes for known in pool._blocks.values() for b in known)
    assert other.size == 1 << 18


def test_no_two_threads_get_the_same(pool):
    def work(number):
        for _ in range(200):
            array = pool.empty((1 << 15,), np.float64)
            array[:] = number
            if not (array == number).all():
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))


def test_a_block_used_again_is_not_guarded_for_its_former_owner(pool):
    array = pool.empty(LARGE, np.float32)
    array[...] = 0
    before = len(inplace._editable)
    inplace.mark_editable(array, load())
    assert len(inplace._editable) == before + 1
    del array
    gc.collect()
    assert len(inplace._editable) == before
