"""The groups of benchmarks: the script that measures each, and what its figures mean.

The scripts lie in benchmarks/ of a checkout, and are not installed. Each is run as a program, in a
process whose number of threads is set before it imports anything, and writes its figures to a file.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minigrad.utils.install import install_line

from ..timing import pinned
from .record import Line

__all__ = ["GROUPS", "BenchmarkError", "Group", "run_group", "scripts_folder"]


class BenchmarkError(RuntimeError):
    """A benchmark can't run here, or failed."""


# --- from the scripts' figures to lines ----------------------------------------------------------

# What the scripts call a contender, where a record calls it otherwise.
_NAMES = {
    **{"numpy": "minigrad numpy", "numba": "minigrad numba"},
    **{"fused": "minigrad numba", "composed": "minigrad numpy"},
    "floor": "products alone",
}
_FLOORS = ("products alone", "NumPy by hand")

Lines = Iterator[Line]


def _line(group: str, name: str, threads: int, rounds: dict[str, list[float]]) -> Line:
    values = {_NAMES.get(name, name): found for name, found in rounds.items()}
    floor = next((name for name in _FLOORS if name in values), None)
    return Line(group, name, threads, "s", values, floor)


def _ops(found: Any) -> Lines:
    for row in found:
        yield _line("ops", row["name"], 1, row["rounds"])


def _functions(found: Any) -> Lines:
    for name, rounds in found.items():
        yield _line("functions", name, 1, rounds)


def _eager(found: Any) -> Lines:
    yield _line("eager", "an op of 600", 1, found["seconds_per_op"])


def _by_threads(group: str, found: Any) -> Lines:
    for threads, rows in found.items():
        for name, rounds in rows.items():
            yield _line(group, name, int(threads), rounds)


def _with_more(group: str, found: Any) -> Lines:
    """As `_by_threads`, where there is more than rounds."""
    for threads, rows in found.items():
        for name, row in rows.items():
            yield _line(group, name, int(threads), row["rounds"])


def _peak_memory(found: Any) -> Lines:
    for cell, rounds in found.items():
        yield Line("peak-memory", cell, 1, "bytes", rounds, paired=False)


def _first_use(found: Any) -> Lines:
    yield Line("first-use", "import", 1, "s", {"minigrad": found["import"]}, paired=False)
    for cell, times in found["first use"].items():
        for kind, rounds in times.items():
            yield Line("first-use", f"{cell}, {kind}", 1, "s", {"minigrad": rounds}, paired=False)


def _gradcheck(found: Any) -> Lines:
    wrong = (
        ("bugs missed", lambda o: o["kind"] == "bug" and o["verdict"] != "refused"),
        ("right, refused", lambda o: o["kind"] == "right" and o["verdict"] == "refused"),
        ("right but hard, refused", lambda o: o["kind"] == "hard" and o["verdict"] == "refused"),
    )
    for name, is_wrong in wrong:
        counts = {peer: [sum(map(is_wrong, outcomes))] for peer, outcomes in found.items()}
        yield Line("gradcheck", name, 1, "count", counts, paired=False)
    seconds = {peer: _by_seed(outcomes) for peer, outcomes in found.items()}
    yield Line("gradcheck", "a check", 1, "s", seconds, paired=False)


def _by_seed(outcomes: list[dict[str, Any]]) -> list[float]:
    """The median seconds of a check, for each seed."""
    seeds = sorted({o["seed"] for o in outcomes})
    return [statistics.median(o["seconds"] for o in outcomes if o["seed"] == s) for s in seeds]


def _growth(found: Any) -> Lines:
    for series in found:
        axis, floors = series["axis"], {"s": "products alone", "bytes": None}
        for unit, rows in series["rows"].items():
            for at, values in zip(series["sizes"], rows, strict=True):
                more: dict[str, Any] = {"axis": axis, "at": at, "paired": unit == "s"}
                yield Line("growth", series["cell"], 1, unit, values, floors[unit], **more)


