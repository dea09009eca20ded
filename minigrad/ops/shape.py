"""Ops that change an array's shape or arrangement, and join or part arrays."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..engine.op import op
from ..engine.op_calls import as_tensor
from .axes import as_count, axis_tuple, one_axis

__all__ = ["broadcast_to", "concatenate", "expand_dims", "flip", "meshgrid", "moveaxis", "repeat"]
__all__ += ["reshape", "roll", "split", "squeeze", "stack", "swapaxes", "tile", "transpose", "tril"]
__all__ += ["triu", "unstack"]


@op(view=True)
def reshape(xp, x, *, shape):
    """The same elements in another shape; one size may be -1.

    The new shape may be one tuple or separate sizes. Raises ValueError if it holds another
    number of elements.

    >>> mg.reshape(mg.arange(6), (2, 3))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return xp.reshape(x, shape)


reshape.vjp(x=lambda g, like: reshape(g, like.shape))


@op(view=True)
def transpose(xp, x, *, axes=None):
    """x with its axes in another order; reversed if `axes` is None.

    Raises ValueError if `axes` doesn't name each axis once.

    >>> mg.transpose(mg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    return xp.transpose(x, axes)


def _inverse(axes: Any) -> Any:
    if axes is None:
        return None
    axes = axis_tuple(axes, len(axes))
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose.vjp(x=lambda g, axes: transpose(g, _inverse(axes)))


@op(view=True)
def broadcast_to(xp, x, *, shape):
    """x repeated to `shape` by NumPy's broadcasting, without a copy.

    Raises ValueError if an axis of x is neither 1 nor the size that `shape` has there.

    >>> mg.broadcast_to(mg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return xp.broadcast_to(x, shape)


broadcast_to.vjp(x=lambda g: g)  # the sweep undoes broadcasting, as for every op


@op
def concatenate(xp, *arrays, axis=0):
    """The arrays joined along an axis that they have.

    All other axes must agree: (2, 3) and (4, 3) along axis 0 give (6, 3). Raises ValueError if
    they don't.

    >>> mg.concatenate([mg.tensor([1, 2]), mg.tensor([3])])
    tensor([1, 2, 3])
    """
    return xp.concatenate(arrays, axis=axis)


concatenate.vjp_all(
    lambda g, shapes, axis: split(
        g, tuple(itertools.accumulate(shape[axis] for shape in shapes[:-1])), axis=axis
    )
)


@op
def stack(xp, *arrays, axis=0):
    """The arrays, all of one shape, joined along a new axis.

    Two arrays of shape (3,) give (2, 3) along axis 0. Raises ValueError if shapes differ.

    >>> mg.stack([mg.tensor([1, 2]), mg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return xp.stack(arrays, axis=one_axis(axis, arrays[0].ndim + 1))


stack.vjp_all(lambda g, axis: unstack(g, axis=axis))


@op(many=True, view=True)
def split(xp, x, *, sections, axis=0):
    """A list of parts along an axis: `sections` equal ones, or cut before the given indices.

    Raises ValueError if the axis can't be divided into so many equal parts.

    >>> mg.split(mg.arange(6), 3)
    [tensor([0, 1]), tensor([2, 3]), tensor([4, 5])]
    """
    axis = one_axis(axis, x.ndim)
    n = x.shape[axis]
    if not isinstance(sections, (int, tuple, list)):
        raise TypeError(
            f"sections must be an integer, or a tuple of indices to cut at; got {sections!r:.40}"
        )
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(
                f"{n} entries along axis {axis} can't be split into {sections} equal parts"
            )
        return xp.split(x, [n // sections] * sections, axis)
    cuts = [0, *(max(0, min(n, cut if cut >= 0 else cut + n)) for cut in sections), n]
    if sorted(cuts) != cuts:
        raise ValueError(f"cuts must go upwards; got {tuple(sections)} for {n} entries")
    return xp.split(x, [stop - start for start, stop in itertools.pairwise(cuts)], axis)


split.vjp(x=lambda g, axis: concatenate(g, axis=axis))


@op(many=True, view=True)
def unstack(xp, x, *, axis=0):
    """A list of the slices along an axis, without that axis.

    For loops over time: its gradient is one stack, where x[t] would cost a full array per step.

    >>> mg.unstack(mg.tensor([[1, 2], [3, 4]]))
    [tensor([1, 2]), tensor([3, 4])]
    """
    return xp.unstack(x, one_axis(axis, x.ndim))


unstack.vjp(x=lambda g, axis: stack(g, axis=axis))


@op
def flip(xp, x, *, axis=None):
    """x with the order of elements reversed along `axis`, or along all axes.

    >>> mg.flip(mg.tensor([1, 2, 3]))
    tensor([3, 2, 1])
    """
    return xp.flip(x, axis=axis_tuple(axis, x.ndim))


flip.vjp(x=lambda g, axis: flip(g, axis=axis))


def _matrices(x: Any) -> Any:
    if x.ndim < 2:
        raise ValueError("needs a matrix, or a stack of them (..., N, M)")
    return x


@op
def tril(xp, x, *, k=0):
    """The lower triangle of the last two axes of x, up to the k-th diagonal; zeros elsewhere.

    x is a matrix or a stack of them, (..., n, m); anything else raises ValueError.

    >>> mg.tril(mg.ones((2, 2)))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return xp.tril(_matrices(x), k)


tril.vjp(x=lambda g, k: tril(g, k))


@op
def triu(xp, x, *, k=0):
    """The upper triangle of the last two axes of x, from the k-th diagonal on; zeros elsewhere.

    x is a matrix or a stack of them, (..., n, m); anything else raises ValueError.

    >>> mg.triu(mg.ones((2, 2)), k=1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    return xp.triu(_matrices(x), k)


triu.vjp(x=lambda g, k: triu(g, k))


# --- compositions --------------------------------------------------------------------------


def expand_dims(x: Any, axis: Any) -> Any:
    """x with new axes of size 1, at these places in the result.

    Raises ValueError for a place that the result doesn't have.

    >>> mg.expand_dims(mg.ones((2, 3)), 1).shape
    (2, 1, 3)
    """
    x = as_tensor(x)
    axes = axis_tuple(axis, x.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1))
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(sizes) for i in range(x.ndim + len(axes))))


def squeeze(x: Any, axis: Any = None) -> Any:
    """x without the given axes of size 1, or without all of size 1.

    Raises ValueError if a given axis has another size than 1.

    >>> mg.squeeze(mg.ones((2, 1, 3))).shape
    (2, 3)
    """
    x = as_tensor(x)
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = axis_tuple(axis, x.ndim)
        for i in axes:
            if x.shape[i] != 1:
                raise ValueError(
                    f"squeeze: axis {i} of shape {tuple(x.shape)} has size {x.shape[i]}, not 1"
                )
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged.

    >>> mg.swapaxes(mg.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = as_tensor(x)
    order = list(range(x.ndim))
    a, b = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    order[a], order[b] = b, a
    return transpose(x, tuple(order))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """x with axes moved to other places; the others keep their order.

    >>> mg.moveaxis(mg.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = as_tensor(x)
    sources, places = axis_tuple(source, x.ndim), axis_tuple(destination, x.ndim)
    if len(sources) != len(places):
        raise ValueError(f"moveaxis: {len(sources)} axes can't go to {len(places)} places")
    order = [i for i in range(x.ndim) if i not in sources]
    for place, i in sorted(zip(places, sources, strict=True)):
        order.insert(place, i)
    return transpose(x, tuple(order))


def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """x with each element `repeats` times in a row, along `axis` or in the flattened array.

    Raises ValueError if `repeats` is negative.

    >>> mg.repeat(mg.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    axis, repeats = one_axis(axis, x.ndim), as_count(repeats, "repeats, one number for all,")
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = broadcast_to(reshape(x, (*before, n, 1, *after)), (*before, n, repeats, *after))
    return reshape(wide, (*before, n * repeats, *after))


def tile(x: Any, reps: Any) -> Any:
    """x laid side by side, `reps` times per axis.

    >>> mg.tile(mg.tensor([1, 2]), 2)
    tensor([1, 2, 1, 2])
    """
    x = as_tensor(x)
    reps = tuple(reps) if isinstance(reps, (list, tuple)) else (reps,)
    reps = tuple(as_count(r, "each of reps") for r in reps)
    ndim = max(x.ndim, len(reps))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - x.ndim) + tuple(x.shape)
    x = reshape(x, tuple(size for n in shape for size in (1, n)))
    x = broadcast_to(x, tuple(size for n, r in zip(shape, reps, strict=True) for size in (r, n)))
    return reshape(x, tuple(n * r for n, r in zip(shape, reps, strict=True)))


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """x with its elements moved on by `shift` places along `axis`; the last ones come to the front.

    A negative shift moves them back. Both may be tuples, with a shift for each axis, or one of them
    for all of the other; if `axis` is None, elements move on in reading order. Raises ValueError
    for an axis that x doesn't have, and for tuples that differ in length.

    >>> mg.roll(mg.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3])
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (math.prod(x.shape),)), shift, 0), x.shape)
    shifts, axes = (
        tuple(value) if isinstance(value, (tuple, list)) else (value,) for value in (shift, axis)
    )
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ValueError(f"roll: {len(shifts)} shifts don't fit {len(axes)} axes")
    pairs = max(len(shifts), len(axes)) if shifts and axes else 0
    x = reshape(x, x.shape)
    for i in range(pairs):
        by, along = shifts[i % len(shifts)], one_axis(axes[i % len(axes)], x.ndim)
        if isinstance(by, bool) or not hasattr(type(by), "__index__"):
            raise TypeError(f"roll: a shift is an integer; got {by!r:.40}")
        n = x.shape[along]
        x = concatenate(split(x, (n - int(by) % max(n, 1),), axis=along)[::-1], axis=along)
    return x


def meshgrid(*xs: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Any, ...]:
    """The coordinates of all points of a grid, an array per direction, from those along each.

    Vectors of n and m numbers give arrays of shape (m, n), or (n, m) with `indexing="ij"`, which
    is PyTorch's way. With `sparse` the arrays have size 1 in the other directions, and broadcast.
    Raises ValueError for another `indexing`.

    >>> x, y = mg.meshgrid([1, 2], [10, 20, 30])
    >>> x + y
    tensor([[11, 12],
            [21, 22],
            [31, 32]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij'; got {indexing!r:.40}")
    places = list(range(len(xs)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]  # the first goes along rows, the second down them
    xs = tuple(as_tensor(x, *xs) for x in xs)
    shape = tuple(math.prod(xs[i].shape) for i in places)
    lines = (
        reshape(x, tuple(n if i == place else 1 for i, n in enumerate(shape)))
        for x, place in zip(xs, places, strict=True)
    )
    return tuple(line if sparse else broadcast_to(line, shape) for line in lines)
