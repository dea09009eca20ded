"""A label for each step of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module
from minigrad.utils.arguments import check_probability
from minigrad.valid_steps import checked_lengths

from .parts import embedding_or_none, recurrent_layer, vectors_of
from .streams import IGNORED

__all__ = ["SequenceTagger"]


class SequenceTagger(Module):
    """Scores for each class at each step: recurrent layers, and a linear head over their outputs.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    num_embeddings : how many symbols the input has, 0 being padding; None for features.
    embedding_dim : E, the size of a symbol's vector; or of a step of features.
    hidden_size : H, in each direction.
    num_classes : C.
    num_layers : how many layers lie on each other.
    bidirectional : whether a step is labelled by what comes after it as well.
    dropout : in training, the share of the vectors and of the outputs of each layer that is
        dropped.
    options : of the recurrent layers, such as `memory=` (see `recurrent_layer`).

    Calling it
    ----------
    `logits = model(x, lengths=None)` with x (T, N), integers, or features (T, N, E), and lengths
    (N,). The logits are (T, N, C); beyond a sequence's end they mean nothing, and `loss` leaves
    them out.

    >>> model = SequenceTagger("gru", 9, embedding_dim=4, hidden_size=8, num_classes=3)
    >>> model([[5, 6], [7, 0]], [2, 1]).shape
    (2, 2, 3)
    >>> loss, count = model.loss([[5, 6], [7, 0]], [2, 1], [[0, 2], [1, 0]])
    >>> count
    3
    """

    def __init__(
        self,
        cell: str,
        num_embeddings: int | None,
        embedding_dim: int,
        hidden_size: int,
        num_classes: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        check_probability(type(self).__name__, "dropout", dropout)
        self.cell, self.dropout = cell, dropout
        self.embedding = embedding_or_none(num_embeddings, embedding_dim)
        self.recurrent = recurrent_layer(
            cell,
            embedding_dim,
            hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            **options,
        )
        self.head = Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Any, lengths: Any = None) -> Tensor:
        """The logits (T, N, C)."""
        vectors = vectors_of(self.embedding, x, self.head.weight)
        vectors = mg.dropout(vectors, self.dropout, self.training)
        y, _ = self.recurrent(vectors, lengths=lengths)
        return self.head(mg.dropout(y, self.dropout, self.training))

    def loss(self, x: Any, lengths: Any, labels: Any) -> tuple[Tensor, int]:
        """The mean cross entropy of the labels (T, N) of steps that count, and how many do.

        What the labels are beyond a sequence's end has no effect. Raises ValueError if no step
        counts.
        """
        name = type(self).__name__
        logits = self(x, lengths)
        T, N, C = logits.shape
        found = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        if found.shape != (T, N) or found.dtype.kind not in "iu":
            raise ValueError(
                f"{name}: labels are integers ({T}, {N}), one for each step; got {found.dtype} of "
                f"shape {found.shape}"
            )
        ends = checked_lengths(name, "x", np.full(N, T) if lengths is None else lengths, T, N)
        counts = np.arange(T)[:, None] < ends
        if not counts.any():
            raise ValueError(f"{name}: all sequences are empty, so there is no loss")
        targets = np.where(counts, found, IGNORED).reshape(-1)
        loss = mg.cross_entropy(mg.reshape(logits, (-1, C)), targets, ignore_index=IGNORED)
        return loss, int(counts.sum())
