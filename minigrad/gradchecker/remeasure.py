"""What is measured once more before a gradient is called wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .finite_difference import FIRST, RATIO
from .line import Line
from .noise import Noise
from .slope import Samples, Slope, conclude


def look_closer(slope: Slope, line: Line) -> Slope | None:
    """The slope by steps below the size of the entry itself, if all were larger so far.

    Entries of one input may differ in size by so much that no step suits them all. An entry that
    is 0 is looked at as if it were 1.
    """
    size = abs(float(line.x[line.axis])) or 1.0
    if slope.edge or slope.levels[-1].step <= size:
        return None
    samples = Samples(line)
    for j in range(3):
        more = samples.with_step(FIRST * size * RATIO**-j)
        if more is None:
            return None
        samples = more
    return replace(conclude(samples, slope.jitter), stepped=slope.stepped)


def look_again(slope: Slope, rng: np.random.Generator) -> Slope:
    """The slope with the noise measured anew, on this very line and close to the chosen step."""
    samples = slope.samples
    line = samples.line
    reach = slope.step / 64
    places = np.concatenate([[0.0], reach * rng.uniform(-1, 1, Noise.POINTS - 1)])
    outputs = np.stack([line.base, *(line.function(line.point(t)) for t in places[1:])])
    if not np.isfinite(outputs).all():
        return slope
    noise = Noise(places, outputs, line.v, line.grid)
    again = conclude(replace(samples, line=replace(line, noise=noise)), slope.jitter)
    earlier = slope.value, slope.error
    return replace(again, earlier=earlier, others=(*again.others, *slope.others))


def moves_in_steps(slope: Slope) -> bool:
    """Whether a function that is flat close by goes on in steps, not steadily, further away.

    Closes in on the place where it starts to move. In the end, half-way back to where it is still
    flat, a steady function has moved by half as much at most, and one with steps by a whole step.
    """
    line = slope.samples.line
    moved = next(i for i, level in enumerate(reversed(slope.levels)) if level.bound)
    here, there = slope.levels[-moved].step, slope.levels[-moved - 1].step

    def distance(t: float) -> float:
        return float(np.abs(line.function(line.point(t)) - line.base).max())

    moves = distance(there)
    if not moves:
        here, there = -here, -there  # to the other side
        moves = distance(there)
    for _ in range(40):
        close = abs(there - here) < 0.02 * abs(there)
        middle = (here + there) / 2
        d = distance(middle)
        if d and close:
            return d > 0.9 * moves
        if d:
            there, moves = middle, d
        else:
            here = middle
    return False
