"""A matrix product of our own: one operand packed once, blocks of the result in registers.

A library packs its operands again at every call, which a large product hides and the small ones
of a recurrent step don't. Here `b` (K, M) is laid out once in panels of `NR` columns,
(M / NR, K, NR), each read from front to back, and used as often as one likes: at every step of a
scan, or by every row of a large product. A block of up to `MR` rows by `NR` columns of the result
stays in vector registers while it is summed up: see `register_block`.

The compiled product is one function per dtype, called by its address: a kernel that uses it
doesn't compile it again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from . import amx, register_block, tile_product
from .files import keep_callback, keep_compiled
from .intrinsics import call_address
from .register_block import MR, block, move, vector_lanes
from .threads import by_rows

# Of a large product, parts of so many blocks of rows and so many terms are done at a time, to stay
# in cache: fewer terms where `a` lies column by column, each on a page of its own.
_BLOCKS, _TERMS, _COLUMN_TERMS = 64, 256, 96

# How many terms of a product cost as much as a number that a loop computes; see `by_rows`.
_TERMS_PER_NUMBER = 400


def panel_width(dtype: Any) -> int:
    """NR, the columns of a panel."""
    return vector_lanes(np.dtype(dtype).itemsize) * register_block.VECTORS


def regular(x: np.ndarray) -> np.ndarray:
    """A matrix as products take it: by rows or by columns, each number where one is expected.

    Rows and columns may lie anywhere, in any order or on top of each other, as long as along one
    axis the numbers are side by side. Any other matrix is copied.
    """
    if x.flags.aligned and x.dtype.isnative and x.itemsize in x.strides:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def pack(b: np.ndarray, parts: int = 0) -> np.ndarray:
    """`b` (K, M) in panels (panels, K, NR); the last one is filled up with zeros.

    With `parts`, as `gemm(..., parts)` takes it, there are more panels, with bf16 parts in them.
    """
    b = regular(b)
    K, M = b.shape
    width = panel_width(b.dtype)
    panels = -(-M // width)
    if parts and K and b.dtype == np.float32:
        packed = _pack_parts(b, panels, width, parts)
    else:
        packed = np.empty((panels, K, width), b.dtype)
    if b.strides[1] == b.itemsize:
        _pack_rows(b, packed[:panels])
    else:
        _pack_columns(b.T, packed[:panels])
    return packed


def _pack_parts(b: np.ndarray, panels: int, width: int, parts: int) -> np.ndarray:
    """Room for panels, and behind them the parts of `b`, where cache lines begin."""
    K, M = b.shape
    size = tile_product.room(parts, K, M)
    more = -(-size // (K * width * 4))
    whole = (panels + more) * K * width * 4
    memory = np.empty(whole + 64, np.uint8)
    memory = memory[-memory.ctypes.data % 64 :][:whole]
    tail = memory[panels * K * width * 4 :][:size]
    tile_product.write(b, parts, tail, gemm(b.dtype.name).address)
    return memory.view(np.float32).reshape(panels + more, K, width)


@keep_compiled
@njit(nogil=True)
def _pack_rows(b, packed):
    """From a matrix whose rows are whole."""
    panels, K, width = packed.shape
    M = b.shape[1]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        for k in range(K):
            for j in range(count):
                packed[panel, k, j] = b[k, start + j]
            for j in range(count, width):
                packed[panel, k, j] = 0


@keep_compiled
@njit(nogil=True)
def _pack_columns(bt, packed):
    """From the transpose of one whose columns are, a few rows of a panel at a time: they stay in
    cache."""
    panels, K, width = packed.shape
    M = bt.shape[0]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        if count < width:
            packed[panel] = 0
        for k0 in range(0, K, 16):
            k1 = min(k0 + 16, K)
            for j in range(count):
                for k in range(k0, k1):
                    packed[panel, k, j] = bt[start + j, k]


# --- the whole product ---------------------------------------------------------------------


def gemm(dtype: str, parts: int = 0) -> Any:
    """The compiled product for a dtype: `.address` is for `product`, `.ctypes` for Python.

    With `parts`, 1 to 3, it is that in bf16 parts on the tile unit, for what `pack` packs so.
    """
    if parts and dtype == "float32":
        return tile_product.tile_gemm(not amx.EMULATED)
    return _plain_gemm(dtype)


@cache
def _plain_gemm(dtype: str) -> Any:
    kind = np.dtype(dtype)
    real, size, width = kind.type, kind.itemsize, panel_width(kind)
    ahead, lanes = width * size, vector_lanes(size)
    spoilt = -(-MR // lanes) * lanes  # by `move`, at most

    def multiply(a, a_row, a_term, panels, c, c_row, rows, terms, columns, start, start_row):
        """c = start + a @ b, with addresses (`start` may be 0 for none) and strides in bytes."""
        by_column = a_row == size and a_term != size  # else each number is looked up on its own
        step = rows if by_column else _BLOCKS * MR
        part = _COLUMN_TERMS if by_column else _TERMS
        rearranged = by_column and columns >= 2 * width
        room = (rows + MR) // MR * (_COLUMN_TERMS * MR + spoilt)
        scratch = np.empty((room if rearranged else 0), real)
        group = (_COLUMN_TERMS * MR + spoilt) * size
        for m0 in range(0, rows, step):
            m1 = min(m0 + step, rows)
            blocks = (m1 - m0 + MR - 1) // MR
            low, more = (m1 - m0) // blocks, (m1 - m0) % blocks  # of nearly the same height
            for k0 in range(0, terms, part):
                k1 = min(k0 + part, terms)
                if rearranged:
                    for k in range(k0, k1):
                        m = m0
                        for i in range(blocks):
                            height = low + 1 if i < more else low
                            source = a + m * a_row + k * a_term
                            target = scratch.ctypes.data + i * group + (k - k0) * MR * size
                            move(real, target, source, height)
                            m += height
                for j in range(0, columns, width):
                    panel = panels + j * terms * size + k0 * ahead
                    count = min(width, columns - j)
                    m = m0
                    for i in range(blocks):
                        height = low + 1 if i < more else low
                        left, row, term = a + m * a_row + k0 * a_term, a_row, a_term
                        if rearranged:
                            left, row, term = scratch.ctypes.data + i * group, size, MR * size
                        target = c + m * c_row + j * size
                        base, line = target, c_row  # go on with the sum of the terms before
                        if k0 == 0:
                            base = start + m * start_row + j * size if start else 0
                            line = start_row
                        block(
                            *(real, height, count, left, row, term),
                            *(panel, target, c_row, k1 - k0, base, line),
                        )
                        m += height

    signature = types.void(*[types.intp] * 11)
    return keep_callback(signature, str(register_block.__file__))(multiply)


@njit(nogil=True)
def product(gemm, a, packed, c, lo, hi):
    """c[lo:hi] = a[lo:hi] @ b for rows of a (N, K), b packed by `pack`, and c (N, M).

    The numbers of a row of c are side by side; a may be laid out in any way.
    """
    terms = packed.shape[1]
    if terms == 0:
        c[lo:hi] = 0
    elif hi > lo:
        a_row, a_term = a.strides
        left, target = a.ctypes.data + lo * a_row, c.ctypes.data + lo * c.strides[0]
        sides = left, a_row, a_term, packed.ctypes.data, target, c.strides[0]
        call_address(gemm, (*sides, hi - lo, terms, c.shape[1], 0, 0))


@njit(nogil=True)
def product_onto(gemm, start, a, packed, c, lo, hi):
    """c[lo:hi] = start + a[lo:hi] @ b, with `start` (N, M) or (M,) like c; see `product`."""
    terms = packed.shape[1]
    if terms == 0:
        c[lo:hi] = start if start.ndim == 1 else start[lo:hi]
    elif hi > lo:
        a_row, a_term = a.strides
        left, target = a.ctypes.data + lo * a_row, c.ctypes.data + lo * c.strides[0]
        sides = left, a_row, a_term, packed.ctypes.data, target, c.strides[0]
        line = 0 if start.ndim == 1 else start.strides[0]
        call_address(
            gemm, (*sides, hi - lo, terms, c.shape[1], start.ctypes.data + lo * line, line)
        )


def matmul(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, start: np.ndarray | None = None, parts: int = 0
) -> None:
    """c = a @ b for float matrices of one dtype, a and b in any layout, c with whole rows.

    With `start` (N, M) or (M,), of that dtype too, it is start + a @ b. With `parts`, float32
    matrices are multiplied in bf16 parts; see `gemm`.
    """
    (rows, terms), columns = a.shape, b.shape[1]
    if not (c.flags.behaved and c.dtype.isnative and _has_whole_rows(c)):
        raise ValueError("a product is written to whole rows, row by row")
    if start is not None and not (start.flags.aligned and _has_whole_rows(start)):
        start = np.array(start, order="C")
    if terms == 0:
        c[...] = 0 if start is None else start
        return
    a = regular(a)
    parts = parts if a.dtype == np.float32 else 0
    multiply, packed = gemm(a.dtype.name, parts).ctypes, pack(b, parts)
    a_row, a_term = a.strides
    left, panels, target = (x.ctypes.data for x in (a, packed, c))
    line, start_line, base = c.strides[0], 0, 0
    if start is not None:
        start_line, base = 0 if start.ndim == 1 else start.strides[0], start.ctypes.data

    def part(lo: int, hi: int) -> None:
        sides = left + lo * a_row, a_row, a_term, panels, target + lo * line, line
        multiply(*sides, hi - lo, terms, columns, base + lo * start_line, start_line)

    by_rows(part, rows, rows * terms * columns // _TERMS_PER_NUMBER, 32 if parts else MR)


def _has_whole_rows(x: np.ndarray) -> bool:
    """Whether the numbers of each row are side by side."""
    return x.shape[-1] < 2 or x.strides[-1] == x.itemsize
