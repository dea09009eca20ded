"""Benchmarks that one may believe: what counts as a difference, on synthetic times; no clock."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.reports.bench.self_test import SLOWDOWN, judged
from minigrad.models.reports.bench.significance import (
    UNSEEN,
    between_runs,
    in_one_run,
    median_spread,
    ranking,
)

pytestmark = pytest.mark.no_backend


def times(rng, rounds, noise):
    """Rounds of a machine that others use, too: it drifts, and some rounds take much longer."""
    drift = 1 + 0.3 * np.sin(np.linspace(0, 6, rounds))
    outliers = np.where(rng.random(rounds) < 0.1, 1.5, 1.0)
    return drift, lambda: rng.lognormal(0, noise, rounds) * outliers


@pytest.mark.parametrize(("rounds", "noise"), [(15, 0.02), (41, 0.05), (101, 0.08)])
def test_a_planted_slowdown_is_seen_and_none_is_not(rounds, noise):
    rng, seen, alarms = np.random.default_rng(0), 0, 0
    for _ in range(300):
        drift, draw = times(rng, rounds, noise)
        found = judged(
            {
                "plain": drift * draw(),
                "again": drift * draw(),
                "slowed": (1 + SLOWDOWN) * drift * draw(),
            }
        )
        seen += found.slowed.slower
        alarms += found.equal.slower or found.equal.faster
    assert seen >= 285
    assert alarms <= 6  # 1% of 300, and what chance adds to it


def test_what_the_self_test_says():
    rng = np.random.default_rng(0)
    plain = 1 + 0.001 * rng.random(15)
    found = judged({"plain": plain, "again": plain, "slowed": 1.1 * plain})
    assert found.passed and "a slowdown of 10% is seen" in found.verdict
    found = judged({"plain": plain, "again": plain, "slowed": plain})
    assert not found.passed and "can't be seen: the spread of the ratio is 1.00" in found.verdict
    found = judged({"plain": plain, "again": 1.2 * plain, "slowed": 1.1 * plain})
    assert not found.passed and "seem to differ, by 1.2" in found.verdict


def test_a_ranking_is_refused_where_the_spread_is_larger():
    rng = np.random.default_rng(1)
    noisy, other = rng.lognormal(0, 0.5, 15), 1.1 * rng.lognormal(0, 0.5, 15)
    assert in_one_run(noisy, other).verdict == between_runs(noisy, other).verdict == UNSEEN
    assert "≈" in ranking({"a": noisy, "b": other}) and "<" not in ranking({"a": noisy, "b": other})
    quiet = {"slow": [3.0] * 5, "fast": [1.0] * 5, "same": [1.01] * 5}
    assert ranking(quiet) == "fast ≈ same < slow"


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=60))
def test_the_interval_holds_the_median(values):
    found = median_spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    k = sorted(values).index(found.low)
    one_side = sum(math.comb(len(values), i) for i in range(k + 1)) / 2 ** len(values)
    assert 2 * one_side <= 0.01 or found.low == min(values)


def test_the_interval_covers_the_true_median_as_often_as_it_says():
    rng = np.random.default_rng(2)
    spreads = [median_spread(rng.exponential(size=21)) for _ in range(2000)]
    missed = sum(not s.low <= math.log(2) <= s.high for s in spreads)
    assert 0 < missed <= 30  # at most 1%, and what chance adds


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=30))
def test_nothing_differs_from_itself(values):
    assert in_one_run(values, values).verdict == between_runs(values, values).verdict == UNSEEN


def test_slower_and_faster_are_each_others_opposite():
    a, b = [1.0, 1.1, 1.0, 1.1, 1.0], [1.4, 1.5, 1.4, 1.5, 1.4]
    for compared in (in_one_run, between_runs):
        assert (compared(a, b).verdict, compared(b, a).verdict) == ("slower", "faster")


def test_less_than_the_smallest_difference_does_not_count():
    assert in_one_run([1.0] * 9, [1.019] * 9).verdict == UNSEEN
    assert in_one_run([1.0] * 9, [1.021] * 9).verdict == "slower"
    assert between_runs([1.0] * 9, [1.049] * 9).verdict == UNSEEN
    assert between_runs([1.0] * 9, [1.051] * 9).verdict == "slower"


def test_too_few_rounds_have_no_spread():
    with pytest.raises(ValueError, match="at least 5 rounds; there are 4: measure more"):
        median_spread([1.0] * 4)
    with pytest.raises(ValueError, match="zip"):
        in_one_run([1.0] * 5, [1.0] * 6)
