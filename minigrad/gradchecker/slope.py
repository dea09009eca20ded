"""A slope by finite differences: what is known of it, and how well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

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
    earlier: tuple[float, float] | None = None  # value and error by an earlier measure of noise
    levels: list[Level] = field(default_factory=list)  # the widest first
    noise: float = 0.0  # of the outputs that move
    jitter: float = 0.0  # the largest noise that any measurement gave
    beside: float = 0.0  # the noise of those that don't move
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
