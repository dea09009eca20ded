"""Elementwise ops on numbers in Python, as Numba compiles it.

Every number in the text has a dtype: a bare 2.0 would make Numba compute in float64.
"""

from __future__ import annotations

from typing import Any

from ..shared.expressions import Dialect


def cast(text: str, dtype: Any) -> str:
    """An expression in another dtype."""
    return f"({text} != 0)" if dtype.kind == "b" else f"np.{dtype.name}({text})"


def literal(x: Any, dtype: Any) -> str:
    """A Python number as one of a dtype."""
    if dtype.kind == "b":
        return repr(bool(x))
    if dtype.kind != "f":
        return f"np.{dtype.name}({int(x)})"
    text = repr(float(x))
    return f"np.{dtype.name}({text if text[-1].isdigit() else f'float({text!r})'})"  # inf, nan


_OF_NUMPY = {
    **{name: f"np.{name}({{0}})" for name in ("log2", "log10", "floor", "ceil", "trunc", "rint")},
    "mod": "modulo({0}, {1})",
    "floor_divide": "floored({0}, {1})",
    **{name: f"np.{name}({{0}})" for name in ("tan", "arcsin", "arccos", "arctan")},
    **{name: f"np.{name}({{0}})" for name in ("sinh", "cosh", "arcsinh", "arccosh", "arctanh")},
    **{name: f"np.{name}({{0}}, {{1}})" for name in ("arctan2", "hypot")},
}

NUMBA = Dialect(
    templates=_OF_NUMPY
    | {
        "logical_and": "({0} & {1})",
        "logical_or": "({0} | {1})",
        "logical_not": "(not {0})",
        "power": "({0} ** {1})",
        "square": "({0} * {0})",
        "relu": "select({0} <= {zero}, {zero}, {0})",
        "sign": "select({0} > {zero}, {one}, select({0} < {zero}, -{one}, {0}))",
        "where": "select({0}, {1}, {2})",
    },
    of_integers={
        "mod": "np.remainder({0}, {1})",
        "floor_divide": "np.floor_divide({0}, {1})",
        "maximum": "select({0} >= {1}, {0}, {1})",
        "minimum": "select({0} <= {1}, {0}, {1})",
    },
    cast=cast,
    literal=literal,
    quotient="//",
)
