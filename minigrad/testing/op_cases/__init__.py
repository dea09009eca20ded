"""The op table: one line per op, composite, activation and loss, from which all its checks come.

A line says how the function is called, on what inputs, and what NumPy says. An op without a line
fails the tests. The checks themselves are in `minigrad.testing.checks`. The lines stand in the
files of this folder, by family.
"""

from __future__ import annotations

from ..cases import Case
from .conversions import CONVERSION_CASES
from .elementwise import ELEMENTWISE_CASES
from .functions import FUNCTION_CASES
from .linear_algebra import LINEAR_ALGEBRA_CASES
from .order import ORDER_CASES
from .positions import POSITION_CASES
from .products import PRODUCT_CASES
from .reductions import REDUCTION_CASES
from .running import RUNNING_CASES
from .shape import SHAPE_CASES
from .softmaxes import SOFTMAX_CASES
from .truth import TRUTH_CASES

__all__ = ["OP_CASES"]

OP_CASES: dict[str, list[Case]] = {
    **ELEMENTWISE_CASES,
    **TRUTH_CASES,
    **REDUCTION_CASES,
    **RUNNING_CASES,
    **PRODUCT_CASES,
    **LINEAR_ALGEBRA_CASES,
    **SHAPE_CASES,
    **POSITION_CASES,
    **ORDER_CASES,
    **CONVERSION_CASES,
    **SOFTMAX_CASES,
    **FUNCTION_CASES,
}
