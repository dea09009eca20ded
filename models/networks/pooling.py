"""From the steps of a sequence to one vector for all of it."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import parts_of
from minigrad.nn import Linear, Module

from .attention import masked_softmax
from .parts import valid_steps

__all__ = ["POOLINGS", "Pooling"]

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(Module):
    """One vector (N, D*H) for each sequence, of what a recurrent layer gave at its valid steps.

    Parameters
    ----------
    kind : "last", the last states of the last layer's D directions;
        "mean" and "max" over the steps;
        "attention", a mean weighted by the softmax of a learned score of each step, which
        `mg.record()` keeps as "attention" (T, N).
    size : D*H.

    Padding has no effect. A sequence without any steps has zeros; with "last", the first state.

    >>> layer, pooling = mg.nn.GRU(3, 4, bidirectional=True), Pooling("max", 8)
    >>> y, state = layer(mg.ones((5, 2, 3)), lengths=[5, 0])
    >>> pooling(y, state, [5, 0]).shape
    (2, 8)
    """

    def __init__(self, kind: str, size: int) -> None:
        if kind not in POOLINGS:
            raise ValueError(f"pooling is one of {', '.join(POOLINGS)}; got {kind!r:.40}")
        self.kind = kind
        if kind == "attention":
            self.score = Linear(size, 1, bias=False)

    def forward(self, y: Tensor, state: Any, lengths: Any = None) -> Tensor:
        """(N, D*H) of y (T, N, D*H), the layer's last state, and how many steps count (N,)."""
        if self.kind == "last":
            h = parts_of(state)[0]  # (L*D, N, H), the directions of the last layer at its end
            directions = y.shape[2] // h.shape[2]
            return mg.concatenate([*h[-directions:]], axis=-1) if directions > 1 else h[-1]
        mask = valid_steps(y, lengths)  # (T, N)
        valid = mg.expand_dims(mask, 2)  # (T, N, 1)
        if self.kind == "mean":
            steps = mg.maximum(mg.sum(mask, axis=0), 1).astype(y.dtype)
            return mg.sum(mg.where(valid, y, 0.0), axis=0) / mg.expand_dims(steps, 1)
        if self.kind == "max":
            largest = mg.max(mg.where(valid, y, float(np.finfo(y.dtype).min)), axis=0)
            return mg.where(mg.any(valid, axis=0), largest, 0.0)
        weights = masked_softmax(mg.squeeze(self.score(y), 2), mask, axis=0)
        weights = mg.probe("attention", weights)
        return mg.sum(mg.expand_dims(weights, 2) * y, axis=0)

    def extra_repr(self) -> str:
        """Its kind."""
        return repr(self.kind)
