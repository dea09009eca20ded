"""A slope by the gradient, and whether finite differences confirm it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .report import Entry
from .slope import Slope

CAUTION = 20  # a slope is wrong if it is off by so many error bars


@dataclass(frozen=True)
class AnalyticSlope:
    """A slope by the gradient."""

    slope: float
    rounding: float  # how far off it may be by the rounding error of the gradient
    needed: float  # how well the numeric slope must be known to confirm it
    residue: float  # what may be left where gradients cancel to nothing

    def agrees(self, value: float, error: float) -> bool:
        """Whether a numeric slope with this error bar is compatible with it."""
        return abs(self.slope - value) <= CAUTION * error + self.rounding

    def is_confirmed(self, slope: Slope) -> bool:
        """Whether a numeric slope agrees, and is known well enough for that to mean anything."""
        error = slope.error + slope.unseen
        return self.agrees(slope.value, error) and CAUTION * error + self.rounding <= self.needed

    def is_zero(self, slope: Slope) -> bool:
        """Whether both are zero, and no output moves."""
        return slope.flat and self.slope == 0

    def is_nothing(self, slope: Slope) -> bool:
        """Whether nothing moves, and a slope as the gradient has would not show, or not matter."""
        size = abs(self.slope)
        if slope.value == 0:
            hidden = slope.flat and size * slope.levels[-1].step <= CAUTION * slope.beside
            return hidden or size <= max(self.needed, self.residue)
        return abs(slope.value) <= CAUTION * slope.error and size <= self.residue

    def is_settled(self, slope: Slope) -> bool:
        """Whether nothing more needs to be known about a slope."""
        if slope.flat:
            return self.is_zero(slope)
        if slope.kink or slope.is_disputed() or not slope.is_smooth():
            return False
        return self.is_confirmed(slope)

    def judged(self, entry: Entry, slope: Slope) -> Entry:
        """The entry with its numbers and its status."""
        entry.numeric, entry.error, entry.step = slope.value, slope.error + slope.unseen, slope.step
        entry.curve = [(level.step, level.slope) for level in slope.levels]
        entry.status = "agrees"
        if slope.edge:
            entry.status = "edge"
        elif slope.kink:
            # Any mixture of the slopes on both sides is a matter of taste; more than both is not.
            bound = 2 * max(level.bound for level in slope.levels) + CAUTION * entry.error
            fair = slope.is_unbounded() or abs(self.slope) <= bound
            entry.status = "kink" if fair and not math.isnan(self.slope) else "wrong"
            entry.severity = 0.0 if entry.status == "kink" else math.inf
        else:
            off, allowed = abs(self.slope - slope.value), CAUTION * entry.error + self.rounding
            entry.severity = off / allowed if allowed > 0 else (math.inf if off else 0.0)
            if not entry.severity <= 1:
                sided = slope.sides_with(self.slope, CAUTION) or self.is_nothing(slope)
                entry.status = "noise" if sided else "wrong"
            elif slope.may_be_coarse() or not (self.is_confirmed(slope) or self.is_zero(slope)):
                known = CAUTION * entry.error <= self.needed < self.rounding
                entry.status = "rounding" if known else "noise"
        if entry.status == "wrong" and not math.isfinite(entry.severity):
            entry.severity = math.inf
        return entry
