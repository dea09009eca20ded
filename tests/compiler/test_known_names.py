"""What compiled cells name: found once per plan, and again if it may be another thing."""

from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from minigrad.compiler.fused_scan import ScanCall
from minigrad.recording import instrument

try:
    mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

NAME = "first"


@pytest.fixture
def looks(monkeypatch):
    """How often a cell was called to see what it names, on Numba, from no plans on."""
    calls = []

    def counting(*given):
        calls.append(given)
        return found(*given)

    found = instrument.find_names
    monkeypatch.setattr(instrument, "find_names", counting)
    monkeypatch.delenv("MINIGRAD_FUSED", raising=False)
    with mg.use_backend("numba"), ScanCall.plans.emptied():
        yield calls


def names(cell, p=None, N=2, **options):
    with mg.record(**options) as trace:
        mg.scan(cell, p, mg.ones((3, N, 2)), mg.zeros((N, 2)))
    return list(trace)


def adds(p, x, h):
    h = mg.probe("sum", x + h)
    return h, h


def test_once_per_plan(looks):
    for _ in range(3):
        assert names(adds) == ["sum"]
    assert len(looks) == 1
    names(adds, gradients=True)  # other inputs, and the same names
    assert len(looks) == 1
    names(adds, N=4)
    assert len(looks) == 2
    with mg.override(sum=0.5):
        assert names(adds) == ["sum"]
    assert len(looks) == 2
    with ScanCall.plans.emptied():
        names(adds)
    assert len(looks) == 3


def test_a_name_from_outside(looks, monkeypatch):
    def named(p, x, h):
        h = mg.probe(NAME, x + h)
        return h, h

    assert names(named) == names(named) == ["first"]
    monkeypatch.setitem(globals(), "NAME", "second")
    assert names(named) == names(named) == ["second"]
    monkeypatch.setitem(globals(), "NAME", "first")
    assert names(named) == ["first"]
    assert len(looks) == 2


def test_a_number_that_decides(looks):
    def decides(p, x, h):
        h = mg.probe("low" if p.level < 1 else "high", x + h * p.level)
        return h, h

    for level, name in ((0.5, "low"), (2.0, "high"), (0.5, "low"), (0.75, "low")):
        assert names(decides, SimpleNamespace(level=level)) == [name]
    assert len(looks) == 3


def test_a_cell_that_reads_values_is_looked_at_each_time(looks):
    def reads(p, x, h):
        h = mg.probe("positive" if p.sum() > 0 else "negative", x + h * p)
        return h, h

    for sign in (1, -1, -1, 1):
        found = names(reads, sign * mg.ones(2))
        assert found == ["positive" if sign > 0 else "negative"]
    assert len(looks) == 4


def test_the_layers_of_a_stack_have_their_places(looks):
    layer, x = mg.nn.RNN(3, 3, num_layers=2), mg.ones((4, 2, 3))
    for _ in range(2):
        with mg.record() as trace:
            y, _ = layer(x)
        assert list(trace) == ["l0.hidden", "l1.hidden"]
        np.testing.assert_array_equal(trace["l1.hidden"], y.numpy())
    assert len(looks) == 2
