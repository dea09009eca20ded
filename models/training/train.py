"""Training: a loop for any classifier of sequences, whatever the task."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg
from minigrad.engine.rng import generator
from minigrad.nn import Module

from .text import batches
from .threads import one_blas_thread

__all__ = ["Callback", "Epoch", "Examples", "RunningMetrics", "best_of", "evaluate", "fit"]

LOOK = 50  # batches between looks at the loss: each waits for the device


class Examples(NamedTuple):
    """Sequences of word numbers, each (T,), of different lengths T, and their classes."""

    sequences: Sequence[np.ndarray]
    labels: Sequence[int]


@dataclass(frozen=True)
class Epoch:
    """The figures of one pass over the training examples; accuracies are shares from 0 to 1."""

    epoch: int
    train_loss: float  # with dropout, while learning
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class RunningMetrics:
    """Mean loss and accuracy over the examples seen so far; `seen` says how many.

    The results of a batch stay on its device until a mean is read, so the next batch needn't wait.
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
    """Callback of a training run; this one does nothing."""

    def begin(self, notice: str) -> None:
        """The training begins; `notice` is a remark for the user, or empty."""

    def step(self, epoch: int, metrics: RunningMetrics) -> None:
        """A batch is done; the metrics are those of this epoch so far."""

    def epoch(self, record: Epoch, best: bool) -> None:
        """An epoch is done; `best` says whether it is the best so far."""


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
    down to a common norm of at most `max_norm`. All randomness is controlled by `mg.manual_seed`.
    BLAS uses one thread during the training, see `minigrad.models.training.threads`.

    If an error ends the training, Ctrl-C (KeyboardInterrupt) included, the model is left as it was
    after the best epoch so far, or as it was at the start if no epoch was finished; the error has
    an attribute `history`: the finished epochs.

    Raises ValueError if there are no examples to train on or to validate with, or if a number is
    out of range; FloatingPointError if the loss becomes NaN or infinite.
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
    """Mean loss and accuracy of a model, which is put into evaluation mode."""
    model.eval()
    metrics = RunningMetrics()
    with quiet():
        for tokens, lengths, labels, _ in batches(*examples, batch_size):
            logits = model(tokens, lengths)
            metrics.add(mg.cross_entropy(logits, labels), logits, labels)
        return metrics.loss, metrics.accuracy


def quiet() -> np.errstate:
    """A context without NumPy's warnings of inf and NaN: its user checks the result."""
    return np.errstate(over="ignore", invalid="ignore")


def _check_finite(what: str, loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"{what} became {loss} in epoch {epoch}: try a smaller rate than {lr}"
        )
