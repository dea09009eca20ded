"""The symbolic backend: its arrays hold no numbers, only shape, dtype and the op that made them.

The compiler is a backend like any other: running a cell on it, and the engine's ordinary
backward pass over what comes out, yields the program of one time step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from ..messages import frame_outside
from ..ops.axes import axis_tuple, kept, one_axis
from .sizes import Dim


class Untraceable(Exception):
    """The cell does something that a program of one step can't hold; the text says what."""


class Value:
    """An array without numbers: shape, dtype, the op that makes it, and from which values."""

    __slots__ = (
        "__weakref__",
        "args",
        "backend",
        "dtype",
        "line",
        "name",
        "op",
        "settings",
        "shape",
    )

    def __init__(
        self,
        backend: SymbolicBackend,
        op: str,
        args: tuple[Any, ...],
        settings: dict[str, Any],
        shape: Sequence[int],
        dtype: Any,
        name: str = "",
    ) -> None:
        self.backend, self.op, self.args, self.settings = backend, op, args, settings
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.name, self.line = name, ""

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def has_rows(self) -> bool:
        """Whether its first axis is N: a row per sequence."""
        n = self.shape[0] if self.shape else 0
        return isinstance(n, Dim) and n.form == {("N",): 1}

    @property
    def size(self) -> int:
        """How many elements."""
        total: Any = 1
        for n in self.shape:
            total = total * n
        return total

    @property
    def inputs(self) -> list[Value]:
        """The values among its arguments."""
        return [arg for arg in self.args if isinstance(arg, Value)]

    def __repr__(self) -> str:
        return f"<value {self.name or self.op} {self.shape}>"


class Traced(Value):
    """A value while the cell runs: it takes part in arithmetic, and refuses to show numbers."""

    __slots__ = ()

    def _refuse(self, *_: Any) -> Any:
        raise Untraceable(
            "it looks at the numbers in a tensor, which a program of one step has not"
        )

    __bool__ = __float__ = __int__ = __index__ = item = _refuse  # type: ignore[assignment]
    __hash__ = Value.__hash__


def _binary(name: str) -> tuple[Any, Any]:
    def forward(self: Value, other: Any) -> Any:
        return getattr(self.backend, name)(self, other)

    def reflected(self: Value, other: Any) -> Any:
        return getattr(self.backend, name)(other, self)

    return forward, reflected


for _symbol, _name in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "matmul": "matmul",
}.items():
    _forward, _reflected = _binary(_name)
    setattr(Traced, f"__{_symbol}__", _forward)
    setattr(Traced, f"__r{_symbol}__", _reflected)
for _symbol, _name in {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}.items():
    setattr(Traced, f"__{_symbol}__", _binary(_name)[0])
setattr(Traced, "__neg__", lambda self: self.backend.negative(self))  # noqa: B010

TRUTH = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
TRUTH |= {"logical_and", "logical_or", "logical_not", "isnan", "isfinite"}
ELEMENTWISE = TRUTH | {"add", "subtract", "multiply", "divide", "negative", "power", "square"}
ELEMENTWISE |= {"exp", "log", "log1p", "expm1", "sqrt", "abs", "sign", "sin", "cos", "tanh"}
ELEMENTWISE |= {"sigmoid", "relu", "softplus", "maximum", "minimum", "where"}
_SPLITTABLE = {"add", "subtract", "multiply", "divide", "negative"}
REDUCTIONS = {"sum", "mean", "max", "min"}


