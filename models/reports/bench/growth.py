"""How cost grows with a size: slopes in logarithms, beside those of what can't be avoided."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from .record import Line
from .significance import FEWEST_ROUNDS, Spread, median_spread

__all__ = ["ALLOWED", "KEPT", "Growth", "growth_of", "growths", "verdict"]

ALLOWED = 0.05  # of the slope of a ratio: what caches and the cost of a call add
KEPT = "outputs, gates, gradients"  # the bytes that no step can avoid

Rounds = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Growth:
    """How the cost of a contender grows.

    Attributes
    ----------
    slope : of the line through the larger half of the sizes, where both axes are logarithms.
    of_ratio : that of the ratio to what can't be avoided; None for that itself.
    """

    slope: Spread
    of_ratio: Spread | None

    @property
    def faster(self) -> bool:
        """Whether it grows faster than what can't be avoided, with all of its spread."""
        return self.of_ratio is not None and self.of_ratio.low > ALLOWED


def growth_of(sizes: Sequence[int], rows: Sequence[Rounds], base: str | None) -> dict[str, Growth]:
    """By contender how its cost grows, and how the ratio to that of `base` does.

    The spread is that of the rounds, as far as all sizes have them. Where there are too few, it
    reaches over the slopes that the line has if a size is left out.

    >>> rows = [{"a": [t**1.5], "b": [t]} for t in (10, 100, 1000, 10_000)]
    >>> found = growth_of((10, 100, 1000, 10_000), rows, base="b")
    >>> round(found["a"].slope.median, 3), round(found["a"].of_ratio.median, 3)
    (1.5, 0.5)
    >>> found["a"].faster, found["b"].of_ratio
    (True, None)
    """
    found = {}
    for name in rows[0]:
        costs = [row[name] for row in rows]
        ratios = None
        if base is not None and name != base:
            ratios = [_ratios(row[name], row[base]) for row in rows]
        of_ratio = None if ratios is None else _spread(sizes, ratios)
        found[name] = Growth(_spread(sizes, costs), of_ratio)
    return found


def _ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, base, strict=False)]


def _spread(sizes: Sequence[int], costs: Sequence[Sequence[float]]) -> Spread:
    """The slope of the medians over the larger half of the sizes, and its spread."""
    half = len(sizes) // 2
    x, values = [math.log(size) for size in sizes[half:]], costs[half:]
    medians = [statistics.median(rounds) for rounds in values]
    middle, rounds = _slope(x, medians), min(map(len, values))
    if rounds >= FEWEST_ROUNDS:
        spread = median_spread([_slope(x, [v[i] for v in values]) for i in range(rounds)])
        low, high = spread.low, spread.high
    else:
        without = [_slope(_but(x, i), _but(medians, i)) for i in range(len(x)) if len(x) > 2]
        low, high = min(without, default=middle), max(without, default=middle)
    return Spread(min(low, middle), middle, max(high, middle))


def _slope(x: Sequence[float], costs: Sequence[float]) -> float:
    return statistics.linear_regression(x, [math.log(cost) for cost in costs]).slope


def _but(values: Sequence[float], index: int) -> list[float]:
    return [value for i, value in enumerate(values) if i != index]


Key = tuple[str, str, str]  # cell, axis, unit


def growths(lines: Iterable[Line]) -> dict[Key, dict[str, Growth]]:
    """Of the lines that grow, by cell, axis and unit, how each contender's cost grows."""

    def key(line: Line) -> Key:
        return line.name, str(line.axis), line.unit

    found = {}
    growing = sorted((line for line in lines if line.axis is not None), key=key)
    for which, series in groupby(growing, key):
        ordered = sorted(series, key=lambda line: line.at or 0)
        if len(ordered) >= 3:
            base = ordered[0].floor
            sizes = [line.at or 0 for line in ordered]
            found[which] = growth_of(sizes, [line.values for line in ordered], base)
    return found


def verdict(found: Mapping[Key, Mapping[str, Growth]]) -> str:
    """In a sentence, whether a cell grows faster than its products.

    >>> verdict({})
    'no cell grows faster than its products'
    """
    faster = [
        f"{cell} with {axis} on {name}, in {'time' if unit == 's' else 'memory'}"
        for (cell, axis, unit), contenders in found.items()
        for name, growth in contenders.items()
        if growth.faster
    ]
    if not faster:
        return "no cell grows faster than its products"
    return "missed: these grow faster than their products: " + "; ".join(faster)
