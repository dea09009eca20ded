"""The gradient of a function at x, and how much of it is rounding."""

from __future__ import annotations

import math

import numpy as np

from .flattened import FlattenedFunction, random_weights
from .report import place

Array = np.ndarray

ULPS = 4.0  # what a neighbour differs by at least, in units of the last place
FIRST = (0.001, -0.001, 0.5, -0.7, 1.0)  # neighbours, as shares of the way to the furthest ...
MORE = (-1.0, -0.1, -0.01, 0.03, 0.3)  # ... and those of a second look
A, B = -3.0, 2.0  # linearity: for A v + B w there must be A times this and B times that


class AnalyticGradient:
    """The gradient for the cotangent v.

    A right gradient of a smooth function is continuous, and over a very short way a straight
    line: what is off that line is rounding error. The point itself takes no part in this, or else
    a gradient that is wrong at this very point would excuse itself.

    Attributes
    ----------
    g : the gradient (N,).
    noise : its rounding error (N,), by its scatter among neighbours of x.
    largest : per entry (N,) the largest slope of the same input.
    """

    def __init__(
        self, flat: FlattenedFunction, v: Array, nearby: Array, rng: np.random.Generator
    ) -> None:
        self._flat, self._v = flat, v
        self._reach = 0.4 * flat.eps ** (1 / 3)
        self._nearby, self._rng = nearby, rng
        self._away = random_weights(rng, flat.x.size)
        self._places: list[float] = []
        self._gradients: list[Array] = []
        self._least: Array = np.zeros(flat.x.size)
        self.g = flat.vjp(flat.x, v)
        self.largest = np.zeros(flat.x.size)
        for _, part, _ in flat.parts:
            self.largest[part] = largest(self.g[part])
        self._visit(FIRST)

    def _visit(self, shares: tuple[float, ...]) -> None:
        """Ask for the gradient at more neighbours."""
        flat = self._flat
        last_place = np.spacing(np.abs(flat.x).astype(flat.grid)).astype(np.float64)
        for t in self._reach * np.array(shares):
            way = np.maximum(abs(t) * self._nearby, ULPS * last_place)
            point = flat.rounded(flat.x + math.copysign(1.0, t) * self._away * way)
            self._places.append(float(t))
            self._gradients.append(flat.vjp(point, self._v))
        places, gradients = np.array(self._places), np.stack(self._gradients)
        line, _ = np.linalg.qr(np.stack([places**0, places], axis=1))
        moves = gradients - gradients[0]
        off_line = np.nan_to_num(moves - line @ (line.T @ moves), posinf=0.0, neginf=0.0)
        # In units of the largest, so that no square overflows or vanishes.
        unit = np.abs(off_line).max(axis=0)
        unit[unit == 0] = 1.0
        scatter = np.linalg.norm(off_line / unit, axis=0) / math.sqrt(places.size - 2)
        self.noise = np.maximum(unit * scatter, self._least)

    def look_again(self) -> bool:
        """Measure the noise on more neighbours, for a better founded verdict; once.

        And on parts of the cotangent: if gradients cancel to nothing, what is left of them depends
        on little else.
        """
        flat, v = self._flat, self._v
        if len(self._places) > len(FIRST) or self.is_off(flat.vjp(flat.x, v)):
            return False
        self._visit(MORE)
        part = flat.rounded(v * self._rng.random(v.size))
        off = flat.vjp(flat.x, part) + flat.vjp(flat.x, flat.rounded(v - part)) - self.g
        self.assume(np.nan_to_num(np.abs(off), posinf=0.0))
        return True

    def assume(self, least: Array) -> None:
        """Noise (N,) that is there whatever the neighbours say."""
        self._least = np.maximum(self._least, least)
        self.noise = np.maximum(self.noise, least)

    def look_at_linearity(self, w: Array, blur: Array) -> None:
        """Whether the backward pass is linear in its cotangent; `blur` (N,) is no fault.

        A sum of cotangents may come out differently by rounding alone, and then that is noise. A
        factor of -4 costs no rounding at all.
        """
        flat, v = self._flat, self._v
        other = flat.vjp(flat.x, w)
        off = np.nan_to_num(np.abs(flat.vjp(flat.x, A * v + B * w) - A * self.g - B * other))
        tolerance = max(1e-5, 3e3 * flat.eps)
        fourfold = None
        for name, part, _ in flat.parts:
            size = abs(A) * self.largest[part] + abs(B) * largest(other[part])
            allowed = tolerance * size + (abs(A) + abs(B)) * (5 * self.noise + blur)[part]
            if not (off[part] > allowed).any():
                continue
            if fourfold is None:
                fourfold = flat.vjp(flat.x, -4.0 * v) / -4
            if (np.abs(fourfold - self.g) > tolerance * self.largest)[part].any():
                flat.target.fault(
                    f"the backward pass is not linear in its cotangent: the gradient of "
                    f"{place(name)} for -4 v is not -4 times that for v"
                )
        self.assume(off / 2)

    def is_off(self, again: Array) -> bool:
        """Whether a gradient for the same x and v is another one, beyond the order of sums."""
        tolerance = max(1e-5, 3e3 * self._flat.eps) * self.largest
        allowed = 1e4 * self._flat.eps * self.largest + 20 * np.minimum(self.noise, tolerance)
        return bool((np.abs(again - self.g) > allowed).any())


def largest(values: Array) -> float:
    """The largest size among the finite ones."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
