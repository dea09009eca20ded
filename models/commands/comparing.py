"""Several trainings of one task, each in a folder of its own, and the table that compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from minigrad.utils.files import replace_file

from ..reports.comparison import Comparison, compare
from ..training.run_folder import METRICS, SavedRunError, prepare
from ..training.task import Task
from .training import finished_run, train_into

TABLE = "comparison.json"


def compare_into(
    folder: Path, tasks: Sequence[Task], *, resume: bool, anew: bool, again: Sequence[str]
) -> Comparison:
    """Train each of the tasks in a folder within `folder`, and compare them.

    With `resume`, trainings that are finished are not repeated. One that diverges is named under
    the table; the others go on.
    """
    _check(folder)
    places = {task: folder / f"{task.settings.cell}-{task.settings.seed}" for task in tasks}
    for place in places.values():
        prepare(place)
    runs, failed = [], []
    for number, (task, place) in enumerate(places.items(), 1):
        which = f", training {number} of {len(tasks)}"
        figures = finished_run(place, task) if resume else None
        if figures is not None:
            click.echo(f"{place} is finished{which}", err=True)
            runs.append(figures)
            continue
        try:
            run = train_into(place, task, resume=resume, anew=anew, again=again, which=which)
        except FloatingPointError as error:
            click.echo(f"{place}: {error}", err=True)
            failed.append(f"{place.name} gave no result: {str(error).splitlines()[0]}")
            continue
        runs.append(run.metrics)
    if not runs:
        raise FloatingPointError("; ".join(failed))
    found = compare(tasks[0].metric, runs, failed)
    replace_file(folder / TABLE, f"{json.dumps(found.as_json(), indent=2)}\n".encode())
    return found


def _check(folder: Path) -> None:
    """Raise if the folder is a run, or has a file of another program in the table's place."""
    if (folder / METRICS).exists():
        raise SavedRunError(f"{folder} holds a single model; name another folder for several")
    table = folder / TABLE
    if table.exists():
        try:
            is_ours = "judgements" in json.loads(table.read_bytes())
        except (OSError, ValueError):
            is_ours = False
        if not is_ours:
            raise SavedRunError(f"{table} is no table of minigrad's; name another folder")
