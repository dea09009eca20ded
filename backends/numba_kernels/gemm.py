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

from . import amx, packing, rearrange, register_block, tile_product, vectors
from .machine_code import Code, Int, MachineCode, compile_code
from .packing import packer, panel_width
from .register_block import MR, write_block
from .threads import by_rows
from .vectors import Vectors, float_type

# Of a large product, parts of so many blocks of rows and terms are done at a time, to stay in
# cache: fewer blocks where `a` lies by columns, so that a column's part is on one page or two.
_BLOCKS, _COLUMN_BLOCKS, _TERMS = 64, 16, 256
_COLUMNS = 768  # at most so many columns at a time, in parts of nearly the same width

_SOURCES = [str(module.__file__) for module in (vectors, rearrange, register_block, packing)]

# How many terms of a product cost as much as a number that a loop computes.
_TERMS_PER_NUMBER = 70


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
    packer(b.dtype).ctypes(_address(b), *b.strides, K, M, _address(packed))
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


def _fetch(
    write: Vectors, code: Code, address: Int, distance: Int, count: Int, length: Int
) -> None:
    """Ask for so many rows of so many bytes, which will be read after a while."""
    with code.loop(count) as line, code.loop(length, 64) as place:
        write.fetch((address + line * distance + place).value, 0)


@cache
def _plain_gemm(dtype: str) -> MachineCode:
    kind = np.dtype(dtype)
    size, width = kind.itemsize, panel_width(kind)

    def multiply(
        code: Code,
        a: Int,
        a_row: Int,
        a_term: Int,
        panels: Int,
        c: Int,
        c_row: Int,
        rows: Int,
        terms: Int,
        columns: Int,
        start: Int,
        start_row: Int,
    ) -> None:
        """c = start + a @ b, with addresses (`start` may be 0 for none) and strides in bytes."""
        write = Vectors(code.builder, float_type(size))
        # Else each number is looked up on its own.
        by_column = code.builder.and_(a_row.is_("==", size), a_term.is_("!=", size))
        most = code.where(by_column, _COLUMN_BLOCKS * MR, _BLOCKS * MR)
        with code.loop(rows, most) as m0:
            height_of_all = code.least(rows - m0, most)
            blocks = (height_of_all + (MR - 1)) // MR  # of nearly the same height
            low, more = height_of_all // blocks, height_of_all % blocks
            with code.loop(terms, _TERMS) as k0:
                k1 = code.least(k0 + _TERMS, terms)
                share = (code.least(k1 + _TERMS, terms) - k1 + blocks - 1) // blocks  # of the next
                with code.loop(columns, width) as j, code.loop(blocks) as i:
                    panel = panels + (j * terms + k0 * width) * size
                    count = code.least(columns - j, width)
                    height = code.where(i.is_("<", more), low + 1, low)
                    m = m0 + i * low + code.least(i, more)
                    left = a + m * a_row + k0 * a_term
                    with code.when(j.is_("==", 0)), code.either(by_column) as (columnwise, rowwise):
                        with columnwise:
                            following = a + m0 * a_row + (k1 + i * share) * a_term
                            _fetch(write, code, following, a_term, share, height_of_all * size)
                        with rowwise, code.when((m + height).is_("<", rows)):
                            following = left + height * a_row
                            _fetch(write, code, following, a_row, height, (k1 - k0) * size)
                    target = c + m * c_row + j * size
                    is_first = k0.is_("==", 0)  # else it goes on with the sum of the terms before
                    given = code.where(start.is_("!=", 0), start + m * start_row + j * size, 0)
                    base = code.where(is_first, given, target)
                    line = code.where(is_first, start_row, c_row)
                    sides = left, a_row, a_term, panel, target, c_row
                    write_block(
                        *(write, height.value, count.value, [x.value for x in sides]),
                        *((k1 - k0).value, base.value, line.value),
                    )

    return compile_code(f"multiply_{dtype}", 11, multiply, [*_SOURCES, __file__])


