"""Transcribers: from a sequence to shorter labels, without knowing which step says what."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Embedding, Linear, Module

from ..registry import CELLS

__all__ = ["SpellingTranscriber", "Transcriber"]


class Transcriber(Module):
    """Log-probabilities of labels at each step, from recurrent layers in both directions.

    Trained by `mg.ctc_loss`, read by `mg.ctc_greedy` or `mg.ctc_beam_search`; class 0 is the blank.
    As Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks", ICML 2006.

    Parameters
    ----------
    input_size : I, the features of a step.
    hidden_size : H, the size of a layer's state in each direction.
    num_classes : C, the labels and the blank.
    cell : "rnn", "lstm" or "gru".
    num_layers : L.
    dropout : in training, the share of the layers' outputs that is dropped.
    steps : K, how many steps of output there are for each of input; with more than 1, there may be
        more labels than steps of input.

    Calling it
    ----------
    `log_probs = model(x, lengths)` with x (T, N, I) and lengths (N,), of which K * lengths steps of
    `log_probs` (K * T, N, C) count.

    Raises ValueError for an unknown cell.

    >>> import minigrad as mg
    >>> model = Transcriber(3, hidden_size=8, num_classes=11, steps=2)
    >>> log_probs = model(mg.ones((7, 2, 3)), [7, 5])
    >>> log_probs.shape
    (14, 2, 11)
    >>> loss = mg.ctc_loss(log_probs, [[4, 4, 1], [10]], [14, 10], None)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        cell: str = "lstm",
        num_layers: int = 1,
        dropout: float = 0.0,
        steps: int = 1,
    ) -> None:
        if cell not in [*CELLS]:  # a list, as not everything that comes has a hash
            raise ValueError(f"unknown cell {cell!r}; the cells are {', '.join(CELLS)}")
        self.steps, self.dropout = steps, dropout
        self.recurrent = CELLS[cell](
            input_size,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=True,
        )
        self.head = Linear(2 * hidden_size, steps * num_classes)

    def forward(self, x: Tensor, lengths: Any) -> Tensor:
        """Log-probabilities (K * T, N, C) for x (T, N, I) of which `lengths` (N,) count."""
        T, N = x.shape[:2]
        y, _ = self.recurrent(x, lengths=lengths)
        scores = self.head(mg.dropout(y, self.dropout, self.training))  # (T, N, K * C)
        scores = mg.reshape(scores, (T, N, self.steps, -1))
        scores = mg.reshape(mg.swapaxes(scores, 1, 2), (T * self.steps, N, -1))
        return mg.log_softmax(scores, -1)


class SpellingTranscriber(Module):
    """A `Transcriber` of symbols, such as the letters of words: an embedding before it.

    num_embeddings : V, how many symbols there are; 0 is padding.
    embedding_dim : E, the size of a symbol's vector.
    options : those of `Transcriber`.

    `log_probs = model(tokens, lengths)` with tokens (T, N), integers, gives (K * T, N, C).

    >>> import minigrad as mg
    >>> model = SpellingTranscriber(28, 16, hidden_size=8, num_classes=40, steps=2)
    >>> model(mg.tensor([[3], [1], [20]]), [3]).shape
    (6, 1, 40)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, **options: Any) -> None:
        self.embedding = Embedding(num_embeddings, embedding_dim, padding_idx=0)
        self.transcriber = Transcriber(embedding_dim, **options)

    def forward(self, tokens: Any, lengths: Any) -> Tensor:
        """Log-probabilities (K * T, N, C) for tokens (T, N) of which `lengths` (N,) count."""
        return self.transcriber(self.embedding(tokens), lengths)
