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

There is one text per function, run by `float_code` where a kernel calls it. What differs between
float32 and float64 stands in two tables of constants, in `float_constants`.
"""

from __future__ import annotations

import math
from typing import Any

from numba.extending import intrinsic

from .float_code import Float, kernel_function, polynomial, where
from .float_constants import Constants

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

# Its declared type asks callers for the typing context, which the compiler passes.
_intrinsic: Any = intrinsic


# --- building blocks -----------------------------------------------------------------------


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


def _exp_parts(x: Float, rounder: Any, c: Constants) -> tuple[Float, Float]:
    """s = 2**n and p = exp(r) - 1 where x = n ln 2 + r; exp(x) is s + s * p.

    A k added to the rounder makes that s = 2**(n + k), which must be a normal number.
    """
    rounded = x * c.log2_e + rounder
    n = rounded - rounder
    r = (x - n * c.ln2_hi) - n * c.ln2_lo
    s = (rounded.bits() << c.mantissa).number()  # the low bits become the exponent
    return s, r + r * r * polynomial(r, c.exp)


def _exp_of_negative(x: Float, c: Constants) -> Float:
    """exp(x) for x <= 0."""
    y = where(x < c.exp_min, c.exp_min, x)
    s, p = _exp_parts(y, c.rounder + c.shift, c)
    return (s + s * p) * (1 / c.lift)


def _log_parts(x: Float, c: Constants) -> tuple[Float, Float]:
    """e and s = 2**(2 - e) where √½ <= x / 2**e <= √2.

    The exponent of x * √2 is e. s is 4 times too large since e may be 128 (1024), where 2**-e is
    no normal number.
    """
    exponent = (x * c.sqrt2).bits() >> c.mantissa
    e = (exponent | c.whole_bits).number() - (c.whole + c.bias)
    return e, (((c.rounder + 2) - e).bits() << c.mantissa).number()


def _log_sum(r: Float, e: Float, c: Constants) -> Float:
    """log((1 + r) * 2**e)."""
    tail = r * r * (r * polynomial(r, c.log) - 0.5)
    return e * c.ln2_hi + (r + (e * c.ln2_lo + tail))


def _log1p_of_finite(x: Float, c: Constants) -> Float:
    """log(1 + x) for finite x > -1. The rounding of 1 + x does no harm: it only decides on e."""
    e, s = _log_parts(1 + x, c)
    return _log_sum(x * s * 0.25 + (s * 0.25 - 1), e, c)


# --- the functions -------------------------------------------------------------------------


@kernel_function
def maximum(a, b):
    """The larger of two; NaN if one of them is.

    >>> maximum(1.0, 2.0), maximum(math.nan, 1.0)
    (2.0, nan)
    """
    return a.call("llvm.maximum", b)


@kernel_function
def minimum(a, b):
    """The smaller of two; NaN if one of them is.

    >>> minimum(1.0, 2.0), minimum(1.0, math.nan)
    (1.0, nan)
    """
    return a.call("llvm.minimum", b)


@kernel_function
def exp(x):
    """The exponential: 0 at -inf, subnormal before it is 0, inf from where it overflows.

    >>> exp(0.0), exp(-1000.0), exp(1000.0)
    (1.0, 0.0, inf)
    """
    c = x.constants
    y = where(x < c.exp_min, c.exp_min, x)
    y = where(y > c.exp_max, c.exp_max, y)
    # Exponents of results span more than a normal s can hold: shift them to the middle and back.
    negative = x < 0
    s, p = _exp_parts(y, where(negative, c.rounder + c.shift, c.rounder - c.shift), c)
    return (s + s * p) * where(negative, 1 / c.lift, c.lift)


@kernel_function
def expm1(x):
    """exp(x) - 1, accurate near 0.

    >>> expm1(1e-20), expm1(-1000.0)
    (1e-20, -1.0)
    """
    c = x.constants
    y = where(x < c.expm1_min, c.expm1_min, x)
    y = where(y > c.exp_max, c.exp_max, y)
    s, p = _exp_parts(y, c.rounder - 1, c)  # half of it: 2**n itself may overflow
    half = s * p + (s - 0.5)
    return where(abs(x) > c.tiny, half + half, x)


@kernel_function
def log(x):
    """The natural logarithm: -inf at 0 and -0, NaN below.

    >>> log(1.0), log(0.0), log(-1.0)
    (0.0, -inf, nan)
    """
    c = x.constants
    small = x < c.small
    y = where(small, x * c.lift, x)
    e, s = _log_parts(y, c)
    e = where(small, e - c.shift, e)
    y = _log_sum(y * s * 0.25 - 1, e, c)
    y = where(x < math.inf, y, x)
    return where(x > 0, y, where(x.equals(0), -math.inf, math.nan))


@kernel_function
def log1p(x):
    """log(1 + x), accurate near 0: -inf at -1, NaN below.

    >>> log1p(1e-20), log1p(-1.0)
    (1e-20, -inf)
    """
    c = x.constants
    y = _log1p_of_finite(x, c)
    y = where(x > -1, y, where(x.equals(-1), -math.inf, math.nan))
    return where((abs(x) > c.tiny) & (x < math.inf), y, x)


@kernel_function
def tanh(x):
    """The hyperbolic tangent; odd to the last bit, never beyond 1.

    >>> tanh(-0.0), tanh(1e-20), tanh(20.0)
    (-0.0, 1e-20, 1.0)
    """
    c = x.constants
    y = -2 * abs(x)
    y = where(y < c.expm1_min, c.expm1_min, y)
    s, p = _exp_parts(y, c.rounder, c)
    y = (1 - s) - s * p  # 1 - exp(-2 |x|), without loss where it is small
    return (y / (2 - y)).with_sign_of(x)


@kernel_function
def sigmoid(x):
    """1 / (1 + exp(-x)), accurate in both tails, never beyond 1.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    y = _exp_of_negative(-abs(x), x.constants)
    return where(x < 0, y, 1) / (1 + y)


@kernel_function
def softplus(x):
    """log(1 + exp(x)), the smooth relu, without overflow.

    >>> softplus(-1000.0), softplus(1000.0)
    (0.0, 1000.0)
    """
    c = x.constants
    return where(x > 0, x, 0) + _log1p_of_finite(_exp_of_negative(-abs(x), c), c)
