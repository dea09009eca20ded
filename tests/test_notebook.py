"""What notebooks show: well-formed, escaped, right in its numbers, and never an error."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.models.training.example import FirstNumber, FirstNumberSettings
from minigrad.models.training.loop import fit
from minigrad.models.training.state import Training
from minigrad.utils.rich import curves, heat_map


def parsed(shown):
    """The HTML, which must be well-formed."""
    return ElementTree.fromstring(f"<div>{shown}</div>".replace(" open>", ' open="">'))


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=70),
    )
)
def test_any_tensor_is_shown(array):
    tensor = mg.tensor(array, backend="numpy")
    shown = tensor._repr_html_()
    parsed(shown)
    assert str(tensor.dtype) in shown
    if tensor.ndim and tensor.size:
        rows = array.reshape(-1, array.shape[-1])
        steps = [-(-n // most) for n, most in zip(rows.shape, (24, 60), strict=True)]
        cells = rows[:: steps[0], :: steps[1]]
        assert shown.count("<rect") == cells.size
        above = np.isfinite(cells) & (cells > 0)
        assert shown.count('fill="#e8792b"') == above.sum()
        assert shown.count("×") == (~np.isfinite(cells)).sum()
        assert ("every" in shown) == (max(steps) > 1)


def test_gradients_and_origins(backend):
    x = mg.tensor([[1.0, -2.0]], requires_grad=True)
    assert x._repr_html_().count("<svg") == 1
    (x * x).sum().backward()
    shown = x._repr_html_()
    assert shown.count("<svg") == 2 and "gradient, from -4 to 2" in shown
    assert "requires_grad" in shown and "made by multiply" in (x * x)._repr_html_()
    assert (backend in shown) == (backend != "numpy")
    assert "<svg" not in mg.tensor(3.0)._repr_html_()


def test_modules():
    class Looped(mg.nn.Module):
        def __init__(self):
            self.layers = [mg.nn.Linear(3, 4), mg.nn.LSTM(4, 5)]
            self.tied = self.layers[0]
            self.count = mg.nn.Buffer(mg.zeros(2))
            self.layers[0].bias.requires_grad = False

    shown = Looped()._repr_html_()
    parsed(shown)
    assert "Looped(), 236 parameters" in shown
    assert "layers.1: LSTM(4, 5), 220 parameters" in shown
    assert "weight_hh_l0: float32 (20, 5)<" in shown
    assert "bias: float32 (4,), frozen<" in shown and "count: float32 (2,), buffer<" in shown


def test_an_empty_tensor_says_its_shape():
    said = [repr(mg.zeros(shape, backend="numpy")) for shape in ((0,), (0, 3))]
    assert said == ["tensor([])", "tensor([], shape=(0, 3))"]


def test_optimisers_and_loaders_say_what_they_are():
    model = mg.nn.Linear(2, 1)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}]
    said = repr(mg.optim.SGD(groups, lr=0.1))
    assert said.startswith("<SGD of 1 parameters, lr=0.1, ") and "; 1 parameters, lr=0.5, " in said
    loader = mg.data.DataLoader(np.arange(5), batch_size=8, shuffle=True)
    assert repr(loader) == "<loader of 5 examples, 1 batch of 5, shuffled, at epoch 0>"


def test_reports_programs_recordings():
    report = mg.gradcheck(mg.tanh, mg.randn((3,)))
    assert report._repr_html_().startswith("<b>PASS</b>")
    wrong = mg.gradcheck(lambda x: x * x.detach(), mg.randn((3,)), raise_exception=False)
    shown = wrong._repr_html_()
    assert shown.startswith("<b>FAIL</b><pre") and shown.count("the gradient is wrong in 3") == 2
    # A style of a picture is a style of the whole page.
    style = re.search("<style>(.*?)</style>", shown)[1]
    assert all(rule.startswith(".gradcheck ") for rule in style.split("}")[:-1])
    layer = mg.nn.GRU(3, 4)
    program = layer.trace()
    assert re.sub("<.*?>", "", program._repr_html_()).count(" = ") == str(program).count(" = ")
    with mg.record(gradients=True) as trace:
        y, _ = layer(mg.randn((5, 2, 3)))
    y.sum().backward()
    for shown in (trace._repr_html_(), trace.gradient._repr_html_()):
        parsed(shown)
        assert all(name in shown for name in trace) and shown.count("<rect") == 4 * 5 * 4
    with mg.record() as nothing:
        pass
    assert "nothing" in nothing._repr_html_()


def test_trainings():
    task = FirstNumber(FirstNumberSettings(cell="rnn", epochs=3))
    task.load()
    fresh = Training(task)
    assert "0 of 3 epochs, no epoch" in repr(fresh)
    parsed(fresh._repr_html_())
    done = fit(task)
    assert "3 of 3 epochs, best error" in repr(done)
    shown = done._repr_html_()
    parsed(shown)
    assert shown.count("<polyline") == 3


@pytest.mark.parametrize("line", [[], [1.0], [1.0, float("nan"), 3.0], [2.0, 2.0]])
def test_curves_of_all_lengths(line):
    ElementTree.fromstring(curves({"a < b": line}, "x & y"))
    ElementTree.fromstring(heat_map(np.array(line), "x & y"))
