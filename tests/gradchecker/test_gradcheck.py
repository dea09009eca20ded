"""Gradient checks: right gradients never fail, wrong ones always do, and the report says why."""

import importlib
import json
import os
import sys
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from places import ROOT
from random_compositions import Composition

import minigrad as mg
from minigrad import nn
from minigrad.gradchecker.finite_difference import measure
from minigrad.gradchecker.line import Line
from minigrad.gradchecker.noise import Noise
from minigrad.utils.install import install_line

# The published set lies with the benchmarks, which are no package.
sys.path.insert(0, str(ROOT / "benchmarks"))
CASES = importlib.import_module("gradcheck_cases").CASES

SEEDS = range(20) if os.environ.get("MINIGRAD_PROFILE") == "deep" else range(1)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tanh_vjp(arrays, cotangents):
    return [cotangents[0] * (1 - np.tanh(arrays[0]) ** 2)]


def of_numpy(f, vjp, inputs, **options):
    return mg.gradcheck_numpy(f, vjp, inputs, raise_exception=False, **options)


def of(f, inputs, **options):
    return mg.gradcheck(f, inputs, raise_exception=False, **options)


# --- the published set -------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label.replace(" ", "-"))
def test_published_set(case):
    allowed = {"right": ["PASS"], "hard": ["PASS", "INCONCLUSIVE"], "bug": ["FAIL"]}[case.kind]
    for seed in SEEDS:
        inputs = case.draw(np.random.default_rng(seed))
        report = of_numpy(case.f, case.vjp, inputs, seed=seed)
        assert report.verdict in allowed, f"seed {seed}: {report}"
        if case.kinks is not None:
            assert report.kinks == sorted(case.kinks(*inputs)), f"seed {seed}"
        entries = sum(checked for checked, _ in report.covered.values())
        assert report.evaluations <= 40 * entries, f"seed {seed}: {report}"


def test_the_set_is_as_large_as_promised():
    kinds = [case.kind for case in CASES]
    assert kinds.count("bug") >= 60 and kinds.count("hard") >= 8
    labels = [case.label for case in CASES]
    assert len(set(labels)) == len(labels)


# --- functions composed at random --------------------------------------------------------------

COMPOSITIONS = 5000 if len(SEEDS) > 1 else 200


def checked(composition, vjp, seed):
    return of_numpy(composition.outputs, vjp, composition.inputs, seed=seed, budget=700)


def reports(count):
    """Compositions that are finite, with their seeds and the reports on their right gradients."""
    for seed in range(count):
        composition = Composition(seed)
        try:
            report = checked(composition, composition.vjp, seed)
        except ValueError as error:
            assert "not finite" in str(error)
        else:
            yield seed, composition, report


def passing(count):
    """Compositions that pass, and the positions of the steepest entry of their x."""
    for seed, composition, report in reports(count):
        if report:
            with np.errstate(all="ignore"):
                cotangents = [normal(*y.shape) for y in composition.outputs(*composition.inputs)]
                g = composition.vjp(composition.inputs, cotangents)[0]
            if g.any():
                yield seed, composition, np.abs(g).argmax()


def test_right_compositions_with_extreme_inputs():
    failed, undecided, total = [], 0, 0
    for seed, composition, report in reports(COMPOSITIONS):
        total += 1
        undecided += report.verdict == "INCONCLUSIVE"
        # An overflow in the backward pass is no false alarm.
        if report.verdict == "FAIL" and np.isfinite([e.analytic for e in report.entries]).all():
            failed.append(f"seed {seed}, {composition}: {report}")
    # One in a thousand is not refuted: steps that round a whole input away, the same at all points.
    assert len(failed) <= COMPOSITIONS // 500, "\n".join(failed)
    assert undecided < total / 2


