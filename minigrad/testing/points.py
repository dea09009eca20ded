"""Points at which only one gradient is right, though no finite difference can tell: conventions.

Kinks, ties, ends of an interval, zeros to the power of zero, overflow. `POINTS` lists them by the
lines of the op table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["POINTS", "Point"]

inf, e = math.inf, math.e


@dataclass(frozen=True)
class Point:
    """A function, its inputs, and the gradient of the sum of its output by each of them."""

    f: Callable[..., Any]
    inputs: tuple[list[float], ...]
    gradients: tuple[list[float], ...]

    def check(self) -> None:
        """Raise AssertionError if a gradient is another one, on the current backend."""
        xs = [mg.tensor(np.array(x), requires_grad=True) for x in self.inputs]
        found = mg.grad(self.f(*xs).sum(), xs)
        for x, g, right in zip(self.inputs, found, self.gradients, strict=True):
            np.testing.assert_allclose(g.numpy(), right, rtol=1e-12, atol=1e-300, err_msg=f"at {x}")


def _point(f: Callable[..., Any], x: list[float], gradient: list[float]) -> Point:
    return Point(f, (x,), (gradient,))


def _base_slope(a: Any, b: Any) -> Any:
    """The slope of a ** b by a, as a function to differentiate."""
    return mg.grad((a**b).sum(), a, create_graph=True)


POINTS: dict[str, list[Point]] = {
    "abs": [_point(mg.abs, [0.0, -2.0], [0.0, -1.0])],
    "sign": [_point(mg.sign, [0.0, 5.0], [0.0, 0.0])],
    "sigmoid": [_point(mg.sigmoid, [-1e3, 0.0, 1e3], [0.0, 0.25, 0.0])],
    "softplus": [_point(mg.softplus, [-1e3, 0.0, 1e3], [0.0, 0.5, 1.0])],
    "relu": [_point(mg.relu, [0.0, -0.0, 1.0], [0.0, 0.0, 1.0])],
    "elu": [_point(mg.elu, [0.0, 800.0], [1.0, 1.0])],
    "clip": [
        _point(lambda x: mg.clip(x, min=-1, max=1), [-1.0, 1.0, 1.5, -9.0], [1.0, 1.0, 0.0, 0.0])
    ],
    "maximum": [
        Point(mg.maximum, ([0.0, 1.0], [0.0, 0.0]), ([0.5, 1.0], [0.5, 0.0])),
        _point(lambda x: mg.maximum(x, x), [4.0], [1.0]),
    ],
    "minimum": [
        Point(mg.minimum, ([0.0, 1.0], [0.0, 0.0]), ([0.5, 0.0], [0.5, 1.0])),
        _point(lambda x: mg.minimum(x, x), [4.0], [1.0]),
    ],
    "power": [
        _point(lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
        _point(lambda x: x**1, [0.0, 2.0], [1.0, 1.0]),
        _point(lambda x: x**2, [0.0, 2.0], [0.0, 4.0]),
        _point(lambda x: 0.0**x, [1.0, 2.0], [0.0, 0.0]),
        _point(lambda x: 2.0**x, [1.0, 3.0], [2 * math.log(2), 8 * math.log(2)]),
        _point(lambda x: (-1.0) ** x, [1.0, 2.0], [math.nan, math.nan]),
        Point(mg.power, ([0.0, 2.0], [0.0, 3.0]), ([0.0, 12.0], [0.0, 8 * math.log(2)])),
        # d²/(da db) of a ** b is a ** (b - 1) * (1 + b * log(a))
        Point(_base_slope, ([2.0, e], [0.0, 1.0]), ([0.0, 0.0], [0.5, 2.0])),
    ],
    "max": [_point(mg.max, [1.0, 3.0, 3.0, 0.0], [0.0, 0.5, 0.5, 0.0])],
    "min": [
        _point(mg.min, [1.0, 1.0, 1.0, 1.0], [0.25] * 4),
        _point(mg.min, [1.0, 3.0, 1.0], [0.5, 0.0, 0.5]),
    ],
    "norm": [
        _point(mg.norm, [0.0, 0.0], [0.0, 0.0]),
        _point(mg.norm, [3.0, 4.0], [0.6, 0.8]),
    ],
    "std": [_point(mg.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0])],
    "prod": [
        _point(mg.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        _point(mg.prod, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    ],
    "logsumexp": [
        _point(mg.logsumexp, [-1e3, 1e3], [0.0, 1.0]),
        _point(mg.logsumexp, [-inf, 0.0], [0.0, 1.0]),
        _point(mg.logsumexp, [-inf, -inf], [0.0, 0.0]),
    ],
}
