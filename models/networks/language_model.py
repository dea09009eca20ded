"""A model of sequences of symbols: the probability of each, given those before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import map_leaves
from minigrad.nn import Embedding, Linear, Module, init
from minigrad.utils.arguments import check_flag, check_probability

from .generation import Hypothesis, beam_search, sample
from .parts import evaluation, recurrent_layer
from .streams import IGNORED, Part, parts_of_streams

__all__ = ["LanguageModel"]


class LanguageModel(Module):
    """Scores of the next symbol at each step: embedding, recurrent layers, output.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    num_embeddings : V, how many symbols there are.
    embedding_dim : E, the size of a symbol's vector.
    hidden_size : H, the size of the layers' states.
    num_layers : how many layers lie on each other.
    dropout : in training, the share of the symbols' vectors and of the outputs of each layer that
        is dropped.
    tied : whether the output's weights are the embedding's (Press and Wolf 2017; Inan et al.
        2017). This needs E = H, or `projection`.
    projection : whether what the last layer gives is projected from H to E before the output.
    options : of the recurrent layers, such as `memory=` (see `recurrent_layer`).

    Calling it
    ----------
    `logits, state = model(symbols, state=None, lengths=None)` with symbols (T, N), integers. The
    logits (T, N, V) at step t are the scores of the symbol after `symbols[t]`. The state is that
    of the recurrent layers: with it, a text goes on in another call.

    >>> model = LanguageModel("gru", num_embeddings=9, embedding_dim=8, hidden_size=8, tied=True)
    >>> logits, state = model([[5, 6], [7, 0]])
    >>> logits.shape
    (2, 2, 9)
    >>> [name for name, _ in model.named_parameters()][0], model.head.weight is not None
    ('embedding.weight', True)
    """

    def __init__(
        self,
        cell: str,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        dropout: float = 0.0,
        tied: bool = False,
        projection: bool = False,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        check_probability(name, "dropout", dropout)
        self.cell, self.dropout = cell, dropout
        self.tied = check_flag(name, "tied", tied)
        projection = check_flag(name, "projection", projection)
        if tied and embedding_dim != hidden_size and not projection:
            raise ValueError(
                f"{name}: tied=True makes one table of the embedding ({num_embeddings}, "
                f"{embedding_dim}) and the output ({num_embeddings}, {hidden_size}), so "
                "embedding_dim must be hidden_size; make them equal, or set projection=True"
            )
        self.embedding = Embedding(num_embeddings, embedding_dim)
        if tied:  # as output weights, its rows would give scores of the size of √H
            init.normal_(self.embedding.weight, std=embedding_dim**-0.5)
        self.recurrent = recurrent_layer(
            cell,
            embedding_dim,
            hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            **options,
        )
        self.projection = Linear(hidden_size, embedding_dim, bias=False) if projection else None
        self.head = Linear(embedding_dim if projection else hidden_size, num_embeddings)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, symbols: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """Logits (T, N, V) of what follows the symbols (T, N), and the state after them."""
        x = mg.dropout(self.embedding(symbols), self.dropout, self.training)  # (T, N, E)
        y, state = self.recurrent(x, state, lengths=lengths)  # (T, N, H)
        if self.projection is not None:
            y = self.projection(y)
        return self.head(mg.dropout(y, self.dropout, self.training)), state

    # --- how good it is ----------------------------------------------------------------------

    def loss(self, part: Part, state: Any = None) -> tuple[Tensor, int, Any]:
        """The mean cross entropy of a part's targets, how many there are, and the state after it.

        Streams that begin anew have a new state, the others the one that came in. This counts as
        given: gradients go back to the beginning of the part.

        >>> model = LanguageModel("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> state = None
        >>> for part in parts_of_streams([5, 6, 7, 8, 5, 6, 7], streams=2, steps=2):
        ...     loss, count, state = model.loss(part, state)
        ...     loss.backward()
        >>> count
        2
        """
        logits, state = self(part.symbols, _kept(state, part.begins))
        rows = mg.reshape(logits, (-1, logits.shape[-1]))
        targets = part.targets.reshape(-1)
        loss = mg.cross_entropy(rows, targets, ignore_index=IGNORED)
        return loss, int((targets != IGNORED).sum()), state

    def bits_per_symbol(self, text: Any, streams: int = 32, steps: int = 256) -> float:
        """How many bits a symbol of a text (length,) costs: the mean of -log2 of its probability.

        Each but the first counts once. The text is read in `streams` pieces side by side, each from
        a new state; with fewer it takes longer, and the model knows more of what came before.

        >>> model = LanguageModel("gru", num_embeddings=8, embedding_dim=4, hidden_size=8)
        >>> mg.nn.init.zeros_(model.head.weight), mg.nn.init.zeros_(model.head.bias)
        (tensor(...), tensor(...))
        >>> round(model.bits_per_symbol([5, 6, 7, 5, 6, 7], streams=2), 4)
        3.0
        """
        total, count, state = 0.0, 0, None
        with evaluation(self):
            for part in parts_of_streams(text, streams, steps):
                loss, items, state = self.loss(part, state)
                total += loss.item() * items if items else 0.0
                count += items
        return total / count / math.log(2)

    def perplexity(self, text: Any, streams: int = 32, steps: int = 256) -> float:
        """Among how many equally likely symbols one would have to guess: 2 ** bits_per_symbol.

        >>> model = LanguageModel("gru", num_embeddings=8, embedding_dim=4, hidden_size=8)
        >>> bool(1 < model.perplexity([5, 6, 7, 5, 6, 7], streams=2) < 20)
        True
        """
        return float(2 ** self.bits_per_symbol(text, streams, steps))

    # --- making sequences --------------------------------------------------------------------

    def step(self, symbols: Any, state: Any = None) -> tuple[np.ndarray, Any]:
        """The scores (N, V) of what follows the symbols (N,), and the state after them.

        In evaluation mode, and without gradients.

        >>> model = LanguageModel("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> scores, state = model.step([5, 6])
        >>> scores.shape
        (2, 9)
        """
        return self._read(np.asarray(symbols)[None], state)

    def _read(self, symbols: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """The scores after the last of the symbols (T, N), and the state."""
        with evaluation(self):
            x, state = self.recurrent(self.embedding(symbols), state)
            x = x[-1] if self.projection is None else self.projection(x[-1])
            return self.head(x).numpy(), state

    def sample(
        self,
        prompt: Sequence[int] | np.ndarray,
        length: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        excluded: Sequence[int] = (),
        rng: np.random.Generator | None = None,
    ) -> Iterator[int]:
        """Go on after a prompt: an iterator of `length` symbols, each as soon as it is drawn.

        See `minigrad.models.networks.generation.probabilities` for the settings. Random numbers
        come from `rng`, or from minigrad's generator.

        >>> model = LanguageModel("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> symbols = list(model.sample([5, 6], 10, temperature=0.5, top_k=3))
        >>> len(symbols)
        10
        """
        scores, state = self._read(_prompt(prompt), None)
        drawn = sample(
            self.step,
            scores,
            state,
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            excluded=excluded,
            rng=rng,
        )
        return (int(symbol) for (symbol,) in drawn)

    def beam(
        self,
        prompt: Sequence[int] | np.ndarray,
        length: int,
        width: int = 4,
        *,
        end: int | None = None,
        length_penalty: float = 0.0,
        excluded: Sequence[int] = (),
    ) -> list[Hypothesis]:
        """The likeliest ways to go on after a prompt that a beam search finds, the best first.

        See `minigrad.models.networks.generation.beam_search`.

        >>> model = LanguageModel("gru", num_embeddings=9, embedding_dim=4, hidden_size=8)
        >>> len(model.beam([5, 6], length=3, width=2))
        2
        """
        scores, state = self._read(_prompt(prompt), None)
        (found,) = beam_search(
            self.step,
            scores,
            state,
            width,
            length,
            end=end,
            length_penalty=length_penalty,
            excluded=excluded,
        )
        return found


def _prompt(symbols: Sequence[int] | np.ndarray) -> np.ndarray:
    """A prompt as (T, 1)."""
    if not len(symbols):
        raise ValueError("a prompt has at least one symbol")
    return np.asarray(symbols, dtype=np.int64)[:, None]


def _kept(state: Any, begins: np.ndarray) -> Any:
    """The state (L, N, H) of streams that go on, without its history; zeros for the others."""
    if state is None or begins.all():
        return None
    if not begins.any():
        return map_leaves(lambda h: h.detach(), state)

    def masked(h: Tensor) -> Tensor:
        goes_on = mg.tensor(~begins[:, None], backend=h.backend)
        return mg.where(goes_on, h.detach(), 0.0)

    return map_leaves(masked, state)
