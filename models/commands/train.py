"""`minigrad train`: a command for each task, with options from the fields of its settings."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..registry import CELLS
from ..tasks.registry import TASKS, find_task
from ..training.checkpoint import Checkpoint
from ..training.results import summary
from ..training.run_folder import prepare
from ..training.task import Option, Settings, Task, options_of
from .arguments import Finite, Names, NewFolder
from .comparing import compare_into
from .training import finished_run, train_into

EXAMPLE = "A funny and moving film, beautifully acted."  # of the README, too


class _Tasks(click.Group):
    """The tasks as commands; each is made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*TASKS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _command(find_task(name)) if name in TASKS else None


@click.command(cls=_Tasks)
def train() -> None:
    """Train a model, and save it in a folder.

    \b
    Examples:
      minigrad train reviews --cell lstm
      minigrad train reviews --cell rnn,lstm,gru --seeds 3
    """


def _command(task: type[Task]) -> click.Command:
    """The command that trains a task."""
    said = (task.__doc__ or task.title).partition("\n")[0]
    help = f"""{said}

    The model of the best epoch is kept, and measured at the end on examples that were held out.
    With several cells or seeds, a table compares them: the measure with its spread between seeds,
    parameters, times, and whether the difference is larger than the spread.

    Ctrl-C ends the training; the best epoch so far, if there is one, is saved, and --resume goes
    on, also after a crash, to the same result as without an interruption.

    \b
    Examples:
      minigrad train {task.name}
      minigrad train {task.name} --cell gru --hidden 32 --seed 1 --out my-gru
      minigrad train {task.name} --cell rnn,lstm,gru --seeds 3
    """

    def run(**given: Any) -> None:
        _train(task, **given)

    params: list[click.Parameter] = []
    for name, option in options_of(task.Settings).items():
        params.append(_parameter(name, option))
        if name == "seed":
            params.append(
                click.Option(
                    ["--seeds"],
                    type=click.IntRange(1, 100),
                    default=1,
                    help="Trainings of each cell, with this many seeds from --seed on.",
                )
            )
    params += [
        click.Option(
            ["--out"],
            type=NewFolder(),
            help="The folder for the model and its metrics.json. An older model of minigrad there "
            "is replaced at the end; a folder of other things is refused.  "
            f"[default: {task.name}-CELL, or {task.name}-comparison]",
        ),
        click.Option(
            ["--resume"], is_flag=True, help="Go on with the training in the folder, if any."
        ),
        click.Option(
            ["--anew"], is_flag=True, help="Start from the beginning, whatever is in the folder."
        ),
        click.Option(["--json", "json_"], is_flag=True, help="Print the figures as JSON."),
    ]
    short = said if len(said) < 60 else task.title
    return click.Command(task.name, params=params, callback=run, help=help, short_help=short)


def _parameter(name: str, option: Option) -> click.Parameter:
    """What the command line takes for a setting."""
    flag = f"--{name.replace('_', '-')}"
    if name == "cell":
        return click.Option(
            [flag], type=Names(CELLS), default=option.default, help=f"{option.help} Or several."
        )
    kind: Any = option.kind
    if option.choices:
        kind = click.Choice(option.choices)
    elif kind is int:
        kind = click.IntRange(_whole(option.least), _whole(option.most))
    elif kind is float:
        above = option.above is not None
        kind = Finite(option.above if above else option.least, option.most, min_open=above)
    if option.argument:
        return click.Argument([name], type=kind, default=option.default, required=False)
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=option.default, help=option.help)
    return click.Option([flag], type=kind, default=option.default, help=option.help)


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


def _train(
    kind: type[Task],
    cell: tuple[str, ...],
    seeds: int,
    out: Path | None,
    resume: bool,
    anew: bool,
    json_: bool,
    **settings: Any,
) -> None:
    if resume and anew:
        raise click.UsageError("--resume goes on, and --anew starts from the beginning: take one")
    several = len(cell) > 1 or seeds > 1
    out = out or Path(f"{kind.name}-comparison" if several else f"{kind.name}-{cell[0]}")
    again = _again(kind, out)
    if several:
        first = settings.pop("seed")
        every = [
            _settings(kind, {**settings, "cell": name, "seed": seed})
            for name in cell
            for seed in range(first, first + seeds)
        ]
        found = compare_into(out, kind, every, resume=resume, anew=anew, again=again)
        click.echo(json.dumps(found.as_json(), indent=2) if json_ else f"\n{found}")
        return
    prepare(out)  # before anything is fetched
    given = {**settings, "cell": cell[0]}
    task = kind(_settings(kind, given, Checkpoint(out) if resume else None))
    if resume and (figures := finished_run(out, task)) is not None:
        click.echo(f"the training in {out} is finished", err=True)
    else:
        figures = train_into(out, task, resume=resume, anew=anew, again=again).metrics
    if json_:
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo()
    click.echo(summary(task.metric, figures))
    click.echo(f"written to         {out}")
    if kind.name in ("reviews", "products"):
        click.echo(f'\nTry it: minigrad explain {shlex.quote(str(out))} "{EXAMPLE}"')


def _settings(
    kind: type[Task], given: dict[str, Any], checkpoint: Checkpoint | None = None
) -> Settings:
    """The settings, with those of a checkpoint for the ones that the user left open."""
    if checkpoint is not None and checkpoint.exists:
        found = checkpoint.read()
        if found["task"] == kind.name:
            typed = {name: given[name] for name in _typed() if name in given}
            saved = {name: v for name, v in found["settings"].items() if name in given}
            given = {**given, **saved, **typed}
    try:
        return kind.Settings(**given)
    except (ValueError, TypeError) as error:  # settings that don't go together
        raise click.UsageError(str(error)) from error


def _typed() -> list[str]:
    """The parameters that the user has given."""
    ctx = click.get_current_context()
    return [
        name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]


def _again(kind: type[Task], out: Path) -> list[str]:
    """The words of the command that goes on with this training."""
    ctx = click.get_current_context()
    words, arguments = ["minigrad", "train", kind.name], []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name not in _typed() or name in ("out", "resume", "anew"):
            continue
        value = ctx.params[name]
        text = ",".join(value) if name == "cell" else str(value)
        if isinstance(parameter, click.Argument):
            arguments.append(text)
        elif isinstance(value, bool):
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        else:
            words += [parameter.opts[0], text]
    return [*words, "--out", os.fspath(out), "--resume", *(["--", *arguments] if arguments else [])]
