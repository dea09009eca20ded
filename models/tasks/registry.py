"""The tasks by name. A new one is a file in this folder and a line here."""

from __future__ import annotations

import importlib
import os

from ..training import run_folder
from ..training.run_folder import Run, SavedRunError
from ..training.task import Task

__all__ = ["TASKS", "find_task", "load_run"]

# Where the class of each task is: `module:Class` in this folder. A file is imported when its task
# is asked for, so that `minigrad --help` stays quick.
TASKS: dict[str, str] = {
    "reviews": "review_task:Reviews",
    "products": "review_task:ProductReviews",
    "digits": "digit_task:DigitsTask",
    "temperatures": "temperature_task:TemperaturesTask",
    "captions": "caption_task:CaptionsTask",
    "first": "first:First",
    "adding": "adding:Adding",
    "copy": "copying:Copying",
    "text": "text_task:Text",
    "phonemes": "phonemes:Phonemes",
    "speech": "speech:Speech",
}


def find_task(name: str) -> type[Task]:
    """The class of a task; KeyError if there is none of this name, with the names that there are.

    >>> find_task("poems")
    Traceback (most recent call last):
        ...
    KeyError: "no task 'poems'; the tasks are ..."
    """
    if name not in [*TASKS]:  # a list, as not everything that comes has a hash
        raise KeyError(f"no task {name!r:.40}; the tasks are {', '.join(TASKS)}")
    module, _, cls = TASKS[name].partition(":")
    found = getattr(importlib.import_module(f".{module}", __package__), cls)
    assert found.name == name, (found, name)
    return found


def load_run(folder: str | os.PathLike[str], kind: type[Task] = Task) -> Run:
    """The task, the model and the figures in a folder that `minigrad train` has written.

    The model is in evaluation mode; the task has no examples, which `task.load()` fetches.

    Raises SavedRunError if there is no whole run, or one of another kind of task than `kind`.
    """
    run = run_folder.load_run(folder, find_task)
    if not isinstance(run.task, kind):
        raise SavedRunError(
            f"the model in {folder} was trained for {run.task.name!r}, and this reads models for "
            f"{kind.name!r}"
        )
    return run
