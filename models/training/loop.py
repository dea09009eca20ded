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

from .birthplace import find_birth
from .callbacks import Callback, EarlyStopping
from .checkpoint import Checkpoint
from .notebook import NotebookProgress, notebook_kernel
from .run_folder import SavedRunError
from .state import NORMS, Training
from .task import Task
from .threads import one_blas_thread

__all__ = ["evaluate", "fit", "quiet", "shown"]

LOOK = 50  # steps between looks at the loss on a device: each waits for it


def fit(
    task: Task,
    *,
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Training:
    """Train a task's model, and leave it as it was after its best epoch.

    The best epoch is the first one of the best value of the task's metric on the validation
    examples. Gradients are scaled down to a common norm of at most `max_norm`; the optimiser and
    the schedule are the task's, Adam and half a cosine unless it says else. The same seed gives
    the same bits: weights and dropout come from `mg.manual_seed(seed)`, the batches of an epoch
    from a generator of the seed and the epoch. BLAS uses one thread, see
    `minigrad.models.training.threads`.

    With a `checkpoint` the training is kept while it runs, and `resume` goes on from it, if there
    is one: the result has the same bits as that of an unbroken training. Without `resume` an older
    checkpoint is replaced.

    If an error ends the training, Ctrl-C (KeyboardInterrupt) included, the model is left as it was
    after the best epoch so far, or as it was at the start if no epoch was finished; the error has
    an attribute `training`. An error between two steps, as one that a callback raises, leaves a
    checkpoint of that moment; else the last one stays.

    In a notebook the cell shows how far it is, unless `progress` is False.

    Returns the `Training`: its `model`, `history`, `best` and times.

    Raises FloatingPointError if the loss or a gradient becomes NaN or infinite; SavedRunError if a
    checkpoint can't be written, or doesn't fit; what `task.load()` raises.

    >>> from minigrad.models.training.example import FirstNumber, FirstNumberSettings
    >>> training = fit(FirstNumber(FirstNumberSettings(cell="rnn", epochs=2)))
    >>> training.best.epoch, len(training.history)
    (2, 2)
    """
    task.load()
    with one_blas_thread() as notice, quiet():
        training = Training(task)
        training.notice = notice
        everyone = [*callbacks]
        if progress and notebook_kernel() is not None:
            everyone.append(NotebookProgress())
        if task.settings.patience:
            everyone.append(EarlyStopping(task.settings.patience))
        try:
            if checkpoint and resume and checkpoint.exists:
                checkpoint.resume(training)
            elif checkpoint:
                checkpoint.write(training)
            for callback in everyone:
                callback.begin(training)
            while not training.finished:
                _train_an_epoch(training, everyone, checkpoint)
        except BaseException as error:
            _end_early(training, checkpoint, error)
            raise
        training.finish()
        for callback in everyone:
            callback.end(training)
    return training


def _end_early(training: Training, checkpoint: Checkpoint | None, error: BaseException) -> None:
    """Keep what was reached, and give it to the error."""
    if checkpoint and training.whole and not isinstance(error, SavedRunError):
        try:
            checkpoint.write(training)
        except SavedRunError as failed:
            error.add_note(str(failed))
    history, best = training.history, training.best.epoch
    where = f"in epoch {training.epoch} of {training.task.settings.epochs}"
    training.finish()
    error.training = training  # type: ignore[attr-defined]
    if history:
        error.add_note(f"{where}; the model is as it was after epoch {best}, the best so far")


def _train_an_epoch(
    training: Training, callbacks: Sequence[Callback], checkpoint: Checkpoint | None
) -> None:
    task, seed = training.task, training.task.settings.seed
    for batch in _rest_of_epoch(training, np.random.default_rng([seed, training.epoch])):
        start = time.perf_counter()
        training.model.train()
        training.whole = False
        _train_a_step(training, batch)
        training.whole = True
        took = time.perf_counter() - start
        training.step_seconds += took
        training.seconds += took
        for callback in callbacks:
            callback.step(training)
        if checkpoint:
            checkpoint.write_if_due(training)
    start = time.perf_counter()
    _check_finite("loss", training.loss, training)
    validation = evaluate(task, training.model, "validation")
    _check_finite("loss in validation", validation.get("loss", 0.0), training)
    training.seconds += time.perf_counter() - start
    record = training.end_epoch(validation)
    for callback in callbacks:
        callback.epoch(training, record)
    if checkpoint:
        checkpoint.write(training)


def _rest_of_epoch(training: Training, rng: np.random.Generator) -> Iterator[Any]:
    """The batches of an epoch that are still to come."""
    task, steps = training.task, training.task.steps()
    if training.step:
        with undisturbed(task):
            batches = iter(task.batches(rng))
            for _ in itertools.islice(batches, training.step):
                pass
    else:
        batches = iter(task.batches(rng))
    for batch in batches:
        if training.step == steps:
            raise ValueError(f"the task {task.name} has {steps} steps, but its batches are more")
        yield batch
    if training.step != steps:
        raise ValueError(
            f"the task {task.name} has {steps} steps, but only {training.step} batches"
        )


def _train_a_step(training: Training, batch: Any) -> None:
    task, model, optimizer = training.task, training.model, training.optimizer
    before = generator().bit_generator.state, task.state_dict()
    cost, items = task.loss(model, batch)
    optimizer.zero_grad()
    cost.backward()
    norm = mg.optim.clip_grad_norm_(model.parameters(), task.settings.max_norm)
    if cost.backend.is_host:  # on a device each look would wait for it
        loss, size = cost.item(), norm.item()
        if not math.isfinite(loss) or not math.isfinite(size):
            finite = math.isfinite(loss)
            what = f"norm of the gradients became {size}" if finite else f"loss became {loss}"
            raise FloatingPointError(_diagnosis(what, training, batch, *before))
        training.norms = [*training.norms[1 - NORMS :], size]
    optimizer.step()
    training.schedule.step()
    training.add(cost, items)
    if not cost.backend.is_host and training.step % LOOK == 0:
        _check_finite("loss", training.loss, training)


def _diagnosis(what: str, training: Training, batch: Any, drawn: Any, kept: Any) -> str:
    """What went wrong in a step that has changed no weights yet; it runs again from `drawn`."""
    task, model = training.task, training.model
    generator().bit_generator.state = drawn
    if kept:
        task.load_state_dict(kept)
    try:
        born = str(find_birth(model, lambda: task.loss(model, batch)[0]) or "")
    except Exception as error:
        born = f"where it was born could not be found: {type(error).__name__}: {error}"
    norms = ", ".join(f"{norm:.3g}" for norm in training.norms)
    rate = training.optimizer.param_groups[0]["lr"]
    return "\n".join(
        [
            f"the {what} in epoch {training.epoch}, step {training.step + 1} of {task.steps()} "
            f"(step {training.steps_done + 1} in all)",
            f"  norms of the gradients in the steps before: {norms or 'it is the first step'}",
            f"  {born or 'computed again op by op, all of it is finite'}",
            f"  if the task is right, try a smaller rate than {task.settings.lr} (there it was "
            f"{rate:.3g}) or a smaller max_norm than {task.settings.max_norm}",
        ]
    )


def evaluate(task: Task, model: Module, part: str) -> dict[str, float]:
    """The figures of a model on "validation" or "test"; it is put into evaluation mode.

    Random numbers that the task draws meanwhile, and what it keeps, change nothing for what comes
    later.
    """
    model.eval()
    with mg.no_grad(), quiet(), undisturbed(task):
        return task.evaluate(model, part)


@contextlib.contextmanager
def undisturbed(task: Task) -> Iterator[None]:
    """A context after which minigrad's generator, and what the task keeps, are as they were."""
    state, kept = generator().bit_generator.state, task.state_dict()
    try:
        yield
    finally:
        generator().bit_generator.state = state
        if kept:
            task.load_state_dict(kept)


def shown(task: Task, model: Module) -> str:
    """What the task shows of a model, which is in evaluation mode meanwhile."""
    before = model.training
    model.eval()
    try:
        with mg.no_grad(), quiet(), undisturbed(task):
            return task.show(model)
    finally:
        model.train(before)


def quiet() -> np.errstate:
    """A context without NumPy's warnings of inf and NaN: its user checks the result."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _check_finite(what: str, value: float, training: Training) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the {what} became {value} in epoch {training.epoch}, within {training.step} steps: "
            f"try a smaller rate than {training.task.settings.lr}"
        )
