"""`minigrad bench cell`: what it says of cells that are right, wrong, slow, and of wrong use."""

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scans import fusing

import minigrad as mg
from minigrad.engine import registry
from minigrad.models import GRU, LSTM, RNN, zoo
from minigrad.models.commands import main
from minigrad.models.reports import cell_bench
from minigrad.models.reports.cell_bench import CellBench
from minigrad.models.reports.timing import (
    disagreement,
    in_turns,
    layer_step,
    times_in_turns,
    torch_step,
)

OWN = """
import minigrad as mg
from minigrad.models import LSTM, Recurrent

def leaky_cell(p, x, h):
    new = mg.tanh(mg.linear(x, p.w_ih, p.b_ih) + mg.linear(h, p.w_hh))
    h = h + mg.sigmoid(p.leak) * (new - h)
    return h, h

class Leaky(Recurrent):
    cell = leaky_cell

    def shapes(self, I, H):
        return {"w_ih": (H, I), "w_hh": (H, H), "b_ih": (H,), "leak": (H,)}

class Wrong(Leaky):
    def cell(p, x, h):
        h, _ = leaky_cell(p, x, h)
        return h, h * 2 - h.detach()  # the same number, and twice the gradient

class Flat(Leaky):
    def cell(p, x, h):
        h = mg.sign(leaky_cell(p, x, h)[0])
        return h, h

class Branching(Leaky):
    def cell(p, x, h):
        return leaky_cell(p, x, h) if h.sum().item() < 100 else (h, h)

class Mismatch(Leaky):
    def cell(p, x, h):
        return h @ p.w_ih, h + x

class NoPair(Leaky):
    def cell(p, x, h):
        return leaky_cell(p, x, h)[0]

class Leaving(Leaky):
    def cell(p, x, h):
        raise SystemExit(0)

class Picky(Leaky):
    def __init__(self, I, H, depth):
        super().__init__(I, H)

def lonely_cell(p, x, h):
    return h, h

layer = LSTM(2, 3)
"""
QUICK = ["--shape", 2, 2, 3, 4, "--rounds", 1]


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch):
    monkeypatch.setattr(cell_bench, "_SMALL", (2, 1, 1, 2))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own in the current folder."""
    (tmp_path / "my_cells.py").write_text(OWN)
    (tmp_path / "broken_cells.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_cells", raising=False)
    return tmp_path


def bench(target, *arguments, code=0):
    command = ["bench", "cell", target, *map(str, [*QUICK, *arguments])]
    result = CliRunner().invoke(main, command, prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def times(result):
    """The rows of the table: milliseconds and ratio by contender."""
    rows = re.findall(r"^(\S.*?) {2,}([\d.]+) +([\d.]+)$", result.stdout, re.M)
    return {name: (float(ms), float(ratio)) for name, ms, ratio in rows}


# --- cells that are right --------------------------------------------------------------------


BUILT_IN = ["minigrad.models:LSTM", "minigrad.models:GRU", "minigrad.models:RNN"]
ZOO = [f"minigrad.models.zoo:{name}" for name in zoo.__all__ if name[0].isupper()]
# test_fused.py has all of them.
SOME = [BUILT_IN[0], *(name for name in ZOO if name.endswith((":MGU", ":SRU")))]
CELLS = BUILT_IN + ZOO if os.environ.get("MINIGRAD_PROFILE") == "deep" else SOME


@pytest.mark.parametrize("target", CELLS)
def test_every_cell(target, tmp_path):
    bench(target, "--backend", "numpy", "--json", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["target"] == target and found["backend"] == "numpy"
    assert found["shape"] == [2, 2, 3, 4]
    assert found["gradients"]["verdict"] == "PASS" and found["gradients"]["order"] == 2
    assert found["refusal"] == "" and found["kernels"] == []
    name = target.partition(":")[2]
    contenders = {f"{name}, {way} on numpy" for way in ("fused", "composed")}
    contenders |= {"LSTM, fused on numpy"}
    contenders |= {"torch.nn.LSTM"} if find_spec("torch") else set()
    assert set(found["seconds"]) == set(found["ratios"]) == contenders
    assert all(seconds > 0 for seconds in found["seconds"].values())


@pytest.mark.parametrize("name", ["Leaky", "leaky_cell"])
def test_a_cell_of_ones_own(own, name):
    result = bench(f"my_cells:{name}", "--backend", "numpy")
    assert "gradients  PASS" in result.stdout
    assert times(result)["Leaky, fused on numpy"][1] == 1
    assert "kernels    fused; print(layer.source()) shows their text" in result.stdout
    assert "forward:" not in result.stdout


def test_the_listing(own):
    result = bench("my_cells:Leaky", "--backend", "numpy", "--trace")
    assert result.stdout.startswith("forward:\n")
    assert re.search(r"= tanh\(v\d+\) +\(N, H\) +leaky_cell:6\n", result.stdout)
    assert re.search(r"-> d leak: v\d+\n", result.stdout)


@pytest.fixture
def numba():
    try:
        return mg.get_backend("numba")
    except mg.BackendError as missing:
        pytest.skip(str(missing))


def test_fused(own, numba, monkeypatch):
    monkeypatch.delenv("MINIGRAD_BACKEND", raising=False)
    with fusing("require"):  # of the cell; the composition beside it is meant
        result = bench("my_cells:Leaky", "--json", "found.json")  # numba is the default
    found = json.loads((own / "found.json").read_text())
    assert found["backend"] == "numba" and found["refusal"] == "" and found["cell"] == "leaky_cell"
    assert 0 < found["disagreement"] < 1e-5
    assert list(found["seconds"])[:3] == [
        "Leaky, fused on numba",
        "Leaky, composed on numpy",
        "LSTM, fused on numba",
    ]
    forward, backward = (Path(kernel) for kernel in found["kernels"])
    assert str(forward) in result.stdout and str(backward) in result.stdout
    assert "tanh(" in forward.read_text() and "g_state" in backward.read_text()
    assert forward.parent == Path(os.environ["MINIGRAD_CACHE"])


def test_not_fused(own, numba):
    result = bench("my_cells:Branching", "--backend", "numba", "--trace")
    assert "kernels    none: it reads a tensor's values" in result.stdout
    assert "can't be traced: it reads a tensor's values" in result.stdout
    assert "Branching, composed on numba" in times(result)


@pytest.mark.numba
def test_without_numba(own, monkeypatch):
    def missing():
        raise ImportError("no module named numba")

    monkeypatch.setitem(registry.backend_loaders, "numba", missing)
    monkeypatch.delitem(registry.loaded_backends, "numba", raising=False)
    monkeypatch.delenv("MINIGRAD_BACKEND", raising=False)
    result = bench("my_cells:Leaky")
    assert "on numpy, as numba can't start: backend 'numba'" in result.stderr
    assert "Leaky, composed on numpy" in times(result)


def test_the_backend_that_is_set_is_the_default(own):
    with mg.use_backend("strict"):
        assert "Leaky, composed on strict" in times(bench("my_cells:Leaky"))


# --- cells that are not ------------------------------------------------------------------------


def test_a_wrong_gradient(own):
    result = bench("my_cells:Wrong", "--backend", "numpy", code=1)
    assert "gradients  FAIL" in result.stdout and "the gradient is wrong in" in result.stdout
    assert "Wrong, composed on numpy" in times(result)


def test_a_gradient_that_proves_nothing(own):
    result = bench("my_cells:Flat", "--backend", "numpy", code=2)
    assert "gradients  INCONCLUSIVE" in result.stdout and "zero everywhere" in result.stdout


@pytest.mark.parametrize("off", [1e-3, np.nan])
def test_kernels_that_disagree_with_the_composition(own, monkeypatch, off):
    made = []

    def first_is_off(layer, x, g):
        step = layer_step(layer, x, g)
        made.append(step)
        return step if made[1:] else lambda: [t + off for t in step()]

    monkeypatch.setattr(cell_bench, "layer_step", first_is_off)
    result = bench("my_cells:Leaky", "--backend", "numpy", "--json", "found.json", code=1)
    assert "in float32 they differ from the composition's" in result.stdout
    assert (json.loads((own / "found.json").read_text())["disagreement"] is None) == np.isnan(off)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("MGU", "a cell is package.module:Name, as minigrad.models.zoo:MGU; got 'MGU'"),
        ("no_such_module:f", "no_such_module:f can't be found: No module named 'no_such_module'"),
        ("my_cells:Missing", "my_cells:Missing can't be found: module 'my_cells' has no attribute"),
        ("my_cells:lonely_cell", "must be a layer, a subclass of"),
        ("my_cells:lonely_cell", "it is a function"),
        ("my_cells:layer", "it is a layer already made; name its class, LSTM"),
        ("my_cells:Recurrent", "it is the class Recurrent"),
        ("minigrad.models:LSTMCell", "it is the class LSTMCell"),
        ("minigrad.models.zoo:__all__", "it is of type list"),
        ("broken_cells:A", "broken_cells can't be imported: ZeroDivisionError: division by zero"),
        ("my_cells:Mismatch", "my_cells:Mismatch fails. ValueError: add: shapes"),
        ("my_cells:Mismatch", "at time step 0 of a scan"),
        ("my_cells:Mismatch", "my_cells.py, line 32, in cell"),
        ("my_cells:NoPair", "a cell must return a pair (y, state)"),
        ("my_cells:Leaving", "my_cells:Leaving fails. SystemExit: 0"),
        ("my_cells:Picky", "my_cells:Picky fails. TypeError:"),
    ],
)
def test_wrong_use(own, target, said):
    message = " ".join(bench(target, "--backend", "numpy", code=2).stderr.split())
    assert said in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "nunpy"], "unknown backend 'nunpy'"),
        (["--shape", "3", "2", "0", "4"], "0 is not in the range x>=1"),
        (["--rounds", "0"], "0 is not in the range x>=1"),
        (["--json", "no/folder.json"], "there is no folder no"),
    ],
)
def test_wrong_options(own, arguments, said):
    assert said in bench("my_cells:Leaky", *arguments, code=2).stderr


# --- the parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [LSTM, GRU, RNN])
def test_a_step_is_pytorchs(layer):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    x, g = (np.random.default_rng(0).standard_normal((4, 3, n), np.float32) for n in (2, 5))
    own = layer(2, 5)
    theirs = torch_step(layer.__name__.lower(), own.state_dict(), x, g)
    found = layer_step(own, x, g)()
    assert [t.shape for t in found] == [x.shape, *(p.shape for p in own.parameters())]
    assert disagreement(found, theirs()) < 1e-5


def test_disagreement():
    a, b = np.array([1.0, -4.0]), np.array([1.0, -5.0])
    assert disagreement([a, a], [a, b]) == 0.2
    assert disagreement([mg.tensor(a)], [a]) == 0 == disagreement([], [])
    assert disagreement([np.zeros(2)], [np.zeros(2)]) == 0
    assert np.isnan(disagreement([a, np.array([np.nan])], [b, np.ones(1)]))
    with pytest.raises(ValueError, match=r"one step gives shape \(2,\) and the other"):
        disagreement([a], [a[:1]])


def test_turns():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    found = in_turns(steps, rounds=3, turn=0)
    assert set(found) == {"a", "b"}
    assert [set(calls[i : i + 2]) for i in (0, 2, 4)] == [{"a", "b"}] * 3


def test_each_turn_has_an_order_that_is_drawn():
    orders = []
    for _ in range(2):
        calls = []
        steps = {name: lambda name=name, to=calls: to.append(name) for name in "abc"}
        times_in_turns(steps, rounds=30, pause=0, turn=0)
        orders.append([tuple(calls[i : i + 3]) for i in range(0, 90, 3)])
    assert orders[0] == orders[1] and len(set(orders[0])) == 6


def test_a_turn_repeats_a_short_step():
    now, calls = 0.0, {"short": 0, "long": 0}

    def step(name, seconds):
        nonlocal now
        now += seconds
        calls[name] += 1

    steps = {"short": lambda: step("short", 0.001), "long": lambda: step("long", 0.05)}
    found = times_in_turns(steps, rounds=3, pause=0, clock=lambda: now, turn=0.02)
    assert found["short"] == pytest.approx([0.001] * 3)
    assert found["long"] == pytest.approx([0.05] * 3)
    assert calls["short"] >= 60 and calls["long"] == 4  # one to see how long it takes


def test_ratios():
    report = mg.gradcheck(mg.tanh, mg.ones(2))
    found = CellBench("c", "b", (1, 1, 1, 1), "", report, "", [], 0.0, {"own": 2.0, "other": 6.0})
    assert found.ratios == {"own": 1.0, "other": 3.0} and found.agrees
