"""The lines of the op table for shapes, parts, joins."""

from __future__ import annotations

import numpy as np

import minigrad as mg

from ...ops.indexing import pad_with
from ..cases import Case, by_axis, calls, each, listed, real

__all__ = ["SHAPE_CASES"]

SHAPE_CASES: dict[str, list[Case]] = {
    "reshape": calls(mg.reshape, np.reshape, [real(2, 3)], each("shape", (3, 2), (-1,), (6, 1)))
    + calls(mg.reshape, np.reshape, [real()], each("shape", (1, 1)))
    + calls(mg.reshape, np.reshape, [real(0, 3)], each("shape", (3, 0))),
    "transpose": calls(mg.transpose, np.transpose, [real(2, 3), real(), real(0, 2)])
    + calls(mg.transpose, np.transpose, [real(2, 1, 3)], each("axes", (2, 0, 1), (-1, 0, 1))),
    "broadcast_to": calls(
        mg.broadcast_to, np.broadcast_to, [real(3), real(2, 1), real()], each("shape", (2, 3))
    )
    + calls(mg.broadcast_to, np.broadcast_to, [real(1, 3)], each("shape", (0, 3), (2, 4, 3))),
    "expand_dims": calls(mg.expand_dims, np.expand_dims, [real(2, 3)], by_axis(0, -1, (0, 2), 1)),
    "squeeze": calls(mg.squeeze, np.squeeze, [real(1, 2, 1)], by_axis(None, 0, -1, (0, 2))),
    "swapaxes": calls(
        mg.swapaxes, np.swapaxes, [real(2, 1, 3), real(2, 0, 3)], [{"axis1": 0, "axis2": -1}]
    ),
    "moveaxis": calls(
        mg.moveaxis,
        np.moveaxis,
        [real(2, 1, 3)],
        [{"source": 0, "destination": -1}, {"source": (0, 1), "destination": (2, 0)}],
    ),
    "concatenate": calls(
        listed(mg.concatenate),
        listed(np.concatenate),
        [(real(2, 3), real(2, 3)), (real(2, 2), real(2, 2), real(2, 2))],
        by_axis(0, 1, -1),
    )
    + calls(listed(mg.concatenate), listed(np.concatenate), [(real(1, 3), real(0, 3))]),
    "stack": calls(
        listed(mg.stack), listed(np.stack), [(real(2, 3), real(2, 3))], by_axis(0, 1, -1, -3)
    )
    + calls(listed(mg.stack), listed(np.stack), [(real(), real(), real())]),
    "split": calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(2, 6)],
        [
            *by_axis(1, -1, sections=3),
            *by_axis(1, sections=(1, 4)),
            *by_axis(0, sections=(0, 1, 1)),
        ],
    )
    + calls(
        mg.split,
        lambda x, sections, axis: np.split(x, sections, axis),
        [real(5)],
        by_axis(0, sections=(-2,)) + by_axis(0, sections=(3, 9)),
    ),
    "unstack": calls(
        mg.unstack,
        lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
        [real(2, 3), real(3, 2, 1)],
        by_axis(0, 1, -1),
    ),
    "flip": calls(mg.flip, np.flip, [real(2, 3)], by_axis(None, 0, -1, (0, 1)))
    + calls(mg.flip, np.flip, [real(), real(0, 2)]),
    "pad": calls(mg.pad, np.pad, [real(2, 3)], each("pad_width", 1, (0, 2), ((1, 0), (2, 1))))
    + calls(mg.pad, np.pad, [real(2)], [{"pad_width": ((1, 2),), "constant_values": 3.5}]),
    "pad_with": calls(
        pad_with,
        lambda x, widths, value: np.pad(x, widths, constant_values=value),
        [real(2, 3), real(0, 3)],
        [{"widths": ((1, 0), (0, 2)), "value": 1.5}],
    ),
    "repeat": calls(
        mg.repeat, np.repeat, [real(2, 3)], [*by_axis(None, 0, -1, repeats=2), {"repeats": 0}]
    ),
    "tile": calls(mg.tile, np.tile, [real(2, 3)], each("reps", 2, (2, 1), (2, 1, 2), (0, 1)))
    + calls(mg.tile, np.tile, [real()], each("reps", (2, 2))),
    "roll": calls(
        mg.roll,
        np.roll,
        [real(2, 3)],
        [
            *by_axis(None, 0, -1, shift=1),
            *by_axis(1, shift=-4),
            *by_axis((0, 1), shift=(1, -1)),
            *by_axis((-1, 1), shift=1),
            *by_axis(1, shift=(1, 1)),
            {"shift": 5},
        ],
    )
    + calls(mg.roll, np.roll, [real(), real(0, 2)], each("shift", 3)),
    "meshgrid": calls(
        mg.meshgrid,
        np.meshgrid,
        [(real(2), real(3)), (real(3),), (real(2), real(), real(3)), (real(0), real(2))],
        [{}, {"indexing": "ij"}, {"sparse": True}],
    ),
    "diagonal": calls(mg.diagonal, np.diagonal, [real(3, 4)], each("offset", 0, 2, -1, 4, -5))
    + calls(
        mg.diagonal,
        np.diagonal,
        [real(3, 2, 4), real(3, 0, 2)],
        [{"axis1": 2, "axis2": 0}, {"offset": 1, "axis1": -1, "axis2": -3}],
    ),
    "diag": calls(mg.diag, np.diag, [real(3), real(2, 3), real(0)], each("k", 0, 1, -2)),
    "tril": calls(mg.tril, np.tril, [real(3, 4), real(2, 2, 2)], each("k", 0, 1, -1)),
    "triu": calls(mg.triu, np.triu, [real(3, 4), real(2, 2, 2)], each("k", 0, 1, -1)),
}
