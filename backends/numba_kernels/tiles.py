"""A processor's tile unit (Intel AMX): eight registers of 16 rows of 64 bytes, six instructions.

Each instruction takes `real` first, a constant. If it is true, it is the processor's own. Otherwise
plain Numba does the same with memory at the address `unit`, so that every machine can test what
uses them. Numbers of registers are constants; addresses and strides (in bytes) are integers.

Products are of pairs of bf16 numbers and exact, sums are float32, each rounded to the nearest. As
on the processor, numbers below 2 ** -126 count as 0, of their sign.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .intrinsics import float_of, floats, words

# The intrinsics' declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic

# Rows of a register, and float32 numbers of a row.
SIDE = 16

# Bytes of a register, of the description of all of them, and of what the emulation needs.
TILE, CONFIG = 1024, 64
UNIT = 8 * TILE + CONFIG + 128

_LEAST = np.float32(2**-126)  # the smallest number that doesn't count as 0
_ZERO, _ONE = np.float32(0), np.float32(1)  # one is of the type that bits stand for


def _instruction(name: str, kinds: str, emulated: Callable[..., None]) -> Any:
    """The instruction of LLVM's name; `kinds` has t for a register, p for an address, n."""

    def typed(typing, real, unit, *given):
        described = list(zip(kinds, given, strict=True))
        constants = [real, *(x for kind, x in described if kind == "t")]
        if not all(isinstance(x, types.Literal) for x in constants):
            return None
        signature = types.void(
            real, types.intp, *(x if kind == "t" else types.intp for kind, x in described)
        )

        def codegen(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            size = 8 if real.literal_value else 64
            operands = []
            for (kind, known), x in zip(described, arguments[2:], strict=True):
                if kind == "t":
                    x = ir.Constant(ir.IntType(size), known.literal_value)
                elif kind == "p" and real.literal_value:
                    x = builder.inttoptr(x, ir.IntType(8).as_pointer())
                operands.append(x)
            if real.literal_value:
                kind_of_call = ir.FunctionType(ir.VoidType(), [x.type for x in operands])
                module, full_name = builder.module, f"llvm.x86.{name}"
                builder.call(
                    cgutils.get_or_insert_function(module, kind_of_call, full_name), operands
                )
            else:
                plain = types.void(*[types.intp] * (1 + len(kinds)))
                context.compile_internal(builder, emulated, plain, [arguments[1], *operands])
            return context.get_dummy_value()

        return signature, codegen

    # Numba asks for a name per argument.
    names = ["typing", "real", "unit", *(f"{kind}{i}" for i, kind in enumerate(kinds))]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    declared: Any = typed
    declared.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])
    return _intrinsic(declared)


# --- the emulation: registers, then their description, then two rows of sums -----------------


@njit(nogil=True)
def _size(unit, t):
    """The rows of a register, and its columns of 4 bytes."""
    config = words(unit + 8 * TILE)
    rows = (config[12 + t // 4] >> (8 * (t % 4))) & 0xFF
    columns = ((config[4 + t // 2] >> (16 * (t % 2))) & 0xFFFF) // 4
    return int(rows), int(columns)


def _load_config(unit, address):
    config, given = words(unit + 8 * TILE), words(address)
    for i in range(CONFIG // 4):
        config[i] = given[i]
    everything = words(unit)
    for i in range(8 * TILE // 4):
        everything[i] = 0


def _release(unit):
    everything = words(unit)
    for i in range((8 * TILE + CONFIG) // 4):
        everything[i] = 0


@njit(nogil=True)
def _zero(unit, t):
    tile = words(unit + t * TILE)
    for i in range(TILE // 4):
        tile[i] = 0


def _load(unit, t, address, stride):
    _zero(unit, t)
    rows, columns = _size(unit, t)
    for i in range(rows):
        tile, line = words(unit + t * TILE + i * 64), words(address + i * stride)
        for j in range(columns):
            tile[j] = line[j]


def _store(unit, t, address, stride):
    rows, columns = _size(unit, t)
    for i in range(rows):
        tile, line = words(unit + t * TILE + i * 64), words(address + i * stride)
        for j in range(columns):
            line[j] = tile[j]


@_intrinsic
def _fused(typing, x, y, z):
    """x * y + z, rounded once."""

    def codegen(context: Any, builder: Any, _: Any, numbers: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 3)
        name = "llvm.fma.f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), numbers)

    return types.float32(*[types.float32] * 3), codegen


@njit(nogil=True)
def _flushed(x):
    return x if abs(x) >= _LEAST or x != x else x * _ZERO


def _multiply_add(unit, c, a, b):
    """c += a @ b, where a row of `a` has pairs of terms side by side, and a row of `b` has two."""
    rows, columns = _size(unit, c)
    pairs = _size(unit, a)[1]
    evens = floats(unit + 8 * TILE + CONFIG)
    odds = floats(unit + 8 * TILE + CONFIG + 64)
    for i in range(rows):
        left = words(unit + a * TILE + i * 64)
        for j in range(columns):
            evens[j] = odds[j] = 0
        for k in range(pairs):
            even = _flushed(float_of(left[k] << 16, _ONE))
            odd = _flushed(float_of(left[k] & 0xFFFF0000, _ONE))
            right = words(unit + b * TILE + k * 64)
            for j in range(columns):
                first, second = (
                    float_of(right[j] << 16, _ONE),
                    float_of(right[j] & 0xFFFF0000, _ONE),
                )
                evens[j] = _flushed(_fused(even, _flushed(first), evens[j]))
                odds[j] = _flushed(_fused(odd, _flushed(second), odds[j]))
        sums = floats(unit + c * TILE + i * 64)
        for j in range(columns):
            sums[j] = _flushed(_flushed(sums[j]) + _flushed(evens[j] + odds[j]))


load_config = _instruction("ldtilecfg", "p", _load_config)
release = _instruction("tilerelease", "", _release)
zero = _instruction("tilezero", "t", _zero.py_func)
load = _instruction("tileloadd64", "tpn", _load)
store = _instruction("tilestored64", "tpn", _store)
multiply_add = _instruction("tdpbf16ps", "ttt", _multiply_add)

__all__ = ["CONFIG", "SIDE", "TILE", "UNIT"]
__all__ += ["load", "load_config", "multiply_add", "release", "store", "zero"]
