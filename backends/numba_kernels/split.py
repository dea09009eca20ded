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

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.precision import PARTS

from .files import keep_compiled
from .intrinsics import words
from .tiles import SIDE, TILE

# A row of the left operand is right in parts if it has zeros only, or if its largest magnitude is
# in this range; so is a column of the right operand. Beyond, a product of parts could be infinite
# or rounded to 0 where the product isn't. Infinity and NaN are beyond, too.
LEFT, RIGHT = (2.0**-64, 2.0**64), (2.0**-32, 2.0**32)

MOST_PARTS = max(PARTS.values())

# Bytes that splitting needs for largest magnitudes: 16 words per row of a tile.
MAGNITUDES = SIDE * 64

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic

# --- vectors of 16 numbers, as LLVM code: loops in Python stay scalar here ----------------------

_INT, _LONG = ir.IntType(32), ir.IntType(64)
_WORDS, _FLOATS = ir.VectorType(_INT, SIDE), ir.VectorType(ir.FloatType(), SIDE)


def _all(n: int) -> Any:
    return ir.Constant(_WORDS, [n] * SIDE)


def _call(b: Any, name: str, kind: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(kind, [x.type for x in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def _after(b: Any, address: Any, size: int) -> Any:
    return b.add(address, ir.Constant(_LONG, size))


def _load(b: Any, address: Any) -> Any:
    load = b.load(b.inttoptr(address, _WORDS.as_pointer()))
    load.align = 4
    return load


def _store(b: Any, vector: Any, address: Any) -> None:
    b.store(vector, b.inttoptr(address, vector.type.as_pointer())).align = 4


def _mask(b: Any, count: Any) -> Any:
    """The first `count` of 16 lanes; none if it is below 1, all if it is above 15."""
    lanes, unknown = ir.Constant(_WORDS, list(range(SIDE))), ir.Constant(_WORDS, ir.Undefined)
    many = b.trunc(count, _INT)
    many = b.shuffle_vector(b.insert_element(unknown, many, _INT(0)), unknown, _all(0))
    return b.icmp_signed("<", lanes, many)


def _numbers(b: Any, address: Any, mask: Any) -> Any:
    """The numbers in some of 16 lanes; the others are 0."""
    place, zero = b.inttoptr(address, _FLOATS.as_pointer()), ir.Constant(_FLOATS, [0.0] * SIDE)
    return _call(b, "llvm.masked.load.v16f32.p0", _FLOATS, place, _INT(4), mask, zero)


def _upper_parts(b: Any, x: Any) -> Any:
    """The bf16 numbers that are nearest to x, as the bits of float32 numbers."""
    odd = b.and_(b.lshr(x, _all(16)), _all(1))
    return b.and_(b.add(x, b.add(odd, _all(0x7FFF))), _all(0xFFFF0000))


def _side_by_side(b: Any, first: Any, second: Any) -> Any:
    """The upper halves of 16 words, then those of 16 others."""
    shorts = ir.VectorType(ir.IntType(16), 2 * SIDE)
    upper = ir.Constant(ir.VectorType(_INT, 2 * SIDE), list(range(1, 4 * SIDE, 2)))
    return b.shuffle_vector(b.bitcast(first, shorts), b.bitcast(second, shorts), upper)


def _in_pairs(b: Any, first: Any, second: Any) -> Any:
    """The upper half of each of 16 words beside that of one of 16 others."""
    return b.or_(b.lshr(first, _all(16)), second)


def _splitting(join: Callable[[Any, Any, Any], Any]) -> Any:
    """Split 2 * 16 numbers, so many of which are there, into rows of `parts` tiles.

    The largest magnitudes so far are the words at `most`.
    """

    def typed(typing, parts, first, count, second, more, target, step, most):
        def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            parts, first, count, second, more, target, step, most = arguments
            numbers = [_numbers(b, x, _mask(b, n)) for x, n in ((first, count), (second, more))]
            high = _load(b, most)
            for x in numbers:
                magnitudes = b.and_(b.bitcast(x, _WORDS), _all(0x7FFFFFFF))
                high = _call(b, "llvm.umax.v16i32", _WORDS, high, magnitudes)
            _store(b, high, most)
            write(b, 1, parts, numbers, target, step)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8), codegen

    def write(b: Any, part: int, parts: Any, numbers: Any, target: Any, step: Any) -> None:
        upper = [_upper_parts(b, b.bitcast(x, _WORDS)) for x in numbers]
        _store(b, join(b, *upper), target)
        if part < MOST_PARTS:
            with b.if_then(b.icmp_signed(">", parts, ir.Constant(_LONG, part))):
                left = [
                    b.fsub(x, b.bitcast(u, _FLOATS)) for x, u in zip(numbers, upper, strict=True)
                ]
                write(b, part + 1, parts, left, b.add(target, step), step)

    return _intrinsic(typed)


_split_line, _split_pairs = _splitting(_side_by_side), _splitting(_in_pairs)


@_intrinsic
def _transpose(typing, tile):
    """A tile's 16 x 16 words, in place: rows of pairs become pairs of columns, and back."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        places = [_after(b, arguments[0], 64 * i) for i in range(SIDE)]
        rows = [_load(b, place) for place in places]
        for d in (1, 2, 4, 8):  # exchange blocks of d x d words beside the diagonal
            for i in range(SIDE):
                if not i & d:
                    upper, lower = rows[i], rows[i | d]
                    for to, kept in ((i, 0), (i | d, d)):
                        lanes = [
                            j | kept if not j & d else SIDE + (j & ~d | kept) for j in range(SIDE)
                        ]
                        rows[to] = b.shuffle_vector(upper, lower, ir.Constant(_WORDS, lanes))
        for row, place in zip(rows, places, strict=True):
            _store(b, row, place)
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@_intrinsic
def _largest_of(typing, vector):
    """The largest of 16 words."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _call(b, "llvm.vector.reduce.umax.v16i32", _INT, _load(b, arguments[0]))

    return types.uint32(types.intp), codegen


@_intrinsic
def copy_numbers(typing, target, source, count):
    """Copy up to 16 numbers that lie side by side."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target, source, count = arguments
        mask, place = _mask(b, count), b.inttoptr(target, _FLOATS.as_pointer())
        numbers, void = _numbers(b, source, mask), ir.VoidType()
        _call(b, "llvm.masked.store.v16f32.p0", void, numbers, place, _INT(4), mask)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), codegen


# --- operands ------------------------------------------------------------------------------------


@njit(nogil=True)
def _split_block(parts, source, line, number, lines, terms, pairs, target, step, most):
    """A tile of each part from `lines` rows or columns, at most 16, of `terms` terms, at most 32.

    They lie `line` bytes apart, and their terms `number` bytes. With `pairs` the tiles are those of
    a right operand. At `most` are words of the largest magnitudes so far: 16 per line, or one.
    """
    by_line = number == 4
    if by_line:
        for i in range(SIDE if pairs else lines):
            one, count = source + i * line, terms if i < lines else 0
            ends = target + i * 64, step, most + i * 64
            _split_line(parts, one, count, one + 64, count - SIDE, *ends)
    else:
        for i in range(SIDE):
            one = source + 2 * i * number
            count, more = lines if 2 * i < terms else 0, lines if 2 * i + 1 < terms else 0
            _split_pairs(parts, one, count, one + number, more, target + i * 64, step, most)
    if by_line == pairs:
        for part in range(parts):
            _transpose(target + part * step)


@njit(nogil=True)
def _split(parts, source, line, number, count, height, terms, pairs, most, target, largest):
    """`count` rows or columns, `height` of them in a tile; see `split_left` and `_split_block`."""
    blocks, tiles = (terms + 31) // 32, (count + height - 1) // height
    step = TILE
    if pairs:
        tiles, step = (tiles + 1) // 2 * 2, 2 * TILE
    by_line, vectors, magnitudes = number == 4, words(most), words(largest)
    for i in range(tiles * SIDE):
        magnitudes[i] = 0
    # In the order in which the numbers lie in memory.
    for outer in range(tiles if by_line else blocks):
        if by_line:
            for i in range(MAGNITUDES // 4):
                vectors[i] = 0
        for inner in range(blocks if by_line else tiles):
            t, k, notes = (outer, inner, most) if by_line else (inner, outer, largest + inner * 64)
            place = (t // 2 * blocks + k) * 2 * parts + t % 2 if pairs else (t * blocks + k) * parts
            lines, one = max(0, min(height, count - t * height)), source + t * height * line
            _split_block(
                *(parts, one + k * 32 * number, line, number, lines, min(32, terms - 32 * k)),
                *(pairs, target + place * TILE, step, notes),
            )
        if by_line:
            for i in range(SIDE):
                magnitudes[outer * SIDE + i] = _largest_of(most + i * 64)


@njit(nogil=True)
def split_left(parts, a, a_row, a_term, rows, terms, height, most, target, largest):
    """A left operand; one of `a_row` and `a_term` is 4. All but the counts are addresses, bytes.

    `most` is room for `MAGNITUDES`, and `largest` for the bits of each row's largest magnitude: a
    word per row, each tile's 16 apart.
    """
    _split(parts, a, a_row, a_term, rows, height, terms, False, most, target, largest)


@keep_compiled
@njit(nogil=True)
def split_right(parts, b, b_column, b_term, columns, terms, most, target, largest):
    """A right operand, as `split_left` does a left one; `largest` has room for 32 words a group."""
    _split(parts, b, b_column, b_term, columns, SIDE, terms, True, most, target, largest)


def bits_of(x: float) -> int:
    """The bits of a float32 number."""
    return int(np.float32(x).view(np.uint32))


def right_size(parts: int, terms: int, columns: int) -> int:
    """Bytes of a right operand in tiles."""
    return -(-columns // 32) * -(-terms // 32) * parts * 2 * TILE


__all__ = ["LEFT", "MAGNITUDES", "RIGHT", "bits_of", "copy_numbers", "right_size"]
__all__ += ["split_left", "split_right"]
