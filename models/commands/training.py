"""A training as commands do it: with progress, into a folder, stopped and resumed."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..reports.explain import agreement
from ..tasks.review_task import Reviews
from ..training.checkpoint import Checkpoint
from ..training.loop import fit, quiet
from ..training.results import run_of
from ..training.run_folder import (
    METRICS,
    Run,
    SavedRunError,
    figures_of,
    prepare,
    save_run,
)
from ..training.state import Training
from ..training.task import Task
from .stopping import Stoppable

_EXPLAINED = 200  # reviews on which explanations are compared, in a second or two


def train_into(
    folder: Path,
    task: Task,
    *,
    resume: bool = False,
    anew: bool = False,
    again: Sequence[str] = (),
    which: str = "",
) -> Run:
    """Train with a progress bar, and save the run in a folder.

    If a signal or an error ends the training early, it is raised after the best epoch so far, if
    any, has been saved; `again` are the words of the command that goes on, which are shown then.
    `which` says which of several trainings it is.

    Raises SavedRunError if there is an unfinished training in the folder, unless `resume` goes on
    with it, or `anew` starts from the beginning.
    """
    from .progress import TrainingProgress

    settings, checkpoint = task.settings, Checkpoint(folder)
    older = prepare(folder)
    if checkpoint.exists and not resume and not anew:
        raise SavedRunError(
            f"an unfinished training is in {folder}: --resume goes on with it, --anew starts from "
            "the beginning"
        )
    click.echo(
        f"{settings.cell.upper()} of {settings.hidden} units, seed {settings.seed}, "
        f"on {task.title}{which}",
        err=True,
    )
    if resume and not checkpoint.exists:
        click.echo(f"there is no checkpoint in {folder}: from the beginning", err=True)
    if older and not resume:
        click.echo(f"the older model in {folder} is replaced when this one is trained", err=True)
    stopped: BaseException | None = None
    training: Training | None = None
    run: Run
    with Stoppable() as signals, TrainingProgress() as progress:
        callbacks = [progress, signals.between_steps]
        try:
            training = fit(task, callbacks=callbacks, checkpoint=checkpoint, resume=resume)
            run = _with_agreement(run_of(training))
        except BaseException as error:
            signals.ignore()
            training = training or getattr(error, "training", None)
            if training is None or not training.history:
                kept = f"; the older model in {folder} is as it was" if older else ""
                click.echo(f"no epoch was finished, so no model is saved{kept}", err=True)
                _leave(checkpoint, error, again)
                raise
            stopped, run = error, run_of(training)
        signals.ignore()
        try:
            save_run(folder, run)
        except OSError as error:
            kept = "; the older one there is as it was" if older else ""
            raise SavedRunError(
                f"the model can't be written to {folder}: {error.strerror or error}{kept}"
            ) from error
        if stopped is None:
            checkpoint.remove()
    if stopped is not None:
        best, over = run.metrics["best_epoch"], len(run.metrics["history"])
        click.echo(
            f"ended after {over} of {settings.epochs} epochs; the best so far, epoch {best}, is "
            f"saved in {folder}",
            err=True,
        )
        _leave(checkpoint, stopped, again)
        try:
            raise stopped
        finally:
            del stopped  # which refers to this frame now
    return run


def _leave(checkpoint: Checkpoint, error: BaseException, again: Sequence[str]) -> None:
    """Say how to go on; a training that diverged would do so again, and has no checkpoint."""
    if isinstance(error, FloatingPointError):
        checkpoint.remove()
    elif again and checkpoint.exists:
        click.echo(f"to go on: {shlex.join(again)}", err=True)


def finished_run(folder: Path, task: Task) -> dict[str, Any] | None:
    """The figures of a training of these settings that is over, if its run is in the folder.

    Raises SavedRunError if a run of other settings is there, or if it can't be read.
    """
    if Checkpoint(folder).exists or not (folder / METRICS).is_file():
        return None
    figures = figures_of(folder)
    was = {"task": figures["task"], **figures["settings"]}
    ours = {"task": task.name, **dataclasses.asdict(task.settings)}
    other = [
        f"{name} was {was.get(name)}, not {ours.get(name)}"
        for name in {**ours, **was}
        if was.get(name) != ours.get(name)
    ]
    if other:
        raise SavedRunError(
            f"the model in {folder} is another one: {'; '.join(other)}. Without --resume it is "
            "replaced"
        )
    return figures if figures.get("finished") else None


def _with_agreement(run: Run) -> Run:
    """The run of a classifier of reviews with how alike explanations rank words."""
    if isinstance(run.task, Reviews):
        texts = run.task.sequences["test"][:_EXPLAINED]
        with quiet():
            found = {"reviews": len(texts), "correlations": agreement(run.model, texts)}
        run.metrics["agreement"] = found
    return run
