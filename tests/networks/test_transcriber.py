"""Networks for CTC: what padding changes (nothing), which step is whose, and that they learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.transcriber import SpellingTranscriber, Transcriber


@given(st.data())
def test_padding_and_neighbours_change_nothing(backend, data):
    steps = data.draw(st.integers(1, 3))
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    rng = np.random.default_rng(len(lengths))
    sequences = [rng.normal(size=(T, 2)).astype("float32") for T in lengths]
    model = Transcriber(2, 3, 4, cell="gru", steps=steps)
    together = model(mg.data.pad_sequence(sequences, padding_value=99.0), lengths)
    assert together.shape == (max(lengths) * steps, len(lengths), 4)
    np.testing.assert_allclose(np.exp(together.numpy()).sum(axis=-1), 1, rtol=1e-5)
    for n, (sequence, T) in enumerate(zip(sequences, lengths, strict=True)):
        alone = model(mg.tensor(sequence[:, None]), [T])
        np.testing.assert_allclose(
            together.numpy()[: T * steps, n], alone.numpy()[:, 0], rtol=1e-4, atol=1e-5
        )


def test_the_steps_of_an_input_follow_each_other(backend):
    """With weights of 0, the head's biases are the scores: C of them for each of the K steps."""
    model = Transcriber(2, 3, 4, steps=3)
    with mg.no_grad():
        model.head.weight *= 0
        model.head.bias[:] = mg.tensor(np.arange(12, dtype="float32") ** 2)
    log_probs = model(mg.ones((5, 2, 2)), [5, 5]).numpy()
    wanted = mg.log_softmax(mg.tensor(np.arange(12.0).reshape(3, 4) ** 2), -1).numpy()
    np.testing.assert_allclose(log_probs, np.tile(wanted, (5, 1))[:, None].repeat(2, 1), atol=1e-4)


@pytest.mark.parametrize(("cell", "layers"), [("rnn", 1), ("lstm", 2), ("gru", 1)])
def test_derivatives(cell, layers):
    model = Transcriber(2, 3, 4, cell=cell, num_layers=layers, steps=2).double()
    x = mg.randn((4, 2, 2), dtype="float64")
    weights = mg.randn((8, 2, 4), dtype="float64")

    def f(x):
        return (model(x, [4, 3]) * weights).sum()

    assert mg.gradcheck(f, x).verdict == "PASS"


def test_spelling_is_learnt_with_more_labels_than_letters():
    """Each letter reads as itself and, if it is a vowel, as another label after it."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = SpellingTranscriber(6, 8, hidden_size=16, num_classes=7, steps=2)
    optimizer = mg.optim.Adam(model.parameters(), lr=2e-2)

    def examples(count):
        words = [rng.integers(1, 6, rng.integers(2, 6)) for _ in range(count)]
        said = [[label for x in word for label in ([x] if x > 2 else [x, 6])] for word in words]
        return mg.data.pad_sequence(words), [len(word) for word in words], said

    for _ in range(150):
        tokens, lengths, said = examples(32)
        steps = [2 * T for T in lengths]
        loss = mg.ctc_loss(model(tokens, lengths), said, steps, None, zero_infinity=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tokens, lengths, said = examples(100)
    read = mg.ctc_greedy(model(tokens, lengths), [2 * T for T in lengths])
    fits = [
        len(row) + sum(a == b for a, b in zip(row, row[1:], strict=False)) <= 2 * T
        for row, T in zip(said, lengths, strict=True)
    ]
    right = [a == b for a, b, fit in zip(read, said, fits, strict=True) if fit]
    assert np.mean(right) > 0.9


def test_an_unknown_cell():
    with pytest.raises(ValueError, match="unknown cell 'mgu'; the cells are rnn, lstm, gru"):
        Transcriber(2, 3, 4, cell="mgu")
