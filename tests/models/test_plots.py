"""Figures show the arrays that they are made from, with a word at each step."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models import plots
from minigrad.nn import GRU, LSTM, RNN

pytest.importorskip("plotly")

T, N, I, H = 5, 2, 3, 4
WORDS = ["the", "film", "is", "the", "best"]  # one of them twice


@pytest.fixture
def trace():
    mg.manual_seed(0)
    with mg.record() as trace:
        LSTM(I, H)(mg.randn((T, N, I)), lengths=[T, 3])
    return trace


def drawn(figure):
    figure.to_html()
    return np.asarray(figure.data[0].z)


@pytest.mark.parametrize("name", ["forget", "cell"])
def test_values(trace, name):
    figure = plots.plot_values(trace, name, WORDS)
    np.testing.assert_array_equal(drawn(figure), trace[name][:, 0].T)
    assert list(figure.layout.xaxis.ticktext) == WORDS
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2, 3, 4]
    low, high = figure.data[0].zmin, figure.data[0].zmax
    assert (low, high) == (0, 1) if name == "forget" else low == -high
    short = plots.plot_values(trace, name, WORDS[:3], sequence=1)
    np.testing.assert_array_equal(drawn(short), trace[name][:3, 1].T)


def test_memory(trace):
    figure = plots.plot_memory(trace, words=WORDS)
    memory = trace.memory()["l0.forget"]
    order = np.argsort(-memory.steps)
    np.testing.assert_array_equal(drawn(figure), memory.left[:, 0, order].T)
    assert list(figure.layout.yaxis.ticktext) == [str(unit) for unit in order]


def test_saturation(trace):
    figure = plots.plot_saturation(trace, "forget", "output")
    for drawn_, (full, found) in zip(figure.data, trace.saturation().items(), strict=False):
        if full == "l0.forget":
            np.testing.assert_array_equal(drawn_.x, found.shut)
            np.testing.assert_array_equal(drawn_.y, found.open)
    assert [line.name for line in figure.data] == ["l0.forget", "l0.output"]


def test_flow():
    layer, x = RNN(I, H), mg.randn((T, N, I))
    flow = mg.gradient_flow(layer, x, lengths=[3, 2])
    (line,) = plots.plot_flow(flow).data
    norms = flow["l0.hidden"]
    right = [norms[0].mean(), norms[1].mean(), norms[2, 0]]  # only one has three steps
    np.testing.assert_allclose(line.y, right)


def test_connectivity():
    reach = mg.connectivity(GRU(I, 2), mg.randn((T, N, I)))
    figure = plots.plot_connectivity(reach, WORDS, sequence=1)
    np.testing.assert_array_equal(drawn(figure), reach[..., 1])
    assert figure.data[0].zmax is None
    assert list(figure.layout.yaxis.ticktext) == WORDS == list(figure.layout.xaxis.ticktext)


def both_ways():
    with mg.record() as trace:
        LSTM(I, H, bidirectional=True)(mg.randn((T, N, I)))
    return trace


WRONG = {
    "there are 5 steps, so words must be a list of 5 texts; got 2": (
        ValueError,
        lambda t: plots.plot_values(t, "forget", ["a", "b"]),
    ),
    "must be a list of 5 texts; got the string 'films'": (
        ValueError,
        lambda t: plots.plot_values(t, "forget", "films"),
    ),
    "there are 2 sequences, from 0 on; got sequence=2": (
        ValueError,
        lambda t: plots.plot_values(t, "forget", sequence=2),
    ),
    "nothing named 'reset' was recorded": (KeyError, lambda t: plots.plot_values(t, "reset")),
    "plot_memory: name one of l0.forget, l0_reverse.forget": (
        ValueError,
        lambda t: plots.plot_memory(both_ways()),
    ),
    r"give what mg.connectivity gave, \(T, T, N\); got \(3,\)": (
        ValueError,
        lambda t: plots.plot_connectivity(np.ones(3)),
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_uses(trace, text):
    kind, use = WRONG[text]
    with pytest.raises(kind, match=text):
        use(trace)


def test_without_plotly(monkeypatch, trace):
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r'plots need plotly; in the checkout: pip install -e "'):
        plots.plot_values(trace, "forget")


def test_longest_lags():
    longest = {"rnn": [0, 0, 5], "gru": [40, 20, 40]}
    figure = plots.plot_longest_lags(longest, [5, 10, 20, 40])
    figure.to_html()
    bars, points = figure.data
    assert list(bars.y) == [2.5, 40] and list(points.y) == [2.5, 2.5, 5, 40, 20, 40]
    assert [round(x) for x in points.x] == [0, 0, 0, 1, 1, 1] and len(set(points.x)) == 6
    assert list(figure.layout.xaxis.ticktext) == ["rnn", "gru"]
    labels = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert labels == {2.5: "none", 5: "5", 10: "10", 20: "20", 40: "40 or more"}
