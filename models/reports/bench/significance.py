"""Is a difference of times larger than their spread? A ranking that isn't is refused.

The spread of some rounds is an interval for their median, from order statistics: it supposes no
distribution of times, and an outlier can't move it. Contenders that took turns are compared round
by round, by their ratios, so that what slows down the whole machine counts for both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["FEWEST_ROUNDS", "SMALLEST_BETWEEN_RUNS", "UNSEEN", "Difference", "Spread"]
__all__ += ["between_runs", "in_one_run", "median_spread", "ranking"]

CONFIDENCE = 0.99
FEWEST_ROUNDS = 5  # with fewer there is no spread to speak of
SMALLEST_DIFFERENCE = 0.02  # less can be the order of the contenders, or where arrays lie
SMALLEST_BETWEEN_RUNS = 0.05  # two processes differ by more than two contenders of one
UNSEEN = "no difference can be seen"


@dataclass(frozen=True)
class Spread:
    """A median, and the interval in which the true one lies."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How many times as long one thing takes as another, within `low` and `high`.

    Attributes
    ----------
    low, ratio, high : the median of the ratio, and its spread.
    smallest : the least difference from 1 that counts, as 0.02.
    """

    low: float
    ratio: float
    high: float
    smallest: float

    @property
    def slower(self) -> bool:
        """Whether it takes longer, by more than the spread."""
        return self.low > 1 + self.smallest

    @property
    def faster(self) -> bool:
        """Whether it takes less time, by more than the spread."""
        return self.high < 1 / (1 + self.smallest)

    @property
    def verdict(self) -> str:
        """In words.

        >>> Difference(1.05, 1.1, 1.16, smallest=0.02).verdict
        'slower'
        >>> Difference(0.95, 1.1, 1.28, smallest=0.02).verdict
        'no difference can be seen'
        """
        return "slower" if self.slower else "faster" if self.faster else UNSEEN


def median_spread(values: Sequence[float]) -> Spread:
    """The median of some rounds, and its 99% interval.

    The k-th smallest and the k-th largest value bound the median, unless fewer than k values lie on
    one side of it; k is the largest for which that has a probability of at most 1%. Fewer than
    eight rounds have no such k: then the interval is all of them.

    Raises ValueError for fewer than five rounds.

    >>> median_spread(range(1, 16))
    Spread(low=3, median=8, high=13)
    """
    count = len(values)
    if count < FEWEST_ROUNDS:
        raise ValueError(
            f"a spread needs at least {FEWEST_ROUNDS} rounds; there are {count}: measure more"
        )
    ordered = sorted(values)
    tail, outside = 0.0, 0
    while True:  # tail: the probability that at most `outside` values lie on one side
        tail += math.comb(count, outside) / 2**count
        if 2 * tail > 1 - CONFIDENCE:
            break
        outside += 1
    k = max(outside - 1, 0)
    return Spread(ordered[k], statistics.median(ordered), ordered[count - 1 - k])


def in_one_run(first: Sequence[float], second: Sequence[float]) -> Difference:
    """How many times as long `second` takes as `first`: both took turns, a value a round.

    >>> found = in_one_run([1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 2.2, 3.3, 4.4, 5.5])
    >>> found.verdict, round(found.ratio, 3)
    ('slower', 1.1)
    """
    found = median_spread([b / a for a, b in zip(first, second, strict=True)])
    return Difference(found.low, found.median, found.high, SMALLEST_DIFFERENCE)


def between_runs(
    first: Sequence[float], second: Sequence[float], smallest: float = SMALLEST_BETWEEN_RUNS
) -> Difference:
    """How many times as long `second` takes as `first`, where each has rounds of its own.

    The two spreads are independent: in logarithms they add as the sides of a right angle do.

    >>> between_runs([1.0, 1.1, 1.2, 1.0, 1.1], [1.1, 1.3, 1.2, 1.1, 1.2]).verdict
    'no difference can be seen'
    """
    a, b = median_spread(first), median_spread(second)
    ratio = b.median / a.median
    below = math.hypot(math.log(b.median / b.low), math.log(a.high / a.median))
    above = math.hypot(math.log(b.high / b.median), math.log(a.median / a.low))
    return Difference(ratio * math.exp(-below), ratio, ratio * math.exp(above), smallest)


def ranking(rounds: Mapping[str, Sequence[float]]) -> str:
    """The contenders of one run, the fastest first; ≈ where no difference can be seen.

    >>> ranking({"a": [2, 2, 2, 2, 2], "b": [1, 1, 1, 1, 1], "c": [1, 1, 1.5, 1, 0.9]})
    'b ≈ c < a'
    """
    names = sorted(rounds, key=lambda name: statistics.median(rounds[name]))
    words = names[:1]
    for before, name in pairwise(names):
        words += ["<" if in_one_run(rounds[before], rounds[name]).slower else "≈", name]
    return " ".join(words)
