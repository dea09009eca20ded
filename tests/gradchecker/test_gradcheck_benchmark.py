"""The benchmark of gradient checkers: each peer is really asked, and counted as the table says."""

import importlib.util
import sys

import numpy as np
import pytest
from places import ROOT

FOLDER = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("gradcheck_benchmark", FOLDER / "gradcheck.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        del sys.modules[spec.name]


CLEAR = {
    "tanh: right": "passed",
    "two outputs: right": "passed",
    "cross entropy: right": "passed",  # with an integer input
    "tanh: zero": "refused",
    "linear: no gradient of the bias": "refused",
    "two outputs: second ignored": "refused",
    "RNN: last step dropped": "refused",
}


@pytest.mark.parametrize("peer", ["minigrad", "PyTorch", "JAX", "HIPS autograd"])
def test_clear_cases(benchmark, peer, monkeypatch):
    package, make = benchmark.PEERS[peer]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    cases = [case for case in benchmark.CASES if case.label in CLEAR]
    assert len(cases) == len(CLEAR)
    monkeypatch.setattr(benchmark, "CASES", cases)
    outcomes = benchmark.run(make(), [0])
    assert {o.case: o.verdict for o in outcomes} == CLEAR
    assert all(o.evaluations >= 3 for o in outcomes)
    assert benchmark.row(peer, package, outcomes).split()[-6:-4] == ["4/4", "0/3"]


def test_outputs_are_joined_and_cotangents_parted(benchmark):
    (case,) = (case for case in benchmark.CASES if case.label == "two outputs: right")
    problem = benchmark.Problem(case, 0)
    joined = problem.joined(*problem.floats)
    outputs = problem.outputs(*problem.floats)
    assert np.array_equal(joined, np.concatenate([y.ravel() for y in outputs]))
    for part, y in zip(problem.parted(joined), outputs, strict=True):
        assert np.array_equal(part, y)
    assert problem.evaluations == 2


def test_the_list_names_what_each_gets_wrong(benchmark):
    fates = [("a", "bug", "passed"), ("b", "hard", "refused"), ("c", "right", "passed")]
    outcomes = [benchmark.Outcome(case, kind, 0, verdict, 1, 0.1) for case, kind, verdict in fates]
    text = benchmark.listed("peer", outcomes)
    assert text.split("\n")[1:] == ["peer", "  missed: a", "  refused, though right: b"]
