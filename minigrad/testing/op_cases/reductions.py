"""The lines of the op table for reductions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import minigrad as mg

from .. import references as ref
from ..cases import (
    AXES,
    Case,
    Kind,
    away,
    by_axis,
    calls,
    distinct,
    grades,
    holed,
    masked,
    real,
    reduction,
    some,
)

__all__ = ["REDUCTION_CASES"]


def _with_gaps(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(some.draw(rng, shape), rng.standard_normal(shape), math.nan)


_GAPS = Kind(_with_gaps)(2, 3, 4)


REDUCTION_CASES: dict[str, list[Case]] = {
    "sum": reduction(mg.sum, np.sum, real) + masked(mg.sum, np.sum, real),
    "mean": reduction(mg.mean, np.mean, real, empty=False) + masked(mg.mean, np.mean, real),
    "max": reduction(mg.max, np.max, distinct(), empty=False)
    + masked(mg.max, partial(np.max, initial=-math.inf), distinct()),
    "min": reduction(mg.min, np.min, distinct(), empty=False)
    + masked(mg.min, partial(np.min, initial=math.inf), distinct()),
    "nansum": reduction(mg.nansum, np.nansum, real) + calls(mg.nansum, np.nansum, [_GAPS], AXES),
    "nanmean": reduction(mg.nanmean, np.nanmean, real, empty=False)
    + calls(mg.nanmean, np.nanmean, [_GAPS], AXES),
    "prod": [
        *reduction(mg.prod, np.prod, real),
        *calls(mg.prod, np.prod, [holed(2, 3)], by_axis(None, 0, 1)),
        *masked(mg.prod, np.prod, real),
    ],
    "var": [
        *reduction(mg.var, np.var, real, scalar="zero", empty=False),
        *calls(mg.var, np.var, [real(2, 3)], by_axis(0, -1, ddof=1)),
        *masked(mg.var, np.var, real, ddof=1),
    ],
    "std": [
        *reduction(mg.std, np.std, real, scalar="flat", empty=False),
        *calls(mg.std, np.std, [real(3, 4)], by_axis(0, -1, ddof=1)),
        *masked(mg.std, np.std, real),
    ],
    "norm": [
        *reduction(mg.norm, ref.norm, away(0), scalar="first"),
        *calls(mg.norm, ref.norm, [away(0)(2, 3)], by_axis(1, None, ord=1)),
        *calls(mg.norm, ref.norm, [distinct(0.1)(2, 3)], by_axis(0, ord=math.inf)),
    ],
    "logsumexp": reduction(mg.logsumexp, ref.logsumexp, real)
    + masked(mg.logsumexp, ref.logsumexp, real),
    "argmax": calls(
        mg.argmax, np.argmax, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
    "argmin": calls(
        mg.argmin, np.argmin, [real(2, 3), grades(2, 3)], by_axis(None, 0, -1), slope="none"
    ),
}
