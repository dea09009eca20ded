"""`mg.record(gradients=True)`: the gradients of named values, however the scan runs."""

import itertools
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.reports.timing import fusing


def cell(p, x, state):
    """Two states, a value that is used twice, and one that only the output needs."""
    h, c = state
    keep = mg.probe("keep", mg.sigmoid(x + h * p))
    c = mg.probe("sum", keep * c + (1 - keep) * x)
    h = mg.probe("hidden", mg.tanh(c * p))
    return mg.probe("output", h * keep), (h, c)


def drawn(seed, T, N):
    rng = np.random.default_rng(seed)
    p = mg.tensor(rng.normal(size=3), requires_grad=True)
    x = mg.tensor(rng.normal(size=(T, N, 3)), requires_grad=True)
    state = tuple(mg.tensor(rng.normal(size=(N, 3))) for _ in "hc")
    return p, x, state, [mg.tensor(rng.normal(size=s)) for s in ((T, N, 3), (N, 3), (N, 3))]


def loss(p, x, state, cotangents, **scan):
    y, last = mg.scan(cell, p, x, state, **scan)
    return sum((g * part).sum() for g, part in zip(cotangents, (y, *last), strict=True))


def added_by_hand(given, T, reverse=False, **scan):
    """The same gradients, of zeros that are added to the values step by step."""
    names = ("keep", "sum", "hidden", "output")
    zeros = {n: mg.zeros(given[1].shape, dtype="float64", requires_grad=True) for n in names}
    steps = {name: itertools.cycle(range(T)[:: -1 if reverse else 1]) for name in names}

    def plus(name):
        return lambda value: value + zeros[name][next(steps[name])]

    with mg.override({name: plus(name) for name in names}):
        loss(*given, reverse=reverse, **scan).backward()
    return {name: zero.grad.numpy() for name, zero in zeros.items()}


@settings(max_examples=max(4, settings.default.max_examples // 10))
@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 2), st.booleans(), st.data())
def test_they_are_those_of_added_zeros(backend, seed, T, N, reverse, data):
    valid = data.draw(st.none() | st.just(np.random.default_rng(seed).random((T, N)) < 0.6))
    given = drawn(seed, T, N)
    right = added_by_hand(given, T, reverse=reverse, mask=valid)
    for choice in "01":
        with fusing(choice), mg.record(gradients=True) as trace:
            total = loss(*given, reverse=reverse, mask=valid)
        total.backward()
        for name, gradient in right.items():
            found = trace.gradient[name]
            np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-12, err_msg=name)
            if valid is not None:
                assert not found[~valid].any()


@pytest.mark.parametrize("choice", ["0", "1"])
def test_what_is_found_beside_them(backend, choice, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", choice)
    given = p, x, *_ = drawn(3, 4, 2)
    once = mg.grad(loss(*given), [p, x], create_graph=True)
    twice = mg.grad(sum((g * g).sum() for g in once), [p, x])
    with mg.record(gradients=True) as trace:
        total = loss(*given)
    found = mg.grad(total, [p, x], create_graph=True)
    again = mg.grad(sum((g * g).sum() for g in found), [p, x])
    for a, b in zip((*found, *again), (*once, *twice), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-11)
    with pytest.raises(ValueError, match="has not reached 'keep'"):
        _ = trace.gradient["keep"]  # grad() fills no .grad


def test_they_add_up_as_those_of_leaves_do(backend):
    given = drawn(4, 3, 2)
    with mg.record(gradients=True) as trace:
        total = loss(*given)
    total.backward(retain_graph=True)
    once = trace.gradient["sum"].copy()
    total.backward()
    np.testing.assert_allclose(trace.gradient["sum"], 2 * once, rtol=1e-12)
    with mg.record(gradients=True) as trace:
        total = loss(*given)
    total.backward(inputs=given[0])
    with pytest.raises(ValueError, match="has not reached 'sum'"):
        _ = trace.gradient["sum"]


def test_a_part_without_gradients(backend):
    def half(p, x, h):
        with mg.no_grad():
            keep = mg.probe("keep", mg.sigmoid(x))
        h = mg.probe("hidden", keep * h + x)
        return h, h

    x = mg.ones((3, 2, 1), requires_grad=True)
    with mg.record(gradients=True) as trace:
        y, _ = mg.scan(half, None, x, mg.zeros((2, 1)))
    y.sum().backward()
    assert trace.gradient["hidden"][2].tolist() == [[1.0], [1.0]]
    with pytest.raises(ValueError, match="has not reached 'keep'"):
        _ = trace.gradient["keep"]


def test_two_recordings_see_the_same(backend):
    given = drawn(5, 3, 2)
    with mg.record(gradients=True) as outer, mg.record(gradients=True) as inner:
        loss(*given).backward()
    for name in ("keep", "sum", "hidden", "output"):
        np.testing.assert_array_equal(outer.gradient[name], inner.gradient[name])
        assert np.abs(outer.gradient[name]).max() > 0


@pytest.mark.parametrize("gradients", [False, True])
def test_nothing_holds_the_inputs(backend, gradients):
    p, given, state, cotangents = drawn(6, 3, 2)
    for _ in range(2):  # what the cell names is found, and then known
        x = given.detach()
        held = weakref.ref(x)
        with mg.record(gradients=gradients) as trace:
            y, _ = mg.scan(cell, p, x, state)
        del x
        assert held() is None
        (y * cotangents[0]).sum().backward()
        assert trace["sum"].shape == y.shape
