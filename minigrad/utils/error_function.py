"""The error function, which NumPy lacks, for any array module that follows NumPy.

Four intervals have a rational function each. The coefficients are those of Sun's fdlibm (`s_erf.c`,
1993), which most C libraries use: it differs from theirs by at most a unit of the last place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["erf"]


class _Fit(NamedTuple):
    """A quotient P / Q of polynomials for |x| from `start` to below `stop`, lowest terms first."""

    start: float
    stop: float
    above: tuple[float, ...]
    below: tuple[float, ...]

    def __call__(self, x: Any) -> Any:
        return _polynomial(x, self.above) / _polynomial(x, self.below)

    def covers(self, size: Any) -> Any:
        return (size >= self.start) & (size < self.stop)


# erf(x) = x + x P(x²) / Q(x²).
_NEAR = _Fit(
    0,
    0.84375,
    above=(
        *(1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02),
        *(-5.77027029648944159157e-03, -2.37630166566501626084e-05),
    ),
    below=(
        *(1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02),
        *(5.08130628187576562776e-03, 1.32494738004321644526e-04, -3.96022827877536812320e-06),
    ),
)
# erf(x) = c + P(|x| - 1) / Q(|x| - 1), with a c of few digits.
_AT_ONE = 8.45062911510467529297e-01
_MIDDLE = _Fit(
    0.84375,
    1.25,
    above=(
        *(-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01),
        *(3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02),
        -2.16637559486879084300e-03,
    ),
    below=(
        *(1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01),
        *(7.18286544141962662868e-02, 1.26171219808761642112e-01, 1.36370839120290507362e-02),
        1.19844998467991074170e-02,
    ),
)
# erf(x) = 1 - exp(-x² - 0.5625 + P(1/x²) / Q(1/x²)) / x.
_FAR = _Fit(
    1.25,
    1 / 0.35,
    above=(
        *(-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01),
        *(-6.23753324503260060396e01, -1.62396669462573470355e02, -1.84605092906711035994e02),
        *(-8.12874355063065934246e01, -9.81432934416914548592e00),
    ),
    below=(
        *(1.0, 1.96512716674392571292e01, 1.37657754143519042600e02),
        *(4.34565877475229228821e02, 6.45387271733267880336e02, 4.29008140027567833386e02),
        *(1.08635005541779435134e02, 6.57024977031928170135e00, -6.04244152148580987438e-02),
    ),
)
_FARTHER = _Fit(
    1 / 0.35,
    6.0,
    above=(
        *(-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01),
        *(-1.60636384855821916062e02, -6.37566443368389627722e02, -1.02509513161107724954e03),
        -4.83519191608651397019e02,
    ),
    below=(
        *(1.0, 3.03380607434824582924e01, 3.25792512996573918826e02),
        *(1.53672958608443695994e03, 3.19985821950859553908e03, 2.55305040643316442583e03),
        *(4.74528541206955367215e02, -2.24409524465858183362e01),
    ),
)


def erf(xp: Any, x: Any) -> Any:
    """The error function of an array, in its dtype; of integers in float64.

    >>> import numpy as np
    >>> erf(np, np.array([0.0, 0.5, -np.inf])).round(4)
    array([ 0.    ,  0.5205, -1.    ])
    """
    z = x.reshape(-1).astype("float64")
    size = xp.abs(z)
    y = xp.sign(z)  # NaN, or what it is far out
    at = _NEAR.covers(size)
    t = z[at]
    y[at] = t + t * _NEAR(t * t)
    at = _MIDDLE.covers(size)
    y[at] *= _AT_ONE + _MIDDLE(size[at] - 1)
    for fit in (_FAR, _FARTHER):
        at = fit.covers(size)
        t = size[at]
        square = t * t
        y[at] *= 1 - xp.exp(-square - 0.5625 + fit(1 / square)) / t
    return y.reshape(x.shape).astype(x.dtype if x.dtype.kind == "f" else "float64", copy=False)


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """c0 + c1 x + c2 x² + ... by Horner's rule."""
    y = coefficients[-1] * x + coefficients[-2]
    for c in coefficients[-3::-1]:
        y *= x
        y += c
    return y
