"""Diagonals: read from the matrices of an array, and laid into a matrix."""

from __future__ import annotations

from typing import Any

from ..engine.explain import public_name
from ..engine.op_calls import as_tensor
from .axes import axis_tuple
from .indexing import getitem, scatter
from .shape import moveaxis, reshape

__all__ = ["diag", "diagonal"]


def _along(rows: int, columns: int, offset: int) -> tuple[slice, int]:
    """Where a diagonal lies among the elements in reading order, and its length."""
    if isinstance(offset, bool) or not hasattr(type(offset), "__index__"):
        raise TypeError(
            f"{public_name()}: the offset of a diagonal is an integer; got {offset!r:.40}"
        )
    offset = int(offset)
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    start = offset if offset >= 0 else -offset * columns
    stop = start + (length - 1) * (columns + 1) + 1 if length else start
    return slice(start, stop, columns + 1), length


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals of the matrices that two axes span, as a last axis.

    `offset` is how far above the main diagonal they lie, below it if negative. Raises ValueError
    for axes that x doesn't have, or that are the same.

    >>> mg.diagonal(mg.arange(9).reshape(3, 3), offset=1)
    tensor([1, 5])
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"{public_name()}: needs a matrix, or more axes; got shape {x.shape}")
    x = moveaxis(x, axis_tuple((axis1, axis2), x.ndim), (-2, -1))
    *others, rows, columns = x.shape
    lies, _ = _along(rows, columns, offset)
    return getitem(reshape(x, (*others, rows * columns)), index=(..., lies))


def diag(x: Any, k: int = 0) -> Any:
    """A square matrix with the vector x on its k-th diagonal; of a matrix, its k-th diagonal.

    For the diagonals of more than one matrix see `diagonal`. Raises ValueError for other numbers
    of axes.

    >>> mg.diag(mg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    >>> mg.diag(mg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: needs a vector or a matrix; got shape {x.shape}")
    n = x.shape[0] + (abs(k) if isinstance(k, int) else 0)
    lies, _ = _along(n, n, k)
    return reshape(scatter(x, index=lies, shape=(n * n,)), (n, n))
