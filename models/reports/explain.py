"""Why a classifier gives its answer for a text: word by word, from the gates and the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg

from ..training.classifier import SequenceClassifier
from ..training.text import Vocabulary, tokenize

__all__ = ["Explanation", "Memory", "explain", "occlusion", "log_odds", "memory", "sensitivity"]


class Memory(NamedTuple):
    """The share of each word in the last state, computed from the gates; see `memory`."""

    kept: np.ndarray  # (T,), from 0 to 1
    share: np.ndarray  # (T,), sums to 1


@dataclass(frozen=True)
class Explanation:
    """Each word's part in the answer, as arrays (T,) in the order of the words.

    words : as the model reads them.
    known : whether a word is in the vocabulary; if not, the model reads `<unk>`.
    memory : the share of each word in the last state, see `memory`; None for an RNN.
    gradient_norm, gradient_times_input : see `sensitivity`.
    occlusion : see `occlusion`.
    log_odds : log(p / (1 - p)), p being the probability of class 1.
    """

    words: list[str]
    known: list[bool]
    memory: Memory | None
    gradient_norm: np.ndarray
    gradient_times_input: np.ndarray
    occlusion: np.ndarray
    log_odds: float


def explain(model: SequenceClassifier, vocabulary: Vocabulary, text: str) -> Explanation:
    """Explain the answer of a model of two classes, in evaluation mode, for a text.

    Raises ValueError if there are no words in the text.
    """
    words = tokenize(text)
    if not words:
        raise ValueError(f"there are no words in {text!r}")
    numbers = vocabulary.encode(words)  # (T,)
    return Explanation(
        words,
        [bool(number != vocabulary.UNK) for number in numbers],
        memory(model, numbers),
        *sensitivity(model, numbers),
        occlusion(model, numbers),
        float(log_odds(model, numbers[:, None], [len(numbers)])[0]),
    )


def log_odds(model: SequenceClassifier, tokens: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """log(p / (1 - p)) of class 1, which is the difference of the two logits: (T, N) to (N,)."""
    with mg.no_grad():
        logits = model(tokens, lengths).numpy()  # (N, 2)
    return logits[:, 1] - logits[:, 0]


def memory(model: SequenceClassifier, numbers: np.ndarray) -> Memory | None:
    """The share of each of the words (T,) in the last state; None for an RNN, which has no gates.

    A gate lets in a part of the candidate of a word, and at each later step a gate keeps a part of
    that. In an LSTM these are the input and the forget gate of the cell state,
    in a GRU the update gate z is both: 1 - z comes in, z stays.

    kept : the part that came in times all the parts that stayed, as a mean over the H units.
    share : the same with the candidate as a factor. Summed over the words, it is the last state
        (the LSTM's cell state) exactly; of the sums of absolute values over the units, this
        is each word's share.

    Neither shows how a word changed the gates and candidates of later words, through the hidden
    state, which may have moved the answer, too.
    """
    if model.cell == "rnn":
        return None
    at = model.activations(numbers[:, None])  # each (T, 1, H)
    if model.cell == "lstm":
        enters, stays = at["input"], at["forget"]
    else:
        enters, stays = 1 - at["update"], at["update"]
    kept = enters  # of the last word; what came before has to stay through all later steps
    kept[:-1] *= np.cumprod(stays[:0:-1], axis=0)[::-1]
    written = np.abs(kept * at["candidate"]).sum(axis=(1, 2))
    return Memory(kept.mean(axis=(1, 2)), written / written.sum())


def sensitivity(model: SequenceClassifier, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the log-odds depend on the vector of each of the words (T,).

    Returns the norm of the gradient with respect to the vector, and gradient times input, its dot
    product with the vector, each (T,). The latter is what the log-odds would lose without the
    vector if they were linear.
    """
    with mg.no_grad():
        vectors = model.embedding(numbers[:, None])  # (T, 1, E)
    vectors.requires_grad = True
    logits = model.read(vectors, [len(numbers)])  # (1, 2)
    gradient = mg.grad(logits[0, 1] - logits[0, 0], vectors).numpy()
    product = gradient * vectors.numpy()
    return np.linalg.norm(gradient, axis=(1, 2)), product.sum(axis=(1, 2))


def occlusion(model: SequenceClassifier, numbers: np.ndarray) -> np.ndarray:
    """How much the log-odds lose without one of the words (T,), for each word: (T,).

    Without its only word a text has no steps, and the model answers from its first state.
    """
    T = len(numbers)
    without = np.zeros((max(T - 1, 1), T), dtype=numbers.dtype)  # at least a step of padding
    for t in range(T):
        without[: T - 1, t] = np.delete(numbers, t)
    whole = log_odds(model, numbers[:, None], [T])
    return whole - log_odds(model, without, [T - 1] * T)
