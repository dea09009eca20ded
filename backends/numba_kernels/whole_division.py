"""Quotients rounded down, and what is left of them, of floats in Numba kernels; as NumPy has them.

Numba's own floor of a rounded quotient is one too large where that was rounded up.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["floored", "modulo"]

_inline = njit(error_model="numpy", fastmath={"contract"}, forceinline=True)


@_inline
def modulo(a, b):
    """What is left of a, with the sign of b.

    >>> modulo(-7.0, 4.0), modulo(-1.0, math.inf)
    (1.0, inf)
    """
    rest = np.fmod(a, b)
    fixed = rest + b if (rest < 0) != (b < 0) else rest
    return math.copysign(rest, b) if rest == 0 else fixed


@_inline
def floored(a, b):
    """a / b, rounded down.

    >>> floored(-7.0, 2.0), floored(1.0, 0.1)  # 0.1 is a little more than a tenth
    (-4.0, 9.0)
    """
    real = type(a)
    rest = np.fmod(a, b)
    off = (rest != 0) & ((rest < 0) != (b < 0))
    exact = (a - rest) / b - (real(1) if off else real(0))
    down = np.floor(exact)  # but for rounding it is a whole number already
    down = down + real(1) if exact - down > real(0.5) else down
    down = math.copysign(real(0), a / b) if exact == 0 else down
    return a / b if b == 0 else down
