"""Optimiser updates by kernels: the same text as on NumPy, the same numbers."""

import inspect
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.compiler import FusionError
from minigrad.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.utils.install import install_line

BACKEND = InterpretedBackend()

fraction = st.sampled_from([0.0, 0.1, 0.9])
flag = st.booleans()
OPTIONS = {
    SGD: {
        "momentum": fraction,
        "dampening": fraction,
        "weight_decay": fraction,
        "maximize": flag,
    },
    Adam: {
        "betas": st.tuples(fraction, fraction),
        "eps": st.sampled_from([1e-8, 0.1]),
        "weight_decay": fraction,
        "amsgrad": flag,
        "maximize": flag,
    },
    RMSprop: {
        "alpha": fraction,
        "weight_decay": fraction,
        "momentum": fraction,
        "centered": flag,
        "eps": st.sampled_from([1e-8, 0.1]),
        "maximize": flag,
    },
    Adagrad: {
        "lr_decay": fraction,
        "weight_decay": fraction,
        "initial_accumulator_value": fraction,
        "eps": st.sampled_from([1e-10, 0.1]),
        "maximize": flag,
    },
    Adadelta: {
        "rho": fraction,
        "eps": st.sampled_from([1e-6, 0.1]),
        "weight_decay": fraction,
        "maximize": flag,
    },
}
OPTIONS[AdamW] = OPTIONS[Adam]
SHAPES = [(3, 5), (7,), (2, 3, 4), (1,), (), (600, 3), (2053,)]


@pytest.fixture(autouse=True)
def counted_anew():
    mg.reset_dispatch_counts()
    yield
    mg.reset_dispatch_counts()


def trained(kind, options, backend, choice, steps=4, shapes=SHAPES, dtype="float64"):
    """Parameters and running values after some steps with a learning rate that changes."""
    rng = np.random.default_rng(0)
    with fusing(choice):
        ps = [
            mg.tensor(rng.normal(size=s), requires_grad=True, dtype=dtype, backend=backend)
            for s in shapes
        ]
        optimizer = kind(ps, lr=0.1, **options)
        for _ in range(steps):
            for p in ps:
                p.grad = mg.tensor(rng.normal(size=p.shape), dtype=dtype, backend=backend)
            optimizer.step()
            optimizer.param_groups[0]["lr"] *= 0.7
        return [p.numpy() for p in ps], optimizer.state_dict()


def assert_same(found, right, tolerance):
    (ours, state), (others, other_state) = found, right
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for values, others in zip(state["state"], other_state["state"], strict=True):
        assert values.keys() == others.keys()
        for key, value in values.items():
            np.testing.assert_allclose(value, others[key], rtol=tolerance, atol=tolerance)


