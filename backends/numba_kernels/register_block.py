"""A block of a matrix product that stays in vector registers, as LLVM code.

It is written in LLVM code since no Python loop makes the compiler keep an accumulator per register.
All addresses are integers, and all strides in bytes.
"""

from __future__ import annotations

from typing import Any

from .vectors import BYTES, INT64, Vectors, long

# The most rows and vectors of a block: as many accumulators as leave registers for the operands.
# There are 32 registers of 64 bytes, or 16 of 32.
MR, VECTORS = 6, BYTES // 16
_AHEAD = 2048  # bytes of a panel between what is read and what is asked for


def _write_block(
    write: Vectors,
    rows: int,
    vectors: int,
    sides: Any,
    terms: Any,
    columns: Any,
    start: Any,
    start_row: Any,
) -> None:
    """c = start + a @ panel; `start` may be 0 for none. It leaves another basic block to go on.

    `sides` are those of `a`, by rows and terms, of the panel and of c, by rows.
    """
    a, a_row, a_term, panel, c, c_row = sides
    b, last = write.builder, vectors - 1
    each_row, each_vector = range(rows), range(vectors)
    mask = write.mask(columns, last)
    lines = [b.add(c, b.mul(c_row, long(r))) for r in each_row]
    starts = [b.add(start, b.mul(start_row, long(r))) for r in each_row]
    lefts = [b.add(a, b.mul(a_row, long(r))) for r in each_row]
    before, add, loop, after = (b.append_basic_block() for _ in range(4))
    b.branch(before)
    b.position_at_end(before)
    b.cbranch(b.icmp_signed("!=", start, long(0)), add, loop)
    b.position_at_end(add)
    known = [
        [*(write.load(place, v) for v in range(last)), write.load_some(place, mask, last)]
        for place in starts
    ]
    b.branch(loop)
    b.position_at_end(loop)
    k, at, right = (b.phi(INT64) for _ in range(3))
    sums = [[b.phi(write.kind) for _ in each_vector] for _ in each_row]
    rights = [write.load(right, v) for v in each_vector]
    for v in each_vector:
        write.fetch(right, _AHEAD + v * BYTES)
    new = []
    for r in each_row:
        left = write.spread(b.add(lefts[r], at))
        new.append([write.multiply_add(left, rights[v], sums[r][v]) for v in each_vector])
    width = long(VECTORS * BYTES)
    following = [b.add(k, long(1)), b.add(at, a_term), b.add(right, width)]
    firsts = long(0), long(0), panel
    for phi, first, then in zip((k, at, right), firsts, following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(first, add)
        phi.add_incoming(then, loop)
    for r in each_row:
        for v in each_vector:
            sums[r][v].add_incoming(write.zero, before)
            sums[r][v].add_incoming(known[r][v], add)
            sums[r][v].add_incoming(new[r][v], loop)
    b.cbranch(b.icmp_signed("<", following[0], terms), loop, after)
    b.position_at_end(after)
    for line, numbers in zip(lines, new, strict=True):
        for v in range(last):
            write.store(numbers[v], line, v)
        write.store_some(numbers[last], line, mask, last)


def write_block(
    write: Vectors, rows: Any, columns: Any, sides: Any, terms: Any, start: Any, start_row: Any
) -> None:
    """c[: rows, : columns] = start + a[: rows] @ panel, in a size that fits into registers.

    `sides` are the addresses and strides of `a`, the panel and c, as `_write_block` takes them.
    """
    builder, lanes = write.builder, long(write.lanes)
    vectors = builder.sdiv(builder.add(columns, builder.sub(lanes, long(1))), lanes)
    which = builder.add(builder.mul(rows, long(VECTORS + 1)), vectors)
    done = builder.append_basic_block()
    switch = builder.switch(which, done)
    for m in range(1, MR + 1):
        for v in range(1, VECTORS + 1):
            case = builder.append_basic_block()
            switch.add_case(long(m * (VECTORS + 1) + v), case)
            builder.position_at_end(case)
            _write_block(write, m, v, sides, terms, columns, start, start_row)
            builder.branch(done)
    builder.position_at_end(done)


__all__ = ["MR", "VECTORS", "write_block"]
