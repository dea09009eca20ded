"""From a clip of frames to a sentence: template matching, recurrent layers, attention."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Linear, Module
from minigrad.utils.arguments import check_positive

from .seq2seq import Seq2Seq

__all__ = ["Captioner"]


class Captioner(Module):
    """Sentences about clips of small frames, in which shapes of a known size move.

    The encoder of a `Seq2Seq` with attention reads steps of two kinds. The first are vertical
    strips of the first frame, from left to right: of a strip it gets how well each of a number of
    learned templates fits at the best place whose left edge is in the strip. So what is learned of
    a shape in one place holds in all. The other steps are all frames, one after the other, as
    whole images, which show what moves.

    A second loss helps the templates along: each strip scores all words, and the best scores of
    all strips should say which words the sentence has.

    Parameters
    ----------
    cell : "rnn", "lstm" or "gru".
    frame : rows and columns of a frame.
    shape : rows and columns of a template.
    num_words : V, how many words there are, the four special symbols included (see `Seq2Seq`).
    hidden_size : H, which is even.
    templates : how many there are.
    strip : columns of a strip; it divides the number of places of a template in a row.
    dropout : in training, the share of the steps' vectors and of what words are read from that is
        dropped.
    options : of the `Seq2Seq`.

    Calling it
    ----------
    `loss, count = model.loss(frames, words, lengths)` with frames (T, N, rows, columns), words
    (U, N) and how many of them count (N,); the loss is a mean over count words.

    >>> model = Captioner("gru", frame=(4, 7), shape=(4, 4), num_words=9, hidden_size=8, strip=2)
    >>> loss, count = model.loss(np.zeros((3, 2, 4, 7)), [[5, 6], [7, 0]], [2, 1])
    >>> count, len(model.sentences(np.zeros((3, 2, 4, 7)), longest=5))
    (5, 2)
    """

    def __init__(
        self,
        cell: str,
        frame: tuple[int, int],
        shape: tuple[int, int],
        num_words: int,
        hidden_size: int,
        *,
        templates: int = 64,
        strip: int = 3,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        H = check_positive(name, "hidden_size", hidden_size)
        places = tuple(whole - part + 1 for whole, part in zip(frame, shape, strict=True))
        if min(places) < 1 or places[1] % check_positive(name, "strip", strip):
            raise ValueError(
                f"{name}: a template {shape} has {places} places in a frame {frame}; the columns "
                f"of places have to be a multiple of those of a strip, {strip}"
            )
        self.frame, self.shape, self.strip, self.dropout = frame, shape, strip, dropout
        self.templates = Linear(shape[0] * shape[1], templates)
        self.look = Linear(templates, H)  # at a strip
        self.watch = Linear(frame[0] * frame[1], H)  # a frame
        self.seen = Linear(H, num_words)  # in a strip
        self.seq2seq = Seq2Seq(cell, None, H, num_words, H, dropout=dropout, **options)

    def steps(self, frames: np.ndarray) -> tuple[Tensor, Tensor]:
        """What the encoder reads: strips (S, N, H) and frames (T, N, H)."""
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[2:] != self.frame or not len(frames):
            raise ValueError(
                f"Captioner: frames are (T, N, rows, columns) with rows and columns {self.frame}; "
                f"got {frames.shape}"
            )
        like = self.seen.weight
        T, N = frames.shape[:2]
        windows = np.lib.stride_tricks.sliding_window_view(frames[0], self.shape, axis=(1, 2))
        rows, columns = windows.shape[1:3]
        strips = columns // self.strip
        windows = windows.reshape(N, rows, strips, self.strip, -1).transpose(1, 3, 2, 0, 4)
        windows = windows.reshape(rows * self.strip, strips * N, -1)
        scores = self.templates(mg.tensor(windows, dtype=like.dtype, backend=like.backend))
        best = mg.relu(mg.max(scores, axis=0))  # (S * N, templates)
        looked = mg.relu(mg.reshape(self.look(best), (strips, N, -1)))
        pixels = frames.reshape(T, N, -1)
        watched = self.watch(mg.tensor(pixels, dtype=like.dtype, backend=like.backend))
        return looked, mg.relu(watched)

    def loss(self, frames: np.ndarray, words: Any, lengths: Any) -> tuple[Tensor, int]:
        """The cross-entropy of the words, plus that of which words there are; how many words."""
        strips, watched = self.steps(frames)
        source = mg.concatenate([strips, watched], axis=0)
        loss, count = self.seq2seq.loss(source, None, words, lengths)
        words, lengths = np.asarray(words), np.asarray(lengths)
        there = np.zeros((words.shape[1], self.seen.out_features), strips.dtype)  # (N, V)
        for step, row in enumerate(words):
            counts = np.flatnonzero(step < lengths)
            there[counts, row[counts]] = 1
        found = mg.max(self.seen(strips), axis=0)
        target = mg.tensor(there, backend=found.backend)
        return loss + mg.binary_cross_entropy_with_logits(found, target), count

    def sentences(self, frames: np.ndarray, longest: int) -> list[np.ndarray]:
        """For each clip its most likely words, one by one; at most `longest`."""
        with mg.no_grad():
            source = mg.concatenate(list(self.steps(frames)), axis=0)
        return self.seq2seq.greedy(source, max_length=longest)
