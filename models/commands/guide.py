"""`minigrad guide`."""

import time
from pathlib import Path
from typing import Any

import click

from .arguments import Folder, NewFolder

PORT = 8642


@click.command()
@click.option("--out", type=NewFolder(), help="The folder for the pages.  [default: guide]")
@click.option(
    "--notebooks", type=NewFolder(), help="Write notebooks to this folder instead, not run."
)
@click.option("--chapters", "numbers", metavar="3,5", help="Only these, such as 3,5 or 1-4.")
@click.option("--quick", is_flag=True, help="Small sizes and few seeds: in about two minutes.")
@click.option(
    "--serve",
    is_flag=True,
    help="Open a page on this machine instead: type a review, and set the gates that read it.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Where --serve is; 0: any free port.  [default: {PORT}]",
)
@click.option(
    "--model",
    "models",
    type=Folder("products"),
    multiple=True,
    help="A folder of `minigrad train reviews` or `products`, for --serve; may be repeated.  "
    "[default: an LSTM and a GRU, trained at the first use]",
)
@click.option(
    "--prepare",
    is_flag=True,
    help="Only train what --serve needs, for a class without network; a second time is quick.",
)
def guide(
    out: Path | None,
    notebooks: Path | None,
    numbers: str | None,
    quick: bool,
    serve: bool,
    port: int | None,
    models: tuple[Path, ...],
    prepare: bool,
) -> None:
    """Run the illustrated guide, and write its pages.

    Each chapter runs on this machine: its pictures, numbers and verdicts are of this run. A
    chapter that is done isn't run again, unless it has changed. guide.json, beside the pages,
    lists all claims with their verdicts and evidence.

    \b
    Examples:
      minigrad guide --quick
      minigrad guide --chapters 3,5 --out my-guide
      minigrad guide --notebooks notebooks
      minigrad guide --serve

    --serve answers to this machine only. It keeps nothing of what is typed.
    """
    if serve or prepare:
        if (serve and prepare) or out is not None or notebooks is not None or numbers or quick:
            raise click.UsageError("--serve and --prepare stand alone, but for --port and --model")
        if prepare and (models or port is not None):
            raise click.UsageError("--prepare trains the models of --serve: leave out the others")
        from . import serving

        if prepare:
            serving.own_runs()
        else:
            serving.serve(models, PORT if port is None else port)
        return
    if models or port is not None:
        raise click.UsageError("--model and --port are for --serve")
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
