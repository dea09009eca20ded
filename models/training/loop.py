"""The training loop, one for every task."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.engine.rng import generator
from minigrad.nn import Module

from .callbacks import Callback, EarlyStopping
from .state import NORMS, Training
from .task import Task
from .threads import one_blas_thread

__all__ = ["evaluate", "fit", "quiet"]

LOOK = 50  # steps between looks at the loss on a device: each waits for it


def fit(task: Task, *, callbacks: Sequence[Callback] = ()) -> Training:
    """Train a task's model, and leave it as it was after its best epoch.

    The best epoch is the first one of the best value of the task's metric on the validation
    examples. Gradients are scaled down to a common norm of at most `max_norm`; the optimiser and
    the schedule are the task's, Adam and half a cosine unless it says else. The same seed gives
    the same bits: weights and dropout come from `mg.manual_seed(seed)`, the batches of an epoch
    from a generator of the seed and the epoch. BLAS uses one thread, see
    `minigrad.models.training.threads`.

    If an error ends the training, Ctrl-C (KeyboardInterrupt) included, the model is left as it was
    after the best epoch so far, or as it was at the start if no epoch was finished; the error has
    an attribute `training`.

    Returns the `Training`: its `model`, `history`, `best` and times.

    Raises FloatingPointError if the loss or a gradient becomes NaN or infinite; what `task.load()`
    raises.

    >>> from minigrad.models.training.example import FirstNumber, FirstNumberSettings
    >>> training = fit(FirstNumber(FirstNumberSettings(cell="rnn", epochs=2)))
    >>> training.best.epoch, len(training.history)
    (2, 2)
    """
    task.load()
    with one_blas_thread(), quiet():
        training = Training(task)
        settings = task.settings
        everyone = [*callbacks]
        if settings.patience:
            everyone.append(EarlyStopping(settings.patience))
        try:
            for callback in everyone:
                callback.begin(training)
            while training.epoch <= settings.epochs and not training.stopped:
                _train_an_epoch(training, everyone)
        except BaseException as error:
            training.finish()
            error.training = training  # type: ignore[attr-defined]
            if training.history:
                error.add_note(
                    f"in epoch {training.epoch} of {settings.epochs}; the model is as it was after "
                    f"epoch {training.best.epoch}, the best so far"
                )
            raise
        training.finish()
        for callback in everyone:
            callback.end(training)
    return training


def _train_an_epoch(training: Training, callbacks: Sequence[Callback]) -> None:
    task, seed = training.task, training.task.settings.seed
    start = time.perf_counter()
    batches = task.batches(np.random.default_rng([seed, training.epoch]))
    training.model.train()
    for batch in itertools.islice(batches, training.step, None):
        if training.step == task.steps():
            raise ValueError(
                f"the task {task.name} has {task.steps()} steps, but its batches are more"
            )
        begin = time.perf_counter()
        _train_a_step(training, batch)
        training.step_seconds += time.perf_counter() - begin
        for callback in callbacks:
            callback.step(training)
    if training.step != task.steps():
        raise ValueError(
            f"the task {task.name} has {task.steps()} steps, but only {training.step} batches"
        )
    _check_finite("loss", training.loss, training)
    validation = evaluate(task, training.model, "validation")
    _check_finite("loss in validation", validation.get("loss", 0.0), training)
    seconds = time.perf_counter() - start
    training.seconds += seconds
    record = training.end_epoch(validation, seconds)
    for callback in callbacks:
        callback.epoch(training, record)


def _train_a_step(training: Training, batch: Any) -> None:
    model, optimizer = training.model, training.optimizer
    cost, items = training.task.loss(model, batch)
    optimizer.zero_grad()
    cost.backward()
    norm = mg.optim.clip_grad_norm_(model.parameters(), training.task.settings.max_norm)
    if cost.backend.is_host:  # on a device each look would wait for it
        _check_finite("loss", cost.item(), training)
        _check_finite("norm of the gradients", norm.item(), training)
        training.norms = [*training.norms[1 - NORMS :], norm.item()]
    optimizer.step()
    training.schedule.step()
    training.add(cost, items)
    if not cost.backend.is_host and training.step % LOOK == 0:
        _check_finite("loss", training.loss, training)


def evaluate(task: Task, model: Module, part: str) -> dict[str, float]:
    """The figures of a model on "validation" or "test"; it is put into evaluation mode.

    Random numbers that the task draws meanwhile change nothing for what comes later.
    """
    model.eval()
    with mg.no_grad(), quiet(), undisturbed():
        return task.evaluate(model, part)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A context after which minigrad's generator is as it was."""
    state = generator().bit_generator.state
    try:
        yield
    finally:
        generator().bit_generator.state = state


def quiet() -> np.errstate:
    """A context without NumPy's warnings of inf and NaN: its user checks the result."""
    return np.errstate(over="ignore", invalid="ignore")


def _check_finite(what: str, value: float, training: Training) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the {what} became {value} in epoch {training.epoch}: try a smaller rate than "
            f"{training.task.settings.lr}"
        )
