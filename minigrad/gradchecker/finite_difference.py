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
  (`others`): nobody is to be accused on the word of one of them. A function that is flat close
  up and only there may be rounded to a coarse grid; one that jitters far beyond its last digits
  may have a finer structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .noise import Noise
from .slope import Estimate, Level, Slope

FIRST = 0.1  # the first step, in units of the input's scale
RATIO = 7.7  # between a step and the next; uneven, so as not to fall in with binary numbers
LEVELS = 10  # at most so many steps downwards ...
BEYOND = 4  # ... and so many more if the first ones leave the domain of the function
UPWARDS = 5  # larger steps, WIDER each, where noise hides the slope (far wider, where all of it)
WIDER = 2.1

Array = np.ndarray


@dataclass(frozen=True)
class Line:
    """A line through x, and what the outputs do along it.

    `function` maps (N,) to (M,), and `base` is its value at x; `v` (M,) is the cotangent. The line
    runs along the coordinate `axis`, or along the vector (N,) that is given in its place.
    """

    function: Callable[[Array], Array]
    x: Array
    base: Array
    v: Array
    noise: Noise
    grid: np.dtype  # the precision that the function calculates in
    axis: int | Array
    scale: float = 1.0

    @property
    def eps(self) -> float:
        """The relative distance of neighbouring numbers."""
        return float(np.finfo(self.grid).eps)

    def point(self, t: float) -> Array:
        """x and t times the direction."""
        point = self.x.copy()
        if isinstance(self.axis, np.ndarray):
            point += t * self.axis
        else:
            point[self.axis] += t
        return point.astype(self.grid).astype(np.float64)

    def exact(self, step: float) -> float:
        """A step close by for which x + h and x - h are numbers of the grid; 0 if too small."""
        if isinstance(self.axis, np.ndarray):
            return step
        unit = float(np.spacing(self.grid.type(abs(self.x[self.axis]) + step)))
        return round(step / unit) * unit if step >= 4 * unit else 0.0

    def level(self, step: float) -> tuple[Level, Array] | None:
        """What `step` says, and the indices of the outputs that moved; None if not finite."""
        step = self.exact(step)
        if not step:
            return None
        down = self.function(self.point(-step))
        if not np.isfinite(down).all():
            return None
        up = self.function(self.point(step))
        if not np.isfinite(up).all():
            return None
        touched = np.flatnonzero((up != self.base) | (down != self.base))
        up, down, base, v = up[touched], down[touched], self.base[touched], self.v[touched]
        right, left = (up - base) * v, (base - down) * v
        sizes = np.maximum(np.abs(up), np.abs(down)) * np.abs(v)
        rounding = self.eps / 2 * float(np.linalg.norm(sizes)), self.eps / 2 * float(sizes.sum())
        level = Level(
            step,
            slope=float(((up - down) * v).sum()) / (2 * step),
            jump=float(np.abs(right - left).sum()) / step,
            bound=float((np.abs(right) + np.abs(left)).sum()) / step,
            rounding=rounding,
        )
        return level, touched


def measure(line: Line, enough: Callable[[Slope], bool], value: float, caution: float) -> Slope:
    """The slope along `line`, with more and more steps until `enough` (or all) is known.

    Steps smaller than noise allows are tried only if the slope is not `value`, give or take
    `caution` error bars, and the noise may be a finer structure of the function.
    """
    slope = Slope()
    first = FIRST * line.scale
    for j in range(LEVELS + BEYOND):
        if len(slope.levels) == LEVELS:
            break
        if not add(slope, line, first * RATIO**-j) or len(slope.levels) < 3:
            continue
        conclude(slope, line)
        if enough(slope):
            return slope
        noise = slope.noise / slope.levels[-1].step
        drowned = noise > slope.error and 10 * noise > slope.levels[-1].jump
        plain = slope.jitter < 100 * slope.floor
        agrees = abs(value - slope.value) <= caution * slope.error
        if slope.flat or (drowned and (plain or agrees)):
            break
    for upwards in range(1, UPWARDS + 1):
        if not slope.levels or slope.kink:
            break
        flat = slope.flat or slope.value == slope.levels[-1].bound == 0
        hidden = slope.noise > slope.error * slope.step / 4
        if not flat and not (hidden and abs(value - slope.value) <= caution * slope.error):
            break
        if add(slope, line, slope.levels[0].step * (RATIO**upwards if flat else WIDER)):
            conclude(slope, line)
            if enough(slope):
                break
    slope.edge = not slope.levels
    if math.isnan(slope.value) and not slope.edge:
        conclude(slope, line)
    return slope


