"""The lines of the op table for running sums, products and extremes, and for differences."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ...ops.running import cumsum_along, running_argmax
from .. import references as ref
from ..cases import Case, by_axis, calls, distinct, grades, holed, integers, mask, real

__all__ = ["RUNNING_CASES"]

_AXES = by_axis(None, 0, 1, -1)

RUNNING_CASES: dict[str, list[Case]] = {
    "cumsum": calls(mg.cumsum, np.cumsum, [real(2, 3)], _AXES),
    "cumsum_along": calls(cumsum_along, np.cumsum, [real(2, 3), real(0, 2)], by_axis(0, -1)),
    "cumprod": calls(mg.cumprod, np.cumprod, [real(2, 3), holed(3, 2)], _AXES)
    + calls(mg.cumprod, np.cumprod, [real(5), holed(8), real(7, 1), real(0, 2)], by_axis(0))
    + calls(mg.cumprod, np.cumprod, [real()], by_axis(None))
    + calls(mg.cumprod, np.cumprod, [integers(4)(2, 3), mask(2, 3)], by_axis(None, 0), "none"),
    "cummax": calls(mg.cummax, ref.cummax, [distinct()(2, 3), distinct()(2, 5)], _AXES)
    + calls(mg.cummax, ref.cummax, [distinct()(9), distinct()(3, 1), real(0, 2)], by_axis(0))
    + calls(mg.cummax, ref.cummax, [grades(3, 8), integers(4)(2, 5)], _AXES, "none"),
    "cummin": calls(mg.cummin, ref.cummin, [distinct()(2, 3), distinct()(2, 5)], _AXES)
    + calls(mg.cummin, ref.cummin, [distinct()(9), distinct()(3, 1), real(0, 2)], by_axis(0))
    + calls(mg.cummin, ref.cummin, [grades(3, 8), integers(4)(2, 5)], _AXES, "none"),
    "running_argmax": calls(
        running_argmax,
        ref.running_argmax,
        [grades(3, 8), real(2, 3)],
        [*by_axis(0, 1, smallest=False), *by_axis(0, 1, smallest=True)],
        "none",
    ),
    "diff": calls(
        mg.diff,
        np.diff,
        [real(3, 4)],
        [*by_axis(0, -1), *by_axis(1, 0, n=2), {"n": 0}, {"n": 5}, {"prepend": 0.5, "append": 2}],
    )
    + calls(
        lambda x, end: mg.diff(x, axis=0, append=end),
        lambda x, end: np.diff(x, axis=0, append=end),
        [(real(3, 2), real(2, 2)), (real(0, 2), real(1, 2))],
    )
    + calls(mg.diff, np.diff, [mask(6), integers(9)(6)], slope="none"),
}
