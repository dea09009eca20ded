"""The groups of benchmarks: the script that measures each, and what its figures mean.

The scripts lie in benchmarks/ of a checkout, and are not installed. Each is run as a program, in a
process whose number of threads is set before it imports anything, and writes its figures to a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minigrad.utils.install import install_line

from ..timing import pinned
from .record import FLOORS, Line

__all__ = ["GROUPS", "Asked", "BenchmarkError", "Group", "run_group", "scripts_folder"]
__all__ += ["whole_run"]


class BenchmarkError(RuntimeError):
    """A benchmark can't run here, or failed."""


# --- from the scripts' figures to lines ----------------------------------------------------------

# What the scripts call a contender, where a record calls it otherwise.
_NAMES = {
    "numpy": "minigrad numpy",
    "numba": "minigrad numba",
}

Lines = Iterator[Line]


def _line(group: str, name: str, threads: int, rounds: dict[str, list[float]]) -> Line:
    values = {_NAMES.get(name, name): found for name, found in rounds.items()}
    floor = next((name for name in FLOORS if name in values), None)
    return Line(group, name, threads, "s", values, floor)


def _ops(found: Any) -> Lines:
    for row in found:
        rounds = {row["peer"] if name == "peer" else name: v for name, v in row["rounds"].items()}
        yield _line("ops", row["name"], 1, rounds)


def _functions(found: Any) -> Lines:
    for name, rounds in found.items():
        yield _line("functions", name, 1, rounds)


def _eager(found: Any) -> Lines:
    yield _line("eager", "an op of 600", 1, found)


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
    seeds = {name: _by_seed(outcomes) for name, outcomes in found.items()}
    for label, is_wrong in wrong:
        counts = {
            name: [float(sum(map(is_wrong, outcomes))) for outcomes in rounds]
            for name, rounds in seeds.items()
        }
        yield Line("gradcheck", label, 1, "count", counts)
    seconds = {
        name: [statistics.median(o["seconds"] for o in outcomes) for outcomes in rounds]
        for name, rounds in seeds.items()
    }
    yield Line("gradcheck", "a check", 1, "s", seconds)


