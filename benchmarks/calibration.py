"""How far `minigrad bench compare` can be relied on: the same program in several runs, and slowed.

    python benchmarks/calibration.py [--runs 6] [--rounds 41] [--slower 0.1] [--json FILE]

Each run is a process of its own, in which small training steps take turns with NumPy's products.
Every second run is slowed: each step of minigrad's is followed by a wait, busy, for ten per cent of
its time. Then each two of the plain runs are compared, where nothing should differ, and each plain
one with each slowed one, where all should: by their times, and by their ratios to the products
(`--yardstick`). Beside it stands how far the medians of two equal runs lie apart at most, which is
what the threshold of `compare` has to exceed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import eager
import recurrent

from minigrad import models
from minigrad.models.reports.bench.compare import Change, compare_records
from minigrad.models.reports.bench.contenders import backends_here
from minigrad.models.reports.bench.record import Line, Record
from minigrad.models.reports.bench.significance import UNSEEN
from minigrad.models.reports.timing import (
    in_processes,
    process_clock,
    random_batch,
    times_in_turns,
)
from minigrad.utils.files import replace_file

SHAPES = [(20, 1, 16, 16), (20, 8, 32, 32)]
YARDSTICK = recurrent.FLOOR

Step = Callable[[], Any]


def steps() -> dict[str, Step]:
    """What is measured: a chain of small ops, layers on each backend."""
    found: dict[str, Step] = {"600 ops": eager.minigrad()}
    for kind, shape, on in product(("lstm", "gru"), SHAPES, backends_here(("numpy", "numba"))):
        x, g = random_batch(*shape)
        layer = getattr(models, kind.upper())(x.shape[2], g.shape[2]).astype("float32")
        weights = {name: p.numpy() for name, p in layer.named_parameters()}
        found[f"{kind} {shape}, {on}"] = recurrent.minigrad_step(on, kind, weights, x, g)
    return found


def floor() -> Step:
    """The products of the last layer, which the slowdown leaves alone."""
    x, g = random_batch(*SHAPES[-1])
    layer = models.LSTM(x.shape[2], g.shape[2]).astype("float32")
    weights = {name: p.numpy() for name, p in layer.named_parameters()}
    return recurrent.floor_step("lstm", weights, x, g)


def slowed(step: Step, by: float) -> Step:
    """The step, and a busy wait for a part of its time."""

    def run() -> None:
        start = time.process_time()
        step()
        end = time.process_time() + by * (time.process_time() - start)
        while time.process_time() < end:
            pass

    return run if by else step


def a_run(rounds: int, slower: float) -> dict[str, dict[str, list[float]]]:
    """Seconds of all rounds, by step and contender."""
    yardstick, found = floor(), {}
    for name, step in steps().items():
        contenders = {"minigrad": slowed(step, slower), YARDSTICK: yardstick}
        found[name] = times_in_turns(contenders, rounds, 0.0, process_clock())
    return found


def changes(first: Any, second: Any, yardstick: str | None) -> list[Change]:
    """What `minigrad bench compare` finds between two runs."""
    a, b = (
        Record([Line("calibration", name, 1, "s", row) for name, row in run.items()], {})
        for run in (first, second)
    )
    return compare_records(a, b, yardstick).changes


def verdicts(plain: list[Any], slow: list[Any], yardstick: str | None) -> dict[str, Any]:
    """How often equal runs are called different, and slowed ones slower."""
    equal = [c for a, b in combinations(plain, 2) for c in changes(a, b, yardstick)]
    slower = [c for a, b in product(plain, slow) for c in changes(a, b, yardstick)]
    apart = sorted(math.exp(abs(math.log(c.ratio))) - 1 for c in equal)
    alarms = sum(c.difference is not None and c.difference.verdict != UNSEEN for c in equal)
    return {
        "equal": len(equal),
        "called different": alarms,
        "slowed": len(slower),
        "called slower": sum(c.worse for c in slower),
        "apart": [statistics.median(apart), apart[math.ceil(0.99 * len(apart)) - 1], apart[-1]],
    }


def main() -> None:
    """Take all runs, one after the other, and print how often they seem to differ."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--runs", type=int, default=6, help="plain ones; as many are slowed")
    options.add_argument("--rounds", type=int, default=41)
    options.add_argument("--slower", type=float, default=0.1)
    options.add_argument("--json", metavar="FILE", help="write all rounds there")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        print(json.dumps([a_run(chosen.rounds, by) for by in (0.0, chosen.slower)]))
        return
    runs = [found for _, found in in_processes(__file__, [1] * chosen.runs)]
    plain, slow = ([run[i] for run in runs] for i in (0, 1))
    for yardstick in (None, YARDSTICK):
        found = verdicts(plain, slow, yardstick)
        middle, high, most = (f"{100 * part:.1f}%" for part in found["apart"])
        print(f"\nby {'ratios to ' + yardstick if yardstick else 'times'}")
        print(f"equal runs called different: {found['called different']} of {found['equal']}")
        print(f"slowed runs called slower: {found['called slower']} of {found['slowed']}")
        print(f"medians of equal runs lie apart by {middle}, 1 in 100 by {high}, at most {most}")
    if chosen.json:
        replace_file(chosen.json, json.dumps({"plain": plain, "slowed": slow}).encode())


if __name__ == "__main__":
    main()
