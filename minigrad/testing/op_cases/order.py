"""The lines of the op table for order: sorted elements, and what lies at positions."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from .. import references as ref
from ..cases import Case, by_axis, calls, distinct, each, grades, integers, mask, real

__all__ = ["ORDER_CASES"]

_AXES = by_axis(0, 1, -1, None)
_DOWN = by_axis(0, -1, None, descending=True)

ORDER_CASES: dict[str, list[Case]] = {
    "argsort": calls(mg.argsort, ref.argsort, [distinct()(2, 3), grades(4, 5)], _AXES, "none")
    + calls(mg.argsort, ref.argsort, [real(2, 3), grades(4, 5), mask(3, 6)], _DOWN, "none")
    + calls(mg.argsort, ref.argsort, [integers(3)(3, 6), real(0, 2), real(2, 0)], slope="none"),
    "sort": calls(mg.sort, ref.sort, [distinct()(2, 3), distinct()(3, 1)], [*_AXES, *_DOWN])
    + calls(mg.sort, ref.sort, [real(0, 2), distinct()(5)])
    + calls(mg.sort, ref.sort, [real()], by_axis(None))
    + calls(mg.sort, ref.sort, [grades(4, 5), integers(3)(3, 6)], [*_AXES, *_DOWN], "none"),
    "topk": calls(
        mg.topk,
        ref.topk,
        [distinct()(3, 4)],
        [
            *by_axis(1, -1, 0, k=2),
            *by_axis(1, -2, k=3, largest=False),
            *by_axis(0, k=0),
            *by_axis(1, k=4),
        ],
    )
    + calls(mg.topk, ref.topk, [grades(3, 6)], by_axis(0, 1, k=3), "none"),
    "take_along_axis": [
        *calls(
            mg.take_along_axis,
            np.take_along_axis,
            [real(2, 3)],
            [
                {"indices": np.array([[2, 0, 2, -1], [1, 1, 0, 0]]), "axis": 1},
                {"indices": np.array([[0, 1, 0], [-1, 1, 1], [0, 0, -2]]), "axis": -2},
                {"indices": np.array([[1, 0]]), "axis": 1},
                {"indices": np.array([5, 0, -1, 5]), "axis": None},
            ],
        ),
        *calls(
            mg.take_along_axis,
            np.take_along_axis,
            [real(1, 2, 3)],
            [{"indices": np.array([[[0, 2]], [[1, -3]]]), "axis": 2}],
        ),
        *calls(mg.take_along_axis, np.take_along_axis, [real(3)], each("indices", np.array([1]))),
    ],
}