class SymbolicBackend:
    """Ops on values: nothing is computed, shapes and dtypes are."""

    name = "symbolic"
    device = "none"
    is_host = False
    array_type = Traced

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.in_cell = True  # rather than in its backward pass, where no line is the cell's
        self.equal_sizes: list[tuple[int, int]] = []  # pairs that the cell needs to be equal
        self._known: dict[Any, Value] = {}
        for name in ELEMENTWISE:
            setattr(self, name, partial(self._elementwise, name))
        for name in REDUCTIONS:
            setattr(self, name, partial(self._reduce, name))

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"{name} can't be part of a compiled step")

    def make(
        self, op: str, args: tuple[Any, ...], out: Sequence[int], dtype: Any, **settings: Any
    ) -> Value:
        """The value of this op call; of the same call again, the same value."""
        key = (
            op,
            tuple(id(arg) if isinstance(arg, Value) else (type(arg), arg) for arg in args),
            repr(settings),
        )
        if key not in self._known:
            value = Traced(self, op, args, settings, out, dtype)
            value.line = _cell_line() if self.in_cell else ""
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

    # --- shapes ----------------------------------------------------------------------------

    def _same_size(self, a: int, b: int) -> None:
        if isinstance(a, Dim) or isinstance(b, Dim):
            self.equal_sizes.append((a, b))

    def _broadcast(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        width = max(len(shape) for shape in shapes)
        out: list[int] = []
        for sizes in zip(*((1,) * (width - len(s)) + tuple(s) for s in shapes), strict=True):
            chosen = 1
            for n in sizes:
                if n == 1 and not isinstance(n, Dim):
                    continue
                if chosen == 1 and not isinstance(chosen, Dim):
                    chosen = n
                elif n == chosen:
                    self._same_size(n, chosen)
                elif 1 in (n, chosen):
                    raise Untraceable(f"sizes {n!r} and {chosen!r} broadcast only where one is 1")
                else:
                    raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not fit together")
            out.append(chosen)
        return tuple(out)

    # --- ops -------------------------------------------------------------------------------

    def _elementwise(self, name: str, *args: Any) -> Value:
        arrays = [arg for arg in args if isinstance(arg, Value)]
        for arg in args:
            if not isinstance(arg, (Value, int, float)):
                raise Untraceable(f"{name} meets a {type(arg).__name__} from outside the cell")
        shape = self._broadcast(*(x.shape for x in arrays))
        if name in TRUTH:
            dtype = np.dtype(bool)
        else:
            numbers = args[1:] if name == "where" else args
            kinds = [x.dtype if isinstance(x, Value) else _plain(x) for x in numbers]
            dtype = np.result_type(*kinds)
        return self.make(name, args, shape, dtype)

    def _reduce(self, name: str, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axes = axis_tuple(axis, x.ndim)
        shape = kept(x.shape, axes)
        if not axes:
            return x
        whole = self.make(name, (x,), shape, x.dtype, axes=axes)
        short = tuple(n for i, n in enumerate(shape) if i not in axes)
        return whole if keepdims else self.reshape(whole, short)

    def clip(self, x: Value, low: Any, high: Any) -> Value:
        """By maximum and minimum, which have kernels."""
        x = x if low is None else self.maximum(x, low)
        return x if high is None else self.minimum(x, high)

    def astype(self, x: Value, dtype: Any) -> Value:
        """x in another dtype."""
        return (
            x
            if x.dtype == dtype
            else self.make("astype", (x,), x.shape, dtype, dtype=np.dtype(dtype).name)
        )

    def asarray(self, value: Any, dtype: Any = None) -> Value:
        """Only values are arrays here."""
        if isinstance(value, Value):
            return value
        raise Untraceable("it makes a tensor of its own; hand it in through the parameters")

    full = zeros = ones = arange = from_host = asarray  # type: ignore[assignment]

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
        if len(shape) == x.ndim and all(a == b for a, b in zip(shape, x.shape, strict=True)):
            return x
        return self.make("reshape", (x,), shape, x.dtype, shape=shape)

    def broadcast_to(self, x: Value, shape: Sequence[int]) -> Value:
        """x repeated to `shape`."""
        shape = tuple(shape)
        if len(shape) == x.ndim and all(a == b for a, b in zip(shape, x.shape, strict=True)):
            return x
        self._broadcast(x.shape, shape)
        return self.make("broadcast_to", (x,), shape, x.dtype, shape=shape)

    def transpose(self, x: Value, axes: Any = None) -> Value:
        """The axes in another order."""
        axes = tuple(range(x.ndim))[::-1] if axes is None else axis_tuple(axes, x.ndim)
        if x.op == "transpose" and x.ndim == 2 and axes == (1, 0):
            return x.args[0]
        return self.make("transpose", (x,), [x.shape[i] for i in axes], x.dtype, axes=axes)

    def split(self, x: Value, sections: Sequence[int], axis: int) -> list[Value]:
        """Parts of the given sizes."""
        parts, start = [], 0
        for size in sections:
            parts.append(self._part(x, axis, start, size))
            start = start + size
        return parts

    def _part(self, x: Value, axis: int, start: int, size: int) -> Value:
        if x.op in _SPLITTABLE and axis == x.ndim - 1:
            # A part of a sum is the sum of the parts: a kernel then needs no row for the whole.
            parts = [
                self._part(arg, arg.ndim - 1, start, size)
                if isinstance(arg, Value) and arg.ndim and isinstance(arg.shape[-1], Dim)
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
        shape = (*arrays[0].shape[:axis], total, *arrays[0].shape[axis + 1 :])
        dtype = np.result_type(*(x.dtype for x in arrays))
        return self.make("concatenate", tuple(arrays), shape, dtype, axis=axis)

    def getitem(self, x: Value, index: Any) -> Value:
        """A slice along the last axis."""
        start, size = _last_slice(index, x.shape)
        return self._part(x, x.ndim - 1, start, size)

    def scatter(self, g: Value, index: Any, shape: Sequence[int]) -> Value:
        """Zeros with g in a slice of the last axis."""
        start, _ = _last_slice(index, tuple(shape))
        return self.make("place", (g,), tuple(shape), g.dtype, axis=len(shape) - 1, start=start)


def _plain(x: Any) -> Any:
    return int(x) if isinstance(x, Dim) else x


def _last_slice(index: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    parts = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    last = parts[-1]
    ahead = [part for part in parts[:-1] if part is not ...]
    reaches = ... in parts or len(parts) == len(shape)
    if (
        not reaches
        or not isinstance(last, slice)
        or last.step not in (None, 1)
        or any(p != whole for p in ahead)
    ):
        raise Untraceable(f"the index {index!r}; only slices of the last axis can be compiled")
    n = shape[-1]

    def at(cut: Any, default: int) -> int:
        if cut is None:
            return default
        return n + cut if cut < 0 else (cut if cut <= n else n)

    start, stop = at(last.start, 0), at(last.stop, n)
    return start, stop - start


def _cell_line() -> str:
    """Where in the cell a value is made."""
    frame = frame_outside("minigrad", but="minigrad.models")
    return f"{frame.f_code.co_name}:{frame.f_lineno}"
