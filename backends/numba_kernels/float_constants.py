"""What elementary functions need to know about float32 and float64; see `math_functions`.

The polynomials are minimax fits of the relative error (Remez exchange in 40 digits, then rounded).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Constants(NamedTuple):
    """What the functions need to know about a float type."""

    mantissa: np.unsignedinteger  # bits of the mantissa
    bias: np.floating  # of the exponent
    whole: np.floating  # 2**mantissa: between it and its double, floats are the integers
    whole_bits: np.unsignedinteger  # the bits of it
    rounder: np.floating  # x + rounder has round(x) + bias in its lowest bits
    shift: np.floating  # by how many powers of two subnormals are lifted
    lift: np.floating  # 2**shift
    small: np.floating  # below it log lifts its argument
    tiny: np.floating  # up to it expm1 and log1p round to x
    exp_min: np.floating  # below it exp rounds to 0
    exp_max: np.floating  # above it exp overflows
    expm1_min: np.floating  # below it expm1 rounds to -1
    sqrt2: np.floating
    log2_e: np.floating
    ln2_hi: np.floating  # the leading bits of ln 2: its products with exponents are exact
    ln2_lo: np.floating  # ln 2 - ln2_hi
    exp: tuple[np.floating, ...]  # (exp(r) - 1 - r) / r**2 for |r| <= ln 2 / 2
    log: tuple[np.floating, ...]  # (log(1 + r) - r + r**2 / 2) / r**3 for √½ <= 1 + r <= √2


def _make_constants(
    real: type[np.floating],
    integer: type[np.unsignedinteger],
    *,
    ln2_hi: float,
    ln2_lo: float,
    exp: tuple[float, ...],
    log: tuple[float, ...],
) -> Constants:
    info = np.finfo(real)
    mantissa, bias, ln2 = info.nmant, info.maxexp - 1, math.log(2)
    return Constants(
        mantissa=integer(mantissa),
        bias=real(bias),
        whole=real(2.0**mantissa),
        whole_bits=real(2.0**mantissa).view(integer),
        rounder=real(1.5 * 2.0**mantissa + bias),
        shift=real(mantissa + 2),
        lift=real(2.0 ** (mantissa + 2)),
        small=real(4 * float(info.smallest_normal)),
        tiny=real(float(info.eps) / 4),
        exp_min=real(-(bias + mantissa + 1.7) * ln2),
        exp_max=real((bias + 1.3) * ln2),
        expm1_min=real(-(mantissa + 3) * ln2),
        sqrt2=real(math.sqrt(2)),
        log2_e=real(1 / ln2),
        ln2_hi=real(ln2_hi),
        ln2_lo=real(ln2_lo),
        exp=tuple(map(real, exp)),
        log=tuple(map(real, log)),
    )


FLOAT32 = _make_constants(
    np.float32,
    np.uint32,
    ln2_hi=float.fromhex("0x1.62e4p-1"),  # 15 bits
    ln2_lo=1.4286068203094172e-06,
    # Degree 4; exp(r) - 1 has a relative error of at most 1.8e-8.
    exp=(0.49999997, 0.16666543, 0.0416672, 0.00836658, 0.0013882512),
    # Degree 6; log(1 + r) has a relative error of at most 3.5e-8.
    log=(0.3333391, -0.25001338, 0.19963065, -0.1657758, 0.14914745, -0.14267507, 0.08700528),
)

FLOAT64 = _make_constants(
    np.float64,
    np.uint64,
    ln2_hi=float.fromhex("0x1.62e42feep-1"),  # 32 bits
    ln2_lo=1.9082149292705877e-10,
    # Degree 9; exp(r) - 1 has a relative error of at most 3.2e-17.
    exp=(
        0.5000000000000006,
        0.16666666666666588,
        0.04166666666657612,
        0.008333333333389965,
        0.0013888888931792823,
        0.00019841269718326774,
        2.4801504981256838e-05,
        2.7557407880674525e-06,
        2.762616054167577e-07,
        2.5053770440960786e-08,
    ),
    # Degree 17; log(1 + r) has a relative error of at most 5.6e-17.
    log=(
        0.33333333333328524,
        -0.2500000000000631,
        0.2000000000165274,
        -0.16666666666731456,
        0.14285714094127336,
        -0.12499999814830304,
        0.11111121743519346,
        -0.10000018331816407,
        0.09090589333763444,
        -0.08332555145472036,
        0.07697635666959482,
        -0.07160165319831,
        0.06622097212092873,
        -0.06042062893645486,
        0.05972258421361826,
        -0.06783474988351113,
        0.063248211933998,
        -0.02832406887774408,
    ),
)
