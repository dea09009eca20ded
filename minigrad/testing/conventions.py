"""Points at which a convention, not a finite difference, says which gradient is right.

Kinks, ties, ends of an interval, zeros to the power of zero, overflow. `CONVENTIONS` lists them by
the lines of the op table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["CONVENTIONS", "Convention"]

inf, nan, e = math.inf, math.nan, math.e


@dataclass(frozen=True)
class Convention:
    """A function, its inputs, and the gradient of the sum of its output for each input."""

    f: Callable[..., Any]
    inputs: tuple[list[float], ...]
    gradients: tuple[list[float], ...]

    def check(self) -> None:
        """Raise AssertionError if a gradient differs, on the current backend."""
        xs = [mg.tensor(np.array(x), requires_grad=True) for x in self.inputs]
        with xs[0].backend.quiet():
            total = self.f(*xs).sum()
        found = mg.grad(total, xs)
        for x, g, right in zip(self.inputs, found, self.gradients, strict=True):
            np.testing.assert_allclose(g.numpy(), right, rtol=1e-12, atol=1e-300, err_msg=f"at {x}")


def _point(f: Callable[..., Any], x: list[float], gradient: list[float]) -> Convention:
    return Convention(f, (x,), (gradient,))


def _slope(f: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the sum of f(x), as a function to differentiate."""
    return lambda x: mg.grad(f(x).sum(), x, create_graph=True)


def _exponent_slope(a: Any, b: Any) -> Any:
    """The slope of a ** b by b, as a function to differentiate."""
    return mg.grad((a**b).sum(), b, create_graph=True)


def _base_slope(a: Any, b: Any) -> Any:
    """The slope of a ** b by a, as a function to differentiate."""
    return mg.grad((a**b).sum(), a, create_graph=True)


