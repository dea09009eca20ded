"""Does the measuring itself hold? A slowdown that was planted must be seen, and none where is none.

The work is a training step of a small LSTM. A turn takes it a hundred times or so; in the turns of
the slowed contender it is taken ten per cent more often.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from minigrad.nn import LSTM

from ..timing import layer_step, random_batch, repeated, times_in_turns
from .significance import Difference, in_one_run

__all__ = ["SLOWDOWN", "SelfTest", "judged", "self_test"]

SLOWDOWN = 0.1
TURN = 0.02  # seconds that a turn takes at least
SHAPE = (10, 4, 8, 16)  # T, N, I, H

Times = dict[str, list[float]]


@dataclass(frozen=True)
class SelfTest:
    """What was found between equal contenders, and between one and the same, slowed down."""

    equal: Difference
    slowed: Difference

    @property
    def passed(self) -> bool:
        """Whether the slowdown was seen, and none between equals."""
        return self.slowed.slower and not (self.equal.slower or self.equal.faster)

    @property
    def verdict(self) -> str:
        """In a sentence: why it failed, too."""
        if self.passed:
            return f"a slowdown of {SLOWDOWN:.0%} is seen, and none between equal contenders"
        if not self.slowed.slower:
            low, high = self.slowed.low, self.slowed.high
            return (
                f"a slowdown of {SLOWDOWN:.0%} can't be seen: the spread of the ratio is "
                f"{low:.2f} to {high:.2f}; try when the machine is quiet, or with more rounds"
            )
        return (
            f"equal contenders seem to differ, by {self.equal.ratio:.3f}; don't rely on times here"
        )


def judged(times: Times) -> SelfTest:
    """The test's result, of the rounds of "plain", "again" and "slowed"."""
    return SelfTest(
        in_one_run(times["plain"], times["again"]), in_one_run(times["plain"], times["slowed"])
    )


def self_test(rounds: int) -> SelfTest:
    """Measure equal contenders, and a slowed one, in turns; on NumPy, by the CPU's time."""
    layer = LSTM(SHAPE[2], SHAPE[3]).astype("float32").to("numpy")
    step = layer_step(layer, *random_batch(*SHAPE))
    for _ in range(3):
        step()
    start = time.process_time()
    for _ in range(10):
        step()
    each = (time.process_time() - start) / 10
    count = 10 * max(1, math.ceil(TURN / 10 / max(each, 1e-6)))
    turns = {
        "plain": repeated(step, count),
        "again": repeated(step, count),
        "slowed": repeated(step, round((1 + SLOWDOWN) * count)),
    }
    return judged(times_in_turns(turns, rounds, 0.0, time.process_time, turn=0))
