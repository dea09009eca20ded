"""Several trainings of one task, each in a folder of its own, and the table that compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from minigrad.utils.files import replace_file

from ..reports.comparison import Comparison, compare
from ..training.run_folder import METRICS, SavedRunError, prepare
from ..training.task import Settings, Task
from .training import finished_run, train_into

TABLE = "comparison.json"


def compare_into(
    folder: Path,
    kind: type[Task],
    settings: Sequence[Settings],
    *,
    resume: bool,
    anew: bool,
    again: Sequence[str],
) -> Comparison:
    """Train a task with each of the settings, in folders within `folder`, and compare them.

    With `resume`, trainings that are finished are not repeated. One that diverges is named under
    the table; the others go on.
    """
    _check(folder)
    places = [folder / f"{each.cell}-{each.seed}" for each in settings]
    for place in places:
        prepare(place)
    runs, failed = [], []
    for number, (each, place) in enumerate(zip(settings, places, strict=True), 1):
        task, which = kind(each), f", training {number} of {len(settings)}"
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
    found = compare(kind.metric, runs, failed)
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
