"""`minigrad guide`."""

import time
from pathlib import Path
from typing import Any

import click

from .arguments import NewFolder


@click.command()
@click.option("--out", type=NewFolder(), help="The folder for the pages.  [default: guide]")
@click.option(
    "--notebooks", type=NewFolder(), help="Write notebooks to this folder instead, not run."
)
@click.option("--chapters", "numbers", metavar="3,5", help="Only these, such as 3,5 or 1-4.")
@click.option("--quick", is_flag=True, help="Small sizes and few seeds: in about two minutes.")
def guide(out: Path | None, notebooks: Path | None, numbers: str | None, quick: bool) -> None:
    """Run the illustrated guide, and write its pages.

    Each chapter runs on this machine: its pictures, numbers and verdicts are of this run. A
    chapter that is done isn't run again, unless it has changed. guide.json, beside the pages,
    lists all claims with their verdicts and evidence.

    \b
    Examples:
      minigrad guide --quick
      minigrad guide --chapters 3,5 --out my-guide
      minigrad guide --notebooks notebooks
    """
    from ..guide.build import build, write_notebooks
    from ..guide.chapter import GuideError, chosen
    from .progress import PartsProgress

    try:
        wanted = chosen(numbers)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--chapters") from error
    if notebooks is not None and (out is not None or quick):
        raise click.UsageError(
            "--notebooks writes notebooks that are not run: leave out --out and --quick"
        )
    try:
        if notebooks is not None:
            for path in write_notebooks(notebooks, wanted):
                click.echo(path)
            return
        folder = out or Path("guide")
        left_out: list[str] = []
        start = time.perf_counter()
        with PartsProgress() as progress:
            claims = build(
                folder,
                wanted,
                quick=quick,
                progress=lambda chapter, done, total: progress(
                    f"chapter {chapter.number}", done, total
                ),
                left_out=left_out.append,
            )
    except GuideError as error:
        raise click.ClickException(str(error)) from error
    click.echo(table(claims))
    seconds = time.perf_counter() - start
    for why in left_out:
        click.echo(f"\n{why[0].upper()}{why[1:]}", err=True)
    click.echo(
        f"\n{len(wanted) - len(left_out)} chapters in {seconds:.0f} s; open {folder / 'index.html'}"
    )


def table(claims: list[dict[str, Any]]) -> str:
    """The claims with their verdicts, a line each."""
    return "\n".join(
        f"{judged['chapter']:2}  {judged['claim']}\n"
        f"    {judged['verdict']} {judged['condition']}".rstrip()
        for judged in claims
    )
