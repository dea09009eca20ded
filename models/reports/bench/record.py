"""The record of a run of benchmarks: what was measured, on what; written to a file and read again.

It names the processor, the versions and the commit. It doesn't name the machine, its user or any
path, so that it can be handed round.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "FLOORS",
    "PEERS",
    "UNITS",
    "Line",
    "Record",
    "RecordError",
    "cpu_model",
    "machine",
    "read_record",
]

FORMAT, VERSION = "minigrad bench", 1
UNITS = ("s", "bytes", "count")
FLOORS = ("products alone", "NumPy by hand")  # the bare work in NumPy

# By name as contenders have it: the package.
PEERS = {
    "NumPy": "numpy",
    "Numba": "numba",
    "PyTorch": "torch",
    "JAX": "jax",
    "tinygrad": "tinygrad",
    "HIPS autograd": "autograd",
    "MyGrad": "mygrad",
}


class RecordError(ValueError):
    """A file isn't a record of `minigrad bench`, or is damaged."""


@dataclass(frozen=True)
class Line:
    """One thing that was measured.

    Attributes
    ----------
    group, name : what, as "recurrent" and "lstm (20, 1, 16, 16)".
    threads : how many each contender had.
    unit : "s", "bytes" or "count"; of all, less is better.
    values : by contender, one for each round; minigrad's own contenders begin with "minigrad".
    floor : the contender that does the bare work in NumPy alone, if there is one.
    paired : whether contenders took turns, so that rounds can be compared one by one.
    axis, at : the size that grows from line to line of one name, as "T", and its value here.
    """

    group: str
    name: str
    threads: int
    unit: str
    values: dict[str, list[float]]
    floor: str | None = None
    paired: bool = True
    axis: str | None = None
    at: int | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What names the line: group, name, threads, unit, axis, at."""
        return self.group, self.name, self.threads, self.unit, self.axis, self.at

    @property
    def label(self) -> str:
        """In words."""
        size = "" if self.axis is None else f", {self.axis} = {self.at}"
        return f"{self.group}, {self.name}{size}"

    @property
    def own(self) -> list[str]:
        """The contenders that are minigrad's."""
        return [name for name in self.values if name.startswith("minigrad")]


@dataclass(frozen=True)
class Record:
    """A run: its lines, and what it ran on."""

    lines: list[Line]
    settings: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    commit: dict[str, Any] = field(default_factory=lambda: commit())

    def to_text(self) -> str:
        """The file's text."""
        head = {"format": FORMAT, "version": VERSION}
        return f"{json.dumps(head | asdict(self), indent=1, allow_nan=False)}\n"


def machine() -> dict[str, Any]:
    """The processor, how many cores this process may use, and the system.

    >>> sorted(machine())
    ['architecture', 'cores', 'cpu', 'system']
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_model(),
        "cores": cores,
        "architecture": platform.machine(),
        "system": platform.system(),
    }


def cpu_model() -> str:
    """The processor's name, or "unknown"."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", text, re.M)
    return found[1].strip() if found else platform.processor() or "unknown"


def versions() -> dict[str, str]:
    """Of Python, minigrad and all peers that are installed."""
    found = {"Python": platform.python_version()}
    for name, package in {"minigrad": "minigrad", **PEERS}.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """The commit of the checkout that runs, and whether files are edited; {} without git."""
    folder = Path(__file__).parent
    try:
        found = [
            subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=folder,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    if tracked.returncode:  # installed into some other repository
        return {}
    return {"id": found[0], "edited": bool(found[1])}


def read_record(path: Path) -> Record:
    """A record from its file; raises RecordError for what is none."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is no JSON, or is damaged: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RecordError(
            f"{path} is no record of minigrad bench; minigrad bench all --json makes one"
        )
    if found.get("version") != VERSION:
        raise RecordError(
            f"{path} has version {found.get('version')} of the format; this minigrad reads "
            f"version {VERSION}"
        )
    try:
        lines = [_checked(Line(**line)) for line in found["lines"]]
        kinds = {name: found[name] for name in ("settings", "machine", "versions", "commit")}
        _require(all(isinstance(value, dict) for value in kinds.values()), "a field is no object")
        _require(len({line.key for line in lines}) == len(lines), "a line stands there twice")
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path} is damaged: {error}") from error
    return Record(lines, **kinds)


def _checked(line: Line) -> Line:
    """The line, whose fields are what they should be."""
    where = f"line {line.name!r}"
    _require(
        isinstance(line.group, str) and isinstance(line.name, str), f"{where}: names are texts"
    )
    _require(type(line.threads) is int and line.threads > 0, f"{where}: threads {line.threads!r}")
    _require(line.unit in UNITS, f"{where}: unit {line.unit!r}, not {', '.join(UNITS)}")
    _require(type(line.paired) is bool, f"{where}: paired is true or false")
    grows = isinstance(line.axis, str) and type(line.at) is int and line.at > 0
    _require(
        grows or (line.axis is None and line.at is None),
        f"{where}: axis {line.axis!r} at {line.at!r}",
    )
    _require(isinstance(line.values, dict), f"{where}: values by contender")
    _require(line.floor is None or line.floor in line.values, f"{where}: floor {line.floor!r}")
    for name, values in line.values.items():
        _require(isinstance(values, list) and bool(values), f"{where}: no rounds of {name}")
        _require(all(map(_is_measure, values)), f"{where}: {name} has a value that is no measure")
    sizes = {len(values) for values in line.values.values()}
    _require(not line.paired or len(sizes) < 2, f"{where}: contenders have different rounds")
    return line


def _is_measure(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
