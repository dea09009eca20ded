"""The lines of the op table for linear algebra: `mg.linalg`, and the ops behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad as mg

from ...ops.determinants import svd
from ..cases import Case, Kind, away, by_axis, calls, distinct, holed, real

__all__ = ["LINEAR_ALGEBRA_CASES"]


def _beside(diagonal: float) -> Kind:
    """Matrices with larger entries on the diagonal: far from singular."""
    return Kind(lambda rng, shape: rng.uniform(-1, 1, shape) + diagonal * np.eye(shape[-1]))


def _of_rank(rank: int) -> Kind:
    """Matrices that are singular, if their rank is less than their size."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        left = rng.standard_normal((*shape[:-1], rank))
        return left @ rng.standard_normal((*shape[:-2], rank, shape[-1]))

    return Kind(draw)


invertible, definite = _beside(2.0), _beside(3.0)


def _symmetric(a: np.ndarray) -> np.ndarray:
    return (a + np.swapaxes(a, -1, -2)) / 2


_CORNER = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]])


def _together(a: Any) -> Any:
    u, s, v = svd(a)
    return (u * s.reshape(*s.shape[:-1], 1, s.shape[-1])) @ v


def _negative(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Matrices of rank 1 whose entries are all negative."""
    columns, rows = (
        rng.uniform(1, 2, (*shape[:-1], 1)),
        rng.uniform(1, 2, (*shape[:-2], 1, shape[-1])),
    )
    return -columns * rows


def _bent(f: Any, lib: Any) -> Any:
    """A function of matrices with slopes that are never all 0."""
    return lambda a: f(a) + lib.sum(lib.square(a) * a, axis=(-2, -1))


def _of_ranks(*ranks: int) -> Kind:
    """A stack of singular matrices of several ranks."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.stack([_of_rank(rank).draw(rng, shape[1:]) for rank in ranks])

    return Kind(draw)


_MATRIX_NORMS: list[dict[str, Any]] = [
    {"ord": 1, "axis": (0, 2)},
    {"ord": -1, "axis": (2, 1)},
    {"ord": math.inf, "axis": (-1, 0), "keepdims": True},
    {"ord": -math.inf, "axis": (1, 2)},
]

LINEAR_ALGEBRA_CASES: dict[str, list[Case]] = {
    "solve": calls(
        mg.linalg.solve,
        np.linalg.solve,
        [
            *((invertible(3, 3), real(3, 2)), (invertible(2, 2), real(2))),
            *((invertible(2, 3, 3), real(3)), (invertible(2, 2, 2), real(2, 2, 3))),
            *((invertible(3, 3), real(2, 3, 1)), (invertible(2, 1, 2, 2), real(3, 2, 2))),
            *((invertible(1, 1), real(1, 1)), (invertible(0, 2, 2), real(2, 3))),
            *((invertible(2, 2), real(2, 0)), (invertible(0, 0), real(0, 2))),
        ],
    ),
    "inv": calls(
        mg.linalg.inv,
        np.linalg.inv,
        [invertible(3, 3), invertible(2, 2, 2), invertible(1, 1), invertible(0, 3, 3)],
    ),
    "cholesky": calls(
        mg.linalg.cholesky,
        lambda a: np.linalg.cholesky(_symmetric(a)),
        [definite(3, 3), definite(2, 3, 3), definite(1, 1), definite(0, 2, 2), definite(2, 0, 0)],
    ),
    "slogdet": calls(
        mg.linalg.slogdet,
        lambda a: tuple(np.linalg.slogdet(a)),
        [invertible(3, 3), real(2, 2, 2), real(1, 1), invertible(0, 2, 2), invertible(2, 0, 0)],
    ),
    "det": calls(
        mg.linalg.det,
        np.linalg.det,
        [
            *(real(3, 3), real(2, 2, 2), real(0, 2, 2), real(2, 0, 0)),
            *(_of_rank(2)(3, 3), _of_rank(3)(2, 4, 4)),
        ],
    )
    + calls(
        _bent(mg.linalg.det, mg),
        _bent(np.linalg.det, np),
        [
            _of_ranks(2, 0, 1, 3)(4, 3, 3),
            _of_ranks(1, 0, 2)(3, 2, 2),
            _of_ranks(2, 4)(2, 4, 4),
            Kind(_negative)(2, 2),
        ],
    )
    + calls(mg.linalg.det, np.linalg.det, [real(1, 1)], slope="first"),
    "svd": [
        *calls(
            _together,
            lambda a: a,
            [real(3, 3), real(4, 2), real(2, 2, 3), real(0, 2, 2)],
            slope="first",
        ),
        *calls(
            lambda a: [part**2 for part in svd(a)],  # whatever the signs of the bases are
            lambda a: [part**2 for part in np.linalg.svd(a, full_matrices=False)],
            [real(3, 3), real(3, 2), real(2, 3)],
        ),
    ],
    "linalg.trace": calls(
        mg.linalg.trace,
        lambda x, offset=0: np.trace(x, offset, -2, -1),
        [real(2, 3), real(2, 3, 3), real(0, 2)],
        [{}, {"offset": 1}, {"offset": -1}],
    ),
    "linalg.norm": [
        *calls(mg.linalg.norm, np.linalg.norm, [away(0)(2, 3), real(3), real(2, 1, 2)]),
        *calls(mg.linalg.norm, np.linalg.norm, [away(0)()], slope="first"),
        *calls(mg.linalg.norm, np.linalg.norm, [real(2, 0), real(0)]),
        *calls(
            mg.linalg.norm,
            np.linalg.norm,
            [away(0)(4)],
            [{"ord": p} for p in (2, 3, 2.5, 1.5, -1, -2, 0.5)],
        ),
        *calls(
            mg.linalg.norm,
            np.linalg.norm,
            [away(0)(2, 3)],
            [{"ord": 3, "axis": 0}, {"ord": 2, "axis": -1, "keepdims": True}, {"axis": 1}],
        ),
        *calls(
            lambda x, **settings: mg.linalg.norm(mg.square(x), **settings),
            lambda x, **settings: np.linalg.norm(np.square(x), **settings),
            [distinct(0.1)(4)],
            [{"ord": 1}, {"ord": math.inf}, {"ord": -math.inf, "axis": 0, "keepdims": True}],
        ),
        *calls(mg.linalg.norm, np.linalg.norm, [holed(4), real(0)], [{"ord": 0}], slope="zero"),
        *calls(mg.linalg.norm, np.linalg.norm, [distinct(0.1)(2, 3)], [{"ord": "fro"}]),
        *calls(
            mg.linalg.norm,
            np.linalg.norm,
            [real(3, 2)],
            [{"ord": 2}, {"ord": -2}, {"ord": "nuc", "keepdims": True}],
        ),
        *calls(mg.linalg.norm, np.linalg.norm, [real(3, 2, 2)], [{"ord": "nuc", "axis": (2, 0)}]),
        *calls(
            mg.linalg.norm, np.linalg.norm, [real(2, 3, 2)], by_axis((0, -1), (2, 1), keepdims=True)
        ),
        *calls(
            mg.linalg.norm, np.linalg.norm, [distinct(0.1)(2, 3, 2)], _MATRIX_NORMS, slope="first"
        ),
    ],
}