@pytest.mark.parametrize("only_here", [False, True], ids=["everywhere", "at one point"])
def test_wrong_compositions(only_here):
    """One entry of the gradient is 1% too large, at all points or at the one that is checked."""
    verdicts = []
    for seed, composition, position in passing(COMPOSITIONS // 10):

        def vjp(arrays, cotangents, composition=composition, position=position):
            gradients = [g.copy() for g in composition.vjp(arrays, cotangents)]
            if not only_here or np.array_equal(arrays[0], composition.inputs[0]):
                gradients[0].flat[position] *= 1.01
            return gradients

        verdicts.append(checked(composition, vjp, seed).verdict)
    assert len(verdicts) >= 5 and "PASS" not in verdicts
    assert verdicts.count("FAIL") >= 0.95 * len(verdicts)


# --- the report --------------------------------------------------------------------------------


def test_a_wrong_entry_is_named_with_its_numbers():
    def vjp(arrays, cotangents):
        (g,) = tanh_vjp(arrays, cotangents)
        g[1, 2] *= 1.01
        return [g]

    report = of_numpy(np.tanh, vjp, [normal(3, 4)])
    worst = report.worst
    assert report.verdict == "FAIL" and not report
    assert (worst.name, worst.index, worst.status) == (0, (1, 2), "wrong")
    assert worst.ratio == pytest.approx(1.01, abs=1e-6)
    assert worst.analytic == pytest.approx(1.01 * worst.numeric, rel=1e-6)
    assert 0 < worst.error < 1e-6 * abs(worst.numeric) and 0 < worst.step < 1
    assert "the gradient is wrong in 1 of 12 slopes, in input 0" in str(report)
    assert "worst: input 0[1, 2]: analytic" in str(report)
    with pytest.raises(mg.GradcheckError, match=r"input 0\[1, 2\]") as error:
        mg.gradcheck_numpy(np.tanh, vjp, [normal(3, 4)])
    assert error.value.report.to_json() == report.to_json()


def test_parameters_are_named_and_left_as_they_were():
    layer = mg.nn.Linear(3, 2)
    before = [(p.numpy(), p.dtype, p._node) for p in layer.parameters()]
    layer.weight.grad = mg.ones((2, 3))
    report = mg.gradcheck(layer, normal(4, 3), order=2)
    assert list(report.covered)[:3] == ["weight", "bias", 0]
    assert report.covered["weight"] == (6, 6) and report.covered[0] == (12, 12)
    for parameter, (data, dtype, node) in zip(layer.parameters(), before, strict=True):
        assert np.array_equal(parameter.numpy(), data)
        assert parameter.dtype == dtype and parameter._node is node
    assert layer.weight.grad.tolist() == [[1.0] * 3] * 2


class Bent:
    """A module whose backward pass is wrong in one entry of one parameter."""

    def __init__(self, layer, name, index, factor):
        self.layer, self.where = layer, layer.where
        self.hooked = name, index, factor

    def named_parameters(self):
        return self.layer.named_parameters()

    def __call__(self, *inputs):
        name, index, factor = self.hooked

        def bend(g):
            values = g.numpy()
            values[index] *= factor
            return mg.tensor(values, dtype=g.dtype)

        dict(self.named_parameters())[name].register_hook(bend)
        return self.layer(*inputs)


@pytest.mark.parametrize(
    ("layer", "name", "index", "said"),
    [
        ("LSTM", "weight_ih_l1", (5, 0), "layer 1, forward direction, gate g"),
        ("LSTM", "bias_hh_l0_reverse", (3,), "layer 0, backward direction, gate f"),
        ("GRU", "weight_hh_l0", (1, 1), "layer 0, forward direction, gate r"),
        ("RNN", "weight_hh_l0", (1, 1), "layer 0, forward direction"),
    ],
)
def test_gates_are_named(layer, name, index, said):
    mg.manual_seed(0)
    module = getattr(nn, layer)(2, 2, num_layers=2, bidirectional="reverse" in name)
    report = of(Bent(module, name, index, 1.1), normal(2, 2, 2))
    assert report.verdict == "FAIL"
    assert (report.worst.name, report.worst.index) == (name, index)
    assert report.worst.where == said and f"({said})" in str(report)


@pytest.mark.parametrize("batch_first", [False, True])
def test_time_steps_are_named(batch_first):
    layer = nn.LSTM(2, 2, batch_first=batch_first)

    class Forgetful:
        named_parameters, where = layer.named_parameters, layer.where

        def __call__(self, x):  # the gradient does not reach the last time step
            parts = mg.split(x, [2], axis=1 if batch_first else 0)
            return layer(mg.concatenate([parts[0], parts[1].detach()], axis=int(batch_first)))

    report = of(Forgetful(), normal(3, 3, 2))
    wrong = [entry for entry in report.entries if entry.status == "wrong"]
    assert report.verdict == "FAIL" and {entry.where for entry in wrong} == {"time step 2"}


def test_json_is_the_same_byte_for_byte():
    x, w = normal(3, 4), normal(4, 2)
    texts = {of(mg.matmul, (x, w), order=2, seed=5).to_json() for _ in range(3)}
    assert len(texts) == 1
    assert texts != {of(mg.matmul, (x, w), order=2, seed=6).to_json()}
    found = json.loads(texts.pop())
    assert found["verdict"] == "PASS" and found["seed"] == 5
    assert found["covered"][0] == {"name": 0, "checked": 12, "total": 12}


def test_json_holds_what_is_not_finite_as_text():
    report = of_numpy(np.sinc, lambda a, g: [g[0] * np.nan * a[0]], [np.array([0.5, 1.5])])
    assert report.verdict == "FAIL"
    assert json.loads(report.to_json())["worst"]["analytic"] == "nan"


def test_the_plot_is_svg(tmp_path):
    def wrong(arrays, cotangents):
        return [1.001 * tanh_vjp(arrays, cotangents)[0]]

    for vjp in (tanh_vjp, wrong):
        report = of_numpy(np.tanh, vjp, [normal(5)])
        path = report.plot(tmp_path / "plot.svg")
        texts = [e.text for e in xml.parse(path).iter("{http://www.w3.org/2000/svg}text")]
        assert any(text.startswith("Error of input 0[") for text in texts)
        assert any(text.startswith("Taylor remainder, slope") for text in texts)
        assert report.svg == path.read_text(encoding="utf-8")


def test_the_plot_of_an_empty_report_says_so():
    assert "nothing to show" in of(mg.tanh, np.zeros((0, 2))).svg


def test_noise_floor_and_resolution_are_reported():
    report = mg.gradcheck(lambda x: 1e8 + mg.tanh(x), normal(6))
    assert 1e-9 < report.noise_floor < 1e-7
    assert 1e-5 < report.resolution <= 1e-3
    assert "noise floor" in str(report) and "would have been noticed" in str(report)


# --- Taylor's remainder ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_taylor_slope_of_an_lstm(seed):
    case = {c.label: c for c in CASES}
    inputs = case["LSTM: right"].draw(np.random.default_rng(seed))
    for label, low, high in (
        ("LSTM: right", 1.95, 2.05),
        ("LSTM: 0.1% too much in one weight", 0.0, 1.2),
    ):
        report = of_numpy(case[label].f, case[label].vjp, inputs, seed=seed)
        assert low < report.taylor_slope < high, f"{label}: {report}"
    layer = nn.LSTM(3, 4)
    assert mg.gradcheck(layer, normal(4, 2, 3, seed=seed)).taylor_slope == pytest.approx(
        2, abs=0.05
    )


def test_a_linear_function_has_no_taylor_slope():
    assert mg.gradcheck(lambda x: 3 * x, normal(4)).taylor_slope is None


# --- where only the point itself is wrong --------------------------------------------------------


def test_a_gradient_that_is_wrong_at_one_point_only():
    x = normal(3, 4)

    def vjp(arrays, cotangents):
        (g,) = tanh_vjp(arrays, cotangents)
        if np.array_equal(arrays[0], x):
            g = g.copy()
            g[1, 2] *= 1.01
        return [g]

    report = of_numpy(np.tanh, vjp, [x])
    assert report.verdict == "FAIL" and report.worst.index == (1, 2)
    assert report.worst.ratio == pytest.approx(1.01)


def test_a_forgotten_case_at_zero():
    """sinc by its formula, with a wrong value where the formula has a hole."""

    def vjp(arrays, cotangents):
        (x,), (g,) = arrays, cotangents
        safe = np.where(x == 0, 1, x)
        return [g * np.where(x == 0, 1.0, (np.cos(np.pi * x) - np.sinc(x)) / safe)]

    report = of_numpy(np.sinc, vjp, [np.array([0.5, 0.0, -0.3])])
    assert report.verdict == "FAIL" and report.worst.index == (1,)


# --- verdicts ----------------------------------------------------------------------------------


def test_kinks_are_named_among_right_entries():
    x = np.array([[0.0, 1.0, -2.0], [1e-4, 0.0, 0.5]])
    for f in (mg.relu, mg.abs, lambda x: (mg.relu(x) * 3).sum()):
        report = of(f, x)
        assert report.verdict == "INCONCLUSIVE"
        assert report.kinks == [(0, (0, 0)), (0, (1, 1))]
        assert "on a kink" in str(report) and "input 0[1, 1]" in str(report)


def test_a_jump_of_the_second_order_is_a_kink():
    report = of(mg.relu, np.array([0.0, 1.0]), order=2)
    assert report.verdict == "INCONCLUSIVE" and set(report.kinks) == {(0, (0,))}


def test_a_gradient_beyond_both_slopes_of_a_kink_is_wrong():
    def vjp(arrays, cotangents):
        return [cotangents[0] * np.where(arrays[0] == 0, 5.0, np.sign(arrays[0]))]

    assert of_numpy(np.abs, vjp, [np.array([0.0, 1.0])]).verdict == "FAIL"


def test_nan_in_a_gradient_is_wrong_even_on_a_kink():
    report = of(lambda x: mg.sqrt(x * x), np.array([0.0, 1.0]))
    assert report.verdict == "FAIL" and np.isnan(report.worst.analytic)


def test_an_infinite_slope_is_not_held_against_a_gradient():
    def vjp(arrays, cotangents):
        return [cotangents[0] / 3 / np.cbrt(arrays[0]) ** 2]

    assert of_numpy(np.cbrt, vjp, [np.array([0.0, 1.0])]).verdict == "INCONCLUSIVE"


def test_the_edge_of_the_domain_is_named():
    report = of(mg.sqrt, np.array([0.0, 1.0]))
    assert report.verdict == "INCONCLUSIVE" and report.kinks == []
    assert "at the edge of the domain" in str(report) and "input 0[0]" in str(report)


@pytest.mark.parametrize(
    ("f", "x", "said"),
    [
        (lambda x: x * 0, normal(3), "the gradient is zero everywhere"),
        (lambda x: mg.sigmoid(x + 50), normal(3), "zero everywhere"),
        (lambda x: mg.softmax(x, axis=-1).sum(), normal(3), "below the noise floor"),
        (mg.tanh, np.zeros((0, 3)), "there is nothing to check"),
        (lambda x: x[:0], normal(3), "there is nothing to check"),
    ],
)
def test_what_proves_nothing_is_inconclusive(f, x, said):
    report = of(f, x)
    assert report.verdict == "INCONCLUSIVE" and not report and said in str(report)
    assert mg.gradcheck(f, x).verdict == "INCONCLUSIVE"  # only FAIL raises


def test_tiny_gradients_are_checked_like_others():
    assert of(lambda x: mg.exp(x - 200), normal(4)).verdict == "PASS"


def test_an_unused_input_is_fine_if_it_is_unused():
    assert of(lambda x, y: mg.tanh(x), (normal(3), normal(2))).verdict == "PASS"
    report = of_numpy(lambda x, y: x * y, lambda a, g: [g[0] * a[1], None], [normal(3), normal(3)])
    assert report.verdict == "FAIL" and report.worst.name == 1


# --- what may be checked -----------------------------------------------------------------------


def test_nested_outputs_and_inputs_of_all_kinds():
    def f(x, more, k, nothing):
        return x.sum(), {"a": [mg.tanh(more["w"]), x[1] ** k], "b": mg.argmax(x)}

    inputs = (mg.tensor(normal(3)), {"w": (normal(4)[::2])}, 2, None)
    report = mg.gradcheck(f, inputs, order=2)
    assert report and list(report.covered)[:2] == [0, "input 1['w']"]
    assert "the output[1]['b'] is int64" in "\n".join(report.notes)


def test_inputs_keep_their_layout():
    seen = []

    def f(a, b, c):
        seen.append([x._data.flags for x in (a, b, c)])
        return a * b + c.sum()

    assert mg.gradcheck(f, (normal(3, 4), normal(4, 3).T, normal(4, 8)[:, ::2]))
    for a, b, c in seen:
        assert a.c_contiguous and b.f_contiguous
        assert not c.c_contiguous and not c.f_contiguous


def test_scalars_and_integers():
    assert mg.gradcheck(mg.exp, np.array(0.5))
    report = mg.gradcheck(mg.embedding, (np.array([0, 2, 2]), normal(4, 2)))
    assert report and list(report.covered) == [1]


def test_single_precision_is_promoted_and_said_so():
    report = mg.gradcheck(mg.tanh, mg.tensor([0.5, -1.0], dtype="float32"))
    assert report and "float32 inputs were promoted: checked in float64" in str(report)


def test_a_function_that_calculates_in_single_precision_is_judged_by_it():
    def f(x):
        return np.tanh(x.astype(np.float32))

    for dtype in (np.float32, np.float64):
        report = of_numpy(f, tanh_vjp, [normal(4).astype(dtype)])
        assert report.verdict != "FAIL" and "checked in that precision" in str(report)

    def strict(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.tanh(x)

    report = of_numpy(strict, tanh_vjp, [normal(4).astype(np.float32)])
    assert report.verdict != "FAIL"
    assert "refuses float64 (float32 only): checked in float32" in str(report)


def test_random_numbers_are_replayed_and_restored():
    mg.manual_seed(3)
    assert mg.gradcheck(lambda x: mg.dropout(x, 0.5, True), normal(3, 3))
    after = mg.rand(2).tolist()
    mg.manual_seed(3)
    assert mg.rand(2).tolist() == after


def test_random_numbers_follow_the_seed():
    texts = []
    for before, seed in ((1, 5), (2, 5), (1, 6)):
        mg.manual_seed(before)
        report = mg.gradcheck(lambda x: mg.dropout(x, 0.5, True), normal(3, 3), order=2, seed=seed)
        texts.append(report.to_json())
    assert texts[0] == texts[1] != texts[2]


def test_inputs_that_are_not_finite_are_left_out():
    x = np.array([np.nan, 1.0, 2.0])
    report = mg.gradcheck(lambda x: mg.where(mg.isnan(x), 0.0, x) ** 2, x)
    assert report.covered[0] == (2, 3) and "not finite" in str(report)


def test_a_backend_is_chosen_by_name():
    seen = set()

    def f(x, i):
        seen.update((x.backend.name, i.backend.name))
        return x * i

    assert mg.gradcheck(f, (normal(2), mg.tensor([1, 2])), backend="numpy") and seen == {"numpy"}


class Scaled(mg.nn.Module):
    """A layer with a state that it changes at every call, and a constant of its own."""

    def __init__(self):
        self.linear = mg.nn.Linear(3, 2)
        self.size = mg.nn.Buffer([2.0])
        self.seen = set()

    def forward(self, x):
        self.seen.update(t.backend.name for t in (x, self.linear.weight, self.size))
        self.size = 0.5 * self.size + 0.1
        return mg.tanh(self.linear(x)) * self.size * mg.full((), 2.0, dtype=x.dtype)


def test_a_module_is_moved_to_the_backend_and_back(backend):
    with mg.use_backend("numpy"):
        module = Scaled()
    held, size = [*module.parameters(), *module.buffers()], module.size
    before = [(x._data, x._data.copy(), x.backend, x._node) for x in held]
    for order in (1, 2):
        assert mg.gradcheck(module, normal(4, 3), backend=backend, order=order)
    assert module.seen == {backend} and module.size is size
    for x, (data, values, home, node) in zip(held, before, strict=True):
        assert x._data is data and x.backend is home and x._node is node
        assert np.array_equal(data, values)
    with mg.use_backend("numpy"):
        assert module(mg.ones((4, 3))).backend.name == "numpy"


# --- large inputs ------------------------------------------------------------------------------


def test_large_inputs_within_a_budget():
    report = mg.gradcheck(mg.tanh, normal(100, 100), budget=300)
    checked, total = report.covered[0]
    assert report and 0 < checked < total == 10000
    assert report.directions == 2 and report.evaluations <= report.budget == 300
    assert f"covered: {checked} of 10000 entries, 2 random directions" in str(report)


def test_one_wrong_entry_among_many_is_found_and_named():
    def vjp(arrays, cotangents):
        (g,) = tanh_vjp(arrays, cotangents)
        g[17, 33] *= 1.01
        return [g]

    report = of_numpy(np.tanh, vjp, [normal(60, 50)], budget=1000)
    assert report.verdict == "FAIL" and report.worst.index == (17, 33)


def test_kinks_among_many_entries_are_found():
    x = normal(60, 50)
    x[[3, 40, 40], [7, 8, 30]] = 0.0
    report = of(mg.relu, x, budget=1000)
    assert report.verdict == "INCONCLUSIVE"
    assert report.kinks == [(0, (3, 7)), (0, (40, 8)), (0, (40, 30))]


def test_too_small_a_budget_is_no_pass():
    report = of(mg.tanh, normal(100, 100), budget=30)
    assert report.verdict == "INCONCLUSIVE" and "the budget of 30 evaluations" in str(report)


# --- manners -----------------------------------------------------------------------------------


@mg.use_backend("numpy")  # it captures a NumPy array
def test_second_order_is_checked_on_its_own():
    @mg.op
    def captured(xp, x):
        return xp.tanh(x)

    # `_data` takes the derivative out of the graph: right at first order, zero at second.
    captured.vjp(x=lambda g, y: g * (1 - mg.tensor(getattr(y, "_data", y)) ** 2))
    try:
        assert mg.gradcheck(captured, normal(3)).verdict == "PASS"
        for report in (
            of(captured, normal(3), order=2),
            mg.gradgradcheck(captured, normal(3), raise_exception=False),
        ):
            assert report.verdict == "FAIL" and report.order == 2
    finally:
        del mg.OPS["captured"]
    assert mg.gradgradcheck(mg.tanh, normal(3)).verdict == "PASS"


def test_gradients_of_wrong_shape_and_dtype():
    report = of_numpy(
        lambda a, b: a * b, lambda a, g: [g[0] * a[1], g[0] * a[0]], [normal(2, 3), normal(3)]
    )
    assert report.verdict == "FAIL"
    assert "the gradient of input 1 must have its shape (3,); got (2, 3)" in str(report)
    report = of_numpy(np.sin, lambda a, g: [(g[0] * np.cos(a[0])).astype("float32")], [normal(3)])
    assert report.verdict == "FAIL" and "must be float64" in str(report)


def test_linearity_in_the_cotangent():
    def vjp(arrays, cotangents):
        return [np.clip(cotangents[0], -1, 1) * np.cos(arrays[0])]

    report = of_numpy(np.sin, vjp, [normal(3)])
    assert report.verdict == "FAIL" and "not linear in its cotangent" in str(report)


def test_functions_that_remember():
    calls = []

    def f(x):
        calls.append(0)
        return mg.tanh(x) + 0.01 * len(calls)

    report = of(f, normal(3))
    assert report.verdict == "FAIL" and "the function is not deterministic" in str(report)


def test_aliased_gradients_are_noted():
    report = of_numpy(lambda a, b: a + b, lambda a, g: [g[0], g[0]], [normal(3), normal(3)])
    assert report.verdict == "PASS"
    assert "the gradient of input 1 shares memory with that of input 0" in str(report)
    assert mg.gradcheck(lambda a, b: a + b, (normal(3), normal(3)), order=2).notes == []


# --- errors as a new user meets them -------------------------------------------------------------


def edited(x):
    x.data[0] = 1.0
    return x * x


@pytest.mark.parametrize(
    ("f", "inputs", "error", "said"),
    [
        (lambda x: 3.0, normal(2), TypeError, "the output is float 3.0. Stay with tensors"),
        (lambda x: np.tanh(x.numpy()), normal(2), TypeError, "mg.gradcheck_numpy"),
        (
            lambda x: (x, None),
            normal(2),
            TypeError,
            r"the output\[1\] is None. Is a return missing",
        ),
        (mg.log, np.array([-1.0, 1.0]), ValueError, r"output 0 is nan at index \(0,\) \(1 of 2"),
        (mg.matmul, (normal(2, 3), normal(2, 3)), ValueError, "do not fit"),
        (
            mg.tanh,
            np.arange(3),
            TypeError,
            "differentiate with respect to.*int64",
        ),
        (mg.tanh, (), TypeError, "got no inputs"),
        (mg.tanh, [0.5, 1.0], TypeError, r"got float 0.5, float 1.0. Numbers.* mg.tensor\(...\)"),
        (mg.tanh, np.array([np.nan, 1.0]), ValueError, "The inputs themselves hold NaN"),
        (lambda x: mg.sqrt(x * x), np.zeros(1), mg.GradcheckError, "in 1 it is NaN or infinite"),
        (3, normal(2), TypeError, "gradcheck needs a function to call; got int 3"),
        (mg.tanh, normal(2) + 1j, TypeError, "complex inputs are not supported"),
        (edited, normal(2), mg.GradcheckError, "the function edits input 0 in place"),
        (lambda x: x.detach() * 2, normal(2), mg.GradcheckError, r"look for detach\(\)"),
    ],
)
def test_wrong_use(f, inputs, error, said):
    with pytest.raises(error, match=said):
        mg.gradcheck(f, inputs)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": 3}, "order must be 1 or 2; got 3"),
        ({"seed": -1}, "gradcheck: seed is a whole number of at least 0; got -1"),
        ({"seed": 0.5}, "seed is a whole number of at least 0; got 0.5"),
        ({"budget": 0}, "measuring the noise takes 20 evaluations; got budget=0"),
        ({"backend": "nunpy"}, "unknown backend 'nunpy'.*Did you mean 'numpy'"),
    ],
)
def test_wrong_use_of_options(options, said):
    with pytest.raises((ValueError, mg.BackendError), match=said):
        mg.gradcheck(mg.tanh, normal(2), **options)


