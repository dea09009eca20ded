"""The lines of the op table for reductions."""

from __future__ import annotations

import math

import numpy as np

import minigrad as mg

from .. import references as ref
from ..cases import Case, away, by_axis, calls, distinct, grades, holed, real, reduction

__all__ = ["REDUCTION_CASES"]

REDUCTION_CASES: dict[str, list[Case]] = {
    "sum": reduction(mg.sum, np.sum, real),
    "mean": reduction(mg.mean, np.mean, real, empty=False),
    "max": reduction(mg.max, np.max, distinct(), empty=False),
    "min": reduction(mg.min, np.min, distinct(), empty=False),
    "prod": [
        *reduction(mg.prod, np.prod, real),
        *calls(mg.prod, np.prod, [holed(2, 3)], by_axis(None, 0, 1)),
    ],
    "var": [
        *reduction(mg.var, np.var, real, scalar="zero", empty=False),
        *calls(mg.var, np.var, [real(2, 3)], by_axis(0, -1, ddof=1)),
    ],
    "std": [
        *reduction(mg.std, np.std, real, scalar="flat", empty=False),
        *calls(mg.std, np.std, [real(3, 4)], by_axis(0, -1, ddof=1)),
    ],
    "norm": [
        *reduction(mg.norm, ref.norm, away(0), scalar="first"),
        *calls(mg.norm, ref.norm, [away(0)(2, 3)], by_axis(1, None, ord=1)),
        *calls(mg.norm, ref.norm, [distinct(0.1)(2, 3)], by_axis(0, ord=math.inf)),
    ],
    "logsumexp": reduction(mg.logsumexp, ref.logsumexp, real),
    "argmax": calls(
        mg.argmax, np.argmax, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
    "argmin": calls(
        mg.argmin, np.argmin, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
}
