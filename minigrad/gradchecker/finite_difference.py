"""Slopes by finite differences, with error bars that can be trusted.

A function of many numbers with many outputs is looked at along a line through a point, with its
outputs weighted by a fixed cotangent. `measure` finds the slope of that weighted sum:

- **Steps.** Central differences at steps that shrink by 7.7, from a tenth of the input's own scale
  to a billionth of it, as many as it takes. Richardson's extrapolation (Neville's table in the
  square of the step) removes the truncation error. Of all estimates in the table the one with
  the smallest error bar is taken, so every line gets a step of its own.
- **Error bar.** A tenth of the last correction of the extrapolation, which falls off quickly
  where the function is smooth, plus the noise of the function divided by the step. If closer
  steps were tried as well and show something else, it must have been noise: it counts, too.
- **Noise.** Measured, not assumed: over a few very close points a smooth function is a parabola,
  so what does not lie on one is rounding error, however deep inside the function it was made.
  No less than half a unit in the last place of the outputs is ever assumed. The outputs are
  subtracted one by one *before* they are weighted and summed, so a large output costs no digits
  in a small one.
- **Kinks.** The difference of the slopes to the right and to the left falls with the step where
  the function is smooth, and stays (or grows, at a jump) where it is not. It must fail to fall
  down to the smallest step that the noise allows before a kink is called one.
- **Contradictions.** Where two scales give different slopes all the same, the slope keeps both
  (`others`), since one of them proves nothing. A function that is flat close up and only there
  may be rounded to a coarse grid; one that jitters far beyond its last digits may have a finer
  structure.
"""

from __future__ import annotations

from collections.abc import Callable

from .line import Line
from .slope import Samples, Slope, conclude

FIRST = 0.1  # the first step, in units of the input's scale
RATIO = 7.7  # between a step and the next; uneven, so as not to fall in with binary numbers
LEVELS = 10  # at most so many steps downwards ...
BEYOND = 4  # ... and so many more if the first ones leave the domain of the function
UPWARDS = 5  # larger steps, WIDER each, where noise hides the slope (far wider, where all of it)
WIDER = 2.1


def measure(line: Line, enough: Callable[[Slope], bool], value: float, caution: float) -> Slope:
    """The slope along `line`, with more and more steps until `enough` (or all) is known.

    Steps smaller than noise allows are tried only if the slope is not `value`, give or take
    `caution` error bars, and the noise may be a finer structure of the function.
    """
    samples = Samples(line)
    slope = Slope(samples)
    for j in range(LEVELS + BEYOND):
        if len(samples.levels) == LEVELS:
            break
        more = samples.with_step(FIRST * line.scale * RATIO**-j)
        if more is None:
            continue
        samples = more
        if len(samples.levels) < 3:
            continue
        slope = conclude(samples, slope.jitter)
        if enough(slope):
            return slope
        noise = slope.noise / slope.levels[-1].step
        drowned = noise > slope.error and 10 * noise > slope.levels[-1].jump
        plain = slope.jitter < 100 * slope.floor
        agrees = abs(value - slope.value) <= caution * slope.error
        if slope.flat or (drowned and (plain or agrees)):
            break
    if slope.edge:  # fewer than three steps are inside the domain
        return conclude(samples) if samples.levels else slope
    for upwards in range(1, UPWARDS + 1):
        if slope.kink:
            break
        flat = slope.flat or slope.value == slope.levels[-1].bound == 0
        hidden = slope.noise > slope.error * slope.step / 4
        if not flat and not (hidden and abs(value - slope.value) <= caution * slope.error):
            break
        more = samples.with_step(samples.levels[0].step * (RATIO**upwards if flat else WIDER))
        if more is not None:
            samples = more
            slope = conclude(samples, slope.jitter)
            if enough(slope):
                break
    return slope
