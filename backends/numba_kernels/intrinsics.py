"""What generated kernels use to walk over arrays: rows as addresses, and the widest vectors."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


@_intrinsic
def row(typing, array, at):
    """The rest of the row that begins at an index, to be read and written as `row[j]`, j >= 0.

    An address and nothing else: a slice costs as much as a dozen elements of a short row, and an
    index that may be negative a test per element. The array is contiguous, the index complete.
    """
    signature = types.CPointer(array.dtype)(array, at)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        first, *rest = cgutils.unpack_tuple(builder, arguments[1])
        lengths = cgutils.unpack_tuple(builder, view.shape)
        place = first
        for length, index in zip(lengths[1:], rest, strict=True):
            place = builder.add(builder.mul(place, length), index)
        return builder.gep(view.data, [place], inbounds=True)

    return signature, codegen


@_intrinsic
def widest_vectors(typing):
    """Let the kernel's loops use the widest vector registers, which LLVM avoids by default.

    Some processors lower their clock for 512 bits, which short bursts would pay for: these
    kernels run for long, and beside products that use such registers anyway.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite's own set of attributes knows the plain ones only.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


__all__ = ["row", "widest_vectors"]
