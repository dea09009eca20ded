"""The cells of the zoo, by their formulas in NumPy, and as layers."""

import ast
import inspect

import numpy as np
import pytest
from fused_layers import definition, results
from interpreted_backend import InterpretedBackend
from scans import assert_close

import minigrad as mg
from minigrad.models import LSTM, zoo

T, N, I, H = 5, 3, 2, 4
LAYERS = {name: getattr(zoo, name) for name in zoo.__all__ if name[0].isupper()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normed(x, gain, bias):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * gain + bias


def mgu(p, x, h):
    f = sigmoid(p["weight_ih"][:H] @ x + p["bias_ih"][:H] + p["weight_hf"] @ h)
    n = np.tanh(p["weight_ih"][H:] @ x + p["bias_ih"][H:] + p["weight_hn"] @ (f * h))
    return [(1 - f) * h + f * n]


def indrnn(p, x, h):
    return [np.maximum(p["weight_ih"] @ x + p["weight_hh"] * h + p["bias_ih"], 0)]


def lstm(p, x, h, c):
    sums = p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]
    i, f, g, o = sums.reshape(4, H)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def peephole(p, x, h, c):
    sums = p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]
    i, f, g, o = sums.reshape(4, H)
    i, f = i + p["weight_ci"] * c, f + p["weight_cf"] * c
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o + p["weight_co"] * c) * np.tanh(c), c]


def layer_norm(p, x, h, c):
    from_x = normed(p["weight_ih"] @ x, p["g_ih"], p["bias_ih"])
    from_h = normed(p["weight_hh"] @ h, p["g_hh"], p["bias_hh"])
    i, f, g, o = (from_x + from_h).reshape(4, H)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(normed(c, p["g_c"], p["bias_c"])), c]


def zoneout(p, x, h, c):
    new = lstm(p, x, h, c)
    return [rate * a + (1 - rate) * b for rate, a, b in zip((0.05, 0.5), (h, c), new, strict=True)]


