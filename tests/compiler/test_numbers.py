"""Numbers as arguments of kernels: many of them, one kernel; and what is forgotten is freed."""

import functools
import gc
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.compiler import fused_function, plan_cache

BACKEND = InterpretedBackend()
numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


def texts(run):
    """The kernels that something compiles."""
    before = set(BACKEND.texts)
    with mg.use_backend(BACKEND), fusing("require"):
        run()
    return set(BACKEND.texts) - before


# --- one kernel for all numbers -------------------------------------------------------------------


@mg.fuse
def mixed(x, y, alpha, beta=0.5, *, gamma=1.5):
    h = mg.where(x > alpha, alpha * x, (1 - beta) * mg.tanh(y / gamma))
    return h * (alpha + beta) ** 2 - gamma + mg.maximum(h, -beta) + 2.0**h


FUNCTIONS = {
    "leaky_relu": lambda x, y, k: mg.leaky_relu(x, k),
    "elu": lambda x, y, k: mg.elu(x, alpha=k),
    "layer_norm": lambda x, y, k: mg.layer_norm(x, 8, eps=abs(k)),
    "huber_loss": lambda x, y, k: mg.huber_loss(x, y, delta=abs(k), reduction="none"),
    "smoothing": lambda x, y, k: mg.cross_entropy(
        x, [0, 1, 2, 3], label_smoothing=abs(k) / 4, reduction="none"
    ),
    "pos_weight": lambda x, y, k: mg.binary_cross_entropy_with_logits(
        x, mg.sigmoid(y).detach(), pos_weight=abs(k), reduction="none"
    ),
    "dropout": lambda x, y, k: mg.dropout(x, p=abs(k) / 4),
    "mixed": lambda x, y, k: mixed(x, y, k, 1 / k, gamma=k * k),
    "an object": lambda x, y, k: of_an_object(x, SimpleNamespace(y=y, settings={"k": [k]})),
}


@mg.fuse
def of_an_object(x, given):
    return x * given.y + given.settings["k"][0] * x


def result(function, k, backend, fused, dtype, x, y):
    """What a function gives, with its gradients and those of a second order."""
    mg.manual_seed(3)
    with mg.use_backend(backend), fusing(fused):
        x, y = (mg.tensor(a, dtype=dtype, requires_grad=True) for a in (x, y))
        out = function(x, y, k)
        g = mg.tensor(np.random.default_rng(1).normal(size=out.shape), dtype=dtype)
        first = mg.grad(out, [x, y], g, create_graph=True, allow_unused=True)
        first = [d for d in first if d is not None]
        curved = [d.sum() for d in first if d.requires_grad]
        second = mg.grad(curved, [x], allow_unused=True) if curved else []
        return [t.numpy() for t in (out, *first, *second) if t is not None]


