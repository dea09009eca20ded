"""Elementwise ops on numbers in CUDA C++, and the functions of our own that they call.

Operands come in the dtype of the op, so that `exp` of a float is the float one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..shared.expressions import Dialect

TYPES = {"bool": "bool", "int32": "int", "int64": "long long"}
TYPES |= {"float32": "float", "float64": "double"}

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
    "modulo": """\
template <typename T> __device__ T modulo(T a, T b) {  // with the sign of b
    const T rest = fmod(a, b);
    if (rest == 0) return copysign(T(0), b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}
""",
    "floored": """\
template <typename T> __device__ T floored(T a, T b) {  // a / b, rounded down
    if (b == 0) return a / b;
    const T rest = fmod(a, b);
    const T exact = (a - rest) / b - (rest != 0 && (rest < 0) != (b < 0) ? 1 : 0);
    const T down = floor(exact);  // but for rounding it is a whole number already
    return exact == 0 ? copysign(T(0), a / b) : exact - down > T(0.5) ? down + 1 : down;
}
""",
    "int_modulo": """\
template <typename T> __device__ T int_modulo(T a, T b) {  // by 0 it is 0, as in NumPy
    if (b == 0 || (T(-1) < 0 && b == T(-1))) return 0;
    const T rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
""",
    "int_floored": """\
template <typename T> __device__ T int_floored(T a, T b) {  // by 0 it is 0, as in NumPy
    if (b == 0) return 0;
    if (T(-1) < 0 && b == T(-1)) return T(0 - (unsigned long long)a);  // of the least: itself
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
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
    __syncthreads();  // all have read it before one writes the next
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


def used_helpers(text: str) -> list[str]:
    """The helpers that a text calls, in the order in which they need each other."""
    found: list[str] = []
    for name in reversed(HELPERS):
        if any(f"{name}(" in part for part in [text, *found]):
            found.insert(0, HELPERS[name])
    return found


def strip_parentheses(text: str) -> str:
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


def literal(x: Any, dtype: Any) -> str:
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
        return literal(-np.inf if op == "max" else np.inf, dtype)
    return (_LOWEST if op == "max" else _HIGHEST)[dtype.name]


_ARCS = ("sin", "cos", "tan", "sinh", "cosh", "tanh")

CUDA = Dialect(
    templates={f"arc{name}": f"a{name}({{0}})" for name in _ARCS}
    | {
        "arctan2": "atan2({0}, {1})",
        "mod": "modulo({0}, {1})",
        "floor_divide": "floored({0}, {1})",
        "logical_and": "({0} && {1})",
        "logical_or": "({0} || {1})",
        "logical_not": "(!{0})",
        "abs": "fabs({0})",
        "power": "pow({0}, {1})",
        "where": "({0} ? {1} : {2})",
    },
    of_integers={
        "abs": "absolute({0})",
        "power": "power({0}, {1})",
        "mod": "int_modulo({0}, {1})",
        "floor_divide": "int_floored({0}, {1})",
    },
    cast=cast,
    literal=literal,
    quotient="/",
)
