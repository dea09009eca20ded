"""Plans that serve again or don't, and what fused scans give besides numbers."""

import functools
import inspect
import textwrap
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from interpreted_backend import InterpretedBackend
from odd_cells import SCANS
from scans import fusing, run

import minigrad as mg
from minigrad.compiler import host_code, row_source
from minigrad.compiler.fused_function import FunctionCall
from minigrad.compiler.plan_cache import PlanCache
from minigrad.compiler.scan_plan import ScanPlan
from minigrad.testing.op_cases import OP_CASES

pytestmark = pytest.mark.numpy

T, N, I, H = 4, 3, 2, 5
BACKEND = InterpretedBackend()


@pytest.fixture(autouse=True)
def on_a_fusing_backend():
    with mg.use_backend(BACKEND):
        yield


def scan(cell, params=None, T=T):
    with fusing("require"):
        return mg.scan(cell, params, mg.ones((T, N, I)), mg.ones((N, H)))


# --- plans -----------------------------------------------------------------------------------


def test_a_plan_serves_again():
    texts = len(BACKEND.texts)

    def cell(p, x, h):
        return h * p, h

    for steps in (2, 3):
        for value in (2.0, 3.0):
            ys, _ = scan(cell, mg.tensor(value), T=steps)
            assert ys.tolist() == [[[value] * H] * N] * steps
    assert len(BACKEND.texts) == texts + 1  # traced and compiled once
    scan(cell, mg.tensor(2.0, requires_grad=True))
    assert len(BACKEND.texts) == texts + 3  # with a backward pass
    with mg.no_grad():
        scan(cell, mg.tensor(2.0, requires_grad=True))
    assert len(BACKEND.texts) == texts + 3


@pytest.mark.parametrize("name", OP_CASES)
def test_no_op_or_loss_makes_a_plan_at_each_call(name, monkeypatch):
    made = []
    make = PlanCache._make
    monkeypatch.setattr(PlanCache, "_make", lambda self, *a: made.append(a) or make(self, *a))
    for case in OP_CASES[name]:
        for t in range(2):
            made.clear()
            case(*(mg.tensor(x, requires_grad=x.dtype.kind == "f") for x in case.draw()))
            assert not (t and made), case


def outputs(cell, params=None):
    return scan(cell, params)[0].numpy()[0, 0, 0]


def test_a_constant_of_the_closure_may_change():
    factor = 2.0

    def cell(p, x, h):
        return h * factor, h

    assert outputs(cell) == 2
    factor = 3.0
    assert outputs(cell) == 3

    def scaled(by):
        return lambda p, x, h: (h * by, h)

    assert [outputs(scaled(by)) for by in (2.0, 3.0, 2, True, -0.0)] == [2, 3, 2, 1, 0]
    assert np.signbit(outputs(scaled(-0.0))) and not np.signbit(outputs(scaled(0.0)))


def test_what_the_closure_holds_may_change():
    factors = [2.0]
    settings = SimpleNamespace(factor=2.0)
    table = {"factor": 2.0}

    def helper(h):
        return h * factors[0]

    for cell in (
        lambda p, x, h: (h * factors[0], h),
        lambda p, x, h: (helper(h), h),
        lambda p, x, h: (h * settings.factor, h),
        lambda p, x, h: (h * table["factor"], h),
        functools.partial(lambda factors, p, x, h: (h * factors[0], h), factors),
    ):
        assert outputs(cell) == 2
        factors[0] = settings.factor = table["factor"] = 3.0
        assert outputs(cell) == 3
        factors[0] = settings.factor = table["factor"] = 2.0


def test_defaults_may_change():
    def cell(p, x, h, factors=None, *, more=None):
        return h * factors[0] * more["factor"], h

    cell.__defaults__, cell.__kwdefaults__ = ([2.0],), {"more": {"factor": 1.0}}
    assert outputs(cell) == 2
    cell.__defaults__[0][0] = 3.0
    assert outputs(cell) == 3
    cell.__kwdefaults__["more"]["factor"] = 2.0
    assert outputs(cell) == 6
    cell.__defaults__ = ([5.0],)
    assert outputs(cell) == 10


