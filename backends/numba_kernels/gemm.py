"""A matrix product of our own: one operand packed once, blocks of the result in registers.

A library packs its operands again at every call, which a large product hides and the small ones
of a recurrent step don't. Here `b` (K, M) is laid out once in panels of `NR` columns,
(M / NR, K, NR), each read from front to back, and used as often as one likes: at every step of a
scan, or by every row of a large product, which packs what fits into the cache at a time. A block of
up to `MR` rows by `NR` columns of the result stays in vector registers while it is summed up: see
`register_block`. The terms of each number are added in their order, whatever the sizes.

The compiled product is one function per dtype, called by its address: a kernel that uses it
doesn't compile it again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from . import amx, intrinsics, packing, rearrange, register_block, tile_product, vectors
from .files import keep_callback, keep_compiled
from .intrinsics import call_address, fetch
from .packing import packer, panel_width
from .register_block import MR, block
from .threads import by_rows

# Of a large product, parts of so many blocks of rows, terms and columns are done at a time, to stay
# in cache: fewer terms where `a` lies column by column, each on a page of its own.
_BLOCKS, _TERMS, _COLUMN_TERMS, _COLUMNS = 64, 256, 96, 512

_SOURCES = [
    str(module.__file__) for module in (intrinsics, vectors, rearrange, register_block, packing)
]

# How many terms of a product cost as much as a number that a loop computes.
_TERMS_PER_NUMBER = 400


def regular(x: np.ndarray) -> np.ndarray:
    """A matrix as products take it: by rows or by columns, each number where one is expected.

    Rows and columns may lie anywhere, in any order or on top of each other, as long as along one
    axis the numbers are side by side. Any other matrix is copied.
    """
    if x.flags.aligned and x.dtype.isnative and x.itemsize in x.strides:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def _address(x: np.ndarray) -> int:
    """Where the numbers begin; `x.ctypes.data` takes four times as long."""
    return int(x.__array_interface__["data"][0])


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
    packer(b.dtype)(_address(b), *b.strides, K, M, _address(packed))
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


# --- the whole product ---------------------------------------------------------------------


def gemm(dtype: str, parts: int = 0) -> Any:
    """The compiled product for a dtype: `.address` is for `product`, `.ctypes` for Python.

    With `parts`, 1 to 3, it is that in bf16 parts on the tile unit, for what `pack` packs so.
    """
    if parts and dtype == "float32":
        return tile_product.tile_gemm(not amx.EMULATED)
    return _plain_gemm(dtype)


@njit(inline="always")
def _fetch(address, distance, count, length):
    """Ask for so many rows of so many bytes, which will be read after a while."""
    for _ in range(count):
        for place in range(0, length, 64):
            fetch(address + place)
        address += distance


@cache
def _plain_gemm(dtype: str) -> Any:
    kind = np.dtype(dtype)
    real, size, width = kind.type, kind.itemsize, panel_width(kind)

    def multiply(a, a_row, a_term, panels, c, c_row, rows, terms, columns, start, start_row):
        """c = start + a @ b, with addresses (`start` may be 0 for none) and strides in bytes."""
        by_column = a_row == size and a_term != size  # else each number is looked up on its own
        part = _COLUMN_TERMS if by_column else _TERMS
        for m0 in range(0, rows, _BLOCKS * MR):
            m1 = min(m0 + _BLOCKS * MR, rows)
            blocks = (m1 - m0 + MR - 1) // MR
            low, more = (m1 - m0) // blocks, (m1 - m0) % blocks  # of nearly the same height
            for k0 in range(0, terms, part):
                k1 = min(k0 + part, terms)
                share = (min(k1 + part, terms) - k1 + blocks - 1) // blocks  # of the next terms
                for j in range(0, columns, width):
                    panel = panels + (j * terms + k0 * width) * size
                    count = min(width, columns - j)
                    m = m0
                    for i in range(blocks):
                        height = low + 1 if i < more else low
                        left = a + m * a_row + k0 * a_term
                        if j == 0 and by_column:
                            following = a + m0 * a_row + (k1 + i * share) * a_term
                            _fetch(following, a_term, share, (m1 - m0) * size)
                        elif j == 0 and m + height < rows:
                            _fetch(left + height * a_row, a_row, height, (k1 - k0) * size)
                        target = c + m * c_row + j * size
                        base, line = target, c_row  # go on with the sum of the terms before
                        if k0 == 0:
                            base = start + m * start_row + j * size if start else 0
                            line = start_row
                        block(
                            *(real, height, count, left, a_row, a_term),
                            *(panel, target, c_row, k1 - k0, base, line),
                        )
                        m += height

    return keep_callback(types.void(*[types.intp] * 11), *_SOURCES)(multiply)


@cache
def _whole_gemm(dtype: str) -> Any:
    """The compiled product of a matrix that isn't packed yet."""
    kind = np.dtype(dtype)
    size, width, pack_panels = kind.itemsize, panel_width(kind), packer(kind)

    def multiply(
        gemm,
        a,
        a_row,
        a_term,
        b,
        b_term,
        b_column,
        c,
        c_row,
        rows,
        terms,
        columns,
        start,
        start_row,
    ):
        """c = start + a @ b; `gemm` is the address of the product with panels."""
        most = min(columns + width - 1, _COLUMNS)
        memory = np.empty(most * min(terms, _TERMS) * size + 64, np.uint8)
        for j in range(0, columns, _COLUMNS):
            # Numba keeps the memory as long as it may be asked for its address.
            panels = (memory.ctypes.data + 63) // 64 * 64
            count = min(_COLUMNS, columns - j)
            for k in range(0, terms, _TERMS):
                more = min(_TERMS, terms - k)
                source, target = b + k * b_term + j * b_column, c + j * size
                pack_panels(source, b_term, b_column, more, count, panels)
                base, line = target, c_row
                if k == 0:
                    base, line = start + j * size if start else 0, start_row
                left = a + k * a_term, a_row, a_term
                call_address(gemm, (*left, panels, target, c_row, rows, more, count, base, line))

    return keep_callback(types.void(*[types.intp] * 14), *_SOURCES)(multiply)


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
        for n in range(lo, hi):  # an assignment of slices takes seconds to compile
            for j in range(c.shape[1]):
                c[n, j] = start[j] if start.ndim == 1 else start[n, j]
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
    """c = a @ b for float matrices of one dtype, a and b in any layout.

    The numbers of c are side by side along its rows or, without `start`, its columns. With `start`
    (N, M) or (M,), of that dtype too, it is start + a @ b. With `parts`, float32 matrices are
    multiplied in bf16 parts; see `gemm`.
    """
    (rows, terms), columns = a.shape, b.shape[1]
    if not (c.flags.behaved and c.dtype.isnative and (_has_whole_rows(c) or _has_whole_rows(c.T))):
        raise ValueError("a product is written to whole rows or columns")
    if not _has_whole_rows(c):
        if start is not None:
            raise ValueError("a product that starts from something is written to whole rows")
        matmul(b.T, a.T, c.T, parts=parts)
        return
    if start is not None and not (start.flags.aligned and _has_whole_rows(start)):
        start = np.array(start, order="C")
    if terms == 0:
        c[...] = 0 if start is None else start
        return
    a, b = regular(a), regular(b)
    dtype, size = a.dtype.name, a.itemsize
    left, right, target = map(_address, (a, b, c))
    a_row, b_column, c_row = a.strides[0], b.strides[1], c.strides[0]
    base = line = 0
    if start is not None:
        base, line = _address(start), 0 if start.ndim == 1 else start.strides[0]
    parts = parts if dtype == "float32" else 0
    if parts:
        packed = pack(b, parts)
        multiply, panels = gemm(dtype, parts).ctypes, _address(packed)
    else:
        multiply, plain = _whole_gemm(dtype).ctypes, gemm(dtype).address

    def of_rows(lo: int, hi: int) -> None:
        sides = left + lo * a_row, *a.strides
        to = target + lo * c_row, c_row, hi - lo, terms, columns, base + lo * line, line
        if parts:
            multiply(*sides, panels, *to)
        else:
            multiply(plain, *sides, right, *b.strides, *to)

    def of_columns(lo: int, hi: int) -> None:
        sides = left, *a.strides, right + lo * b_column, *b.strides
        begin = base + lo * size if base else 0
        multiply(plain, *sides, target + lo * size, c_row, rows, terms, hi - lo, begin, line)

    work = work_of(rows, terms, columns)
    if parts or rows >= columns:
        by_rows(of_rows, rows, work, 32 if parts else MR)
    else:
        by_rows(of_columns, columns, work, panel_width(dtype))


