"""A slope by finite differences: what was measured, and what follows from it.

`Samples` holds the measurements along a line. `conclude` is a function of them: it gives a `Slope`,
its value with an error bar, and what else the measurements show. Neither changes afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .line import Level, Line

Array = np.ndarray


@dataclass(frozen=True)
class Samples:
    """What was measured along a line.

    Attributes
    ----------
    levels : one per step, the widest first.
    touched : the indices of the outputs that moved at any step.
    """

    line: Line
    levels: tuple[Level, ...] = ()
    touched: Array = field(default_factory=lambda: np.zeros(0, int))

    def with_step(self, step: float) -> Samples | None:
        """These and one more step; None if that is outside the domain."""
        found = self.line.level(step)
        if found is None:
            return None
        level, touched = found
        levels = sorted((*self.levels, level), key=lambda level: -level.step)
        return Samples(self.line, tuple(levels), np.union1d(self.touched, touched))


@dataclass(frozen=True)
class Estimate:
    """One entry of Neville's table.

    Attributes
    ----------
    hope : the error bar if there were no noise but that of the last digits.
    step : the smallest step that the estimate rests on.
    jump : by how much right and left disagree there.
    """

    value: float
    error: float
    hope: float
    step: float
    jump: float

    def outweighs(self, other: Estimate) -> bool:
        """Whether it shows beyond doubt a slope that is steeper by far."""
        return abs(self.value) > 20 * self.error + 2 * abs(other.value) + 20 * other.error


@dataclass(frozen=True)
class Slope:
    """The slope along one line, and how well it is known.

    Attributes
    ----------
    value, error, step : the estimate, its error bar, and the step that it rests on.
    kink : whether no slope settles down.
    others : estimates that the error bars can't reconcile with this one.
    closer : estimates from smaller steps.
    noise : of the outputs that move.
    jitter : the largest noise that any measurement gave.
    floor : the part of the noise that the last digit of the outputs explains.
    beside : the noise of the outputs that don't move.
    unseen : what those may add to the error: they may move within their last digit.
    stepped : whether the function moves, but is flat wherever one looks closely.
    earlier : value and error by an earlier measurement of the noise.
    """

    samples: Samples
    value: float = math.nan
    error: float = math.inf
    step: float = math.nan
    kink: bool = False
    others: tuple[Estimate, ...] = ()
    closer: tuple[Estimate, ...] = ()
    noise: float = 0.0
    jitter: float = 0.0
    floor: float = 0.0
    beside: float = 0.0
    unseen: float = 0.0
    stepped: bool = False
    earlier: tuple[float, float] | None = None

    @property
    def levels(self) -> tuple[Level, ...]:
        """What each step showed, the widest first."""
        return self.samples.levels

    @property
    def touched(self) -> Array:
        """The indices of the outputs that moved."""
        return self.samples.touched

    @property
    def edge(self) -> bool:
        """Whether the outputs are finite on both sides at no step."""
        return not self.levels

    @property
    def flat(self) -> bool:
        """Whether no output moves at any step."""
        return bool(self.levels) and not self.touched.size

    @property
    def size(self) -> float:
        """The size of the outputs that move."""
        return 2 / self.samples.line.eps * self.floor

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
        off = abs(value - self.value)
        for one in self.others:
            if abs(value - one.value) <= min(5 * one.error, off):
                return True
        if self.earlier is not None and abs(value - self.earlier[0]) <= caution * self.earlier[1]:
            return True
        return self.stepped or self._hides(value, caution)

    def _hides(self, value: float, caution: float) -> bool:
        """Whether what was taken for noise may be a finer structure, and have the slope `value`."""
        off, rough = abs(value - self.value), self.jitter > 100 * self.floor
        for one in self.closer:
            distance, apart = abs(value - one.value), abs(one.value - self.value)
            if distance <= caution * one.hope < 1e-3 * abs(value):
                if apart > 5 * (one.hope + self.error):
                    return True
            elif rough and distance <= 5 * one.error and apart > 3 * (one.error + self.error):
                return True
        closer = (level for level in self.levels if level.step < self.step)
        if rough and any(abs(value - level.slope) < 5e-3 * off for level in closer):
            return True
        steeper = abs(value) > 10 * (abs(self.value) + caution * self.error)
        if steeper and self.jitter > 1e3 * self.floor:
            return True
        # Where two digits are left, nothing is certain, unless the value is out of all bounds.
        return self.jitter > 0.01 * self.size and abs(value) * self.step < 1e6 * self.jitter

    def is_unbounded(self) -> bool:
        """Whether the slopes on both sides of a kink grow and grow."""
        return self.levels[-1].bound > 1.1 * self.levels[-2].bound

    def is_smooth(self) -> bool:
        """Whether nothing hints at a kink so far."""
        wide, narrow = self.levels[-2:]
        noise = 8 * self.noise / narrow.step
        return narrow.jump < max(0.4 * wide.jump, noise, 1e-6 * narrow.bound)


def conclude(samples: Samples, jitter: float = 0.0) -> Slope:
    """What the steps so far show; `jitter` is the largest noise by earlier measurements."""
    line, levels, touched = samples.line, samples.levels, samples.touched
    noise, floor = line.noise.of(touched), line.noise.floor(touched)
    # An output that did not move over the widest step may move by less than its noise.
    beside = line.noise.outside(touched)
    found = Slope(
        samples,
        noise=noise,
        jitter=max(jitter, noise),
        floor=floor,
        beside=beside,
        unseen=beside / min(levels[0].step, line.scale),
    )
    if found.flat:
        return replace(found, value=0.0, error=0.0, step=levels[0].step)
    summed = line.noise.summed(touched)
    # The gradient is rounded, too: steps beyond the input's scale make nothing more exact.
    noises = [max(noise, level.rounding[0]) / min(level.step, line.scale) for level in levels]
    jitters = [2.5 * max(summed, level.rounding[1]) / level.step for level in levels]
    found = replace(found, kink=_is_kink(levels, jitters))
    estimates = _extrapolate(levels, noises, floor)
    if not estimates:
        return replace(found, value=levels[-1].slope, step=levels[-1].step)
    best = min(estimates, key=lambda one: one.error)
    # Close up there may be a finer structure, far steeper, that larger steps average away.
    finer = [one for one in estimates if one.step < best.step and one.outweighs(best)]
    best = min(finer, key=lambda one: one.error, default=best)
    return replace(
        found,
        value=best.value,
        error=best.error,
        step=best.step,
        others=tuple(
            one for one in estimates if abs(one.value - best.value) > 5 * (one.error + best.error)
        ),
        closer=tuple(one for one in estimates if one.step < best.step),
    )


def _extrapolate(levels: Sequence[Level], noises: list[float], floor: float) -> list[Estimate]:
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


def _is_kink(levels: Sequence[Level], jitters: list[float]) -> bool:
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
