"""The loss of labels without times, against all ways to say them and against PyTorch; decoding."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.testing import references as ref

try:
    import torch
except ImportError:
    torch = None


def drawn(T, N, C, seed=0):
    x = np.random.default_rng(seed).normal(size=(T, N, C))
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def labels(data, N, C, blank, longest):
    classes = st.sampled_from([c for c in range(C) if c != blank])
    return data.draw(st.lists(st.lists(classes, max_size=longest), min_size=N, max_size=N))


def fits(row, steps):
    return len(row) + sum(a == b for a, b in itertools.pairwise(row)) <= steps


@given(st.data(), st.integers(1, 4), st.integers(1, 3), st.integers(2, 3))
def test_all_ways_to_say_the_labels(backend, data, T, N, C):
    blank = data.draw(st.integers(0, C - 1))
    targets = labels(data, N, C, blank, 3)
    x = drawn(T, N, C, data.draw(st.integers(0, 99)))
    found = mg.ctc_loss(mg.tensor(x), targets, None, None, blank, reduction="none").numpy()
    with np.errstate(divide="ignore"):
        right = ref.ctc_loss(x, targets, blank)
    np.testing.assert_allclose(found, right, rtol=1e-10)
    assert [np.isfinite(a) for a in found] == [fits(row, T) for row in targets]


@pytest.mark.skipif(torch is None, reason="no PyTorch")
@given(st.data(), st.sampled_from(["mean", "sum", "none"]), st.booleans())
def test_pytorch(backend, data, reduction, apart):
    T, N, C, blank = 9, 3, 5, data.draw(st.integers(0, 4))
    targets = labels(data, N, C, blank, 4)
    steps = data.draw(st.lists(st.integers(1, T), min_size=N, max_size=N))
    counts = [len(row) for row in targets]
    options = {"blank": blank, "reduction": reduction, "zero_infinity": True}
    if apart:
        given_ = np.array([label for row in targets for label in row], dtype=np.int64)
    else:
        given_ = np.full((N, max(max(counts), 1)), (blank + 1) % C)
        for n, row in enumerate(targets):
            given_[n, : len(row)] = row
    x = mg.tensor(drawn(T, N, C), requires_grad=True)
    ours = mg.ctc_loss(mg.log_softmax(x, -1), given_, steps, counts, **options)
    there = torch.tensor(x.numpy(), requires_grad=True)
    theirs = torch.nn.functional.ctc_loss(
        there.log_softmax(-1), torch.tensor(given_), tuple(steps), tuple(counts), **options
    )
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-10)
    ours.sum().backward()
    theirs.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), there.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_and_long_sequences(dtype, backend):
    x = mg.tensor(drawn(200, 2, 6), dtype=dtype, requires_grad=True)
    loss = mg.ctc_loss(x, [[1, 2, 3], [4, 4]], [200, 150], None, reduction="none")
    assert loss.dtype == dtype
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert not x.grad.numpy()[150:, 1].any()
    exact = mg.ctc_loss(
        mg.tensor(x.numpy().astype("float64")), [[1, 2, 3], [4, 4]], [200, 150], None
    )
    tolerance = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-12}[dtype]
    mean = (loss.numpy().astype(float) / [3, 2]).mean()
    np.testing.assert_allclose(mean, exact.item(), rtol=tolerance)


def test_labels_that_do_not_fit():
    x = mg.tensor(drawn(2, 2, 3), requires_grad=True)
    loss = mg.ctc_loss(x, [[1, 1], [1]], None, None, reduction="none")
    assert loss[0].item() == np.inf and np.isfinite(loss[1].item())
    gradient = mg.grad(mg.ctc_loss(x, [[1, 1], [1]], None, None, reduction="sum"), x).numpy()
    assert not gradient[:, 0].any() and gradient[:, 1].any()
    kept = mg.ctc_loss(x, [[1, 1], [1]], None, None, reduction="none", zero_infinity=True)
    assert kept[0].item() == 0 and kept[1].item() == loss[1].item()


def test_a_single_sequence():
    x = drawn(4, 1, 3)
    one = mg.ctc_loss(mg.tensor(x[:, 0]), [1, 2], 4, None, reduction="none")
    assert one.shape == ()
    np.testing.assert_allclose(one.numpy(), ref.ctc_loss(x, [[1, 2]])[0])
    loss = mg.nn.CTCLoss(blank=2)
    assert repr(loss) == "CTCLoss(blank=2)" or "blank=2" in repr(loss)
    np.testing.assert_allclose(
        loss(mg.tensor(x), [[1, 0]], None, None).item(), ref.ctc_loss(x, [[1, 0]], 2)[0] / 2
    )


X = mg.tensor(drawn(4, 2, 3))
WRONG = [
    (lambda: mg.ctc_loss(X[0, 0], [1], None, None), TypeError, r"must be floats \(T, N, C\)"),
    (lambda: mg.ctc_loss(X, [[1], [2]], None, None, blank=3), ValueError, "one of 3 classes"),
    (lambda: mg.ctc_loss(X, [[1], [0]], None, None), ValueError, "blank, 0; sequence 1 has 0"),
    (lambda: mg.ctc_loss(X, [[1], [3]], None, None), ValueError, "sequence 1 has 3"),
    (lambda: mg.ctc_loss(X, [[1]], None, None), ValueError, "2 sequences, and targets for 1"),
    (lambda: mg.ctc_loss(X, [[1.5], [1]], None, None), TypeError, "targets must be integers"),
    (lambda: mg.ctc_loss(X, [1, 2, 1], None, [1, 1]), ValueError, "3 targets one after the other"),
    (lambda: mg.ctc_loss(X, [[1], [1]], None, [1, 2]), ValueError, "2 numbers from 0 to 1; got"),
    (lambda: mg.ctc_loss(X, [[1], [1]], [5, 1], None), ValueError, "lengths must be from 0 to 4"),
    (lambda: mg.ctc_loss(X, [[1], [1]], None, None, reduction="all"), ValueError, "reduction must"),
    (lambda: mg.ctc_greedy(X, [5, 1]), ValueError, "input_lengths are 2 numbers from 0 to 4"),
    (lambda: mg.ctc_beam_search(X, beam_width=0), ValueError, "beam_width is a positive integer"),
]


@pytest.mark.parametrize(("use", "kind", "text"), WRONG)
def test_wrong_uses(use, kind, text):
    with pytest.raises(kind, match=text):
        use()


@given(st.integers(1, 4), st.integers(2, 3), st.integers(0, 99), st.data())
def test_a_wide_beam_finds_all_labels_with_their_probabilities(T, C, seed, data):
    blank = data.draw(st.integers(0, C - 1))
    x = drawn(T, 1, C, seed)
    found = mg.ctc_beam_search(mg.tensor(x), blank=blank, beam_width=1000)[0]
    others = [c for c in range(C) if c != blank]
    possible = [
        list(row)
        for n in range(T + 1)
        for row in itertools.product(others, repeat=n)
        if fits(row, T)
    ]
    said = {tuple(row): p for row, p in found if p > -np.inf}
    assert sorted(said) == sorted(map(tuple, possible))
    for row in possible:
        assert said[tuple(row)] == pytest.approx(-ref.ctc_loss(x, [row], blank)[0])
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)


def test_decoding_with_lengths():
    x = np.log(np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]))[:, None].repeat(2, 1)
    assert mg.ctc_greedy(x, [4, 1]) == [[1, 1], [1]]
    best = [rows[0][0] for rows in mg.ctc_beam_search(x, [4, 1])]
    assert best == [[1, 1], [1]]


def test_one_kernel_serves_any_number_of_labels():
    """Texts may differ where sizes are equal by chance; no number of labels has its own."""
    backend, x = InterpretedBackend(), drawn(9, 3, 4)

    def texts(*labels):
        backend.texts.clear()
        with mg.use_backend(backend), fusing("require"):
            mg.ctc_loss(mg.tensor(x, requires_grad=True), labels, None, None).backward()
        return list(backend.texts)

    first = texts([1, 2], [3], [])
    assert len(first) == 2
    assert texts([1, 2, 1, 3, 1], [3], [1]) == texts([3, 1, 2, 1], [], []) == first


def test_a_net_learns_labels_without_times():
    """Digits that stand somewhere in a long sequence of noise."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    T, N, C = 20, 32, 4
    targets = [list(rng.integers(1, C, size=3)) for _ in range(N)]
    x = 0.1 * rng.normal(size=(T, N, C))
    for n, row in enumerate(targets):
        places = 2 * np.sort(rng.choice(T // 2, 3, replace=False))
        x[places, n, row] += 1
    x = mg.tensor(x.astype("float32"))
    head = mg.nn.Linear(C, C)
    optimizer = mg.optim.Adam(head.parameters(), lr=0.2)
    for _ in range(60):
        loss = mg.ctc_loss(mg.log_softmax(head(x), -1), targets, None, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    said = mg.ctc_greedy(mg.log_softmax(head(x), -1))
    assert sum(a == b for a, b in zip(said, targets, strict=True)) >= 30
