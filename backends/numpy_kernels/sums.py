"""Sums and means: precise, and as quick as NumPy's where those are precise already."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.utils import summation
from minigrad.utils.summation import HALF

# Called by position: to sort out names takes it as long as to add a few numbers.
_add: Any = np.add.reduce


def total(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The sum, of many numbers pairwise, of float16 in float32."""
    if x.dtype == HALF:
        return summation.total(x, axis, keepdims).astype(HALF)
    if x.size <= summation.FEW or _adds_well(x, axis):
        return _add(x, axis, None, None, keepdims)
    return summation.total(x, axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The mean; of integers and truth values in float64."""
    if x.dtype != HALF and (x.size <= summation.FEW or _adds_well(x, axis)):
        y = _add(x, axis, None, None, keepdims)
    else:
        y = summation.total(x, axis, keepdims)
    y = y / (x.size // y.size if y.size else 1)
    return y.astype(HALF) if x.dtype == HALF else y


def _adds_well(x: Any, axis: Any) -> bool:
    """Whether NumPy's sum is that of `summation.total`, which takes longer to find out."""
    if axis == (0,):
        return x.ndim > 0 and x.shape[0] <= summation.FEW
    return axis == -1 and x.flags.c_contiguous
