"""`minigrad bench all`, and a command for each group of benchmarks, as `minigrad bench eager`."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minigrad as mg

from ..reports.bench.groups import GROUPS, Asked, BenchmarkError, run_group, scripts_folder
from ..reports.bench.groups import whole_run as seconds_of
from ..reports.bench.self_test import self_test
from .arguments import Finite, Names, NewFile, refuse_equal, write
from .stopping import Stoppable, exit_code

if TYPE_CHECKING:
    from ..reports.bench.record import Record

WITHOUT = "without result"  # the groups that a run was asked for and doesn't have
CHECK = "self-test"  # whether times measured at the start could be relied on
CHECK_ROUNDS = 41
QUICK_MINUTES = 2.0
LEAST_PART = 4


class Backends(Names):
    """Backends of minigrad that can run here, with commas between them."""

    name = "backends"

    def __init__(self) -> None:
        super().__init__(mg.available_backends())

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """The names."""
        found = super().convert(value, param, ctx)
        for name in found:
            try:
                mg.get_backend(name)
            except mg.BackendError as error:
                self.fail(str(error), param, ctx)
        return found


_OPTIONS = (
    click.option(
        "--minutes",
        type=Finite(min=0, min_open=True),
        help="How long it takes, if its fewest rounds take no longer.  [default: 20 for all "
        "groups, 2 if --quick; a group its part]",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(min=5),
        help="Exactly so many turns of each contender, however long they take.  [default: until "
        "the spread is narrow or the time is over]",
    ),
    click.option("--quick", is_flag=True, help="A few of the cases only: a trial, no result."),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        multiple=True,
        default=(1, 2),
        help="How many each contender has; as often as you like.",
    ),
    click.option(
        "--backend",
        "backends",
        type=Backends(),
        help="Of minigrad, where a group can run on several.  [default: numpy,numba]",
    ),
    click.option("--json", "path", type=NewFile(), help="Write the run to this file."),
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with the run in the file of --json, if it has groups without result, and is "
        "of the same commit, machine and options. Otherwise begin anew.",
    ),
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

    They take 20 minutes, or --minutes, and want the machine for themselves; first a self-test says
    whether times can be relied on now. Peers: PyTorch, JAX,
    tinygrad, HIPS autograd, MyGrad; make bench-peers installs them. Each group asserts equal
    results before it takes a time; contenders take turns, and where the spread is larger than the
    difference no ranking is given.

    The file of --json is written after each group. Ctrl-C keeps what it has, and --resume goes on
    from there.

    Exits with 1 if a group failed or couldn't run; what the others found is written all the same.

    \b
    Examples:
      minigrad bench all --json build/bench.json --page build/bench.html
      minigrad bench all --only eager,products --threads 1
    """
    _run(only or tuple(GROUPS), **options, checked=True)


def _command_of(name: str) -> click.Command:
    @click.command(name, help=f"{GROUPS[name].says}\n\nSee minigrad bench all --help.")
    @_with_options
    def command(**options: Any) -> None:
        _run((name,), **options)

    return command


COMMANDS = [everything, *map(_command_of, GROUPS)]


