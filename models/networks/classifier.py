"""A classifier of sequences: recurrent layers, one vector of all steps, and a linear head."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.engine.rng import generator
from minigrad.nn import Linear, Module
from minigrad.utils.arguments import check_probability

from .parts import embedding_or_none, recurrent_layer, vectors_of
from .pooling import Pooling
from .symbols import UNKNOWN

__all__ = ["SequenceClassifier"]


class SequenceClassifier(Module):
    """Scores for each class of whole sequences of symbols or features.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    num_embeddings : V, how many symbols there are; 0 is padding, 1 stands for unknown ones. None:
        the input is features.
    embedding_dim : E, the size of a symbol's vector; or of a step of features.
    hidden_size : H, the size of the layer's state, in each direction.
    num_classes : C.
    dropout : in training, the share of the vectors, of the outputs of layers, and of what classes
        are read from that is dropped.
    word_dropout : in training, the share of symbols that are read as unknown ones.
    forget_bias : initial bias of the LSTM's forget gates; with 0 it forgets too fast to learn from
        the beginning of a sequence. Other cells have none.
    num_layers : how many layers lie on each other.
    bidirectional : whether the layers read in both directions.
    pooling : what classes are read from: the "last" state, the "mean" or the "max" of the outputs,
        or their mean weighted by "attention" (see `Pooling`).
    options : of the recurrent layers, such as `memory=` (see `recurrent_layer`).

    Calling it
    ----------
    `logits = model(x, lengths)` with symbols (T, N), integers, time-major, or features (T, N, E),
    and lengths (N,): how many of the T count, all if None. The logits are (N, C).

    Raises ValueError for an unknown cell or pooling.

    >>> import minigrad as mg
    >>> model = SequenceClassifier("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
    >>> model(mg.tensor([[5, 6], [7, 0]]), [2, 1]).shape
    (2, 2)
    >>> digits = SequenceClassifier("lstm", None, 8, 16, num_classes=10, pooling="mean")
    >>> digits(mg.rand(8, 5, 8), None).shape
    (5, 10)
    """

    def __init__(
        self,
        cell: str,
        num_embeddings: int | None,
        embedding_dim: int,
        hidden_size: int,
        num_classes: int = 2,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        forget_bias: float = 1.0,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        **options: Any,
    ) -> None:
        name = type(self).__name__
        check_probability(name, "dropout", dropout)
        check_probability(name, "word_dropout", word_dropout)
        if word_dropout and num_embeddings is None:
            raise ValueError(f"{name}: word_dropout is for symbols; features have no unknown ones")
        self.cell, self.pooling = cell, pooling
        self.dropout, self.word_dropout = dropout, word_dropout
        self.embedding = embedding_or_none(num_embeddings, embedding_dim)
        self.recurrent = recurrent_layer(
            cell,
            embedding_dim,
            hidden_size,
            forget_bias=forget_bias,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            **options,
        )
        size = hidden_size * (2 if bidirectional else 1)
        self.pool = Pooling(pooling, size)
        self.head = Linear(size, num_classes)

    def forward(self, x: Any, lengths: Any = None) -> Tensor:
        """Logits (N, C) for x (T, N) or (T, N, E), of which `lengths` (N,) steps count."""
        if self.training and self.word_dropout:
            x = x if isinstance(x, Tensor) else np.asarray(x)
            dropped = generator().random(x.shape) < self.word_dropout
            if isinstance(x, Tensor):
                dropped = mg.tensor(dropped, backend=x.backend)
                x = mg.where(dropped, UNKNOWN, x)
            else:  # as whole batches move to a device, so they do with their gaps
                x = np.where(dropped, UNKNOWN, x)
        return self.read(vectors_of(self.embedding, x, self.head.weight), lengths)

    def read(self, vectors: Tensor, lengths: Any = None) -> Tensor:
        """Logits (N, C) for the steps' vectors (T, N, E): what comes after the embedding.

        >>> model = SequenceClassifier("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> model.read(model.embedding([[5, 6], [7, 0]]), [2, 1]).shape
        (2, 2)
        """
        vectors = mg.dropout(vectors, self.dropout, self.training)
        y, state = self.recurrent(vectors, lengths=lengths)
        pooled = self.pool(y, state, lengths)  # (N, D*H)
        return self.head(mg.dropout(pooled, self.dropout, self.training))

    @property
    def reads_last_state(self) -> bool:
        """Whether classes are read from the last state of one layer in one direction.

        >>> SequenceClassifier("gru", 9, 4, 8, pooling="max").reads_last_state
        False
        """
        layer = self.recurrent
        return self.pooling == "last" and layer.num_layers == 1 and not layer.bidirectional

    @mg.no_grad()
    def activations(self, x: Any) -> dict[str, np.ndarray]:
        """The cell's gates, candidates and states at each step: arrays (T, N, H) by name.

        All T steps of x (T, N) or (T, N, E) count. Gates go from 0 (shut) to 1 (open), the others
        from -1 to 1. The names are those in the cell: an LSTM has forget, candidate, input, cell,
        output, hidden; a GRU reset, update, candidate, hidden; an RNN only its hidden state. With
        more layers or directions than one they begin with the layer: `l1_reverse.forget`.

        >>> model = SequenceClassifier("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> sorted(model.activations([[5, 6], [7, 0]]))
        ['candidate', 'hidden', 'reset', 'update']
        """
        with mg.record() as trace:
            self.recurrent(vectors_of(self.embedding, x, self.head.weight))
        first = {name.partition(".")[0] for name in trace}
        single = first == {"l0"}
        return {name.removeprefix("l0.") if single else name: trace[name] for name in trace}
