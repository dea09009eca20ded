"""How far to go along a direction: a step that satisfies the strong Wolfe conditions.

The bracketing and zooming of Nocedal and Wright (2006), algorithms 3.5 and 3.6, with the cubic
interpolation and the safeguards of minFunc (Schmidt 2005), as in `torch.optim.LBFGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

LESS = 1e-4  # of the decrease that the slope promises, how much a step must bring
FLATTER = 0.9  # of the slope at the start, what may be left at the end


class Point(NamedTuple):
    """What is known of a place along the direction."""

    t: float  # how far it is, in units of the direction
    loss: float
    slope: float  # the derivative of the loss by t
    g: Any  # the gradient, (P,)


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    reach: float,
    tolerance: float,
    most: int,
) -> tuple[Point, int]:
    """The place to go to, and how many places were evaluated.

    The search begins at `start` with a step of t, evaluates up to `most` places besides the first
    one, and ends when t times `reach` would change by less than `tolerance`. A loss that is NaN is
    taken for an infinite one: the step was too long.
    """

    def look(t: float) -> Point:
        place = evaluate(t)
        return place._replace(loss=math.inf) if math.isnan(place.loss) else place

    def is_too_high(place: Point) -> bool:
        return place.loss > start.loss + LESS * place.t * start.slope

    def is_flat(place: Point) -> bool:
        return abs(place.slope) <= -FLATTER * start.slope

    before, place, count = start, look(t), 0
    while count < most:  # go further, until there is a minimum between two places
        if is_too_high(place) or (count > 1 and place.loss >= before.loss):
            break
        if is_flat(place):
            return place, count + 1
        if place.slope >= 0:
            break
        bounds = (place.t + 0.01 * (place.t - before.t), place.t * 10)
        before, place = place, look(_lowest(before, place, bounds))
        count += 1
    else:
        before = start

    pair, is_slow = [before, place], False
    low = 0 if before.loss <= place.loss else 1
    while count < most and not abs(pair[1].t - pair[0].t) * reach < tolerance:  # go in between
        left, right = sorted((pair[0].t, pair[1].t))
        t = _lowest(pair[0], pair[1], (left, right))
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            is_slow = False
        elif is_slow or t >= right or t <= left:
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            is_slow = False
        else:
            is_slow = True
        place = look(t)
        count += 1
        if is_too_high(place) or place.loss >= pair[low].loss:
            pair[1 - low] = place
            low = 0 if pair[0].loss <= pair[1].loss else 1
        elif is_flat(place):
            return place, count + 1
        else:
            if place.slope * (pair[1 - low].t - pair[low].t) >= 0:
                pair[1 - low] = pair[low]
            pair[low] = place
    return pair[low], count + 1


def _lowest(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through two places, with their slopes, has its minimum within the bounds."""
    least, most = bounds
    left, right = (a, b) if a.t <= b.t else (b, a)
    width = right.t - left.t
    if width:
        d1 = left.slope + right.slope - 3 * (left.loss - right.loss) / -width
        square = d1 * d1 - left.slope * right.slope
        d2 = math.sqrt(square) if square >= 0 else math.nan
        above, below = right.slope + d2 - d1, right.slope - left.slope + 2 * d2
        t = right.t - width * (above / below if below else above * math.inf)
        if not math.isnan(t):
            return min(max(t, least), most)
    return (least + most) / 2