def layer_norm_gru(p, x, h):
    x_r, x_z, x_n = normed(p["weight_ih"] @ x, p["g_ih"], p["bias_ih"]).reshape(3, H)
    h_r, h_z, h_n = normed(p["weight_hh"] @ h, p["g_hh"], p["bias_hh"]).reshape(3, H)
    z = sigmoid(x_z + h_z)
    return [(1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h]


def minimal_rnn(p, x, h):
    n = np.tanh(p["weight_ih"] @ x + p["bias_ih"])
    u = sigmoid(p["weight_hh"] @ h + p["bias_hh"] + p["weight_nh"] @ n)
    return [u * h + (1 - u) * n]


def min_gru(p, x, h):
    z, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(2, H)
    return [sigmoid(z) * h + (1 - sigmoid(z)) * n]


def min_lstm(p, x, h):
    f, i, n = (p["weight_ih"] @ x + p["bias_ih"]).reshape(3, H)
    f, i = sigmoid(f), sigmoid(i)
    return [(f * h + i * n) / (f + i)]


def sru(p, x, c):
    """The output, and the state, which is another thing."""
    f, r = (p["weight_fr"] @ x + p["bias_fr"]).reshape(2, H)
    f, r = sigmoid(f + p["weight_cf"] * c), sigmoid(r + p["weight_cr"] * c)
    c = f * c + (1 - f) * (p["weight_ih"] @ x)
    return r * c + (1 - r) * (p["weight_skip"] @ x if "weight_skip" in p else x), [c]


def qrnn(p, x, c):
    n, f, o = (p["weight_ih"] @ x + p["bias_ih"]).reshape(3, H)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(n)
    return sigmoid(o) * c, [c]


FORMULAS = {"MGU": mgu, "IndRNN": indrnn, "PeepholeLSTM": peephole}
FORMULAS |= {"LayerNormLSTM": layer_norm, "ZoneoutLSTM": zoneout, "LayerNormGRU": layer_norm_gru}
FORMULAS |= {"MinimalRNN": minimal_rnn, "MinGRU": min_gru, "MinLSTM": min_lstm}
FORMULAS |= {"SRU": sru, "QRNN": qrnn}


@pytest.fixture(autouse=True)
def in_double_precision():
    mg.set_default_dtype("float64")
    mg.manual_seed(0)
    yield
    mg.set_default_dtype("float32")


@pytest.mark.parametrize(("name", "I"), [*((name, I) for name in LAYERS), ("SRU", H)])
def test_a_layer_is_its_formula(name, I, backend):
    layer = LAYERS[name](I, H).eval()
    for parameter in layer.parameters():
        parameter.data = mg.randn(parameter.shape)
    x = mg.randn((T, N, I))
    start = tuple(mg.randn((1, N, H)) for _ in layer.states)
    y, last = layer(x, layer._packed(start))
    p = {k.removesuffix("_l0"): v.numpy() for k, v in layer.named_parameters()}
    for n in range(N):
        state = [part.numpy()[0, n] for part in start]
        for t in range(T):
            found = FORMULAS[name](p, x.numpy()[t, n], *state)
            output, state = found if isinstance(found, tuple) else (found[0], found)
            np.testing.assert_allclose(y.numpy()[t, n], output, rtol=1e-9, atol=1e-11)
        for part, right in zip(last if len(start) > 1 else [last], state, strict=True):
            np.testing.assert_allclose(part.numpy()[0, n], right, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_as_layers(name):
    layer = LAYERS[name](I, H, num_layers=2, bidirectional=True, batch_first=True, bias=False)
    assert not any("bias" in key or key.startswith("b_") for key, _ in layer.named_parameters())
    x = np.random.default_rng(0).normal(size=(N, T, I))
    x[0, 3:] = np.nan
    y, state = layer(mg.tensor(x), lengths=[3, T, 0])
    assert y.shape == (N, T, 2 * H)
    for part in state if isinstance(state, tuple) else (state,):
        assert part.shape == (4, N, H) and not part.numpy()[:, 2].any()
    assert np.isfinite(y.numpy()).all() and not y.numpy()[0, 3:].any() and not y.numpy()[2].any()
    y.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_fused_as_composed(name):
    """By the text of the kernels, several layers, both ways, sequences of several lengths."""
    args = LAYERS[name], (4, 3, 2, 3), "float64", 0
    options = {"lengths": [4, 0, 2], "state": True, "num_layers": 2, "bidirectional": True}
    found = results(InterpretedBackend(), *args, **options)
    assert_close(found, definition(*args, **options), 1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_at_most_25_lines_including_parameters(name):
    """Without docstrings: the cell's function and the class.

    `ZoneoutLSTM` has no cell: it is a setting of an option.
    """

    def lines(thing):
        source = inspect.getsource(thing)
        found = {i for i, line in enumerate(source.splitlines(), 1) if line.strip()}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                found -= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
        return len(found)

    cell = LAYERS[name].cell
    own = cell.__module__.startswith("minigrad.models.zoo")
    assert own or name == "ZoneoutLSTM"
    assert 4 < lines(LAYERS[name]) + (lines(cell) if own else 0) <= 25


def test_zoneout_between_all_and_nothing():
    x = mg.randn((T, N, I))
    start = mg.randn((1, N, H)), mg.randn((1, N, H))
    none, full = (zoo.ZoneoutLSTM(I, H, zoneout=(rate, rate)) for rate in (0.0, 1.0))
    _, last = full(x, start)
    for part, before in zip(last, start, strict=True):
        np.testing.assert_array_equal(part.numpy(), before.numpy())
    plain = LSTM(I, H)
    plain.load_state_dict(none.state_dict())
    np.testing.assert_allclose(none(x, start)[0].numpy(), plain(x, start)[0].numpy(), rtol=1e-12)


def test_zoneout_keeps_single_units_at_single_steps():
    layer = zoo.ZoneoutLSTM(I, H, zoneout=(0.5, 0.5))
    x = mg.randn((1, 200, I))
    start = mg.randn((1, 200, H)), mg.randn((1, 200, H))
    mg.manual_seed(1)
    y, (h, c) = layer(x, start)
    kept = [np.isclose(a.numpy(), b.numpy()).mean() for a, b in zip((h, c), start, strict=True)]
    assert all(0.4 < share < 0.6 for share in kept)
    assert (layer(x, start)[0].numpy() != y.numpy()).any()
    mg.manual_seed(1)
    np.testing.assert_array_equal(layer(x, start)[0].numpy(), y.numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())


def test_gates_of_min_lstm_at_their_ends():
    """Where both sigmoids are 0 in the dtype, their share of each other is still a number."""
    layer = zoo.MinLSTM(1, 1).astype("float32")
    layer.weight_ih_l0.data = mg.tensor([[1.0], [1.0], [0.0]], dtype="float32")
    layer.bias_ih_l0.data = mg.tensor([0.0, 1.0, 3.0], dtype="float32")
    x = mg.tensor(np.full((1, 1, 1), -200), dtype="float32", requires_grad=True)
    y, _ = layer(x)
    np.testing.assert_allclose(y.numpy(), 3 / (1 + np.exp(-1)), rtol=1e-5)
    assert np.isfinite(mg.grad(y.sum(), x).numpy()).all()


def test_indrnn_begins_with_memories_of_all_lengths():
    weights = zoo.IndRNN(I, 1000).weight_hh_l0.numpy()
    assert weights.min() >= 0 and weights.max() < 1 and 0.4 < weights.mean() < 0.6
