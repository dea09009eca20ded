"""Why a classifier gives its answer for a text: word by word, from the gates and the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg

from ..networks.classifier import SequenceClassifier
from ..training.text import Vocabulary, tokenize

__all__ = ["Explanation", "Memory", "agreement", "explain", "log_odds", "memory", "occlusion"]
__all__ += ["sensitivity"]


class Memory(NamedTuple):
    """Each word's part in the answer, computed from the gates; see `memory`."""

    kept: np.ndarray  # (T,), from 0 to 1
    part: np.ndarray  # (T,), log-odds


@dataclass(frozen=True)
class Explanation:
    """Each word's part in the answer, as arrays (T,) in the order of the words.

    words : as the model reads them.
    known : whether a word is in the vocabulary; if not, the model reads `<unk>`.
    memory : each word's part by the gates, see `memory`; None where there are no such gates.
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
    """What the gates made of each of the words (T,); None for an RNN, which has none.

    None, too, for a model that doesn't read its answer from the last state of a single layer.

    A gate lets in a part of the candidate of a word, and at each later step a gate keeps a part of
    that. In an LSTM these are the input and the forget gate of the cell state,
    in a GRU the update gate z is both: 1 - z comes in, z stays. What the words have put into a
    unit sums up to its last state exactly, and what the output layer makes of the last state to
    the log-odds (Murdoch and Szlam 2017).

    kept : the part that came in times all the parts that stayed, as a mean over the units, each of
        which counts by its part in the answer.
    part : what the word put into the units, as far as it was there at the end, times what the
        output layer makes of them: log-odds, which sum up to the answer without its bias.

    It doesn't show how a word changed the gates and candidates of later words, through the hidden
    state, which may have moved the answer, too.
    """
    if model.cell == "rnn" or not model.reads_last_state:
        return None
    at = {name: values[:, 0] for name, values in model.activations(numbers[:, None]).items()}
    if model.cell == "lstm":
        enters, stays = at["input"], at["forget"]
        c, o = at["cell"][-1], at["output"][-1]  # h = o * tanh(c), as a multiple of c:
        shown = o * np.divide(np.tanh(c), c, out=np.ones_like(c), where=c != 0)
    else:
        enters, stays = 1 - at["update"], at["update"]
        shown = np.ones_like(enters[0])
    kept = enters.copy()  # of the last word; what came before has to stay through all later steps
    kept[:-1] *= np.cumprod(stays[:0:-1], axis=0)[::-1]
    head = model.head.weight.numpy()  # (2, H)
    parts = kept * at["candidate"] * (shown * (head[1] - head[0]))  # (T, H), log-odds
    counts = np.abs(parts.sum(axis=0))
    return Memory(kept @ (counts / max(counts.sum(), 1e-30)), parts.sum(axis=1))


def agreement(model: SequenceClassifier, sequences: Sequence[np.ndarray]) -> dict[str, float]:
    """How alike the explanations rank the words of texts, as Spearman's rank correlations.

    The means over all texts of at least three words, each as an array (T,) of numbers, between
    pairs of `gates` (see `memory`; not for an RNN), `gradient` (gradient times input) and
    `occlusion`; and between the sizes of `gates` and `position`, the place in the text: near 1
    they would say no more than what came last.
    """
    pairs: dict[str, list[float]] = {}
    for numbers in sequences:
        if len(numbers) < 3:
            continue
        ways = {"gradient": sensitivity(model, numbers)[1], "occlusion": occlusion(model, numbers)}
        held = memory(model, numbers)
        if held is not None:
            ways = {"gates": held.part, **ways}
            place = np.arange(len(numbers))
            pairs.setdefault("gates, position", []).append(_spearman(np.abs(held.part), place))
        for i, one in enumerate(ways):
            for other in [*ways][i + 1 :]:
                found = _spearman(ways[one], ways[other])
                pairs.setdefault(f"{one}, {other}", []).append(found)
    return {pair: float(np.mean(found)) for pair, found in sorted(pairs.items())}


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of ranks; 0 where all of one are equal."""
    ranks = [np.argsort(np.argsort(values, kind="stable")) for values in (a, b)]
    if min(np.ptp(a), np.ptp(b)) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def sensitivity(model: SequenceClassifier, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the log-odds depend on the vector of each of the words (T,).

    Returns the norm of the gradient with respect to the vector, and gradient times input, its dot
    product with the vector, each (T,). The latter is what the log-odds would lose without the
    vector if they were linear.
    """
    assert model.embedding is not None  # the model reads words
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
