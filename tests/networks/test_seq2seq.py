"""The encoder with its decoder: padding, steps, attention, decoding, gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.attention import Attention, masked_softmax
from minigrad.models.networks.seq2seq import Seq2Seq
from minigrad.models.networks.symbols import BOS, EOS, PAD
from minigrad.models.registry import CELLS

V, I = 7, 3
SOURCE = np.array([[5, 6, 4], [7, 4, 3], [3, 0, 0]])  # (S, N)
LENGTHS = [3, 2, 1]
TARGETS = np.array([[4, 5, 6], [5, 0, 4]])  # (U, N)
TARGET_LENGTHS = [2, 1, 0]
BATCH = SOURCE, LENGTHS, TARGETS, TARGET_LENGTHS


def made(cell="gru", num_embeddings=9, dtype="float64", **options):
    mg.manual_seed(3)
    model = Seq2Seq(cell, num_embeddings, I, V, 4, **options).astype(dtype)
    # Weights that make a difference.
    state = {name: 2 * array for name, array in model.state_dict().items()}
    model.load_state_dict(state)
    return model


SHAPES = {"bidirectional": [True, False], "attention": ["dot", "bilinear", "additive", None]}
SHAPES |= {"feed": [True, False], "num_layers": [1, 2]}
OPTIONS = st.fixed_dictionaries({name: st.sampled_from(some) for name, some in SHAPES.items()})


@st.composite
def batches(draw, symbols=True):
    N, S, U = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    lengths = rng.integers(0, S + 1, N)
    source = rng.integers(4, 9, (S, N)) if symbols else rng.normal(size=(S, N, I))
    return source, lengths, rng.integers(4, V, (U, N)), rng.integers(0, U + 1, N)


@given(cell=st.sampled_from([*CELLS]), options=OPTIONS, batch=batches(symbols=False))
def test_padded_is_one_by_one(backend, cell, options, batch):
    model = made(cell, None, **options).eval()
    source, lengths, targets, ends = batch
    gap = np.arange(len(source))[:, None] >= lengths  # whatever stands in the padding
    given = np.where(gap[..., None], np.nan, source), lengths, targets, ends
    logits = model(*given).numpy()
    total = 0.0
    for n, (s, u) in enumerate(zip(lengths, ends, strict=True)):
        part = source[: max(s, 1), n : n + 1], [s], targets[:u, n : n + 1], [u]
        alone = model(*part).numpy()
        np.testing.assert_allclose(logits[: u + 1, n], alone[:, 0], rtol=0, atol=1e-10)
        loss, count = model.loss(*part)
        total += loss.item() * count
    loss, count = model.loss(*given)
    assert count == ends.sum() + len(ends)
    np.testing.assert_allclose(loss.item() * count, total, atol=1e-9)


@given(options=OPTIONS, batch=batches())
def test_steps_are_the_sequence(backend, options, batch):
    model = made("lstm", **options).eval()
    source, lengths, targets, _ = batch
    logits = model(source, lengths, targets, None).numpy()
    with mg.no_grad():
        state = model.start(source, lengths)
    for u, symbols in enumerate([np.full(targets.shape[1], BOS), *targets]):
        scores, state = model.step(symbols, state)
        np.testing.assert_allclose(scores, logits[u], rtol=0, atol=1e-10)


def test_the_loss_is_the_cross_entropy_of_symbols_and_end(backend):
    model = made().eval()
    logs = mg.log_softmax(model(*BATCH)).numpy()
    right = [*(logs[u, 0, s] for u, s in enumerate([4, 5, EOS]))]
    right += [logs[0, 1, 5], logs[1, 1, EOS], logs[0, 2, EOS]]
    loss, count = model.loss(*BATCH)
    assert count == len(right)
    np.testing.assert_allclose(loss.item(), -np.mean(right), rtol=1e-12)


class Loss(mg.nn.Module):
    def __init__(self, model):
        self.model = model

    def forward(self, *batch):
        return self.model.loss(*batch)[0]


@pytest.mark.parametrize(("attention", "feed"), [("bilinear", False), ("additive", True)])
def test_gradients(attention, feed):
    model = made("rnn", None, attention=attention, feed=feed, bidirectional=not feed)
    source = np.random.default_rng(1).normal(size=(*SOURCE.shape, I))
    batch = source, [3, 0, 2], TARGETS, TARGET_LENGTHS
    report = mg.gradcheck(Loss(model), batch, order=2, backend="numpy", budget=330)
    assert report, str(report)


@pytest.mark.parametrize("cell", CELLS)
def test_backends_agree_at_both_orders(backend, cell):
    def found(where):
        with mg.use_backend(where):
            model = made(cell, num_layers=2)
            loss, _ = model.loss(*BATCH)
            weights = list(model.parameters())
            first = mg.grad(loss, weights, create_graph=True)
            rng = np.random.default_rng(0)
            cotangents = [mg.tensor(rng.normal(size=g.shape)) for g in first]
            second = mg.grad(first, weights, cotangents)
            return [loss.item(), *(g.numpy() for g in (*first, *second))]

    for a, b in zip(found(backend), found("numpy"), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_the_decoders_steps_are_one_kernel(compiling, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "1")
    model = made()
    mg.reset_dispatch_counts()
    model.loss(*BATCH)
    ways = {key[2] for key in mg.dispatch_counts() if key[0] == "gru_cell"}
    assert ways == {"fused"}


# --- attention ---------------------------------------------------------------------------------


@given(
    kind=st.sampled_from(["dot", "bilinear", "additive"]),
    N=st.integers(1, 3),
    S=st.integers(1, 4),
    U=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_attention_is_a_weighted_mean(backend, kind, N, S, U, seed):
    mg.manual_seed(seed)
    attention = Attention(kind, 2, 2).double()
    rng = np.random.default_rng(seed)
    query, memory = rng.normal(size=(U, N, 2)), rng.normal(size=(S, N, 2))
    mask = rng.random((S, N)) < 0.6
    m = mg.tensor(memory)
    context, weights = attention(mg.tensor(query), m, attention.keys(m), mg.tensor(mask))
    state = attention.state_dict()

    def score(q, k):
        if kind == "dot":
            return q @ k
        key = state["key.weight"] @ k
        if kind == "bilinear":
            return q @ key
        inner = state["query.weight"] @ q + state["query.bias"] + key
        return state["score.weight"][0] @ np.tanh(inner)

    for n in range(N):
        for u in range(U):
            powers = [np.exp(score(query[u, n], memory[s, n])) * mask[s, n] for s in range(S)]
            shares = np.array(powers) / (sum(powers) or 1)
            np.testing.assert_allclose(weights.numpy()[n, u], shares, atol=1e-12)
            np.testing.assert_allclose(context.numpy()[u, n], shares @ memory[:, n], atol=1e-12)


def test_a_softmax_over_nothing_is_zero_with_its_slopes(backend):
    x = mg.tensor([[1.0, 2.0], [3.0, -1e300]], dtype="float64", requires_grad=True)
    shares = masked_softmax(x, mg.tensor([[False, False], [True, True]]), 1)
    assert shares.tolist() == [[0, 0], [1, 0]]
    first = mg.grad((shares * mg.tensor([[2.0, 3.0], [4.0, 5.0]])).sum(), x, create_graph=True)
    assert not first.numpy().any() and not mg.grad(first.sum(), x).numpy().any()


def test_weights_are_on_view(on_numpy):
    model = made("lstm")
    shares = model.weights(*BATCH)
    assert [w.shape for w in shares] == [(3, 3), (2, 2), (1, 1)]
    for one in shares:
        np.testing.assert_allclose(one.sum(axis=1), 1)
    with mg.record() as trace:
        model.eval()(*BATCH)
    np.testing.assert_allclose(trace["attention"][0, :, :3], shares[0], atol=1e-12)
    assert model.train().training
    with pytest.raises(ValueError, match="no attention"):
        made(attention=None).weights(*BATCH)


# --- decoding ----------------------------------------------------------------------------------


@given(options=OPTIONS, batch=batches(), seed=st.integers(0, 99))
def test_a_beam_of_one_is_greedy(options, batch, seed):
    model = made("rnn", **options)  # in training mode: decoding is without dropout all the same
    source, lengths, *_ = batch
    greedy = model.greedy(source, lengths, max_length=5)
    for symbols, (best,) in zip(greedy, model.beam(source, lengths, 1, 5), strict=True):
        np.testing.assert_array_equal(symbols, best.symbols)
        assert not {PAD, BOS, EOS} & set(symbols) and len(symbols) <= 5
        assert best.ended or len(symbols) == 5


def test_a_beam_finds_what_the_loss_says(backend):
    model = made("gru").eval()
    for n, hypotheses in enumerate(model.beam(SOURCE, LENGTHS, width=6, max_length=3)):
        assert [one.score for one in hypotheses] == sorted(
            (one.score for one in hypotheses), reverse=True
        )
        for one in hypotheses:
            if one.ended:
                targets = one.symbols[:, None]
                loss, count = model.loss(
                    SOURCE[:, n : n + 1], [LENGTHS[n]], targets, [len(targets)]
                )
                np.testing.assert_allclose(one.log_probability, -loss.item() * count, atol=1e-9)
                np.testing.assert_allclose(one.score, -loss.item(), atol=1e-9)


def test_it_learns_to_reverse():
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Seq2Seq("gru", 8, 8, 8, 24)
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)

    def batch(N):
        x = rng.integers(4, 8, (4, N))
        lengths = rng.integers(1, 5, N)
        y = np.zeros_like(x)
        for n, length in enumerate(lengths):
            y[:length, n] = x[:length, n][::-1]
        return x, lengths, y, lengths

    for _ in range(120):
        loss, _ = model.loss(*batch(32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, lengths, y, _ = batch(60)
    found = model.greedy(x, lengths, 6)
    right = [
        np.array_equal(f, y[:n, i]) for i, (f, n) in enumerate(zip(found, lengths, strict=True))
    ]
    assert np.mean(right) > 0.9
    last = model.weights(x, lengths, y, lengths)[int(np.argmax(lengths))]
    assert last.shape == (5, 4)


# --- wrong use ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hidden_size": 5}, "half of hidden_size in each direction; got hidden_size=5"),
        ({"num_targets": 4}, "num_targets is at least 5; got 4"),
        ({"attention": "sharp"}, "attention is one of dot, bilinear, additive; got 'sharp'"),
        ({"cell": "lstn"}, "unknown cell 'lstn'; the cells are rnn, lstm, gru"),
        ({"dropout": 2.0}, "dropout is a probability, from 0 to 1; got 2.0"),
    ],
)
def test_wrong_settings(change, text):
    settings = {"cell": "gru", "num_embeddings": 9, "embedding_dim": 4}
    settings |= {"num_targets": 7, "hidden_size": 6, **change}
    with pytest.raises(ValueError, match=text):
        Seq2Seq(**settings)


def test_wrong_calls():
    model = made()
    with pytest.raises(TypeError, match=r"targets are integers \(U, N\); got float64"):
        model(SOURCE, LENGTHS, TARGETS * 1.0, None)
    with pytest.raises(ValueError, match="lengths must be from 0 to 2"):
        model(SOURCE, LENGTHS, TARGETS, [3, 1, 1])
    with pytest.raises(ValueError, match="dot attention needs queries of the memory's size"):
        Attention("dot", 3, 4)
