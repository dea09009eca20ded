"""What a kernel calls, for Python: to run its text uncompiled, as `minigrad mutate` does."""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import njit

from .kernel_products import add_product, product, product_onto


@cache
def names_for_python() -> dict[str, Any]:
    """By name, functions that Python may call, of those that only compiled code can."""
    return {
        "row": lambda array, at: array[at[:-1]][at[-1] :],
        "widest_vectors": lambda: None,
        "fence": lambda x: x,
        "select": lambda condition, a, b: a if condition else b,
        "larger": lambda a, b: a if a > b else b,
        "smaller": lambda a, b: a if a < b else b,
        "product": njit(lambda gemm, a, packed, c, lo, hi: product(gemm, a, packed, c, lo, hi)),
        "product_onto": njit(
            lambda gemm, start, a, packed, c, lo, hi: product_onto(
                gemm, start, a, packed, c, lo, hi
            )
        ),
        "add_product": njit(
            lambda gemm, packing, a, b, total, lo, hi: add_product(
                gemm, packing, a, b, total, lo, hi
            )
        ),
    }
