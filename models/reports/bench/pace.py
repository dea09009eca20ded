"""How long a benchmark takes: rounds until the spread is narrow, or until its time is over.

A script makes a `Pace` for all its cases and asks it for each: what it gets is called after every
round, with the times so far, and says whether they are enough. Meanwhile a line on standard error
says which case runs and how long the script still takes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ..timing import process_threads
from .significance import FEWEST_ROUNDS, median_spread

__all__ = ["NARROW", "Enough", "Pace", "add_options"]

NARROW = 0.02  # a spread of this part of the median can't change what a ranking says
FIRST_LOOK, NEXT_LOOK = 12, 1.5  # few looks, each 1.5 times as late: looking often finds chance
REPORT_EVERY = 10.0  # seconds between two lines, where standard error is no terminal


class Enough:
    """Are the rounds so far enough? A function of the times by contender.

    >>> enough = Enough()
    >>> enough({"a": [1.0] * 11}), enough({"a": [1.0] * 12})
    (False, True)
    """

    def __init__(self, until: float = math.inf, *, by_spread: bool = True) -> None:
        self._until, self._by_spread, self._look = until, by_spread, FIRST_LOOK

    def __call__(self, times: Mapping[str, Sequence[float]]) -> bool:
        """Whether time is over, after five rounds at least, or all spreads are narrow."""
        rounds = min(map(len, times.values()))
        if rounds < FEWEST_ROUNDS:
            return False
        if time.monotonic() >= self._until:
            return True
        if not self._by_spread or rounds < self._look:
            return False
        self._look = math.ceil(rounds * NEXT_LOOK)
        return all(map(_narrow, times.values()))


def _narrow(values: Sequence[float]) -> bool:
    spread = median_spread(values)
    return spread.high - spread.low <= NARROW * spread.median


class Pace:
    """The rounds and the seconds of a script, which its cases share.

    Without seconds, each case takes all its rounds. With them, `rounds` is the most: a case may
    use what is left, divided by the cases that are left.
    """

    def __init__(self, rounds: int, cases: int | None = None, seconds: float | None = None) -> None:
        self.rounds, self._cases, self._done, self._seconds = rounds, cases, 0, seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._quiet_until = -math.inf

    @classmethod
    def of(cls, chosen: argparse.Namespace, cases: int | None = None) -> Self:
        """As `add_options` has it, where each number of threads has an equal part.

        Without `cases`, the script itself goes round by round, while there is time.
        """
        parts = len(getattr(chosen, "threads", [1]))
        return cls(chosen.rounds, cases, chosen.seconds and chosen.seconds / parts)

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return max(0.0, self._end - time.monotonic())

    def case(self, label: str) -> Enough:
        """A case begins, with its preparation: when its rounds are enough."""
        self._done += 1
        self._say(label)
        if self._seconds is None:
            return Enough(by_spread=False)
        share = self.left / max(1, (self._cases or 1) - self._done + 1)
        return Enough(time.monotonic() + share)

    def close(self) -> None:
        """Take the line away, before a table is printed."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _say(self, label: str) -> None:
        threads = process_threads()
        of = "" if self._cases is None else f" of {self._cases}"
        said = f"{self._done}{of}: {label}, {threads} thread{'s' * (threads > 1)}"
        if self._seconds is not None:
            said += f"; {self.left:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r\033[K  {said}"[:100], end="", file=sys.stderr, flush=True)
        elif time.monotonic() >= self._quiet_until:
            print(f"  {said}", file=sys.stderr, flush=True)
            self._quiet_until = time.monotonic() + REPORT_EVERY


def add_options(options: Any, rounds: int, fewest: int = 2, name: str = "--rounds") -> None:
    """Give a script --rounds, or what it calls them, --seconds and --json."""

    def count(text: str) -> int:
        if int(text) < fewest:
            raise argparse.ArgumentTypeError(f"a spread needs at least {fewest} rounds")
        return int(text)

    options.add_argument(
        name, dest="rounds", type=count, default=rounds, help=f"turns of each contender [{rounds}]"
    )
    options.add_argument(
        "--seconds",
        type=_seconds,
        help="stop after about so long, and a case earlier whose spread is narrow; rounds are "
        "then the most [take all]",
    )
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")


def _seconds(text: str) -> float:
    found = float(text)
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError("seconds are more than 0")
    return found
