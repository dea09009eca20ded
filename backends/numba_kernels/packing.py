"""The right operand of a product in panels: columns side by side, term after term."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from . import rearrange, register_block, vectors
from .machine_code import MachineCode, compile_code, value_of
from .rearrange import copy_row, transpose_tile
from .register_block import VECTORS
from .vectors import Vectors, float_type, vector_lanes

_SOURCES = [str(module.__file__) for module in (vectors, rearrange, register_block)]
_SOURCES.append(__file__)

_FEW_TERMS = 8  # of a row-by-row matrix, moved before the next panel's: they stay in cache


@cache
def panel_width(dtype: Any) -> int:
    """NR, the columns of a panel."""
    return vector_lanes(np.dtype(dtype).itemsize) * VECTORS


@cache
def packer(dtype: np.dtype) -> MachineCode:
    """The compiled function that fills panels: (b, b_term, b_column, terms, columns, panels).

    They are addresses, and distances in bytes. `panels` gets (panels, terms, NR) numbers, and zeros
    where there are no columns. The numbers of b are side by side along its terms or its columns.
    """
    size, width = dtype.itemsize, panel_width(dtype)
    lanes = vector_lanes(size)

    def by_terms(code: Any, write: Any, b: Any, b_term: Any, terms: Any, columns: Any, to: Any):
        """Rows of b, in parts."""
        with code.loop(terms, _FEW_TERMS) as k0, code.loop(columns, width) as j:
            count = code.least(columns - j, width)
            with code.loop(code.least(k0 + _FEW_TERMS, terms), 1, k0) as k:
                target, source = to + (j * terms + k * width) * size, b + k * b_term + j * size
                copy_row(write, target.value, source.value, count.value, VECTORS)

    def by_columns(code: Any, write: Any, b: Any, b_column: Any, terms: Any, columns: Any, to: Any):
        """Columns of b, in square tiles that are transposed."""
        with code.when((columns % width).is_("!=", 0)), code.loop(terms) as k:
            target = to + (columns // width * width * terms + k * width) * size
            copy_row(write, target.value, b.value, value_of(0), VECTORS)
        with code.loop(columns, lanes) as j, code.loop(terms, lanes) as k:
            panel = to + (j // width * width * terms + j % width) * size
            target, source = panel + k * width * size, b + j * b_column + k * size
            sides = target, width * size, source, b_column
            count, more = code.least(columns - j, lanes), code.least(terms - k, lanes)
            transpose_tile(write, *map(value_of, (*sides, count, more)))

    def pack(code: Any, b: Any, b_term: Any, b_column: Any, terms: Any, columns: Any, to: Any):
        write = Vectors(code.builder, float_type(size))
        with code.either(b_column.is_("==", size)) as (rows, others):
            with rows:
                by_terms(code, write, b, b_term, terms, columns, to)
            with others:
                by_columns(code, write, b, b_column, terms, columns, to)

    return compile_code(f"pack_{dtype.name}", 6, pack, _SOURCES)


__all__ = ["packer", "panel_width"]
