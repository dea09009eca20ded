"""Quotients rounded down, and what is left of them, to the last bit as NumPy has them.

CuPy's own multiply a rounded quotient back, which loses digits of large ones and all of infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.utils.summation import HALF, SINGLE

from .dialect import used_helpers

__all__ = ["WholeDivision"]


class WholeDivision:
    """`mod` and `floor_divide` of CuPy arrays and numbers."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._kernels = {
            name: cupy.ElementwiseKernel(
                "T a, T b",
                "T y",
                f"y = {name}(a, b)",
                f"minigrad_{name}",
                preamble="".join(used_helpers(f"{name}(")),
            )
            for name in ("modulo", "floored", "int_modulo", "int_floored")
        }
        self.mod: Callable[[Any, Any], Any] = self._of("modulo")
        self.floor_divide: Callable[[Any, Any], Any] = self._of("floored")

    def _of(self, name: str) -> Callable[[Any, Any], Any]:
        def call(a: Any, b: Any) -> Any:
            dtype = np.result_type(*(getattr(x, "dtype", x) for x in (a, b)))
            if dtype.kind == "b":
                dtype = np.dtype("int8")  # as in NumPy
            wide = SINGLE if dtype == HALF else dtype
            arrays = (self._cupy.asarray(x, dtype=wide) for x in (a, b))
            kernel = self._kernels[name if dtype.kind == "f" else f"int_{name}"]
            return kernel(*arrays).astype(dtype, copy=False)

        return call