def _run(
    names: tuple[str, ...],
    minutes: float | None,
    rounds: int | None,
    quick: bool,
    threads: tuple[int, ...],
    backends: tuple[str, ...] | None,
    path: Path | None,
    resume: bool,
    page: Path | None,
    checked: bool = False,
) -> None:
    from ..reports.bench.record import Record

    refuse_equal(json=path, page=page)
    if resume and path is None:
        raise click.UsageError(
            "--resume goes on with the run in the file of --json, which is missing"
        )
    if backends is not None and not any(GROUPS[name].backends for name in names):
        raise click.UsageError(f"{', '.join(names)} can't be measured on another backend")
    if rounds is not None and minutes is not None:
        raise click.UsageError("--rounds says how many turns, --minutes how long: name one of them")
    try:
        scripts_folder()
    except BenchmarkError as error:
        raise click.UsageError(str(error)) from error
    if page is not None:
        from ..reports.bench.page import page_of  # before the work: it needs plotly
    asked = Asked(tuple(dict.fromkeys(threads)), rounds, backends, quick)
    settings = {"groups": [*names], "rounds": rounds, "threads": [*asked.threads]}
    settings |= {"backends": None if backends is None else [*backends], "quick": quick}
    record = Record([], {**settings, WITHOUT: [*names]})
    if record.commit.get("edited"):
        click.echo("files of the checkout are edited: the commit doesn't say what runs", err=True)
    if checked:
        record.settings[CHECK] = said = self_test(CHECK_ROUNDS).verdict
        click.echo(f"{CHECK}: {said}")
    if resume and path is not None and path.exists():
        record = _begun(path, record)
    if minutes is None:
        whole = QUICK_MINUTES * 60 if quick else seconds_of(GROUPS)
        minutes = whole / 60 * seconds_of(names) / seconds_of(GROUPS)
    try:
        with Stoppable():
            for with_more in _measured(record, asked, minutes):
                record = with_more
                if path is not None:
                    write(path, record.to_text())
    except KeyboardInterrupt as error:
        kept = path is not None and record.lines
        more = f"; what is done is in {path}: --resume goes on from there" if kept else ""
        click.echo(f"\nstopped{more}", err=True)
        raise SystemExit(exit_code(error)) from error
    if page is not None:
        write(page, page_of(record))
    if failed := record.settings[WITHOUT]:
        raise click.ClickException(f"without result: {', '.join(failed)}")


def _measured(record: "Record", asked: Asked, minutes: float) -> Iterator["Record"]:
    """The record with the lines of the groups that it lacks, after each of them."""
    names: Sequence[str] = record.settings[WITHOUT]
    begin = time.monotonic()
    whole = 60 * minutes * seconds_of(names) / seconds_of(record.settings["groups"])
    failed: list[str] = []
    for number, name in enumerate(names):
        left = max(0.0, begin + whole - time.monotonic())
        planned = whole * GROUPS[name].seconds / seconds_of(names)
        share = left * GROUPS[name].seconds / seconds_of(names[number:])
        share = max(share, planned / LEAST_PART)  # groups before it took longer
        click.echo(f"\n{name}, {number + 1} of {len(names)}: {GROUPS[name].says}")
        if asked.rounds is None:
            click.echo(f"about {share:.0f} s; {left / 60:.1f} minutes left for all", err=True)
        try:
            lines = run_group(name, asked, share)
        except BenchmarkError as error:
            click.echo(f"left out: {error}", err=True)
            failed.append(name)
            continue
        settings = {**record.settings, WITHOUT: [*failed, *names[number + 1 :]]}
        record = replace(record, lines=[*record.lines, *lines], settings=settings)
        yield record
    click.echo(f"\n{(time.monotonic() - begin) / 60:.1f} minutes", err=True)


def _begun(path: Path, new: "Record") -> "Record":
    """The run in the file, if it has groups without result and is like the new one; else that."""
    from ..reports.bench.record import RecordError, read_record

    try:
        old = read_record(path)
    except RecordError as error:
        raise click.UsageError(f"{error}; without --resume it is replaced") from error
    if not old.settings.get(WITHOUT):
        click.echo(f"the run in {path} is complete; a new one begins", err=True)
        return new
    parts = [(what, getattr(old, what), getattr(new, what)) for what in ("commit", "machine")]
    parts += [("versions", old.versions, new.versions)]
    parts += [("options", _options(old), _options(new))]
    other = [what for what, was, now in parts if was != now]
    if other or not old.commit or old.commit.get("edited"):
        why = f"has other {', '.join(other)}" if other else "is of no commit, or edited since"
        click.echo(f"the run in {path} {why}; a new one begins", err=True)
        return new
    done = [name for name in old.settings["groups"] if name not in old.settings[WITHOUT]]
    click.echo(f"{path} has {', '.join(done) or 'nothing yet'}; the run goes on", err=True)
    return old


def _options(record: "Record") -> dict[str, Any]:
    return {name: value for name, value in record.settings.items() if name not in (WITHOUT, CHECK)}
