"""`minigrad predict`."""

from math import exp, isnan
from pathlib import Path

import click

from ..reports.explain import log_odds
from ..tasks.registry import load_run
from ..tasks.review_task import Reviews
from ..training.loop import quiet
from ..training.text import tokenize
from .arguments import folder_and_text


@click.command()
@folder_and_text
def predict(folder: Path, text: str) -> None:
    """Say whether TEXT is a positive or a negative review.

    DIR is a folder that `minigrad train` has written a model to.

    \b
    Example:
      minigrad predict reviews-lstm "A film to fall asleep in."
    """
    run = load_run(folder, Reviews)
    vocabulary = run.task.vocabulary
    words = tokenize(text)
    numbers = vocabulary.encode(words)
    with quiet():
        answer = log_odds(run.model, numbers[:, None], [len(words)])[0]
    click.echo(verdict(answer))
    unknown = [w for w, n in zip(words, numbers, strict=True) if n == vocabulary.UNK]
    if unknown:
        click.echo(
            f"({len(unknown)} of {len(words)} words are unknown to the model: {', '.join(unknown)})"
        )


def verdict(log_odds: float) -> str:
    """The more probable answer with its probability, from the log-odds of "positive".

    >>> verdict(1.0), verdict(-3.0)
    ('positive, with probability 0.731', 'negative, with probability 0.953')
    """
    if isnan(log_odds):
        raise FloatingPointError(
            "the model's answer is not a finite number: its weights are too large"
        )
    label = "positive" if log_odds > 0 else "negative"
    return f"{label}, with probability {1 / (1 + exp(-abs(log_odds))):.3f}"
