"""How the cost of a recurrent layer grows: time and memory of a training step, by T, N and H.

    python benchmarks/growth.py [--cells lstm gru rnn] [--axes T N H] [--no-memory] [--json FILE]

One size grows while the others stay: T from 10 to 10,000, N from 1 to 512, H from 16 to 1,024.
Beside each step stand the matrix products alone, by NumPy; they take turns. The slope is that of a
line through the larger half of the sizes in a log-log plot: 1 means twice the cost for twice the
size. A cell grows faster than its products if the ratio of the two has a slope above 0.05, with
all of its spread, which is that of the rounds.

Memory is the peak of `memory.py`, in a process for each size, beside the bytes of what a step keeps
if it keeps its outputs and one array per gate, and returns all gradients. All is on one thread, and
time is that of the CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import memory
import numpy as np
import recurrent

import minigrad as mg
from minigrad import models
from minigrad.models.reports.bench.significance import FEWEST_ROUNDS, median_spread
from minigrad.models.reports.timing import (
    CLOSE,
    disagreement,
    in_processes,
    layer_step,
    random_batch,
    times_in_turns,
)
from minigrad.utils.files import replace_file

BASE = {"T": 50, "N": 8, "I": 64, "H": 64}
AXES = {
    "T": (10, 32, 100, 320, 1000, 3200, 10_000),
    "N": (1, 4, 16, 32, 64, 128, 256, 512),
    "H": (16, 32, 64, 128, 256, 512, 1024),
}
FLOOR, KEPT = "products alone", "outputs, gates, gradients"
ALLOWED = 0.05  # of the slope of a ratio: what caches and the cost of a call add


def times(kind: str, shape: Sequence[int], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, of the layer on each backend and of its products alone."""
    T, N, I, H = shape
    x, g = random_batch(T, N, I, H)
    layers = {"numpy": getattr(models, kind.upper())(I, H).astype("float32")}
    weights = {name: p.numpy() for name, p in layers["numpy"].named_parameters()}
    if "numba" in mg.available_backends():
        layers["numba"] = getattr(models, kind.upper())(I, H).astype("float32").to("numba")
        layers["numba"].load_state_dict(weights)
    steps = {f"minigrad {on}": layer_step(layer.to(on), x, g) for on, layer in layers.items()}
    right, *others = (step() for step in steps.values())
    for found in others:
        assert disagreement(found, right) <= CLOSE, (kind, shape)
    steps[FLOOR] = recurrent.floor_step(kind, weights, x, g)
    steps[FLOOR]()
    return times_in_turns(steps, rounds, 0.0, time.process_time)


def kept_bytes(kind: str, shape: Sequence[int]) -> int:
    """What a step keeps and returns: outputs and gates, the gradients of input and weights."""
    T, N, I, H = shape
    gates = recurrent.GATES[kind]
    return 4 * (T * N * ((1 + gates) * H + I) + gates * H * (I + H + 2))


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Of the line through the larger half of the sizes, in logarithms.

    >>> round(slope([1, 10, 100, 1000], [9, 9, 100, 10_000]), 3)
    2.0
    """
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(costs[half:]), 1)[0])


def growth(sizes: Sequence[int], rows: Sequence[dict[str, list[float]]], of: str) -> dict[str, Any]:
    """By contender its slope, that of its ratio to `of`, and whether it grows faster than that.

    The slope of a ratio is low, median and high of the rounds' where there are enough for a spread.
    """
    found = {}
    base = [statistics.median(row[of]) for row in rows]
    for name in rows[0]:
        medians = [statistics.median(row[name]) for row in rows]
        figures: dict[str, Any] = {"slope": slope(sizes, medians)}
        if name != of:
            by_round = zip(*(_ratios(row[name], row[of]) for row in rows), strict=True)
            ratios = [slope(sizes, ratio) for ratio in by_round]
            if len(ratios) >= FEWEST_ROUNDS:
                spread = median_spread(ratios)
                figures["of ratio"] = [spread.low, spread.median, spread.high]
            else:
                middle = slope(sizes, [a / b for a, b in zip(medians, base, strict=True)])
                figures["of ratio"] = [middle] * 3
            figures["faster"] = figures["of ratio"][0] > ALLOWED
        found[name] = figures
    return found


def _ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, base, strict=True)]


def measured(kind: str, axis: str, rounds: int, with_memory: bool) -> dict[str, Any]:
    """All sizes of an axis: rows by size, and the slopes."""
    shapes = [tuple({**BASE, axis: size}.values()) for size in AXES[axis]]
    rows = {"s": [times(kind, shape, rounds) for shape in shapes]}
    slopes = {"s": growth(AXES[axis], rows["s"], FLOOR)}
    if with_memory:
        peaks = [memory.measured("minigrad", kind, shape, 3) for shape in shapes]
        rows["bytes"] = [
            {"minigrad numba": [peak], KEPT: [kept_bytes(kind, shape)]}
            for peak, shape in zip(peaks, shapes, strict=True)
        ]
        slopes["bytes"] = growth(AXES[axis], rows["bytes"], KEPT)
    return {"cell": kind, "axis": axis, "sizes": AXES[axis], "rows": rows, "slopes": slopes}


def show(found: dict[str, Any]) -> None:
    """Print the figures of an axis."""
    for unit, rows in found["rows"].items():
        said, scale = ("ms", 1e3) if unit == "s" else ("MB", 2**-20)
        print(
            f"\n{found['cell']}, {said} by {found['axis']}: " + ", ".join(map(str, found["sizes"]))
        )
        for name, figures in found["slopes"][unit].items():
            line = "".join(f"{scale * statistics.median(row[name]):>9.2f}" for row in rows)
            line = f"{name:26}{line}   slope {figures['slope']:.2f}"
            if "faster" in figures:
                low, middle, high = figures["of ratio"]
                line += f", of the ratio {middle:+.2f} ({low:+.2f} to {high:+.2f})"
                line += ": GROWS FASTER" if figures["faster"] else ""
            print(line, flush=True)


def main() -> None:
    """Measure in a process with one thread, and print what it found."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument(
        "--cells", nargs="+", choices=[*recurrent.GATES], default=["lstm", "gru", "rnn"]
    )
    options.add_argument("--axes", nargs="+", choices=[*AXES], default=[*AXES])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--no-memory", action="store_true", help="time only")
    options.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    with_memory = sys.platform == "linux" and not chosen.no_memory
    if chosen.worker:
        found = []
        for kind in chosen.cells:
            for axis in chosen.axes:
                found.append(measured(kind, axis, chosen.rounds, with_memory))
        print(json.dumps(found))
        return
    ((_, found),) = in_processes(__file__, [1])
    for each in found:
        show(each)
    if chosen.json:
        replace_file(chosen.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
