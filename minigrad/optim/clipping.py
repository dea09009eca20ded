"""Gradient clipping."""

from __future__ import annotations

import functools
from typing import Any

from ..engine.registry import active
from ..engine.tensor import Tensor, same_backend, wrap
from ..utils.arguments import check_number
from ..utils.summation import HALF, SINGLE
from .optimizer import with_gradient

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def clip_grad_norm_(params: Any, max_norm: float) -> Tensor:
    """Scale all gradients by one factor so that their common 2-norm is at most `max_norm`.

    Returns the norm before clipping, a scalar tensor (float32 for float16 gradients). It is right
    even if squares of gradients overflow. Raises RuntimeError if all gradients are None.

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
    found = with_gradient("clip_grad_norm_", params)
    xp = same_backend("clip_grad_norm_", *(g for _, g in found))
    with active(xp):
        wide = [xp.astype(g._data, SINGLE) if g.dtype == HALF else g._data for _, g in found]
        # In units of the largest, so that no square overflows; of infinite ones as they are.
        unit = functools.reduce(
            xp.maximum, [xp.max(xp.abs(x)) for x in wide if 0 not in x.shape] or [0.0]
        )
        unit = xp.where(xp.logical_and(unit > 0, xp.isfinite(unit)), unit, 1)
        total = unit * xp.sqrt(sum(xp.sum(xp.square(x / unit)) for x in wide))
        factor = xp.minimum(float(max_norm) / (total + 1e-6), 1.0)
        for x, (p, g) in zip(wide, found, strict=True):
            scaled = x * xp.asarray(factor, dtype=x.dtype)
            scaled = scaled if x is g._data else xp.astype(scaled, g.dtype)
            p.grad = wrap(scaled, xp)._as_made()
    return wrap(total, xp)


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
