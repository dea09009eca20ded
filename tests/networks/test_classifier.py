"""The classifier of sequences: what it computes, what padding and dropout do, what it shows."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.networks.symbols import PAD, UNKNOWN
from minigrad.models.registry import CELLS

TOKENS = np.array([[4, 6, 3], [5, 2, 8], [7, 9, 0], [3, 0, 0], [2, 0, 0]])  # (T, N)
LENGTHS = np.array([5, 3, 2])
NAMES = {
    "lstm": ("forget", "candidate", "input", "cell", "output", "hidden"),
    "gru": ("reset", "update", "candidate", "hidden"),
}


def made(cell="lstm", dtype="float64", **options):
    mg.manual_seed(3)
    model = SequenceClassifier(cell, 10, 4, 6, **options).astype(dtype)
    # Weights that make a difference.
    model.load_state_dict({name: 3 * array for name, array in model.state_dict().items()})
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(model):
    """Of the recurrent layer, as NumPy arrays in PyTorch's order of gates."""
    state = model.recurrent.state_dict()
    return [state[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def by_hand(model, numbers):
    """Every activation of an LSTM or GRU over one sequence, as arrays (T, H), and the last h."""
    w_ih, w_hh, b_ih, b_hh = weights(model)
    h = c = np.zeros(model.recurrent.hidden_size)
    steps = []
    for x in model.embedding.weight.numpy()[numbers]:
        if model.cell == "lstm":
            i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ h + b_hh, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            found = (sigmoid(f), np.tanh(g), sigmoid(i), c, sigmoid(o), h)
        else:
            from_x, from_h = np.split(w_ih @ x + b_ih, 3), np.split(w_hh @ h + b_hh, 3)
            r, z = (sigmoid(a + b) for a, b in zip(from_x[:2], from_h[:2], strict=True))
            n = np.tanh(from_x[2] + r * from_h[2])
            h = (1 - z) * n + z * h
            found = (r, z, n, h)
        steps.append(found)
    names = NAMES[model.cell]
    return dict(zip(names, map(np.array, zip(*steps, strict=True)), strict=True)), h


@pytest.mark.parametrize("cell", CELLS)
def test_logits_are_the_head_of_the_last_state(cell, backend):
    model = made(cell, num_classes=3).eval()
    logits = model(TOKENS, LENGTHS)
    assert logits.shape == (3, 3) and logits.backend.name == backend
    head, bias = model.head.weight.numpy(), model.head.bias.numpy()
    for column, length in enumerate(LENGTHS):
        vectors = model.embedding(TOKENS[:length, column])  # (T, E): no batch, no padding
        y, _ = model.recurrent(vectors)
        np.testing.assert_allclose(
            logits.numpy()[column], head @ y.numpy()[-1] + bias, rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_reach_every_parameter(cell, backend):
    model = made(cell, dropout=0.5, word_dropout=0.3)
    mg.cross_entropy(model(TOKENS, LENGTHS), [1, 0, 1]).backward()
    for name, parameter in model.named_parameters():
        assert np.abs(parameter.grad.numpy()).max() > 0, name
    assert not model.embedding.weight.grad.numpy()[PAD].any()


def test_unknown_cell():
    with pytest.raises(ValueError, match="unknown cell 'lstn'; the cells are rnn, lstm, gru"):
        SequenceClassifier("lstn", 10, 4, 6)


def test_forget_bias():
    mg.manual_seed(0)
    plain = SequenceClassifier("lstm", 10, 4, 6, forget_bias=0.0).recurrent.bias_ih_l0.numpy()
    mg.manual_seed(0)
    biased = SequenceClassifier("lstm", 10, 4, 6, forget_bias=2.5).recurrent.bias_ih_l0.numpy()
    np.testing.assert_allclose(biased - plain, [0] * 6 + [2.5] * 6 + [0] * 12, atol=1e-6)


def test_dropout_and_word_dropout_are_for_training():
    model = made(dropout=0.5, word_dropout=0.5)
    assert (model(TOKENS, LENGTHS).numpy() != model(TOKENS, LENGTHS).numpy()).any()
    model.eval()
    without = made().eval()
    np.testing.assert_array_equal(model(TOKENS, LENGTHS).numpy(), without(TOKENS, LENGTHS).numpy())


def test_word_dropout_reads_words_as_unknown(backend):
    model = made(word_dropout=1.0)
    unknown = np.full_like(TOKENS, UNKNOWN)
    trained = model(TOKENS, LENGTHS).numpy()
    np.testing.assert_array_equal(trained, model.eval()(unknown, LENGTHS).numpy())


def test_word_dropout_drops_its_share():
    model = made(word_dropout=0.3)
    seen = []
    vectors = mg.zeros((100, 50, 4))
    model.embedding.forward = lambda tokens: seen.append(np.asarray(tokens)) or vectors
    model.float()(np.full((100, 50), 7), np.full(50, 100))
    assert set(seen[0].flat) == {7, UNKNOWN}
    # Binomial with a standard deviation of 32; five of them.
    assert abs((seen[0] == UNKNOWN).sum() - 1500) < 162


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_activations_are_those_of_the_cell(cell, backend):
    model = made(cell).eval()
    found = model.activations(TOKENS[:, :1])
    expected, h = by_hand(model, TOKENS[:, 0])
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name][:, 0], expected[name], rtol=0, atol=1e-12)
    _, state = model.recurrent(model.embedding(TOKENS[:, :1]))
    last = state[0] if cell == "lstm" else state
    np.testing.assert_allclose(last.numpy()[0, 0], h, rtol=0, atol=1e-12)


def test_activations_of_an_rnn_are_its_states():
    model = made("rnn").eval()
    y, _ = model.recurrent(model.embedding(TOKENS))
    (states,) = model.activations(TOKENS).values()
    np.testing.assert_allclose(states, y.numpy(), rtol=0, atol=1e-12)


def test_activations_leave_no_observer_behind():
    from minigrad.engine.graph import on_call, probing

    before = list(on_call), probing.get()
    model = made()
    with pytest.raises(IndexError):
        model.activations(np.array([[99]]))
    model.activations(TOKENS)
    assert (list(on_call), probing.get()) == before
