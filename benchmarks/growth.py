"""How the cost of a recurrent layer grows: time and memory of a training step, by T, N and H.

    python benchmarks/growth.py [--cells lstm gru rnn] [--axes T N H] [--backends numpy numba]

One size grows while the others stay: T from 10 to 10,000, N from 1 to 512, H from 16 to 1,024.
Beside each step stand the matrix products alone, by NumPy; they take turns. The slope is that of a
line through the larger half of the sizes in a log-log plot: 1 means twice the cost for twice the
size. A cell grows faster than its products if the ratio of the two has a slope above 0.05, with
all of its spread, which is that of the rounds. At the end stands whether one does.

Memory is the peak of `memory.py`, in a process for each size, beside the bytes of
what a step keeps if it keeps its outputs and one array per gate, and returns all gradients. All is
on one thread, and time is that of the CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import memory
import recurrent

from minigrad import models
from minigrad.models.reports.bench.contenders import add_backends, agreeing, backends_here
from minigrad.models.reports.bench.growth import KEPT, Growth, growth_of, verdict
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.bench.significance import Spread
from minigrad.models.reports.timing import (
    in_processes,
    process_clock,
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
FLOOR = recurrent.FLOOR
MEMORY_STEPS = 2


def times(
    kind: str, shape: Sequence[int], pace: Pace, backends: tuple[str, ...]
) -> dict[str, list[float]]:
    """Seconds of each round, of the layer on each backend and of its products alone."""
    enough = pace.case(f"{kind} {tuple(shape)}")
    x, g = random_batch(*shape)
    layer = getattr(models, kind.upper())(x.shape[2], g.shape[2]).astype("float32")
    given = (kind, {name: p.numpy() for name, p in layer.named_parameters()}, x, g)
    makers = {f"minigrad {on}": partial(recurrent.minigrad_step, on, *given) for on in backends}
    makers[FLOOR] = partial(recurrent.floor_step, *given)
    steps = agreeing(makers, unlike=[FLOOR])
    return times_in_turns(steps, pace.rounds, 0.0, process_clock(), enough)


def kept_bytes(kind: str, shape: Sequence[int]) -> int:
    """What a step keeps and returns: outputs and gates, the gradients of input and weights."""
    T, N, I, H = shape
    gates = recurrent.GATES[kind]
    return 4 * (T * N * ((1 + gates) * H + I) + gates * H * (I + H + 2))


def shapes_of(axis: str) -> list[tuple[int, ...]]:
    """The sizes of all shapes along an axis."""
    return [tuple({**BASE, axis: size}.values()) for size in AXES[axis]]


def by_time(kind: str, axis: str, pace: Pace, backends: tuple[str, ...]) -> dict[str, Any]:
    """Seconds of each round at all sizes of an axis."""
    rows = [times(kind, shape, pace, backends) for shape in shapes_of(axis)]
    return _series(kind, axis, "s", rows, FLOOR)


def by_memory(kind: str, axis: str, backends: tuple[str, ...]) -> dict[str, Any]:
    """Bytes at all sizes of an axis; two processes at a time, as nothing is timed."""
    shapes, names = shapes_of(axis), [f"minigrad {on}" for on in backends]

    def peak(job: tuple[tuple[int, ...], str]) -> int:
        return memory.measured(job[1], kind, job[0], MEMORY_STEPS)

    with ThreadPoolExecutor(2) as pool:
        found = iter([*pool.map(peak, product(shapes, names))])
    rows = [
        {name: [next(found)] for name in names} | {KEPT: [kept_bytes(kind, shape)]}
        for shape in shapes
    ]
    return _series(kind, axis, "bytes", rows, KEPT)


def _series(kind: str, axis: str, unit: str, rows: list[Any], base: str) -> dict[str, Any]:
    sizes = [*AXES[axis]]
    return {"cell": kind, "axis": axis, "unit": unit, "base": base, "sizes": sizes, "rows": rows}


def show(series: dict[str, Any]) -> dict[str, Growth]:
    """Print the figures of a cell along an axis, and return how they grow."""
    sizes, rows, unit = series["sizes"], series["rows"], series["unit"]
    found = growth_of(sizes, rows, series["base"])
    said, scale = ("ms", 1e3) if unit == "s" else ("MB", 2**-20)
    print(f"\n{series['cell']}, {said} by {series['axis']}: {', '.join(map(str, sizes))}")
    for name, growth in found.items():
        line = "".join(f"{scale * statistics.median(row[name]):>9.2f}" for row in rows)
        line += f"   slope {_said(growth.slope)}"
        if growth.of_ratio is not None:
            line += f", of the ratio {_said(growth.of_ratio)}"
        print(f"{name:26}{line}{': GROWS FASTER' * growth.faster}", flush=True)
    return found


def _said(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def main() -> None:
    """Measure in a process with one thread, and print what it found."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument(
        "--cells", nargs="+", choices=[*recurrent.GATES], default=["lstm", "gru", "rnn"]
    )
    options.add_argument("--axes", nargs="+", choices=[*AXES], default=[*AXES])
    options.add_argument("--no-memory", action="store_true", help="time only")
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    add_backends(options)
    add_options(options, 7)
    chosen = options.parse_args()
    if chosen.worker:
        backends = backends_here(chosen.backends)
        which = [*product(chosen.cells, chosen.axes)]
        found = []
        start = time.monotonic()
        if sys.platform == "linux" and not chosen.no_memory:
            for number, (kind, axis) in enumerate(which, 1):
                print(f"  memory: {number} of {len(which)}", file=sys.stderr, flush=True)
                found.append(by_memory(kind, axis, backends))
        if chosen.seconds is not None:  # what memory has left
            chosen.seconds = max(1.0, chosen.seconds - (time.monotonic() - start))
        pace = Pace.of(chosen, sum(len(AXES[axis]) for _, axis in which))
        found += [by_time(kind, axis, pace, backends) for kind, axis in which]
        pace.close()
        print(json.dumps(found))
        return
    ((_, found),) = in_processes(__file__, [1])
    grown = {(each["cell"], each["axis"], each["unit"]): show(each) for each in found}
    print(f"\n{verdict(grown)}")
    if chosen.json:
        replace_file(chosen.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