def products(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, start: np.ndarray | None, size: int
) -> None:
    """c[i] = a[:, k : k + size] @ b[k : k + size] for k = i * size, with `start` added to c[0].

    Arrays are as `matmul` takes them. Threads share the products, each of which one of them does.
    """
    (rows, terms), columns = a.shape, b.shape[1]
    if not _has_whole_rows(c[0]):
        products(b.T, a.T, c.swapaxes(1, 2), start, size)
        return
    if start is not None and not (start.flags.aligned and _has_whole_rows(start)):
        start = np.array(start, order="C")
    a, b = regular(a), regular(b)
    gemms = _whole_gemm(a.dtype.name).address, gemm(a.dtype.name).address
    sides = (_address(a), *a.strides), (_address(b), *b.strides), (_address(c), *c.strides[:2])
    base = line = 0
    if start is not None:
        base, line = _address(start), 0 if start.ndim == 1 else start.strides[0]
    sizes = rows, terms, columns, size

    def some(lo: int, hi: int) -> None:
        _products(gemms, *sides, sizes, base, line, lo, hi)

    by_rows(some, len(c), work_of(rows, terms, columns), 1)


@njit(nogil=True)
def _some_products(gemms, a_sides, b_sides, c_sides, sizes, start, start_row, lo, hi):
    (whole, plain), (rows, terms, columns, size) = gemms, sizes
    (a, a_row, a_term), (b, b_term, b_column), (c, c_next, c_row) = a_sides, b_sides, c_sides
    for i in range(lo, hi):
        k = i * size
        left, right, target = a + k * a_term, b + k * b_term, c + i * c_next
        sides = plain, left, a_row, a_term, right, b_term, b_column, target, c_row
        base, count = start if i == 0 else 0, min(size, terms - k)
        call_address(whole, (*sides, rows, count, columns, base, start_row))


_products = keep_compiled(_some_products, *_SOURCES)


def work_of(rows: int, terms: int, columns: int) -> int:
    """What a product costs, in numbers that a loop computes; see `by_rows`."""
    return rows * terms * columns // _TERMS_PER_NUMBER


def _has_whole_rows(x: np.ndarray) -> bool:
    """Whether the numbers of each row are side by side."""
    return x.shape[-1] < 2 or x.strides[-1] == x.itemsize
