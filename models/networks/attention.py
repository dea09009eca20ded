"""Attention: shares of a memory's steps, by how well each fits a query."""

from __future__ import annotations

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module

__all__ = ["ATTENTIONS", "Attention", "masked_softmax"]

ATTENTIONS = ("dot", "bilinear", "additive")


def masked_softmax(scores: Tensor, mask: Tensor, axis: int) -> Tensor:
    """The softmax along an axis of the scores that count; the others get exactly 0.

    `mask` broadcasts to the scores and is true where one counts. Where none counts, all get 0.

    >>> masked_softmax(mg.tensor([1.0, 1.0, 9.0]), mg.tensor([True, True, False]), 0)
    tensor([0.5, 0.5, 0. ])
    """
    lowest = float(np.finfo(scores.dtype).min) / 2  # finite: a row of -inf would be one of NaN
    shares = mg.softmax(mg.where(mask, scores, lowest), axis=axis)
    return mg.where(mask, shares, 0.0)


class Attention(Module):
    """What queries read from a memory: a mean of its steps, weighted by a softmax of scores.

    Parameters
    ----------
    kind : the score of a query q and a step m of the memory:
        "dot" is q · m, for sizes that are equal (Luong et al. 2015);
        "bilinear" is q · W m;
        "additive" is v · tanh(W q + U m) (Bahdanau et al. 2015), which needs more memory: a vector
        for each pair of a query and a step.
    query_size, memory_size : Q and M.

    Calling it
    ----------
    `context, weights = attention(query, memory, keys, mask)` with queries (U, N, Q), a memory
    (S, N, M), `keys = attention.keys(memory)` and a mask (S, N), true where a step counts. The
    context is (U, N, M), the weights (N, U, S); where no step of a memory counts, both are 0.

    >>> attention = Attention("bilinear", 4, 6)
    >>> memory, mask = mg.randn(5, 2, 6), mg.ones((5, 2)) > 0
    >>> context, weights = attention(mg.randn(3, 2, 4), memory, attention.keys(memory), mask)
    >>> context.shape, weights.shape
    ((3, 2, 6), (2, 3, 5))
    """

    def __init__(self, kind: str, query_size: int, memory_size: int) -> None:
        if kind not in ATTENTIONS:
            raise ValueError(f"attention is one of {', '.join(ATTENTIONS)}; got {kind!r:.40}")
        if kind == "dot" and query_size != memory_size:
            raise ValueError(
                f"dot attention needs queries of the memory's size, {memory_size}; got "
                f"{query_size}. Take bilinear or additive attention"
            )
        self.kind = kind
        if kind != "dot":
            self.key = Linear(memory_size, query_size, bias=False)
        if kind == "additive":
            self.query = Linear(query_size, query_size)
            self.score = Linear(query_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """What scores are computed from, once for all queries: (S, N, M) to (S, N, Q).

        >>> Attention("additive", 4, 6).keys(mg.ones((5, 2, 6))).shape
        (5, 2, 4)
        """
        return memory if self.kind == "dot" else self.key(memory)

    def forward(
        self, query: Tensor, memory: Tensor, keys: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The context (U, N, M) and the weights (N, U, S)."""
        query, keys = mg.swapaxes(query, 0, 1), mg.swapaxes(keys, 0, 1)  # (N, U, Q), (N, S, Q)
        weights = masked_softmax(self._scores(query, keys), mg.transpose(mask)[:, None], axis=2)
        weights = mg.probe("attention", weights)
        context = weights @ mg.swapaxes(memory, 0, 1)  # (N, U, M)
        return mg.swapaxes(context, 0, 1), weights

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(N, U, S)."""
        if self.kind != "additive":
            return query @ mg.swapaxes(keys, 1, 2)
        pairs = mg.tanh(mg.expand_dims(self.query(query), 2) + mg.expand_dims(keys, 1))
        return mg.squeeze(self.score(pairs), 3)

    def extra_repr(self) -> str:
        """The kind of score."""
        return repr(self.kind)
