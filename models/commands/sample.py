"""`minigrad sample`."""

from pathlib import Path

import click
import numpy as np
from click.core import ParameterSource

from ..networks.symbols import PAD, UNKNOWN
from ..tasks.registry import load_run
from ..tasks.text_task import Text
from .arguments import Finite, folder_of


@click.command()
@folder_of("text")
@click.option(
    "--prompt", default="\n", show_default="a new line", help="What comes before, and is shown."
)
@click.option("--length", type=click.IntRange(1), default=500, help="How many characters follow.")
@click.option(
    "--temperature",
    type=Finite(0),
    default=0.8,
    help="Below 1 likely characters come more often, above 1 less; at 0 always the likeliest.",
)
@click.option("--top-k", type=click.IntRange(1), help="Draw from the K likeliest only.")
@click.option(
    "--top-p",
    type=Finite(0, 1, min_open=True),
    help="Draw from the fewest that are this probable together.",
)
@click.option("--beam", type=click.IntRange(1), help="Draw nothing: search with this width.")
@click.option("--seed", type=click.IntRange(0), help="Of the random numbers.  [default: new ones]")
def sample(
    folder: Path,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    beam: int | None,
    seed: int | None,
) -> None:
    """Let a model go on with a text.

    DIR is a folder that `minigrad train text` has written a model to.

    \b
    Examples:
      minigrad sample text-lstm --prompt "ROMEO" --temperature 0.7
      minigrad sample text-lstm --top-p 0.9 --seed 1
    """
    run = load_run(folder, Text)
    if beam is not None:
        _refuse_with_beam("temperature", "top_k", "top_p", "seed")
    if not prompt:
        raise click.BadParameter("it has at least one character", param_hint="--prompt")
    try:
        numbers = run.task.encode(prompt)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--prompt") from error
    excluded = (PAD, UNKNOWN)
    click.echo(prompt.removeprefix("\n"), nl=False)
    if beam is not None:
        best, *_ = run.model.beam(numbers, length, beam, excluded=excluded)
        click.echo(run.task.decode(best.symbols))
        return
    drawn = run.model.sample(
        numbers,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        excluded=excluded,
        rng=np.random.default_rng(seed),
    )
    for number in drawn:
        click.echo(run.task.decode([number]), nl=False)  # click shows it at once
    click.echo()


def _refuse_with_beam(*names: str) -> None:
    """Raise if an option of drawing is given with --beam."""
    ctx = click.get_current_context()
    for name in names:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--beam draws nothing: leave {option} out")
