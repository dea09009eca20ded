"""What compiled code uses to walk over arrays: addresses, bits, and the widest vectors."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
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
        place = builder.gep(view.data, [place], inbounds=True)
        # Empty code that gives back the address, which LLVM can't look into. Else it spends half of
        # its time on how the addresses of one row could follow from those of the row before.
        same = ir.FunctionType(place.type, [place.type])
        return builder.asm(same, "", "=r,0", [place], side_effect=False)

    return signature, codegen


@_intrinsic
def select(typing, condition, a, b):
    """`a if condition else b`, both computed: without a branch, so that loops vectorise."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return a(types.boolean, a, a), codegen


@_intrinsic
def fence(typing, x):
    """A float as it is: what is computed with it is not rearranged with what it is computed from.

    LLVM makes (a / b) * y[j] to (a * y[j]) / b, a division in each turn of a loop.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        function = ir.FunctionType(kind, (kind,))
        fence = builder.module.declare_intrinsic("llvm.arithmetic.fence", (kind,), function)
        return builder.call(fence, arguments)

    return x(x), codegen


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


@_intrinsic
def call_address(typing, address, arguments):
    """Call a compiled function of integers by its address."""
    signature = types.void(types.intp, arguments)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        numbers = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(numbers))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return signature, codegen


@_intrinsic
def fetch(typing, address):
    """Ask for the memory at an address, which is read soon."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        numbers = [ir.IntType(32)(n) for n in (0, 3, 1)]  # to read, soon, data
        kind = ir.FunctionType(ir.VoidType(), [x.type for x in (place, *numbers)])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [place, *numbers])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def _pointer_to(kind: Any) -> Any:
    """What makes an address a pointer to numbers of a kind, read and written as `pointer[j]`."""

    @_intrinsic
    def pointer(typing, address):
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind).as_pointer())

        return types.CPointer(kind)(types.intp), codegen

    return pointer


floats, words, shorts, longs = map(
    _pointer_to, (types.float32, types.uint32, types.uint16, types.int64)
)


@_intrinsic
def bits(typing, x):
    """The bits of a float, as an unsigned integer."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return types.Integer.from_bitwidth(x.bitwidth, signed=False)(x), codegen


@_intrinsic
def float_of(typing, bits, like):
    """The float of the type of `like` that has these bits; bits above its width are dropped."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow = types.Integer.from_bitwidth(like.bitwidth, signed=False)
        # Numba widens sums and shifts of 32 bits to 64.
        bits = context.cast(builder, arguments[0], signature.args[0], narrow)
        return builder.bitcast(bits, context.get_value_type(like))

    return like(bits, like), codegen


__all__ = ["bits", "call_address", "fence", "fetch", "float_of", "row", "select"]
__all__ += ["widest_vectors"]
__all__ += ["floats", "longs", "shorts", "words"]
