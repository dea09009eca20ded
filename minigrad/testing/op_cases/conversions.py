"""The lines of the op table for conversions between dtypes and backends."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg

from ...ops.convert import cast, discretize
from ..cases import Case, calls, each, real

__all__ = ["CONVERSION_CASES"]


def _there_and_back(x: Any) -> Any:
    host = mg.get_backend("numpy")
    return mg.transfer(mg.transfer(x, host), x.backend)


CONVERSION_CASES: dict[str, list[Case]] = {
    "astype": calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3), real()], each("dtype", "float64")
    )
    + calls(
        mg.astype, lambda x, dtype: x.astype(dtype), [real(2, 3)], each("dtype", "int64"), "none"
    ),
    "cast": calls(cast, lambda x, dtype: x.astype(dtype), [real(3)], each("dtype", np.dtype("f8"))),
    "discretize": calls(
        discretize, lambda x, dtype: x.astype(dtype), [real(3)], each("dtype", "int64"), "none"
    ),
    "transfer": calls(_there_and_back, lambda x: x, [real(2, 3), real(), real(0, 2)]),
}