def _by_seed(outcomes: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    seeds = sorted({o["seed"] for o in outcomes})
    return [[o for o in outcomes if o["seed"] == seed] for seed in seeds]


def _growth(found: Any) -> Lines:
    for series in found:
        unit = series["unit"]
        for at, values in zip(series["sizes"], series["rows"], strict=True):
            more: dict[str, Any] = {"axis": series["axis"], "at": at, "paired": unit == "s"}
            yield Line("growth", series["cell"], 1, unit, values, series["base"], **more)


# --- the groups ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """A benchmark: its script in benchmarks/, and how its figures become lines.

    Attributes
    ----------
    says : what it measures, for --help.
    seconds : how long it takes of a whole run.
    rounds : the option that says how many rounds.
    threads, backends : whether it has --threads and --backends.
    options : what the script is called with, too; `quick` what it is in a short trial.
    needs : the packages without which it can't run.
    """

    script: str
    says: str
    lines: Callable[[Any], Lines]
    seconds: int = 30
    rounds: str = "--rounds"
    threads: bool = False
    backends: bool = True
    options: Sequence[str] = ()
    quick: Sequence[str] = ()
    needs: Sequence[str] = ()


GROUPS = {
    "ops": Group(
        "small.py",
        "Small losses, cells, optimisers and ops, in a loop.",
        _ops,
        seconds=90,
        quick=("--rows", "loss"),
        needs=("torch",),
    ),
    "functions": Group(
        "fused_ops.py",
        "Functions of rows, and updates of optimisers.",
        _functions,
        seconds=60,
    ),
    "eager": Group("eager.py", "What a small op costs.", _eager, seconds=20, backends=False),
    "recurrent": Group(
        "recurrent.py",
        "A training step of one recurrent layer.",
        partial(_by_threads, "recurrent"),
        seconds=270,
        threads=True,
        quick=("--shapes", "0"),
    ),
    "programs": Group(
        "programs.py",
        "A training step of eight whole programs.",
        partial(_with_more, "programs"),
        seconds=220,
        threads=True,
        quick=("--programs", "names", "sine"),
        needs=("torch",),
    ),
    "peak-memory": Group(
        "memory.py",
        "How much memory a training step of a recurrent layer takes.",
        _peak_memory,
        seconds=40,
        options=("--cells", "lstm", "gru", "rnn"),
        quick=("--cells", "rnn", "--shape", "20", "8", "16", "32"),
    ),
    "first-use": Group(
        "first_use.py",
        "What a first use waits for.",
        _first_use,
        seconds=90,
        backends=False,
        quick=("--cells", "RNN"),
        needs=("numba",),
    ),
    "gradcheck": Group(
        "gradcheck.py",
        "Gradient checkers: cost, bugs missed, false alarms.",
        _gradcheck,
        seconds=90,
        rounds="--seeds",
        backends=False,
    ),
    "products": Group(
        "products.py",
        "Matrix products and their gradients.",
        partial(_with_more, "products"),
        seconds=60,
        threads=True,
        quick=("--sizes", "0", "1", "--layers"),
    ),
    "growth": Group(
        "growth.py",
        "How time and memory of a recurrent layer grow with T, N and H.",
        _growth,
        seconds=230,
        quick=("--cells", "rnn", "--axes", "N", "--no-memory"),
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


@dataclass(frozen=True)
class Asked:
    """What a run was asked for.

    Attributes
    ----------
    threads : how many each contender has, one after the other.
    rounds : exactly so many; None: as many as fit.
    backends : of minigrad; None: the script's own choice.
    quick : a few of the cases only.
    """

    threads: tuple[int, ...] = (1, 2)
    rounds: int | None = None
    backends: tuple[str, ...] | None = None
    quick: bool = False


MOST_ROUNDS = 101
GRACE = 300  # seconds that a script may take on top of three times its time


def whole_run(names: Iterable[str]) -> float:
    """How many seconds a run of these groups takes."""
    return float(sum(GROUPS[name].seconds for name in names))


def run_group(name: str, asked: Asked, seconds: float | None = None) -> list[Line]:
    """Run a group's script, which prints its own table, and return its lines.

    It takes about so many seconds, or what its fewest rounds take. Raises BenchmarkError where
    something that it needs is missing, where it fails, or takes three times as long and more.
    """
    group, folder = GROUPS[name], scripts_folder()
    missing = [package for package in group.needs if find_spec(package) is None]
    if missing:
        line = install_line(*("peers" if package == "torch" else package for package in missing))
        raise BenchmarkError(f"{name} needs {' and '.join(missing)}; {line}")
    options = [*group.options, *(group.quick if asked.quick else ())]
    if asked.rounds is not None:
        options += [group.rounds, str(asked.rounds)]
    elif seconds is not None:
        options += [group.rounds, str(MOST_ROUNDS), "--seconds", f"{seconds:.1f}"]
    if group.threads:
        options += ["--threads", *map(str, asked.threads)]
    if group.backends and asked.backends is not None:
        options += ["--backends", *asked.backends]
    limit = None if seconds is None or asked.rounds is not None else 3 * seconds + GRACE
    with tempfile.TemporaryDirectory() as place:
        found = Path(place, "found.json")
        command = [sys.executable, str(folder / group.script), *options, "--json", str(found)]
        code = _run(command, f"benchmarks/{group.script}", limit)
        if code or not found.exists():
            raise BenchmarkError(f"benchmarks/{group.script} failed, with exit code {code}")
        return list(group.lines(json.loads(found.read_bytes())))


def _run(command: list[str], script: str, limit: float | None) -> int:
    """The exit code of a program; all its processes end if this one is interrupted."""
    with subprocess.Popen(command, env=pinned(1), start_new_session=True) as program:
        try:
            return program.wait(limit)
        except subprocess.TimeoutExpired as error:
            _end(program)
            raise BenchmarkError(f"{script} was ended: it took more than {limit:.0f} s") from error
        except BaseException:
            _end(program)
            raise


def _end(program: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(program.pid, signal.SIGKILL)
        else:
            program.kill()
