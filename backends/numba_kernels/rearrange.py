"""Numbers of a matrix moved to where a product wants them, a vector register or more at a time."""

from __future__ import annotations

from typing import Any

from .vectors import Vectors, long


def copy_row(write: Vectors, target: Any, source: Any, count: Any, vectors: int) -> None:
    """Copy `count` numbers that are side by side, and write zeros behind them: whole vectors.

    `vectors` is the length of what is written.
    """
    for v in range(vectors):
        write.store(write.load_some(source, write.mask(count, v), v), target, v)


def transpose_tile(
    write: Vectors,
    target: Any,
    target_row: Any,
    source: Any,
    source_row: Any,
    rows: Any,
    columns: Any,
) -> None:
    """Write the transpose of so many rows and columns, each at most the lanes of a vector."""
    builder, lanes = write.builder, range(write.lanes)
    sources = [builder.add(source, builder.mul(source_row, long(i))) for i in lanes]
    targets = [builder.add(target, builder.mul(target_row, long(i))) for i in lanes]
    is_tall = builder.icmp_signed(">=", rows, long(write.lanes))
    is_wide = builder.icmp_signed(">=", columns, long(write.lanes))
    with builder.if_else(builder.and_(is_tall, is_wide)) as (whole, part):
        with whole:
            found = write.transpose([write.load(place) for place in sources])
            for x, place in zip(found, targets, strict=True):
                write.store(x, place)
        with part:
            height, width = write.mask(rows), write.mask(columns)
            none = write.mask(long(0))

            def only(i: int, count: Any, mask: Any) -> Any:
                return builder.select(builder.icmp_signed("<", long(i), count), mask, none)

            found = write.transpose(
                [write.load_some(sources[i], only(i, rows, width)) for i in lanes]
            )
            for i in lanes:
                write.store_some(found[i], targets[i], only(i, columns, height))


__all__ = ["copy_row", "transpose_tile"]