@pytest.mark.parametrize("f", [mg.argmax, lambda x: x > 0])
def test_outputs_without_a_derivative(f):
    report = of(f, normal(3))
    assert report.verdict == "INCONCLUSIVE" and "no output is of a float dtype" in str(report)
    assert "no output depends on the inputs" not in str(report)


def test_random_numbers_are_noted():
    model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.Dropout(0.5))
    said = "draws random numbers: the same ones at every call"
    assert said in str(mg.gradcheck(model, normal(2, 3)))
    assert said not in str(mg.gradcheck(model.eval(), normal(2, 3)))


@pytest.mark.parametrize(
    ("f", "vjp", "inputs", "error", "said"),
    [
        (np.tanh, lambda a, g: g[0], [normal(2)], ValueError, "a list of 1 gradients.*it returned"),
        (np.tanh, lambda a, g: [], [normal(2)], ValueError, "one per input"),
        (lambda x: [3], tanh_vjp, [normal(2)], TypeError, "output 0 is int 3"),
        (lambda x: x > 0, tanh_vjp, [normal(2)], TypeError, "must return float arrays"),
        (np.tanh, tanh_vjp, [np.arange(2)], TypeError, "needs an input of a float dtype"),
        (np.tanh, tanh_vjp, [normal(2), normal(2) + 1j], TypeError, "complex inputs are not"),
        (
            np.tanh,
            None,
            [normal(2)],
            TypeError,
            "gradcheck_numpy needs a function to call; got None",
        ),
    ],
)
def test_wrong_use_with_numpy(f, vjp, inputs, error, said):
    with pytest.raises(error, match=said):
        mg.gradcheck_numpy(f, vjp, inputs)


