"""Training: a loop that any classifier of sequences can use, and the first real run with it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.engine.rng import generator
from minigrad.nn import Module

from ..tasks.reviews import Review, Splits, Vocabulary, batches, tokenize
from .classifier import SequenceClassifier
from .threads import one_blas_thread

__all__ = ["Epoch", "Examples", "Settings", "Run", "RunningMetrics", "Callback"]
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


class RunningMetrics:
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


class Callback:
    """Told how a training goes; this one keeps quiet, and a progress bar doesn't."""

    def begin(self, notice: str) -> None:
        """It begins; the notice is what the user might want to know of it, or empty."""

    def step(self, epoch: int, metrics: RunningMetrics) -> None:
        """A batch is learnt; the metrics are those of this epoch so far."""

    def epoch(self, record: Epoch, best: bool) -> None:
        """An epoch is over, the best one so far or not."""


class _Done(NamedTuple):
    """What whole epochs have brought; replaced as one, so that an interruption finds it whole."""

    history: list[Epoch]
    highest: float  # accuracy in validation
    weights: Mapping[str, np.ndarray]  # that reached it

    def after(self, record: Epoch, model: Module) -> _Done:
        history, accuracy = [*self.history, record], record.validation_accuracy
        if accuracy > self.highest:
            return _Done(history, accuracy, model.state_dict())
        return self._replace(history=history)


def best_of(history: Sequence[Epoch]) -> Epoch:
    """The first epoch of the highest accuracy in validation."""
    return max(history, key=lambda record: record.validation_accuracy)


