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
    from ..guide.build import write_notebooks
    from ..guide.chapter import GuideError, chosen
    from .guide_pages import make_pages, outcome

    try:
        wanted = chosen(numbers)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--chapters") from error
    if notebooks is not None:
        if out is not None or quick:
            raise click.UsageError(
                "--notebooks writes notebooks that are not run: leave out --out and --quick"
            )
        try:
            paths = write_notebooks(notebooks, wanted)
        except GuideError as error:
            raise click.ClickException(str(error)) from error
        click.echo("\n".join(map(str, paths)))
        return
    folder = out or Path("guide")
    start = time.perf_counter()
    claims = make_pages(folder, wanted, quick=quick)
    click.echo(f"{table(claims)}\n\n{outcome(claims, start, folder)}")


def table(claims: list[dict[str, Any]]) -> str:
    """The claims with their verdicts, a line each."""
    return "\n".join(
        f"{judged['chapter']:2}  {judged['claim']}\n"
        f"    {judged['verdict']} {judged['condition']}".rstrip()
        for judged in claims
    )
