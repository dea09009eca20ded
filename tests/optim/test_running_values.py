"""Running values of any kind, in update rules of one's own: steps, and saving in between."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.optim import Optimizer

INTERPRETED = InterpretedBackend()


def counts(xp, p, g, state, *, lr):
    state["count"] = state.get("count", 0) + 1
    return p - lr / state["count"] * g


def several_numbers(xp, p, g, state, *, lr):
    a, b = state.get("a", 1), state.get("b", 0.5)
    state["a"], state["b"] = a + 1, b * 0.75
    return p - lr * (a * b) * g


def a_flag(xp, p, g, state, *, lr):
    first = state.get("first", True)
    state["first"] = False
    return p - lr * (2.0 if first else 1.0) * g


def nothing_at_first(xp, p, g, state, *, lr):
    mean = state.get("mean")
    state["mean"] = mean = g if mean is None else 0.5 * mean + g
    state["note"] = None
    return p - lr * mean


def a_word(xp, p, g, state, *, lr):
    state["mode"] = "slow" if state.get("mode") == "fast" else "fast"
    return p - lr * (3.0 if state["mode"] == "fast" else 1.0) * g


def an_array_of_no_axes(xp, p, g, state, *, lr):
    total = state["total"] if "total" in state else xp.zeros((), p.dtype)
    state["total"] = total = total + xp.sum(g * g)
    return p - lr * g / (1 + total)


def an_array_of_whole_numbers(xp, p, g, state, *, lr):
    seen = state["seen"] if "seen" in state else xp.zeros(p.shape, np.dtype("int64"))
    state["seen"] = seen + 1
    return p - lr * g / xp.astype(state["seen"], p.dtype)


def more_digits_than_the_parameter(xp, p, g, state, *, lr):
    wide = np.dtype("float64")
    total = state["total"] if "total" in state else xp.zeros(p.shape, wide)
    state["total"] = total + xp.astype(g, wide) / 3
    return p - lr * xp.astype(state["total"], p.dtype)


def a_row_of_the_parameter(xp, p, g, state, *, lr):
    row = state["row"] if "row" in state else xp.zeros(p.shape[-1:], p.dtype)
    state["row"] = row = 0.5 * row + xp.sum(g * g, axis=tuple(range(g.ndim - 1)))
    return p - lr * g / (1 + row)


def a_list_of_arrays(xp, p, g, state, *, lr):
    last = state.get("last", [])
    state["last"] = [*last[-2:], xp.copy(g)]
    return p - lr * sum(state["last"][1:], state["last"][0])


def the_name_step_for_an_array(xp, p, g, state, *, lr):
    state["step"] = 0.5 * (state["step"] if "step" in state else xp.zeros(p.shape, p.dtype)) + g
    return p - lr * state["step"]


RULES = [counts, several_numbers, a_flag, nothing_at_first, a_word, an_array_of_no_axes]
RULES += [an_array_of_whole_numbers, more_digits_than_the_parameter, a_row_of_the_parameter]
RULES += [a_list_of_arrays, the_name_step_for_an_array]


def trained(rule, backend, choice, shape=(3, 4), dtype="float32", stop=None, through=None):
    """A parameter after five steps; after step `stop` the optimiser is saved and made anew."""
    kind = type("Own", (Optimizer,), {"rule": staticmethod(rule)})
    rng = np.random.default_rng(0)
    p = mg.tensor(rng.normal(size=shape), requires_grad=True, dtype=dtype, backend=backend)
    optimizer = kind([p], lr=0.1)
    with fusing(choice):
        for step in range(5):
            p.grad = mg.tensor(rng.normal(size=shape), dtype=dtype, backend=backend)
            optimizer.step()
            if step == stop:
                state = optimizer.state_dict()
                if through is not None:
                    mg.save(through, state)
                    state = mg.load(through)
                optimizer = kind([p], lr=7.0)
                optimizer.load_state_dict(state)
    return p.numpy()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("shape", [(3, 4), (1,)])
def test_a_rule_steps_and_resumes_bit_by_bit(rule, shape, backend, tmp_path):
    pytest.importorskip("safetensors")
    whole = trained(rule, backend, "1", shape)
    for stop in (0, 2):
        np.testing.assert_array_equal(trained(rule, backend, "1", shape, stop=stop), whole)
        again = trained(rule, backend, "1", shape, stop=stop, through=tmp_path / "state")
        np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@given(shape=st.sampled_from([(3, 4), (), (5,), (2, 1, 3)]), stop=st.sampled_from([None, 0, 3]))
def test_fused_is_composed(rule, shape, stop):
    if rule is a_row_of_the_parameter and shape == ():
        return
    mg.reset_dispatch_counts()
    found = trained(rule, INTERPRETED, "1", shape, "float64", stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["minigrad.fusion"], "MIN_ELEMENTS_TO_FUSE", 0)
        patch.setattr("minigrad.compiler.fused_update.MIN_OPERATIONS_TO_FUSE", 0)
        kernels = trained(rule, INTERPRETED, "1", shape, "float64", stop)
    right = trained(rule, "numpy", "0", shape, "float64")
    np.testing.assert_allclose(found, right, rtol=1e-14)
    np.testing.assert_allclose(kernels, right, rtol=1e-14)
    ways = {key[2] for key in mg.dispatch_counts() if key[1] == "interpreted"}
    if rule in (counts, several_numbers, the_name_step_for_an_array):
        assert "fused" in ways


def test_a_model_that_was_converted_is_noticed_by_arrays_alone():
    p = mg.ones((2, 2), requires_grad=True)
    kind = type("Own", (Optimizer,), {"rule": staticmethod(an_array_of_no_axes)})
    for rule, wrong in ((counts, False), (an_array_of_no_axes, True)):
        kind = type("Own", (Optimizer,), {"rule": staticmethod(rule)})
        p = mg.ones((2, 2), requires_grad=True)
        optimizer = kind([p], lr=0.1)
        p.grad = mg.ones_like(p)
        optimizer.step()
        p._data = p._data.astype("float64")
        p.grad = mg.ones_like(p)
        if wrong:
            with pytest.raises(RuntimeError, match=r"another dtype .* when its 'total' was made"):
                optimizer.step()
        else:
            optimizer.step()


def test_a_state_of_another_parameter_is_refused_whatever_its_arrays_are_like():
    kind = type("Own", (Optimizer,), {"rule": staticmethod(a_row_of_the_parameter)})

    def stepped(*shape):
        p = mg.ones(shape, requires_grad=True)
        p.grad = mg.ones_like(p)
        optimizer = kind([p], lr=0.1)
        optimizer.step()
        return optimizer

    state = stepped(3, 4).state_dict()
    assert state["state"][0]["row"].shape == (4,)
    stepped(3, 4).load_state_dict(state)
    with pytest.raises(ValueError, match=r"'row' of parameter 0: here \(2, 4\), in the state"):
        stepped(2, 4).load_state_dict(state)
