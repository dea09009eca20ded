"""The picture of the main README: an LSTM reads a review, and what each word adds to its answer.

    python benchmarks/reading.py [FILE]

Trains the model of `minigrad demo` (seed 0, some half a minute on two cores; the reviews are
downloaded once), and draws what `minigrad explain` computes for each beginning of the review.
Without a file it writes benchmarks/reading.svg.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.models.commands.demo import CEREAL
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.reports.explain import log_odds, memory
from minigrad.models.tasks.review_task import Reviews
from minigrad.models.training.loop import fit
from minigrad.models.training.results import run_of
from minigrad.models.training.text import Vocabulary, tokenize
from minigrad.utils.files import replace_file
from minigrad.utils.rich import BLUE, ORANGE
from minigrad.utils.svg import add, document, written

LEFT, TOP, WIDTH, HEIGHT, RIGHT, BELOW = 88, 62, 21, 16, 60, 66
FULL = 1.5  # log-odds: the strongest colour
STYLE = """
.paper { fill: #ffffff } text { fill: #1f2933; font: 12px system-ui, sans-serif }
.small { fill: #52606d; font-size: 11px } .title { font-size: 14px; font-weight: 600 }
.cell { stroke: #ffffff }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } text { fill: #e6edf3 } .small { fill: #9da7b1 } .cell { stroke: #0d1117 }
}
"""


def reading(model: SequenceClassifier, vocabulary: Vocabulary, text: str) -> str:
    """The SVG: a row per word, a column per word read so far, the answer at the bottom."""
    words = tokenize(text)
    numbers = vocabulary.encode(words)
    parts = [memory(model, numbers[: t + 1]) for t in range(len(words))]
    assert all(part is not None for part in parts), "of an LSTM or a GRU"
    odds = [log_odds(model, numbers[: t + 1, None], [t + 1])[0] for t in range(len(words))]
    answers = 1 / (1 + np.exp(-np.asarray(odds)))
    width, rows = LEFT + WIDTH * len(words) + RIGHT, TOP + HEIGHT * len(words)
    picture = document(0, 0, width, rows + BELOW, role="img")
    shown = ", ".join(
        f"{word} {part:+.2f}" for word, part in zip(words, parts[-1].part, strict=True)
    )
    said = f"What each word adds to the answer at the end, in log-odds: {shown}."
    picture.set("aria-label", f"{said} The probability of a good review is {answers[-1]:.2f}.")
    add(picture, "style", STYLE)
    add(picture, "rect", class_="paper", width=width, height=rows + BELOW, rx=6)
    add(picture, "text", "An LSTM reads a review, word by word", class_="title", x=12, y=24)
    said = "A row: what a word adds to the answer, from its place on, while later words are read."
    add(picture, "text", said, class_="small", x=12, y=43)
    for i, word in enumerate(words):
        y = TOP + HEIGHT * i
        add(picture, "text", word, x=LEFT + WIDTH * i - 5, y=y + 12, text_anchor="end")
        for t in range(i, len(words)):
            _cell(picture, t, y, parts[t].part[i] / FULL)
        end = f"{parts[-1].part[i]:+.2f}"
        add(picture, "text", end, class_="small", x=width - 52, y=y + 12)
    add(picture, "text", "good?", x=LEFT - 5, y=rows + 22, text_anchor="end")
    for t, answer in enumerate(answers):
        _cell(picture, t, rows + 10, 2 * answer - 1)
    add(picture, "text", f"{answers[-1]:.2f}", x=width - 52, y=rows + 22)
    legend = "orange: for a good review; blue: against; at the right: in the end, in log-odds"
    add(picture, "text", legend, class_="small", x=12, y=rows + 52)
    return written(picture)


def _cell(picture: Any, column: int, y: int, strength: float) -> None:
    """A field: orange above 0, blue below, full at 1."""
    place = {"x": LEFT + WIDTH * column, "y": y, "width": WIDTH, "height": HEIGHT}
    colour = ORANGE if strength > 0 else BLUE
    opacity = f"{0.04 + 0.9 * min(abs(strength), 1.0):.2f}"
    add(picture, "rect", class_="cell", **place, fill=colour, fill_opacity=opacity)


def main() -> None:
    """Train, draw, and write the file."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument(
        "file", nargs="?", type=Path, default=Path(__file__).with_name("reading.svg")
    )
    path = options.parse_args().file
    run = run_of(fit(Reviews()))
    replace_file(path, reading(run.model, run.task.vocabulary, CEREAL).encode())
    print(path)


if __name__ == "__main__":
    main()
