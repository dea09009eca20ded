"""What a backend's functions of matrices must do, if it offers them: calls, and NumPy as the judge.

`minigrad.engine.backend.OPTIONAL` says what they are. Here singular values are compared with their
bases multiplied together, as those may differ in signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .protocol_arrays import FLOATS, Call, Strided

__all__ = ["HOOK_EXAMPLES", "HOOK_REFERENCE", "REFUSED"]

_rng = np.random.default_rng(1)


def _matrices(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Matrices far from singular."""
    n = shape[-1]
    values = _rng.uniform(-1, 1, shape) / n + np.eye(n)
    return np.asarray(values).astype(dtype)


def _definite(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    a = _matrices(shape, np.float64)
    return np.asarray(a @ np.swapaxes(a, -1, -2)).astype(dtype)


_SHAPES: tuple[tuple[int, ...], ...] = ((1, 1), (3, 3), (2, 3, 3), (2, 1, 2, 2), (40, 40))


def _each(make: Callable[..., np.ndarray]) -> Iterator[Call]:
    for dtype in FLOATS:
        for shape in _SHAPES:
            yield Call((make(shape, dtype),))
        yield Call((Strided(make((4, 4), dtype)),))


def _systems() -> Iterator[Call]:
    for dtype in FLOATS:
        for shape in _SHAPES:
            for columns in (1, 2):
                right = _rng.standard_normal((*shape[:-1], columns)).astype(dtype)
                yield Call((_matrices(shape, dtype), right))
        yield Call((Strided(_matrices((4, 4), dtype)), _matrices((4, 4), dtype)))


HOOK_EXAMPLES: dict[str, list[Call]] = {
    "solve": list(_systems()),
    "cholesky": list(_each(_definite)),
    "slogdet": [
        *_each(_matrices),
        *(Call((np.stack([np.ones((2, 2)), -np.eye(2)]).astype(dtype),)) for dtype in FLOATS),
    ],
    "svd": list(_each(_matrices)),
}

HOOK_REFERENCE: dict[str, Callable[..., Any]] = {
    "solve": np.linalg.solve,
    "cholesky": np.linalg.cholesky,
    "slogdet": lambda a: tuple(np.linalg.slogdet(a)),
}

# Calls that must raise NumPy's LinAlgError.
REFUSED: dict[str, list[Call]] = {
    "solve": [
        Call((a.astype(dtype), np.ones((*a.shape[:-1], 1), dtype)))
        for dtype in FLOATS
        for a in (np.ones((2, 2)), np.stack([np.eye(3), np.zeros((3, 3))]))
    ],
    "cholesky": [
        Call((a.astype(dtype),))
        for dtype in FLOATS
        for a in (-np.eye(2), np.stack([np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])]))
    ],
}
