"""How ops that rearrange elements are written as ONNX nodes: shapes, joins, indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .export_elementwise import Resolved, row
from .sizes import Size
from .values import Known, Made
from .writer import Writer

__all__ = ["positions", "reshaped"]  # the others are in ROWS

_END = np.iinfo(np.int64).max  # of a slice that goes on to the end


def _input(w: Writer, call: Resolved) -> tuple[str, Sequence[int | Size]]:
    """The name and the shape of the only input."""
    x = call.inputs[0]
    return w.operand(x, call.dtype), getattr(x, "shape", ())


@row("reshape")
def _reshape(w: Writer, call: Resolved) -> str:
    x, old = _input(w, call)
    return reshaped(w, x, old, call.outputs[0].shape)


def reshaped(w: Writer, x: str, old: Sequence[int | Size], new: Sequence[int | Size]) -> str:
    """x in another shape, by the simplest of the ways that ONNX has for sizes that vary."""
    if tuple(old) == tuple(new):
        return x
    # 0 is the size that the input has at this place, -1 what is left.
    short = [
        0 if isinstance(n, Size) and i < len(old) and old[i] == n else n for i, n in enumerate(new)
    ]
    open_places = [i for i, n in enumerate(short) if isinstance(n, Size)]
    if len(open_places) == 1:
        short[open_places[0]] = -1
    return w.node("Reshape", x, w.ints(short))


@row("transpose")
def _transpose(w: Writer, call: Resolved) -> str:
    x, shape = _input(w, call)
    axes = call.settings["axes"]
    order = range(len(shape))[::-1] if axes is None else [a % len(shape) for a in axes]
    return w.node("Transpose", x, perm=list(order)) if len(shape) > 1 else x


@row("broadcast_to")
def _broadcast_to(w: Writer, call: Resolved) -> str:
    x, old = _input(w, call)
    new = call.outputs[0].shape
    if tuple(old) == tuple(new):
        return x
    before = len(new) - len(old)  # 1 leaves the size as it is
    short = [1 if i >= before and old[i - before] == n else n for i, n in enumerate(new)]
    return w.node("Expand", x, w.ints(short))


@row("concatenate")
def _concatenate(w: Writer, call: Resolved) -> str:
    parts = [w.operand(x, call.dtype) for x in call.inputs]
    return w.node("Concat", *parts, axis=call.settings["axis"])


@row("stack")
def _stack(w: Writer, call: Resolved) -> str:
    axis = call.settings["axis"]
    place = w.constant([axis], np.int64)
    parts = [w.node("Unsqueeze", w.operand(x, call.dtype), place) for x in call.inputs]
    return w.node("Concat", *parts, axis=axis)


@row("split")
def _split(w: Writer, call: Resolved) -> list[str]:
    x, shape = _input(w, call)
    axis = call.settings["axis"] % len(shape)
    sizes = [y.shape[axis] for y in call.outputs]
    return w.nodes_of("Split", [x, w.ints(sizes)], len(sizes), axis=axis)


@row("unstack")
def _unstack(w: Writer, call: Resolved) -> list[str]:
    x, shape = _input(w, call)
    axis, count = call.settings["axis"] % len(shape), len(call.outputs)
    parts = w.nodes_of("Split", [x, w.constant([1] * count, np.int64)], count, axis=axis)
    place = w.constant([axis], np.int64)
    return [w.node("Squeeze", part, place) for part in parts]


@row("flip")
def _flip(w: Writer, call: Resolved) -> str:
    x, shape = _input(w, call)
    axis = call.settings["axis"]
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    parts = [(a % len(shape), -1, -_END, -1) for a in axes]
    return _sliced(w, x, parts) if parts else x


@row("tril", "triu")
def _triangle(w: Writer, call: Resolved) -> str:
    x, _ = _input(w, call)
    k = w.constant(call.settings["k"], np.int64)
    return w.node("Trilu", x, k, upper=int(call.name == "triu"))


@row("pad_with")
def _pad(w: Writer, call: Resolved) -> str:
    x, _ = _input(w, call)
    widths = call.settings["widths"]
    ends = [pair[0] for pair in widths] + [pair[1] for pair in widths]
    return w.node("Pad", x, w.ints(ends), w.constant(call.settings["value"], call.dtype))


# --- indices -------------------------------------------------------------------------------------


def _sliced(w: Writer, x: str, parts: Sequence[tuple[int, Any, Any, int]]) -> str:
    """x[start:stop:step] along some axes, (axis, start, stop, step) each."""
    axes, starts, stops, steps = zip(*parts, strict=True)
    names = [w.ints(list(numbers)) for numbers in (starts, stops, axes, steps)]
    return w.node("Slice", x, *names)


def _is_array(part: Any) -> bool:
    return isinstance(part, (Known, Made))


@row("getitem")
def _getitem(w: Writer, call: Resolved) -> str:
    """Slices first, then integers and arrays, then new axes."""
    x, shape = _input(w, call)
    index = call.settings["index"]
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = _whole(parts, len(shape))
    slices: list[tuple[int, Any, Any, int]] = []
    places: list[int] = []
    dropped: list[tuple[int, Any]] = []
    axis = 0
    for part in parts:
        if part is None:
            continue
        if isinstance(part, slice):
            if (piece := _piece(axis, part)) is not None:
                slices.append(piece)
        else:
            if _is_array(part):
                places.append(axis)
            dropped.append((axis, part))
        axis += 1
    if slices:
        x = _sliced(w, x, slices)
    if places:
        return _gather(w, call, x, parts, len(shape))
    # From the last axis on, so that the numbers of those before stay theirs.
    for axis, position in reversed(dropped):
        x = w.node("Gather", x, w.position(position), axis=axis)
    return _with_new_axes(w, x, parts)


def _whole(parts: list[Any], ndim: int) -> list[Any]:
    """An index with a part for each axis, in place of an ellipsis and of what is left out."""
    used = sum(part is not None and part is not ... for part in parts)
    rest = [slice(None)] * (ndim - used)
    for i, part in enumerate(parts):
        if part is ...:
            return [*parts[:i], *rest, *parts[i + 1 :]]
    return [*parts, *rest]


def _piece(axis: int, part: slice) -> tuple[int, Any, Any, int] | None:
    step = 1 if part.step is None else part.step
    if (part.start, part.stop, step) == (None, None, 1):
        return None
    first, last = (0, _END) if step > 0 else (-1, -_END)
    start = first if part.start is None else part.start
    return axis, start, last if part.stop is None else part.stop, step


def _with_new_axes(w: Writer, x: str, parts: list[Any]) -> str:
    kept = [part for part in parts if part is None or isinstance(part, slice)]
    new = [i for i, part in enumerate(kept) if part is None]
    return w.node("Unsqueeze", x, w.constant(new, np.int64)) if new else x


def positions(w: Writer, part: Any) -> str:
    """An array of positions, of a dtype that ONNX takes there."""
    return w.operand(part, None if part.dtype in (np.int32, np.int64) else np.int64)


def _gather(w: Writer, call: Resolved, x: str, parts: list[Any], ndim: int) -> str:
    """x with arrays of integers among the parts of its index; NumPy's rules for several."""
    if None in [p if p is None else 0 for p in parts]:
        raise call.refuse("an index with both arrays and new axes; write it as two, x[i][:, None]")
    places = [i for i, part in enumerate(parts) if not isinstance(part, slice)]
    if len(places) == 1:
        axis = places[0]
        return w.node("Gather", x, positions(w, parts[axis]), axis=axis)
    # Several are read in step: their axes first, and the arrays broadcast to one shape.
    order = [*places, *(i for i in range(ndim) if i not in places)]
    if order != list(range(ndim)):
        x = w.node("Transpose", x, perm=order)
    arrays = [parts[i] for i in places]
    most = max(len(part.shape) for part in arrays if _is_array(part))
    names = []
    for part in arrays:
        name = w.operand(part, np.int64) if _is_array(part) else w.position(part)
        if _is_array(part):
            missing = most - len(part.shape)
            if missing:
                name = w.node("Unsqueeze", name, w.constant(list(range(missing)), np.int64))
        names.append(name)
    # Adding zeros of each other's shape broadcasts.
    zeros = [w.node("Mul", name, w.constant(0, np.int64)) for name in names]
    total = zeros[0]
    for zero in zeros[1:]:
        total = w.node("Add", total, zero)
    last = w.constant([most], np.int64)
    columns = [w.node("Unsqueeze", w.node("Add", name, total), last) for name in names]
    y = w.node("GatherND", x, w.node("Concat", *columns, axis=most))
    adjacent = places == list(range(places[0], places[-1] + 1))
    if adjacent and places[0]:  # NumPy leaves the new axes where the arrays stood
        rest = list(range(most, most + ndim - len(places)))
        front, back = rest[: places[0]], rest[places[0] :]
        y = w.node("Transpose", y, perm=[*front, *range(most), *back])
    return y