CONVENTIONS: dict[str, list[Convention]] = {
    "abs": [
        _point(mg.abs, [0.0, -2.0, nan, inf, -inf], [0.0, -1.0, nan, 1.0, -1.0]),
        _point(_slope(mg.abs), [0.0, -2.0, nan], [0.0, 0.0, nan]),
        _point(_slope(lambda x: mg.abs(x) ** 2), [0.0, -2.0], [0.0, 2.0]),
    ],
    "sign": [_point(mg.sign, [0.0, 5.0, inf, nan], [0.0, 0.0, 0.0, nan])],
    "sqrt": [
        _point(mg.sqrt, [0.0, 4.0, -1.0, nan, inf], [inf, 0.25, nan, nan, 0.0]),
        _point(_slope(mg.sqrt), [0.0, 4.0, -1.0], [-inf, -0.03125, nan]),
    ],
    "log": [
        _point(mg.log, [0.0, 4.0, -1.0, nan, inf], [inf, 0.25, nan, nan, 0.0]),
        _point(_slope(mg.log), [0.0, 4.0, -1.0], [-inf, -0.0625, nan]),
    ],
    "log1p": [_point(mg.log1p, [-1.0, 0.0, -2.0, nan, inf], [inf, 1.0, nan, nan, 0.0])],
    "exp": [_point(mg.exp, [-inf, 0.0, inf, nan, 1e4], [0.0, 1.0, inf, nan, inf])],
    "erf": [
        _point(mg.erf, [-inf, 0.0, 1e200, inf, nan], [0.0, 2 / math.sqrt(math.pi), 0.0, 0.0, nan]),
        _point(_slope(mg.erf), [-inf, 0.0, 1e200, nan], [0.0, 0.0, 0.0, nan]),
    ],
    "nan_to_num": [_point(mg.nan_to_num, [nan, inf, -inf, 2.0], [0.0, 0.0, 0.0, 1.0])],
    "exp2": [_point(mg.exp2, [-inf, 0.0, 1.0, nan], [0.0, math.log(2), 2 * math.log(2), nan])],
    "log2": [_point(mg.log2, [0.0, -1.0, nan, inf], [inf, nan, nan, 0.0])],
    "log10": [_point(mg.log10, [0.0, -1.0, nan, inf], [inf, nan, nan, 0.0])],
    "logaddexp": [
        Convention(
            mg.logaddexp, ([inf, -inf, inf], [inf, -inf, 1.0]), ([0.5, 0.5, 1], [0.5, 0.5, 0])
        ),
        Convention(mg.logaddexp, ([nan, 1e200], [1.0, -1e200]), ([nan, 1.0], [nan, 0.0])),
        _point(_slope(lambda x: mg.logaddexp(x, 2.0)), [2.0, inf, -inf], [0.25, 0.0, 0.0]),
        _point(_slope(lambda x: mg.logaddexp(2.0, x)), [2.0, inf, -inf], [0.25, 0.0, 0.0]),
    ],
    "reciprocal": [_point(mg.reciprocal, [0.0, 2.0, inf, nan], [-inf, -0.25, 0.0, nan])],
    **{
        name: [_point(getattr(mg, name), [0.5, 1.0, -0.0, inf, nan], [0.0, 0.0, 0.0, 0.0, nan])]
        for name in ("floor", "ceil", "trunc", "round")
    },
    "mod": [
        Convention(
            mg.mod, ([6.0, -1.0, 3.0], [2.0, 4.0, inf]), ([1.0, 1.0, 1.0], [-3.0, 1.0, 0.0])
        ),
        Convention(mg.mod, ([nan, 1.0], [2.0, 0.0]), ([1.0, 1.0], [nan, -inf])),
    ],
    "floor_divide": [
        Convention(mg.floor_divide, ([6.0, 1.0], [2.0, 0.0]), ([0.0, 0.0], [0.0, 0.0])),
        Convention(mg.floor_divide, ([nan, 0.0], [2.0, 0.0]), ([nan, nan], [nan, nan])),
    ],
    "expm1": [_point(mg.expm1, [-inf, 0.0, inf, nan], [0.0, 1.0, inf, nan])],
    "sin": [_point(mg.sin, [0.0, inf, nan], [1.0, nan, nan])],
    "cos": [_point(mg.cos, [0.0, inf, nan], [0.0, nan, nan])],
    "tan": [_point(mg.tan, [0.0, inf, nan], [1.0, nan, nan])],
    "arcsin": [_point(mg.arcsin, [-1.0, 0.0, 1.0, 2.0, -inf, nan], [inf, 1.0, inf, nan, nan, nan])],
    "arccos": [_point(mg.arccos, [-1.0, 0.0, 1.0, 2.0, inf], [-inf, -1.0, -inf, nan, nan])],
    "arctan": [_point(mg.arctan, [-inf, 0.0, 1e200, inf, nan], [0.0, 1.0, 0.0, 0.0, nan])],
    "arctan2": [
        Convention(mg.arctan2, ([0.0, 0.0, 2.0], [0.0, -2.0, 0.0]), ([0, -0.5, 0], [0, 0, -0.5])),
        Convention(mg.arctan2, ([3e200], [4e200]), ([1.6e-201], [-1.2e-201])),
        _point(_slope(lambda x: mg.arctan2(x, x * 0)), [0.0, nan], [nan, nan]),
    ],
    "sinh": [_point(mg.sinh, [-inf, 0.0, inf, nan], [inf, 1.0, inf, nan])],
    "cosh": [_point(mg.cosh, [-inf, 0.0, inf, nan], [-inf, 0.0, inf, nan])],
    "arcsinh": [_point(mg.arcsinh, [-inf, 0.0, 1e200, inf, nan], [0.0, 1.0, 1e-200, 0.0, nan])],
    "arccosh": [
        _point(mg.arccosh, [1.0, 1e200, inf, 0.5, -2.0, nan], [inf, 1e-200, 0.0, nan, nan, nan])
    ],
    "arctanh": [_point(mg.arctanh, [-1.0, 0.0, 1.0, 2.0, -inf], [inf, 1.0, inf, nan, nan])],
    "hypot": [
        Convention(
            mg.hypot, ([0.0, -3.0, 3e200], [0.0, 4.0, 4e200]), ([0, -0.6, 0.6], [0, 0.8, 0.8])
        ),
        _point(_slope(lambda x: mg.hypot(x, x)), [0.0, nan], [nan, nan]),
    ],
    "tanh": [_point(mg.tanh, [-inf, 0.0, inf, nan], [0.0, 1.0, 0.0, nan])],
    "sigmoid": [
        _point(mg.sigmoid, [-1e3, 0.0, 1e3], [0.0, 0.25, 0.0]),
        _point(mg.sigmoid, [-inf, inf, nan], [0.0, 0.0, nan]),
    ],
    "softplus": [
        _point(mg.softplus, [-1e3, 0.0, 1e3], [0.0, 0.5, 1.0]),
        _point(mg.softplus, [-inf, inf, nan], [0.0, 1.0, nan]),
    ],
    "relu": [
        _point(mg.relu, [0.0, -0.0, 1.0], [0.0, 0.0, 1.0]),
        _point(mg.relu, [-inf, inf, nan], [0.0, 1.0, nan]),
        _point(_slope(lambda x: mg.relu(x) ** 2), [-3.0, 3.0, nan], [0.0, 2.0, nan]),
    ],
    "elu": [
        _point(mg.elu, [0.0, 800.0], [1.0, 1.0]),
        _point(mg.elu, [-inf, inf, nan], [0.0, 1.0, nan]),
        _point(_slope(mg.elu), [0.0, 3.0, nan], [0.0, 0.0, nan]),
    ],
    "leaky_relu": [
        _point(mg.leaky_relu, [0.0, -inf, 3.0, inf, nan], [0.01, 0.01, 1.0, 1.0, nan]),
        _point(_slope(lambda x: mg.leaky_relu(x) ** 2), [-3.0, 3.0], [0.0002, 2.0]),
    ],
    "silu": [_point(mg.silu, [-inf, -1e30, 0.0, 1e3, nan], [0.0, 0.0, 0.5, 1.0, nan])],
    "gelu": [
        _point(mg.gelu, [-inf, -1e30, 0.0, 1e3, nan], [0.0, 0.0, 0.5, 1.0, nan]),
        _point(mg.gelu, [1e30, 1e200, inf], [1.0, 1.0, 1.0]),
        _point(
            lambda x: mg.gelu(x, approximate="none"),
            [-inf, -1e30, 0.0, 1e3, 1e200, inf, nan],
            [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, nan],
        ),
    ],
    "huber_loss": [
        _point(
            lambda x: mg.huber_loss(x, mg.zeros_like(x), reduction="none"),
            [0.0, 1.0, -1.0, -inf, inf, nan],
            [0.0, 1.0, -1.0, -1.0, 1.0, nan],
        ),
        _point(
            _slope(lambda x: mg.huber_loss(x, mg.zeros_like(x), reduction="none")),
            [0.0, 0.5, 3.0, 1.0, -1.0, nan],
            [1.0, 1.0, 0.0, 0.0, 0.0, nan],
        ),
    ],
    "clip": [
        _point(lambda x: mg.clip(x, min=-1, max=1), [-1.0, 1.0, 1.5, -9.0], [1.0, 1.0, 0.0, 0.0]),
        _point(lambda x: mg.clip(x, min=-1, max=1), [-inf, inf, nan], [0.0, 0.0, nan]),
        _point(lambda x: mg.clip(x, None, None), [-inf, inf, nan], [1.0, 1.0, nan]),
    ],
    "maximum": [
        Convention(mg.maximum, ([nan, 1.0, nan], [0.0, nan, nan]), ([nan] * 3, [nan] * 3)),
        Convention(mg.maximum, ([inf, -inf], [1.0, inf]), ([1.0, 0.0], [0.0, 1.0])),
        Convention(mg.maximum, ([0.0, 1.0], [0.0, 0.0]), ([0.5, 1.0], [0.5, 0.0])),
        _point(lambda x: mg.maximum(x, x), [4.0], [1.0]),
    ],
    "minimum": [
        Convention(mg.minimum, ([nan, 1.0, nan], [0.0, nan, nan]), ([nan] * 3, [nan] * 3)),
        Convention(mg.minimum, ([inf, -inf], [1.0, inf]), ([0.0, 1.0], [1.0, 0.0])),
        Convention(mg.minimum, ([0.0, 1.0], [0.0, 0.0]), ([0.5, 0.0], [0.5, 1.0])),
        _point(lambda x: mg.minimum(x, x), [4.0], [1.0]),
    ],
    "power": [
        _point(lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
        _point(lambda x: x**1, [0.0, 2.0], [1.0, 1.0]),
        _point(lambda x: x**2, [0.0, 2.0], [0.0, 4.0]),
        _point(lambda x: 0.0**x, [1.0, 2.0], [0.0, 0.0]),
        _point(lambda x: 2.0**x, [1.0, 3.0], [2 * math.log(2), 8 * math.log(2)]),
        _point(lambda x: (-1.0) ** x, [1.0, 2.0], [math.nan, math.nan]),
        Convention(mg.power, ([0.0, 2.0], [0.0, 3.0]), ([0.0, 12.0], [0.0, 8 * math.log(2)])),
        Convention(mg.power, ([0.0, 0.0], [-1.0, 0.5]), ([-inf, inf], [-inf, 0.0])),
        Convention(mg.power, ([-2.0, -2.0], [3.0, 0.5]), ([12.0, nan], [nan, nan])),
        Convention(mg.power, ([inf, inf], [1.0, -1.0]), ([1.0, 0.0], [inf, nan])),
        _point(lambda x: 0.0**x, [0.0, -1.0, 2.0], [0.0, -inf, 0.0]),
        _point(lambda x: x**1.5, [0.0, 4.0], [0.0, 3.0]),
        _point(lambda x: x**0.5, [0.0, 4.0], [inf, 0.25]),
        _point(lambda x: x**-1, [0.0, 4.0], [-inf, -0.0625]),
        _point(_slope(lambda x: x**1.5), [0.0, 1.0], [inf, 0.75]),
        _point(_slope(lambda x: x**2), [0.0, 4.0], [2.0, 2.0]),
        _point(_slope(lambda x: x**1), [0.0, 4.0], [0.0, 0.0]),
        _point(_slope(lambda x: x**0), [0.0, 4.0], [0.0, 0.0]),
        _point(_slope(lambda x: x**3), [0.0, -2.0], [0.0, -12.0]),
        Convention(_base_slope, ([0.0, 0.0], [2.0, 3.0]), ([2.0, 0.0], [0.0, 0.0])),
        Convention(_base_slope, ([0.0], [1.0]), ([nan], [-inf])),
        Convention(_exponent_slope, ([0.0, 0.0], [2.0, 1.0]), ([0.0, -inf], [0.0, 0.0])),
        Convention(_exponent_slope, ([2.0, e], [0.0, 1.0]), ([0.5, 2.0], [math.log(2) ** 2, e])),
        # d²/(da db) of a ** b is a ** (b - 1) * (1 + b * log(a))
        Convention(_base_slope, ([2.0, e], [0.0, 1.0]), ([0.0, 0.0], [0.5, 2.0])),
    ],
    "max": [
        _point(mg.max, [1.0, 3.0, 3.0, 0.0], [0.0, 0.5, 0.5, 0.0]),
        _point(mg.max, [1.0, nan, 3.0], [nan, nan, nan]),
        _point(mg.max, [-inf, inf, 3.0], [0.0, 1.0, 0.0]),
    ],
    "min": [
        _point(mg.min, [1.0, nan, 3.0], [nan, nan, nan]),
        _point(mg.min, [-inf, -inf, 3.0], [0.5, 0.5, 0.0]),
        _point(mg.min, [1.0, 1.0, 1.0, 1.0], [0.25] * 4),
        _point(mg.min, [1.0, 3.0, 1.0], [0.5, 0.0, 0.5]),
    ],
    "norm": [
        _point(mg.norm, [0.0, 0.0], [0.0, 0.0]),
        _point(mg.norm, [3.0, 4.0], [0.6, 0.8]),
        _point(mg.norm, [nan, 4.0], [nan, nan]),
        _point(_slope(lambda x: mg.norm(x) ** 2), [0.0, 0.0], [nan, nan]),
        _point(lambda x: mg.log(mg.norm(x)), [0.0, 0.0], [nan, nan]),
    ],
    "linalg.norm": [
        _point(mg.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
        _point(lambda x: mg.linalg.norm(x, 3), [0.0, 0.0], [0.0, 0.0]),
        _point(_slope(lambda x: mg.linalg.norm(x, 3)), [0.0, 0.0], [nan, nan]),
        _point(lambda x: mg.linalg.norm(x, 0.5), [0.0, 4.0], [0.0, 1.0]),
        _point(lambda x: mg.linalg.norm(x, -1), [0.0, 4.0], [0.0, 0.0]),
        _point(lambda x: mg.linalg.norm(x, inf), [0.0, -4.0, 4.0], [0.0, -0.5, 0.5]),
        _point(lambda x: mg.linalg.norm(x, 0), [0.0, 4.0], [0.0, 0.0]),
    ],
    "det": [  # of a matrix, and of another one
        _point(lambda x: mg.linalg.det(x.reshape(2, 2)), [nan, 1.0, 1.0, 1.0], [nan] * 4),
        _point(lambda x: mg.linalg.det(x.reshape(2, 2)), [0.0] * 4, [0.0] * 4),
        _point(
            lambda x: mg.linalg.det(x.reshape(3, 2, 2)),
            [*([1.0, 2.0, 2.0, 4.0]), *([inf, 1.0, 1.0, 1.0]), *([1.0, 2.0, 3.0, 4.0])],
            [*([4.0, -2.0, -2.0, 1.0]), *([nan] * 4), *([4.0, -3.0, -2.0, 1.0])],
        ),
    ],
    "std": [
        _point(mg.std, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
        _point(_slope(lambda x: mg.std(x) ** 2), [2.0, 2.0], [0.0, 0.0]),
    ],
    "var": [_point(mg.var, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0])],
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
