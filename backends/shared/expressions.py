"""What is computed of one row's numbers, as the text of expressions, for any target language.

A `Dialect` says how a target writes one op, one number and one cast: a table that can be read.
`Expressions` walks through the values behind a number, and puts such pieces together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.compiler.ir import ELEMENTWISE, TRUTH, Value
from minigrad.compiler.program import Program
from minigrad.compiler.sizes import Dim, Polynomial, form_text
from minigrad.errors import Untraceable

from .regions import is_one, row_width

# How a text names a number that it reads: `leaf(value, start, each)` is for column `start + j` of a
# row of the value, or for column `start` alone if not `each`.
Leaf = Callable[[Value, int, bool], str]

# Constant powers that cost less than a call. Adding zero makes a root of -0 that of 0.
_POWERS: dict[Any, str] = {
    1: "{0}",
    2: "{square}",
    3: "({0} * {square})",
    -1: "({one} / {0})",
    0.5: "sqrt({0} + {zero})",
    -0.5: "({one} / sqrt({0} + {zero}))",
    -1.5: "({one} / ({0} + {zero}) / sqrt({0} + {zero}))",
}

# What most languages write alike; what a dialect has of its own goes before.
_TEMPLATES = {
    "add": "({0} + {1})",
    "subtract": "({0} - {1})",
    "multiply": "({0} * {1})",
    "divide": "({0} / {1})",
    "less": "({0} < {1})",
    "less_equal": "({0} <= {1})",
    "greater": "({0} > {1})",
    "greater_equal": "({0} >= {1})",
    "equal": "({0} == {1})",
    "not_equal": "({0} != {1})",
    "negative": "(-{0})",
    "isnan": "({0} != {0})",
    "isfinite": "(({0} - {0}) == 0)",
}
_CALLS = {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid"}
_CALLS |= {"maximum", "minimum", "relu", "sign", "abs", "square"}
_CALLS |= {"erf", "hypot", "log2", "log10", "tan", "sinh", "cosh", "floor", "ceil", "trunc", "rint"}


@dataclass(frozen=True)
class Dialect:
    """How a target writes elementwise ops on numbers.

    Operands are whole: a name, a literal, a call or something in parentheses; so are results.

    Attributes
    ----------
    templates : by op its expression of the operands {0}, {1}, {2}, and of {zero} and {one} of its
        dtype; those that differ from most languages.
    of_integers : the same, where an op on integers or truth values is written in another way.
    cast : an expression in another dtype.
    literal : a Python number as one of a dtype.
    quotient : the sign for an exact quotient of sizes.
    """

    templates: dict[str, str]
    of_integers: dict[str, str]
    cast: Callable[[str, Any], str]
    literal: Callable[[Any, Any], str]
    quotient: str

    def apply(self, value: Value, operands: list[str]) -> str:
        """An elementwise op on the texts of its operands, in the dtypes that it takes."""
        op, dtype = value.op, value.dtype
        templates = _TEMPLATES | self.templates | (self.of_integers if dtype.kind != "f" else {})
        if op in templates:
            template = templates[op]
        elif op in _CALLS:
            template = f"{op}({', '.join(['{0}', '{1}'][: len(operands)])})"
        else:
            raise Untraceable(f"{op} has no kernel")
        if op == "power" and dtype.kind == "f" and not isinstance(value.args[1], Value):
            template = _POWERS.get(value.args[1], template)
        zero, one = self.literal(0, dtype), self.literal(1, dtype)
        square = templates.get("square", "square({0})").format(*operands)
        return template.format(*operands, zero=zero, one=one, square=square)


class Expressions:
    """Writes expressions for the values of one kernel.

    Parameters
    ----------
    inside : values that the kernel computes.
    named : those of them that other expressions read by name; the rest is written into these.

    Attributes
    ----------
    sizes : the names of sizes in the texts so far, in order: arguments of the kernel.
    """

    def __init__(
        self,
        dialect: Dialect,
        program: Program,
        inside: Collection[Value],
        named: Collection[Value],
    ) -> None:
        self.dialect, self.program = dialect, program
        self._inside, self._named = inside, named
        self.sizes: dict[str, None] = {}

    def size(self, n: int) -> str:
        """A size as text."""
        return size_text(self.program.form(n), self.sizes).replace("//", self.dialect.quotient)

    def size_arguments(self) -> list[str]:
        """The sizes as a kernel's arguments, after N."""
        return size_arguments(self.sizes)

    def column(self, start: int, each: bool) -> str:
        """The number of a column: `start + j`, or `start` if not `each`."""
        if not each:
            return self.size(start)
        return "j" if self.same(start, 0) else f"{self.size(start)} + j"

    def same(self, a: int, b: int) -> bool:
        """Whether two sizes are equal whatever the input."""
        return self.program.form(a) == self.program.form(b)

    def write(
        self, value: Value, leaf: Leaf, start: int = 0, each: bool = True, top: bool = False
    ) -> str:
        """Column `start + j` of a value's row (`start` alone if not `each`) as an expression.

        `top` : it is written for the value's own name, which would else stand for it.
        """
        literal, cast = self.dialect.literal, self.dialect.cast
        if value.op == "full":
            return literal(value.args[0], value.dtype)
        if is_one(row_width(value)):  # the same for every column, whatever part its reader is of
            start, each = 0, False
        elif not value.has_rows and (value.ndim > 2 or not all(map(is_one, value.shape[:-1]))):
            raise Untraceable("a matrix that all rows share meets them")
        if value not in self._inside or (value in self._named and not top):
            return leaf(value, start, each)
        op, args = value.op, value.args
        if op == "part":
            if value.settings["axis"] != value.ndim - 1:
                raise Untraceable("a part of the rows")
            return self.write(args[0], leaf, value.settings["start"] + start, each)
        if op in ("reshape", "broadcast_to"):
            (x,) = args
            if not is_one(row_width(x)) and not self.same(row_width(x), row_width(value)):
                raise Untraceable(f"a reshape from {x.shape} to {value.shape} within a kernel")
            return self.write(x, leaf, start, each)
        if op == "arange":
            return f"({cast(f'({self.column(start, each)})', value.dtype)})"
        if op == "astype":
            return cast(self.write(args[0], leaf, start, each), value.dtype)
        if op not in ELEMENTWISE:
            raise Untraceable(f"{op} within a kernel")
        operands = []
        for arg, dtype in zip(args, _operand_dtypes(value), strict=True):
            if isinstance(arg, Value):
                text = self.write(arg, leaf, start, each)
                operands.append(text if arg.dtype == dtype else cast(text, dtype))
            elif isinstance(arg, Dim):
                operands.append(cast(f"({self.size(arg)})", dtype))
            else:
                operands.append(literal(arg, dtype))
        return self.dialect.apply(value, operands)


