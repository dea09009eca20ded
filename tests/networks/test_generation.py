"""Drawing symbols: the distributions, what is drawn from them, and the beam search."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.networks.generation import (
    beam_search,
    draw,
    log_probabilities,
    probabilities,
    sample,
)


@st.composite
def scores(draw, least=1):
    V = draw(st.integers(least, 6))
    numbers = st.integers(-4, 4) | st.floats(-30, 30)  # integers: equal ones are likely
    rows = st.lists(st.lists(numbers, min_size=V, max_size=V), min_size=1, max_size=3)
    return np.array(draw(rows), dtype=float)


def plain(x):
    return np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


# --- distributions ---------------------------------------------------------------------------


@given(x=scores())
def test_without_settings_they_are_the_softmax(x):
    np.testing.assert_allclose(probabilities(x), plain(x), rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_probabilities(x)), plain(x), rtol=1e-12)
    np.testing.assert_allclose(probabilities(x, top_p=1.0), plain(x), rtol=1e-12)
    np.testing.assert_allclose(probabilities(x, top_k=99), plain(x), rtol=1e-12)


@given(x=scores(), temperature=st.floats(0.05, 20))
def test_temperature_divides_the_scores(x, temperature):
    np.testing.assert_allclose(
        probabilities(x, temperature), plain(x / temperature), rtol=1e-9, atol=1e-300
    )


@given(x=scores())
def test_limits_of_the_temperature(x):
    greedy = probabilities(x, 0.0)
    assert (greedy.argmax(-1) == x.argmax(-1)).all() and (np.sort(greedy)[:, :-1] == 0).all()
    largest = x == x.max(-1, keepdims=True)
    coldest = largest / largest.sum(-1, keepdims=True)
    gaps = np.where(largest, np.inf, x.max(-1, keepdims=True) - x).min()
    if gaps > 1e-3:
        np.testing.assert_allclose(probabilities(x, 1e-6), coldest, atol=1e-12)
    np.testing.assert_allclose(probabilities(x, 1e9), np.full(x.shape, 1 / x.shape[1]), rtol=1e-6)
    np.testing.assert_allclose(probabilities(x, 1e-308).sum(-1), 1)  # overflows to -inf, no NaN


@given(x=scores(), k=st.integers(1, 7), temperature=st.sampled_from([0.5, 1.0, 2.0]))
def test_top_k_keeps_the_k_likeliest(x, k, temperature):
    found, whole = probabilities(x, temperature, top_k=k), plain(x / temperature)
    for row, right, keys in zip(found, whole, x, strict=True):
        best = sorted(range(len(row)), key=lambda i: (-keys[i], i))[:k]  # of equal ones the first
        assert set(np.flatnonzero(row)) <= set(best)
        np.testing.assert_allclose(row[best], right[best] / right[best].sum(), rtol=1e-9)


@given(x=scores(), p=st.floats(0.01, 0.99), k=st.none() | st.integers(1, 5))
def test_top_p_keeps_the_smallest_set_that_reaches_p(x, p, k):
    found, whole = probabilities(x, top_p=p, top_k=k), probabilities(x, top_k=k)
    for row, right, keys in zip(found, whole, x, strict=True):
        kept = np.flatnonzero(row)
        order = sorted(range(len(row)), key=lambda i: (-keys[i], i))
        assert sorted(order[: len(kept)]) == sorted(kept)  # the likeliest
        sums = np.cumsum(right[order])
        assert sums[len(kept) - 1] >= p - 1e-9  # enough
        assert len(kept) == 1 or sums[len(kept) - 2] < p + 1e-9  # and none too many
        np.testing.assert_allclose(row[kept], right[kept] / right[kept].sum(), rtol=1e-9)


@given(x=scores(least=2), data=st.data())
def test_excluded_symbols_never_come(x, data):
    V = x.shape[1]
    out = data.draw(st.lists(st.integers(0, V - 1), max_size=V - 1, unique=True))
    found = probabilities(x, excluded=out)
    assert (found[:, out] == 0).all()
    rest = np.delete(np.arange(V), out)
    np.testing.assert_allclose(found[:, rest], plain(x[:, rest]), rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"temperature": -1.0}, "temperature is a number of 0 or more; got -1.0"),
        ({"temperature": np.nan}, "temperature is a number of 0 or more; got nan"),
        ({"top_k": 0}, "top_k is a positive integer; got 0"),
        ({"top_p": 0.0}, "top_p is above 0 and at most 1; got 0.0"),
        ({"top_p": 1.5}, "top_p is above 0 and at most 1; got 1.5"),
        ({"excluded": [0, 1]}, "all symbols are excluded or impossible"),
    ],
)
def test_settings_out_of_range(settings, text):
    with pytest.raises(ValueError, match=text):
        probabilities(np.zeros(2), **settings)


def test_scores_that_are_no_numbers():
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        probabilities(np.array([0.0, np.nan]))


def test_draws_follow_the_distribution():
    shares = np.array([0.0, 0.5, 0.2, 0.0, 0.3, 0.0])
    drawn = draw(np.tile(shares, (20_000, 1)), np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=6)
    assert (counts[shares == 0] == 0).all()
    deviation = np.sqrt(20_000 * shares * (1 - shares))
    assert (np.abs(counts - 20_000 * shares) <= 5 * deviation).all()


def test_the_seed_decides():
    shares = np.full((50, 9), 1 / 9)
    mg.manual_seed(4)
    first = draw(shares)
    mg.manual_seed(4)
    assert (draw(shares) == first).all() and (draw(shares) != first).any()


# --- sequences: a process in which the scores depend on all that came before -----------------


def process(V, seed):
    """A step whose scores follow from the last two symbols, and its start for N sequences."""
    table = np.random.default_rng(seed).normal(scale=2, size=(V + 1, V + 1, V))

    def step(symbols, state):
        before = state.numpy()[0]
        return table[before, symbols], mg.tensor(symbols[None])

    def start(N):
        return np.tile(table[V, V], (N, 1)), mg.tensor(np.full((1, N), V))

    def log_probability(symbols):
        past = [V, V]
        total = 0.0
        for symbol in symbols:
            total += log_probabilities(table[past[-2], past[-1]])[symbol]
            past.append(symbol)
        return total

    return step, start, log_probability


def all_sequences(V, length, end):
    """Each sequence that a search may end with."""
    for size in range(1, length + 1):
        for symbols in itertools.product(range(V), repeat=size):
            inside = end is None or end not in symbols[:-1]
            if inside and (size == length or symbols[-1] == end):
                yield symbols


@given(
    V=st.integers(2, 3),
    length=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    ends=st.booleans(),
    penalty=st.sampled_from([0.0, 0.7, 1.0]),
)
def test_a_beam_wide_enough_finds_all_in_order(V, length, seed, ends, penalty):
    step, start, log_probability = process(V, seed)
    end = 0 if ends else None
    found = beam_search(
        step, *start(2), width=V**length, length=length, end=end, length_penalty=penalty
    )
    right = {s: log_probability(s) for s in all_sequences(V, length, end)}
    ranked = sorted(right, key=lambda s: -right[s] / len(s) ** penalty)
    for hypotheses in found:  # the two sequences of the batch are alike
        assert len(hypotheses) == len(right)
        for one, symbols in zip(hypotheses, ranked, strict=True):
            assert one.ended == (symbols[-1] == end)
            whole = (*one.symbols, 0) if one.ended else tuple(one.symbols)
            np.testing.assert_allclose(one.log_probability, right[whole], atol=1e-9)
            np.testing.assert_allclose(one.score, right[symbols] / len(symbols) ** penalty)


@given(V=st.integers(2, 5), seed=st.integers(0, 10**6), ends=st.booleans())
def test_a_beam_of_one_is_greedy(V, seed, ends):
    step, start, log_probability = process(V, seed)
    end = V - 1 if ends else None
    ((best,),) = beam_search(step, *start(1), width=1, length=6, end=end)
    greedy = [int(s[0]) for s in sample(step, *start(1), 6, temperature=0.0)]
    if end in greedy:
        greedy = greedy[: greedy.index(end) + 1]
    assert [*best.symbols, *[end] * best.ended] == greedy
    np.testing.assert_allclose(best.log_probability, log_probability(greedy), atol=1e-9)


@given(seed=st.integers(0, 10**6), width=st.integers(1, 4))
def test_a_wider_batch_changes_nothing(seed, width):
    step, start, _ = process(4, seed)
    (alone,) = beam_search(step, *start(1), width=width, length=4, end=1)
    for hypotheses in beam_search(step, *start(3), width=width, length=4, end=1):
        for one, other in zip(hypotheses, alone, strict=True):
            np.testing.assert_array_equal(one.symbols, other.symbols)
            assert one[1:] == other[1:]


def test_samples_of_a_process_are_as_likely_as_it_says():
    step, start, log_probability = process(2, 1)
    N = 4000
    rng = np.random.default_rng(0)
    drawn = np.stack(list(sample(step, *start(N), 3, rng=rng)), axis=1)  # (N, 3)
    for symbols in itertools.product(range(2), repeat=3):
        share = np.exp(log_probability(symbols))
        count = (drawn == symbols).all(axis=1).sum()
        assert abs(count - N * share) <= 5 * np.sqrt(N * share * (1 - share)) + 1


def test_excluded_symbols_are_in_no_hypothesis():
    step, start, _ = process(4, 3)
    (found,) = beam_search(step, *start(1), width=9, length=3, excluded=(0, 2))
    assert found and all(not {0, 2} & set(one.symbols) for one in found)


def test_a_step_is_made_only_when_it_is_needed():
    calls = []
    step, start, _ = process(3, 0)

    def counted(symbols, state):
        calls.append(len(symbols))
        return step(symbols, state)

    stream = sample(counted, *start(1), 3, temperature=0.0)
    next(stream)
    assert calls == []  # the first symbol is there before the second is thought of
    list(stream)
    assert len(calls) == 2
