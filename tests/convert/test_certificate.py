"""Certificates: what they say, and that they can fail."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models.convert import Certificate, Outputs, check
from minigrad.models.convert.certificate import Run, compare
from minigrad.models.convert.keras_layers import ACTIVATIONS
from minigrad.models.convert.runs import draw_inputs, run
from minigrad.models.convert.stored import check_case, stored_cases
from minigrad.models.convert.torch_layers import TWINS

Y = np.array([1.0, -30.0])


def test_printed():
    ours = Run({"y": Y}, {"x": Y, "weight": np.ones((2, 3))})
    theirs = Run({"y": Y}, {"x": Y + 1e-9, "weight": np.ones((2, 3)) + 1e-9})
    certificate = compare("Linear(3, 2)", "PyTorch 2", ours, theirs, notes=("seed 0",))
    assert str(certificate).splitlines() == [
        "FAIL: Linear(3, 2) here and in PyTorch 2",
        "  computed here",
        "                      shape   difference  greatest value",
        "  output y            (2,)       0.0e+00         3.0e+01",
        "  gradient of x       (2,)       1.0e-09         3.0e+01",
        "  gradient of weight  (2, 3)     1.0e-09         1.0e+00",
        "  allowed: 1e-10 times the greatest value, or 1 if greater",
        "  note: seed 0",
    ]
    assert not certificate and certificate.worst.name == "gradient of weight"
    assert json.loads(json.dumps(certificate.to_dict()))["differences"][2]["shape"] == [2, 3]


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        (Y, "PASS"),
        (Y + 1e-10, "PASS"),  # the greatest value is 30
        (Y + 1e-8, "FAIL"),
        (np.array([np.nan, -30]), "FAIL"),
        (np.array([np.inf, -30]), "FAIL"),
        (Y[:1], "FAIL"),
        (Y.astype("float32"), "PASS"),
    ],
)
def test_verdicts(theirs, verdict):
    for pair in [(Y, theirs), (theirs, Y)]:
        runs = [Run({"y": array}, {}) for array in pair]
        assert compare("", "", *runs).verdict == verdict


def test_what_is_no_number_on_both_sides_is_equal():
    strange = Run({"y": np.array([np.nan, np.inf, -np.inf])}, {})
    assert compare("", "", strange, strange)
    other = Run({"y": np.array([np.nan, -np.inf, np.inf])}, {})
    assert compare("", "", strange, other).verdict == "FAIL"


def test_what_only_one_side_has_is_inconclusive():
    certificate = compare("", "Keras 3", Run({"y": Y}, {"x": Y}), Run({"y": Y, "h": Y}, {}))
    assert certificate.verdict == "INCONCLUSIVE" and not certificate
    assert certificate.notes == (
        "the model here gave no output h",
        "Keras 3 gave no gradient of x",
    )
    assert compare("", "", Run({}, {}), Run({}, {})).notes == ("nothing was compared",)


@given(st.integers(0, 99), st.booleans())
def test_runs_leave_the_module_alone(seed, training):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh()).train(training)
    model[0].weight.requires_grad = False
    before = model.state_dict()
    inputs = draw_inputs(model, seed)
    first, cotangents = run(model, inputs, seed, training=True)
    second, _ = run(model, inputs, cotangents, training=True)
    assert compare("", "", first, second).worst.greatest == 0
    after = model.state_dict()
    assert all((after[name] == array).all() for name, array in before.items())
    assert model.training == training and not model[0].weight.requires_grad
    assert model[0].weight.dtype == "float32" and model[0].bias.grad is None
    assert first.outputs["y"].dtype == "float64" and first.gradients["0.weight"].any()


def test_gradients_of_a_run_are_those_of_finite_differences():
    layer = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    inputs = draw_inputs(layer)
    own, cotangents = run(layer, inputs)

    def total(**changed):
        outputs = run(layer, {**inputs, **changed})[0].outputs
        return sum((outputs[name] * g).sum() for name, g in cotangents.items())

    for name in inputs:
        step = 1e-6 * np.random.default_rng(1).normal(size=inputs[name].shape)
        rise = total(**{name: inputs[name] + step}) - total(**{name: inputs[name] - step})
        np.testing.assert_allclose(rise / 2, (own.gradients[name] * step).sum(), rtol=1e-6)


@pytest.mark.parametrize("case", stored_cases(), ids=lambda c: f"{c['framework']}: {c['name']}")
def test_stored_cases(case):
    certificate = check_case(case, 1e-10)
    assert certificate, certificate
    framework = {"pytorch": "PyTorch", "keras": "Keras"}[case["framework"]]
    assert certificate.framework.startswith(framework)
    broken = {name: np.asarray(array) + 1e-6 for name, array in case["outputs"].items()}
    assert check_case({**case, "outputs": broken}, 1e-10).verdict == "FAIL"


def test_every_layer_has_a_stored_case():
    covered = {"pytorch": set(), "keras": set()}
    for case in stored_cases():
        covered[case["framework"]] |= set(case["features"])
    activations = {kind.__name__ for kind, _ in ACTIVATIONS.values()}
    recurrent = {"RNN", "LSTM", "GRU"}
    assert covered["pytorch"] >= set(TWINS)
    assert covered["keras"] >= {*activations, *recurrent, "Linear", "Embedding", "LayerNorm"}
    both = {
        f"{kind} with {option}"
        for kind in recurrent
        for option in ("bidirectional=True", "bias=False")
    }
    assert all(found >= both for found in covered.values())
    outputs = {"Outputs all", "Outputs last", "Outputs all, backwards", "Outputs last, backwards"}
    assert covered["keras"] >= {"GRU with reset_after=False", *outputs}


@pytest.fixture
def without_frameworks(monkeypatch):
    for name in ("torch", "keras"):
        monkeypatch.setitem(__import__("sys").modules, name, None)


@pytest.mark.usefixtures("without_frameworks")
class TestWithoutTheOtherFramework:
    def test_stored_cases_stand_in(self):
        certificate = check(nn.LSTM(3, 4, num_layers=2, bidirectional=True))
        assert certificate.verdict == "PASS" and certificate.framework == "PyTorch 2.13.0"
        assert "stored cases" in certificate.source and "not by this model" in certificate.source
        assert "PyTorch, which is not installed here" in certificate.notes[0]
        layer = Outputs(nn.GRU(3, 4, batch_first=True), "last")
        certificate = check(layer, "keras")
        assert certificate.verdict == "PASS" and certificate.framework.startswith("Keras 3")
        assert "needs Keras 3, which is not installed here" in certificate.notes[0]

    def test_given_weights_are_compared(self):
        layer = nn.GRU(3, 4)
        state = layer.state_dict()
        assert check(layer, state)
        state["bias_hh_l0"][0] += 1e-6
        certificate = check(layer, state)
        assert certificate.verdict == "FAIL"
        assert certificate.worst.name == "value of bias_hh_l0"

    def test_what_no_case_has_is_inconclusive(self):
        certificate = check(nn.Sequential(nn.Linear(3, 4), mg.tanh))
        assert certificate.verdict == "INCONCLUSIVE"
        assert "no stored case has the function tanh" in certificate.notes


def test_wrong_arguments():
    with pytest.raises(TypeError, match="the module here comes first; got int"):
        check(3)
    with pytest.raises(ValueError, match="can't be read from Tanh; give one, x=an array"):
        draw_inputs(nn.Tanh())
    two = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match="this one has 2 that are called apart"):
        draw_inputs(two, x=Y)
    assert isinstance(compare("", "", Run({}, {}), Run({}, {})), Certificate)
