"""A model's answer for a review, why, and what it would be with other gates."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

import minigrad as mg

from ...reports.explain import Explanation, explain, log_odds
from ...training.loop import quiet
from ...training.run_folder import Run
from ...training.text import tokenize
from .requests import Refused, override_of

__all__ = ["Reader"]

LONGEST_TEXT, MOST_WORDS = 2000, 200
MOST_UNITS = 64  # whose values are shown
_NOT_GATES = ("candidate", "cell", "hidden", "projected")


class Reader:
    """A model of reviews that `minigrad train` or `load_run` gave, asked about texts.

    `gates` are the names of its gates, as in `mg.override`; an RNN has none.
    """

    def __init__(self, run: Run) -> None:
        self._task, self._model = run.task, run.model
        self._model.eval()
        self.cell = str(run.task.settings.cell)
        self.title = f"{self.cell.upper()} of {run.task.settings.hidden} units, {run.task.title}"
        with mg.use_backend("numpy"):
            self.values = [*self._values(np.array([1]))]
        self.gates = [name for name in self.values if name not in _NOT_GATES]

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer for a request with a `text`, and `gates` (see `override_of`), as JSON.

        words, known: as the model reads them; class: "good" or "bad"; chance: the probability of
        good, and `untouched`, that of the model with its own gates; parts: each word's part in
        the log-odds, by way; kept: how much of each word the gates kept; values: what the cell
        computes at each word (T rows), by name, for `units` of its units.

        Raises Refused for a text without words, or with too many.
        """
        text = asked.get("text")
        if not isinstance(text, str):
            raise Refused(f"text is the review, a string; got {text!r:.40}")
        if len(text) > LONGEST_TEXT:
            raise Refused(f"A review has at most {LONGEST_TEXT:,} characters; got {len(text):,}.")
        words = tokenize(text)
        if not words:
            raise Refused("There are no words in it that the model could read: write a review.")
        if len(words) > MOST_WORDS:
            raise Refused(f"A review has at most {MOST_WORDS} words; got {len(words)}.")
        changed = override_of(asked, self.gates)
        numbers = self._task.vocabulary.encode(words)
        with mg.use_backend("numpy"), quiet():
            untouched = float(log_odds(self._model, numbers[:, None], [len(numbers)])[0])
            with mg.override(changed) if changed else contextlib.nullcontext():
                found = explain(self._model, self._task.vocabulary, text)
                values = self._values(numbers)
        return {
            "words": found.words,
            "known": found.known,
            "class": "good" if found.log_odds > 0 else "bad",
            "chance": _chance(found.log_odds),
            "untouched": _chance(untouched),
            "parts": {way: _rounded(parts) for way, parts in _ways(found).items()},
            "kept": None if found.memory is None else _rounded(found.memory.kept),
            "values": {name: _rounded(array) for name, array in values.items()},
        }

    def _values(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """What the last layer's cell computes at each step: (T, units) by name."""
        found = self._model.activations(numbers[:, None])
        layers = [name.rpartition(".")[0] for name in found]
        return {
            name.rpartition(".")[2]: values[:, 0, :MOST_UNITS]
            for name, values in found.items()
            if name.rpartition(".")[0] == max(layers)
        }


def _ways(found: Explanation) -> dict[str, np.ndarray]:
    ways = {} if found.memory is None else {"by the gates": found.memory.part}
    return {**ways, "by the gradient": found.gradient_times_input, "by trying": found.occlusion}


def _chance(odds: float) -> float:
    with np.errstate(over="ignore"):
        return round(float(1 / (1 + np.exp(-odds))), 4)


def _rounded(array: np.ndarray) -> Any:
    return np.round(array.astype(np.float64), 3).tolist()
