"""Classifiers with all poolings, and taggers: padding, gradients, features and symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.networks.pooling import POOLINGS
from minigrad.models.networks.tagger import SequenceTagger
from minigrad.models.registry import CELLS

I, C = 3, 4
LAYERS = st.fixed_dictionaries({"bidirectional": st.booleans(), "num_layers": st.integers(1, 2)})


def made(kind, cell="gru", num_embeddings=None, **options):
    mg.manual_seed(3)
    model = kind(cell, num_embeddings, I, 5, C, **options).double()
    model.load_state_dict({name: 2 * array for name, array in model.state_dict().items()})
    return model.eval()


@st.composite
def batches(draw, symbols):
    """x (T, N) or (T, N, I) with anything in its padding, lengths, labels (T, N)."""
    N, T = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    lengths = rng.integers(0, T + 1, N)
    if symbols:
        x = rng.integers(0, 9, (T, N))
    else:
        gap = np.arange(T)[:, None] >= lengths
        x = np.where(gap[..., None], np.nan, rng.normal(size=(T, N, I)))
    return x, lengths, rng.integers(0, C, (T, N))


def alone(x, n, length):
    """Sequence n without padding; one step of it if it has none, which then doesn't count."""
    return x[: max(length, 1), n : n + 1], [length]


# --- classifiers -----------------------------------------------------------------------------


@given(
    cell=st.sampled_from([*CELLS]),
    pooling=st.sampled_from(POOLINGS),
    options=LAYERS,
    symbols=st.booleans(),
    data=st.data(),
)
def test_classes_padded_are_those_one_by_one(backend, cell, pooling, options, symbols, data):
    embeddings = 9 if symbols else None
    model = made(SequenceClassifier, cell, embeddings, pooling=pooling, **options)
    x, lengths, _ = data.draw(batches(symbols))
    logits = model(x, lengths).numpy()
    for n, length in enumerate(lengths):
        found = model(*alone(x, n, length)).numpy()[0]
        np.testing.assert_allclose(logits[n], found, rtol=0, atol=1e-10)


@given(options=LAYERS, data=st.data())
def test_poolings_are_what_they_say(backend, options, data):
    x, lengths, _ = data.draw(batches(False))
    for pooling in POOLINGS:
        model = made(SequenceClassifier, "lstm", pooling=pooling, **options)
        head = model.head.state_dict()
        score = model.pool.score.weight.numpy()[0] if pooling == "attention" else None
        logits = model(x, lengths).numpy()
        y, (h, _) = model.recurrent(mg.tensor(x), lengths=lengths)
        for n, length in enumerate(lengths):
            steps = y.numpy()[:length, n]
            if pooling == "last":
                pooled = np.concatenate(h.numpy()[-(1 + model.recurrent.bidirectional) :, n])
            elif not length:
                pooled = np.zeros(y.shape[2])
            elif pooling == "attention":
                shares = np.exp(steps @ score)
                pooled = shares / shares.sum() @ steps
            else:
                pooled = getattr(steps, pooling)(axis=0)
            right = head["weight"] @ pooled + head["bias"]
            np.testing.assert_allclose(logits[n], right, rtol=0, atol=1e-10)


def test_weights_of_the_attention_are_on_record(on_numpy):
    model = made(SequenceClassifier, pooling="attention")
    with mg.record() as trace:
        model(np.random.default_rng(0).normal(size=(4, 2, I)), [4, 2])
    shares = trace["attention"]
    assert shares.shape == (4, 2) and not shares[2:, 1].any()
    np.testing.assert_allclose(shares.sum(axis=0), 1)


class Loss(mg.nn.Module):
    def __init__(self, model):
        self.model = model

    def forward(self, x, lengths, labels):
        if isinstance(self.model, SequenceTagger):
            return self.model.loss(x, lengths, labels)[0]
        return mg.cross_entropy(self.model(x, lengths), labels[0])


KINDS = [(SequenceClassifier, {"pooling": pooling}) for pooling in ("mean", "max", "attention")]
KINDS += [(SequenceTagger, {"bidirectional": False})]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_gradients_at_both_orders(kind, options):
    model = made(kind, "rnn", **options)
    rng = np.random.default_rng(1)
    batch = rng.normal(size=(3, 3, I)), [3, 0, 2], rng.integers(0, C, (3, 3))
    report = mg.gradcheck(Loss(model), batch, order=2, backend="numpy", budget=200)
    assert report, str(report)


