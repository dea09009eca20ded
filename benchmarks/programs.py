"""Whole programs, as people write them in PyTorch: a training step there and in minigrad.

    python benchmarks/programs.py [--threads 1 2] [--programs names sine ...] [--backends numba]

The eight programs are in program_cases/, each written once, for PyTorch; lines `# minigrad: ...`
say what a line becomes. minigrad runs each on NumPy and on Numba. All begin with the same weights
and read the same data. First the losses of a few steps are asserted equal; then the contenders take
turns of the same steps, round by round. A ratio is PyTorch's time divided by minigrad's in the same
round, so larger is faster; medians count, and the quartiles show the spread. Each number of threads
gets a process of its own. With one thread, time is that of the CPU, so that other programs on the
machine count less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.models.reports.bench.contenders import add_backends, backends_here
from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.models.reports.timing import (
    process_clock,
    process_threads,
    quartiles,
    report_by_threads,
    times_in_turns,
)
from minigrad.utils.install import install_line

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "support"))
from ported_programs import Program, weights_of  # noqa: E402

PROGRAMS = {path.stem: path for path in sorted((HERE / "program_cases").glob("*.py"))}
COMPARED = 3  # so many losses are asserted equal
CLOSE = 1e-3  # what they may disagree by, relatively: programs train in float32

Train = Callable[[], float]


def contenders(program: Program, backends: tuple[str, ...]) -> dict[str, Train]:
    """By name what takes a training step and returns its loss, each from the same start."""
    import torch

    torch.set_num_threads(process_threads())
    torch.manual_seed(0)
    started: list[Callable[[Any], None]] = []
    train = program.in_torch(lambda model: started.append(weights_of(model)))["step"]
    found: dict[str, Train] = {"PyTorch": train}
    for backend in backends:
        with mg.use_backend(backend):
            step = program.ported(started[0])["step"]
        found[backend] = mg.use_backend(backend)(step)
    return found


def measure(program: Program, pace: Pace, backends: tuple[str, ...]) -> dict[str, Any]:
    """Seconds and ratios, each as lower quartile, median and upper quartile."""
    enough = pace.case(program.name)
    trains = contenders(program, backends)
    losses = {name: [train() for _ in range(COMPARED)] for name, train in trains.items()}
    for name, found in losses.items():
        np.testing.assert_allclose(
            found, losses["PyTorch"], rtol=CLOSE, err_msg=f"losses of {program.name} in {name}"
        )
    seconds = times_in_turns(trains, pace.rounds, clock=process_clock(), enough=enough)
    theirs = seconds["PyTorch"]
    ratios = {
        name: quartiles([a / b for a, b in zip(theirs, seconds[name], strict=True)])
        for name in backends
    }
    return {
        "seconds": {name: quartiles(s) for name, s in seconds.items()},
        "ratios": ratios,
        "rounds": seconds,
    }


def table(count: int, results: dict[str, dict[str, Any]]) -> None:
    """Print one process's figures."""
    backends = list(next(iter(results.values()))["ratios"])
    print(f"\n{count} thread{'s' * (count > 1)}: ms per step, and how many times as fast", end="")
    print(" as PyTorch (quartiles)")
    print(f"{'':18}" + "".join(f"{name:>10}" for name in ("PyTorch", *backends)), end="")
    print("".join(f"{name + ' x':>22}" for name in backends))
    for label, row in results.items():
        line = "".join(f"{1e3 * median:>10.2f}" for _, median, _ in row["seconds"].values())
        for low, median, high in row["ratios"].values():
            line += f"{median:>8.2f}" + f"({low:.2f} to {high:.2f})".rjust(14)
        print(f"{label:18}{line}")
    for name in backends:
        medians = [row["ratios"][name][1] for row in results.values()]
        mean = statistics.geometric_mean(medians)
        print(f"{name}: geometric mean {mean:.2f}, worst {min(medians):.2f}")


def main() -> None:
    """Start a process per number of threads, and print what they measured."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    add_backends(options)
    add_options(options, 15)
    chosen = options.parse_args()
    if chosen.worker:
        backends = backends_here(chosen.backends)
        pace = Pace.of(chosen, len(chosen.programs))
        results = {
            name: measure(Program(PROGRAMS[name]), pace, backends) for name in chosen.programs
        }
        pace.close()
        print(json.dumps(results))
        return
    if find_spec("torch") is None:
        sys.exit(f"benchmarks/programs.py compares with PyTorch; {install_line('oracle')}")
    report_by_threads(__file__, chosen.threads, table, chosen.json)


if __name__ == "__main__":
    main()
