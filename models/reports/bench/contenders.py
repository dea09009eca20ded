"""Contenders of a benchmark: which can run here, and why the others can't; results compared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import minigrad as mg

from ..timing import CLOSE, Step, disagreement

__all__ = ["BACKENDS", "add_backends", "agreeing", "backends_here", "installed", "ready"]

BACKENDS = ("numpy", "numba")  # which run on any machine
_said: set[str] = set()


def add_backends(options: Any) -> None:
    """Give a script --backends."""
    options.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        default=list(BACKENDS),
        help="the backends that minigrad runs on [numpy and, if it is there, numba]",
    )


def backends_here(names: Iterable[str]) -> tuple[str, ...]:
    """Those that can start; of each other, a line on standard error says why it can't.

    Raises SystemExit if there is none.
    """
    found = []
    for name in dict.fromkeys(names):
        try:
            mg.get_backend(name)
        except mg.BackendError as error:
            _leave_out(f"minigrad {name}", str(error))
            continue
        found.append(name)
    if not found:
        raise SystemExit("no backend of minigrad that was asked for can run here")
    return tuple(found)


def installed(packages: Mapping[str, str]) -> list[str]:
    """The peers whose packages are there; of each other, a line on standard error says so."""
    found = []
    for name, package in packages.items():
        if find_spec(package) is None:
            _leave_out(name, f"{package} is not installed")
        else:
            found.append(name)
    return found


def ready(makers: Mapping[str, Callable[[], Step]]) -> tuple[dict[str, Step], dict[str, list[Any]]]:
    """The steps of all contenders that can run here, and what their first steps gave.

    A peer that is not installed, or fails, is left out: a line on standard error says why.
    An error of minigrad's own stops the benchmark.
    """
    steps: dict[str, Step] = {}
    results: dict[str, list[Any]] = {}
    for name, make in makers.items():
        try:
            step = make()
            result = step()
        except Exception as error:  # whatever a peer fails with
            if name.startswith("minigrad"):
                raise
            _leave_out(name, _reason(error))
            continue
        steps[name], results[name] = step, result
    return steps, results


def agreeing(
    makers: Mapping[str, Callable[[], Step]], peer: str = "PyTorch", unlike: Iterable[str] = ()
) -> dict[str, Step]:
    """The steps that are `ready`, whose results are asserted equal to the peer's.

    Without the peer, to the first one's. Those in `unlike` are not compared: they give no result.
    """
    steps, results = ready(makers)
    compared = {name: result for name, result in results.items() if name not in unlike}
    right = compared[peer] if peer in compared else next(iter(compared.values()))
    for name, result in compared.items():
        assert disagreement(result, right) <= CLOSE, f"{name}: its gradients are others"
    return steps


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"


def _leave_out(name: str, why: str) -> None:
    line = f"{name} is left out: {why.splitlines()[0]}"
    if line not in _said:  # once a process, whatever the number of cases
        _said.add(line)
        print(line, file=sys.stderr, flush=True)