@settings(max_examples=max(6, settings.default.max_examples // 2))
@given(data=st.data())
@pytest.mark.parametrize("kind", OPTIONS)
def test_updates_are_those_of_numpy(kind, data):
    options = {name: data.draw(values) for name, values in OPTIONS[kind].items()}
    if kind is SGD and options["momentum"] and not options["dampening"]:
        options["nesterov"] = data.draw(flag)
    right = trained(kind, options, "numpy", "0")
    assert_same(trained(kind, options, BACKEND, "require"), right, 1e-12)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_by_numba(kind, dtype):
    pytest.importorskip("numba", reason=f"no Numba; {install_line('numba')}")
    options = {"weight_decay": 0.1, **({"momentum": 0.9} if kind in (SGD, RMSprop) else {})}
    right = trained(kind, options, "numpy", "0")
    found = trained(kind, options, "numba", "require", dtype=dtype)
    assert {p.dtype.name for p in found[0]} == {dtype}
    assert_same(found, right, 1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("kind", OPTIONS)
def test_every_option_of_a_rule_is_drawn(kind):
    drawn = {"params", "lr", *OPTIONS[kind], *(["nesterov"] if kind is SGD else [])}
    assert set(inspect.signature(kind).parameters) == drawn


def test_one_kernel_for_all_steps_shapes_and_numbers():
    before = set(BACKEND.texts)
    for options in ({}, {"betas": (0.8, 0.95), "eps": 1e-4}):
        trained(Adam, options, BACKEND, "require")
    assert len(set(BACKEND.texts) - before) <= 1
    assert mg.dispatch_counts() == {("adam", "interpreted", "fused", ""): 56}


def test_a_run_goes_on_where_it_was_saved():
    def run(stop):
        rng = np.random.default_rng(0)
        p = mg.tensor(rng.normal(size=(3, 4)), requires_grad=True, backend=BACKEND)
        optimizer = Adam([p], lr=0.1)
        for step in range(6):
            p.grad = mg.tensor(rng.normal(size=p.shape), backend=BACKEND)
            optimizer.step()
            if step == stop:
                state, optimizer = optimizer.state_dict(), Adam([p])
                optimizer.load_state_dict(state)
        return p.numpy()

    with fusing("require"):
        np.testing.assert_array_equal(run(2), run(None))


def test_an_old_parameter_stays_as_it_was():
    p = mg.tensor([1.0, 2.0], requires_grad=True, backend=BACKEND)
    y, before = (p * p).sum(), p._data
    with fusing("require"):
        optimizer = SGD([p], lr=0.1, momentum=0.9)
        for _ in range(2):
            p.grad = mg.ones_like(p)
            optimizer.step()
    np.testing.assert_array_equal(before, np.float32([1, 2]))
    y.backward()  # through the numbers of its time
    np.testing.assert_array_equal(p.grad.numpy(), np.float32([3, 5]))


# --- the user's rules, and refusals ---------------------------------------------------------------


def optimizer_of(rule, **options):
    made = type("Own", (Optimizer,), {"rule": staticmethod(rule)})
    p = mg.tensor(np.ones((3, 4)), requires_grad=True, backend=BACKEND)
    p.grad = mg.full_like(p, 2.0)
    return made([p], **options), p


def test_a_rule_of_ones_own():
    def lion(xp, p, g, state, *, lr, betas):
        mean = state.get("mean", xp.zeros(p.shape, p.dtype))
        step = xp.sign(betas[0] * mean + (1 - betas[0]) * g)
        state["mean"] = betas[1] * mean + (1 - betas[1]) * g
        state["step"] = -(-state.get("step", 0) - 1)
        return p - lr * step / (1 + 0.5 ** ((-state["step"]) ** 2) ** 0.5)

    optimizer, p = optimizer_of(lion, lr=0.3, betas=(0.9, 0.99))
    with fusing("require"):
        optimizer.step()
        optimizer.step()
    np.testing.assert_allclose(p.numpy(), 1 - 0.3 / 1.5 - 0.3 / 1.25)
    state = optimizer.state_dict()["state"][0]
    assert state["step"] == 2
    np.testing.assert_allclose(state["mean"], 0.02 + 0.99 * 0.02)
    assert mg.dispatch_counts() == {("lion", "interpreted", "fused", ""): 2}


def clips_by_norm(xp, p, g, state, *, lr):
    return p - lr * g / xp.sqrt(xp.sum(g * g))


def looks_at_a_number(xp, p, g, state, *, lr):
    return p - lr * g if lr > 0.1 else p


def looks_at_a_step(xp, p, g, state, *, lr):
    state["step"] = state.get("step", 0.5) * lr
    return p - g if state["step"] else p


def takes_a_root(xp, p, g, state, *, lr):
    return p - math.sqrt(lr) * g


def rolls_dice(xp, p, g, state, *, lr):
    return p - lr * g * np.random.default_rng(0).random() * mg.rng.generator().random()


def holds_an_array(xp, p, g, state, *, lr):
    return p - np.full(4, lr) * g


def asks_an_array(xp, p, g, state, *, lr):
    return p - lr * g.mean()


def counts_in_words(xp, p, g, state, *, lr):
    state["said"] = "once"
    return p - lr * g


def returns_a_number(xp, p, g, state, *, lr):
    return 0.0


def adds_an_axis(xp, p, g, state, *, lr):
    return xp.reshape(p, (1, 3, 4))


REFUSED = {
    clips_by_norm: "sum mixes the numbers of a parameter",
    looks_at_a_number: "it looks at a number that may be another at each step",
    looks_at_a_step: "it looks at a number that may be another at each step",
    takes_a_root: "it looks at a number that may be another at each step",
    rolls_dice: "it draws random numbers",
    holds_an_array: "it looks at a number that may be another at each step",
    asks_an_array: "tracing it gave AttributeError: 'Traced' object has no attribute 'mean'",
    counts_in_words: "its running value 'said' is a str",
    returns_a_number: "its results are not of the parameter's shape and dtype",
    adds_an_axis: "reshape mixes the numbers of a parameter",
}


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.__name__)
def test_refusals_have_a_reason(rule):
    optimizer, _ = optimizer_of(rule, lr=0.2)
    name = rule.__name__
    with fusing("require"), pytest.raises(FusionError) as caught:
        optimizer.step()
    start = f"MINIGRAD_FUSED=require, but an update by {name} on backend 'interpreted' can't be "
    assert str(caught.value).startswith(start + "fused: ") and REFUSED[rule] in str(caught.value)


FACTOR = [1.0]


def test_what_a_rule_reads_from_outside_may_change():
    class Rule:
        factor = 1.0

        def __call__(self, xp, p, g, state, *, lr):
            return p - lr * self.factor * g

    def listed(xp, p, g, state, *, lr, only):
        return p - lr * only[0] * g

    def by_global(xp, p, g, state, *, lr):
        return p - lr * FACTOR[0] * g

    def change(rule, optimizer):
        Rule.factor = FACTOR[0] = 2.0
        optimizer.param_groups[0].get("only", [0])[0] = 2.0

    for rule, options in ((Rule(), {}), (listed, {"only": [1.0]}), (by_global, {})):
        Rule.factor = FACTOR[0] = 1.0
        optimizer, p = optimizer_of(rule, lr=0.25, **options)
        with fusing("require"):
            optimizer.step()
            np.testing.assert_array_equal(p.numpy(), np.full((3, 4), 0.5))
            change(rule, optimizer)
            optimizer.step()
        np.testing.assert_array_equal(p.numpy(), np.full((3, 4), -0.5))


def test_a_rule_that_may_change_unseen_is_composed():
    numbers = itertools.count()

    def counts(xp, p, g, state, *, lr):
        return p - lr * next(numbers) * g

    optimizer, p = optimizer_of(counts, lr=0.25)
    with fusing("require"), pytest.raises(FusionError, match="it reads numbers, an iterator"):
        optimizer.step()
    for _ in range(3):
        optimizer.step()
    np.testing.assert_array_equal(p.numpy(), np.full((3, 4), -0.5))


def test_composed_where_a_kernel_does_not_pay():
    def reasons(kind, *shape, **options):
        mg.reset_dispatch_counts()
        trained(kind, options, BACKEND, "1", steps=1, shapes=[shape], dtype="float32")
        return [key[2:] for key in mg.dispatch_counts()]

    few = "too little work (fewer than 16384 numbers) for a kernel to be faster"
    little = "too little work (fewer than 1048576 operations) for a kernel to be faster"
    assert reasons(Adam, 64, 64) == [("composed", few)]
    assert reasons(SGD, 512, 512) == [("composed", little)]
    assert reasons(Adam, 512, 256) == reasons(SGD, 1024, 512) == [("fused", "")]
    with mg.detect_anomaly():
        assert reasons(Adam, 512, 256) == [("composed", "anomaly mode looks at every op")]
