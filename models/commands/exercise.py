"""`minigrad exercise`."""

from pathlib import Path

import click

from minigrad.utils.files import replace_file

from .arguments import NewFile


@click.group()
def exercise() -> None:
    """Exercises of the guide: files with blanks, and a check that says what is wrong.

    \b
    Examples:
      minigrad exercise list
      minigrad exercise show lstm-step > lstm_step.py
      minigrad exercise check lstm-step lstm_step.py
    """


@exercise.command("list")
def list_exercises() -> None:
    """List all exercises by the chapter that they belong to."""
    from ..exercises import EXERCISES

    width = max(map(len, EXERCISES))
    for found in sorted(EXERCISES.values(), key=lambda found: found.chapter):
        click.echo(f"chapter {found.chapter:2}  {found.name:{width}}  {found.title}")


@exercise.command()
@click.argument("name")
@click.option("--out", type=NewFile(".py"), help="Write it to this file; none may be there.")
def show(name: str, out: Path | None) -> None:
    """Print the file of an exercise, with its blanks, or write it to a file."""
    from ..exercises import EXERCISES

    found = EXERCISES[_known(name)]
    if out is None:
        click.echo(found.blank, nl=False)
        return
    if out.exists():
        raise click.ClickException(f"{out} is there already, perhaps with your work; name another")
    replace_file(out, found.blank.encode())
    click.echo(f"written to {out}; fill its blanks, then: minigrad exercise check {name} {out}")


@exercise.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(name: str, file: Path) -> None:
    """Run FILE, and say whether it solves the exercise, or where it first goes wrong.

    The code in FILE is run as any program of yours.
    """
    from ..exercises import Mistake
    from ..exercises import check as check_file

    try:
        check_file(_known(name), file)
    except Mistake as mistake:
        raise click.ClickException(str(mistake)) from None
    click.echo(f"{name}: right")


def _known(name: str) -> str:
    """The name, which must be that of an exercise."""
    import difflib

    from ..exercises import EXERCISES

    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise click.BadParameter(
            f"there is no exercise {name!r:.40}{hint} `minigrad exercise list` lists them",
            param_hint="NAME",
        )
    return name
