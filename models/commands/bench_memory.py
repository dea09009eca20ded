"""`minigrad bench memory`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from .arguments import NewFile, write

if TYPE_CHECKING:
    from ..reports.longest_lag import LongestLags, Trial
    from ..training.state import Training


@click.command()
@click.argument("task", metavar="TASK")
@click.option(
    "--cells",
    default="rnn,lstm,gru",
    help="What to compare, with commas between; see above for the settings that one may have.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, help="How many: of weights and examples."
)
@click.option("--shortest", type=click.IntRange(min=2), default=5, help="The first lag.")
@click.option(
    "--limit", type=click.IntRange(min=2), default=160, help="The longest lag that is tried."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the task for all of them, as hidden=64 or epochs=20; as often as you like.",
)
@click.option("--json", "path", type=NewFile(), help="Also write all results to this file.")
def memory(
    task: str,
    cells: str,
    seeds: int,
    shortest: int,
    limit: int,
    changes: tuple[str, ...],
    path: Path | None,
) -> None:
    """Find the longest lag that each cell learns.

    TASK is first (say at the end which symbol came first), adding (add the two numbers that are
    marked) or copy (say a few symbols again after a pause). The lag is doubled for as long as a
    cell learns the task within the same number of steps.

    A cell is rnn, lstm or gru. Behind colons follow settings that are its own: how its weights
    begin (usual, orthogonal, identity; see minigrad train first --help), and others by name, as in
    rnn:orthogonal:hidden=128:lr=0.001.

    With MINIGRAD_BACKEND=numba it is several times as fast.

    \b
    Examples:
      minigrad bench memory first
      minigrad bench memory adding --cells rnn,rnn:orthogonal,lstm,lstm:usual,gru --limit 200
    """
    from ..reports.longest_lag import longest_lags

    settings: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise click.BadParameter(f"write NAME=VALUE; got {change!r}", param_hint="--set")
        settings[name.strip()] = value
    contenders = [cell for cell in cells.split(",") if cell.strip()]
    with _Progress() as progress:
        limits: dict[str, Any] = {"shortest": shortest, "limit": limit}
        callbacks: dict[str, Any] = {"tell": progress.tell, "each_step": progress.step}
        try:
            found = longest_lags(task, contenders, range(seeds), **limits, **callbacks, **settings)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    _show(found)
    if path is not None:
        write(path, f"{json.dumps(found.to_dict(), indent=1, allow_nan=False)}\n")


class _Progress:
    """On standard error a line for each training, and a bar for the one that runs."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
            TextColumn("left at most"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, contender: str, seed: int, lag: int, training: "Training") -> None:
        """Move the bar, at times."""
        if self._bar.disable or training.step % 10:
            return
        title = f"{contender} seed {seed} lag {lag}"
        if self._task is None:
            self._task = self._bar.add_task(title, total=training.steps_in_all, loss=training.loss)
        self._bar.update(self._task, completed=training.steps_done, loss=training.loss)

    def tell(self, trial: "Trial") -> None:
        """A line."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._console.print(
            f"{trial.contender:16} seed {trial.seed}  lag {trial.lag:4}  "
            f"{'learned' if trial.solved else 'failed '}  loss {trial.loss:.4f}  "
            f"{trial.steps:5} steps  {trial.seconds:6.1f} s",
            highlight=False,
            soft_wrap=True,
        )


def _show(found: "LongestLags") -> None:
    from rich.console import Console
    from rich.table import Table

    s = found.settings
    steps = s["epochs"] * s["batches"]
    click.echo(
        f"\n{found.task}: the longest lag with a loss below {found.threshold} within {steps} steps "
        f"of {s['batch_size']}; hidden {s['hidden']}, lr {s['lr']:g}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    table.add_column("")
    table.add_column("median", justify="right")
    table.add_column("by seed")
    last = found.lags[-1]

    def words(lag: float) -> str:
        return f"{lag:g}+" if lag == last else f"{lag:g}" if lag else "none"

    for name in found.contenders:
        table.add_row(name, words(found.median(name)), ", ".join(map(words, found.longest(name))))
    Console(highlight=False).print(table)
    if any(last in found.longest(name) for name in found.contenders):
        click.echo(f"({last}+: learned, and longer ones were not tried)")
