"""Products within a kernel, of some rows: what calls a compiled product by its address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vectors import long

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


class _Rows:
    """The rows from `lo` on of an array (N, M), or one row (M,) in place of each, as LLVM code."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, lo: Any) -> None:
        view = context.make_array(kind)(context, builder, array)
        self.lengths = cgutils.unpack_tuple(builder, view.shape)
        self.strides = cgutils.unpack_tuple(builder, view.strides)
        self.stride = long(0) if kind.ndim == 1 else self.strides[0]
        whole = builder.ptrtoint(view.data, lo.type)
        self.address = builder.add(whole, builder.mul(self.stride, lo))


def _multiply(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Call the product; without terms, there are only the rows to start from, or zeros."""
    (gemm, *arrays, lo, hi), kinds = values, kinds[1:-2]
    firsts = [*[lo] * (len(arrays) - 2), long(0), lo]  # what is packed is read as a whole
    given = zip(kinds, arrays, firsts, strict=True)
    *start, a, packed, c = (_Rows(context, builder, *each) for each in given)
    terms, columns = packed.lengths[1], c.lengths[-1]
    rows = builder.sub(hi, lo)
    base, line = (start[0].address, start[0].stride) if start else (long(0), long(0))
    with builder.if_else(builder.icmp_signed(">", terms, long(0))) as (some, none):
        with some, builder.if_then(builder.icmp_signed(">", rows, long(0))):
            sides = [a.address, a.stride, a.strides[-1], packed.address]
            sides += [c.address, c.stride, rows, terms, columns, base, line]
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in sides])
            builder.call(builder.inttoptr(gemm, kind.as_pointer()), sides)
        with none, cgutils.for_range(builder, rows) as loop:
            bytes_of_row = builder.mul(columns, c.strides[-1])
            place = ir.IntType(8).as_pointer()
            target = builder.add(c.address, builder.mul(c.stride, loop.index))
            target = builder.inttoptr(target, place)
            if start:
                source = builder.inttoptr(builder.add(base, builder.mul(line, loop.index)), place)
                cgutils.raw_memcpy(builder, target, source, bytes_of_row, 1)
            else:
                cgutils.memset(builder, target, bytes_of_row, 0)
    return context.get_dummy_value()


@_intrinsic
def product(typing, gemm, a, packed, c, lo, hi):
    """c[lo:hi] = a[lo:hi] @ b for rows of a (N, K), b packed by `pack`, and c (N, M).

    The numbers of a row of c are side by side; a may be laid out in any way.
    """
    signature = types.void(types.intp, a, packed, c, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _multiply(context, builder, signature.args, values)

    return signature, codegen


@_intrinsic
def product_onto(typing, gemm, start, a, packed, c, lo, hi):
    """c[lo:hi] = start + a[lo:hi] @ b, with `start` (N, M) or (M,) like c; see `product`."""
    signature = types.void(types.intp, start, a, packed, c, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _multiply(context, builder, signature.args, values)

    return signature, codegen


@_intrinsic
def add_product(typing, gemm, packing, a, b, total, lo, hi):
    """total += a[lo:hi].T @ b[lo:hi] for rows a (N, K) and b (N, M); `total` (K, M) may be empty.

    `packing` is the address of the product that packs; the numbers of a row are side by side.
    """
    signature = types.void(types.intp, types.intp, a, b, total, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        gemm, packing, *arrays, lo, hi = values
        given = zip(signature.args[2:5], arrays, (lo, lo, long(0)), strict=True)
        a, b, total = (_Rows(context, builder, *each) for each in given)
        (rows, columns), terms = total.lengths, builder.sub(hi, lo)
        least = builder.select(builder.icmp_signed("<", rows, terms), rows, terms)
        with builder.if_then(builder.icmp_signed(">", least, long(0))):
            sides = [gemm, a.address, a.strides[-1], a.stride, b.address, b.stride, b.strides[-1]]
            sides += [total.address, total.stride, rows, terms, columns]
            sides += [total.address, total.stride]
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in sides])
            builder.call(builder.inttoptr(packing, kind.as_pointer()), sides)
        return context.get_dummy_value()

    return signature, codegen


__all__ = ["add_product", "product", "product_onto"]