def add(slope: Slope, line: Line, step: float) -> bool:
    """Look at one more step; False if that is outside the domain."""
    found = line.level(step)
    if found is None:
        return False
    level, touched = found
    slope.levels.append(level)
    slope.levels.sort(key=lambda level: -level.step)
    slope.touched = np.union1d(slope.touched, touched)
    return True


def conclude(slope: Slope, line: Line) -> None:
    """Fill in what the levels so far say."""
    levels, touched = slope.levels, slope.touched
    slope.flat = not touched.size
    slope.noise = line.noise.of(touched)
    slope.jitter = max(slope.jitter, slope.noise)
    slope.floor = line.noise.floor(touched)
    slope.size = 2 / line.eps * slope.floor
    # An output that did not move over the widest step may move by less than its noise.
    slope.beside = line.noise.outside(touched)
    slope.unseen = slope.beside / min(levels[0].step, line.scale)
    if slope.flat:
        slope.value, slope.error, slope.step = 0.0, 0.0, levels[0].step
        return
    summed = line.noise.summed(touched)
    # The gradient is rounded, too: steps beyond the input's scale make nothing more exact.
    noises = [max(slope.noise, level.rounding[0]) / min(level.step, line.scale) for level in levels]
    jitters = [2.5 * max(summed, level.rounding[1]) / level.step for level in levels]
    slope.kink = _is_kink(levels, jitters)
    estimates = _extrapolate(levels, noises, slope.floor)
    if not estimates:
        slope.value, slope.error, slope.step = levels[-1].slope, math.inf, levels[-1].step
        return
    best = min(estimates, key=lambda one: one.error)
    # Close up there may be a finer structure, far steeper, that larger steps average away.
    finer = [one for one in estimates if one.step < best.step and one.outweighs(best)]
    best = min(finer, key=lambda one: one.error, default=best)
    slope.value, slope.error, slope.step = best.value, best.error, best.step
    slope.others = [
        one for one in estimates if abs(one.value - best.value) > 5 * (one.error + best.error)
    ]
    slope.closer = [one for one in estimates if one.step < best.step]


def _extrapolate(levels: list[Level], noises: list[float], floor: float) -> list[Estimate]:
    """Neville's table, in the square of the step."""
    estimates = []
    row: list[float] = []
    for j, level in enumerate(levels):
        previous, row = row, [level.slope]
        for k in range(1, min(j, 3) + 1):
            ratio = (levels[j - k].step / level.step) ** 2
            row.append(row[k - 1] + (row[k - 1] - previous[k - 1]) / (ratio - 1))
            # If this is the slope, what closer steps show must be jitter, and was here as well.
            jitter = max(
                (closer.step * abs(closer.slope - row[k]) for closer in levels[j + 1 :]),
                default=0.0,
            )
            error = 0.1 * abs(row[k] - previous[k - 1]) + jitter / level.step
            hope = 0.1 * abs(row[k] - previous[k - 1]) + floor / level.step
            error += noises[j] + 4e-16 * level.bound
            if math.isfinite(error):
                estimates.append(Estimate(row[k], error, hope, level.step, level.jump))
    return estimates


def _is_kink(levels: list[Level], jitters: list[float]) -> bool:
    """Whether no slope settles down to the smallest step at which noise lets one see it.

    Because right and left disagree, or because both grow without bound.
    """
    disagree, grow = [], []
    for wide, narrow, jitter in zip(levels, levels[1:], jitters[1:], strict=False):
        if wide.jump > max(4 * jitter, 1e-6 * wide.bound):
            disagree.append(narrow.jump / wide.jump)
        if wide.bound > 4 * jitter:
            grow.append(narrow.bound / wide.bound)
    return (len(disagree) >= 2 and min(disagree[-2:]) > 0.6) or (
        len(grow) >= 4 and min(grow[-4:]) > 1.5
    )
