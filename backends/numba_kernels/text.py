"""Elementwise ops on numbers, as the text of expressions for Numba.

Every number in the text has a dtype: a bare 2.0 would make Numba compute in float64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.compiler.ir import TRUTH, Value
from minigrad.compiler.sizes import Dim
from minigrad.errors import Untraceable

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_INFIX |= {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_INFIX |= {"equal": "==", "not_equal": "!=", "logical_and": "and", "logical_or": "or"}
_CALLS = {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "abs"}


def applied(value: Value, parts: list[str]) -> str:
    """An elementwise op on the texts of its arguments."""
    op = value.op
    x, *rest = parts
    if op in _INFIX:
        return f"({x} {_INFIX[op]} {rest[0]})"
    if op in _CALLS:
        return f"{op}({x})"
    zero, one = number(0, value.dtype), number(1, value.dtype)
    if op == "power":
        exponent = value.args[1]
        known = {
            2: f"({x} * {x})",
            3: f"({x} * {x} * {x})",
            1: x,
            0.5: f"sqrt({x} + {zero})",
        }  # the power of -0 is 0
        known |= {-0.5: f"({one} / sqrt({x} + {zero}))", -1: f"({one} / {x})"}
        if value.dtype.kind == "f" and not isinstance(exponent, Value) and exponent in known:
            return known[exponent]
        return f"({x} ** {rest[0]})"
    if op == "negative":
        return f"(-{x})"
    if op == "square":
        return f"({x} * {x})"
    if op == "relu":
        return f"({x} if {x} > {zero} or {x} != {x} else {zero})"
    if op == "sign":
        return f"({one} if {x} > {zero} else (-{one} if {x} < {zero} else {x}))"
    if op == "where":
        return f"({rest[0]} if {x} else {rest[1]})"
    if op in ("maximum", "minimum"):
        if value.dtype.kind == "f":
            return f"{op}({x}, {rest[0]})"
        better = ">=" if op == "maximum" else "<="
        return f"({x} if {x} {better} {rest[0]} else {rest[0]})"
    if op == "logical_not":
        return f"(not {x})"
    if op == "isnan":
        return f"({x} != {x})"
    if op == "isfinite":
        return f"(({x} - {x}) == 0)"
    raise Untraceable(f"{op} has no kernel")


def operand_dtypes(value: Value) -> Iterable[Any]:
    """In which dtype an elementwise op takes each argument."""
    if value.op == "where":
        return np.dtype(bool), value.dtype, value.dtype
    if value.op.startswith("logical"):
        return [np.dtype(bool)] * len(value.args)
    if value.op not in TRUTH:
        return [value.dtype] * len(value.args)
    kinds = (a.dtype if isinstance(a, Value) else _plain(a) for a in value.args)
    return [np.result_type(*kinds)] * len(value.args)


def cast(text: str, dtype: Any) -> str:
    """An expression in another dtype."""
    return f"({text} != 0)" if dtype.kind == "b" else f"np.{dtype.name}({text})"


def number(x: Any, dtype: Any) -> str:
    """A Python number as one of a dtype."""
    if dtype.kind == "b":
        return repr(bool(x))
    if dtype.kind != "f":
        return f"np.{dtype.name}({int(x)})"
    text = repr(float(x))
    return f"np.{dtype.name}({text if text[-1].isdigit() else f'float({text!r})'})"  # inf, nan


def _plain(x: Any) -> Any:
    return int(x) if isinstance(x, Dim) else x
