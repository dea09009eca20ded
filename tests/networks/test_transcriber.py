"""Networks for CTC: what padding changes (nothing), which step is whose, and that they learn."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.transcriber import Transcriber


def test_padding_and_neighbours_change_nothing(backend):
    model = Transcriber(2, 3, 4, cell="gru", steps=2)
    sequences = [np.random.default_rng(T).normal(size=(T, 2)).astype("float32") for T in (5, 2, 4)]
    together = model(mg.data.pad_sequence(sequences, padding_value=99.0), [5, 2, 4])
    assert together.shape == (10, 3, 4)
    np.testing.assert_allclose(np.exp(together.numpy()).sum(axis=-1), 1, rtol=1e-5)
    for n, sequence in enumerate(sequences):
        T = len(sequence)
        alone = model(mg.tensor(sequence[:, None].repeat(3, 1)), [T, T, T]).numpy()[:, 0]
        np.testing.assert_allclose(together.numpy()[: 2 * T, n], alone, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_the_steps_of_an_input_follow_each_other(T, N, C, K):
    """With weights of 0, the head's biases are the scores: C of them for each of the K steps."""
    model = Transcriber(2, 3, C, steps=K)
    biases = np.random.default_rng(C).normal(size=K * C)
    with mg.no_grad():
        model.head.weight *= 0
        model.head.bias[:] = mg.tensor(biases.astype("float32"))
    log_probs = model(mg.ones((T, N, 2)), [T] * N).numpy()
    wanted = mg.log_softmax(mg.tensor(biases.reshape(K, C)), -1).numpy()
    np.testing.assert_allclose(log_probs, np.tile(wanted, (T, 1))[:, None].repeat(N, 1), atol=1e-5)


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
    model = Transcriber(8, 16, 7, num_embeddings=6, steps=2)
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
        len(row) + sum(a == b for a, b in itertools.pairwise(row)) <= 2 * T
        for row, T in zip(said, lengths, strict=True)
    ]
    right = [a == b for a, b, fit in zip(read, said, fits, strict=True) if fit]
    assert np.mean(right) > 0.9


def test_an_unknown_cell():
    with pytest.raises(ValueError, match="unknown cell 'mgu'; the cells are rnn, lstm, gru"):
        Transcriber(2, 3, 4, cell="mgu")
