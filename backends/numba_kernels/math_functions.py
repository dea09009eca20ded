"""Elementary functions for Numba kernels, in arithmetic that LLVM turns into vector code.

`math.tanh` in a kernel is a call per element and keeps the whole loop scalar. The functions here
have no calls and no branches, so that loops over them run on several elements at a time. They take
and return float32 or float64 scalars. The error is at most 4 ulp over the whole range (2.6 ulp is
the worst that was measured); zeros keep their sign, subnormals count, NaN gives NaN.

>>> import numpy as np
>>> from numba import njit
>>> from minigrad.backends.numba_kernels.math_functions import FLAGS, tanh
>>> @njit(**FLAGS)
... def squash(x, y):
...     for j in range(x.size):
...         y[j] = tanh(x[j])
>>> y = np.empty(3, np.float32)
>>> squash(np.array([-1, 0, np.nan], np.float32), y)
>>> y.round(4)
array([-0.7616,  0.    ,     nan], dtype=float32)

There is one text per function. What differs between float32 and float64 stands in two tables of
constants, in `float_constants`. Numbers in the text are written `real(2)`, with `real = type(x)`: a
bare 2.0 would make Numba compute in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload

from .float_constants import FLOAT32, FLOAT64, Constants
from .intrinsics import bits, float_of

__all__ = ["FLAGS", "exp", "expm1", "log", "log1p", "maximum", "minimum", "sigmoid", "softplus"]
__all__ += ["larger", "smaller", "tanh"]

FLAGS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}
"""Options for kernels: `@njit(**FLAGS)`. They vectorise, and NaN and infinities stay what they are.

- error_model="numpy": Python's would hide a branch in each division.
- contract allows fused multiply-add, reassoc sums in several lanes.
- Not nsz: together with reassoc it turns (a + b) - a into b, also where a is NaN.
- Not arcp: 1 / b overflows for small b where a / b does not.
- Not nnan, ninf: padding and anomaly checks need both.
"""

# The functions keep flags of their own when they are inlined into a kernel. Here reassoc must be
# off: it would cancel (x + rounder) - rounder, and undo the sums that are split for accuracy.
_inline = njit(error_model="numpy", fastmath={"contract"}, forceinline=True)

# Its declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


# --- building blocks -----------------------------------------------------------------------


def _constants(x: Any) -> Constants:
    """The table for the type of x, known when a kernel is compiled."""
    raise NotImplementedError("only in compiled code")


@overload(_constants, jit_options={"forceinline": True})
def _overload_constants(x):
    tables = {types.float32: FLOAT32, types.float64: FLOAT64}
    if x not in tables:
        raise TypingError(
            f"these functions take float32 or float64, not {x}: "
            "convert the argument, as in tanh(np.float32(x))"
        )
    table = tables[x]
    return lambda x: table


@_intrinsic
def _polynomial(typing_context, x, coefficients):
    """c0 + c1 x + c2 x**2 + ... by Horner's rule."""

    # A Python loop over the tuple would index it through a switch, and LLVM not always unroll it.
    def generate(context, builder, signature, args):
        x, coefficients = args
        rest = [builder.extract_value(coefficients, i) for i in range(signature.args[1].count)]
        y = rest.pop()
        while rest:
            y = builder.fadd(builder.fmul(y, x), rest.pop())
        return y

    return x(x, coefficients), generate


def _extreme(name: str) -> Any:
    """An LLVM instruction on two floats: NaN if one of them is."""

    def extreme(typing_context, a, b):
        def generate(context, builder, signature, args):
            kind = args[0].type
            function = ir.FunctionType(kind, (kind, kind))
            declared = builder.module.declare_intrinsic(f"llvm.{name}", (kind,), function)
            return builder.call(declared, args)

        return a(a, a), generate

    return _intrinsic(extreme)


_maximum, _minimum = _extreme("maximum"), _extreme("minimum")


def _choice(sign: str) -> Any:
    """Which of two floats is more to one side, if neither is NaN; folds a loop in lanes."""

    def choice(typing_context, a, b):
        def generate(context, builder, signature, args):
            flags = ("nnan", "nsz")
            first = builder.fcmp_ordered(sign, *args, flags=flags)
            return builder.select(first, *args, flags=flags)

        return a(a, a), generate

    return _intrinsic(choice)


larger, smaller = _choice(">"), _choice("<")


@_inline
def _exp_parts(x, rounder, c):
    """s = 2**n and p = exp(r) - 1 where x = n ln 2 + r; exp(x) is s + s * p.

    A k added to the rounder makes that s = 2**(n + k), which must be a normal number.
    """
    rounded = x * c.log2_e + rounder
    n = rounded - rounder
    r = (x - n * c.ln2_hi) - n * c.ln2_lo
    s = float_of(bits(rounded) << c.mantissa, x)  # the low bits become the exponent
    return s, r + r * r * _polynomial(r, c.exp)


@_inline
def _exp_of_negative(x, c):
    """exp(x) for x <= 0."""
    y = c.exp_min if x < c.exp_min else x
    s, p = _exp_parts(y, c.rounder + c.shift, c)
    return (s + s * p) * (type(x)(1) / c.lift)