FACTOR = 2.0


def by_global(h):
    return h * FACTOR


def test_globals_may_change(monkeypatch):
    def direct(p, x, h):
        return h * FACTOR, h

    def through(p, x, h):
        return (lambda a: by_global(a))(h), h

    assert outputs(direct) == outputs(through) == 2
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert outputs(direct) == outputs(through) == 3
    monkeypatch.setitem(globals(), "by_global", lambda h: h * 7)
    assert outputs(through) == 7


def test_what_parameters_hold_besides_tensors_may_change():
    class Gentle:
        def __init__(self):
            self.w, self.factor, self.steps = mg.ones(1), 2.0, [1.0]

        def squash(self, h):
            return h * self.factor * self.steps[0]

    class Harsh(Gentle):
        def squash(self, h):
            return h * 100

    def cell(p, x, h):
        return p.squash(h) * p.w, h

    p = Gentle()
    assert outputs(cell, p) == 2
    p.factor = 3.0
    assert outputs(cell, p) == 3
    p.steps[0] = 2.0
    assert outputs(cell, p) == 6
    assert outputs(cell, Harsh()) == 100
    p.steps.append(p)  # it holds itself
    assert outputs(cell, p) == 6

    def apply(p, x, h):
        return p["f"](h), h

    for f, y in ((mg.negative, -1), (lambda h: h * 5, 5), (mg.ones_like, 1)):
        assert outputs(apply, {"w": mg.ones(1), "f": f}) == y


def test_a_cell_is_traced_each_time_where_nobody_can_tell_what_it_depends_on():
    class Cell:
        factor = 2.0

        def __call__(self, p, x, h):
            return h * self.factor, h

        def method(self, p, x, h):
            return h * self.factor, h

    cell = Cell()
    assert outputs(cell) == outputs(cell.method) == 2
    cell.factor = 3.0
    assert outputs(cell) == outputs(cell.method) == 3


def test_parameters_in_any_container():
    def cell(p, x, h):
        a, (b, *c) = p["list"]
        return h * a * b * c[0] * p["of"].w * p["n"], h

    p = {"list": [mg.tensor(2.0), (mg.tensor(3.0), mg.tensor(5.0))]}
    p |= {"of": SimpleNamespace(w=mg.tensor(7.0), name="w"), "n": 11, "none": None}
    assert outputs(cell, p) == 2 * 3 * 5 * 7 * 11
    strange = {"import os\n": mg.tensor(2.0), "a b": mg.ones(H), 3: mg.ones((H, H))}
    assert outputs(lambda p, x, h: (h @ p[3] * p["a b"] * p["import os\n"], h), strange) == 2 * H


def test_inputs_of_another_kind():
    Pair = namedtuple("Pair", "a b")

    def cell(p, x, h):
        return (x.b if isinstance(x, Pair) else x[0]), h

    a, b = mg.zeros((T, N, H)), mg.ones((T, N, H))
    for xs, y in (((a, b), 0), (Pair(a, b), 1), ((a, b), 0)):
        with fusing("require"):
            assert mg.scan(cell, None, xs, mg.ones((N, H)))[0].numpy().mean() == y


def test_a_plan_that_fails_says_how_to_go_on_without(monkeypatch):
    def fail(loop, dtype):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(BACKEND, "compile_loop", fail)
    with pytest.raises(RuntimeError, match="out of luck") as caught:
        scan(lambda p, x, h: (h * 12345, h))
    assert caught.value.__notes__ == [
        "This happened while <lambda> was compiled. MINIGRAD_FUSED=0 runs it without."
    ]


