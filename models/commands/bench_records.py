"""`minigrad bench compare`, `page`, `tables` and `self-test`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import NewFile, OldFile, write

if TYPE_CHECKING:
    from ..reports.bench.compare import Comparison
    from ..reports.bench.record import Record


@click.command()
@click.argument("first", metavar="A.json", type=OldFile())
@click.argument("second", metavar="B.json", type=OldFile())
@click.option(
    "--yardstick",
    metavar="NAME",
    help="Compare times as ratios to this contender's of the same round, as PyTorch.",
)
def compare(first: Path, second: Path, yardstick: str | None) -> None:
    """Say what got slower from one run of benchmarks to another.

    A.json and B.json come from --json of minigrad bench all, or of one group. Each time, peak of
    memory and count of minigrad is compared with that of the same line. Slower is what differs by
    more than the spread of both runs, by more than 5%, and by more than any peer does that has the
    same version in both.

    Exits with 0 if nothing got slower, 1 if something did, 2 for a file that is no record.

    \b
    Example:
      minigrad bench compare before.json after.json
    """
    from ..reports.bench.compare import compare_records
    from ..reports.bench.record import RecordError

    before, after = _read(first), _read(second)
    try:
        found = compare_records(before, after, yardstick)
    except RecordError as error:
        raise click.UsageError(str(error)) from error
    _show(found)
    raise SystemExit(1 if found.worse else 0)


@click.command()
@click.argument("record", metavar="RUN.json", type=OldFile())
@click.argument("out", metavar="PAGE.html", type=NewFile(".html"))
def page(record: Path, out: Path) -> None:
    """Draw a run of benchmarks as one page, with its plots in it.

    \b
    Example:
      minigrad bench page build/bench.json bench.html
    """
    from ..reports.bench.page import page_of

    write(out, page_of(_read(record)))


@click.command()
@click.argument("record", metavar="RUN.json", type=OldFile())
@click.option(
    "--into",
    type=OldFile(),
    help="Put them into this file, in the place of those that stand there between marks.",
)
@click.option("--summary", is_flag=True, help="A few lines on speed instead, for the main README.")
def tables(record: Path, into: Path | None, summary: bool) -> None:
    """Print a run of benchmarks as tables of Markdown, with machine, versions and commit.

    \b
    Examples:
      minigrad bench tables build/bench.json
      minigrad bench tables build/bench.json --into benchmarks/README.md
    """
    from ..reports.bench.summary import speed_lines
    from ..reports.bench.tables import replaced, tables_of

    run = _read(record)
    text = speed_lines(run) if summary else tables_of(run)
    if into is None:
        click.echo(text, nl=False)
        return
    try:
        whole = replaced(into.read_text(encoding="utf-8"), text)
    except ValueError as error:
        raise click.UsageError(f"{into} can't be filled in: {error}") from error
    write(into, whole)


@click.command("self-test")
@click.option("--rounds", type=click.IntRange(min=8), default=41, help="How many turns each.")
def self_test(rounds: int) -> None:
    """Is a slowdown of 10% seen on this machine now, and none where is none?

    Exits with 0 if so, and with 1 if not: then times measured now are not to be relied on.
    """
    from ..reports.bench.self_test import self_test as measured

    found = measured(rounds)
    for name, difference in (("equal", found.equal), ("slowed by 10%", found.slowed)):
        click.echo(
            f"{name:16}{difference.ratio:.3f} ({difference.low:.3f} to {difference.high:.3f})  "
            f"{difference.verdict}"
        )
    click.echo(found.verdict)
    raise SystemExit(0 if found.passed else 1)


def _read(path: Path) -> "Record":
    from ..reports.bench.record import RecordError, read_record

    try:
        return read_record(path)
    except RecordError as error:
        raise click.UsageError(str(error)) from error


def _show(found: "Comparison") -> None:
    rows = [("", "threads", "", "ratio", "spread", "")]
    for change in found.changes:
        line, d = change.line, change.difference
        spread = "" if d is None else f"{d.low:.2f} to {d.high:.2f}"
        where = (line.label, str(line.threads), change.contender)
        rows.append((*where, f"{change.ratio:.2f}", spread, change.verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("   ".join(cells).rstrip())
    for said in found.left_out:
        click.echo(f"not compared: {said}", err=True)
    for said in found.warnings:
        click.echo(f"differs: {said}", err=True)
    worse, count = len(found.worse), len(found.changes)
    click.echo(
        f"{worse} of {count} got slower, larger or more, beyond the spread and {found.smallest:.0%}"
    )
