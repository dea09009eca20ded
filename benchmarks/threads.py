"""How long `minigrad train` takes where other programs want the cores, too.

    python benchmarks/threads.py [--busy 1] [--epochs 2] [--rounds 3] [--cells lstm] [--json FILE]

The command as it is, which trains with one BLAS thread, beside the same with as many as there are
cores, which is what BLAS takes if it is left alone. They take turns; `--busy` programs that do
nothing but count run meanwhile, after a round without them. Seconds are those that the run itself
reports, and medians of the rounds. The reviews are fetched the first time, see `minigrad train`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minigrad.utils.files import replace_file

SET_BY = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def seconds(cell: str, epochs: int, threads: int | None) -> float:
    """Of a training in a process of its own, with so many BLAS threads or the command's choice."""
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY}
    if threads is not None:
        environment |= dict.fromkeys(SET_BY, str(threads))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "minigrad", "train", "reviews", "--cell", cell]
        command += ["--epochs", str(epochs), "--out", f"{folder}/run"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        return float(json.loads(Path(folder, "run", "metrics.json").read_text())["seconds"])


@contextlib.contextmanager
def busy(programs: int) -> Iterator[None]:
    """Within, some programs count."""
    code = "while True: pass"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(programs)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def measured(cell: str, epochs: int, rounds: int, programs: int) -> dict[str, float]:
    """Median seconds with the command's own choice and with a thread per core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    times: dict[str, list[float]] = {"minigrad train": [], f"{cores} BLAS threads": []}
    with busy(programs):
        for _ in range(rounds):
            for name, threads in zip(times, (None, cores), strict=True):
                times[name].append(seconds(cell, epochs, threads))
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--busy", type=int, default=1, help="programs that count meanwhile")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", nargs="+", default=["lstm"], choices=["rnn", "lstm", "gru"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = []
    for cell in options.cells:
        for programs in sorted({0, options.busy}):
            times = measured(cell, options.epochs, options.rounds, programs)
            one, several = times.values()
            found.append({"cell": cell, "busy": programs, "seconds": times})
            said = ", ".join(f"{name} {value:.1f} s" for name, value in times.items())
            print(f"{cell}, {programs} busy: {said}; ratio {several / one:.1f}", flush=True)
    if options.json:
        replace_file(options.json, f"{json.dumps(found, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
