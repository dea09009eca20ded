"""Options of the recurrent layers: what they compute, as PyTorch has it where it has them."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

try:
    import torch
except ImportError:
    torch = None

T, N, I, H = 5, 3, 2, 4
LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


def inputs(*shape, seed=0):
    return mg.tensor(np.random.default_rng(seed).normal(size=shape or (T, N, I)))


def made(make, *more, **options):
    mg.manual_seed(1)
    return make(I, H, *more, **options).double()


def arrays(value):
    return [part.numpy() for part in (value if isinstance(value, tuple) else (value,))]


def same(a, b, atol=1e-12):
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=atol)


# --- projections --------------------------------------------------------------------------------


@pytest.mark.skipif(torch is None, reason="no PyTorch")
@given(
    st.sampled_from(["RNN", "LSTM", "GRU"]),
    st.integers(0, 3),
    st.integers(1, 3),
    *[st.booleans()] * 4,
)
def test_every_option_of_pytorch(backend, name, P, L, bias, batch_first, both, single):
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": both}
    if name == "LSTM" and P:
        options["proj_size"] = P
    ours = made(LAYERS[name], L, **options)
    theirs = getattr(torch.nn, name)(I, H, L, **options).double()
    state = {key: torch.tensor(value) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state)
    x = np.random.default_rng(0).normal(size=(T, I) if single else (N, T, I))
    x = mg.tensor(x, requires_grad=True)
    there = torch.tensor(x.numpy(), requires_grad=True)
    (y, last), (right, right_last) = ours(x), theirs(there)
    ends = list(zip(parts(last), parts(right_last), strict=True))
    for a, b in [(y, right), *ends]:
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=0, atol=1e-10)
    weights = np.random.default_rng(1).normal(size=y.shape)
    wanted = [x, *ours.parameters()]
    found = mg.grad((y * mg.tensor(weights)).sum(), wanted)
    (right * torch.tensor(weights)).sum().backward()
    for a, b in zip(found, [there, *theirs.parameters()], strict=True):
        np.testing.assert_allclose(a.numpy(), b.grad.numpy(), rtol=0, atol=1e-10)


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def test_states_of_a_projection():
    layer = made(LSTM, 2, proj_size=3, bidirectional=True)
    y, (h, c) = layer(inputs())
    assert (y.shape, h.shape, c.shape) == ((T, N, 6), (4, N, 3), (4, N, H))
    same(layer(inputs(), (h, c))[0], layer(inputs(), (h.detach(), c.detach()))[0])
    with pytest.raises(ValueError, match=r"of shape \(4, 3, 3\) and \(4, 3, 4\) and dtype float64"):
        layer(inputs(), (c, c))
    with mg.record() as trace:
        y, _ = layer(inputs())
    assert trace["l0.hidden"].shape == (T, N, H) and trace["l0.projected"].shape == (T, N, 3)
    cell = made(LSTMCell, proj_size=3)
    h, c = cell(inputs(N, I))
    assert h.shape == (N, 3) and c.shape == (N, H)
    assert repr(layer) == "LSTM(2, 4, num_layers=2, bidirectional=True, proj_size=3)"


# --- reset before or after ----------------------------------------------------------------------


def test_the_gru_that_resets_before(backend):
    layer, x = made(GRU, reset_after=False), inputs()
    p = {name: value.numpy() for name, value in layer.named_parameters()}
    assert list(p) == ["weight_ih_l0", "weight_hh_l0", "weight_hn_l0", "bias_ih_l0"]
    h = np.zeros((N, H))

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    y, last = layer(x)
    for t in range(T):
        r, z, n = np.split(x.numpy()[t] @ p["weight_ih_l0"].T + p["bias_ih_l0"], 3, axis=1)
        from_h = h @ p["weight_hh_l0"].T
        r, z = sigmoid(r + from_h[:, :H]), sigmoid(z + from_h[:, H:])
        n = np.tanh(n + (r * h) @ p["weight_hn_l0"].T)
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(y.numpy()[t], h, rtol=0, atol=1e-12)
    np.testing.assert_allclose(last.numpy()[0], h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_the_two_refuse_each_others_weights(bias):
    after, before = made(GRU, bias=bias), made(GRU, bias=bias, reset_after=False)
    text = r"weight_hh_l0.*\(12, 4\)|weight_hh_l0.*\(8, 4\)"
    for layer, other in ((after, before), (before, after)):
        with pytest.raises(ValueError, match=text):
            layer.load_state_dict(other.state_dict())
    assert "reset_after=False" in repr(before) and "reset_after" not in repr(after)


# --- how they begin -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LSTM, GRU, LSTMCell, GRUCell])
def test_gates_begin_with_memories_of_up_to_so_many_steps(make):
    mg.manual_seed(0)
    layer = make(3, 500, memory=100)
    p = {name.replace("_l0", ""): value.numpy() for name, value in layer.named_parameters()}
    gates = np.split(p["bias_ih"] + p["bias_hh"], 4 if "LSTM" in make.__name__ else 3)
    keeps = gates[1]  # the forget gate, or the update gate
    lasts = 1 + np.exp(keeps)  # 1 / (1 - sigmoid(b))
    assert 2 <= lasts.min() < 4 and 98 < lasts.max() <= 100
    if len(gates) == 4:
        np.testing.assert_allclose(gates[0], -keeps, rtol=1e-6)
    rest = gates[2:] if len(gates) == 4 else [gates[0], gates[2]]
    assert all(np.abs(gate).max() < 0.1 for gate in rest)


@pytest.mark.parametrize("make", [RNN, LSTM, GRU, RNNCell])
def test_orthogonal_recurrent_weights(make):
    layer = make(3, H, orthogonal=True)
    for name, value in layer.named_parameters():
        if "weight_hh" in name:
            for block in np.split(value.numpy(), value.shape[0] // H):
                np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-6)
    before = made(GRU, orthogonal=True, reset_after=False).weight_hn_l0.numpy()
    np.testing.assert_allclose(before @ before.T, np.eye(H), atol=1e-6)


# --- which steps count ----------------------------------------------------------------------------


@given(st.data(), st.sampled_from([RNN, LSTM, GRU]), st.booleans(), st.booleans())
def test_a_mask_is_the_sequence_without_the_steps(backend, data, make, both, batch_first):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=T * N, max_size=T * N)))
    mask = mask.reshape(T, N)
    layer = made(make, bidirectional=both, batch_first=batch_first)
    x = np.where(mask[..., None], inputs().numpy(), np.nan)
    given_, shown = (x.swapaxes(0, 1), mask.T) if batch_first else (x, mask)
    y, last = layer(mg.tensor(given_), mask=shown)
    y = y.numpy().swapaxes(0, 1) if batch_first else y.numpy()
    assert not y[~mask].any()
    for n in range(N):
        alone = x[mask[:, n], n]  # (steps, I)
        if not len(alone):
            continue
        right, end = layer(mg.tensor(alone))
        np.testing.assert_allclose(y[mask[:, n], n], right.numpy(), rtol=0, atol=1e-12)
        for a, b in zip(arrays(last), arrays(end), strict=True):
            np.testing.assert_allclose(a[:, n], b, rtol=0, atol=1e-12)


def test_a_mask_of_the_first_steps_is_lengths(backend):
    layer, x = made(LSTM), inputs()
    lengths = [T, 0, 2]
    mask = np.arange(T)[:, None] < np.array(lengths)
    for given_ in (mask, mask.astype(int), mg.tensor(mask)):
        same(layer(x, mask=given_)[0], layer(x, lengths=lengths)[0])
    same(layer(x[:, 0], mask=mask[:, 2])[0], layer(x[:, :1], lengths=[2])[0][:, 0])

    def gradients(**which):
        y, _ = layer(x, **which)
        first = mg.grad((y * y).sum(), list(layer.parameters()), create_graph=True)
        return mg.grad(sum((g * g).sum() for g in first), list(layer.parameters()))

    for a, b in zip(gradients(mask=mask), gradients(lengths=lengths), strict=True):
        same(a, b, 1e-10)


WRONG = {
    "lengths or a mask say which steps count; got both": (
        ValueError,
        lambda: made(RNN)(inputs(), lengths=[1, 1, 1], mask=np.ones((T, N), bool)),
    ),
    r"the mask must be \(5, 3\), a truth value per step and sequence; got \(3, 5\)": (
        ValueError,
        lambda: made(RNN)(inputs(), mask=np.ones((N, T), bool)),
    ),
    r"a mask is true \(or 1\) where a step counts, .*; got float64 with other numbers": (
        TypeError,
        lambda: made(RNN)(inputs(), mask=np.full((T, N), 0.5)),
    ),
    "LSTM: proj_size must be smaller than hidden_size = 4; got 4": (
        ValueError,
        lambda: LSTM(I, H, proj_size=4),
    ),
    "LSTM: proj_size is a positive integer; got -1": (ValueError, lambda: LSTM(I, H, proj_size=-1)),
    "LSTM: memory is the number of steps that memories may last, more than 2; got 1": (
        ValueError,
        lambda: LSTM(I, H, memory=1),
    ),
    "GRU: memory=9 needs a bias; got bias=False": (
        ValueError,
        lambda: GRU(I, H, memory=9, bias=False),
    ),
    "LSTM: forget_bias and memory both set the biases of the forget gates; give one": (
        ValueError,
        lambda: LSTM(I, H, forget_bias=1.0, memory=9),
    ),
    "RNN: memory is for cells with gates, LSTM and GRU": (ValueError, lambda: RNN(I, H, memory=9)),
    "unexpected keyword argument 'proj'. Did you mean proj_size[?] It has batch_first, bias": (
        TypeError,
        lambda: LSTM(I, H, proj=2),
    ),
    "unexpected keyword argument 'forget'. Did you mean forget_bias[?] It has bias, forget_": (
        TypeError,
        lambda: LSTMCell(I, H, forget=2),
    ),
    "GRU: reset_after is True or False; got 'no'": (TypeError, lambda: GRU(I, H, reset_after="no")),
    "RNN: orthogonal is True or False; got 1.5": (TypeError, lambda: RNN(I, H, orthogonal=1.5)),
    "GRU: a bidirectional layer has to see the end; it has no steps": (
        ValueError,
        lambda: made(GRU, bidirectional=True).step(inputs(N, I)),
    ),
    r"GRU: dropout is drawn for whole sequences; call eval\(\) first": (
        ValueError,
        lambda: made(GRU, 2, dropout=0.5).step(inputs(N, I)),
    ),
    r"GRU: x must be \(I,\) or \(N, I\) with I = 2; got shape \(5, 3, 2\)": (
        ValueError,
        lambda: made(GRU).step(inputs()),
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_uses(text):
    kind, use = WRONG[text]
    with pytest.raises(kind, match=text):
        use()


# --- step by step -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fused", ["0", "1"])
def test_steps_are_the_sequence(make, batch_first, dtype, fused, backend, monkeypatch):
    """Op by op they are the same to the bit on NumPy; a compiled loop adds up in another order."""
    monkeypatch.setenv("MINIGRAD_FUSED", fused)

    def assert_same(a, b):
        if backend == "numpy" and fused == "0":
            np.testing.assert_array_equal(a, b)
        else:
            close = 1e-13 if dtype == "float64" else 1e-6
            np.testing.assert_allclose(a, b, rtol=close, atol=close)

    layer = made(make, 2, batch_first=batch_first).astype(dtype)
    x = inputs().astype(dtype)
    whole, last = layer(mg.swapaxes(x, 0, 1) if batch_first else x)
    whole = mg.swapaxes(whole, 0, 1) if batch_first else whole
    state = None
    for t in range(T):
        y, state = layer.step(x[t], state)
        assert_same(y.numpy(), whole[t].numpy())
    for a, b in zip(arrays(state), arrays(last), strict=True):
        assert_same(a, b)
    y, _ = layer.step(x[0, 0])
    assert y.shape == (H,)


@given(st.data(), st.sampled_from([RNN, LSTM, GRU]), st.booleans(), st.integers(1, T + 2))
def test_parts_of_a_sequence_give_its_outputs(backend, data, make, batch_first, k):
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
    layer = made(make, 2, batch_first=batch_first)
    x = inputs(N, T, I) if batch_first else inputs()
    whole, last = layer(x, lengths=lengths)
    weights = mg.tensor(np.random.default_rng(1).normal(size=whole.shape))
    state = None
    for steps, y, state in mg.nn.tbptt(layer, x, k, lengths=lengths):  # noqa: B007
        at = (slice(None), steps) if batch_first else steps
        same(y, whole[at])
        (y * weights[at]).sum().backward()
    same(state, last)
    found = [parameter.grad.numpy() for parameter in layer.parameters()]
    right = mg.grad((whole * weights).sum(), list(layer.parameters()))
    equal = [
        np.allclose(a, b.numpy(), rtol=0, atol=1e-12) for a, b in zip(found, right, strict=True)
    ]
    assert all(equal) or k < T
    if lengths is None and k == 1:
        assert not all(equal)  # they are cut off


def test_wrong_parts():
    with pytest.raises(ValueError, match="tbptt: k is a positive integer; got 0"):
        mg.nn.tbptt(made(RNN), inputs(), 0)
    with pytest.raises(ValueError, match="a bidirectional layer has to see the end"):
        mg.nn.tbptt(made(RNN, bidirectional=True), inputs(), 2)
    with pytest.raises(TypeError, match=r"x is a tensor of three axes, .*; got \(5, 2\)"):
        mg.nn.tbptt(made(RNN), inputs(T, I), 2)


# --- states kept between calls --------------------------------------------------------------------


@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_stateful_layer_goes_on_where_it_stopped(make, batch_first, backend):
    layer = made(make, 2, batch_first=batch_first, stateful=True)
    x = inputs(N, T, I) if batch_first else inputs()
    first, rest = (x[:, :2], x[:, 2:]) if batch_first else (x[:2], x[2:])
    whole, last = layer(x)
    layer.reset_state()
    y, _ = layer(first)
    more, end = layer(rest)
    same(mg.concatenate([y, more], axis=1 if batch_first else 0), whole)
    same(end, last)
    # no gradient goes back into the call before
    assert not any(part.requires_grad for part in layer._last)
    some = mg.grad(more.sum(), layer.weight_ih_l0)
    layer.reset_state()
    state = tuple(part.detach() for part in parts(layer(first)[1]))
    layer.stateful = False
    right, _ = layer(rest, state if len(state) > 1 else state[0])
    same(some, mg.grad(right.sum(), layer.weight_ih_l0))


def test_what_a_stateful_layer_keeps():
    layer, plain = made(GRU, stateful=True), made(GRU)
    x = inputs()
    assert list(layer.state_dict()) == list(plain.state_dict())
    layer(x, lengths=[T, 2, 0])
    given_, _ = layer(x[:1], mg.zeros((1, N, H), dtype="float64"))  # a state that is given counts
    same(given_, plain(x[:1])[0])
    y, _ = layer(x[1:])
    same(y, plain(x)[0][1:])
    twin = copy.deepcopy(layer)
    same(twin(x)[0], layer(x)[0])
    layer.reset_state()
    same(layer.step(x[0])[0], plain(x)[0][0])
    same(layer.step(x[1])[0], plain(x)[0][1])
    layer.reset_state()
    same(layer(x[:2, 0])[0], plain(x[:, 0])[0][:2])  # a single sequence
    same(layer(x[2:, 0])[0], plain(x[:, 0])[0][2:])


def test_wrong_uses_of_stateful_layers():
    layer = made(LSTM, stateful=True)
    layer(inputs())
    text = r"LSTM: the state of the call before is float64 \(1, 3, 4\), of other sequences than x;"
    with pytest.raises(ValueError, match=text):
        layer(inputs(T, 2, I))
    with pytest.raises(ValueError, match=text):
        layer(inputs(T, I))
    with pytest.raises(ValueError, match=text):
        layer.astype("float32")(inputs().astype("float32"))
    layer.reset_state()
    layer(inputs().astype("float32"))
    with pytest.raises(ValueError, match=r"a bidirectional layer .* can't be stateful"):
        LSTM(I, H, bidirectional=True, stateful=True)
    layer = made(RNN, stateful=True)
    x = inputs()
    x.requires_grad = True
    y = mg.checkpoint(lambda x: layer(x)[0], x)
    with pytest.raises(RuntimeError, match="a stateful layer can't be run again, as for a checkp"):
        y.sum().backward()
