"""The symbolic backend: its arrays hold no numbers, only shape, dtype and the op that made them.

The compiler is a backend like any other: running a cell on it, and the engine's ordinary
backward pass over what comes out, yields the program of one time step.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import FrameType
from typing import Any

import numpy as np

from ..engine.explain import is_within, packages_of_cells
from ..errors import Untraceable
from ..ops.axes import axis_tuple, keepdims_shape, one_axis
from .ir import ELEMENTWISE, FLOATING, REDUCTIONS, TRUTH, Traced, Value, no_numbers
from .sizes import Dim, form_of
from .symbolic_numbers import SymbolicNumber, is_number
from .symbolic_shapes import (
    complete_shape,
    is_all,
    is_none,
    is_one,
    is_one_per_row,
    last_slice,
    plain,
)

_ASSIGNED = re.compile(r"\s*(\w+(?:\s*,\s*\w+)*)\s*=[^=]")
_SPLITTABLE = {"add", "subtract", "multiply", "divide", "negative"}


class Renamed(Untraceable):
    """An axis of an input is another than its name says: trace again, knowing that.

    `meaning` is the name that it should have, or None: it is a plain number.
    """

    def __init__(self, axis: str, meaning: str | None) -> None:
        super().__init__(f"the axis {axis} is {meaning or 'of a size of its own'}")
        self.axis, self.meaning = axis, meaning


class SymbolicBackend:
    """Ops on values: nothing is computed, shapes and dtypes are."""

    name = "symbolic"
    device = "none"
    is_host = True
    array_type = Traced
    exponents_decide = True  # on the text of a power: they are constants
    compile_loop = None  # what is traced is part of a kernel already
    product_starts = False  # what products start from is found later, see accumulate.py

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.calls: FrameType | None = None  # who calls the cell, while it runs
        self.numbers: dict[tuple[str, Any], Value] = {}  # that kernels take, by text and dtype
        self.equal_sizes: list[tuple[int, int]] = []  # pairs that the cell needs to be equal
        self._known: dict[Any, Value] = {}
        for name in ELEMENTWISE:
            setattr(self, name, partial(self._elementwise, name))
        for name in REDUCTIONS:
            setattr(self, name, partial(self._reduce, name))

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"{name} can't be part of a kernel")

    to_host = staticmethod(no_numbers)

    def make(
        self, op: str, args: tuple[Any, ...], out: Sequence[int], dtype: Any, **settings: Any
    ) -> Value:
        """The value of this op call; of the same call again, the same value."""
        names = tuple(id(arg) if isinstance(arg, Value) else repr(arg) for arg in args)
        key = (op, names, repr(tuple(out)), np.dtype(dtype), repr(settings))
        if key not in self._known:
            value = Traced(self, op, args, settings, out, dtype)
            value.line, value.target = self._cell_line()
            self.values.append(value)
            self._known[key] = value
        return self._known[key]

    def input(self, name: str, shape: Sequence[int], dtype: Any) -> Value:
        """A value that comes from outside."""
        value = Traced(self, "input", (), {}, shape, dtype, name)
        self.values.append(value)
        return value

    def close(self) -> None:
        """The program is complete: its values are no longer there to calculate with."""
        for value in self.values:
            value.__class__ = Value

    def quiet(self) -> AbstractContextManager[Any]:
        """Nothing is computed, so nothing warns."""
        return nullcontext()

    active = quiet  # and no device has to be the current one

    def _cell_line(self) -> tuple[str, str]:
        """Where in the cell a value is made, and what is assigned there."""
        frame: FrameType | None = sys._getframe(2) if self.calls is not None else None
        while frame is not None and frame is not self.calls:
            if not is_within(frame, "minigrad", packages_of_cells):
                code = frame.f_code
                text = linecache.getline(code.co_filename, frame.f_lineno)
                found = _ASSIGNED.match(text)
                return f"{code.co_name}:{frame.f_lineno}", found[1] if found else ""
            frame = frame.f_back
        return "", ""

    # --- shapes ----------------------------------------------------------------------------

    def _same_size(self, a: int, b: int) -> None:
        if isinstance(a, Dim) or isinstance(b, Dim):
            self.equal_sizes.append((a, b))

    def _is_shape_of(self, x: Value, shape: tuple[int, ...]) -> bool:
        """Whether x has this shape already, and not by an axis that another input may repeat."""
        if len(shape) != x.ndim:
            return False
        pairs = [*zip(shape, x.shape, strict=True)]
        if not all(a == b and is_one(a) == is_one(b) for a, b in pairs):
            return False
        for a, b in pairs:
            self._same_size(a, b)
        return True

    def _one(self, size: int) -> None:
        """A named size has to be 1: its axis is there to broadcast, or to be dropped."""
        names = {name for product in form_of(size) for name in product}
        if "N" in names:
            raise Untraceable(f"it needs the size {size!r} to be 1")
        raise Renamed(max(names), None)

    def _broadcast(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        width = max(len(shape) for shape in shapes)
        out: list[int] = []
        for sizes in zip(*((1,) * (width - len(s)) + tuple(s) for s in shapes), strict=True):
            chosen = 1
            for n in sizes:
                if is_one(n):
                    continue
                if is_one(chosen):
                    chosen = n
                elif n == chosen:
                    self._same_size(n, chosen)
                elif 1 in (n, chosen):
                    self._one(n if n == 1 else chosen)
                else:
                    raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not fit together")
            out.append(chosen)
        return tuple(out)

    # --- ops -------------------------------------------------------------------------------

    def _elementwise(self, name: str, *args: Any) -> Any:
        arrays = [arg for arg in args if isinstance(arg, Value)]
        if any(map(is_number, args)):
            args = self._with_numbers(name, args, arrays)
        for arg in args:
            if not isinstance(arg, (Value, int, float)):
                raise Untraceable(
                    f"{name} takes a {type(arg).__name__} that is not among its arguments"
                )
        if not arrays:  # of numbers alone: a number
            if not hasattr(np, name):
                raise Untraceable(f"it computes {name} of a number; compute it outside of it")
            return getattr(np, name)(*args).item()
        shape = self._broadcast(*(x.shape for x in arrays))
        if name in TRUTH:
            dtype: Any = np.dtype(bool)
        else:
            numbers = args[1:] if name == "where" else args
            kinds = [x.dtype if isinstance(x, Value) else plain(x) for x in numbers]
            dtype = np.result_type(*kinds)
            if dtype.kind != "f" and name in FLOATING:
                dtype = np.dtype("float64")
            if dtype.kind == "b" and name in ("mod", "floor_divide"):
                dtype = np.dtype("int8")
        return self.make(name, args, shape, dtype)

    def _with_numbers(self, name: str, args: tuple[Any, ...], arrays: list[Value]) -> Any:
        """The arguments with values for the numbers that may be others at the next call."""
        for place, x in enumerate(args):
            # An exponent decides on the text; and of numbers alone nothing is an array.
            if is_number(x) and (
                not arrays or (name == "power" and place == 1 and self.exponents_decide)
            ):
                x.look()
        numbers = args[1:] if name == "where" else args
        kinds = [
            x.dtype if isinstance(x, Value) else 0.0 if is_number(x) else plain(x) for x in numbers
        ]
        dtype = np.result_type(*kinds)  # a number takes on the dtype of what it meets
        return [self.number(x, dtype) if is_number(x) else x for x in args]

    def number(self, x: SymbolicNumber, dtype: Any) -> Value:
        """An input for a number that may be another at the next call."""
        key = x.text, np.dtype(dtype)
        if key not in self.numbers:
            self.numbers[key] = made = self.input(f"number{len(self.numbers)}", (), dtype)
            made.settings["number"] = x.text
        return self.numbers[key]

    def _reduce(self, name: str, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axes = axis_tuple(axis, x.ndim)
        shape = keepdims_shape(x.shape, axes)
        if not axes:
            return x
        dtype = x.dtype
        if dtype.kind != "f" and name in ("sum", "mean"):
            dtype = np.dtype("float64" if name == "mean" else "int64")
        whole = self.make(name, (x,), shape, dtype, axes=axes)
        short = tuple(n for i, n in enumerate(shape) if i not in axes)
        return whole if keepdims else self.reshape(whole, short)

    def clip(self, x: Value, low: Any, high: Any) -> Value:
        """By maximum and minimum, which have kernels."""
        x = x if low is None else self.maximum(x, low)
        return x if high is None else self.minimum(x, high)

    def astype(self, x: Value, dtype: Any) -> Value:
        """x in another dtype."""
        return x if x.dtype == dtype else self.make("astype", (x,), x.shape, dtype)

    def asarray(self, value: Any, dtype: Any = None) -> Value:
        """A value is an array; so is a number, of no axes."""
        if isinstance(value, Value):
            return value
        if is_number(value):
            return self.number(value, dtype or np.float64)
        return self.from_host(np.asarray(value, dtype))

    def from_host(self, array: np.ndarray) -> Value:
        """A number, of no axes. More of them would be a constant of the program."""
        if array.ndim:
            raise Untraceable("it creates a tensor; pass it as an argument")
        return self.full((), array.item(), array.dtype)

    def index_array(self, value: Any) -> Value:
        """Positions are numbers, too."""
        raise Untraceable("it picks elements by their positions; only slices can be compiled")

    def full(self, shape: Any, value: Any, dtype: Any = None) -> Value:
        """The same number everywhere."""
        if is_number(value):
            return self.broadcast_to(self.number(value, dtype), shape)
        return self.make("full", (plain(value),), shape, dtype)

    def zeros(self, shape: Any, dtype: Any) -> Value:
        """Zeros, which stand for the gradient of what nothing uses."""
        return self.full(shape, 0, dtype)

    def ones(self, shape: Any, dtype: Any) -> Value:
        """Ones."""
        return self.full(shape, 1, dtype)

    def copy(self, x: Value) -> Value:
        """The same value: values never change."""
        return x

    def matmul(self, a: Value, b: Value) -> Value:
        """(..., K) by (K, M)."""
        if a.ndim != 2 or b.ndim != 2:
            raise Untraceable(
                f"a matrix product of shapes {a.shape} and {b.shape}; both need two axes"
            )
        if a.shape[1] != b.shape[0]:
            raise ValueError(f"shapes {a.shape} and {b.shape} do not fit")
        self._same_size(a.shape[1], b.shape[0])
        return self.make(
            "matmul", (a, b), (a.shape[0], b.shape[1]), np.result_type(a.dtype, b.dtype)
        )

    def reshape(self, x: Value, shape: Any) -> Value:
        """The same elements in another shape."""
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if -1 in shape:
            shape = complete_shape(shape, x.shape)
        if self._is_shape_of(x, shape):
            return x
        for n in x.shape:
            if n == 1 and isinstance(n, Dim) and repr(n) not in map(repr, shape):
                self._one(n)
        return self.make("reshape", (x,), shape, x.dtype)

    def broadcast_to(self, x: Value, shape: Sequence[int]) -> Value:
        """x repeated to `shape`."""
        shape = tuple(shape)
        if self._is_shape_of(x, shape):
            return x
        if self._broadcast(x.shape, shape) != shape:
            raise ValueError(f"shape {x.shape} can't be repeated to {shape}")
        for n, wanted in zip(x.shape[::-1], shape[::-1], strict=False):
            if is_one(wanted) and not is_one(n):
                self._one(n)
        return self.make("broadcast_to", (x,), shape, x.dtype)

    def transpose(self, x: Value, axes: Any = None) -> Value:
        """The axes in another order; several in a row are one, or none if all is in its place."""
        in_place = tuple(range(x.ndim))
        axes = in_place[::-1] if axes is None else axis_tuple(axes, x.ndim)
        if sorted(axes) != [*in_place]:
            raise ValueError(f"the axes {axes} are not those of an array {x.shape}")
        if x.op == "transpose":
            axes = tuple(x.settings["axes"][i] for i in axes)
            (x,) = x.args
        if axes == in_place:
            return x
        return self.make("transpose", (x,), [x.shape[i] for i in axes], x.dtype, axes=axes)

    def split(self, x: Value, sections: Sequence[int], axis: int) -> list[Value]:
        """Parts of the given sizes."""
        parts, start = [], 0
        for size in sections:
            parts.append(self._part(x, axis, start, size))
            start = start + size
        return parts

    def _part(self, x: Value, axis: int, start: int, size: int) -> Value:
        if is_all(start, size, x.shape[axis]):
            return x
        if x.op in _SPLITTABLE and axis == x.ndim - 1 and not is_one(x.shape[-1]):
            # A part of a sum is the sum of the parts: a kernel then needs no row for the whole.
            parts = [
                self._part(arg, arg.ndim - 1, start, size)
                if isinstance(arg, Value) and arg.ndim and not is_one(arg.shape[-1])
                else arg
                for arg in x.args
            ]
            return self._elementwise(x.op, *parts)
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return self.make("part", (x,), shape, x.dtype, axis=axis, start=start, size=size)

    def concatenate(self, arrays: Sequence[Value], axis: int = 0) -> Value:
        """Arrays side by side."""
        axis = one_axis(axis, arrays[0].ndim)
        total: int = 0
        for x in arrays:
            total = total + x.shape[axis]
            for i in range(x.ndim):
                if i != axis:
                    self._same_size(x.shape[i], arrays[0].shape[i])
                    if x.shape[i] != arrays[0].shape[i]:
                        raise ValueError(f"shapes {x.shape} and {arrays[0].shape} do not fit")
        shape = (*arrays[0].shape[:axis], total, *arrays[0].shape[axis + 1 :])
        dtype = np.result_type(*(x.dtype for x in arrays))
        filled = [x for x in arrays if not is_none(x.shape[axis])]
        if len(filled) == 1:
            return self.astype(filled[0], dtype)
        return self.make("concatenate", tuple(filled or arrays), shape, dtype, axis=axis)

    def arange(self, n: int) -> Value:
        """0 to n - 1."""
        return self.make("arange", (), (n,), np.dtype("int64"))

    def getitem(self, x: Value, index: Any) -> Value:
        """A slice along the last axis, or one entry per row."""
        if is_one_per_row(index, x.shape):
            hit = self._at(index[1], x.shape[1])
            return self._reduce("sum", self._elementwise("where", hit, x, 0), axis=1)
        start, size = last_slice(index, x.shape)
        return self._part(x, x.ndim - 1, start, size)

    def scatter(self, g: Value, index: Any, shape: Sequence[int]) -> Value:
        """Zeros with g in a slice of the last axis, or with a number of g in each row."""
        if is_one_per_row(index, tuple(shape)):
            hit = self._at(index[1], shape[1])
            return self._elementwise("where", hit, self.reshape(g, (*g.shape, 1)), 0)
        start, size = last_slice(index, tuple(shape))
        if is_all(start, size, shape[-1]):
            return g
        if is_none(size):
            return self.zeros(shape, g.dtype)
        return self.make("place", (g,), tuple(shape), g.dtype, axis=len(shape) - 1, start=start)

    def _at(self, positions: Value, n: int) -> Value:
        """Where in each row a position is: (N, n). A comparison, as kernels know no positions."""
        column = self.reshape(positions, (*positions.shape, 1))
        return self._elementwise("equal", column, self.arange(n))
