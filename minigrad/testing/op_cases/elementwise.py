"""The lines of the op table for arithmetic, functions and choices, element by element."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ...ops.arithmetic import part_of_length, power_log, root, root_slope
from .. import references as ref
from ..cases import (
    Case,
    above_one,
    away,
    calls,
    distinct,
    each,
    elementwise,
    fractions,
    holed,
    inside,
    mask,
    positive,
    real,
    whole_divisors,
)

__all__ = ["ELEMENTWISE_CASES"]

ELEMENTWISE_CASES: dict[str, list[Case]] = {
    # --- arithmetic
    "add": elementwise(mg.add, np.add, real, real),
    "subtract": elementwise(mg.subtract, np.subtract, real, real),
    "multiply": elementwise(mg.multiply, np.multiply, real, real),
    "divide": elementwise(mg.divide, np.divide, real, away(0, gap=0.5)),
    "reciprocal": elementwise(mg.reciprocal, lambda x: 1 / x, away(0, gap=0.5)),
    "negative": elementwise(mg.negative, np.negative, real),
    "power": [
        *elementwise(mg.power, np.power, positive, real),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [real(2, 3)], each("b", 1, 2, 3.0)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [positive(2, 3)], each("b", -1, 0.5)),
        *calls(lambda x, b: x**b, lambda x, b: x**b, [holed(2, 3)], each("b", 0), "zero"),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], each("a", 2.0)),
        *calls(lambda x, a: a**x, lambda x, a: a**x, [real(2, 3)], each("a", 1), "zero"),
    ],
    "power_log": [
        *elementwise(
            power_log, lambda a, b, times: a**b * np.log(a) ** times, positive, real, times=1
        ),
        *calls(
            lambda a, b: power_log(a, b, times=2),
            lambda a, b: a**b * np.log(a) ** 2,
            [(positive(3), real(3))],
        ),
        *calls(
            lambda b, a: power_log(a, b, times=1),
            lambda b, a: a**b * np.log(a),
            [real(3)],
            each("a", 2.0),
        ),
        *calls(
            lambda a, b: power_log(a, b, times=1),
            lambda a, b: a**b * np.log(a),
            [positive(3)],
            each("b", 2, 0.5),
        ),
    ],
    # --- functions
    "exp": elementwise(mg.exp, np.exp, real),
    "expm1": elementwise(mg.expm1, np.expm1, real),
    "log": elementwise(mg.log, np.log, positive),
    "erf": elementwise(mg.erf, ref.erf, real),
    "exp2": elementwise(mg.exp2, np.exp2, real),
    "log2": elementwise(mg.log2, np.log2, positive),
    "log10": elementwise(mg.log10, np.log10, positive),
    "logaddexp": [
        *elementwise(mg.logaddexp, np.logaddexp, real, real),
        *calls(lambda x: mg.logaddexp(x, x), lambda x: x + np.log(2), [real(2, 3)], slope="first"),
        *calls(lambda x: mg.logaddexp(0.5, x), lambda x: np.logaddexp(0.5, x), [real(2, 3)]),
    ],
    "log1p": elementwise(mg.log1p, np.log1p, positive),
    "sqrt": elementwise(mg.sqrt, np.sqrt, positive),
    "hypot": elementwise(mg.hypot, np.hypot, real, away(0, gap=0.3)),
    "part_of_length": elementwise(part_of_length, np.divide, real, positive),
    "root": elementwise(root, np.sqrt, positive),
    "root_slope": elementwise(root_slope, lambda r: 0.5 / r, positive),
    "square": elementwise(mg.square, np.square, real),
    "abs": elementwise(mg.abs, np.abs, away(0)),
    "sign": elementwise(mg.sign, np.sign, away(0), slope="zero"),
    "sin": elementwise(mg.sin, np.sin, real),
    "cos": elementwise(mg.cos, np.cos, real),
    "tan": elementwise(mg.tan, np.tan, inside),
    "arcsin": elementwise(mg.arcsin, np.arcsin, inside),
    "arccos": elementwise(mg.arccos, np.arccos, inside),
    "arctan": elementwise(mg.arctan, np.arctan, real),
    "arctan2": elementwise(mg.arctan2, np.arctan2, real, away(0, gap=0.3)),
    "sinh": elementwise(mg.sinh, np.sinh, real),
    "cosh": elementwise(mg.cosh, np.cosh, real),
    "tanh": elementwise(mg.tanh, np.tanh, real),
    "arcsinh": elementwise(mg.arcsinh, np.arcsinh, real),
    "arccosh": elementwise(mg.arccosh, np.arccosh, above_one),
    "arctanh": elementwise(mg.arctanh, np.arctanh, inside),
    "sigmoid": elementwise(mg.sigmoid, ref.sigmoid, real),
    "softplus": elementwise(mg.softplus, lambda x: np.logaddexp(x, 0), real),
    "relu": elementwise(mg.relu, lambda x: np.maximum(x, 0), away(0)),
    # --- whole numbers
    **{
        name: elementwise(getattr(mg, name), getattr(np, name), fractions, slope="zero")
        for name in ("floor", "ceil", "trunc")
    },
    "round": elementwise(mg.round, np.round, fractions, slope="zero")
    + elementwise(mg.round, np.round, fractions, slope="zero", decimals=1)
    + elementwise(mg.round, np.round, fractions, slope="zero", decimals=-1),
    "floor_divide": elementwise(
        mg.floor_divide, np.floor_divide, fractions, whole_divisors, slope="zero"
    ),
    "mod": [
        *elementwise(mg.mod, np.mod, fractions, whole_divisors, slope="first"),
        *calls(
            lambda a, b: a % b * b, lambda a, b: a % b * b, [(fractions(2, 3), whole_divisors(3))]
        ),
        *calls(lambda x: x % -0.7, lambda x: x % -0.7, [fractions(2, 3)], slope="first"),
        *calls(lambda x: 7.3 % x, lambda x: 7.3 % x, [whole_divisors(2, 3)], slope="first"),
    ],
    # --- choices
    "where": [
        *calls(
            mg.where, np.where, [(mask(2, 3), real(2, 3), real(3)), (mask(3), real(), real(2, 1))]
        ),
        *calls(mg.where, np.where, [(mask(), real(), real()), (mask(0, 3), real(3), real(1, 3))]),
        *calls(
            lambda c, x: mg.where(c, x, 0), lambda c, x: np.where(c, x, 0), [(mask(4), real(4))]
        ),
    ],
    "nan_to_num": elementwise(mg.nan_to_num, np.nan_to_num, real)
    + elementwise(mg.nan_to_num, np.nan_to_num, real, nan=2.0, posinf=3.0, neginf=-4.0),
    "maximum": elementwise(mg.maximum, np.maximum, distinct(), distinct(0.15)),
    "minimum": elementwise(mg.minimum, np.minimum, distinct(), distinct(0.15)),
    "clip": [
        *elementwise(mg.clip, np.clip, away(-0.3, 0.3), min=-0.3, max=0.3),
        *elementwise(mg.clip, np.clip, real, min=None, max=None),
        *elementwise(mg.clip, np.clip, away(0.5), min=None, max=0.5),
        *elementwise(mg.clip, np.clip, away(-0.7), min=-0.7, max=None),
    ],
}