def fit(
    model: Module,
    train: Examples,
    validation: Examples,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    max_norm: float,
    callback: Callback | None = None,
) -> list[Epoch]:
    """Train with Adam, and leave the model as it was after its best epoch.

    The best is the one of the highest accuracy on the validation examples, the first of them if
    there are several. The rate falls from `lr` to 0 along half a cosine, and gradients are scaled
    down to a common norm of at most `max_norm`. All chance comes from `mg.manual_seed`. BLAS uses
    one thread meanwhile, see `minigrad.models.training.threads`.

    If an error ends the training, Ctrl-C (KeyboardInterrupt) included, the model is left as it was
    after the best epoch so far, or as it came if none is over, and the error has an attribute
    `history`: the epochs that are over.

    Raises ValueError if there is nothing to train on, or to validate with, or if a number makes no
    sense; FloatingPointError if the loss is no finite number any more.
    """
    for name, examples in (("train", train), ("validation", validation)):
        if not len(examples.sequences):
            raise ValueError(f"fit: there are no {name} examples")
    for name, number in {"epochs": epochs, "batch_size": batch_size}.items():
        if number < 1:
            raise ValueError(f"fit: {name} is a positive integer; got {number!r}")
    for name, value in {"lr": lr, "max_norm": max_norm}.items():
        if not 0 < value < math.inf:
            raise ValueError(f"fit: {name} is a positive number; got {value!r}")
    callback = callback or Callback()
    number = 0
    done = _Done([], -1.0, model.state_dict())
    try:
        with one_blas_thread() as notice, quiet():
            callback.begin(notice)
            optimizer = mg.optim.Adam(model.parameters(), lr=lr)
            steps = -(-len(train.sequences) // batch_size)
            schedule = mg.optim.CosineAnnealingLR(optimizer, T_max=epochs * steps)
            for number in range(1, epochs + 1):
                start = time.perf_counter()
                model.train()
                metrics = RunningMetrics()
                for i, batch in enumerate(batches(*train, batch_size, generator()), 1):
                    tokens, lengths, labels, _ = batch
                    logits = model(tokens, lengths)
                    cost = mg.cross_entropy(logits, labels)
                    optimizer.zero_grad()
                    cost.backward()
                    mg.optim.clip_grad_norm_(model.parameters(), max_norm)
                    optimizer.step()
                    schedule.step()
                    metrics.add(cost, logits, labels)
                    if i % LOOK == 0 or i == steps:
                        _check_finite("the loss", metrics.loss, number, lr)
                    callback.step(number, metrics)
                loss, accuracy = evaluate(model, validation)
                _check_finite("the loss in validation", loss, number, lr)
                seconds = time.perf_counter() - start
                record = Epoch(number, metrics.loss, metrics.accuracy, loss, accuracy, seconds)
                done = done.after(record, model)
                callback.epoch(record, best_of(done.history) is record)
    except BaseException as error:
        _end(model, done)
        error.history = done.history  # type: ignore[attr-defined]
        if done.history:
            error.add_note(
                f"in epoch {number} of {epochs}; the model is as it was after epoch "
                f"{best_of(done.history).epoch}, the best so far"
            )
        raise
    _end(model, done)
    return done.history


def _end(model: Module, done: _Done) -> None:
    model.load_state_dict(done.weights)
    model.eval()


@mg.no_grad()
def evaluate(model: Module, examples: Examples, batch_size: int = 256) -> tuple[float, float]:
    """Mean loss and accuracy of a model in evaluation mode, in which it stays."""
    model.eval()
    metrics = RunningMetrics()
    with quiet():
        for tokens, lengths, labels, _ in batches(*examples, batch_size):
            logits = model(tokens, lengths)
            metrics.add(mg.cross_entropy(logits, labels), logits, labels)
        return metrics.loss, metrics.accuracy


def quiet() -> np.errstate:
    """A context without NumPy's warnings of inf and NaN: whoever enters it looks at the result."""
    return np.errstate(over="ignore", invalid="ignore")


def _check_finite(what: str, loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"{what} became {loss} in epoch {epoch}: try a smaller rate than {lr}"
        )


# --- reviews ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
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


def train_reviews(splits: Splits, settings: Settings, callback: Callback | None = None) -> Run:
    """Train a classifier of reviews into negative (0) and positive (1) ones.

    The held-out reviews, `splits.test`, are looked at once, by the weights that did best on the
    validation reviews. The same seed gives the same figures, times excepted.

    If an error ends the training after a whole epoch, Ctrl-C (KeyboardInterrupt) included, it has
    an attribute `run`: what the best epoch so far gave.
    """
    start = time.perf_counter()
    vocabulary = Vocabulary.build((tokenize(r.text) for r in splits.train), settings.min_count)
    train, validation, test = (_examples(part, vocabulary) for part in splits[:3])
    mg.manual_seed(settings.seed)
    model = SequenceClassifier(
        settings.cell,
        len(vocabulary),
        settings.embedding,
        settings.hidden,
        dropout=settings.dropout,
        word_dropout=settings.word_dropout,
        forget_bias=settings.forget_bias,
    )

    def run(history: list[Epoch]) -> Run:
        sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
        metrics = {
            "minigrad": mg.__version__,
            "backend": mg.current_backend().name,
            "task": "reviews",
            **asdict(settings),
            "parameters": sum(p.size for p in model.parameters()),
            "reviews": sizes,
            "held_out_accuracy": evaluate(model, test)[1],
            "majority_accuracy": _majority(test.labels),
            "best_epoch": best_of(history).epoch,
            "seconds": time.perf_counter() - start,
            "history": [asdict(record) for record in history],
        }
        return Run(model, vocabulary, metrics)

    history: list[Epoch] = []
    try:
        history = fit(
            model,
            train,
            validation,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            lr=settings.lr,
            max_norm=settings.max_norm,
            callback=callback,
        )
        return run(history)
    except BaseException as error:
        if history := getattr(error, "history", history):
            with suppress(Exception):  # the first error is the one to see
                error.run = run(history)  # type: ignore[attr-defined]
        raise


def _examples(reviews: Sequence[Review], vocabulary: Vocabulary) -> Examples:
    sequences = [vocabulary.encode(tokenize(review.text)) for review in reviews]
    return Examples(sequences, [review.label for review in reviews])


def _majority(labels: Sequence[int]) -> float:
    """What always giving the most frequent answer would reach."""
    return float(np.bincount(labels).max() / len(labels))
