"""Exercises of chapter 12: labels of a recording, without their times."""

from __future__ import annotations

import itertools

import numpy as np

import minigrad as mg

from .compare import Mistake, compare
from .exercise import Student, exercise


@exercise("ctc-collapse", 12, "What a row of symbols and blanks says.")
def ctc_collapse(student: Student) -> None:
    """Compare with `mg.ctc_greedy` on all rows of five symbols."""
    for row in itertools.product(range(3), repeat=5):
        (wanted,) = mg.ctc_greedy(mg.one_hot(np.array(row), 3) * 1.0)
        got = student("collapse", [*row])
        if [*got] == wanted:
            continue
        changes = [
            symbol for symbol, before in zip(row, (0, *row), strict=False) if symbol != before
        ]
        without = [symbol for symbol in row if symbol]
        others = {
            "blanks are left out, and repetitions are not": without,
            "repetitions are left out, and blanks are not": changes,
            "blanks are left out first: then two of a label that a blank parts become one": [
                symbol for symbol, _ in itertools.groupby(without)
            ],
        }
        hints = [f"\n  perhaps: {hint}" for hint, other in others.items() if [*got] == other]
        raise Mistake(f"{[*row]} says {wanted}; the answer is {[*got]}" + "".join(hints))


@exercise("ctc-forward", 12, "The forward algorithm: sum over all rows that say the labels.")
def ctc_forward(student: Student) -> None:
    """Compare with `mg.ctc_loss`, first where no label is said twice."""
    scores = np.random.default_rng(3).normal(size=(5, 4))
    log_probs = mg.log_softmax(mg.tensor(scores), -1)
    p = np.exp(log_probs.numpy())
    for labels in ([2], [1, 3], [2, 2], [3, 1, 1]):
        places = [0, *itertools.chain.from_iterable((label, 0) for label in labels)]
        loss = mg.ctc_loss(log_probs, labels, None, None, reduction="sum")
        labelled = np.array(places) != 0
        new = np.array(places[2:]) != places[:-2]
        ends = _alpha(p, places, labelled[2:] & new)
        slow = _alpha(p, places, labelled[2:] & False)
        hasty = _alpha(p, places, labelled[2:])
        others = {
            "rows that end in a blank only": ends[-1],
            "rows that end in the last label only": ends[-2],
            "rows that end anywhere": ends.sum(),
            "rows that go on by one place at most": slow[-2:].sum(),
            "rows that may leave out the blank between two equal labels": hasty[-2:].sum(),
        }
        got = student("probability", p, labels)
        compare(f"the probability of {labels}", got, np.exp(-loss.item()), others=others)


def _alpha(p: np.ndarray, places: list[int], jumps: np.ndarray) -> np.ndarray:
    """By place, the probability of all rows that end there; `jumps`: which come from i - 2, too."""
    alpha = np.zeros(len(places))
    alpha[:2] = p[0, places[:2]]
    for step in p[1:]:
        arrives = alpha.copy()
        arrives[1:] += alpha[:-1]
        arrives[2:] += alpha[:-2] * jumps
        alpha = arrives * step[places]
    return alpha