def test_the_text_around_a_kernel_is_what_its_module_shows():
    def cell(p, x, h):
        h = mg.tanh(x @ p.w.T + h @ p.u.T)
        return h, h

    p = SimpleNamespace(w=mg.ones((4, 3)), u=mg.ones((4, 4)))
    plan = ScanPlan(cell, p, mg.ones((2, 3)), mg.ones((2, 4)), BACKEND, [True] * 4)
    text = inspect.getsource(plan.forward(store=True))
    line = f"cell:{cell.__code__.co_firstlineno + 1}"
    assert textwrap.indent(text, "    ").replace(line, "cell:2") in host_code.__doc__


# --- what a fused scan gives -------------------------------------------------------------------


def test_outputs_are_arrays_of_their_own():
    def cell(p, x, h):
        h = h + 1
        return (x, h, h, x), h

    xs, h = mg.ones((T, N, I)), mg.ones((N, H))
    with fusing("require"):
        ys, last = mg.scan(cell, None, xs, h)
    arrays = [t._data for t in (xs, h, *ys, last)]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_only_what_has_a_gradient_requires_one():
    def cell(p, x, s):
        h, frozen, n = s
        h = h + x * p
        return (h, frozen * 2, h > 0, h.detach()), (h, frozen, n + 1)

    p = mg.ones(1, requires_grad=True)
    state = mg.ones((N, 1)), mg.ones((N, 1)), mg.ones((N, 1), dtype="int64")
    with fusing("require"):
        ys, last = mg.scan(cell, p, mg.ones((T, N, 1)), state)
    assert [t.requires_grad for t in (*ys, *last)] == [True, *[False] * 3, True, False, False]


def test_structures_are_those_of_a_composed_scan():
    for name in ("a_named_state", "outputs_as_a_list", "two_layers"):
        kinds = []
        for choice in ("0", "require"):
            case = SCANS[name]
            tensors = [mg.tensor(a) for a in case.arrays]
            with fusing(choice):
                kinds.append([type(part) for part in case(tensors)])
        assert kinds[0] == kinds[1]


def test_an_unused_parameter_has_no_gradient():
    def cell(p, x, h):
        return h * p[0], h

    p = [mg.ones(1, requires_grad=True), mg.ones(1, requires_grad=True)]
    ys, _ = scan(cell, p)
    used, unused = mg.grad(ys.sum(), p, allow_unused=True)
    assert used.tolist() == [T * N * H] and unused is None


def test_saved_is_what_the_backward_pass_reads():
    """And not what the forward pass made on the way, such as x @ w of all steps."""

    def cell(p, x, h):
        h = mg.tanh(x @ p.w + h @ p.u)
        return h, h

    p = SimpleNamespace(w=mg.ones((I, H), requires_grad=True), u=mg.ones((H, H)))
    ys, _ = scan(cell, p)
    node = ys._node.edges[0]
    owned = {id(a if a.base is None else a.base): a for a in node.saved}
    shapes = sorted((a if a.base is None else a.base).shape for a in owned.values())
    assert shapes == sorted([(I, H), (H, H), (T, N, I), (N, H), (T + 1, N, H)])


def test_the_backward_pass_that_asks_for_less_gives_the_same():
    case = SCANS["parameters_of_all_shapes"]
    everything = run(case, BACKEND, "require")[2:]
    floats = range(len(case.arrays))
    for i in floats:
        (one,) = run(case, BACKEND, "require", wanted=[i])[2:]
        np.testing.assert_allclose(one, everything[i], rtol=1e-12, atol=1e-14)


def test_the_text_around_a_function_of_rows_is_what_its_module_shows():
    @mg.fuse
    def f(x):
        return x * mg.tanh(x)

    call = FunctionCall(f, (mg.ones((4, 5, 3)),), {}, BACKEND).build(())
    text = inspect.getsource(call.plan.forward)
    assert textwrap.indent(text, "    ") in row_source.__doc__
