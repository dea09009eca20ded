"""Standardizing, which layer norm does: mean 0 and variance 1 over the last axis; one op."""

from __future__ import annotations

from typing import Any

from ..engine.op import op
from .reductions import mean

__all__: list[str] = []  # users call `minigrad.functional.layer_norm`


@op
def inverse_deviation(xp, x, *, eps):
    """1 / √(variance + eps) over the last axis, which stays with size 1.

    >>> inverse_deviation(mg.tensor([0.0, 4.0]), eps=0.0)
    tensor([0.5])
    """
    return _standardized(xp, x, eps)[1]


def _standardized(xp: Any, x: Any, eps: float) -> tuple[Any, Any]:
    y = x - xp.mean(x, axis=-1, keepdims=True)
    scale = (xp.mean(y * y, axis=-1, keepdims=True) + eps) ** -0.5
    y *= scale
    return y, scale


inverse_deviation.vjp(
    x=lambda g, y, x: g * y**3 * (mean(x, axis=-1, keepdims=True) - x) / x.shape[-1]
)


@op(keeps=("scale", inverse_deviation, {}))
def standardize(xp, x, *, eps):
    """x less its mean, times `inverse_deviation`.

    >>> standardize(mg.tensor([0.0, 4.0]), eps=0.0)
    tensor([-1.,  1.])
    """
    return _standardized(xp, x, eps)


def _standardize_slope(g: Any, y: Any, scale: Any) -> Any:
    part = g - mean(g, axis=-1, keepdims=True)
    part -= y * mean(g * y, axis=-1, keepdims=True)
    part *= scale
    return part


standardize.vjp(x=_standardize_slope)
