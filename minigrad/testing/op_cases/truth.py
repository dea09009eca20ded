"""The lines of the op table for comparisons, logic, and bits of integers."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ..cases import Case, elementwise, grades, integers, mask, masked, real, reduction

__all__ = ["TRUTH_CASES"]

TRUTH_CASES: dict[str, list[Case]] = {
    **{
        name: elementwise(getattr(mg, name), getattr(np, name), grades, grades, slope="none")
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    "logical_and": elementwise(mg.logical_and, np.logical_and, mask, mask, slope="none"),
    "logical_or": elementwise(mg.logical_or, np.logical_or, mask, mask, slope="none"),
    "logical_not": elementwise(mg.logical_not, np.logical_not, mask, slope="none"),
    **{
        name: elementwise(
            getattr(mg, name), getattr(np, name), integers(9), integers(9), slope="none"
        )
        + elementwise(getattr(mg, name), getattr(np, name), mask, mask, slope="none")
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    },
    "bitwise_not": elementwise(mg.bitwise_not, np.invert, integers(9), slope="none")
    + elementwise(mg.bitwise_not, np.invert, mask, slope="none"),
    "left_shift": elementwise(mg.left_shift, np.left_shift, integers(9), integers(5), slope="none"),
    "right_shift": elementwise(
        mg.right_shift, np.right_shift, integers(99), integers(5), slope="none"
    ),
    "isnan": elementwise(mg.isnan, np.isnan, real, slope="none"),
    "isinf": elementwise(mg.isinf, np.isinf, real, slope="none"),
    "isfinite": elementwise(mg.isfinite, np.isfinite, real, slope="none"),
    "isclose": [
        *elementwise(mg.isclose, np.isclose, grades, grades, slope="none"),
        *elementwise(mg.isclose, np.isclose, real, real, slope="none", rtol=0.3, atol=0.2),
        *elementwise(mg.isclose, np.isclose, grades, grades, slope="none", equal_nan=True),
    ],
    "allclose": elementwise(
        lambda a, b: mg.tensor(mg.allclose(a, b, atol=2)),
        lambda a, b: np.allclose(a, b, atol=2),
        grades,
        grades,
        slope="none",
    ),
    "any": reduction(mg.any, np.any, mask, slope="none")
    + masked(mg.any, np.any, mask, slope="none"),
    "all": reduction(mg.all, np.all, mask, slope="none")
    + masked(mg.all, np.all, mask, slope="none"),
}
