"""A float32 matrix as sums of bf16 numbers, laid out for the tile unit.

A bf16 number is the upper half of a float32 number: its exponent and 8 bits. The first part of x is
x rounded to it, the second what that leaves of x, rounded, and so on: three have all 24 bits.

A tile is 16 rows of 64 bytes. Of the left operand, a row has 32 terms side by side. Of the right
one, a row has 16 columns with a pair of terms each. In memory, a tile of each part comes after the
other, for 32 terms after 32 terms:

    left   (rows / height, terms / 32, parts) tiles; a tile has up to 16 rows, `height`
    right  (columns / 32, terms / 32, parts, 2) tiles

Rows, columns and terms that there aren't are zeros.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .files import keep_compiled
from .intrinsics import bits, float_of, floats, shorts, words
from .tiles import TILE

# A row of the left operand is right in parts if it has zeros only, or if its largest magnitude is
# in this range; so is a column of the right operand. Beyond, a product of parts could be infinite
# or rounded to 0 where the product isn't. Infinity and NaN are beyond, too.
LEFT, RIGHT = (2.0**-64, 2.0**64), (2.0**-32, 2.0**32)

_SIGNLESS, _UPPER, _HALF = np.uint32(0x7FFFFFFF), np.uint32(0xFFFF0000), np.uint32(0x7FFF)
_ONE = np.float32(1)  # of the type that bits stand for


@njit(nogil=True, inline="always")
def _upper_part(x):
    """The bf16 number that is nearest to x, as the bits of a float32 number."""
    b = np.uint32(bits(x))
    return np.uint32(b + _HALF + (b >> np.uint32(16) & np.uint32(1))) & _UPPER


@njit(nogil=True)
def _split_line(parts, source, count, rest, target, step, largest):
    """32 numbers, of which `count` are there, side by side in a row of `parts` tiles."""
    numbers, left, most = floats(source), floats(rest), words(largest)
    high = most[0]
    for j in range(count):
        left[j] = numbers[j]
        high = max(high, np.uint32(bits(numbers[j]) & _SIGNLESS))
    most[0] = high
    for j in range(count, 32):
        left[j] = 0
    for part in range(parts):
        to = shorts(target + part * step)
        for j in range(32):
            upper = _upper_part(left[j])
            to[j] = np.uint16(upper >> np.uint32(16))
            left[j] -= float_of(upper, _ONE)


@njit(nogil=True)
def _split_pair(parts, source, other, count, rest, target, step, largest):
    """16 columns, `count` of which are there, of two terms: a row of pairs in `parts` tiles.

    The address of the second term, `other`, is 0 if there is none.
    """
    most, evens, odds = words(largest), floats(rest), floats(rest + 64)
    for j in range(16):
        evens[j] = odds[j] = 0
    numbers = floats(source)
    for j in range(count):
        evens[j] = numbers[j]
        most[j] = max(most[j], np.uint32(bits(numbers[j]) & _SIGNLESS))
    if other:
        numbers = floats(other)
        for j in range(count):
            odds[j] = numbers[j]
            most[j] = max(most[j], np.uint32(bits(numbers[j]) & _SIGNLESS))
    for part in range(parts):
        to = words(target + part * step)
        for j in range(16):
            even, odd = _upper_part(evens[j]), _upper_part(odds[j])
            to[j] = even >> np.uint32(16) | odd
            evens[j] -= float_of(even, _ONE)
            odds[j] -= float_of(odd, _ONE)


@njit(nogil=True)
def _transpose(tile):
    """A tile's 16 x 16 words, in place: rows of pairs become pairs of columns, and back."""
    w = words(tile)
    for i in range(16):
        for j in range(i):
            w[16 * i + j], w[16 * j + i] = w[16 * j + i], w[16 * i + j]


@njit(nogil=True)
def _split_block(parts, source, line, number, lines, terms, pairs, rest, target, step, largest):
    """A tile of each part from `lines` rows or columns, at most 16, of `terms` terms, at most 32.

    They lie `line` bytes apart, and their terms `number` bytes. With `pairs` the tiles are those of
    a right operand. `largest` has the bits of each line's largest magnitude so far.
    """
    by_line = number == 4
    for i in range(16):
        if by_line:
            count = terms if i < lines else 0
            most = largest + 4 * i
            _split_line(parts, source + i * line, count, rest, target + i * 64, step, most)
        else:
            count = lines if 2 * i < terms else 0
            one = source + 2 * i * number
            other = one + number if 2 * i + 1 < terms else 0
            _split_pair(parts, one, other, count, rest, target + i * 64, step, largest)
    if by_line == pairs:
        for part in range(parts):
            _transpose(target + part * step)


@njit(nogil=True)
def split_left(parts, a, a_row, a_term, rows, terms, height, rest, target, largest):
    """A left operand; one of `a_row` and `a_term` is 4. All but the counts are addresses, bytes.

    `rest` is room for 128 bytes, and `largest` for a word per row, each tile's 16 apart.
    """
    blocks = (terms + 31) // 32
    for t in range((rows + height - 1) // height):
        most = words(largest + t * 64)
        for i in range(16):
            most[i] = 0
        for k in range(blocks):
            _split_block(
                *(parts, a + t * height * a_row + k * 32 * a_term, a_row, a_term),
                *(min(height, rows - t * height), min(32, terms - 32 * k), False, rest),
                *(target + (t * blocks + k) * parts * TILE, TILE, largest + t * 64),
            )


@keep_compiled
@njit(nogil=True)
def split_right(parts, b, b_column, b_term, columns, terms, rest, target, largest):
    """A right operand, as `split_left` does a left one; `largest` has room for 32 words a group."""
    blocks = (terms + 31) // 32
    for t in range(2 * ((columns + 31) // 32)):
        most = words(largest + t * 64)
        for i in range(16):
            most[i] = 0
        for k in range(blocks):
            _split_block(
                *(parts, b + t * 16 * b_column + k * 32 * b_term, b_column, b_term),
                *(max(0, min(16, columns - 16 * t)), min(32, terms - 32 * k), True, rest),
                *(target + ((t // 2 * blocks + k) * parts * 2 + t % 2) * TILE, 2 * TILE),
                largest + t * 64,
            )


def bits_of(x: float) -> int:
    """The bits of a float32 number."""
    return int(np.float32(x).view(np.uint32))


def right_size(parts: int, terms: int, columns: int) -> int:
    """Bytes of a right operand in tiles."""
    return -(-columns // 32) * -(-terms // 32) * parts * 2 * TILE


__all__ = ["LEFT", "RIGHT", "bits_of", "right_size", "split_left", "split_right"]
