"""Gradient clipping."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..engine.registry import active
from ..engine.tensor import Tensor
from ..engine.wrapping import same_backend, wrap
from ..utils.arguments import check_flag, check_number
from ..utils.summation import HALF, SINGLE
from .groups import with_gradient

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

# Of smaller sums of squares, squares that vanish in float32 may be a part.
_SMALLEST = float(np.finfo(SINGLE).tiny) ** 0.5


def clip_grad_norm_(
    params: Any, max_norm: float, norm_type: float | str = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their common norm is at most `max_norm`.

    Parameters
    ----------
    params : parameters, or one; those without a gradient don't count.
    max_norm : the largest norm that stays as it is.
    norm_type : the order p of the norm, (sum |g|^p)^(1/p): a number above 0; `math.inf` or "inf"
        for the largest |g|.
    error_if_nonfinite : raise if the norm is NaN or infinite. Without it such a norm makes the
        gradients NaN or 0.

    Returns the norm before clipping, a scalar tensor (float32 for float16 gradients). It is right
    even if powers of gradients overflow. Raises RuntimeError if all gradients are None, or if the
    norm may not be what it is; no gradient has changed then.

    >>> import minigrad as mg
    >>> w = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * mg.tensor([3.0, 4.0])).sum().backward()
    >>> mg.optim.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.59999..., 0.79999...])
    """
    check_number("clip_grad_norm_", "max_norm", max_norm)
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0; got {max_norm}")
    order: Any = math.inf if norm_type == "inf" else norm_type
    check_number("clip_grad_norm_", "norm_type", order)
    if not order > 0:
        raise ValueError(
            f"clip_grad_norm_: norm_type is a number above 0, or math.inf; got {norm_type}"
        )
    strict = check_flag("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite)
    found = with_gradient("clip_grad_norm_", params)
    xp = same_backend("clip_grad_norm_", *(g for _, g in found))
    with active(xp):
        wide = [xp.astype(g._data, SINGLE) if g.dtype == HALF else g._data for _, g in found]
        total = _norm(xp, wide, float(order))
        if strict and not np.isfinite(xp.to_host(total)):
            _refuse(xp, total, wide)
        factor = xp.minimum(float(max_norm) / (total + 1e-6), 1.0)
        for x, (p, g) in zip(wide, found, strict=True):
            scaled = x * xp.asarray(factor, dtype=x.dtype)
            scaled = scaled if x is g._data else xp.astype(scaled, g.dtype)
            p.grad = wrap(scaled, xp)._as_made()
    return wrap(total, xp)


def _norm(xp: Any, arrays: list[Any], order: float) -> Any:
    """The norm of all numbers of some arrays."""
    if order == 2 and xp.is_host:  # a device would have to be waited for
        with xp.quiet():
            total = sum(xp.sum(xp.square(x)) for x in arrays)
        if _SMALLEST < total < math.inf:
            return xp.asarray(xp.sqrt(total))
    sizes = [xp.abs(x) for x in arrays]
    largest = functools.reduce(xp.maximum, [xp.max(x) for x in sizes if 0 not in x.shape] or [0.0])
    if order == math.inf:
        return xp.asarray(largest)
    # In units of the largest, so that no power overflows; of infinite ones as they are.
    unit = xp.where(xp.logical_and(largest > 0, xp.isfinite(largest)), largest, 1)
    if order == 2:
        return unit * xp.sqrt(sum(xp.sum(xp.square(x / unit)) for x in sizes))
    return unit * xp.power(sum(xp.sum(xp.power(x / unit, order)) for x in sizes), 1 / order)


def _refuse(xp: Any, total: Any, arrays: list[Any]) -> None:
    bad = [str(x.shape) for x in arrays if not np.isfinite(xp.to_host(x)).all()]
    where = f"there are in those of shape {', '.join(bad)}" if bad else "in them are none"
    raise RuntimeError(
        f"clip_grad_norm_: the norm of the gradients is {float(xp.to_host(total))}; NaN or "
        f"infinite numbers {where}. No gradient was changed. mg.detect_anomaly() finds the op that "
        "made the first one; error_if_nonfinite=False clips all the same"
    )


def clip_grad_value_(params: Any, clip_value: float) -> None:
    """Clip every element of the gradients to between -clip_value and clip_value.

    >>> w = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> (w * mg.tensor([3.0, -0.5])).sum().backward()
    >>> mg.optim.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1. , -0.5])
    """
    check_number("clip_grad_value_", "clip_value", clip_value)
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value must be at least 0; got {clip_value}")
    bound = float(clip_value)
    for p, g in with_gradient("clip_grad_value_", params):
        p.grad = wrap(g.backend.clip(g._data, -bound, bound), g.backend)._as_made()
