"""Symbols one after the other: drawn at random, the most likely ones, or by a beam search.

What gives the scores is a step, `step(symbols, state) -> (scores, state)`: for the last symbols
(N,) of N sequences the scores (N, V) of the next ones, as NumPy arrays, and the state after them,
in whose tensors N is the second axis. `LanguageModel.step` and `Seq2Seq.step` are such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.engine.rng import generator
from minigrad.utils.arguments import check_number, check_positive

from .parts import select_rows

__all__ = ["Hypothesis", "beam_search", "draw", "log_probabilities", "probabilities", "sample"]

Step = Callable[[np.ndarray, Any], tuple[np.ndarray, Any]]


class Hypothesis(NamedTuple):
    """A sequence that a beam search found."""

    symbols: np.ndarray  # (length,), without the end
    log_probability: float  # of all of its symbols, the end included if it came
    score: float  # what hypotheses are ranked by
    ended: bool  # whether the end came before the longest length


# --- distributions ---------------------------------------------------------------------------


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """The logarithms of the probabilities that scores (..., V) stand for, in float64.

    Raises FloatingPointError for scores that are NaN or +inf.

    >>> np.exp(log_probabilities(np.array([0.0, 0.0])))
    array([0.5, 0.5])
    """
    x = _checked(scores)
    x = x - x.max(axis=-1, keepdims=True)
    found: np.ndarray = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return found


def _checked(scores: Any) -> np.ndarray:
    x = np.asarray(scores, dtype=np.float64)
    if np.isnan(x).any() or np.isposinf(x).any():
        raise FloatingPointError("the model's scores are NaN or infinite: its weights are broken")
    return x


def probabilities(
    scores: np.ndarray,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    excluded: Sequence[int] = (),
) -> np.ndarray:
    """The distribution (..., V) that symbols are drawn from, for scores (..., V).

    Parameters
    ----------
    temperature : scores are divided by it: below 1 the likely symbols become more likely, above
        1 less. At 0 the most likely one has it all; of equal ones, the first.
    top_k : only so many symbols remain, the most likely ones; of equal ones, the first.
    top_p : of these, only the fewest of the most likely symbols whose probabilities sum to at
        least so much remain (Holtzman et al. 2020).
    excluded : symbols that never come.

    What remains is scaled to sum to 1. Raises ValueError for settings out of their range.

    >>> probabilities(np.log([0.1, 0.6, 0.3]), top_k=2)
    array([0.        , 0.66666667, 0.33333333])
    >>> probabilities(np.log([0.1, 0.6, 0.3]), temperature=0)
    array([0., 1., 0.])
    """
    _check_settings(temperature, top_k, top_p)
    x = _checked(scores).copy()
    x[..., list(excluded)] = -np.inf
    if np.isneginf(x).all(axis=-1).any():
        raise ValueError("all symbols are excluded or impossible")
    order = np.argsort(-x, axis=-1, kind="stable")  # the most likely ones first
    ranked = np.take_along_axis(x, order, axis=-1)
    ranked = ranked - ranked[..., :1]
    if temperature == 0:
        shares = np.zeros_like(ranked)
        shares[..., 0] = 1
    else:
        with np.errstate(over="ignore"):  # to -inf, at tiny temperatures
            shares = np.exp(ranked / temperature)
    if top_k is not None:
        shares[..., top_k:] = 0
    shares /= shares.sum(axis=-1, keepdims=True)
    if top_p is not None and top_p < 1:
        before = np.cumsum(shares, axis=-1) - shares
        shares[before >= top_p] = 0
        shares /= shares.sum(axis=-1, keepdims=True)
    found = np.empty_like(shares)
    np.put_along_axis(found, order, shares, axis=-1)
    return found


def _check_settings(temperature: Any, top_k: Any, top_p: Any) -> None:
    check_number("sampling", "temperature", temperature)
    if not 0 <= temperature < np.inf:
        raise ValueError(f"sampling: temperature is a number of 0 or more; got {temperature}")
    if top_k is not None:
        check_positive("sampling", "top_k", top_k)
    if top_p is not None:
        check_number("sampling", "top_p", top_p)
        if not 0 < top_p <= 1:
            raise ValueError(f"sampling: top_p is above 0 and at most 1; got {top_p}")


def draw(shares: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """One symbol for each distribution (N, V): integers (N,).

    Drawn from `rng`, or from minigrad's generator, which `mg.manual_seed` sets.

    >>> draw(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([1, 0])
    """
    rng = generator() if rng is None else rng
    sums = np.cumsum(shares, axis=-1)  # (N, V)
    at = rng.random(len(sums)) * sums[:, -1]
    found: np.ndarray = np.argmax(sums > at[:, None], axis=-1)  # never one of probability 0
    return found


# --- sequences -------------------------------------------------------------------------------


def sample(
    step: Step,
    scores: np.ndarray,
    state: Any,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    excluded: Sequence[int] = (),
    rng: np.random.Generator | None = None,
) -> Iterator[np.ndarray]:
    """Draw `length` symbols for each of N sequences: an iterator that gives (N,) at a time.

    `scores` (N, V) are those of the first symbols, `state` is the one before them. The settings
    are those of `probabilities`.

    >>> def step(symbols, state):
    ...     return np.array([[0.0, 1.0]]), state
    >>> list(sample(step, np.array([[1.0, 0.0]]), None, 3, temperature=0))
    [array([0]), array([1]), array([1])]
    """
    for position in range(length):
        symbols = draw(probabilities(scores, temperature, top_k, top_p, excluded), rng)
        yield symbols
        if position + 1 < length:
            scores, state = step(symbols, state)


class _Live(NamedTuple):
    """A hypothesis that goes on."""

    owner: int  # which of the N sequences it is for
    symbols: tuple[int, ...]
    log_probability: float


def beam_search(
    step: Step,
    scores: np.ndarray,
    state: Any,
    width: int,
    length: int,
    *,
    end: int | None = None,
    length_penalty: float = 0.0,
    excluded: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The likeliest continuations that a search of a certain width finds, for each of N sequences.

    Parameters
    ----------
    step, scores, state : as for `sample`.
    width : how many hypotheses are kept at each length, those that have ended included. With 1
        the search is greedy; with as many as there are sequences it finds the best one.
    length : how many symbols a hypothesis has at most, the end included.
    end : the symbol that ends a sequence; without it all have `length` symbols.
    length_penalty : hypotheses are ranked by log-probability / length ** length_penalty: with 0 by
        probability, which favours short ones, with 1 by the mean of their symbols.
    excluded : symbols that never come.

    Returns
    -------
    A list of hypotheses for each sequence, the best first.

    Examples
    --------
    >>> def step(symbols, state):  # after symbol 1 there comes 0, after 0 anything
    ...     return np.log([[0.9, 0.1] if n else [0.5, 0.5] for n in symbols]), state
    >>> (found,) = beam_search(step, np.log([[0.6, 0.4]]), None, width=2, length=2)
    >>> found[0].symbols, round(float(np.exp(found[0].log_probability)), 2)
    (array([1, 0]), 0.36)
    """
    check_positive("beam_search", "width", width)
    check_positive("beam_search", "length", length)
    check_number("beam_search", "length_penalty", length_penalty)
    live = [_Live(n, (), 0.0) for n in range(len(scores))]
    found: list[list[Hypothesis]] = [[] for _ in live]

    def add(one: _Live, ended: bool) -> None:
        size = len(one.symbols) + ended
        score = one.log_probability / size**length_penalty
        symbols = np.array(one.symbols, dtype=np.int64)
        found[one.owner].append(Hypothesis(symbols, one.log_probability, score, ended))

    for position in range(length):
        logs = log_probabilities(scores)
        logs[:, list(excluded)] = -np.inf
        kept: list[_Live] = []
        rows: list[int] = []
        for n, first, last in _spans(live):
            totals = logs[first:last] + [[one.log_probability] for one in live[first:last]]
            for row, symbol in _best(totals, width - len(found[n])):
                one = live[first + row]
                total = float(totals[row, symbol])
                if symbol == end:
                    add(_Live(n, one.symbols, total), True)
                else:
                    kept.append(_Live(n, (*one.symbols, symbol), total))
                    rows.append(first + row)
        live = kept
        if not live:
            break
        if position + 1 < length:
            last_symbols = np.array([one.symbols[-1] for one in live])
            scores, state = step(last_symbols, select_rows(state, np.array(rows)))
    for one in live:
        add(one, False)
    return [sorted(each, key=lambda one: -one.score) for each in found]


def _spans(live: list[_Live]) -> Iterator[tuple[int, int, int]]:
    """Each owner with its first row and the one after its last: those of an owner lie together."""
    first = 0
    while first < len(live):
        last = first
        while last < len(live) and live[last].owner == live[first].owner:
            last += 1
        yield live[first].owner, first, last
        first = last


def _best(totals: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """The places of the largest numbers, the first of equal ones; without impossible ones."""
    order = np.argsort(-totals, axis=None, kind="stable")[:count]
    for row, symbol in zip(*np.unravel_index(order, totals.shape), strict=True):
        if totals[row, symbol] > -np.inf:
            yield int(row), int(symbol)
