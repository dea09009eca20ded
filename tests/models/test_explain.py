"""What `explain` says of each word, against the same worked out another way."""

from collections import Counter

import numpy as np
import pytest
from tiny_reviews import BAD, GOOD, tiny_run

import minigrad as mg
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.reports.explain import (
    agreement,
    explain,
    log_odds,
    memory,
    occlusion,
    sensitivity,
)
from minigrad.models.training.text import Vocabulary

NUMBERS = np.array([4, 7, 1, 4, 9, 2])
CELLS = ["rnn", "lstm", "gru"]


def made(cell):
    """A model in float64, with weights that make a difference."""
    mg.manual_seed(1)
    model = SequenceClassifier(cell, 10, 4, 6).double().eval()
    model.load_state_dict({name: 3 * array for name, array in model.state_dict().items()})
    return model


def odds(model, numbers):
    """The log-odds of one sequence by the definition of softmax."""
    logits = model(np.array(numbers)[:, None], [len(numbers)])
    p = mg.softmax(logits).numpy()[0, 1]
    return np.log(p / (1 - p))


@pytest.mark.parametrize("cell", CELLS)
def test_log_odds(cell, backend):
    model = made(cell)
    tokens = np.stack([NUMBERS, NUMBERS[::-1]], axis=1)
    found = log_odds(model, tokens, [6, 6])
    np.testing.assert_allclose(found, [odds(model, column) for column in tokens.T], rtol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_left_out_is_the_answer_without_the_word(cell, backend):
    model = made(cell)
    whole = odds(model, NUMBERS)
    expected = [whole - odds(model, [*NUMBERS[:t], *NUMBERS[t + 1 :]]) for t in range(len(NUMBERS))]
    assert min(map(abs, expected)) > 1e-4
    np.testing.assert_allclose(occlusion(model, NUMBERS), expected, rtol=1e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_left_out_of_a_single_word_is_the_answer_from_the_first_state(cell):
    model = made(cell)
    bias = model.head.bias.numpy()  # the first state is zeros
    expected = odds(model, [4]) - (bias[1] - bias[0])
    np.testing.assert_allclose(occlusion(model, np.array([4])), [expected], rtol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_sensitivity_by_finite_differences(cell, backend):
    model = made(cell)
    vectors = model.embedding.weight.numpy()[NUMBERS]  # (T, E)
    slopes = np.zeros_like(vectors)
    for t, e in np.ndindex(*vectors.shape):
        answers = []
        for step in (1e-6, -1e-6):
            moved = vectors.copy()
            moved[t, e] += step
            logits = model.read(mg.tensor(moved[:, None]), [len(NUMBERS)]).numpy()[0]
            answers.append(logits[1] - logits[0])
        slopes[t, e] = (answers[0] - answers[1]) / 2e-6
    norms, products = sensitivity(model, NUMBERS)
    np.testing.assert_allclose(norms, np.sqrt((slopes**2).sum(axis=1)), rtol=1e-6)
    np.testing.assert_allclose(products, (slopes * vectors).sum(axis=1), rtol=1e-5, atol=1e-8)
    assert not any(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_memory_by_walking_through_the_gates(cell, backend):
    model = made(cell)
    at = {name: gate[:, 0] for name, gate in model.activations(NUMBERS[:, None]).items()}  # (T, H)
    if cell == "lstm":
        enters, stays = at["input"], at["forget"]
    else:
        enters, stays = 1 - at["update"], at["update"]
    kept, written = [], []
    for t in range(len(NUMBERS)):
        part = enters[t]
        for later in range(t + 1, len(NUMBERS)):
            part = part * stays[later]
        kept.append(part)
        written.append(part * at["candidate"][t])
    # What the words have written is the last state, to the letter.
    _, state = model.recurrent(model.embedding(NUMBERS))
    last = (state[1] if cell == "lstm" else state).numpy()[0]
    np.testing.assert_allclose(np.sum(written, axis=0), last, rtol=1e-9)
    # And what the output layer makes of it is the answer.
    h = (state[0] if cell == "lstm" else state).numpy()[0]
    weights, bias = model.head.weight.numpy(), model.head.bias.numpy()
    by_unit = h * (weights[1] - weights[0])
    found = memory(model, NUMBERS)
    np.testing.assert_allclose(found.part, (written / last * by_unit).sum(axis=1), rtol=1e-9)
    assert found.part.sum() == pytest.approx(odds(model, NUMBERS) - (bias[1] - bias[0]), rel=1e-9)
    shares = np.abs(by_unit) / np.abs(by_unit).sum()
    np.testing.assert_allclose(found.kept, kept @ shares, rtol=1e-9)


def test_memory_of_open_and_shut_gates():
    model = made("lstm")
    forget, enter = slice(6, 12), slice(0, 6)
    bias = np.zeros(24)
    bias[forget], bias[enter] = 99, 99  # lets all in, and keeps it
    model.recurrent.load_state_dict(
        {"weight_ih_l0": np.zeros((24, 4)), "weight_hh_l0": np.zeros((24, 6))}
        | {"bias_ih_l0": bias, "bias_hh_l0": np.ones(24)}
    )
    found = memory(model, NUMBERS)
    np.testing.assert_allclose(found.kept, 1)
    np.testing.assert_allclose(found.part, found.part.sum() / 6)
    model.recurrent.bias_ih_l0.data = np.where(bias == 99, np.r_[bias[:6], -bias[6:]], bias)
    np.testing.assert_allclose(memory(model, NUMBERS).kept, [0, 0, 0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_agreement_is_the_mean_of_rank_correlations(cell):
    model = made(cell)
    rng = np.random.default_rng(0)
    texts = [1 + rng.permutation(9)[:n] for n in (5, 2, 8, 9)]  # without ties
    found = agreement(model, texts)
    long = [text for text in texts if len(text) > 2]

    def mean(one, other):
        found = []
        for text in long:
            n, (a, b) = (
                len(text),
                [
                    [sorted(values).index(value) for value in values]
                    for values in (one(text), other(text))
                ],
            )
            squares = sum((i - j) ** 2 for i, j in zip(a, b, strict=True))
            found.append(1 - 6 * squares / (n * (n * n - 1)))
        return np.mean(found)

    def gradient(text):
        return sensitivity(model, text)[1]

    right = {"gradient, occlusion": mean(gradient, lambda text: occlusion(model, text))}
    if cell != "rnn":
        right["gates, gradient"] = mean(lambda text: memory(model, text).part, gradient)
        right["gates, occlusion"] = mean(
            lambda text: memory(model, text).part, lambda text: occlusion(model, text)
        )
        right["gates, position"] = mean(
            lambda text: np.abs(memory(model, text).part), lambda text: np.arange(len(text))
        )
    assert found == pytest.approx(right, abs=1e-9)
    assert agreement(model, []) == {}


def test_an_rnn_has_no_gates():
    assert memory(made("rnn"), NUMBERS) is None


@pytest.mark.parametrize("cell", CELLS)
def test_explain_gathers_it_all(cell):
    model = made(cell)
    vocabulary = Vocabulary(["<pad>", "<unk>", *"abcdefgh"])
    found = explain(model, vocabulary, "C f, unheard-of C h")
    numbers = np.array([4, 7, 1, 1, 4, 9])
    assert found.words == ["c", "f", "unheard", "of", "c", "h"]
    assert found.known == [True, True, False, False, True, True]
    assert found.log_odds == pytest.approx(odds(model, numbers))
    np.testing.assert_array_equal(found.occlusion, occlusion(model, numbers))
    norms, products = sensitivity(model, numbers)
    np.testing.assert_array_equal(found.gradient_norm, norms)
    np.testing.assert_array_equal(found.gradient_times_input, products)
    if cell == "rnn":
        assert found.memory is None
    else:
        np.testing.assert_array_equal(found.memory.kept, memory(model, numbers).kept)


def test_no_words():
    with pytest.raises(ValueError, match=r"there are no words in '\.\.\.'"):
        explain(made("gru"), Vocabulary(["<pad>", "<unk>", "a"]), "...")


@pytest.mark.parametrize("cell", CELLS)
def test_a_trained_model_goes_by_the_words_that_tell(cell):
    """Of ten such words, in most the largest part; the gradient is small where a unit is full."""
    run = tiny_run(600, cell=cell, embedding=8, hidden=8, batch_size=16, lr=2e-2, dropout=0.1)
    found = Counter()
    for telling in (*GOOD, *BAD):
        words = ["the", "plot", "of", telling, "scene", "and"]
        answer = explain(run.model, run.task.vocabulary, " ".join(words))
        ways = {"trying": answer.occlusion, "gradient": answer.gradient_times_input}
        if cell == "lstm":
            ways["gates"] = answer.memory.part
        for way, parts in ways.items():
            right = np.sign(parts[3]) == (1 if telling in GOOD else -1)
            found[way] += bool(right and words[np.abs(parts).argmax()] == telling)
    least = {"lstm": {"trying": 9, "gradient": 5, "gates": 9}, "gru": {"trying": 9}}
    for way, count in least.get(cell, {"trying": 5}).items():
        assert found[way] >= count, found