@_inline
def _log_parts(x, c):
    """e and s = 2**(2 - e) where √½ <= x / 2**e <= √2.

    The exponent of x * √2 is e. s is 4 times too large since e may be 128 (1024), where 2**-e is
    no normal number.
    """
    real = type(x)
    e = float_of(bits(x * c.sqrt2) >> c.mantissa | bits(c.whole), x) - (c.whole + c.bias)
    return e, float_of(bits((c.rounder + real(2)) - e) << c.mantissa, x)


@_inline
def _log_sum(r, e, c):
    """log((1 + r) * 2**e)."""
    tail = r * r * (r * _polynomial(r, c.log) - type(r)(0.5))
    return e * c.ln2_hi + (r + (e * c.ln2_lo + tail))


@_inline
def _log1p_of_finite(x, c):
    """log(1 + x) for finite x > -1. The rounding of 1 + x does no harm: it only decides on e."""
    real = type(x)
    e, s = _log_parts(real(1) + x, c)
    return _log_sum(x * s * real(0.25) + (s * real(0.25) - real(1)), e, c)


# --- the functions -------------------------------------------------------------------------


@_inline
def maximum(a, b):
    """The larger of two; NaN if one of them is.

    >>> maximum(1.0, 2.0), maximum(math.nan, 1.0)
    (2.0, nan)
    """
    return _maximum(a, b)


@_inline
def minimum(a, b):
    """The smaller of two; NaN if one of them is.

    >>> minimum(1.0, 2.0), minimum(1.0, math.nan)
    (1.0, nan)
    """
    return _minimum(a, b)


@_inline
def exp(x):
    """The exponential: 0 at -inf, subnormal before it is 0, inf from where it overflows.

    >>> exp(0.0), exp(-1000.0), exp(1000.0)
    (1.0, 0.0, inf)
    """
    c = _constants(x)
    real = type(x)
    y = c.exp_min if x < c.exp_min else x
    y = c.exp_max if y > c.exp_max else y
    # Exponents of results span more than a normal s can hold: shift them to the middle and back.
    negative = x < real(0)
    s, p = _exp_parts(y, c.rounder + c.shift if negative else c.rounder - c.shift, c)
    return (s + s * p) * (real(1) / c.lift if negative else c.lift)


@_inline
def expm1(x):
    """exp(x) - 1, accurate near 0.

    >>> expm1(1e-20), expm1(-1000.0)
    (1e-20, -1.0)
    """
    c = _constants(x)
    real = type(x)
    y = c.expm1_min if x < c.expm1_min else x
    y = c.exp_max if y > c.exp_max else y
    s, p = _exp_parts(y, c.rounder - real(1), c)  # half of it: 2**n itself may overflow
    half = s * p + (s - real(0.5))
    return half + half if abs(x) > c.tiny else x


@_inline
def log(x):
    """The natural logarithm: -inf at 0 and -0, NaN below.

    >>> log(1.0), log(0.0), log(-1.0)
    (0.0, -inf, nan)
    """
    c = _constants(x)
    real = type(x)
    small = x < c.small
    y = x * c.lift if small else x
    e, s = _log_parts(y, c)
    e = e - c.shift if small else e
    y = _log_sum(y * s * real(0.25) - real(1), e, c)
    y = y if x < real(np.inf) else x
    return y if x > real(0) else (real(-np.inf) if x == real(0) else real(np.nan))


@_inline
def log1p(x):
    """log(1 + x), accurate near 0: -inf at -1, NaN below.

    >>> log1p(1e-20), log1p(-1.0)
    (1e-20, -inf)
    """
    c = _constants(x)
    real = type(x)
    y = _log1p_of_finite(x, c)
    y = y if x > real(-1) else (real(-np.inf) if x == real(-1) else real(np.nan))
    return y if (abs(x) > c.tiny) & (x < real(np.inf)) else x


@_inline
def tanh(x):
    """The hyperbolic tangent; odd to the last bit, never beyond 1.

    >>> tanh(-0.0), tanh(1e-20), tanh(20.0)
    (-0.0, 1e-20, 1.0)
    """
    c = _constants(x)
    real = type(x)
    y = real(-2) * abs(x)
    y = c.expm1_min if y < c.expm1_min else y
    s, p = _exp_parts(y, c.rounder, c)
    y = (real(1) - s) - s * p  # 1 - exp(-2 |x|), without loss where it is small
    return math.copysign(y / (real(2) - y), x)


@_inline
def sigmoid(x):
    """1 / (1 + exp(-x)), accurate in both tails, never beyond 1.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    c = _constants(x)
    real = type(x)
    y = _exp_of_negative(-abs(x), c)
    return (y if x < real(0) else real(1)) / (real(1) + y)


@_inline
def softplus(x):
    """log(1 + exp(x)), the smooth relu, without overflow.

    >>> softplus(-1000.0), softplus(1000.0)
    (0.0, 1000.0)
    """
    c = _constants(x)
    real = type(x)
    return (x if x > real(0) else real(0)) + _log1p_of_finite(_exp_of_negative(-abs(x), c), c)
