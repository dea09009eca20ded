"""The matrix product of float32 numbers in bf16 parts, on a tile unit: faster than in float32.

With two or three parts per number it is the sum of the products of parts that count, the smallest
first:

    parts  products of parts                        error
    1      first * first                            that of bf16
    2      and first * second, second * first       at most 1e-5 of the result
    3      and first * third, second * second, ...  at most that of float32

`packed` (see `gemm.pack`) has the right operand twice: as the float32 product takes it, and then in
parts, behind a header of numbers. So a row for which parts don't do, such as one with an infinity,
has the float32 product, and a kernel can take either product.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from . import intrinsics, register_block, split, tiles, vectors
from .files import keep_callback
from .intrinsics import call_address, fetch, longs, words
from .register_block import VECTORS
from .split import (
    LEFT,
    MAGNITUDES,
    RIGHT,
    bits_of,
    copy_numbers,
    right_size,
    split_left,
    split_right,
)
from .tiles import CONFIG, SIDE, TILE, UNIT
from .vectors import BYTES

PANEL = BYTES * VECTORS  # bytes of a row of a panel

# Bytes of the header: whether parts do for the right operand, how many, the float32 product.
HEADER = 64

# Smaller products are as fast in float32: by terms, numbers of the right operand, rows at a time,
# and rows in all, without which packing costs more than is gained. The last two are by parts. They
# are estimates; the README says what they rest on.
_TERMS, _NUMBERS = 32, 1 << 14
_ROWS, _USES = {1: 8, 2: 8, 3: 16}, {1: 32, 2: 48, 3: 112}

_STEP = 128  # rows that are split at a time, to stay in cache

_LEFT_LOW, _LEFT_HIGH = map(bits_of, LEFT)


def pays(parts: int, rows: int, uses: int) -> bool:
    """Whether products of so many rows at a time, and in all, are faster in parts."""
    return rows >= _ROWS[parts] and uses >= _USES[parts]


def is_large(terms: int, columns: int) -> bool:
    """Whether a right operand is large enough for parts."""
    return terms >= _TERMS and terms * columns >= _NUMBERS


def room(parts: int, terms: int, columns: int) -> int:
    """Bytes of the header and of the right operand in parts, if a product with it is faster so."""
    return HEADER + (right_size(parts, terms, columns) if is_large(terms, columns) else 0)


def write(b: np.ndarray, parts: int, tail: np.ndarray, float32_product: int) -> None:
    """Write header and parts of a right operand to an array of bytes of the size `room`."""
    terms, columns = b.shape
    do = False
    if tail.size > HEADER:
        most, largest = np.empty(MAGNITUDES, np.uint8), np.empty(-(-columns // 32) * 32, np.uint32)
        split_right(
            *(parts, b.ctypes.data, b.strides[1], b.strides[0], columns, terms),
            *(most.ctypes.data, tail.ctypes.data + HEADER, largest.ctypes.data),
        )
        low, high = map(bits_of, RIGHT)
        do = bool(((largest == 0) | (largest >= low) & (largest <= high)).all())
    tail[:24].view(np.int64)[:] = do, parts, float32_product


# --- four tiles of the result at a time --------------------------------------------------------
#
# They are registers 0 to 3. Two are side by side, and the other two below them; or, for the last of
# an odd number of tiles, to their right. Registers 4 and 5 are of the left operand, 6 and 7 of the
# right one.


@njit(nogil=True)
def _write_config(config, height):
    """Describe the registers: their rows, and bytes of a row."""
    everything = words(config)
    for i in range(CONFIG // 4):
        everything[i] = 0
    everything[0] = 1  # the only kind of description there is
    for i in range(4):
        everything[4 + i] = 64 << 16 | 64
    everything[12] = height << 24 | height << 16 | height << 8 | height
    everything[13] = 16 << 24 | 16 << 16 | height << 8 | height


@njit(nogil=True)
def _copy(target, target_row, source, source_row, rows, columns):
    """Numbers of a tile that isn't whole, if so many are left of the columns."""
    for i in range(rows):
        copy_numbers(target + i * target_row, source + i * source_row, columns)


@njit(inline="always")
def _begin(real, unit, register, start, line, rows, columns, height, edge):
    """A tile's sum begins with `start`, or with 0."""
    if start == 0:
        tiles.zero(real, unit, register)
    elif rows == height and columns >= SIDE:
        tiles.load(real, unit, register, start, line)
    else:
        _copy(edge, 64, start, line, rows, columns)
        tiles.load(real, unit, register, edge, 64)


@njit(inline="always")
def _add(real, unit, below, a0, a1, b0, b1):
    """Add the products of 32 terms of one part of each operand."""
    tiles.load(real, unit, 4, a0, 64)
    tiles.load(real, unit, 6, b0, 64)
    tiles.multiply_add(real, unit, 0, 4, 6)
    tiles.load(real, unit, 7, b0 + TILE, 64)
    tiles.multiply_add(real, unit, 1, 4, 7)
    if below:
        tiles.load(real, unit, 5, a1, 64)
        tiles.multiply_add(real, unit, 2, 5, 6)
        tiles.multiply_add(real, unit, 3, 5, 7)
    else:
        tiles.load(real, unit, 6, b1, 64)
        tiles.multiply_add(real, unit, 2, 4, 6)
        tiles.load(real, unit, 7, b1 + TILE, 64)
        tiles.multiply_add(real, unit, 3, 4, 7)


