"""`minigrad explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..reports.explain import Explanation
from ..reports.explain import explain as explain_words
from ..tasks.registry import load_run
from ..tasks.review_task import Reviews
from ..training.loop import quiet
from .arguments import folder_and_text
from .predict import verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GATES = {
    "kept": "what the gates let in of the word and let stay, in the units that decide",
    "gates": "the word's part in the answer by what it put there, and what was left at the end",
}
_NO_GATES = {
    "slope": "how steeply the answer depends on the word (an RNN has no gates)",
}
_ANSWER = {
    "grad*x": "the word's part in the answer by the gradient: gradient times input",
    "left out": "the word's part in the answer by trying: what is lost without it",
}
_UNITS = (
    "The last {} are log-odds: what is positive speaks for a positive review, and\n"
    "+0.7 doubles the odds, as from 1:1 (probability 0.50) to 2:1 (probability 0.67).\n"
    "Words in brackets are not in the vocabulary."
)


@click.command()
@folder_and_text
def explain(folder: Path, text: str) -> None:
    """Say which words of TEXT decide the model's answer.

    DIR is a folder that `minigrad train` has written a model to. For each word: how much the
    gates kept of it, and how much the answer depends on it, by the gradient and by leaving it out.

    \b
    Example:
      minigrad explain reviews-lstm "A film to fall asleep in."
    """
    from rich.console import Console

    run = load_run(folder, Reviews)
    with quiet():
        explanation = explain_words(run.model, run.task.vocabulary, text)
    console = Console(highlight=False)
    show(console, explanation)
    console.print()
    legend(console, gates=explanation.memory is not None)
    click.echo(agreement_of(run.metrics))


def show(console: "Console", explanation: Explanation, rows: int | None = None) -> None:
    """The answer, and each word's part in it, or only the parts of the `rows` that count most."""
    from rich.table import Table

    words, memory = explanation.words, explanation.memory
    console.print(verdict(explanation.log_odds))
    if console.is_terminal:
        if memory is not None:
            console.print("  by the gates:", _side_by_side(words, _colours(memory.part)))
        console.print("  by trying:   ", _side_by_side(words, _colours(explanation.occlusion)))

    pairs = zip(words, explanation.known, strict=True)
    columns: dict[str, list[Any]] = {
        "  word": [f"  {word}" if known else f"  ({word})" for word, known in pairs]
    }
    if memory is None:
        columns["slope"] = [f"{norm:.2f}" for norm in explanation.gradient_norm]
    else:
        columns["kept"] = [f"{part:.0%}" for part in memory.kept]
        columns["gates"] = _signed(memory.part)
    columns["grad*x"] = _signed(explanation.gradient_times_input)
    columns["left out"] = _signed(explanation.occlusion)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for name in columns:
        table.add_column(name, justify="left" if name == "  word" else "right")
    most = np.argsort(-np.abs(explanation.occlusion), kind="stable")[:rows]
    for t in sorted(most):
        table.add_row(*(column[t] for column in columns.values()))
    console.print(table)
    if len(most) < len(words):
        console.print(f"  (the {len(most)} of {len(words)} words that the answer hangs on most)")


def legend(console: "Console", gates: bool) -> None:
    """What the columns of the tables mean, for models with gates or without."""
    for name, meaning in ((_GATES if gates else _NO_GATES) | _ANSWER).items():
        console.print(f"{name:9} {meaning}")
    console.print(_UNITS.format("three" if gates else "two"))


def agreement_of(metrics: dict[str, Any]) -> str:
    """How alike the columns rank words, from the figures of a run."""
    found = metrics.get("agreement")
    if not found:
        return (
            "How alike the columns rank words was not measured when this model was trained; train "
            "it again to see it."
        )
    names = {"gradient": "grad*x", "occlusion": "left out", "position": "place in the text"}
    listed = []
    for pair, correlation in found["correlations"].items():
        one, other = (names.get(way, way) for way in pair.split(", "))
        listed.append(f"{one} and {other} {correlation:+.2f}")
    return (
        f"How alike the columns rank the words of {found['reviews']} held-out reviews (Spearman's "
        f"rank correlation):\n{', '.join(listed)}."
    )


def _side_by_side(words: list[str], styles: list[str]) -> "Text":
    from rich.text import Text

    return Text(" ").join(Text(w, style) for w, style in zip(words, styles, strict=True))


def _signed(parts: np.ndarray) -> list["Text"]:
    from rich.text import Text

    return [Text(f"{v:+.2f}", style) for v, style in zip(parts, _colours(parts), strict=True)]


def _colours(parts: np.ndarray) -> list[str]:
    """Styles for parts of the answer: green for positive and red for negative, the largest bold."""
    largest = max(abs(parts))
    return [
        "dim"
        if abs(part) < 0.15 * largest
        else f"{'bold ' if abs(part) > 0.5 * largest else ''}{'green' if part > 0 else 'red'}"
        for part in parts
    ]
