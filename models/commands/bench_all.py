"""`minigrad bench all`, and a command for each group of benchmarks, as `minigrad bench eager`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..reports.bench.groups import GROUPS, BenchmarkError, run_group, scripts_folder
from .arguments import Names, NewFile, refuse_equal, write

_OPTIONS = (
    click.option(
        "--rounds",
        type=click.IntRange(min=5),
        help="How many turns each contender takes.  [default: as many as the script's]",
    ),
    click.option("--quick", is_flag=True, help="A few of the cases only: a trial, no result."),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        multiple=True,
        default=(1, 2),
        help="How many each contender has; as often as you like.",
    ),
    click.option("--json", "path", type=NewFile(), help="Write the run to this file."),
    click.option("--page", type=NewFile(".html"), help="Draw it as a page of plots."),
)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("all")
@_with_options
@click.option("--only", type=Names(GROUPS), help="Some of the groups.")
def everything(only: tuple[str, ...] | None, **options: Any) -> None:
    """Run all benchmarks beside the peers that are installed, one group after the other.

    They take an hour. Peers: PyTorch, JAX, tinygrad, HIPS autograd, MyGrad; make bench-peers
    installs them. Each group asserts equal results before it takes a time; contenders take turns,
    and where the spread is larger than the difference no ranking is given.

    Exits with 1 if a group failed or couldn't run; what the others found is written all the same.

    \b
    Examples:
      minigrad bench all --json build/bench.json --page build/bench.html
      minigrad bench all --only eager,products --threads 1
    """
    _run(only or tuple(GROUPS), **options)


def _command_of(name: str) -> click.Command:
    @click.command(name, help=f"{GROUPS[name].says}\n\nSee minigrad bench all --help.")
    @_with_options
    def command(**options: Any) -> None:
        _run((name,), **options)

    return command


COMMANDS = [everything, *map(_command_of, GROUPS)]


def _run(
    names: tuple[str, ...],
    rounds: int | None,
    quick: bool,
    threads: tuple[int, ...],
    path: Path | None,
    page: Path | None,
) -> None:
    from ..reports.bench.record import Record

    refuse_equal(json=path, page=page)
    try:
        scripts_folder()
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from error
    if page is not None:
        from ..reports.bench.page import page_of  # before an hour's work: it needs plotly
    lines, failed = [], []
    for name in names:
        click.echo(f"\n{name}: {GROUPS[name].says}")
        try:
            lines += run_group(name, threads, rounds, quick=quick)
        except BenchmarkError as error:
            click.echo(f"left out: {error}", err=True)
            failed.append(name)
    settings = {"groups": list(names), "rounds": rounds, "threads": list(threads), "quick": quick}
    record = Record(lines, settings)
    if path is not None:
        write(path, record.to_text())
    if page is not None:
        write(page, page_of(record))
    if failed:
        raise click.ClickException(f"without result: {', '.join(failed)}")
