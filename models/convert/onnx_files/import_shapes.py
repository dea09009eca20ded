"""ONNX's ops that rearrange elements, in ops of minigrad."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor

from ..refusals import ConversionError
from .import_ops import ints, reads

__all__: list[str] = []  # they are in OPS

MOST = 2**31  # numbers in an array that a file may ask for


def _limited(what: str, shape: Any) -> tuple[int, ...]:
    """A shape that a file asks for, if memory for it can be meant."""
    shape = tuple(ints(shape))
    if math.prod(shape) > MOST or any(n < 0 for n in shape):
        raise ConversionError("", what, f"it asks for an array of shape {shape}")
    return shape


@reads("Reshape", static=(1,), allowzero=0)
def _reshape(x: Tensor, shape: Any, allowzero: int) -> Tensor:
    sizes = ints(shape)
    if not allowzero:
        sizes = [x.shape[i] if n == 0 and i < x.ndim else n for i, n in enumerate(sizes)]
    return mg.reshape(x, tuple(sizes))


@reads("Flatten", axis=1)
def _flatten(x: Tensor, axis: int) -> Tensor:
    axis = axis + x.ndim if axis < 0 else axis
    return mg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@reads("Transpose", perm=None)
def _transpose(x: Tensor, perm: Any) -> Tensor:
    return mg.transpose(x, None if perm is None else tuple(perm))


@reads("Expand", static=(1,))
def _expand(x: Tensor, shape: Any) -> Tensor:
    return mg.broadcast_to(x, np.broadcast_shapes(x.shape, _limited("Expand", shape)))


@reads("Concat", axis=0)
def _concat(*xs: Tensor, axis: int) -> Tensor:
    return mg.concatenate(list(xs), axis=axis)


@reads("Split", static=(1,), axis=0, num_outputs=None)
def _split(
    x: Tensor, sizes: Any = None, *, axis: int, num_outputs: int, count: int
) -> list[Tensor]:
    """`count` is how many outputs the node has."""
    n = x.shape[axis]
    if sizes is None:
        part = -(-n // count)  # the last one may be smaller
        sizes = [max(0, min(part, n - i * part)) for i in range(count)]
    cuts = np.cumsum(ints(sizes))
    if not len(cuts) or cuts[-1] != n:
        raise ValueError(f"Split: parts of {ints(sizes)} don't make {n}")
    return mg.split(x, tuple(int(cut) for cut in cuts[:-1]), axis=axis)


@reads("Squeeze", static=(1,))
def _squeeze(x: Tensor, axes: Any = None) -> Tensor:
    if axes is None:
        return mg.reshape(x, tuple(n for n in x.shape if n != 1))
    return mg.squeeze(x, tuple(ints(axes)))


@reads("Unsqueeze", static=(1,))
def _unsqueeze(x: Tensor, axes: Any) -> Tensor:
    total = x.ndim + np.size(axes)
    places = {axis % total for axis in ints(axes)}
    sizes = iter(x.shape)
    return mg.reshape(x, tuple(1 if i in places else next(sizes) for i in range(total)))


@reads("Slice", static=(1, 2, 3, 4))
def _slice(x: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    starts, ends = ints(starts), ints(ends)
    along = range(len(starts)) if axes is None else ints(axes)
    by = [1] * len(starts) if steps is None else ints(steps)
    parts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, starts, ends, by, strict=True):
        n = x.shape[axis]
        # A negative end is counted from the end of the axis, unless it lies beyond the start.
        stop = None if step < 0 and end < -n else end
        parts[axis] = slice(start, stop, step)
    return x[tuple(parts)]


@reads("Pad", static=(1, 2, 3), mode="constant")
def _pad(x: Tensor, pads: Any, value: Any = None, axes: Any = None, *, mode: str) -> Tensor:
    widths = ints(pads)
    if mode != "constant" or min(widths, default=0) < 0:
        raise ConversionError("", "Pad", f"only borders of a constant are known; got {mode}")
    half = len(widths) // 2
    along = range(x.ndim) if axes is None else ints(axes)
    pairs = [(0, 0)] * x.ndim
    for axis, before, after in zip(along, widths[:half], widths[half:], strict=True):
        pairs[axis] = before, after
    _limited("Pad", [n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)])
    return mg.pad(x, pairs, 0 if value is None else np.asarray(value).item())


@reads("Tile", static=(1,))
def _tile(x: Tensor, repeats: Any) -> Tensor:
    times = ints(repeats)
    _limited("Tile", [n * k for n, k in zip(x.shape, times, strict=True)])
    return mg.tile(x, tuple(times))


@reads("Trilu", static=(1,), upper=1)
def _trilu(x: Tensor, k: Any = None, *, upper: int) -> Tensor:
    diagonal = 0 if k is None else int(np.asarray(k))
    return mg.triu(x, k=diagonal) if upper else mg.tril(x, k=diagonal)


# --- positions -----------------------------------------------------------------------------------


@reads("Gather", axis=0, padding=None)
def _gather(x: Tensor, indices: Tensor, axis: int, padding: int | None) -> Tensor:
    if padding is not None and axis == 0 and x.ndim == 2:
        return mg.embedding(indices, x, padding)
    return mg.take(x, indices, axis=axis)


@reads("GatherElements", axis=0)
def _gather_elements(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    return mg.take_along_axis(x, indices, axis=axis)


@reads("GatherND", batch_dims=0)
def _gather_nd(x: Tensor, indices: Tensor, batch_dims: int) -> Tensor:
    if batch_dims:
        raise ConversionError("", "GatherND", "batch_dims is known as 0 only")
    return x[tuple(indices[..., i] for i in range(indices.shape[-1]))]


# --- shapes and what is made from them -----------------------------------------------------------


@reads("ConstantOfShape", static=(0,), value=None)
def _constant_of_shape(shape: Any, value: Any) -> np.ndarray:
    given = np.zeros(1, np.float32) if value is None else value
    return np.full(_limited("ConstantOfShape", shape), given.reshape(-1)[0], given.dtype)


@reads("Range", static=(0, 1, 2), stash_type=1)
def _range(start: Any, limit: Any, delta: Any, stash_type: int) -> np.ndarray:
    ends = [np.asarray(n).item() for n in (start, limit, delta)]
    _limited("Range", [max(0, math.ceil((ends[1] - ends[0]) / ends[2]))])
    return np.arange(*ends, dtype=np.asarray(start).dtype)


@reads(
    "Constant",
    value=None,
    value_float=None,
    value_floats=None,
    value_int=None,
    value_ints=None,
)
def _constant(
    value: Any, value_float: Any, value_floats: Any, value_int: Any, value_ints: Any
) -> np.ndarray:
    if value is not None:
        return value
    floats = value_float if value_float is not None else value_floats
    if floats is not None:
        return np.asarray(floats, np.float32)
    return np.asarray(value_int if value_int is not None else value_ints, np.int64)
