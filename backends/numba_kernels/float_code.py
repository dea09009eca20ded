"""Functions of floats whose LLVM code Python's operators write.

Numba takes 30 to 300 ms to compile a function that a kernel calls, each in every new cache folder.
A function here is run once per use instead, with objects for its numbers: their operators write
LLVM code into the kernel itself. It has no loops, and no branches: `where` computes both sides.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.errors import TypingError
from numba.extending import lower_builtin, type_callable

from .float_constants import FLOAT32, FLOAT64

# Flags of the functions, also in a kernel of other ones. Here reassoc must be off: it would cancel
# (x + rounder) - rounder, and undo the sums that are split for accuracy.
_FLAGS = ("contract",)

_KINDS = (types.float32, types.float64)


class Float:
    """A float32 or float64 number. The other side of an operator may be a Python number."""

    __array_ufunc__ = None  # NumPy's numbers leave operators to this class

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value, self.kind = builder, value, value.type
        self.constants = FLOAT32 if isinstance(self.kind, ir.FloatType) else FLOAT64

    def like(self, x: Any) -> Any:
        """A number's value, of this one's type."""
        return x.value if isinstance(x, Float) else ir.Constant(self.kind, float(x))

    def _new(self, value: Any) -> Float:
        return Float(self.builder, value)

    def __add__(self, x: Any) -> Float:
        return self._new(self.builder.fadd(self.value, self.like(x), flags=_FLAGS))

    def __radd__(self, x: Any) -> Float:
        return self._new(self.builder.fadd(self.like(x), self.value, flags=_FLAGS))

    def __sub__(self, x: Any) -> Float:
        return self._new(self.builder.fsub(self.value, self.like(x), flags=_FLAGS))

    def __rsub__(self, x: Any) -> Float:
        return self._new(self.builder.fsub(self.like(x), self.value, flags=_FLAGS))

    def __mul__(self, x: Any) -> Float:
        return self._new(self.builder.fmul(self.value, self.like(x), flags=_FLAGS))

    def __rmul__(self, x: Any) -> Float:
        return self._new(self.builder.fmul(self.like(x), self.value, flags=_FLAGS))

    def __truediv__(self, x: Any) -> Float:
        return self._new(self.builder.fdiv(self.value, self.like(x), flags=_FLAGS))

    def __lt__(self, x: Any) -> Truth:
        return self._compare("<", x)

    def __gt__(self, x: Any) -> Truth:
        return self._compare(">", x)

    def equals(self, x: Any) -> Truth:
        """Whether two numbers are equal."""
        return self._compare("==", x)

    def _compare(self, sign: str, x: Any) -> Truth:
        return Truth(self, self.builder.fcmp_ordered(sign, self.value, self.like(x), flags=_FLAGS))

    # By their bits: of a function of LLVM's, Numba would make one with the kernel's flags.

    def __abs__(self) -> Float:
        return (self.bits() & ~self._sign()).number()

    def __neg__(self) -> Float:
        return (self.bits() ^ self._sign()).number()

    def with_sign_of(self, x: Float) -> Float:
        """A number that isn't negative, with the sign of another one."""
        return (self.bits() | (x.bits() & self._sign())).number()

    def _sign(self) -> int:
        return 1 << (31 if self.constants is FLOAT32 else 63)

    def bits(self) -> Bits:
        """Its bits."""
        kind = ir.IntType(32 if self.constants is FLOAT32 else 64)
        return Bits(self, self.builder.bitcast(self.value, kind))

    def call(self, name: str, x: Float) -> Float:
        """What one of LLVM's functions gives for this number and another one."""
        function = ir.FunctionType(self.kind, (self.kind, self.kind))
        declared = self.builder.module.declare_intrinsic(name, (self.kind,), function)
        return self._new(self.builder.call(declared, (self.value, x.value)))


class Bits:
    """The bits of a float, as an unsigned integer."""

    def __init__(self, of: Float, value: Any) -> None:
        self._of, self._value = of, value

    def number(self) -> Float:
        """The float that has these bits."""
        return Float(self._of.builder, self._of.builder.bitcast(self._value, self._of.kind))

    def _do(self, operation: Callable[..., Any], x: Any) -> Bits:
        kind = self._value.type
        mask = (1 << kind.width) - 1
        other = x._value if isinstance(x, Bits) else ir.Constant(kind, int(x) & mask)
        return Bits(self._of, operation(self._value, other))

    def __lshift__(self, x: Any) -> Bits:
        return self._do(self._of.builder.shl, x)

    def __rshift__(self, x: Any) -> Bits:
        return self._do(self._of.builder.lshr, x)

    def __and__(self, x: Any) -> Bits:
        return self._do(self._of.builder.and_, x)

    def __or__(self, x: Any) -> Bits:
        return self._do(self._of.builder.or_, x)

    def __xor__(self, x: Any) -> Bits:
        return self._do(self._of.builder.xor, x)


class Truth:
    """Whether something holds for a float."""

    def __init__(self, of: Float, value: Any) -> None:
        self.of, self.value = of, value

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.of, self.of.builder.and_(self.value, other.value))


def where(condition: Truth, a: Any, b: Any) -> Float:
    """`a if condition else b`."""
    of = condition.of
    return Float(of.builder, of.builder.select(condition.value, of.like(a), of.like(b)))


def polynomial(x: Float, coefficients: tuple[Any, ...]) -> Float:
    """c0 + c1 x + c2 x**2 + ... by Horner's rule."""
    *rest, y = coefficients
    for c in reversed(rest):
        y = y * x + c
    return y


def kernel_function(write: Callable[..., Float]) -> Any:
    """A function for kernels, and for Python, of one that writes its code.

    Its arguments are all float32 or all float64, and so is the result.
    """
    count = len(inspect.signature(write).parameters)

    @functools.wraps(write)
    def function(*numbers: Any) -> Any:
        return compiled()(*numbers)

    @functools.cache
    def compiled() -> Any:
        of_one, of_two = (lambda x: function(x)), (lambda a, b: function(a, b))
        return njit(of_one if count == 1 else of_two)

    def typer(*kinds: Any) -> Any:
        first = kinds[0]
        if first not in _KINDS or kinds.count(first) < count:
            shown = " and ".join(map(str, dict.fromkeys(kinds)))
            raise TypingError(
                f"these functions take float32 or float64, not {shown}: "
                f"convert the argument, as in {write.__name__}(np.float32(x))"
            )
        return first

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return write(*(Float(builder, x) for x in arguments)).value

    of_one, of_two = (lambda x: typer(x)), (lambda a, b: typer(a, b))
    type_callable(function)(lambda context: of_one if count == 1 else of_two)
    for kind in _KINDS:
        lower_builtin(function, *[kind] * count)(generate)
    return function


__all__ = ["Float", "kernel_function", "polynomial", "where"]
