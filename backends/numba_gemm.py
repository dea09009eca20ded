"""A matrix product for the loop over time: the weights packed once, then used at every step.

A library packs its operands again at every call, which a large product hides and the small ones
of a recurrent step don't. Here the weights `W` (K, M) are laid out once per scan in panels of
`NR` columns, (M / NR, K, NR), each read from front to back; a block of `MR` rows by `NR` columns
of the result stays in vector registers for the whole sum over K. The block is written as LLVM
code, since no Python loop makes the compiler keep an accumulator per register.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Bytes of a vector register, rows and vectors of a block: as many accumulators as leave
# registers for the operands (32 of 64 bytes with AVX-512, else 16 of 32 bytes).
if binding.get_host_cpu_features().get("avx512f"):
    _BYTES, MR, _VECTORS = 64, 4, 4
else:
    _BYTES, MR, _VECTORS = 32, 6, 2


def panel_width(dtype: Any) -> int:
    """NR, the columns of a panel."""
    return _BYTES // np.dtype(dtype).itemsize * _VECTORS


def pack(w: np.ndarray) -> np.ndarray:
    """`w` (K, M) in panels (panels, K, NR); the last one is filled up with zeros."""
    K, M = w.shape
    width = panel_width(w.dtype)
    packed = np.empty((-(-M // width), K, width), w.dtype)
    if w.flags.c_contiguous:
        _pack_rows(w, packed)
    else:
        _pack_columns(np.ascontiguousarray(w.T), packed)
    return packed


@njit(nogil=True, cache=True)
def _pack_rows(w, packed):
    """From a matrix that lies row by row."""
    panels, K, width = packed.shape
    M = w.shape[1]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        for k in range(K):
            packed[panel, k, :count] = w[k, start : start + count]
            packed[panel, k, count:] = 0


@njit(nogil=True, cache=True)
def _pack_columns(wt, packed):
    """From the transpose of a matrix, a few rows of a panel at a time: they stay in cache."""
    panels, K, width = packed.shape
    M = wt.shape[0]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        if count < width:
            packed[panel] = 0
        for k0 in range(0, K, 16):
            k1 = min(k0 + 16, K)
            for j in range(count):
                for k in range(k0, k1):
                    packed[panel, k, j] = wt[start + j, k]


def _block_of(
    typing: Any, rows: Any, a: Any, row: Any, packed: Any, panel: Any, c: Any, at: Any, col: Any
) -> Any:
    """c[at : at + rows, col : col + NR] = a[row : row + rows] @ packed[panel], in registers."""
    if not isinstance(rows, types.IntegerLiteral):
        return None
    count = rows.literal_value
    signature = types.void(rows, a, types.intp, packed, types.intp, c, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        scalar = context.get_value_type(a.dtype)
        lanes = _BYTES // (4 if isinstance(scalar, ir.FloatType) else 8)
        vector = ir.VectorType(scalar, lanes)
        long = ir.IntType(64)
        arrays = [context.make_array(kinds[i])(context, builder, arguments[i]) for i in (1, 3, 5)]
        left, panels, out = arrays
        K = cgutils.unpack_tuple(builder, left.shape)[1]
        columns = cgutils.unpack_tuple(builder, out.shape)[1]
        width = ir.Constant(long, lanes * _VECTORS)
        first = builder.gep(left.data, [builder.mul(arguments[2], K)])
        lefts = [builder.gep(first, [builder.mul(K, ir.Constant(long, r))]) for r in range(count)]
        start = builder.mul(arguments[4], builder.mul(K, width))
        right = builder.gep(panels.data, [start])
        name = f"llvm.fma.v{lanes}{'f32' if isinstance(scalar, ir.FloatType) else 'f64'}"
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, name)

        before = builder.block
        loop = builder.append_basic_block("sum")
        after = builder.append_basic_block("store")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(long)
        k.add_incoming(ir.Constant(long, 0), before)
        zero = ir.Constant(vector, [0.0] * lanes)
        sums = [[builder.phi(vector) for _ in range(_VECTORS)] for _ in range(count)]
        at_k = builder.gep(right, [builder.mul(k, width)])
        rights = []
        for v in range(_VECTORS):
            place = builder.gep(at_k, [ir.Constant(long, v * lanes)])
            load = builder.load(builder.bitcast(place, vector.as_pointer()))
            load.align = 4
            rights.append(load)
        new = []
        for r in range(count):
            number = builder.load(builder.gep(lefts[r], [k]))
            undefined = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            spread = builder.shuffle_vector(one, undefined, mask)
            new.append(
                [builder.call(fma, [spread, rights[v], sums[r][v]]) for v in range(_VECTORS)]
            )
        following = builder.add(k, ir.Constant(long, 1))
        end = builder.block
        k.add_incoming(following, end)
        for old_row, new_row in zip(sums, new, strict=True):
            for old, value in zip(old_row, new_row, strict=True):
                old.add_incoming(zero, before)
                old.add_incoming(value, end)
        builder.cbranch(builder.icmp_signed("<", following, K), loop, after)
        builder.position_at_end(after)
        target = builder.gep(
            out.data, [builder.add(builder.mul(arguments[6], columns), arguments[7])]
        )
        for r in range(count):
            line = builder.gep(target, [builder.mul(columns, ir.Constant(long, r))])
            for v in range(_VECTORS):
                place = builder.gep(line, [ir.Constant(long, v * lanes)])
                store = builder.store(new[r][v], builder.bitcast(place, vector.as_pointer()))
                store.align = 4
        return context.get_dummy_value()

    return signature, codegen


_block: Any = intrinsic(_block_of)


@njit(nogil=True)
def _rows(a, packed, panel, c, lo, hi, at, col):
    """c[at : at + hi - lo, col : col + NR] = a[lo:hi] @ packed[panel]."""
    n = lo
    while n + MR <= hi:
        _block(MR, a, n, packed, panel, c, at + n - lo, col)
        n += MR
    at += n - lo
    rest = hi - n
    if rest == 1:
        _block(1, a, n, packed, panel, c, at, col)
    elif rest == 2:
        _block(2, a, n, packed, panel, c, at, col)
    elif rest == 3:
        _block(3, a, n, packed, panel, c, at, col)
    elif rest == 4:
        _block(4, a, n, packed, panel, c, at, col)
    elif rest == 5:
        _block(5, a, n, packed, panel, c, at, col)


@njit(nogil=True)
def product(a, packed, c, lo, hi):
    """c[lo:hi] = a[lo:hi] @ W for rows of a (N, K), W packed by `pack`, and c (N, M)."""
    panels, K, width = packed.shape
    M = c.shape[1]
    if K == 0:
        c[lo:hi] = 0
        return
    for panel in range(M // width):
        _rows(a, packed, panel, c, lo, hi, lo, panel * width)
    whole = M // width * width
    if whole < M:  # the last panel is wider than what is left of c
        tile = np.empty((hi - lo, width), c.dtype)
        _rows(a, packed, panels - 1, tile, lo, hi, 0, 0)
        for n in range(lo, hi):
            for j in range(M - whole):
                c[n, whole + j] = tile[n - lo, j]
