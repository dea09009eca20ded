"""What layers draw in training: masks for all steps, weight drop, zoneout; and residual layers."""

import copy

import numpy as np
import pytest
from fused_layers import definition, results
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import assert_close, fusing

import minigrad as mg
from minigrad.models import zoo
from minigrad.nn import GRU, LSTM, RNN, Recurrent
from minigrad.nn.cells import masked

few = settings(max_examples=max(4, settings.default.max_examples // 4))


@pytest.fixture(params=["numpy", "strict", "interpreted"])
def quick(request):
    """Composed, on a device, and by the text of kernels, which need not be compiled."""
    by_kernels = request.param == "interpreted"
    chosen = InterpretedBackend() if by_kernels else request.param
    with mg.use_backend(chosen), fusing("require" if by_kernels else "0"):
        yield request.param


T, N, I, H = 5, 3, 2, 4
RATES = {
    "variational_dropout": 0.3,
    "recurrent_dropout": 0.4,
    "weight_drop": 0.5,
    "zoneout": 0.3,
}


def random_layer(make, *sizes, seed=0, **options):
    """In float64, with weights that are large enough for all gates to matter."""
    layer = make(*sizes, **options).double()
    rng = np.random.default_rng(seed)
    layer.load_state_dict({n: rng.normal(size=a.shape) for n, a in layer.state_dict().items()})
    return layer


def inputs(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape or (T, N, I)))


def arrays(value):
    return [part.numpy() for part in (value if isinstance(value, tuple) else (value,))]


# --- what the cell is shown ----------------------------------------------------------------------


class Shown(Recurrent):
    """y is x, the masked state and the weights of h, as the cell sees them; the state stays 1."""

    def cell(p, x, h):
        y = mg.concatenate([x, masked(p, h)], axis=-1) * mg.sum(p.w_hh)
        return y, h

    masks_h = True

    def shapes(self, I, H):
        return {"w_hh": (1, 8)}

    def initial(self, name, shape):
        return np.ones(shape)


@given(st.integers(0, 999), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 4))
def test_masks_are_the_same_at_all_steps(quick, seed, p, length):
    layer = Shown(I, H, variational_dropout=p, recurrent_dropout=p).double()
    mg.manual_seed(seed)
    x = mg.ones((4, 50, I), dtype="float64")
    y, last = layer(x, mg.ones((1, 50, H), dtype="float64"), lengths=[length] * 50)
    y = y.numpy() / 8
    assert set(np.unique(y)) <= {0, 1 / (1 - p) if p < 1 else 0}
    assert not y[length:].any() and (last.numpy() == 1).all()
    if length:
        assert (y[:length] == y[0]).all()  # all steps
        kept = y[0] != 0
        if 0 < p < 1:
            assert (kept != kept[0]).any()  # not all sequences
            assert abs(kept.mean() - (1 - p)) < 0.15
    np.testing.assert_array_equal(layer.eval()(x, last)[0].numpy(), 8)


def test_weights_are_dropped_once_in_a_call_and_stay_as_they_are(quick):
    layer = Shown(I, H, weight_drop=0.5).double()
    x, h = mg.ones((4, 50, I), dtype="float64"), mg.ones((1, 50, H), dtype="float64")
    mg.manual_seed(0)
    sums = []
    for _ in range(5):
        y, _ = layer(x, h)
        (value,) = set(np.unique(y.numpy()))  # all steps and sequences
        assert value % 2 == 0 and 0 <= value <= 16
        sums.append(value)
    assert len(set(sums)) > 1
    assert layer.weight_hh_l0.tolist() == [[1.0] * 8]
    assert (layer.eval()(x, h)[0].numpy() == 8).all()
    y, _ = layer.train()(x, h)
    (g,) = mg.grad([y.sum()], [layer.weight_hh_l0])
    kept = (g.numpy() != 0).sum()
    assert kept * 2 == np.unique(y.numpy())[0]  # a weight that is out has no gradient


