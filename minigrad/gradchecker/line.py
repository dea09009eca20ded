"""A line through a point, and what the outputs of a function do along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .noise import Noise

Array = np.ndarray


@dataclass(frozen=True)
class Level:
    """What one step shows: two evaluations, at x + h and x - h.

    Attributes
    ----------
    step : h.
    slope : the central difference.
    jump : by how much the slopes to the right and to the left disagree, summed over the outputs, so
        that nothing cancels.
    bound : how large these slopes are, summed in the same way.
    rounding : of the outputs here: of their sum, and summed over them.
    """

    step: float
    slope: float
    jump: float
    bound: float
    rounding: tuple[float, float]


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
        """What `step` shows, and the indices of the outputs that moved; None if not finite."""
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
