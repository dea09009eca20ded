"""A matrix product of our own: one operand packed once, blocks of the result in registers.

A library packs its operands again at every call, which a large product hides and the small ones
of a recurrent step don't. Here `b` (K, M) is laid out once in panels of `NR` columns,
(M / NR, K, NR), each read from front to back, and used as often as one likes: at every step of a
scan, or by every row of a large product. A block of up to `MR` rows by `NR` columns of the result
stays in vector registers while it is summed up. The blocks are written as LLVM code, since no
Python loop makes the compiler keep an accumulator per register.

The compiled product is one function per dtype, called by its address: a kernel that uses it
doesn't compile it again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .files import kept, kept_callback
from .threads import by_rows

# Bytes of a vector register, and the most rows and vectors of a block: as many accumulators as
# leave registers for the operands (32 of 64 bytes with AVX-512, else 16 of 32 bytes).
_BYTES, _VECTORS = (64, 4) if binding.get_host_cpu_features().get("avx512f") else (32, 2)
MR = 6
# Of a large product, parts of so many blocks of rows and so many terms are done at a time, to stay
# in cache: fewer terms where `a` lies column by column, each on a page of its own.
_BLOCKS, _TERMS, _COLUMN_TERMS = 64, 256, 96
_AHEAD = 2048  # bytes of a panel between what is read and what is asked for

# How many terms of a product cost as much as a number that a loop computes; see `by_rows`.
_TERMS_PER_NUMBER = 400

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


def panel_width(dtype: Any) -> int:
    """NR, the columns of a panel."""
    return _BYTES // np.dtype(dtype).itemsize * _VECTORS


def regular(x: np.ndarray) -> np.ndarray:
    """A matrix as products take it: by rows or by columns, each number where one is expected.

    Rows and columns may lie anywhere, in any order or on top of each other, as long as along one
    axis the numbers are side by side. Any other matrix is copied.
    """
    if x.flags.aligned and x.dtype.isnative and x.itemsize in x.strides:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def pack(b: np.ndarray) -> np.ndarray:
    """`b` (K, M) in panels (panels, K, NR); the last one is filled up with zeros."""
    b = regular(b)
    K, M = b.shape
    width = panel_width(b.dtype)
    packed = np.empty((-(-M // width), K, width), b.dtype)
    if b.strides[1] == b.itemsize:
        _pack_rows(b, packed)
    else:
        _pack_columns(b.T, packed)
    return packed


@kept
@njit(nogil=True)
def _pack_rows(b, packed):
    """From a matrix whose rows are whole."""
    panels, K, width = packed.shape
    M = b.shape[1]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        for k in range(K):
            for j in range(count):
                packed[panel, k, j] = b[k, start + j]
            for j in range(count, width):
                packed[panel, k, j] = 0


@kept
@njit(nogil=True)
def _pack_columns(bt, packed):
    """From the transpose of one whose columns are, a few rows of a panel at a time: they stay in
    cache."""
    panels, K, width = packed.shape
    M = bt.shape[0]
    for panel in range(panels):
        start = panel * width
        count = min(width, M - start)
        if count < width:
            packed[panel] = 0
        for k0 in range(0, K, 16):
            k1 = min(k0 + 16, K)
            for j in range(count):
                for k in range(k0, k1):
                    packed[panel, k, j] = bt[start + j, k]


def _lanes(size: int) -> int:
    return _BYTES // size


# --- one block, in registers ---------------------------------------------------------------


class _Block:
    """Writes the LLVM code of one size of block.

    All addresses are integers, and all strides in bytes.
    """

    def __init__(self, builder: Any, scalar: Any, rows: int, vectors: int) -> None:
        self.builder, self.scalar, self.rows, self.vectors = builder, scalar, rows, vectors
        self.size = 4 if isinstance(scalar, ir.FloatType) else 8
        self.lanes = _BYTES // self.size
        self.vector = ir.VectorType(scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def _call(self, name: str, *arguments: Any) -> Any:
        kind = ir.FunctionType(self.vector, [x.type for x in arguments])
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), arguments
        )

    def _vector_at(self, address: Any, v: int) -> Any:
        address = self.builder.add(address, _long(v * _BYTES))
        return self.builder.inttoptr(address, self.vector.as_pointer())

    def _load(self, address: Any, v: int) -> Any:
        load = self.builder.load(self._vector_at(address, v))
        load.align = self.size
        return load

    def _spread(self, address: Any) -> Any:
        """The number at an address, in all lanes."""
        load = self.builder.load(self.builder.inttoptr(address, self.scalar.as_pointer()))
        load.align = self.size
        return self._splat(load, self.vector)

    def _fetch(self, address: Any, ahead: int) -> None:
        """Ask for what will be read soon: a panel seldom fits into the fastest cache."""
        place = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place, _INT, _INT, _INT])
        prefetch = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        there = self.builder.inttoptr(self.builder.add(address, _long(ahead)), place)
        read, soon, data = (ir.Constant(_INT, n) for n in (0, 3, 1))
        self.builder.call(prefetch, [there, read, soon, data])

    def _splat(self, x: Any, vector: Any) -> Any:
        empty = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(empty, x, ir.Constant(_INT, 0))
        lanes = ir.Constant(ir.VectorType(_INT, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, empty, lanes)

    def _mask(self, columns: Any, v: int) -> Any:
        """Which lanes of vector `v` are among so many columns."""
        numbers = ir.VectorType(_INT, self.lanes)
        rest = self.builder.sub(columns, _long(v * self.lanes))
        count = self._splat(self.builder.trunc(rest, _INT), numbers)
        return self.builder.icmp_signed("<", ir.Constant(numbers, list(range(self.lanes))), count)

    def write(self, sides: Any, terms: Any, columns: Any, start: Any, start_row: Any) -> None:
        """c = start + a @ panel; `start` may be 0 for none. It leaves another block to go on.

        `sides` are the addresses and strides that `_block` takes from `a` to `c_row`.
        """
        a, a_row, a_term, panel, c, c_row = sides
        b, rows, vectors = self.builder, range(self.rows), range(self.vectors)
        mask = self._mask(columns, self.vectors - 1)
        align = ir.Constant(_INT, self.size)
        lines = [b.add(c, b.mul(c_row, _long(r))) for r in rows]
        starts = [b.add(start, b.mul(start_row, _long(r))) for r in rows]
        lefts = [b.add(a, b.mul(a_row, _long(r))) for r in rows]
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        before, add, loop, after = (b.append_basic_block() for _ in range(4))
        b.branch(before)
        b.position_at_end(before)
        b.cbranch(b.icmp_signed("!=", start, _long(0)), add, loop)
        b.position_at_end(add)
        known = [[self._load(starts[r], v) for v in vectors[:-1]] for r in rows]
        for r in rows:
            place = self._vector_at(starts[r], self.vectors - 1)
            name = f"llvm.masked.load.{self.suffix}.p0"
            known[r].append(self._call(name, place, align, mask, zero))
        b.branch(loop)
        b.position_at_end(loop)
        k, at, right = (b.phi(_LONG) for _ in range(3))
        sums = [[b.phi(self.vector) for _ in vectors] for _ in rows]
        rights = [self._load(right, v) for v in vectors]
        for v in vectors:
            self._fetch(right, _AHEAD + v * _BYTES)
        new = []
        for r in rows:
            left = self._spread(b.add(lefts[r], at))
            name = f"llvm.fma.{self.suffix}"
            new.append([self._call(name, left, rights[v], sums[r][v]) for v in vectors])
        width = _long(_VECTORS * _BYTES)
        following = [b.add(k, _long(1)), b.add(at, a_term), b.add(right, width)]
        firsts = _long(0), _long(0), panel
        for phi, first, then in zip((k, at, right), firsts, following, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(first, add)
            phi.add_incoming(then, loop)
        for r in rows:
            for v in vectors:
                sums[r][v].add_incoming(zero, before)
                sums[r][v].add_incoming(known[r][v], add)
                sums[r][v].add_incoming(new[r][v], loop)
        b.cbranch(b.icmp_signed("<", following[0], terms), loop, after)
        b.position_at_end(after)
        for r in rows:
            for v in vectors[:-1]:
                b.store(new[r][v], self._vector_at(lines[r], v)).align = self.size
            place = self._vector_at(lines[r], self.vectors - 1)
            store = ir.FunctionType(ir.VoidType(), [self.vector, place.type, _INT, mask.type])
            name = f"llvm.masked.store.{self.suffix}.p0"
            masked = cgutils.get_or_insert_function(b.module, store, name)
            b.call(masked, [new[r][-1], place, align, mask])


_INT, _LONG = ir.IntType(32), ir.IntType(64)


def _long(n: int) -> Any:
    return ir.Constant(_LONG, n)


@_intrinsic
def _move(typing, real, target, source, count):
    """Copy up to MR numbers that are side by side, and spoil what is behind them within vectors."""
    signature = types.void(real, *[types.intp] * 3)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, count = arguments
        block = _Block(builder, context.get_value_type(real.dtype), 1, 1)
        align, zero = ir.Constant(_INT, block.size), ir.Constant(block.vector, [0.0] * block.lanes)
        name = f"llvm.masked.load.{block.suffix}.p0"
        for v in range(-(-MR // block.lanes)):
            place, mask = block._vector_at(source, v), block._mask(count, v)
            numbers = block._call(name, place, align, mask, zero)
            builder.store(numbers, block._vector_at(target, v)).align = block.size
        return context.get_dummy_value()

    return signature, codegen


@_intrinsic
def _block(typing, real, rows, columns, a, a_row, a_term, panel, c, c_row, terms, start, start_row):
    """c[: rows, : columns] = start + a[: rows] @ panel, in a size that fits into registers."""
    signature = types.void(real, *[types.intp] * 11)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, columns, *sides, terms, start, start_row = arguments
        scalar = context.get_value_type(real.dtype)
        lanes = _long(_BYTES // (4 if isinstance(scalar, ir.FloatType) else 8))
        vectors = builder.sdiv(builder.add(columns, builder.sub(lanes, _long(1))), lanes)
        which = builder.add(builder.mul(rows, _long(_VECTORS + 1)), vectors)
        done = builder.append_basic_block()
        switch = builder.switch(which, done)
        for m in range(1, MR + 1):
            for v in range(1, _VECTORS + 1):
                case = builder.append_basic_block()
                switch.add_case(_long(m * (_VECTORS + 1) + v), case)
                builder.position_at_end(case)
                _Block(builder, scalar, m, v).write(sides, terms, columns, start, start_row)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


# --- the whole product ---------------------------------------------------------------------


@cache
def gemm(dtype: str) -> Any:
    """The compiled product for a dtype: `.address` is for `product`, `.ctypes` for Python."""
    kind = np.dtype(dtype)
    real, size, width = kind.type, kind.itemsize, panel_width(kind)
    ahead, lanes = width * size, _lanes(size)
    spoilt = -(-MR // lanes) * lanes  # by `_move`, at most

    def multiply(a, a_row, a_term, panels, c, c_row, rows, terms, columns, start, start_row):
        """c = start + a @ b, with addresses (`start` may be 0 for none) and strides in bytes."""
        by_column = a_row == size and a_term != size  # else each number is looked up by itself
        step = rows if by_column else _BLOCKS * MR
        part = _COLUMN_TERMS if by_column else _TERMS
        rearranged = by_column and columns >= 2 * width
        room = (rows + MR) // MR * (_COLUMN_TERMS * MR + spoilt)
        scratch = np.empty((room if rearranged else 0), real)
        group = (_COLUMN_TERMS * MR + spoilt) * size
        for m0 in range(0, rows, step):
            m1 = min(m0 + step, rows)
            blocks = (m1 - m0 + MR - 1) // MR
            low, more = (m1 - m0) // blocks, (m1 - m0) % blocks  # of nearly the same height
            for k0 in range(0, terms, part):
                k1 = min(k0 + part, terms)
                if rearranged:
                    for k in range(k0, k1):
                        m = m0
                        for i in range(blocks):
                            height = low + 1 if i < more else low
                            source = a + m * a_row + k * a_term
                            target = scratch.ctypes.data + i * group + (k - k0) * MR * size
                            _move(real, target, source, height)
                            m += height
                for j in range(0, columns, width):
                    panel = panels + j * terms * size + k0 * ahead
                    count = min(width, columns - j)
                    m = m0
                    for i in range(blocks):
                        height = low + 1 if i < more else low
                        left, row, term = a + m * a_row + k0 * a_term, a_row, a_term
                        if rearranged:
                            left, row, term = scratch.ctypes.data + i * group, size, MR * size
                        target = c + m * c_row + j * size
                        base, line = target, c_row  # go on with the sum of the terms before
                        if k0 == 0:
                            base = start + m * start_row + j * size if start else 0
                            line = start_row
                        _block(
                            *(real, height, count, left, row, term),
                            *(panel, target, c_row, k1 - k0, base, line),
                        )
                        m += height

    return kept_callback(types.void(*[types.intp] * 11))(multiply)


@_intrinsic
def _call(typing, address, arguments):
    """Call a compiled product by its address."""
    signature = types.void(types.intp, arguments)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        numbers = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [_LONG] * len(numbers))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return signature, codegen


@njit(nogil=True)
def product(gemm, a, packed, c, lo, hi):
    """c[lo:hi] = a[lo:hi] @ b for rows of a (N, K), b packed by `pack`, and c (N, M).

    The numbers of a row of c are side by side; a may be laid out in any way.
    """
    terms = packed.shape[1]
    if terms == 0:
        c[lo:hi] = 0
    elif hi > lo:
        a_row, a_term = a.strides
        left, target = a.ctypes.data + lo * a_row, c.ctypes.data + lo * c.strides[0]
        sides = left, a_row, a_term, packed.ctypes.data, target, c.strides[0]
        _call(gemm, (*sides, hi - lo, terms, c.shape[1], 0, 0))


@njit(nogil=True)
def product_onto(gemm, start, a, packed, c, lo, hi):
    """c[lo:hi] = start + a[lo:hi] @ b, with `start` (N, M) or (M,) like c; see `product`."""
    terms = packed.shape[1]
    if terms == 0:
        c[lo:hi] = start if start.ndim == 1 else start[lo:hi]
    elif hi > lo:
        a_row, a_term = a.strides
        left, target = a.ctypes.data + lo * a_row, c.ctypes.data + lo * c.strides[0]
        sides = left, a_row, a_term, packed.ctypes.data, target, c.strides[0]
        line = 0 if start.ndim == 1 else start.strides[0]
        _call(gemm, (*sides, hi - lo, terms, c.shape[1], start.ctypes.data + lo * line, line))


def matmul(a: np.ndarray, b: np.ndarray, c: np.ndarray, start: np.ndarray | None = None) -> None:
    """c = a @ b for float matrices of one dtype, a and b in any layout, c with whole rows.

    With `start` (N, M) or (M,), of that dtype too, it is start + a @ b.
    """
    (rows, terms), columns = a.shape, b.shape[1]
    if not (c.flags.behaved and c.dtype.isnative and _has_whole_rows(c)):
        raise ValueError("a product is written to whole rows, row by row")
    if start is not None and not (start.flags.aligned and _has_whole_rows(start)):
        start = np.array(start, order="C")
    if terms == 0:
        c[...] = 0 if start is None else start
        return
    a = regular(a)
    multiply, packed = gemm(a.dtype.name).ctypes, pack(b)
    a_row, a_term = a.strides
    left, panels, target = (x.ctypes.data for x in (a, packed, c))
    line, start_line, base = c.strides[0], 0, 0
    if start is not None:
        start_line, base = 0 if start.ndim == 1 else start.strides[0], start.ctypes.data

    def part(lo: int, hi: int) -> None:
        sides = left + lo * a_row, a_row, a_term, panels, target + lo * line, line
        multiply(*sides, hi - lo, terms, columns, base + lo * start_line, start_line)

    by_rows(part, rows, rows * terms * columns // _TERMS_PER_NUMBER, MR)


def _has_whole_rows(x: np.ndarray) -> bool:
    """Whether the numbers of each row are side by side."""
    return x.shape[-1] < 2 or x.strides[-1] == x.itemsize
