"""Elementwise ops on numbers, as the text of expressions in CUDA C++.

Operands come in the dtype of the op, so that `exp` of a float is the float one. Text that goes in
is whole: a name, a literal, a call or something in parentheses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.compiler.ir import Value
from minigrad.errors import Untraceable

TYPES = {"bool": "bool", "int32": "int", "int64": "long long"}
TYPES |= {"float32": "float", "float64": "double"}

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_INFIX |= {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_INFIX |= {"equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||"}
_LIBRARY = {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh"}  # of CUDA's own
_LOWEST = {"bool": "false", "int32": "(-2147483647 - 1)"}
_LOWEST |= {"int64": "(-9223372036854775807LL - 1)"}
_HIGHEST = {"bool": "true", "int32": "2147483647", "int64": "9223372036854775807LL"}

# Functions of our own, which a kernel's file gets if it calls them. NaN comes through all of them.
HELPERS = {
    "sigmoid": """\
template <typename T> __device__ T sigmoid(T x) {
    const T e = exp(x < 0 ? x : -x);  // at most 1: no overflow, and precise in both tails
    return (x < 0 ? e : T(1)) / (1 + e);
}
""",
    "relu": "template <typename T> __device__ T relu(T x) { return x > 0 || x != x ? x : T(0); }\n",
    "sign": """\
template <typename T> __device__ T sign(T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; }
""",
    "square": "template <typename T> __device__ T square(T x) { return x * x; }\n",
    "absolute": "template <typename T> __device__ T absolute(T x) { return x < 0 ? -x : x; }\n",
    "maximum": """\
template <typename T> __device__ T maximum(T a, T b) { return a >= b || a != a ? a : b; }
""",
    "minimum": """\
template <typename T> __device__ T minimum(T a, T b) { return a <= b || a != a ? a : b; }
""",
    "power": """\
template <typename T> __device__ T power(T x, T n) {  // of integers
    T y = 1;
    for (; n > 0; n /= 2, x *= x)
        if (n % 2) y *= x;
    return y;
}
""",
}


def _over_block(name: str, combined: str) -> str:
    """A reduction over the numbers that the threads of a block hold, the same for all of them."""
    return f"""\
template <typename T> __device__ T block_{name}(T x) {{
    __shared__ T held[MOST_THREADS];
    held[threadIdx.x] = x;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {{
        if (threadIdx.x < half) {{
            const T a = held[threadIdx.x], b = held[threadIdx.x + half];
            held[threadIdx.x] = {combined};
        }}
        __syncthreads();
    }}
    x = held[0];
    __syncthreads();  // all have read it before anybody writes the next
    return x;
}}
"""


HELPERS |= {
    "add_to": """\
template <typename T> __device__ void add_to(T& sum, T& lost, T x) {  // what rounding took is kept
    const T before = sum;
    sum += x;
    const T added = sum - before;
    lost += (before - (sum - added)) + (x - added);
}
""",
    "whole": """\
template <typename T> __device__ T whole(T sum, T lost) { return lost == lost ? sum + lost : sum; }
""",
    "block_sum": _over_block("sum", "a + b"),
    "block_max": _over_block("max", "maximum(a, b)"),
    "block_min": _over_block("min", "minimum(a, b)"),
}


def applied(value: Value, parts: list[str]) -> str:
    """An elementwise op on the texts of its arguments."""
    op, dtype = value.op, value.dtype
    x, *rest = parts
    if op in _INFIX:
        return f"({x} {_INFIX[op]} {rest[0]})"
    if op in _LIBRARY or op in ("sigmoid", "relu", "sign", "square"):
        return f"{op}({x})"
    if op in ("maximum", "minimum"):
        return f"{op}({x}, {rest[0]})"
    if op == "abs":
        return f"fabs({x})" if dtype.kind == "f" else f"absolute({x})"
    if op == "power":
        return _power(value, x, rest[0])
    if op == "negative":
        return f"(-{x})"
    if op == "where":
        return f"({x} ? {rest[0]} : {rest[1]})"
    if op == "logical_not":
        return f"(!{x})"
    if op == "isnan":
        return f"({x} != {x})"
    if op == "isfinite":
        return f"({x} - {x} == 0)"
    raise Untraceable(f"{op} has no kernel")


def _power(value: Value, x: str, exponent: str) -> str:
    known = value.args[1]
    if value.dtype.kind != "f":
        return f"power({x}, {exponent})"
    if not isinstance(known, Value):
        one, zero = number(1, value.dtype), number(0, value.dtype)
        simple = {1: x, 2: f"square({x})", 0.5: f"sqrt({x} + {zero})", -1: f"({one} / {x})"}
        simple |= {3: f"({x} * square({x}))", -0.5: f"({one} / sqrt({x} + {zero}))"}
        if known in simple:
            return simple[known]
    return f"pow({x}, {exponent})"


def helpers(text: str) -> list[str]:
    """The helpers that a text calls, in the order in which they need each other."""
    found: list[str] = []
    for name in reversed(HELPERS):
        if any(f"{name}(" in part for part in [text, *found]):
            found.insert(0, HELPERS[name])
    return found


def bare(text: str) -> str:
    """An expression without parentheses around all of it."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if not depth and i < len(text) - 1:
            return text
    return text[1:-1] if text[0] == "(" else text


def cast(text: str, dtype: Any) -> str:
    """An expression in another dtype."""
    return f"({text} != 0)" if dtype.kind == "b" else f"({TYPES[dtype.name]}){text}"


def number(x: Any, dtype: Any) -> str:
    """A Python number as a literal of a dtype."""
    if dtype.kind == "b":
        return "true" if x else "false"
    suffix = {"int64": "LL", "float32": "f"}.get(dtype.name, "")
    x = dtype.type(x)
    if np.isfinite(x):
        return f"{x!s}{suffix}" if x >= 0 else f"({x!s}{suffix})"
    sign = "0.0" if np.isnan(x) else "1.0" if x > 0 else "-1.0"
    return f"({sign}{suffix} / 0.0{suffix})"


def bound(op: str, dtype: Any) -> str:
    """What a maximum or minimum starts from."""
    if dtype.kind == "f":
        return number(-np.inf if op == "max" else np.inf, dtype)
    return (_LOWEST if op == "max" else _HIGHEST)[dtype.name]
