"""The lines of the op table for elements by position."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ...ops.indexing import getitem, scatter
from .. import references as ref
from ..cases import Case, by_axis, calls, each, real

__all__ = ["POSITION_CASES"]

_INDICES = (
    *(1, slice(None, None, -2), (..., 0), None, np.array([2, 0, 2]), np.array([[0, -1], [1, 1]])),
    *((slice(None), np.array([1, 1])), (np.array([0, 2]), np.array([1, 1]))),
    np.array([True, False, True]),
)

POSITION_CASES: dict[str, list[Case]] = {
    "index": calls(mg.index, lambda x, index: x[index], [real(3, 2)], each("index", *_INDICES)),
    "getitem": calls(getitem, lambda x, index: x[index], [real(3, 2)], each("index", 0, (..., 1))),
    "scatter": calls(
        scatter,
        ref.scatter,
        [real(2, 3)],
        [{"index": (..., slice(0, 3)), "shape": (2, 4)}, {"index": 1, "shape": (2, 2, 3)}],
    )
    + calls(  # a number that goes to many places
        scatter, ref.scatter, [real()], [{"index": (slice(0, 2),), "shape": (3, 2)}]
    ),
    "take": calls(
        mg.take,
        np.take,
        [real(3, 2)],
        by_axis(None, 0, 1, -2, indices=np.array([1, 0, 1])) + by_axis(0, 1, indices=1),
    ),
    "scatter_add": calls(
        lambda x, values, index: mg.scatter_add(x, index, values),
        lambda x, values, index: ref.scatter_add(x, values, index),
        [(real(3, 2), real(2)), (real(3, 2), real())],
        each("index", *_INDICES[:2], *_INDICES[4:6], _INDICES[8]),
    ),
}
