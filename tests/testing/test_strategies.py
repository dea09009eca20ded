"""The strategies give what they promise, and all of it."""

import builtins
import importlib
import sys

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from minigrad.testing import strategies


@given(strategies.broadcastable(3))
def test_shapes_broadcast(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@pytest.mark.parametrize(
    "seen",
    [
        lambda shapes: shapes[0] == () != shapes[1],
        lambda shapes: 0 in shapes[0],
        lambda shapes: 1 in shapes[0] and shapes[0] != shapes[1],
        lambda shapes: shapes[0] == shapes[1] and len(shapes[0]) == 3,
    ],
)
def test_all_kinds_of_shapes_come_up(seen):
    find(strategies.broadcastable(), seen)


@given(st.data(), st.integers(0, 3))
def test_axes_are_valid(data, ndim):
    axis = data.draw(strategies.axes(ndim, empty=True))
    np.zeros((2,) * ndim).sum(axis=axis)


@pytest.mark.parametrize(
    "seen",
    [
        lambda axis: axis is None,
        lambda axis: isinstance(axis, int) and axis < 0,
        lambda axis: isinstance(axis, int) and axis >= 0,
        lambda axis: isinstance(axis, tuple) and len(axis) == 2 and min(axis) < 0,
        lambda axis: axis == (),
    ],
)
def test_all_kinds_of_axes_come_up(seen):
    find(strategies.axes(3, empty=True), seen)


@given(strategies.dtypes("fib"))
def test_dtypes_are_those_of_tensors(dtype):
    assert dtype.name in ("float32", "float64", "int64", "int32", "bool")


@given(strategies.arrays((3, 4), "float32", kinks=(0, 1), gap=0.2))
def test_values_keep_away_from_kinks(x):
    assert x.dtype == np.float32 and x.shape == (3, 4)
    assert np.abs(x).min() > 0.199 and np.abs(x - 1).min() > 0.199
    assert np.abs(x).max() <= 3


@given(st.data())
def test_layouts_hold_the_same_numbers(data):
    shape = data.draw(strategies.shapes())
    array = np.random.default_rng(0).standard_normal(shape)
    for layout in strategies.LAYOUTS:
        assert np.array_equal(strategies.relaid(array, layout), array)
        assert strategies.relaid(array, layout).shape == shape


def test_layouts_differ_in_memory():
    array = np.arange(6.0).reshape(2, 3)
    strides = {layout: strategies.relaid(array, layout).strides for layout in strategies.LAYOUTS}
    assert strides["contiguous"] == (24, 8)
    assert strides["transposed"] == (8, 16)
    assert strides["strided"] == (48, 16)
    assert strides["reversed"] == (-24, -8)
    assert strategies.relaid(array, "offset").base is not None
    with pytest.raises(ValueError, match="unknown layout 'diagonal'; known are contiguous"):
        strategies.relaid(array, "diagonal")


@given(strategies.lengths(4, 6, min_length=1))
def test_lengths_are_in_range(lengths):
    assert lengths.shape == (4,) and lengths.dtype == np.int64
    assert lengths.min() >= 1 and lengths.max() <= 6


def test_lengths_are_ragged_full_and_empty():
    find(strategies.lengths(2, 3), lambda n: n[0] == 0 and n[1] == 3)


def test_no_lengths_of_no_steps():
    assert find(strategies.lengths(2, 0, min_length=1), lambda n: True).tolist() == [0, 0]


def test_without_hypothesis_the_install_line_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args):
        if name.startswith("hypothesis"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.delitem(sys.modules, "minigrad.testing.strategies")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[dev\]"'):
        importlib.import_module("minigrad.testing.strategies")
