"""Transcribers: from a sequence to shorter labels, without knowing which step says what."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module

from .parts import embedding_or_none, recurrent_layer, vectors_of

__all__ = ["Transcriber"]


class Transcriber(Module):
    """Log-probabilities of labels at each step, from recurrent layers in both directions.

    Trained by `mg.ctc_loss`, read by `mg.ctc_greedy` or `mg.ctc_beam_search`; class 0 is the blank.
    As Graves et al., "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks", ICML 2006.

    Parameters
    ----------
    input_size : I, the features of a step, or the size of a symbol's vector.
    hidden_size : H, the size of a layer's state in each direction.
    num_classes : C, the labels and the blank.
    num_embeddings : V, how many symbols there are, if the input is symbols; 0 is padding.
    cell : "rnn", "lstm" or "gru".
    num_layers : L.
    dropout : in training, the share of the layers' outputs that is dropped.
    steps : K, how many steps of output there are for each of input; with more than 1, there may be
        more labels than steps of input.

    Calling it
    ----------
    `log_probs = model(x, lengths)` with x (T, N, I), or symbols (T, N), and lengths (N,); of
    `log_probs` (K * T, N, C), K * lengths steps count.

    Raises ValueError for an unknown cell.

    >>> import minigrad as mg
    >>> model = Transcriber(3, hidden_size=8, num_classes=11)
    >>> log_probs = model(mg.ones((7, 2, 3)), [7, 5])
    >>> log_probs.shape
    (7, 2, 11)
    >>> loss = mg.ctc_loss(log_probs, [[4, 4, 1], [10]], [7, 5], None)

    >>> model = Transcriber(16, hidden_size=8, num_classes=40, num_embeddings=28, steps=2)
    >>> model(mg.tensor([[3], [1], [20]]), [3]).shape
    (6, 1, 40)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        num_embeddings: int | None = None,
        cell: str = "lstm",
        num_layers: int = 1,
        dropout: float = 0.0,
        steps: int = 1,
    ) -> None:
        self.steps, self.dropout = steps, dropout
        self.embedding = embedding_or_none(num_embeddings, input_size, std=1.0)
        self.recurrent = recurrent_layer(
            cell,
            input_size,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=True,
        )
        self.head = Linear(2 * hidden_size, steps * num_classes)

    def forward(self, x: Any, lengths: Any) -> Tensor:
        """Log-probabilities (K * T, N, C) for x (T, N, I) or (T, N), of which `lengths` count."""
        y, _ = self.recurrent(vectors_of(self.embedding, x, self.head.weight), lengths=lengths)
        T, N = y.shape[:2]
        scores = self.head(mg.dropout(y, self.dropout, self.training))  # (T, N, K * C)
        scores = mg.reshape(scores, (T, N, self.steps, -1))
        scores = mg.reshape(mg.swapaxes(scores, 1, 2), (T * self.steps, N, -1))
        return mg.log_softmax(scores, -1)
