"""Training: a loop that any classifier of sequences can use, and the first real run with it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.nn import Module
from minigrad.rng import generator

from .classifier import SequenceClassifier
from .tasks.reviews import Review, Splits, Vocabulary, batches, tokenize

__all__ = ["Epoch", "Examples", "Recipe", "Run", "Tally", "Watch"]
__all__ += ["evaluate", "fit", "train_reviews"]

LOOK = 50  # batches between looks at the loss: a device is waited for at each


class Examples(NamedTuple):
    """Sequences of word numbers, each (T,) of a length of its own, and their classes."""

    sequences: Sequence[np.ndarray]
    labels: Sequence[int]


@dataclass(frozen=True)
class Epoch:
    """What came of one pass over the training examples; accuracies are shares from 0 to 1."""

    epoch: int
    train_loss: float  # with dropout, while learning
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Tally:
    """Mean loss and accuracy over the examples seen so far; `seen` says how many.

    What a batch gave stays where it was computed until somebody asks for a mean: on a device the
    next batch needn't wait.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._loss = self._right = 0.0  # sums over the batches that were read
        self._unread: list[tuple[mg.Tensor, mg.Tensor, np.ndarray]] = []

    def add(self, cost: mg.Tensor, logits: mg.Tensor, labels: np.ndarray) -> None:
        """A batch: its mean loss, its logits (N, C) and its classes (N,)."""
        self.seen += len(labels)
        self._unread.append((cost.detach(), mg.argmax(logits, axis=-1), labels))

    @property
    def loss(self) -> float:
        """The mean loss."""
        self._read()
        return self._loss / self.seen

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        self._read()
        return self._right / self.seen

    def _read(self) -> None:
        if not self._unread:
            return
        costs, answers, labels = zip(*self._unread, strict=True)
        self._unread.clear()
        for cost, batch in zip(mg.stack(costs).tolist(), labels, strict=True):
            self._loss += cost * len(batch)
        self._right += int((mg.concatenate(answers).numpy() == np.concatenate(labels)).sum())


class Watch:
    """Told how a training goes; this one keeps quiet, and a progress bar doesn't."""

    def step(self, epoch: int, tally: Tally) -> None:
        """A batch is learnt; the tally is that of this epoch."""

    def epoch(self, record: Epoch, best: bool) -> None:
        """An epoch is over, the best one so far or not."""


def fit(
    model: Module,
    train: Examples,
    validation: Examples,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    max_norm: float,
    watch: Watch | None = None,
) -> list[Epoch]:
    """Train with Adam, and leave the model as it was after its best epoch.

    The best is the one of the highest accuracy on the validation examples, the first of them if
    there are several. The rate falls from `lr` to 0 along half a cosine, and gradients are scaled
    down to a common norm of at most `max_norm`. All chance comes from `mg.manual_seed`.

    Raises ValueError if there is nothing to train on, or to validate with; FloatingPointError if
    the loss is no finite number any more.
    """
    for name, examples in (("train", train), ("validation", validation)):
        if not len(examples.sequences):
            raise ValueError(f"fit: there are no {name} examples")
    watch = watch or Watch()
    optimizer = mg.optim.Adam(model.parameters(), lr=lr)
    steps = -(-len(train.sequences) // batch_size)
    schedule = mg.optim.CosineAnnealingLR(optimizer, T_max=epochs * steps)
    history: list[Epoch] = []
    weights, highest = model.state_dict(), -1.0
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        model.train()
        tally = Tally()
        for i, batch in enumerate(batches(*train, batch_size, generator()), 1):
            tokens, lengths, labels, _ = batch
            logits = model(tokens, lengths)
            cost = mg.cross_entropy(logits, labels)
            optimizer.zero_grad()
            cost.backward()
            mg.optim.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            schedule.step()
            tally.add(cost, logits, labels)
            if i % LOOK == 0 or i == steps:
                _check_finite(tally.loss, number, lr)
            watch.step(number, tally)
        validation_loss, accuracy = evaluate(model, validation)
        seconds = time.perf_counter() - start
        record = Epoch(number, tally.loss, tally.accuracy, validation_loss, accuracy, seconds)
        history.append(record)
        if best := accuracy > highest:
            weights, highest = model.state_dict(), accuracy
        watch.epoch(record, best)
    model.load_state_dict(weights)
    model.eval()
    return history


@mg.no_grad()
def evaluate(model: Module, examples: Examples, batch_size: int = 256) -> tuple[float, float]:
    """Mean loss and accuracy of a model in evaluation mode, in which it stays."""
    model.eval()
    tally = Tally()
    for tokens, lengths, labels, _ in batches(*examples, batch_size):
        logits = model(tokens, lengths)
        tally.add(mg.cross_entropy(logits, labels), logits, labels)
    return tally.loss, tally.accuracy


def _check_finite(loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss became {loss} in epoch {epoch}: try a smaller rate than {lr}"
        )


# --- reviews ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on besides the data.

    The forget gates begin nearly open (0.95), so that the state keeps words until the end, which
    `explain` can show. With a bias of 1 the accuracy is the same, but after ten words the state
    has kept 3 % of a word: what matters is carried around the gates, by the hidden state.
    """

    cell: str = "lstm"
    embedding: int = 64
    hidden: int = 64
    dropout: float = 0.5
    word_dropout: float = 0.3
    forget_bias: float = 3.0  # of an LSTM, see above
    min_count: int = 2
    epochs: int = 8
    batch_size: int = 128
    lr: float = 4e-3
    max_norm: float = 1.0
    seed: int = 0


class Run(NamedTuple):
    """A trained classifier of texts, with its vocabulary and the figures of its training."""

    model: SequenceClassifier
    vocabulary: Vocabulary
    metrics: dict[str, Any]


def train_reviews(splits: Splits, recipe: Recipe, watch: Watch | None = None) -> Run:
    """Train a classifier of reviews into negative (0) and positive (1) ones.

    The held-out reviews, `splits.test`, are looked at once, by the weights that did best on the
    validation reviews. The same seed gives the same figures, times excepted.
    """
    start = time.perf_counter()
    vocabulary = Vocabulary.build((tokenize(r.text) for r in splits.train), recipe.min_count)
    train, validation, test = (_examples(part, vocabulary) for part in splits[:3])
    mg.manual_seed(recipe.seed)
    model = SequenceClassifier(
        recipe.cell,
        len(vocabulary),
        recipe.embedding,
        recipe.hidden,
        dropout=recipe.dropout,
        word_dropout=recipe.word_dropout,
        forget_bias=recipe.forget_bias,
    )
    history = fit(
        model,
        train,
        validation,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        max_norm=recipe.max_norm,
        watch=watch,
    )
    best = max(history, key=lambda record: record.validation_accuracy)
    metrics = {
        "minigrad": mg.__version__,
        "backend": mg.current_backend().name,
        "task": "reviews",
        **asdict(recipe),
        "parameters": sum(p.size for p in model.parameters()),
        "reviews": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "held_out_accuracy": evaluate(model, test)[1],
        "majority_accuracy": _majority(test.labels),
        "best_epoch": best.epoch,
        "seconds": time.perf_counter() - start,
        "history": [asdict(record) for record in history],
    }
    return Run(model, vocabulary, metrics)


def _examples(reviews: Sequence[Review], vocabulary: Vocabulary) -> Examples:
    sequences = [vocabulary.encode(tokenize(review.text)) for review in reviews]
    return Examples(sequences, [review.label for review in reviews])


def _majority(labels: Sequence[int]) -> float:
    """What always giving the most frequent answer would reach."""
    return float(np.bincount(labels).max() / len(labels))
