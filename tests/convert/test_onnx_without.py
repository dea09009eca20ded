"""What needs no package of ONNX: sizes of axes, the order of gates, and what is missing is said."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.convert import certify_to_onnx, from_onnx, to_onnx
from minigrad.models.convert.onnx_files.gates import KINDS, reordered
from minigrad.models.convert.onnx_files.sizes import RUNS, Sizes, draw_sizes
from minigrad.utils.install import install_line

AXES = st.sampled_from(["batch", "time", "width"])


@given(st.dictionaries(AXES, st.integers(0, 40), min_size=1), st.integers(0, 2**32), st.data())
def test_a_size_is_explained_by_the_axes_that_it_follows_from(least, seed, data):
    runs = draw_sizes(least, np.random.default_rng(seed))
    assert len(runs) == RUNS and all(run[axis] > n for run in runs for axis, n in least.items())
    sizes = Sizes(runs)
    axes = data.draw(st.lists(st.sampled_from(sorted(least)), unique=True, min_size=1))
    factor = data.draw(st.integers(-3, 3).filter(bool))
    offset = data.draw(st.integers(-9, 9))
    values = [factor * int(np.prod([run[axis] for axis in axes])) + offset for run in runs]
    found = sizes.explain(values)
    assert (sorted(found.axes), found.factor, found.offset) == (sorted(axes), factor, offset)
    assert [found.at(run) for run in runs] == values


@given(st.integers(0, 2**32))
def test_what_follows_from_no_axis_is_not_explained(seed):
    rng = np.random.default_rng(seed)
    sizes = Sizes(draw_sizes({"batch": 3, "time": 4}, rng))
    assert sizes.explain([7, 7, 7]) == 7
    assert sizes.explain([run["batch"] // 2 for run in sizes.runs]) is None
    assert sizes.explain([run["batch"] ** 2 for run in sizes.runs]) is None
    assert sizes.explain([run["batch"] + run["time"] for run in sizes.runs]) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_orders_of_gates_are_inverses(kind):
    known = KINDS[kind]
    rows = np.arange(2 * len(known.to_onnx))
    assert (reordered(reordered(rows, known.to_onnx), known.from_onnx) == rows).all()


def test_a_long_example_is_refused():
    with pytest.raises(ValueError, match="a shorter example does as well"):
        draw_sizes({"time": 10**6}, np.random.default_rng(0))


@pytest.mark.parametrize("call", [lambda: to_onnx(mg.nn.Linear(1, 1), mg.ones((1, 1))), from_onnx])
def test_without_onnx_the_error_says_how_to_install_it(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError) as error:
        call("model.onnx") if call is from_onnx else call()
    assert install_line("onnx") in str(error.value)


def test_without_onnxruntime_the_certificate_says_who_ran_the_graph(monkeypatch):
    pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    certificate = certify_to_onnx(mg.nn.GRU(2, 3), mg.ones((4, 2, 2)))
    assert certificate and certificate.framework == "its ONNX model, read again"
    assert "onnxruntime is not installed" in certificate.notes[0]
