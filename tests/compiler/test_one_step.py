"""A single step by kernels: as composed, for any cell; no state is carried, no weights packed."""

import sys

import numpy as np
import pytest
from fast_ways import forced_fast_ways
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cells import cases
from scans import assert_close, fusing, like, parts, run

import minigrad as mg
from minigrad.compiler.scan_plan import ScanPlan
from minigrad.compiler.schedule import schedule

step = sys.modules["minigrad.scan"].step


class Step:
    """The first step of a scan, as `scans.run` takes it."""

    def __init__(self, scan):
        self._scan = scan
        self.state, self.xs = scan.state, like(scan.xs, [x[0] for x in parts(scan.xs)])

    @property
    def arrays(self):
        scan = self._scan
        given = *scan.params.values(), *parts(self.xs), *parts(self.state)
        return list(map(np.asarray, given))

    def __call__(self, tensors):
        rest = iter(tensors)
        params = {name: next(rest) for name in self._scan.params}
        x, state = (like(v, [next(rest) for _ in parts(v)]) for v in (self.xs, self.state))
        return step(self._scan.cell, params, x, state)


@settings(max_examples=4)  # each makes kernels; test_fused has scans of one step, too
@given(scan=cases(most_steps=5), second=st.booleans())
def test_any_cell(scan, second, compiling):
    one = Step(scan)
    with forced_fast_ways():
        found = run(one, compiling, "require", second=second)
    assert_close(found, run(one, "numpy", "0", second=second), 1e-8)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@given(N=st.integers(1, 7), seed=st.integers(0, 99), start=st.booleans())
def test_cells(name, N, seed, start, compiling):
    def results(fused):
        mg.manual_seed(seed)
        with mg.use_backend(compiling), fusing(fused):
            cell = getattr(mg.nn, name)(3, 4).astype("float64")
            x = mg.randn(N, 3, dtype="float64", requires_grad=True)
            states = [mg.randn(N, 4, dtype="float64", requires_grad=True) for _ in cell.states]
            given = states[0] if len(states) == 1 else tuple(states)
            after = parts(cell(x, given if start else None))
            ys = [y * mg.randn(N, 4, dtype="float64") for y in after]
            leaves = [x, *cell.parameters(), *(states if start else [])]
            return [t.numpy() for t in (*after, *mg.grad(ys, leaves, list(map(mg.ones_like, ys))))]

    assert_close(results("require"), results("0"), 1e-10)


def test_cells_of_few_ops_are_composed(monkeypatch):
    def way(cell):
        mg.reset_dispatch_counts()
        cell(mg.ones((2, 3), requires_grad=True))
        ((_, _, how, reason),) = mg.dispatch_counts()
        return how, reason

    pytest.importorskip("numba")
    with mg.use_backend("numba"), fusing("1"):
        assert way(mg.nn.LSTMCell(3, 4)) == ("fused", "")
        how, reason = way(mg.nn.RNNCell(3, 4))
        assert how == "composed" and "too little work besides products" in reason
        module = sys.modules["minigrad.compiler.fused_scan"]
        monkeypatch.setattr(module, "MIN_WORK_OF_A_STEP", 3)
        assert way(mg.nn.RNNCell(3, 5)) == ("fused", "")
    with mg.use_backend("numpy"), fusing("1"):
        assert way(mg.nn.LSTMCell(3, 4))[0] == "composed"


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_products_are_outside_of_the_kernels(name):
    layer = getattr(mg.nn, name)(3, 4).to("numpy")
    cell, params, x, state = layer._one_step()
    wanted = [True] * (5 + len(parts(state)))
    plan = ScanPlan(cell, params, x, state, x.backend, wanted, one_step=True)
    passes = plan.schedule.forward, plan.schedule.backward
    assert not any(v.op == "matmul" for each in passes for v in each.loop.body)
    assert not any(each.loop.carry_in for each in passes)
    # Nor is anything else than products before the loop, which would be done op by op.
    assert {v.op for each in passes for v in each.hoisted} == {"matmul"}


def test_a_product_that_only_products_read_comes_after_the_loop():
    def cell(w, x, h):
        return mg.tanh(x * x) @ w, h

    program = mg.trace(cell, mg.ones((3, 3)), mg.ones((2, 3)), mg.ones((2, 3)))
    forward = schedule(program, []).forward
    assert [v.op for v in forward.loop.body] == ["multiply", "tanh"]
    assert [v.op for v in forward.sunk] == ["matmul"] and not forward.hoisted