# --- the groups ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """A benchmark: its script in benchmarks/, and how its figures become lines.

    Attributes
    ----------
    says : what it measures, for --help.
    rounds : the option that says how many rounds; `fewest` is the least that it may be.
    threads : whether it has --threads.
    quick : options of a short trial.
    needs : the packages without which it can't run.
    """

    script: str
    says: str
    lines: Callable[[Any], Lines]
    rounds: str = "--rounds"
    threads: bool = False
    quick: Sequence[str] = ()
    needs: Sequence[str] = ()


GROUPS = {
    "ops": Group(
        "small.py",
        "Small losses, cells, optimisers and ops, in a loop.",
        _ops,
        quick=("--rows", "loss"),
        needs=("torch",),
    ),
    "functions": Group("fused_ops.py", "Functions of rows, and updates of optimisers.", _functions),
    "eager": Group("eager.py", "What a small op costs.", _eager),
    "recurrent": Group(
        "recurrent.py",
        "A training step of one recurrent layer.",
        partial(_by_threads, "recurrent"),
        threads=True,
        quick=("--shapes", "0"),
        needs=("numba",),
    ),
    "programs": Group(
        "programs.py",
        "A training step of eight whole programs.",
        partial(_with_more, "programs"),
        threads=True,
        quick=("--programs", "names", "sine"),
        needs=("torch", "numba"),
    ),
    "peak-memory": Group(
        "memory.py",
        "How much memory a training step of a recurrent layer takes.",
        _peak_memory,
        quick=("--cells", "rnn", "--shape", "20", "8", "16", "32"),
        needs=("numba",),
    ),
    "first-use": Group(
        "first_use.py",
        "What a first use waits for.",
        _first_use,
        quick=("--cells", "RNN"),
        needs=("numba",),
    ),
    "gradcheck": Group(
        "gradcheck.py", "Gradient checkers: cost, bugs missed, false alarms.", _gradcheck, "--seeds"
    ),
    "products": Group(
        "products.py",
        "Matrix products and their gradients.",
        partial(_with_more, "products"),
        threads=True,
        quick=("--sizes", "0", "1"),
    ),
    "growth": Group(
        "growth.py",
        "How time and memory of a recurrent layer grow with T, N and H.",
        _growth,
        quick=("--cells", "rnn", "--axes", "N", "--no-memory"),
        needs=("numba",),
    ),
}


def scripts_folder() -> Path:
    """benchmarks/ of the checkout that runs; raises BenchmarkError if there is none."""
    folder = Path(__file__).resolve().parents[3] / "benchmarks"
    if not (folder / "recurrent.py").is_file():
        raise BenchmarkError(
            "the benchmarks lie in the folder benchmarks/ of a checkout, which isn't installed "
            'with minigrad; get the checkout, and there: pip install -e ".[learn,numba]"'
        )
    return folder


def run_group(
    name: str, threads: Sequence[int], rounds: int | None = None, *, quick: bool = False
) -> list[Line]:
    """Run a group's script, which prints its own table, and return its lines.

    `rounds` is by default the script's own. Raises BenchmarkError where something that it needs is
    missing, or it fails.
    """
    group, folder = GROUPS[name], scripts_folder()
    missing = [package for package in group.needs if find_spec(package) is None]
    if missing:
        line = install_line(*("peers" if package == "torch" else package for package in missing))
        raise BenchmarkError(f"{name} needs {' and '.join(missing)}; {line}")
    options = list(group.quick if quick else ())
    if rounds is not None:
        options += [group.rounds, str(rounds)]
    if group.threads:
        options += ["--threads", *map(str, threads)]
    with tempfile.TemporaryDirectory() as place:
        found = Path(place, "found.json")
        command = [sys.executable, str(folder / group.script), *options, "--json", str(found)]
        done = subprocess.run(command, env=pinned(1))
        if done.returncode or not found.exists():
            raise BenchmarkError(
                f"benchmarks/{group.script} failed, with exit code {done.returncode}"
            )
        return list(group.lines(json.loads(found.read_bytes())))
