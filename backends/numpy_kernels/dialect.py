"""Elementwise ops on whole arrays, as NumPy writes them: each into an array that is there already.

Every op has NumPy's own name but for those of this file, so that the numbers are those that the op
gives when it runs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# What a ufunc of another name computes.
UFUNCS = {"abs": "absolute", "mod": "remainder", "divide": "true_divide", "max": "maximum"}
UFUNCS |= {"min": "minimum"}
_NAMED_ALIKE = {"add", "subtract", "multiply", "negative", "power", "square", "sign"}
_NAMED_ALIKE |= {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
_NAMED_ALIKE |= {"logical_and", "logical_or", "logical_not", "isnan", "isfinite"}
_NAMED_ALIKE |= {"sqrt", "hypot", "exp", "expm1", "log", "log2", "log10", "log1p"}
_NAMED_ALIKE |= {"sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2"}
_NAMED_ALIKE |= {"sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"}
_NAMED_ALIKE |= {"maximum", "minimum", "floor", "ceil", "trunc", "rint", "floor_divide"}


def sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    """1 / (1 + exp(-x)), into `out`."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)


def ufunc(op: str) -> str | None:
    """The name of NumPy's function for an op that writes into an array; None if there is none."""
    return op if op in _NAMED_ALIKE else UFUNCS.get(op)


def literal(x: Any, dtype: Any) -> str:
    """A Python number as one of a dtype."""
    if dtype.kind == "b":
        return repr(bool(x))
    if dtype.kind != "f":
        return repr(int(x))
    text = repr(float(x))
    return text if text[-1].isdigit() else f"float({text!r})"  # inf, nan