# --- against the formulas ------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn(p, x, seen, h):
    return [np.tanh(x @ p["weight_ih"].T + p["bias_ih"] + seen @ p["weight_hh"].T + p["bias_hh"])]


def lstm(p, x, seen, h, c):
    sums = x @ p["weight_ih"].T + p["bias_ih"] + seen @ p["weight_hh"].T + p["bias_hh"]
    i, f, g, o = np.split(sums, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru(p, x, seen, h):
    x_r, x_z, x_n = np.split(x @ p["weight_ih"].T + p["bias_ih"], 3, axis=-1)
    h_r, h_z, h_n = np.split(seen @ p["weight_hh"].T + p["bias_hh"], 3, axis=-1)
    z = sigmoid(x_z + h_z)
    return [(1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h]


def gru_before(p, x, seen, h):
    x_r, x_z, x_n = np.split(x @ p["weight_ih"].T + p["bias_ih"], 3, axis=-1)
    r, z = np.split(sigmoid(np.concatenate([x_r, x_z], -1) + seen @ p["weight_hh"].T), 2, axis=-1)
    return [(1 - z) * np.tanh(x_n + (r * seen) @ p["weight_hn"].T) + z * h]


KINDS = {
    "RNN": (RNN, rnn, {}),
    "LSTM": (LSTM, lstm, {}),
    "GRU": (GRU, gru, {}),
    "GRU before": (GRU, gru_before, {"reset_after": False}),
}


def kept(shape, p):
    """As `mg.dropout` draws it."""
    return mg.dropout(mg.ones(shape, dtype="float64"), p).numpy()


def formula(layer, step, x, rates, training):
    """One layer and direction in NumPy, with the masks in the order in which they are drawn."""
    p = {n.removesuffix("_l0"): a for n, a in layer.state_dict().items()}
    state = [np.zeros((N, H)) for _ in layer.states]
    rate = rates["zoneout"]
    mask_h, zones = 1, [np.full((T, N, H), rate)] * len(state)
    if training:
        if rates["variational_dropout"]:
            x = x * kept((1, N, I), rates["variational_dropout"])
        for name in ("weight_hh", "weight_hn"):
            if name in p and rates["weight_drop"]:
                p[name] = p[name] * kept(p[name].shape, rates["weight_drop"])
        if rates["recurrent_dropout"]:
            mask_h = kept((1, N, H), rates["recurrent_dropout"])[0]
        if rate:
            rng = mg.engine.rng.generator()
            zones = [(rng.random((T, N, H)) < rate).astype(float) for _ in state]
    ys = []
    for t in range(T):
        new = step(p, x[t], state[0] * mask_h, *state)
        mixed = zip(zones, state, new, strict=True)
        state = [z[t] * old + (1 - z[t]) * now for z, old, now in mixed]
        ys.append(state[0])
    return np.stack(ys), state


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_layers_are_their_formulas(kind, data, quick):
    make, step, options = KINDS[kind]
    rates = {name: data.draw(st.sampled_from([0.0, rate]), name) for name, rate in RATES.items()}
    layer = random_layer(make, I, H, **options, **rates)
    layer.train(training := data.draw(st.booleans(), "training"))
    seed = data.draw(st.integers(0, 99))
    x = inputs()
    mg.manual_seed(seed)
    y, last = layer(x)
    mg.manual_seed(seed)
    right, end = formula(layer, step, x.numpy(), rates, training)
    np.testing.assert_allclose(y.numpy(), right, rtol=1e-9, atol=1e-11)
    for a, b in zip(arrays(last), end, strict=True):
        np.testing.assert_allclose(a[0], b, rtol=1e-9, atol=1e-11)


# --- gradients, and all backends -----------------------------------------------------------------

MADE = {
    "RNN": (RNN, {}),
    "LSTM": (LSTM, {"proj_size": 1}),
    "GRU": (GRU, {}),
    "GRU before": (GRU, {"reset_after": False}),
    "MGU": (zoo.MGU, {}),
    "Peephole": (zoo.PeepholeLSTM, {}),
    "LayerNormGRU": (zoo.LayerNormGRU, {}),
    "MinimalRNN": (zoo.MinimalRNN, {}),
}


def some_options(data):
    rates = {name: data.draw(st.sampled_from([0.0, rate]), name) for name, rate in RATES.items()}
    flags = {name: data.draw(st.booleans()) for name in ("bidirectional", "batch_first")}
    layers = data.draw(st.integers(1, 2), "layers")
    return {**rates, **flags, "num_layers": layers, "residual": layers > 1}


@pytest.mark.parametrize("order", [1, 2])
@few
@given(data=st.data())
def test_gradients(order, data):
    """By finite differences, with the masks of one seed; by kernels or op by op."""
    make, more = MADE[data.draw(st.sampled_from(sorted(MADE)))]
    options = some_options(data)
    if order == 2:
        options |= {"num_layers": 1, "residual": False}
    layer = random_layer(make, 1, 2, **more, **options)
    lengths = data.draw(st.none() | st.just([2, 1]))
    fused = data.draw(st.booleans(), "fused")
    with mg.use_backend(InterpretedBackend() if fused else "numpy"), fusing("01"[fused]):
        x = inputs(2, 2, 1)
        layer.to(mg.current_backend())
        report = mg.gradcheck(layer, (x, None, lengths), order=order)
    assert report, report


@given(data=st.data())
def test_kernels_draw_and_compute_the_same(data):
    make, more = MADE[data.draw(st.sampled_from(sorted(MADE)))]
    options = {**more, **some_options(data), "lengths": [3, 0, 2]}
    args = make, (3, 3, 2, 4), "float64", data.draw(st.integers(0, 99))
    found = results(InterpretedBackend(), *args, **options)
    assert_close(found, definition(*args, **options), 1e-10)


def test_every_backend_draws_and_computes_the_same(backend):
    """With all masks at once."""
    args, options = (LSTM, (3, 3, 2, 4), "float64", 0), {**RATES, "lengths": [3, 0, 2]}
    assert_close(results(backend, *args, **options), definition(*args, **options), 1e-10)


# --- zoneout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [RNN, LSTM, GRU, zoo.MGU, zoo.MinGRU])
def test_zoneout_between_all_and_nothing(make, quick):
    x = inputs()
    none, full = (random_layer(make, I, H, zoneout=rate) for rate in (0.0, 1.0))
    start = tuple(inputs(1, N, H, seed=k) for k in range(len(none.states)))
    start = start if len(start) > 1 else start[0]
    for layer in (full, full.eval()):
        y, last = layer(x, start)
        for part, before in zip(arrays(last), arrays(start), strict=True):
            np.testing.assert_array_equal(part, before)
        assert (y.numpy() == arrays(start)[0]).all()
    plain = random_layer(make, I, H)
    np.testing.assert_array_equal(none(x, start)[0].numpy(), plain(x, start)[0].numpy())


def test_zoneout_has_a_rate_for_each_state():
    layer = random_layer(LSTM, I, H, zoneout=(0.0, 1.0))
    start = inputs(1, N, H, seed=1), inputs(1, N, H, seed=2)
    _, (h, c) = layer(inputs(), start)
    np.testing.assert_array_equal(c.numpy(), start[1].numpy())
    assert (h.numpy() != start[0].numpy()).all()


def test_zoneout_keeps_single_units_at_single_steps():
    layer = LSTM(I, H, zoneout=0.5)
    x, start = mg.randn((1, 200, I)), (mg.randn((1, 200, H)), mg.randn((1, 200, H)))
    _, last = layer(x, start)
    for part, before in zip(arrays(last), arrays(start), strict=True):
        assert 0.4 < (part == before).mean() < 0.6


# --- residual layers -----------------------------------------------------------------------------


@given(st.sampled_from([RNN, LSTM, GRU, zoo.MGU, zoo.SRU]), st.integers(2, 3), st.booleans())
def test_residual_layers_add_their_input_from_the_second_on(quick, make, L, both):
    layer = random_layer(make, I, H, L, residual=True, bidirectional=both)
    lengths = [T, 2, 0]
    y, last = layer(inputs(), lengths=lengths)
    weights, x = layer.state_dict(), inputs()
    ends = []
    for level in range(L):
        alone = random_layer(make, x.shape[-1], H, bidirectional=both)
        mine = {n: a for n, a in weights.items() if f"_l{level}" in n}
        alone.load_state_dict({n.replace(f"_l{level}", "_l0"): a for n, a in mine.items()})
        out, end = alone(x, lengths=lengths)
        x = out + x if level else out
        ends.append(arrays(end))
    np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=0, atol=1e-12)
    for part, found in zip(arrays(last), zip(*ends, strict=True), strict=True):
        np.testing.assert_allclose(part, np.concatenate(found), rtol=0, atol=1e-12)


def test_what_residual_layers_add_is_whole():
    """Dropout is of what a layer is shown, not of what goes around it."""
    layer = random_layer(GRU, I, H, 2, residual=True, dropout=1.0)
    y, _ = layer(inputs())
    layer.residual = layer.dropout = 0
    below = random_layer(GRU, I, H)
    weights = layer.state_dict()
    below.load_state_dict({n: a for n, a in weights.items() if n.endswith("0")})
    above = random_layer(GRU, H, H)
    above.load_state_dict({n[:-1] + "0": a for n, a in weights.items() if n.endswith("1")})
    x, _ = below(inputs())
    right, _ = above(mg.zeros_like(x))
    np.testing.assert_allclose(y.numpy(), (x + right).numpy(), rtol=0, atol=1e-12)


# --- copies, texts, wrong use --------------------------------------------------------------------


def test_options_are_kept_and_shown():
    layer = LSTM(3, 4, 2, variational_dropout=0.1, zoneout=(0.1, 0.2), residual=True)
    text = "LSTM(3, 4, num_layers=2, variational_dropout=0.1, zoneout=(0.1, 0.2), residual=True)"
    assert repr(layer) == repr(copy.deepcopy(layer)) == text


def test_a_trace_has_the_options():
    text = str(GRU(3, 4, recurrent_dropout=0.5, zoneout=0.1).trace())
    assert "where" in text and "where" not in str(GRU(3, 4).trace())


WRONG = {
    "RNN: weight_drop is a probability, from 0 to 1; got 2": lambda: RNN(I, H, weight_drop=2),
    "LSTM: zoneout is a probability, from 0 to 1; got -1": lambda: LSTM(I, H, zoneout=(0, -1)),
    "GRU: zoneout is one probability, or one for each of the states h; got 2": lambda: GRU(
        I, H, zoneout=(0.1, 0.2)
    ),
    "dropout and variational_dropout both drop what one layer gives to the next": lambda: GRU(
        I, H, 2, dropout=0.1, variational_dropout=0.1
    ),
    "MinGRU: recurrent_dropout is for cells that multiply h by p.mask_h before": lambda: zoo.MinGRU(
        I, H, recurrent_dropout=0.1
    ),
    "SRU: weight_drop drops from the weights of h .*, and the cell has none of these": (
        lambda: zoo.SRU(I, H, weight_drop=0.1)
    ),
    "RNN: residual adds inputs to outputs from the second layer on, and there is one": lambda: RNN(
        I, H, residual=True
    ),
    "zoneout: the output of qrnn_cell is not its first state": lambda: zoo.QRNN(I, H, zoneout=0.1)(
        mg.ones((T, N, I))
    ),
    r"LSTM: weight_drop is drawn for whole sequences; call eval\(\) first": lambda: LSTM(
        I, H, weight_drop=0.1
    ).step(mg.ones((N, I))),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_uses(text):
    with pytest.raises(ValueError, match=text):
        WRONG[text]()
