"""The tasks by name. A new one is a file in this folder and a line here."""

from __future__ import annotations

import importlib

from ..training.task import Task

__all__ = ["TASKS", "find_task"]

# Where the class of each task is: `module:Class` in this folder. A file is imported when its task
# is asked for, so that `minigrad --help` stays quick.
TASKS: dict[str, str] = {
    "first": "first:First",
    "adding": "adding:Adding",
    "copy": "copying:Copying",
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
    if name not in TASKS:
        raise KeyError(f"no task {name!r:.40}; the tasks are {', '.join(TASKS)}")
    module, _, cls = TASKS[name].partition(":")
    found = getattr(importlib.import_module(f".{module}", __package__), cls)
    assert found.name == name, (found, name)
    return found