def test_changing_shapes():
    with pytest.raises(ValueError, match="the outputs must keep their shapes"):
        of(lambda x: x[: int(x.numpy()[0] * 1e9) % 2 + 1], normal(3))


# --- other frameworks ----------------------------------------------------------------------------


def test_a_function_of_pytorch():
    torch = pytest.importorskip(
        "torch", reason=f"PyTorch is not installed here; {install_line('oracle')}"
    )

    def f(*arrays):
        return torch.special.expit(torch.tensor(arrays[0])).numpy()

    def vjp(arrays, cotangents):
        x = torch.tensor(arrays[0], requires_grad=True)
        torch.special.expit(x).backward(torch.tensor(cotangents[0]))
        return [x.grad.numpy()]

    assert mg.gradcheck_numpy(f, vjp, [np.linspace(-3, 3, 7)])
    report = of_numpy(f, lambda a, g: [1.01 * vjp(a, g)[0]], [np.linspace(-3, 3, 7)])
    assert report.verdict == "FAIL"
    layer = torch.nn.Linear(3, 2)  # float32 only

    def linear(x):
        return layer(torch.tensor(x)).detach().numpy()

    def linear_vjp(arrays, cotangents):
        x = torch.tensor(arrays[0], requires_grad=True)
        layer(x).backward(torch.tensor(cotangents[0]))
        return [x.grad.numpy()]

    report = of_numpy(linear, linear_vjp, [normal(4, 3).astype(np.float32)])
    assert report.verdict != "FAIL" and "refuses float64" in str(report)


