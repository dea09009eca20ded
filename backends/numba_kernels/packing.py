"""The right operand of a product in panels: columns side by side, term after term."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from . import rearrange, register_block, vectors
from .files import keep_compiled
from .rearrange import copy_row, transpose_tile
from .register_block import VECTORS
from .vectors import vector_lanes

_SOURCES = [str(module.__file__) for module in (vectors, rearrange, register_block)]

_FEW_TERMS = 8  # of a row-by-row matrix, moved before the next panel's: they stay in cache


@cache
def panel_width(dtype: Any) -> int:
    """NR, the columns of a panel."""
    return vector_lanes(np.dtype(dtype).itemsize) * VECTORS


@cache
def packer(dtype: np.dtype) -> Any:
    """The compiled function that fills panels; with addresses, and distances in bytes.

    `panels` gets (panels, terms, NR) numbers, and zeros where there are no columns. The numbers of
    b are side by side along its terms or its columns.
    """
    real, size, width = dtype.type, dtype.itemsize, panel_width(dtype)
    lanes = vector_lanes(size)

    @njit(nogil=True)
    def pack_panels(b, b_term, b_column, terms, columns, panels):
        if b_column == size:
            for k0 in range(0, terms, _FEW_TERMS):
                for j in range(0, columns, width):
                    count = min(width, columns - j)
                    for k in range(k0, min(k0 + _FEW_TERMS, terms)):
                        target = panels + (j * terms + k * width) * size
                        copy_row(real, target, b + k * b_term + j * size, count, VECTORS)
        else:
            if columns % width:
                panel = panels + columns // width * width * terms * size
                for k in range(terms):
                    copy_row(real, panel + k * width * size, b, 0, VECTORS)
            for j in range(0, columns, lanes):
                panel = panels + (j // width * width * terms + j % width) * size
                count = min(lanes, columns - j)
                for k in range(0, terms, lanes):
                    source, target = b + j * b_column + k * size, panel + k * width * size
                    more = min(lanes, terms - k)
                    transpose_tile(real, target, width * size, source, b_column, count, more)

    return keep_compiled(pack_panels, *_SOURCES)


__all__ = ["packer", "panel_width"]