@cache
def whole_gemm(dtype: str) -> MachineCode:
    """The compiled product of a matrix that isn't packed yet; see `gemm`."""
    kind = np.dtype(dtype)
    size, width = kind.itemsize, panel_width(kind)
    pack_panels = packer(kind).symbol

    def multiply(
        code: Code,
        gemm: Int,
        a: Int,
        a_row: Int,
        a_term: Int,
        b: Int,
        b_term: Int,
        b_column: Int,
        c: Int,
        c_row: Int,
        rows: Int,
        terms: Int,
        columns: Int,
        start: Int,
        start_row: Int,
    ) -> None:
        """c = start + a @ b; `gemm` is the address of the product with panels."""
        parts = code.where(columns.is_(">", _COLUMNS), (columns + (_COLUMNS - 1)) // _COLUMNS, 1)
        part = ((columns + parts - 1) // parts + (width - 1)) // width * width
        memory = code.take_memory(part * code.least(terms, _TERMS) * size + 64)
        panels = (memory + 63) // 64 * 64
        with code.loop(columns, part) as j, code.loop(terms, _TERMS) as k:
            count, more = code.least(columns - j, part), code.least(terms - k, _TERMS)
            source, target = b + k * b_term + j * b_column, c + j * size
            code.call(pack_panels, source, b_term, b_column, more, count, panels)
            is_first = k.is_("==", 0)
            given = code.where(start.is_("!=", 0), start + j * size, 0)
            base, line = code.where(is_first, given, target), code.where(is_first, start_row, c_row)
            left = a + k * a_term, a_row, a_term
            code.call(gemm, *left, panels, target, c_row, rows, more, count, base, line)
        code.give_back(memory)

    return compile_code(f"whole_{dtype}", 14, multiply, [*_SOURCES, __file__])


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
        multiply, plain = whole_gemm(dtype).ctypes, gemm(dtype).address

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
    dtype, base, line = a.dtype.name, 0, 0
    if start is not None:
        base, line = _address(start), 0 if start.ndim == 1 else start.strides[0]
    given = whole_gemm(dtype).address, gemm(dtype).address, _address(a), *a.strides
    given = *given, _address(b), *b.strides, _address(c), *c.strides[:2], rows, terms, columns
    multiply = _some_products().ctypes

    def some(lo: int, hi: int) -> None:
        multiply(*given, size, base, line, lo, hi)

    by_rows(some, len(c), work_of(rows, terms, columns), 1)


@cache
def _some_products() -> MachineCode:
    """The compiled function that computes the products from number `lo` to `hi`."""

    def multiply(
        code: Code,
        whole: Int,
        plain: Int,
        a: Int,
        a_row: Int,
        a_term: Int,
        b: Int,
        b_term: Int,
        b_column: Int,
        c: Int,
        c_next: Int,
        c_row: Int,
        rows: Int,
        terms: Int,
        columns: Int,
        size: Int,
        start: Int,
        start_row: Int,
        lo: Int,
        hi: Int,
    ) -> None:
        with code.loop(hi, 1, lo) as i:
            k = i * size
            left, right = (a + k * a_term, a_row, a_term), (b + k * b_term, b_term, b_column)
            base, count = code.where(i.is_("==", 0), start, 0), code.least(terms - k, size)
            sizes = rows, count, columns
            code.call(whole, plain, *left, *right, c + i * c_next, c_row, *sizes, base, start_row)

    return compile_code("products", 19, multiply, [__file__])


def work_of(rows: int, terms: int, columns: int) -> int:
    """What a product costs, in numbers that a loop computes; see `by_rows`."""
    return rows * terms * columns // _TERMS_PER_NUMBER


def _has_whole_rows(x: np.ndarray) -> bool:
    """Whether the numbers of each row are side by side."""
    return x.shape[-1] < 2 or x.strides[-1] == x.itemsize
