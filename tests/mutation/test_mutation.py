"""The mutation score: wrong derivatives are noticed, and what is not noticed is named."""

import ast
import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

import minigrad as mg
from minigrad.models.commands import main
from minigrad.models.reports.layer_cases import as_case
from minigrad.mutation import score
from minigrad.mutation.kernel_mutants import of_kernels
from minigrad.mutation.operators import Mutant, of_handmade_op, of_op, with_derivative
from minigrad.mutation.score import (
    Line,
    MutationError,
    mutation_score,
    op_lines,
    recurrent_line,
    sampled,
)
from minigrad.mutation.slips import slips_of
from minigrad.testing.op_cases import OP_CASES

pytestmark = pytest.mark.numpy


def mutate(*arguments, code):
    result = CliRunner().invoke(main, ["mutate", *arguments], prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def line_of(name, kind=None, cases=None):
    op = mg.OPS[name]
    mutants = [m for m in of_op(op) if kind in (None, m.kind)]
    return Line(name, OP_CASES[name] if cases is None else cases, mutants)


def gradient_of(f, x):
    x = mg.tensor(np.array(x), requires_grad=True)
    return mg.grad(f(x).sum(), x).tolist()


# --- the score -----------------------------------------------------------------------------------


def test_the_checks_of_this_project_kill_a_sample(tmp_path):
    result = mutate("--sample", "--json", str(tmp_path / "mutants.json"), code=0)
    assert "reached: 95% of every line and 98% over all" in result.stdout
    assert "NOT" not in result.stdout
    found = json.loads((tmp_path / "mutants.json").read_text())
    assert found["over all"]["reached"] and found["over all"]["killed"] >= 180
    fates = Counter(mutant["line"] for mutant in found["mutants"])
    assert {"tanh", "matmul", "softmax", "checkpoint", "transfer", "LSTM"} <= set(fates)
    assert all(found["lines"][name].keys() >= {"share"} for name in fates)


def test_every_derivative_is_broken():
    lines = {line.name: line for line in op_lines()}
    for name, op in mg.OPS.items():
        if op.__module__.startswith("minigrad."):
            broken = {mutant.place for mutant in lines[name].mutants} if name in lines else set()
            inputs = {x for x, fn in op.derivatives.items() if fn is not None}
            assert inputs <= broken
            assert op.joint_vjp is None or f"*{op.inputs[0]}" in broken
    assert {"cross_entropy", "layer_norm", "output"} <= set(lines)


@pytest.mark.parametrize(
    ("name", "kinds"),
    {
        "multiply": "zero|sign|factor 1.001|cotangent of ones|cotangent of its mean|captured a|"
        "captured cotangent|last sample dropped|last column dropped|missing unbroadcast|"
        "unbroadcast by the mean|stale state|cotangent edited|dropped factor",
        "matmul": "transposed a|transposed b|transposed operand|condition ignored|dropped call",
        "tanh": "dropped term",
        "where": "missing mask",
        "stack": "last step dropped",
        "unstack": "last step dropped",
    }.items(),
)
def test_each_way_of_breaking_is_noticed(name, kinds):
    mutants = [m for m in of_op(mg.OPS[name]) if m.kind in kinds.split("|")]
    assert {m.kind for m in mutants} == set(kinds.split("|"))
    report = mutation_score([Line(name, OP_CASES[name], mutants)])
    assert report and not report.survivors(), str(report)
    assert report.count(name)["killed"] >= 0.7 * len(mutants)


@pytest.mark.parametrize("kind", ["last step dropped", "stale state", "missing mask"])
def test_a_recurrent_layer_is_broken_at_single_steps(kind):
    line = recurrent_line("RNN", [as_case("RNN")])
    mutants = [mutant for mutant in line.mutants if mutant.kind == kind]
    assert mutants and {m.place.split()[0] for m in mutants} <= {*mg.OPS}
    report = mutation_score([Line("RNN", line.cases, mutants)])
    assert report.share() == 1.0 and not report.count()["equivalent"], str(report)


@pytest.fixture
def numba():
    try:
        return mg.get_backend("numba").name
    except mg.BackendError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_generated_kernels_are_broken(name, numba):
    case = as_case(name)
    mutants = list(of_kernels(name, case, "numba"))
    assert {m.place for m in mutants} == {"forward kernel", "backward kernel"}
    kinds = {"zero", "sign", "factor 1.001", "last sample dropped", "last step dropped"}
    assert kinds | {"stale state", "missing mask", "dropped term"} <= {m.kind for m in mutants}
    report = mutation_score(sampled([Line(name, [case], mutants, "numba")], 25))
    assert report and not report.survivors(), str(report)


def test_kernels_that_are_run_uncompiled_and_unchanged_are_right(numba):
    def unchanged(node):
        if isinstance(node, ast.FunctionDef):
            yield "nothing", "", node

    case = as_case("GRU")
    mutants = list(of_kernels("GRU", case, numba, unchanged))
    assert len(mutants) == 2
    report = mutation_score([Line("GRU", [case], mutants, numba)])
    assert report.count()["equivalent"] == 2, str(report)


def test_an_op_with_its_own_derivative_put_in_its_place_is_right():
    right = mg.matmul.derivatives["b"]
    same = Mutant("matmul", "b", "nothing", lambda: with_derivative(mg.matmul, "b", right))
    report = mutation_score([Line("matmul", OP_CASES["matmul"], [same])])
    assert report.count()["equivalent"] == 1, str(report)


# --- everything is as before ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "multiply", "stack", "where"])
def test_a_derivative_is_right_again_afterwards(name):
    op = mg.OPS[name]
    before = dict(op.derivatives), op.joint_vjp
    for mutant in of_op(op):
        with pytest.raises(KeyError), mutant.apply():
            raise KeyError
        assert (op.derivatives, op.joint_vjp) == before, mutant
    for case in OP_CASES[name]:
        score.checks.derivatives(case)
        score.checks.hygiene(case)


def test_a_mutant_is_wrong_within_and_right_without():
    (mutant,) = (m for m in of_op(mg.square) if m.kind == "sign" and not m.text)
    with mutant.apply():
        assert gradient_of(mg.square, [3.0]) == [-6.0]
        assert mg.tensor([3.0]).square().tolist() == [9.0]
    assert gradient_of(mg.square, [3.0]) == [6.0]


def test_a_node_built_by_hand_is_right_again_afterwards():
    op = score.CHECKPOINT
    before = op.backward
    (mutant,) = (m for m in of_handmade_op(op) if m.kind == "zero")
    with mutant.apply():
        assert gradient_of(lambda x: mg.checkpoint(mg.exp, x), [0.0]) == [0.0]
    assert op.backward is before
    assert gradient_of(lambda x: mg.checkpoint(mg.exp, x), [0.0]) == [1.0]


# --- survivors and equivalents -------------------------------------------------------------------


def test_what_weak_checks_let_pass_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(score, "CHECKS", {"hygiene": score.checks.hygiene})
    monkeypatch.setattr(score, "CONVENTIONS", {})
    result = mutate("--op", "tanh", "--json", str(tmp_path / "tanh.json"), code=1)
    assert "tanh, x: factor 1.001" in result.stdout
    assert "tanh, x: dropped term, 1 - y * y -> 1" in result.stdout
    assert "NOT reached" in result.stdout
    fates = json.loads((tmp_path / "tanh.json").read_text())["mutants"]
    assert {"factor 1.001", "captured y"} <= {
        m["kind"] for m in fates if m["verdict"] == "survived"
    }


def test_second_order_is_needed_for_captured_arrays(monkeypatch):
    first = {"first order": score.CHECKS["first order"]}
    monkeypatch.setattr(score, "CHECKS", first)
    report = mutation_score([line_of("tanh", "captured y")])
    (survivor,) = report.survivors()
    assert "second order" in survivor.why


def test_a_derivative_of_zero_has_equivalent_mutants():
    report = mutation_score([line_of("sign", kind) for kind in ("sign", "factor 1.001")])
    assert report.share() == 1.0 and len(report.outcomes) == 2
    for fate in report.outcomes:
        assert fate.verdict == "equivalent" and fate.why == "the gradient is zero everywhere"


def test_an_array_that_only_chooses_may_be_captured():
    report = mutation_score([line_of("relu", "captured y")])
    (fate,) = report.outcomes
    assert fate.verdict == "equivalent" and "piecewise constant" in fate.why


def test_what_no_case_reaches_survives():
    vectors = [case for case in OP_CASES["matmul"] if len(case.inputs[0].shape) == 1][:1]
    report = mutation_score([line_of("matmul", "transposed operand", vectors)])
    assert {fate.why for fate in report.survivors()} == {"no case gets there"}


def test_what_differs_only_at_ties_is_no_equivalent(monkeypatch):
    monkeypatch.setattr(score, "CONVENTIONS", {})
    report = mutation_score([line_of("maximum", "missing mask")])
    assert report.survivors()
    assert all("zeros and ties" in fate.why for fate in report.survivors())


def test_a_check_that_always_fails_proves_nothing(monkeypatch):
    def check(case, backend):
        raise AssertionError("always")

    monkeypatch.setattr(score, "CHECKS", {"first order": check})
    with pytest.raises(MutationError, match=r"without a mutation \(first order\): always"):
        mutation_score([line_of("tanh", "zero")])


# --- the text of derivatives ---------------------------------------------------------------------


def test_slips_in_the_text():
    slips = {slip.text: slip for slip in slips_of(mg.sigmoid.derivatives["x"])}
    assert {"g * y * (1 - y) -> g * y", "1 - y -> 1", "1 - y -> -y", "g * y -> y"} <= set(slips)
    slip = slips["1 - y -> 1"]
    assert slip.function(2.0, 0.25) == 0.5 and slip.reached == [True]


def test_lambdas_of_one_line_are_told_apart():
    by_a, by_b = mg.divide.derivatives["a"], mg.divide.derivatives["b"]
    assert {slip.text for slip in slips_of(by_a)} == {"g / b -> g"}
    assert "-g -> g" in {slip.text for slip in slips_of(by_b)}


def test_a_branch_counts_as_reached_only_where_it_would_not_be_taken():
    slips = {s.text: s for s in slips_of(mg.matmul.derivatives["a"])}
    slip = slips["if b.ndim == 1 -> if False"]
    g, b = mg.ones((2, 2)), mg.ones((2, 2), requires_grad=True)
    slip.function(g, b, b._node)
    assert not slip.reached


def test_a_function_without_a_text_has_no_slips():
    assert list(slips_of(eval("lambda g: 2 * g"))) == []


# --- samples and wrong use -----------------------------------------------------------------------


def test_a_sample_is_even_and_follows_its_seed():
    lines = [line_of("tanh"), line_of("multiply"), line_of("matmul")]
    first = sampled(lines, 9, seed=1)
    assert [len(line.mutants) for line in first] == [3, 3, 3]
    again = [str(m) for line in sampled(lines, 9, seed=1) for m in line.mutants]
    assert again == [str(m) for line in first for m in line.mutants]
    assert again != [str(m) for line in sampled(lines, 9, seed=2) for m in line.mutants]


def test_an_unknown_name():
    result = mutate("--op", "sigmiod", code=2)
    assert "no line is called 'sigmiod'; did you mean sigmoid?" in result.stderr
