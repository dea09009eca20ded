"""Values: arrays of a program, which hold no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import Untraceable
from .sizes import Dim

TRUTH = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
TRUTH |= {"logical_and", "logical_or", "logical_not", "isnan", "isfinite"}
FLOATING = {"divide", "sqrt", "hypot", "sigmoid"}  # of integers, too
FLOATING |= {"erf", "exp", "expm1", "log", "log2", "log10", "log1p"}
FLOATING |= {"sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2"}
FLOATING |= {"sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"}
ELEMENTWISE = TRUTH | FLOATING | {"add", "subtract", "multiply", "negative", "power", "square"}
ELEMENTWISE |= {"abs", "sign", "relu", "maximum", "minimum", "where"}
ELEMENTWISE |= {"floor", "ceil", "trunc", "rint", "mod", "floor_divide"}
REDUCTIONS = {"sum", "mean", "max", "min"}


class Value:
    """An array without numbers: shape, dtype, the op that makes it, and from which values.

    `line` says where in the cell it is made, `target` what the cell assigns there: `h`, or `f, g`.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "backend",
        "dtype",
        "label",
        "line",
        "name",
        "op",
        "settings",
        "shape",
        "target",
    )

    def __init__(
        self,
        backend: Any,
        op: str,
        args: tuple[Any, ...],
        settings: dict[str, Any],
        shape: Sequence[int],
        dtype: Any,
        name: str = "",
    ) -> None:
        self.backend, self.op, self.args, self.settings = backend, op, args, settings
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.name, self.line, self.target = name, "", ""
        self.label = ""  # what `mg.probe` calls it

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
    def counts_rows(self) -> bool:
        """Whether some axis grows with N."""
        return any(isinstance(n, Dim) and n.counts_rows for n in self.shape)

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

    @property
    def is_number(self) -> bool:
        """Whether it is a Python number, which a kernel takes as an argument."""
        return "number" in self.settings

    def __repr__(self) -> str:
        return f"<value {self.name or self.op} {self.shape}>"


class Traced(Value):
    """A value while the cell runs: it takes part in arithmetic, and refuses to show numbers."""

    __slots__ = ()

    __hash__ = Value.__hash__

    def __bool__(self) -> bool:
        return no_numbers()

    def __neg__(self) -> Any:
        return self.backend.negative(self)

    __float__ = __int__ = __index__ = __iter__ = __len__ = __bool__
    __array__ = __bool__


def no_numbers(*_: Any) -> Any:
    """What stands where a value would have to show numbers."""
    raise Untraceable("it reads a tensor's values, which do not exist while it is traced")


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
