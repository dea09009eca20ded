"""How far a sequence of labels is from another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["edit_distance"]


def edit_distance(said: Sequence[Any], wanted: Sequence[Any]) -> int:
    """The least number of insertions, deletions and substitutions that make one of the other.

    By Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966.

    >>> edit_distance("kitten", "sitting"), edit_distance([1, 2], [])
    (3, 2)
    """
    above = list(range(len(wanted) + 1))  # from no label said to each beginning of what is wanted
    for count, label in enumerate(said, 1):
        row = [count]
        for j, other in enumerate(wanted):
            row.append(min(above[j] + (label != other), above[j + 1] + 1, row[j] + 1))
        above = row
    return above[-1]