@pytest.mark.parametrize("name", FUNCTIONS)
@given(k=numbers, dtype=st.sampled_from(["float32", "float64"]), data=st.data())
def test_any_number_gives_what_the_composition_gives(name, k, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    x, y = rng.normal(size=(4, 8)), rng.normal(size=(4, 8))
    found = result(FUNCTIONS[name], k, BACKEND, "require", dtype, x, y)
    right = result(FUNCTIONS[name], k, "numpy", "0", dtype, x, y)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for a, b in zip(found, right, strict=True):
        scale = max(1, np.abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fifty_numbers_compile_the_kernels_of_one(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 8)), rng.normal(size=(4, 8))

    def run(ks):
        for k in ks:
            result(FUNCTIONS[name], k, BACKEND, "1", "float32", x, y)
            with mg.use_backend(BACKEND):
                a, b = mg.tensor(x, requires_grad=True), mg.tensor(y, requires_grad=True)
                FUNCTIONS[name](a, b, k).sum().backward()

    texts(lambda: run([0.7]))
    assert not texts(lambda: run(np.linspace(0.05, 2.9, 50).tolist()))


@pytest.mark.parametrize("kind", ["a dict", "an object", "a list"])
def test_numbers_among_the_parameters_of_a_cell(kind):
    def cell(p, x, h):
        if kind == "a dict":
            w, alpha, beta = p["w"], p["alpha"], p["deep"]["beta"]
        elif kind == "an object":
            w, alpha, beta = p.w, p.alpha, p.deep.beta
        else:
            w, alpha, (beta,) = p
        h = mg.tanh(alpha * (x @ w) + (1 - alpha) * h) / beta
        return h, h

    def run(backend, fused, alpha, beta, steps=3):
        with mg.use_backend(backend), fusing(fused):
            w = mg.tensor(np.linspace(-1, 1, 6).reshape(2, 3), requires_grad=True)
            p = {"w": w, "alpha": alpha, "deep": {"beta": beta}}
            if kind == "an object":
                p = SimpleNamespace(w=w, alpha=alpha, deep=SimpleNamespace(beta=beta))
            elif kind == "a list":
                p = [w, alpha, (beta,)]
            x = mg.tensor(np.linspace(0, 1, steps * 8).reshape(steps, 4, 2))
            ys, h = mg.scan(cell, p, x, mg.ones((4, 3), dtype="float64"))
            (ys.sum() + h.sum()).backward()
            with mg.no_grad():
                again, _ = mg.scan(cell, p, x, mg.ones((4, 3), dtype="float64"))
            return ys.numpy(), w.grad.numpy(), again.numpy()

    texts(lambda: run(BACKEND, "require", 0.3, 1.5))
    for alpha, beta in ((0.4, 1.25), (0.9, -2.0), (1.0, 1.0)):
        assert not texts(lambda a=alpha, b=beta: run(BACKEND, "require", a, b))
        found = run(BACKEND, "require", alpha, beta)
        for a, b in zip(found, run("numpy", "0", alpha, beta), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_numbers_are_arguments_where_op_calls_are_watched():
    """The in-place guard looks at what ops are given, once an array was handed out."""
    handed_out = mg.ones(3, backend="numpy")
    array = handed_out.data
    ks = iter((0.3, 0.4, 0.6))

    def run():
        x = mg.ones((3, 4), requires_grad=True)
        mg.leaky_relu(x, next(ks)).sum().backward()

    texts(run)
    assert not texts(run) and not texts(run)
    assert array.sum() == 3


# --- numbers that a function looks at -------------------------------------------------------------


@mg.fuse
def by_cases(x, k):
    if k < 1:
        return x * k
    return mg.exp(x) if k == 2 else x / k


@mg.fuse
def by_its_root(x, k, scale):
    return x * math.sqrt(k) * scale


@mg.fuse
def by_its_type(x, k):
    return x * (k if type(k) is float else 100.0)


@mg.fuse
def by_trying(x, k):
    try:
        big = k > 1
    except Exception:
        big = False
    return x * (2.0 if big else 0.5)


@mg.fuse
def by_its_text(x, k):
    return x * float(f"{k:.1f}")


@mg.fuse
def to_a_power(x, k):
    return mg.abs(x) ** k


@mg.fuse
def as_a_key(x, k):
    return x * {0.25: 3.0}.get(k, 1.0)


@mg.fuse
def if_any(x, k):
    return x * k if k else mg.exp(x)


@mg.fuse
def into_numpy(x, k):
    return x * float(np.sqrt(np.float64(k)))


CASES = [by_cases, by_its_type, by_trying, by_its_text, to_a_power, as_a_key, if_any, into_numpy]


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_a_number_that_is_looked_at_is_a_constant(function):
    x = np.linspace(-1, 1, 12).reshape(3, 4)
    for k in (0.25, 2.0, 3.0, 0.25, 0.0, -0.0, 1.5, math.inf, 2.0):
        with mg.use_backend(BACKEND), fusing("require"), np.errstate(all="ignore"):
            found = function(mg.tensor(x), k).numpy()
        with mg.use_backend("numpy"), fusing("0"), np.errstate(all="ignore"):
            np.testing.assert_allclose(found, function(mg.tensor(x), k).numpy(), rtol=1e-14)


def test_only_what_is_looked_at_is_a_constant():
    def run(k, scale):
        return texts(lambda: by_its_root(mg.ones((3, 4)), k, scale))

    assert len(run(2.0, 0.5)) == 1
    assert not run(2.0, 0.75) and not run(2.0, 12.0)
    assert len(run(3.0, 0.75)) == 1
    assert not run(3.0, 0.5)
    assert mg.use_backend and by_its_root(mg.ones(2, backend="numpy"), 4.0, 0.5).tolist() == [1, 1]


def test_integers_and_truth_values_are_constants():
    @mg.fuse
    def shifted(x, n, flag):
        return x[..., n:] * (2 if flag else 1)

    with mg.use_backend(BACKEND), fusing("require"):
        assert shifted(mg.ones((2, 5)), 2, True).shape == (2, 3)
        assert shifted(mg.ones((2, 5)), 3, True).shape == (2, 2)
        assert shifted(mg.ones((2, 5)), 3, False).numpy().max() == 1


def test_a_cell_that_writes_to_its_parameters_is_refused():
    def bump(p):
        p.n += 1

    def cell(p, x, h):
        bump(p)
        return h * p.w * p.n, h

    p = SimpleNamespace(w=mg.ones(3, backend=BACKEND), n=0.5)
    mg.reset_dispatch_counts()
    with mg.use_backend(BACKEND):
        ys, _ = mg.scan(cell, p, mg.ones((3, 2, 1)), mg.ones((2, 3)))
    assert ys.numpy()[:, 0, 0].tolist() == [1.5, 2.5, 3.5] and p.n == 3.5
    ((key, _),) = mg.dispatch_counts().items()
    assert key[3] == "it writes to its parameters, and a kernel would not"


class Scale:
    """It makes what it reads when it is first called, and looks at a number."""

    @functools.cached_property
    def factor(self):
        return 3.0

    def __call__(self, x, k):
        return x * self.factor if k < 1 else x * k

    def cell(self, k, x, h):
        return h, (h + x * self.factor if k[0] < 1 else h * k[0])


def test_a_number_that_is_looked_at_where_something_is_made_at_the_first_call():
    x = mg.ones((4, 3), backend=BACKEND)
    function = mg.fuse(Scale().__call__)
    with mg.use_backend(BACKEND), fusing("require"):
        found = [function(x, k).numpy()[0, 0] for k in (0.5, 2.0, 0.25, 4.0, 0.5)]
        assert found == [3, 2, 3, 4, 3]
        cell = Scale().cell
        ends = [mg.scan(cell, [k], x[:2], mg.ones(3))[1] for k in (0.5, 2.0, 0.25, 4.0, 0.5)]
    assert [end.numpy()[0] for end in ends] == [7, 4, 7, 16, 7]


# --- what is forgotten is freed -------------------------------------------------------------------


def test_forgotten_plans_free_their_kernels(monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed")
    backend = mg.get_backend("numba")
    monkeypatch.setattr(plan_cache, "MOST", 2)
    for plans in (fused_function.FunctionCall.plans, fused_function.row_plans):
        plans.clear()
    gc.collect()
    before, modules = len(backend.kernels), set(sys.modules)

    @mg.fuse
    def constant(x, n):
        return x * n

    with fusing("require"):
        for n in range(1, 6):
            constant(mg.ones((3, 4), backend=backend), n)
    gc.collect()
    assert len(backend.kernels) <= before + 2
    assert len([m for m in set(sys.modules) - modules if m.startswith("scan_")]) <= 2


def test_numbers_on_every_backend(backend):
    with mg.use_backend(backend):
        x = np.linspace(-2, 2, 40000).reshape(100, 400)
        for k in (0.1, 0.25):
            a = mg.tensor(x, dtype="float32", requires_grad=True)
            y = mg.leaky_relu(a, k)
            y.sum().backward()
            np.testing.assert_allclose(y.numpy(), np.where(x > 0, x, k * x), rtol=1e-6)
            np.testing.assert_allclose(a.grad.numpy(), np.where(x > 0, 1, k), rtol=1e-6)
