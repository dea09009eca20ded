"""A classifier of sequences: one recurrent layer between an embedding and a linear head."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.engine.rng import generator
from minigrad.nested import parts_of
from minigrad.nn import Embedding, Linear, Module, init

from ..registry import CELLS
from .symbols import PAD, UNKNOWN

__all__ = ["SequenceClassifier"]


class SequenceClassifier(Module):
    """Scores for each class of whole sequences of words, computed from the last state.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    num_embeddings : V, how many words there are; 0 is padding, 1 stands for unknown words.
    embedding_dim : E, the size of a word's vector.
    hidden_size : H, the size of the layer's state.
    num_classes : C.
    dropout : in training, the share of the words' vectors and of the last state that is dropped.
    word_dropout : in training, the share of words that are read as unknown ones.
    forget_bias : initial bias of the LSTM's forget gates; with 0 it forgets too fast to learn from
        the beginning of a sequence. Other cells have none.

    Calling it
    ----------
    `logits = model(tokens, lengths)` with tokens (T, N), integers, time-major, and lengths (N,):
    how many of the T count. The logits are (N, C).

    Raises ValueError for an unknown cell.

    >>> import minigrad as mg
    >>> model = SequenceClassifier("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
    >>> model(mg.tensor([[5, 6], [7, 0]]), [2, 1]).shape
    (2, 2)
    """

    def __init__(
        self,
        cell: str,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_classes: int = 2,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        forget_bias: float = 1.0,
    ) -> None:
        if cell not in [*CELLS]:  # a list, as not everything that comes has a hash
            raise ValueError(f"unknown cell {cell!r}; the cells are {', '.join(CELLS)}")
        self.cell = cell
        self.dropout, self.word_dropout = dropout, word_dropout
        self.embedding = Embedding(num_embeddings, embedding_dim, padding_idx=PAD)
        # A tenth of the usual size: what training adds to a word's vector soon outweighs chance.
        init.normal_(self.embedding.weight, std=0.1)
        options: dict[str, Any] = {"forget_bias": forget_bias} if cell == "lstm" else {}
        self.recurrent = CELLS[cell](embedding_dim, hidden_size, **options)
        self.head = Linear(hidden_size, num_classes)

    def forward(self, tokens: Any, lengths: Any) -> Tensor:
        """Logits (N, C) for tokens (T, N) of which `lengths` (N,) count."""
        if self.training and self.word_dropout:
            tokens = tokens if isinstance(tokens, Tensor) else np.asarray(tokens)
            dropped = generator().random(tokens.shape) < self.word_dropout
            if isinstance(tokens, Tensor):
                dropped = mg.tensor(dropped, backend=tokens.backend)
                tokens = mg.where(dropped, UNKNOWN, tokens)
            else:  # as whole batches move to a device, so they do with their gaps
                tokens = np.where(dropped, UNKNOWN, tokens)
        return self.read(self.embedding(tokens), lengths)

    def read(self, vectors: Tensor, lengths: Any) -> Tensor:
        """Logits (N, C) for the words' vectors (T, N, E): what comes after the embedding."""
        vectors = mg.dropout(vectors, self.dropout, self.training)
        _, state = self.recurrent(vectors, lengths=lengths)
        h = parts_of(state)[0]  # (1, N, H)
        return self.head(mg.dropout(h[0], self.dropout, self.training))

    @mg.no_grad()
    def activations(self, tokens: Any) -> dict[str, np.ndarray]:
        """The cell's gates, candidates and states at each step: arrays (T, N, H) by name.

        All T steps of tokens (T, N) count. Gates go from 0 (shut) to 1 (open), the others from -1
        to 1. The names are those in the cell: an LSTM has forget, candidate, input, cell, output,
        hidden; a GRU reset, update, candidate, hidden; an RNN only its hidden state.
        """
        with mg.record() as trace:
            self.recurrent(self.embedding(tokens))
        return {name.removeprefix("l0."): values for name, values in trace.items()}