# --- finite differences by themselves ------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (np.exp, 0.3, np.exp(0.3)),
        (lambda x: 1e8 + np.sin(x), 0.3, np.cos(0.3)),
        (lambda x: np.sin(1e5 * x), 0.3, 1e5 * np.cos(3e4)),
        (np.log, 1e-12, 1e12),
        (lambda x: np.maximum(x, 0), 1e-6, 1.0),
        (lambda x: x**3, 0.0, 0.0),
        (lambda x: np.sin(x - 1e8), 1e8 + 0.5, np.cos(0.5)),
    ],
)
def test_error_bars_hold(f, x, slope):
    rng = np.random.default_rng(0)
    point, v, grid = np.array([x]), np.ones(1), np.dtype(float)
    scale = 1.0 if abs(x) > 1e6 else abs(x) or 1.0
    places = np.append(0.0, rng.uniform(0, 1e-6 * scale, Noise.POINTS - 1))
    noise = Noise(places, np.stack([f(point + t) for t in places]), v, grid)
    line = Line(f, point, f(point), v, noise, grid, axis=0, scale=scale)
    with np.errstate(all="ignore"):
        found = measure(line, lambda slope: False, slope, 20)
    assert abs(found.value - slope) <= 5 * found.error + 1e-15 * abs(slope)
    assert found.error <= 1e-4 * abs(slope) or slope == 0
    assert not found.kink
