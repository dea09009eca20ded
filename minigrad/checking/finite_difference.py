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
from dataclasses import dataclass, field, replace

import numpy as np

from .noise import Noise

FIRST = 0.1  # the first step, in units of the input's scale
RATIO = 7.7  # between a step and the next; uneven, so as not to fall in with binary numbers
LEVELS = 10  # at most so many steps downwards ...
BEYOND = 4  # ... and so many more if the first ones leave the domain of the function
UPWARDS = 5  # larger steps, WIDER each, where noise hides the slope (RATIO, where it hides all)
WIDER = 2.1

Array = np.ndarray


@dataclass
class Level:
    """What one step says: two evaluations, at x + h and x - h."""

    step: float
    slope: float  # the central difference
    jump: float  # by how much the slopes to the right and to the left disagree, ...
    bound: float  # ... and how large they are: output by output, so that nothing cancels
    rounding: tuple[float, float]  # of the outputs here: of their sum, and summed over them


@dataclass(frozen=True)
class Estimate:
    """One entry of Neville's table."""

    value: float
    error: float
    hope: float  # the error bar if there were no noise but that of the last digits
    step: float  # the smallest that it rests on
    jump: float  # there

    def outweighs(self, other: Estimate) -> bool:
        """Whether it shows beyond doubt a slope that is steeper by far."""
        return abs(self.value) > 20 * self.error + 2 * abs(other.value) + 20 * other.error


@dataclass
class Slope:
    """The slope along one line, and how well it is known."""

    value: float = math.nan
    error: float = math.inf
    unseen: float = 0.0  # what outputs that don't move in their last digit may add to the error
    step: float = math.nan
    kink: bool = False
    flat: bool = False  # no output moves at any step
    stepped: bool = False  # moves, but is flat wherever one looks closely
    edge: bool = False  # at no step are the outputs finite on both sides
    others: list[Estimate] = field(default_factory=list)  # what the error bars can't reconcile
    closer: list[Estimate] = field(default_factory=list)  # from smaller steps
    levels: list[Level] = field(default_factory=list)  # the widest first
    noise: float = 0.0  # of the outputs that move
    jitter: float = 0.0  # the largest noise that any measurement gave
    floor: float = 0.0  # the noise that the last digit of the outputs explains
    size: float = 0.0  # of the outputs that move
    touched: Array = field(default_factory=lambda: np.zeros(0, int))  # their indices

    def is_disputed(self) -> bool:
        """Whether another scale gives another slope, and no kinks within its step explain it."""
        return any(abs(one.value - self.value) > 4 * one.jump for one in self.others)

    def may_be_coarse(self) -> bool:
        """Whether it is flat close up and only there: that may be rounding to a coarse grid."""
        return any(
            abs(one.value) > 2 * abs(self.value) and abs(one.value - self.value) > 4 * one.jump
            for one in self.others
        )

    def sides_with(self, value: float, caution: float) -> bool:
        """Whether another scale says that the slope is `value`, or there may well be one."""
        if math.isnan(value):
            return False
        for one in self.others:
            distance = abs(value - one.value)
            if distance <= 5 * one.error and distance < abs(value - self.value):
                return True
        # What was taken for noise may be a finer structure of the function.
        for one in self.closer:
            agrees = abs(value - one.value) <= caution * one.hope < 1e-3 * abs(value)
            if agrees and abs(one.value - self.value) > 5 * (one.hope + self.error):
                return True
        steeper = abs(value) > 10 * (abs(self.value) + caution * self.error)
        if self.stepped or (steeper and self.jitter > 1e3 * self.floor):
            return True
        # Where two digits are left, nothing is certain, unless the value is out of all bounds.
        return self.jitter > 0.01 * self.size and abs(value) * self.step < 1e6 * self.jitter

    def is_unbounded(self) -> bool:
        """Whether the slopes on both sides of a kink grow and grow."""
        return self.levels[-1].bound > 1.5 * self.levels[-2].bound

    def is_smooth(self) -> bool:
        """Whether nothing hints at a kink so far."""
        wide, narrow = self.levels[-2:]
        noise = 8 * self.noise / narrow.step
        return narrow.jump < max(0.4 * wide.jump, noise, 1e-6 * narrow.bound)


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
        if not _add(slope, line, first * RATIO**-j) or len(slope.levels) < 3:
            continue
        _conclude(slope, line)
        if enough(slope):
            return slope
        noise = slope.noise / slope.levels[-1].step
        drowned = noise > slope.error and 10 * noise > slope.levels[-1].jump
        plain = slope.jitter < 100 * slope.floor
        agrees = abs(value - slope.value) <= caution * slope.error
        if slope.flat or (drowned and (plain or agrees)):
            break
    for _ in range(UPWARDS):
        if not slope.levels or slope.kink:
            break
        flat = slope.value == 0
        hidden = slope.noise > slope.error * slope.step / 4
        if not flat and not (hidden and abs(value - slope.value) <= caution * slope.error):
            break
        if _add(slope, line, slope.levels[0].step * (RATIO if flat else WIDER)):
            _conclude(slope, line)
            if enough(slope):
                break
    slope.edge = not slope.levels
    if math.isnan(slope.value) and not slope.edge:
        _conclude(slope, line)
    return slope


def look_again(slope: Slope, line: Line, rng: np.random.Generator) -> None:
    """Measure the noise anew, on this very line and close to the step that was chosen."""
    reach = slope.step / 64
    places = np.concatenate([[0.0], reach * rng.uniform(-1, 1, Noise.POINTS - 1)])
    samples = np.stack([line.base, *(line.function(line.point(t)) for t in places[1:])])
    if np.isfinite(samples).all():
        before = slope.others
        noise = Noise(places, samples, line.v, line.grid)
        _conclude(slope, replace(line, noise=noise))
        slope.others += before


def moves_in_steps(slope: Slope, line: Line) -> bool:
    """Whether a function that is flat close by goes on in steps, not steadily, further away.

    Closes in on the place where it starts to move: half-way back to where it is still flat, a
    steady function has moved by half as much at most, and one with steps by a whole step.
    """
    moved = next(i for i, level in enumerate(reversed(slope.levels)) if level.bound)
    here, there = slope.levels[-moved].step, slope.levels[-moved - 1].step

    def distance(t: float) -> float:
        return float(np.abs(line.function(line.point(t)) - line.base).max())

    moves = distance(there)
    if not moves:
        here, there = -here, -there  # to the other side
        moves = distance(there)
    for i in range(20):
        middle = (here + there) / 2
        d = distance(middle)
        if d and i >= 6:  # no more than one step is left between here and there
            return d > 0.9 * moves
        if d:
            there, moves = middle, d
        else:
            here = middle
    return False


def _add(slope: Slope, line: Line, step: float) -> bool:
    found = line.level(step)
    if found is None:
        return False
    level, touched = found
    slope.levels.append(level)
    slope.levels.sort(key=lambda level: -level.step)
    slope.touched = np.union1d(slope.touched, touched)
    return True


def _conclude(slope: Slope, line: Line) -> None:
    """Fill in what the levels so far say."""
    levels, touched = slope.levels, slope.touched
    slope.flat = not touched.size
    slope.noise = line.noise.of(touched)
    slope.jitter = max(slope.jitter, slope.noise)
    slope.floor = line.noise.floor(touched)
    slope.size = 2 / line.eps * slope.floor
    # An output that did not move over the widest step may move by less than its noise.
    slope.unseen = line.noise.outside(touched) / min(levels[0].step, line.scale)
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
