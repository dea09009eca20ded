"""A block of a matrix product that stays in vector registers, as LLVM code.

It is written in LLVM code since no Python loop makes the compiler keep an accumulator per register.
All addresses are integers, and all strides in bytes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Bytes of a vector register, and the most rows and vectors of a block: as many accumulators as
# leave registers for the operands (32 of 64 bytes with AVX-512, else 16 of 32 bytes).
BYTES, VECTORS = (64, 4) if binding.get_host_cpu_features().get("avx512f") else (32, 2)
MR = 6
_AHEAD = 2048  # bytes of a panel between what is read and what is asked for

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


def vector_lanes(size: int) -> int:
    """How many numbers of that many bytes a vector register holds."""
    return BYTES // size


class _Block:
    """Writes the LLVM code of one size of block."""

    def __init__(self, builder: Any, scalar: Any, rows: int, vectors: int) -> None:
        self.builder, self.scalar, self.rows, self.vectors = builder, scalar, rows, vectors
        self.size = 4 if isinstance(scalar, ir.FloatType) else 8
        self.lanes = vector_lanes(self.size)
        self.vector = ir.VectorType(scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.size}"

    def _call(self, name: str, *arguments: Any) -> Any:
        kind = ir.FunctionType(self.vector, [x.type for x in arguments])
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), arguments
        )

    def _vector_at(self, address: Any, v: int) -> Any:
        address = self.builder.add(address, _long(v * BYTES))
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

        `sides` are the addresses and strides that `block` takes from `a` to `c_row`.
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
            self._fetch(right, _AHEAD + v * BYTES)
        new = []
        for r in rows:
            left = self._spread(b.add(lefts[r], at))
            name = f"llvm.fma.{self.suffix}"
            new.append([self._call(name, left, rights[v], sums[r][v]) for v in vectors])
        width = _long(VECTORS * BYTES)
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
def move(typing, real, target, source, count):
    """Copy up to MR numbers that are side by side, and spoil what is behind them within vectors."""
    signature = types.void(real, *[types.intp] * 3)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, target, source, count = arguments
        one = _Block(builder, context.get_value_type(real.dtype), 1, 1)
        align, zero = ir.Constant(_INT, one.size), ir.Constant(one.vector, [0.0] * one.lanes)
        name = f"llvm.masked.load.{one.suffix}.p0"
        for v in range(-(-MR // one.lanes)):
            place, mask = one._vector_at(source, v), one._mask(count, v)
            numbers = one._call(name, place, align, mask, zero)
            builder.store(numbers, one._vector_at(target, v)).align = one.size
        return context.get_dummy_value()

    return signature, codegen


@_intrinsic
def block(typing, real, rows, columns, a, a_row, a_term, panel, c, c_row, terms, start, start_row):
    """c[: rows, : columns] = start + a[: rows] @ panel, in a size that fits into registers."""
    signature = types.void(real, *[types.intp] * 11)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, rows, columns, *sides, terms, start, start_row = arguments
        scalar = context.get_value_type(real.dtype)
        lanes = _long(vector_lanes(4 if isinstance(scalar, ir.FloatType) else 8))
        vectors = builder.sdiv(builder.add(columns, builder.sub(lanes, _long(1))), lanes)
        which = builder.add(builder.mul(rows, _long(VECTORS + 1)), vectors)
        done = builder.append_basic_block()
        switch = builder.switch(which, done)
        for m in range(1, MR + 1):
            for v in range(1, VECTORS + 1):
                case = builder.append_basic_block()
                switch.add_case(_long(m * (VECTORS + 1) + v), case)
                builder.position_at_end(case)
                _Block(builder, scalar, m, v).write(sides, terms, columns, start, start_row)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


__all__ = ["BYTES", "MR", "VECTORS", "block", "move", "vector_lanes"]