@njit(inline="always")
def _end(real, unit, register, target, line, rows, columns, height, edge):
    """A tile's sum is done."""
    if rows == height and columns >= SIDE:
        tiles.store(real, unit, register, target, line)
    else:
        tiles.store(real, unit, register, edge, 64)
        _copy(target, line, edge, 64, rows, columns)


@cache
def tile_gemm(real: bool) -> Any:
    """The compiled product on the processor's tile unit, or on the emulated one; see `gemm`."""

    def multiply(a, a_row, a_term, panels, c, c_row, rows, terms, columns, start, start_row):
        """c = start + a @ b, with addresses (`start` may be 0 for none) and strides in bytes."""
        tail = panels + (columns * 4 + PANEL - 1) // PANEL * PANEL * terms
        do, parts, plain = longs(tail)[0], longs(tail)[1], longs(tail)[2]
        if do == 0 or (a_term != 4 and a_row != 4):
            whole = a, a_row, a_term, panels, c, c_row, rows, terms, columns, start, start_row
            call_address(plain, whole)
            return
        blocks = (terms + 31) // 32
        a_step, b_step = blocks * parts * TILE, blocks * parts * 2 * TILE
        most_tiles = (min(rows, _STEP) + SIDE - 1) // SIDE
        size = 64 + UNIT + CONFIG + TILE + MAGNITUDES + most_tiles * (64 + a_step)
        memory = np.empty(size, np.uint8)
        for m in range(0, rows, _STEP):
            # Numba keeps the memory as long as it may be asked for its address.
            unit = (memory.ctypes.data + 63) // 64 * 64
            config = unit + UNIT
            edge = config + CONFIG
            most = edge + TILE
            left = most + MAGNITUDES
            largest = left + most_tiles * a_step
            count = min(_STEP, rows - m)
            tall = (count + SIDE - 1) // SIDE
            height = (count + tall - 1) // tall  # tiles of nearly the same height
            origin, target = a + m * a_row, c + m * c_row
            base = start + m * start_row
            split_left(parts, origin, a_row, a_term, count, terms, height, most, left, largest)
            _write_config(config, height)
            tiles.load_config(real, unit, config)
            for group in range(0, columns, 64):
                for t in range(0, tall, 2):
                    below = t + 1 < tall
                    for j in range(group, min(group + 64, columns) if below else group + 1, 32):
                        # The rows and columns of the first two tiles, and of the other two.
                        m0, n0 = t * height, columns - j
                        m1, n1 = (m0 + height, n0) if below else (m0, n0 - 32)
                        r0, r1 = min(height, count - m0), min(height, count - m1)
                        s0 = s1 = 0
                        if start != 0:
                            s0 = base + m0 * start_row + (columns - n0) * 4
                            s1 = base + m1 * start_row + (columns - n1) * 4
                        _begin(real, unit, 0, s0, start_row, r0, n0, height, edge)
                        _begin(real, unit, 2, s1, start_row, r1, n1, height, edge)
                        s0, s1 = (s0 + 64, s1 + 64) if start != 0 else (0, 0)
                        _begin(real, unit, 1, s0, start_row, r0, n0 - SIDE, height, edge)
                        _begin(real, unit, 3, s1, start_row, r1, n1 - SIDE, height, edge)
                        a0 = left + t * a_step
                        a1 = a0 + a_step
                        b0 = tail + HEADER + j // 32 * b_step
                        b1 = b0 + b_step if j + 32 < columns else b0
                        for _ in range(blocks):
                            # The left operand is in cache: it was split just now.
                            for line in range(0, parts * 2 * TILE, 64):
                                fetch(b0 + parts * 2 * TILE + line)
                                if not below:
                                    fetch(b1 + parts * 2 * TILE + line)
                            for i in range(parts - 1, -1, -1):  # part i of a sum of indices
                                for q in range(i + 1):
                                    p, r = (i - q) * TILE, q * 2 * TILE
                                    _add(real, unit, below, a0 + p, a1 + p, b0 + r, b1 + r)
                            a0, a1 = a0 + parts * TILE, a1 + parts * TILE
                            b0, b1 = b0 + parts * 2 * TILE, b1 + parts * 2 * TILE
                        c0 = target + m0 * c_row + (columns - n0) * 4
                        c1 = target + m1 * c_row + (columns - n1) * 4
                        _end(real, unit, 0, c0, c_row, r0, n0, height, edge)
                        _end(real, unit, 1, c0 + 64, c_row, r0, n0 - SIDE, height, edge)
                        _end(real, unit, 2, c1, c_row, r1, n1, height, edge)
                        _end(real, unit, 3, c1 + 64, c_row, r1, n1 - SIDE, height, edge)
            tiles.release(real, unit)
            for i in range(count):
                high = words(largest + (i // height * SIDE + i % height) * 4)[0]
                if high != 0 and (high < _LEFT_LOW or high > _LEFT_HIGH):
                    sides = origin + i * a_row, a_row, a_term, panels, target + i * c_row, c_row
                    onto = base + i * start_row if start != 0 else 0
                    call_address(plain, (*sides, 1, terms, columns, onto, start_row))

    signature = types.void(*[types.intp] * 11)
    modules = intrinsics, split, tiles, register_block, vectors
    sources = [str(module.__file__) for module in modules]
    return keep_callback(signature, *sources)(multiply)


__all__ = ["pays", "room", "tile_gemm", "write"]
