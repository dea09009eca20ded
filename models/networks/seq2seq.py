"""From one sequence to another: an encoder, and a decoder that attends to what the encoder read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nested import map_leaves
from minigrad.nn import Embedding, Linear, Module, init
from minigrad.utils.arguments import check_flag, check_positive, check_probability
from minigrad.valid_steps import checked_lengths

from .attention import Attention
from .generation import Hypothesis, beam_search, sample
from .parts import (
    embedding_or_none,
    evaluation,
    recurrent_layer,
    valid_steps,
    vectors_of,
)
from .symbols import BOS, EOS, PAD

__all__ = ["DecoderState", "Encoded", "Seq2Seq"]


class Encoded(NamedTuple):
    """What the encoder made of sources."""

    memory: Tensor  # (S, N, H), zeros beyond a source's end
    keys: Tensor  # (S, N, H), what the attention's scores are computed from
    mask: Tensor  # (S, N), true where a step counts


class DecoderState(NamedTuple):
    """All that the decoder's next step depends on; N is the second axis of each tensor."""

    recurrent: Any  # the state of the decoder's layers, (L, N, H) each
    read: Tensor  # (1, N, H), what the last step was read from
    encoded: Encoded | None  # None without attention


class Seq2Seq(Module):
    """A recurrent encoder and a recurrent decoder with attention (Luong et al. 2015).

    The encoder reads the source. Its last states begin the decoder's, and its outputs are the
    memory of the attention. The decoder reads the target so far. Its output h is a query, and the
    scores of the next symbol are computed from tanh(W [context; h]).

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    num_embeddings : how many symbols the source has, 0 being padding; None for features.
    embedding_dim : E, the size of a symbol's vector; or of a step of features.
    num_targets : V, how many symbols the target has, `PAD`, `UNKNOWN`, `BOS` and `EOS` included,
        which are 0, 1, 2 and 3 (see `minigrad.models.networks.symbols`).
    hidden_size : H, the size of the decoder's states; a bidirectional encoder has H/2 in each
        direction.
    num_layers : of the encoder, and of the decoder.
    bidirectional : whether the encoder reads in both directions.
    attention : "bilinear", "dot" or "additive" (see `Attention`); None: the decoder sees the
        encoder's last states only.
    feed : whether the decoder is also fed what its last step was read from (input feeding, Luong
        et al. 2015), so that it knows where it attended. Its steps then run one by one in place
        of one scan, which takes a multiple of the time.
    dropout : in training, the share of vectors, outputs of layers, and what symbols are read from
        that is dropped.
    options : of the recurrent layers, such as `memory=` (see `recurrent_layer`).

    Calling it
    ----------
    `logits = model(source, lengths, targets, target_lengths)` for teacher forcing: the scores of
    each symbol, given the right ones before it.

    source : (S, N), integers; or features (S, N, E). `lengths` (N,), None if all count, and 0 is
        allowed: such a source is empty, and attention reads zeros.
    targets : (U, N), integers without `BOS` and `EOS`, which the model adds; `target_lengths` (N,)
        say how many count. What stands beyond has no effect.

    The logits are (U + 1, N, V): step u scores target u, and step `target_lengths[n]` scores `EOS`.
    Beyond that they mean nothing, and `loss` leaves them out.

    >>> model = Seq2Seq("gru", 9, 4, num_targets=7, hidden_size=8)
    >>> source, targets = [[5, 6], [7, 0]], [[4, 5], [5, 0], [6, 0]]
    >>> model(source, [2, 1], targets, [3, 1]).shape
    (4, 2, 7)
    >>> loss, count = model.loss(source, [2, 1], targets, [3, 1])
    >>> count
    6
    >>> [len(symbols) <= 10 for symbols in model.greedy(source, [2, 1], max_length=10)]
    [True, True]
    """

    def __init__(
        self,
        cell: str,
        num_embeddings: int | None,
        embedding_dim: int,
        num_targets: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "bilinear",
        feed: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        H = check_positive(name, "hidden_size", hidden_size)
        if check_positive(name, "num_targets", num_targets) <= EOS + 1:
            raise ValueError(
                f"{name}: the first {EOS + 1} target symbols are padding, unknown, begin and end, "
                f"so num_targets is at least {EOS + 2}; got {num_targets}"
            )
        if check_flag(name, "bidirectional", bidirectional) and H % 2:
            raise ValueError(
                f"{name}: a bidirectional encoder has half of hidden_size in each direction; got "
                f"hidden_size={H}, which is odd"
            )
        check_probability(name, "dropout", dropout)
        self.cell, self.hidden_size, self.dropout = cell, H, dropout
        self.feed, self.bidirectional = check_flag(name, "feed", feed), bidirectional
        options |= {"num_layers": num_layers, "dropout": dropout}
        self.source_embedding = embedding_or_none(num_embeddings, embedding_dim)
        self.encoder = recurrent_layer(
            cell,
            embedding_dim,
            H // 2 if bidirectional else H,
            bidirectional=bidirectional,
            **options,
        )
        self.embedding = Embedding(num_targets, H, padding_idx=PAD)
        init.normal_(self.embedding.weight, std=0.1)
        self.decoder = recurrent_layer(cell, 2 * H if feed else H, H, **options)
        self.attention = None if attention is None else Attention(attention, H, H)
        self.combine = None if attention is None else Linear(2 * H, H)
        self.head = Linear(H, num_targets)

    # --- training --------------------------------------------------------------------------

    def forward(self, source: Any, lengths: Any, targets: Any, target_lengths: Any) -> Tensor:
        """The logits (U + 1, N, V) of each next symbol of the targets."""
        logits, _ = self._forced(source, lengths, *self._checked(targets, target_lengths))
        return logits

    def loss(
        self, source: Any, lengths: Any, targets: Any, target_lengths: Any
    ) -> tuple[Tensor, int]:
        """The mean cross entropy of the target symbols with their `EOS`, and how many there are."""
        targets, ends = self._checked(targets, target_lengths)
        logits, _ = self._forced(source, lengths, targets, ends)
        U, N = targets.shape
        expected = np.concatenate([targets, np.full((1, N), PAD)])  # (U + 1, N)
        expected[ends, np.arange(N)] = EOS
        expected[np.arange(U + 1)[:, None] > ends] = -100
        rows = mg.reshape(logits, (-1, logits.shape[-1]))
        loss = mg.cross_entropy(rows, expected.reshape(-1), ignore_index=-100)
        return loss, int(ends.sum()) + N

    def weights(
        self, source: Any, lengths: Any, targets: Any, target_lengths: Any
    ) -> list[np.ndarray]:
        """For each sequence what its targets attended to: (target length + 1, source length).

        Row u holds the shares of the source's steps when target u was scored, the last row those
        of `EOS`. Raises ValueError for a model without attention.

        >>> model = Seq2Seq("gru", 9, 4, num_targets=7, hidden_size=8)
        >>> [w.shape for w in model.weights([[5, 6], [7, 0]], [2, 1], [[4, 5], [5, 0]], [2, 1])]
        [(3, 2), (2, 1)]
        """
        if self.attention is None:
            raise ValueError("this model has no attention; make it with attention='bilinear'")
        targets, ends = self._checked(targets, target_lengths)
        with evaluation(self):
            _, found = self._forced(source, lengths, targets, ends)
        assert found is not None
        S = found.shape[2]
        sources = np.full(len(ends), S) if lengths is None else np.asarray(lengths)
        shares = found.numpy()  # (N, U + 1, S)
        return [shares[n, : u + 1, :s] for n, (u, s) in enumerate(zip(ends, sources, strict=True))]

    def _forced(
        self, source: Any, lengths: Any, targets: np.ndarray, ends: np.ndarray
    ) -> tuple[Tensor, Tensor | None]:
        """The logits with the right targets as input, and the attention's weights (N, U + 1, S)."""
        N = targets.shape[1]
        before = np.concatenate([np.full((1, N), BOS), targets])  # (U + 1, N)
        return self._decode(before, self.start(source, lengths))[:2]

    def _checked(self, targets: Any, target_lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        """Targets on the host, with padding beyond their ends, and the lengths."""
        name = type(self).__name__
        array = targets.numpy() if isinstance(targets, Tensor) else np.asarray(targets)
        if array.ndim != 2 or (array.dtype.kind not in "iu" and array.size):
            raise TypeError(
                f"{name}: targets are integers (U, N); got {array.dtype} of shape {array.shape}"
            )
        U, N = array.shape
        lengths = np.full(N, U) if target_lengths is None else target_lengths
        ends = checked_lengths(name, "targets", lengths, U, N)
        return np.where(np.arange(U)[:, None] < ends, array, PAD).astype(np.int64), ends

    # --- steps -----------------------------------------------------------------------------

    def start(self, source: Any, lengths: Any = None) -> DecoderState:
        """The decoder's state before its first step: what the encoder made of the sources."""
        like = self.head.weight
        x = vectors_of(self.source_embedding, source, like)
        x = mg.dropout(x, self.dropout, self.training)
        memory, state = self.encoder(x, lengths=lengths)
        state = map_leaves(self._joined, state)
        encoded = None
        if self.attention is not None:
            encoded = Encoded(memory, self.attention.keys(memory), valid_steps(x, lengths))
        N = memory.shape[1]
        read = mg.zeros((1, N, self.hidden_size), dtype=like.dtype, backend=like.backend)
        return DecoderState(state, read, encoded)

    def _joined(self, part: Tensor) -> Tensor:
        """A part of the encoder's last state as the decoder has it: both directions as one."""
        if not self.bidirectional:
            return part
        return mg.concatenate([part[0::2], part[1::2]], axis=-1)  # (L, N, H)

    def step(self, symbols: Any, state: DecoderState) -> tuple[np.ndarray, DecoderState]:
        """The scores (N, V) of what follows the symbols (N,), and the state after them.

        In evaluation mode, and without gradients. Begin with `BOS` and `start`.
        """
        with evaluation(self):
            logits, _, state = self._decode(np.asarray(symbols)[None], state)
        return logits.numpy()[0], state

    def _decode(
        self, symbols: np.ndarray, state: DecoderState
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Logits (U, N, V) after each of the symbols (U, N), attention weights, the last state."""
        x = mg.dropout(self.embedding(symbols), self.dropout, self.training)  # (U, N, H)
        if not self.feed:
            read, weights, state = self._run(x, state)
        else:  # each step needs the last one's result
            parts = []
            for u in range(len(symbols)):
                fed = mg.concatenate([x[u : u + 1], state.read], axis=-1)
                read, weights, state = self._run(fed, state)
                parts.append((read, weights))
            reads, shares = zip(*parts, strict=True)
            read = mg.concatenate(reads, axis=0)
            weights = None if shares[0] is None else mg.concatenate(shares, axis=1)
        return self.head(mg.dropout(read, self.dropout, self.training)), weights, state

    def _run(self, x: Tensor, state: DecoderState) -> tuple[Tensor, Tensor | None, DecoderState]:
        """What symbols are read from, (U, N, H), for the decoder's input x (U, N, ...)."""
        read, recurrent = self.decoder(x, state.recurrent)
        weights = None
        if self.attention is not None and self.combine is not None:
            assert state.encoded is not None
            context, weights = self.attention(read, *state.encoded)
            read = mg.tanh(self.combine(mg.concatenate([context, read], axis=-1)))
        return read, weights, DecoderState(recurrent, read[-1:], state.encoded)

    # --- decoding --------------------------------------------------------------------------

    def greedy(self, source: Any, lengths: Any = None, max_length: int = 100) -> list[np.ndarray]:
        """For each source the symbols that are the most likely step by step, without `EOS`.

        At most `max_length`; fewer where `EOS` comes before.
        """
        logits, state = self._begin(source, lengths)
        found: list[list[int]] = [[] for _ in logits]
        running = np.ones(len(logits), bool)
        steps = sample(self.step, logits, state, max_length, temperature=0.0, excluded=(PAD, BOS))
        for symbols in steps:
            running &= symbols != EOS
            if not running.any():
                break
            for n in np.flatnonzero(running):
                found[n].append(int(symbols[n]))
        return [np.array(symbols, dtype=np.int64) for symbols in found]

    def beam(
        self,
        source: Any,
        lengths: Any = None,
        width: int = 4,
        max_length: int = 100,
        length_penalty: float = 1.0,
    ) -> list[list[Hypothesis]]:
        """For each source the best targets that a beam search finds, the best first.

        See `minigrad.models.networks.generation.beam_search`; symbols are without `EOS`.
        """
        logits, state = self._begin(source, lengths)
        return beam_search(
            self.step,
            logits,
            state,
            width,
            max_length,
            end=EOS,
            length_penalty=length_penalty,
            excluded=(PAD, BOS),
        )

    def _begin(self, source: Any, lengths: Any) -> tuple[np.ndarray, DecoderState]:
        """The scores of the first symbols, and the state before them."""
        with evaluation(self):
            state = self.start(source, lengths)
        return self.step(np.full(state.read.shape[1], BOS), state)