@pytest.mark.parametrize(("kind", "options"), [*KINDS, (SequenceClassifier, {"num_layers": 2})])
def test_backends_agree_at_both_orders(backend, kind, options):
    def found(where):
        with mg.use_backend(where):
            model = made(kind, "gru", 9, **options)
            rng = np.random.default_rng(1)
            batch = rng.integers(0, 9, (3, 3)), [3, 0, 2], rng.integers(0, C, (3, 3))
            loss = Loss(model)(*batch)
            weights = list(model.parameters())
            first = mg.grad(loss, weights, create_graph=True)
            cotangents = [mg.tensor(rng.normal(size=g.shape)) for g in first]
            second = mg.grad(first, weights, cotangents)
            return [loss.item(), *(g.numpy() for g in (*first, *second))]

    for a, b in zip(found(backend), found("numpy"), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_activations_have_the_names_of_layers_where_there_are_several():
    model = made(SequenceClassifier, num_layers=2, bidirectional=True)
    x = np.random.default_rng(0).normal(size=(4, 2, I))
    found = model.activations(x)
    assert {"l0.update", "l1_reverse.reset"} < set(found) and len(found) == 16
    assert all(values.shape == (4, 2, 5) for values in found.values())
    assert not model.reads_last_state and made(SequenceClassifier).reads_last_state


def test_wrong_settings():
    with pytest.raises(ValueError, match="pooling is one of last, mean, max, attention; got 'min'"):
        made(SequenceClassifier, pooling="min")
    with pytest.raises(ValueError, match="word_dropout is for symbols"):
        made(SequenceClassifier, word_dropout=0.5)
    with pytest.raises(ValueError, match="dropout is a probability"):
        made(SequenceTagger, dropout=1.5)


@pytest.mark.parametrize("cell", CELLS)
def test_options_of_gates_are_for_cells_that_have_them(cell):
    model = made(SequenceTagger, cell, memory=50)
    assert getattr(model.recurrent, "memory", None) == (None if cell == "rnn" else 50)


# --- taggers ---------------------------------------------------------------------------------


@given(cell=st.sampled_from([*CELLS]), options=LAYERS, symbols=st.booleans(), data=st.data())
def test_tags_padded_are_those_one_by_one(backend, cell, options, symbols, data):
    model = made(SequenceTagger, cell, 9 if symbols else None, **options)
    x, lengths, labels = data.draw(batches(symbols))
    logits = model(x, lengths).numpy()
    total = 0.0
    for n, length in enumerate(lengths):
        part = alone(x, n, length)
        found = model(*part).numpy()[:, 0]
        np.testing.assert_allclose(logits[:length, n], found[:length], rtol=0, atol=1e-10)
        if length:
            loss, count = model.loss(*part, labels[:length, n : n + 1])
            assert count == length
            total += loss.item() * count
    if lengths.any():
        labels = np.where(np.arange(len(x))[:, None] < lengths, labels, 999)
        loss, count = model.loss(x, lengths, labels)
        assert count == lengths.sum()
        np.testing.assert_allclose(loss.item() * count, total, atol=1e-9)
    else:
        with pytest.raises(ValueError, match="all sequences are empty"):
            model.loss(x, lengths, labels)


def test_wrong_labels():
    model = made(SequenceTagger, num_embeddings=9)
    with pytest.raises(ValueError, match=r"labels are integers \(2, 1\), .* got int64 of shape"):
        model.loss([[5], [6]], [2], [1, 2])


def test_a_tagger_learns_what_only_the_future_says():
    """The label is the last symbol: a tagger in both directions knows it at each step."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = SequenceTagger("gru", 5, 8, 12, 5)
    optimizer = mg.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(60):
        x = rng.integers(1, 5, (4, 32))
        loss, _ = model.loss(x, None, np.tile(x[-1], (4, 1)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = rng.integers(1, 5, (4, 50))
    assert (mg.argmax(model(x), axis=-1).numpy() == x[-1]).mean() > 0.95
