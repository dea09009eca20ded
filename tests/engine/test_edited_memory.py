"""`x[index] = y` writes to memory that is x's alone, and to a copy of any other."""

import copy
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

START = np.arange(1.0, 13.0).reshape(6, 2)


def graph(x):
    """A step of a graph that has saved x."""
    w = mg.tensor(2.0, requires_grad=True, dtype=x.dtype, backend=x.backend)
    y = w * x.detach()
    return lambda: mg.grad(y.sum(), w, retain_graph=True).numpy()


def tensor_of(make):
    """A tensor with its memory."""

    def look(x):
        seen = make(x)
        return seen.numpy

    return look


def array_of(make):
    """An array with its memory."""

    def look(x):
        seen = make(x)
        return lambda: np.array(seen)

    return look


# What may look at the memory of a tensor: a function that looks again.
SEEN_BY = {
    "detach": tensor_of(lambda x: x.detach()),
    "reshape": tensor_of(lambda x: x.detach().reshape(3, 4)),
    "transpose": tensor_of(lambda x: x.detach().T),
    "an index": tensor_of(lambda x: x.detach()[1:]),
    "a view of a view": tensor_of(lambda x: x.detach()[1:].T),
    "copy": tensor_of(lambda x: copy.copy(x.detach())),
    "a graph": graph,
    "an array": array_of(lambda x: x.data),
    "a view of an array": array_of(lambda x: x.data[1:].T),
    "a memoryview": array_of(lambda x: memoryview(x.data)),
    "DLPack": array_of(lambda x: np.from_dlpack(x.detach())),
}


@pytest.fixture(params=["plain", "parameter", "result"])
def x(request, backend):
    if request.param == "plain":
        return mg.tensor(START)
    if request.param == "parameter":
        return mg.nn.Parameter(START)
    return (mg.tensor(START) * 1).detach()


def on_numpy(x):
    return isinstance(x._data, np.ndarray)


@pytest.mark.parametrize("name", SEEN_BY)
def test_what_others_see_stays(x, name):
    if not on_numpy(x) and ("array" in name or "memory" in name or name == "DLPack"):
        pytest.skip("a device's arrays are read in another way")
    look = SEEN_BY[name](x)
    before = np.array(look())
    with mg.no_grad():
        x[2:4] = -1
        x[0, 1] += 5
        x[[5, 4]] = [[7, 8], [9, 10]]
    assert np.array_equal(np.array(look()), before)
    expected = START.copy()
    expected[2:4], expected[0, 1], expected[5], expected[4] = -1, 7, [7, 8], [9, 10]
    assert np.array_equal(x.numpy(), expected)


def test_memory_of_its_own_is_written_to(x):
    if not on_numpy(x):
        pytest.skip("a device makes a new array")
    with mg.no_grad():
        x[0] = 0  # from here on it is, whatever it was made of
        array = weakref.ref(x._data)
        for t in range(6):
            x[t] = t
            x[t, 1] += 1
        assert x._data is array()
        y = x.detach()
        x[0] = 5
        assert y._data is array() is not x._data
        assert y.tolist()[0] == [0, 1] and x.tolist()[0] == [5, 5]


def test_an_array_of_the_users(backend):
    x, array = mg.zeros((2, 2)), np.ones((2, 2), np.float32)
    if not on_numpy(x):
        pytest.skip("its memory is elsewhere")
    x.data = array
    x[0] = 5
    assert array.tolist() == [[1, 1], [1, 1]] and x.tolist() == [[5, 5], [1, 1]]
    made = mg.tensor(array)
    made[0] = 5
    assert array.tolist() == [[1, 1], [1, 1]]


def test_an_edit_that_fails_changes_nothing(x):
    before = x.tolist()
    for index, value in ((slice(0, 2), np.ones(3)), ((9, 0), 1), ([0, 9], 1.0), (0, "a")):
        with mg.no_grad(), pytest.raises((ValueError, IndexError, TypeError)):
            x[index] = value
    assert x.tolist() == before


EDITS = {
    "itself": lambda x: (slice(None), x),
    "backwards": lambda x: (slice(None, None, -1), x),
    "moved": lambda x: (slice(1, None), x[:-1]),
    "moved back": lambda x: (slice(None, -1), x[1:]),
    "turned": lambda x: (slice(None), x[::-1]),
    "at its numbers": lambda x: (x % len(x), 7),
    "at itself": lambda x: (x, 3),
    "turned, at itself": lambda x: (x, x[::-1]),
    "where it is odd": lambda x: (x % 2 == 1, 0),
    "repeated": lambda x: ([0, 0], x[:2]),
}


@given(
    start=st.permutations(range(6)).map(list),
    names=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=6),
)
def test_parts_of_itself_as_index_and_value(backend, start, names):
    x, expected = mg.tensor(start, dtype="int64"), np.array(start)
    for name in names:
        if name.endswith("itself") and not set(expected) <= set(range(6)):
            continue  # no positions any more
        index, value = EDITS[name](expected)
        old = np.array(index) if isinstance(index, np.ndarray) else index
        # As if x were read before anything is written.
        changed = expected.copy()
        changed[old] = np.array(value)
        index, value = EDITS[name](x)
        x[index] = value
        expected = changed
        assert np.array_equal(x.numpy(), expected), name
