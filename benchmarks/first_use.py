"""What one waits for: `import minigrad`, and a cell's first gradients on NumPy and on Numba.

    python benchmarks/first_use.py [--cells LSTM GRU ...] [--rounds 5] [--json FILE]

Each figure is the median of several processes. `import minigrad` is asserted to load neither numba
nor cupy. A first use begins when minigrad and its layers are imported and ends with the gradients
of a small training step. On the Numba backend it includes the import of Numba; cold means an empty
cache folder for kernels (MINIGRAD_CACHE), warm one that another process has filled. On NumPy there
is no cache, and it includes the import of minigrad's compiler.

All processes find Python's modules as bytecode, as after an installation: a first one, which isn't
measured, writes them to a folder for this run, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from minigrad.models.reports.bench.pace import Pace, add_options
from minigrad.utils.files import replace_file

TARGETS = {"import": 0.2, "numpy": 0.2, "cold": 3.0, "warm": 0.5}  # seconds

IMPORT = """
import sys, time
start = time.perf_counter()
import minigrad
seconds = time.perf_counter() - start
heavy = {"numba", "cupy"} & set(sys.modules)
assert not heavy, f"import minigrad loads {heavy}"
print(seconds)
"""

FIRST_USE = """
import sys, time
import minigrad as mg
from minigrad import models
from minigrad.models import zoo
start = time.perf_counter()
name, backend = sys.argv[1:]
layer = getattr(models, name, None) or getattr(zoo, name)
with mg.use_backend(backend):
    y, _ = layer(16, 32)(mg.ones((20, 8, 16), requires_grad=True))
    y.sum().backward()
print(time.perf_counter() - start)
"""


def seconds(program: str, *arguments: str, bytecode: Path, cache: Path | None = None) -> float:
    """What a program measures, in a process of its own that has its modules' bytecode there."""
    environment = os.environ | {"MINIGRAD_FUSED": "require", "PYTHONPATH": ""}
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("MINIGRAD_BACKEND", None)
    if cache is not None:
        environment["MINIGRAD_CACHE"] = str(cache)
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)


def first_use(cell: str, bytecode: Path) -> dict[str, float]:
    """Seconds until a cell's first gradients: on NumPy; on Numba with a cold, then a warm cache."""
    found = {"numpy": seconds(FIRST_USE, cell, "numpy", bytecode=bytecode)}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        found["cold"] = seconds(FIRST_USE, cell, "numba", bytecode=bytecode, cache=cache)
        assert list(cache.glob("*.py")), "no kernel was written"
        found["warm"] = seconds(FIRST_USE, cell, "numba", bytecode=bytecode, cache=cache)
    return found


def main() -> None:
    """Measure all, round by round, and print it beside the targets."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--cells", nargs="+", default=["LSTM", "GRU", "RNN", "MGU"])
    add_options(options, 5, fewest=1)
    chosen = options.parse_args()
    pace = Pace.of(chosen)
    alone: list[float] = []
    figures: dict[str, dict[str, list[float]]] = {
        cell: {"numpy": [], "cold": [], "warm": []} for cell in chosen.cells
    }
    with tempfile.TemporaryDirectory() as folder:
        bytecode = Path(folder)
        first_use(chosen.cells[0], bytecode)
        for number in range(chosen.rounds):
            if number and not pace.left:
                break
            alone.append(seconds(IMPORT, bytecode=bytecode))
            for cell, times in figures.items():
                pace.case(cell)
                for kind, found in first_use(cell, bytecode).items():
                    times[kind].append(found)
    pace.close()
    print(f"import minigrad: {statistics.median(alone):.3f} s (target {TARGETS['import']})")
    for cell, times in figures.items():
        medians = {kind: statistics.median(rounds) for kind, rounds in times.items()}
        said = [f"{kind} {found:.2f} s (target {TARGETS[kind]})" for kind, found in medians.items()]
        print(f"first gradients of {cell}: {', '.join(said)}")
    if chosen.json:
        text = json.dumps({"import": alone, "first use": figures}, indent=1)
        replace_file(chosen.json, f"{text}\n".encode())


if __name__ == "__main__":
    main()