def _operand_dtypes(value: Value) -> Iterable[Any]:
    """In which dtype an elementwise op takes each argument."""
    if value.op == "where":
        return np.dtype(bool), value.dtype, value.dtype
    if value.op.startswith("logical"):
        return [np.dtype(bool)] * len(value.args)
    if value.op not in TRUTH:
        return [value.dtype] * len(value.args)
    numbers = (int(a) if isinstance(a, Dim) else a for a in value.args)
    kinds = (a.dtype if isinstance(a, Value) else a for a in numbers)
    return [np.result_type(*kinds)] * len(value.args)


def size_text(form: Polynomial, sizes: dict[str, None]) -> str:
    """A size as text; `sizes` fills up with the names in it."""
    plain = {}
    for names, factor in form.items():
        sizes.update(dict.fromkeys(names))
        plain[tuple(map(plain_name, names))] = factor
    return form_text(plain)


def size_arguments(sizes: Collection[str]) -> list[str]:
    """The sizes as a kernel's arguments, after N."""
    arguments = ["N", *map(plain_name, sizes)]
    if len(set(arguments)) < len(arguments):
        raise Untraceable(f"names of its sizes are too much alike: {', '.join(sizes)}")
    return arguments


def plain_name(name: str) -> str:
    """The name of a size as a name in any language."""
    return "".join(
        c if c.isascii() and c.isalnum() else "_" if c in "._" else f"u{ord(c):x}" for c in name
    )


def describe(value: Value, program: Program) -> str:
    """A value for a reader of a kernel: its name or its op, and its shape."""
    shape = ", ".join(program.size_text(n) for n in value.shape)
    cell = value.line.partition(":")[0]
    return f"{value.name or value.op + (f' in {cell}' if cell else '')} ({shape})"
