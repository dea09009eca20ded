"""The rounding errors of a function's outputs, measured."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


class Noise:
    """Rounding errors of the weighted outputs, measured on a few points close to each other."""

    POINTS = 7
    _FREE = POINTS - 3  # what is left after fitting a parabola

    def __init__(self, places: Array, samples: Array, v: Array, grid: np.dtype) -> None:
        """`samples` (POINTS, M): the outputs at `places` (POINTS,) on a line, unevenly spaced."""
        parabola, _ = np.linalg.qr(np.stack([places**0, places, places**2], axis=1))
        moves = samples - samples[0]
        errors = (moves - parabola @ (parabola.T @ moves)) * v / math.sqrt(self._FREE)
        limits = np.finfo(grid)
        # What lies near the smallest number has lost its digits on the way to the output.
        lost = float(limits.tiny) ** 0.8
        floor = (float(limits.eps) / 2 * np.abs(samples[0]) + lost) * np.abs(v)
        # In units of the largest, so that no square overflows or vanishes.
        self._unit = float(max(np.abs(errors).max(initial=0.0), floor.max(initial=0.0))) or 1.0
        self._errors = errors / self._unit  # (POINTS, M)
        self._floor = floor / self._unit  # (M,)
        self._each = np.maximum(np.linalg.norm(self._errors, axis=0), self._floor)  # (M,)
        self._squares = float(self._each @ self._each)

    def of(self, outputs: Array) -> float:
        """The noise of the sum of the weighted outputs of the given indices."""
        together = length(self._errors[:, outputs].sum(axis=1))
        return self._unit * max(together, length(self._each[outputs]))

    def outside(self, outputs: Array) -> float:
        """The noise of the sum of all the others."""
        each = self._each[outputs]
        return self._unit * math.sqrt(max(self._squares - float(each @ each), 0.0))

    def floor(self, outputs: Array) -> float:
        """The noise of their sum that the last digits alone explain."""
        return self._unit * length(self._floor[outputs])

    def summed(self, outputs: Array) -> float:
        """The sum of their noises."""
        return self._unit * float(self._each[outputs].sum())

    def allows(self, off: Array) -> Array:
        """Which weighted outputs (M,) may be off by so much."""
        return off <= 8 * self._unit * self._each


def length(values: Array) -> float:
    """The length of a vector, also where squares overflow or vanish."""
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < math.inf:
        return largest
    return largest * float(np.linalg.norm(values / largest))
