"""A run of benchmarks in a few lines: how minigrad's backends stand beside PyTorch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .record import Line, Record
from .significance import FEWEST_ROUNDS, in_one_run

__all__ = ["Standing", "speed_lines", "standings"]

PEER = "PyTorch"
_GROUPS = {
    "recurrent": "training a recurrent layer",
    "programs": "training whole programs",
    "ops": "small things in a loop",
}


@dataclass(frozen=True)
class Standing:
    """How many times as fast as PyTorch a contender is: over the lines of a group.

    Attributes
    ----------
    mean, worst, best : the geometric mean of the lines' ratios, the smallest and the largest.
    unclear : how many of the lines have a spread that is larger than the difference.
    """

    group: str
    threads: int
    contender: str
    mean: float
    worst: float
    best: float
    lines: int
    unclear: int


def standings(record: Record) -> list[Standing]:
    """One for each group, number of threads and contender of minigrad's with PyTorch beside it."""
    found = []

    def key(line: Line) -> tuple[str, int]:
        return line.group, line.threads

    lines = [line for line in record.lines if line.unit == "s" and PEER in line.values]
    for (group, threads), each in groupby(sorted(lines, key=key), key):
        of_group = [line for line in each if line.paired]
        for name in dict.fromkeys(name for line in of_group for name in line.own):
            pairs = [
                (line.values[name], line.values[PEER]) for line in of_group if name in line.own
            ]
            ratios = [_ratio(ours, theirs) for ours, theirs in pairs]
            values = [ratio for ratio, _ in ratios]
            mean = statistics.geometric_mean(values)
            unclear = sum(not clear for _, clear in ratios)
            found.append(
                Standing(
                    *(group, threads, name, mean, min(values), max(values)), len(values), unclear
                )
            )
    return found


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, bool]:
    """How many times as long they take, and whether a difference can be seen."""
    if len(ours) < FEWEST_ROUNDS:
        return statistics.median(theirs) / statistics.median(ours), False
    found = in_one_run(ours, theirs)
    return found.ratio, found.slower or found.faster


def speed_lines(record: Record) -> str:
    """The lines on speed for the main README; without what the run doesn't have."""
    version = record.versions.get(PEER, "").partition("+")[0]
    about = f"{record.machine.get('cpu', 'unknown')}, {record.machine.get('cores', '?')} cores"
    lines = [f"Speed beside {PEER} {version} (1: as fast; 2: twice as fast), {about}:\n"]
    found = standings(record)
    for group, words in _GROUPS.items():
        said = [
            f"{each.contender.removeprefix('minigrad ')} {each.mean:.2f} on {each.threads} "
            f"thread{'s' * (each.threads > 1)} ({each.worst:.2f} to {each.best:.2f})"
            for each in found
            if each.group == group and each.contender != "minigrad composed"
        ]
        if said:
            lines.append(f"- {words}: {'; '.join(said)}")
    return "\n".join(lines) + "\n"
