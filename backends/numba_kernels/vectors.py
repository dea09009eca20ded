"""LLVM code that works on a vector register at a time: what the products' instructions are made of.

All addresses are integers, and all distances in bytes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils

# Bytes of a vector register: there are 32 of 64 bytes with AVX-512, else 16 of 32 bytes.
BYTES = 64 if binding.get_host_cpu_features().get("avx512f") else 32

INT, INT64 = ir.IntType(32), ir.IntType(64)


def vector_lanes(size: int) -> int:
    """How many numbers of that many bytes a vector register holds."""
    return BYTES // size


def float_type(size: int) -> Any:
    """The type of floats of that many bytes."""
    return ir.FloatType() if size == 4 else ir.DoubleType()


def long(n: int) -> Any:
    """A constant address or distance."""
    return ir.Constant(INT64, n)


class Vectors:
    """Writes LLVM code for vectors of float32 or float64 numbers."""

    def __init__(self, builder: Any, scalar: Any) -> None:
        self.builder, self.scalar = builder, scalar
        self.size = 4 if isinstance(scalar, ir.FloatType) else 8
        self.lanes = vector_lanes(self.size)
        self.kind = ir.VectorType(scalar, self.lanes)
        self.zero = ir.Constant(self.kind, [0.0] * self.lanes)
        self._align = ir.Constant(INT, self.size)
        self._suffix = f"v{self.lanes}f{8 * self.size}"

    def _place(self, address: Any, v: int) -> Any:
        address = self.builder.add(address, long(v * BYTES))
        return self.builder.inttoptr(address, self.kind.as_pointer())

    def load(self, address: Any, v: int = 0) -> Any:
        """Vector number `v` from an address on."""
        load = self.builder.load(self._place(address, v))
        load.align = self.size
        return load

    def store(self, x: Any, address: Any, v: int = 0) -> None:
        """Write it there."""
        self.builder.store(x, self._place(address, v)).align = self.size

    def load_some(self, address: Any, mask: Any, v: int = 0) -> Any:
        """The lanes of a mask, and zeros in the others."""
        name, given = f"llvm.masked.load.{self._suffix}.p0", (self._align, mask, self.zero)
        return self.call(name, self._place(address, v), *given)

    def store_some(self, x: Any, address: Any, mask: Any, v: int = 0) -> None:
        """Write the lanes of a mask."""
        place = self._place(address, v)
        store = ir.FunctionType(ir.VoidType(), [self.kind, place.type, INT, mask.type])
        name = f"llvm.masked.store.{self._suffix}.p0"
        masked = cgutils.get_or_insert_function(self.builder.module, store, name)
        self.builder.call(masked, [x, place, self._align, mask])

    def call(self, name: str, *arguments: Any) -> Any:
        """A vector that one of LLVM's functions gives."""
        kind = ir.FunctionType(self.kind, [x.type for x in arguments])
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), arguments
        )

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c."""
        return self.call(f"llvm.fma.{self._suffix}", a, b, c)

    def spread(self, address: Any) -> Any:
        """The number at an address, in all lanes."""
        load = self.builder.load(self.builder.inttoptr(address, self.scalar.as_pointer()))
        load.align = self.size
        return self._splat(load, self.kind)

    def _splat(self, x: Any, kind: Any) -> Any:
        empty = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(empty, x, ir.Constant(INT, 0))
        lanes = ir.Constant(ir.VectorType(INT, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, empty, lanes)

    def mask(self, count: Any, v: int = 0) -> Any:
        """Which lanes of vector number `v` are among so many numbers."""
        numbers = ir.VectorType(INT, self.lanes)
        rest = self.builder.sub(count, long(v * self.lanes))
        rest = self._splat(self.builder.trunc(rest, INT), numbers)
        return self.builder.icmp_signed("<", ir.Constant(numbers, list(range(self.lanes))), rest)

    def fetch(self, address: Any, ahead: int) -> None:
        """Ask for what will be read soon, so many bytes further on."""
        place = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place, INT, INT, INT])
        prefetch = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        there = self.builder.inttoptr(self.builder.add(address, long(ahead)), place)
        read, near, data = (ir.Constant(INT, n) for n in (0, 3, 1))
        self.builder.call(prefetch, [there, read, near, data])

    def transpose(self, rows: list[Any]) -> list[Any]:
        """As many vectors as each has lanes, transposed."""
        half = self.lanes // 2
        orders = [
            ir.Constant(
                ir.VectorType(INT, self.lanes),
                [i + n * self.lanes for i in range(first, first + half) for n in (0, 1)],
            )
            for first in (0, half)
        ]
        for _ in range(self.lanes.bit_length() - 1):  # each time, interleave the two halves
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [self.builder.shuffle_vector(*pair, order) for pair in pairs for order in orders]
        return rows


__all__ = ["BYTES", "INT", "INT64", "Vectors", "float_type", "long", "vector_lanes"]
