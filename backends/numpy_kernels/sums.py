"""Sums: precise, and as quick as NumPy's where those are precise already."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.utils import summation
from minigrad.utils.summation import HALF

# Called by position: to sort out names takes it as long as to add a few numbers.
_add: Any = np.add.reduce


def total(x: Any, axis: Any, keepdims: bool) -> Any:
    """The sum, of many numbers pairwise; that of float16 numbers is in float32."""
    if x.dtype != HALF and (x.size <= summation.FEW or _adds_well(x, axis)):
        return _add(x, axis, None, None, keepdims)
    return summation.total(x, axis, keepdims)


def _adds_well(x: Any, axis: Any) -> bool:
    """Whether NumPy's sum is that of `summation.total`, which takes longer to find out."""
    if axis == (0,):
        return x.ndim > 0 and x.shape[0] <= summation.FEW
    return axis == -1 and x.flags.c_contiguous
