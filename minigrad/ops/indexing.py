"""Reading and adding at positions: slices, integer arrays, truth values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine import deferred
from ..engine.creation import tensor
from ..engine.graph import on_index
from ..engine.op import op
from ..engine.op_calls import as_tensor
from ..engine.tensor import Tensor
from .axes import as_count, one_axis
from .reductions import sum as total
from .shape import broadcast_to, reshape

__all__ = ["index", "pad", "scatter_add", "take"]


@op(view=True)
def getitem(xp, x, *, index):
    """x[index], the index prepared by `index_of`.

    >>> getitem(mg.tensor([1.0, 2.0, 3.0]), index=slice(1, None))
    tensor([2., 3.])
    """
    return xp.getitem(x, index)


getitem.vjp(x=lambda g, like, index: scatter(g, index=index, shape=like.shape))


@op
def scatter(xp, x, *, index, shape):
    """Zeros of `shape` with x added at `index`; what meets at one place adds up.

    >>> scatter(mg.tensor([1.0, 2.0, 4.0]), index=np.array([2, 0, 2]), shape=(3,))
    tensor([2., 0., 5.])
    """
    return xp.scatter(x, index, shape)


def _gathered(g: Any, like: Any, index: Any) -> Any:
    g = getitem(g, index=index)
    return g if g.shape == like.shape else total(g)  # of a number that went to many places


scatter.vjp(x=_gathered)


def index_of(index: Any, x: Tensor) -> Any:
    """An index into x as its backend takes it: tensors, lists, NumPy arrays as arrays of its own.

    Raises IndexError for positions that x doesn't have. NumPy raises that; for a device
    it is checked here, as its libraries count such positions from the other end, or read foreign
    memory. Positions that are on a device already are checked there: see `deferred.py`.
    """
    whole = isinstance(index, tuple)
    parts = [_part(part, x.backend) for part in (index if whole else (index,))]
    if not x.backend.is_host:
        parts = list(_checked(parts, x))
    prepared = tuple(p if _is_basic(p) else x.backend.index_array(p) for p in parts)
    if on_index:
        for part in prepared:
            if not _is_basic(part):
                on_index.tell(part)
    return prepared if whole or len(prepared) != 1 else prepared[0]


def _is_basic(part: Any) -> bool:
    return part is None or part is ... or isinstance(part, (int, slice))


def _part(part: Any, backend: Any) -> Any:
    """One part of an index: None, an ellipsis, a slice, an int, or an array."""
    if _is_basic(part):
        return part
    if isinstance(part, np.integer):
        return int(part)
    array = part._data if isinstance(part, Tensor) else part
    if not isinstance(array, (backend.array_type, np.ndarray)):
        array = np.asarray(array)
        if array.size == 0:
            array = array.astype(np.int64)  # an empty list has no dtype of its own
    if array.dtype.kind not in "iub":
        raise IndexError(
            f"an index must be made of integers, slices or truth values; got {array.dtype}"
        )
    return array


def _checked(parts: list[Any], x: Tensor) -> Iterator[Any]:
    """The parts of an index, after a look at the positions that they name."""
    widths = [0 if p is None or p is ... else _width(p) for p in parts]
    axis, others = 0, x.ndim - sum(widths)
    for part, width in zip(parts, widths, strict=True):
        shape = x.shape[axis : axis + width]
        axis += others if part is ... else width
        if _is_basic(part) or len(shape) < width:  # one too many: the backend says so
            yield part
        elif part.dtype.kind != "b":
            _check_positions(part, axis - 1, shape[0], x.backend)
            yield part
        elif part.ndim and isinstance(part, np.ndarray):
            if part.shape != shape:
                raise IndexError(
                    f"getitem: a mask of shape {part.shape} doesn't fit the axes {shape} of a "
                    f"tensor {x.shape}"
                )
            yield from np.nonzero(part)  # a device would have to be waited for
        else:
            yield part


def _width(part: Any) -> int:
    """How many axes a part of an index is for."""
    is_mask = not isinstance(part, (int, slice)) and part.dtype.kind == "b"
    return part.ndim if is_mask else 1


def _check_positions(positions: Any, axis: int, n: int, backend: Any) -> None:
    out = f"out of bounds for axis {axis} with size {n}"
    if isinstance(positions, np.ndarray):
        wrong = positions[(positions < -n) | (positions >= n)]
        if wrong.size:
            raise IndexError(f"getitem: index {wrong[0]} is {out}")
    elif math.prod(positions.shape):
        note_outside(positions, -n, n, backend, IndexError(f"getitem: an index is {out}"))


def note_outside(
    positions: Any,
    start: int,
    stop: int,
    backend: Any,
    error: Exception,
    allowed: int | None = None,
) -> None:
    """Raise `error` later if positions on a device are not from `start` to below `stop`."""
    try:
        deferred.defer(_outside(positions, start, stop, backend, allowed), backend, error)
    finally:
        del error  # see `deferred.defer`


def _outside(positions: Any, start: int, stop: int, backend: Any, allowed: int | None) -> Any:
    """Whether some positions are outside, as a truth value that stays on the device."""
    in_one_launch = getattr(backend, "outside", None)
    if in_one_launch is not None:
        return in_one_launch(positions, start, stop, allowed)
    if positions.dtype != np.int64:
        positions = backend.astype(positions, np.dtype(np.int64))
    wrong = backend.not_equal(positions, backend.clip(positions, start, stop - 1))
    if allowed is not None:
        wrong = backend.logical_and(wrong, backend.not_equal(positions, allowed))
    return backend.any(wrong)


def index(x: Tensor, index: Any) -> Tensor:
    """x[index]: integers, slices, ellipsis, None, integer arrays or truth values, as in NumPy.

    Gradients add up where an element is read more than once. Raises IndexError for a position that
    x doesn't have; if the positions are on a device, that happens when results are read.

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, 3)[:, [2, 0]]
    tensor([[2, 0],
            [5, 3]])
    """
    x = as_tensor(x)
    return getitem(x, index=index_of(index, x))


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries at integer `indices` along `axis`, or in the flattened array.

    Raises IndexError for a position that x doesn't have.

    >>> mg.take(mg.tensor([[1, 2], [3, 4]]), [1, 1], axis=0)
    tensor([[3, 4],
            [3, 4]])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    return index(x, (slice(None),) * one_axis(axis, x.ndim) + (indices,))


def scatter_add(x: Tensor, index: Any, values: Any) -> Tensor:
    """A copy of x with `values` added at `index`; where an index repeats, all its values count.

    It has the shape of x. Raises IndexError for a position that x doesn't have.

    >>> import minigrad as mg
    >>> mg.scatter_add(mg.zeros(3), [0, 2, 2], mg.ones(3))
    tensor([1., 0., 2.])
    """
    x = as_tensor(x)
    where = index_of(index, x)
    if not isinstance(values, Tensor):
        values = tensor(values, dtype=x.dtype, backend=x.backend)
    shape = getitem(x.detach(), index=where).shape
    return x + scatter(broadcast_to(values, shape), index=where, shape=x.shape)


@op
def pad_with(xp, x, *, widths, value):
    """x with a border of `value`: (before, after) per axis.

    >>> pad_with(mg.ones(2), widths=((1, 2),), value=0)
    tensor([0., 1., 1., 0., 0.])
    """
    return xp.pad(x, widths, constant_values=value)


def _unpad(g: Any, like: Any, widths: Any) -> Any:
    inner = (slice(b, b + n) for (b, _), n in zip(widths, like.shape, strict=True))
    return getitem(g, index=tuple(inner))


pad_with.vjp(x=_unpad)


def pad(x: Any, pad_width: Any, constant_values: float = 0) -> Any:
    """x with a border of a constant: `pad_width` is a number, a pair, or a pair per axis.

    Raises ValueError for widths that are negative or don't fit the axes.

    >>> mg.pad(mg.tensor([1, 2]), (1, 2))
    tensor([0, 1, 2, 0, 0])
    """
    x = as_tensor(x)
    if isinstance(pad_width, int):
        pad_width = (pad_width, pad_width)
    try:
        if len(pad_width) == 2 and all(isinstance(width, int) for width in pad_width):
            pad_width = (tuple(pad_width),) * x.ndim
        widths = tuple(
            (as_count(before, "a width"), as_count(after, "a width")) for before, after in pad_width
        )
    except (TypeError, ValueError) as error:
        raise type(error)(
            "pad: pad_width must be an integer, a pair (before, after) or a pair per axis, 0 or "
            f"more each; got {pad_width!r:.60}"
        ) from error
    if len(widths) != x.ndim:
        raise ValueError(f"pad: {len(widths)} pairs of widths for an array of shape {x.shape}")
    return pad_with(x, widths=widths, value=constant_values)
