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
    """Say what a model answers to TEXT: whether it is a positive or a negative review.

    DIR is a folder that `minigrad train` has written a model to. For a model of digits,
    temperatures or clips, TEXT is the name of a file: a digit is 8 lines of 8 numbers from 0 to
    16, hours are lines such as 2022-12-06 12:00,4.3, and a clip is 8 frames of 16 lines of 28
    numbers from 0 to 1. Arrays may be in files of NumPy (.npy) or JSON (.json), too.

    \b
    Examples:
      minigrad predict reviews-lstm "A film to fall asleep in."
      minigrad predict digits-lstm digit.csv
      minigrad predict captions-gru clip.npy
    """
    run = load_run(folder)
    if not isinstance(run.task, Reviews):
        try:
            click.echo(run.task.answer(run.model, text))
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        return
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
