"""Numbers of a matrix moved to where a product wants them, a vector register or more at a time."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from .vectors import Vectors, long

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


@_intrinsic
def copy_row(typing, real, target, source, count, vectors):
    """Copy `count` numbers that are side by side, and write zeros behind them: whole vectors.

    `vectors`, the length of what is written, is a constant.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    signature = types.void(real, *[types.intp] * 3, vectors)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, count, _ = arguments
        write = Vectors(builder, context.get_value_type(real.dtype))
        for v in range(vectors.literal_value):
            write.store(write.load_some(source, write.mask(count, v), v), target, v)
        return context.get_dummy_value()

    return signature, codegen


@_intrinsic
def transpose_tile(typing, real, target, target_row, source, source_row, rows, columns):
    """Write the transpose of so many rows and columns, each at most the lanes of a vector."""
    signature = types.void(real, *[types.intp] * 6)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, target_row, source, source_row, rows, columns = arguments
        write = Vectors(builder, context.get_value_type(real.dtype))
        lanes = range(write.lanes)
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
        return context.get_dummy_value()

    return signature, codegen


__all__ = ["copy_row", "transpose_tile"]
