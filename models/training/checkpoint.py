"""Checkpoints: what a training needs to go on after it was stopped or killed, to the same bits.

A checkpoint is one file, which is replaced as a whole: weights, optimiser, schedule, random state,
position in the data, what the task keeps, the best weights so far, and the figures. It holds no
examples: the batches of an epoch are drawn from a generator of the seed and the epoch, so the
position is a number.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import minigrad as mg
from minigrad.saving import as_bytes
from minigrad.utils.files import remove_drafts, replace_file

from .run_folder import CHECKPOINT, SavedRunError
from .state import Training

__all__ = ["Checkpoint"]


class Checkpoint:
    """The checkpoint of a training in a folder: `fit` writes it, and goes on from it.

    Parameters
    ----------
    folder : the folder of the run; it is made with the first checkpoint.
    every : seconds between two checkpoints, besides the one at the end of each epoch; 0 for one
        after each step.

    >>> import tempfile
    >>> from minigrad.models.training.callbacks import Callback
    >>> from minigrad.models.training.example import FirstNumber
    >>> from minigrad.models.training.loop import fit
    >>> class Stop(Callback):
    ...     def step(self, training):
    ...         if training.steps_done == 40:
    ...             raise KeyboardInterrupt
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         fit(FirstNumber(), checkpoint=Checkpoint(folder), callbacks=[Stop()])
    ...     except KeyboardInterrupt:
    ...         print("stopped")
    ...     went_on = fit(FirstNumber(), checkpoint=Checkpoint(folder), resume=True)
    stopped
    >>> unbroken = fit(FirstNumber())
    >>> len(went_on.history), went_on.best.value == unbroken.best.value
    (3, True)
    """

    def __init__(self, folder: str | os.PathLike[str], every: float = 30.0) -> None:
        self.folder, self.every = Path(folder), every
        self.path = Path(os.path.realpath(folder)) / CHECKPOINT
        self._written = -float("inf")
        self._made_folder = False

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self.path.is_file()

    # --- writing

    def write(self, training: Training) -> None:
        """Replace the file by one of the training as it is now.

        Raises SavedRunError if it can't be written; an older one is as it was.
        """
        task = training.task
        content = as_bytes(
            {
                "minigrad": mg.__version__,
                "backend": mg.current_backend().name,
                "task": task.name,
                "settings": dataclasses.asdict(task.settings),
                "steps": task.steps(),
                "training": training.state_dict(),
            }
        )
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir(parents=True)
                self._made_folder = True
            replace_file(self.path, content)
        except OSError as error:
            raise SavedRunError(
                f"no checkpoint can be written to {self.folder}: {error.strerror or error}"
            ) from error
        self._written = time.monotonic()

    def write_if_due(self, training: Training) -> None:
        """The same if the last one is `every` seconds old."""
        if time.monotonic() - self._written >= self.every:
            self.write(training)

    def remove(self) -> None:
        """Remove the file: the training is over. A folder that was made for it goes if it is empty.

        >>> Checkpoint("no-such-folder").remove()
        """
        if self.path.parent.is_dir():
            remove_drafts(self.path.parent)
            self.path.unlink(missing_ok=True)
            if self._made_folder:
                with contextlib.suppress(OSError):  # it isn't empty
                    self.path.parent.rmdir()

    # --- reading

    def read(self) -> dict[str, Any]:
        """What the file holds: the release, the backend, the task, its settings, and the state.

        Raises SavedRunError if it is damaged or can't be read.
        """
        damaged = f"the checkpoint in {self.folder} can't be used; --anew starts from the beginning"
        try:
            found = mg.load(self.path)
        except (ValueError, OSError) as error:
            said = str(error).removeprefix("load: ")
            raise SavedRunError(f"{damaged}: {said}") from error
        wanted = {"minigrad": str, "backend": str, "task": str, "settings": dict, "steps": int}
        for name, kind in {**wanted, "training": dict}.items():
            if not isinstance(found.get(name), kind):
                raise SavedRunError(f"{damaged}: {self.path} is no checkpoint; it has no {name}")
        return found

    def resume(self, training: Training) -> None:
        """Bring a new training to where the checkpoint was written.

        Raises SavedRunError if it can't be: the checkpoint is damaged, or of another task, of other
        settings, other data, another backend or another release; the error says what differs.
        """
        found, task = self.read(), training.task
        ours = dataclasses.asdict(task.settings)
        pairs = {
            "the task": (found["task"], task.name),
            "the release of minigrad": (found["minigrad"], mg.__version__),
            "the backend": (found["backend"], mg.current_backend().name),
            **{
                name: (found["settings"].get(name), ours.get(name))
                for name in {**ours, **found["settings"]}
            },
            "the number of steps in an epoch": (found["steps"], task.steps()),
        }
        other = [f"{name} was {was}, not {is_}" for name, (was, is_) in pairs.items() if was != is_]
        if other:
            raise SavedRunError(
                f"the training in {self.folder} can't go on, since {'; '.join(other)}. Ask for the "
                "same, or start from the beginning with --anew"
            )
        try:
            training.load_state_dict(found["training"])
        except ValueError as error:
            raise SavedRunError(
                f"the checkpoint in {self.folder} doesn't fit this task: {error}"
            ) from error
