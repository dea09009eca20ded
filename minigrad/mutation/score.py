"""The mutation score: how many wrong derivatives the checks of the op table notice.

Every derivative is broken in many ways, one at a time (`operators.py` lists them), and the checks
of the test suite run again. A mutant that makes a check fail is killed. Survivors are compared
with the right derivative on random inputs, some of them with zeros and ties: a mutant that gives
the same gradients of both orders everywhere is equivalent; it doesn't count, and is listed apart.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from ..checkpoint import CHECKPOINT
from ..checkpoint import checkpoint as checkpointed
from ..engine.graph import OUTPUT, HandmadeOp, on_call, time_step
from ..engine.op import OPS, Op
from ..engine.registry import get_backend
from ..fusion import composed
from ..ops import tanh
from ..ops.convert import TRANSFER, transfer
from ..testing import checks
from ..testing.cases import Case, real
from ..testing.conventions import CONVENTIONS
from ..testing.op_cases import OP_CASES
from .kernel_mutants import of_kernels
from .operators import Mutant, in_time, of_handmade_op, of_op, through
from .report import MutationReport, Outcome

__all__ = ["Line", "MutationError", "MutationReport", "Outcome"]
__all__ += ["kernel_line", "mutation_score", "op_lines", "recurrent_line", "sampled"]

SMOOTH, ROUGH = 5, 3  # on how many random inputs, of two kinds, equivalent mutants are compared

CHECKS: dict[str, Callable[[Case, str], None]] = {
    "equality across backends": checks.agreement,
    "first order": partial(checks.derivatives, order=1),
    "second order": checks.derivatives,
    "hygiene": checks.hygiene,
}


@dataclass(frozen=True)
class Line:
    """What is broken, and the cases, run on a backend, on which that must be noticed."""

    name: str
    cases: Sequence[Case]
    mutants: Sequence[Mutant]
    backend: str = "numpy"


class MutationError(RuntimeError):
    """A check fails without any mutation, so that it proves nothing."""


# --- what is broken ------------------------------------------------------------------------------


def op_lines() -> list[Line]:
    """Every op of minigrad with derivatives, every node built by hand, every composition."""
    own = {name: op for name, op in OPS.items() if op.__module__.startswith("minigrad.")}
    lines = [Line(name, OP_CASES[name], list(of_op(op))) for name, op in own.items()]
    for op, cases in _HANDMADE.items():
        lines.append(Line(op.name, cases, list(of_handmade_op(op))))
    done = {line.name for line in lines}
    for name, cases in OP_CASES.items():
        if name not in done:
            inner = _ops_in(cases)
            mutants = [m for op, inputs in inner.items() for m in through(name, op, inputs)]
            lines.append(Line(name, cases, mutants))
    return [line for line in lines if line.mutants]


def recurrent_line(name: str, cases: Sequence[Case]) -> Line:
    """A recurrent layer; what is broken is each op of it, all the time or at single steps."""
    in_steps: set[Op] = set()
    inner = _ops_in(cases, in_steps)
    mutants = [in_time(name, op, inputs, op in in_steps) for op, inputs in inner.items()]
    return Line(name, cases, list(chain.from_iterable(mutants)))


def kernel_line(name: str, case: Case, backend: str) -> Line:
    """The kernels that a recurrent layer runs on a backend."""
    title = f"{name} on {backend}"
    return Line(title, [case], list(of_kernels(title, case, backend)), backend)


def _ops_in(cases: Iterable[Case], in_steps: set[Op] | None = None) -> dict[Op, set[str]]:
    """The ops that gradients flow through in the cases, and to which of their inputs.

    Those that run within a step of a scan are added to `in_steps`.
    """
    found: dict[Op, set[str]] = {}

    def observe(op: Any, node: Any, *_: Any) -> None:
        if node is not None and isinstance(op, Op):
            # Of any number of inputs there is but one name.
            reached = [name for name, edge in zip(op.inputs, node.edges, strict=False) if edge]
            found.setdefault(op, set()).update(reached)
            if in_steps is not None and time_step.get() is not None:
                in_steps.add(op)

    with composed(), on_call.within(observe):
        for case in cases:
            if case.slope != "none":
                checks.gradients(case, case.draw(), order=1)
    return found


_HANDMADE: dict[HandmadeOp, list[Case]] = {
    OUTPUT: OP_CASES["split"] + OP_CASES["unstack"],
    TRANSFER: [
        Case(lambda x: transfer(x, get_backend("numpy")), lambda x: x, (real(2, 3),)),
        *OP_CASES["transfer"],
    ],
    CHECKPOINT: [
        Case(
            lambda x, w: checkpointed(lambda x: (tanh(x * w), x), x),
            lambda x, w: (np.tanh(x * w), x),
            (real(2, 3), real(3)),
        )
    ],
}


# --- what becomes of a mutant --------------------------------------------------------------------


class _Judge:
    """Runs the checks of a line on its mutants."""

    def __init__(self, line: Line) -> None:
        self.cases = [case for case in line.cases if case.slope != "none"]
        self.backend = line.backend
        self.checks: dict[tuple[str, int], Callable[[], None]] = {
            (name, i): partial(check, case, line.backend)
            for name, check in CHECKS.items()
            for i, case in enumerate(self.cases)
            if line.backend != "numpy" or name != "equality across backends"
        }
        for i, convention in enumerate(CONVENTIONS.get(line.name, ())):
            self.checks["conventions", i] = convention.check
        self._right: dict[tuple[int, int], _Gradients] = {}
        self._sound: set[tuple[str, int]] = set()

    def __call__(self, mutant: Mutant) -> Outcome:
        # What a mutant of an op changes is not in loops that were written before.
        whole = composed() if self.backend == "numpy" else contextlib.nullcontext()
        with whole, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # wrong derivatives overflow and divide by zero
            for key in self._order(mutant):
                with mutant.apply():
                    error = self._failure(key)
                if error is not None:
                    self._vouch(key)
                    return Outcome(mutant, "killed", key[0], not isinstance(error, AssertionError))
            return self._of_survivor(mutant)

    def _order(self, mutant: Mutant) -> list[tuple[str, int]]:
        """All checks, those first that can be expected to notice."""
        changes = ((self._change(mutant, i, 0), i) for i in range(len(self.cases)))
        likely = [(name, i) for name, i in changes if name]
        return list(dict.fromkeys([*(key for key in likely if key in self.checks), *self.checks]))

    def _failure(self, key: tuple[str, int]) -> Exception | None:
        """Why a check fails."""
        try:
            self.checks[key]()
        except Exception as error:
            return error
        return None

    def _vouch(self, key: tuple[str, int]) -> None:
        """Make sure that a check passes without a mutation."""
        if key in self._sound:
            return
        error = self._failure(key)
        if error is not None:
            raise MutationError(f"a check fails without a mutation ({key[0]}): {error}") from error
        self._sound.add(key)

    def _change(self, mutant: Mutant, i: int, seed: int) -> str:
        """The check that can be expected to notice what a mutant does to a case, or nothing."""
        right = self._of_right(i, seed)
        with mutant.apply():
            return right.compare(_Gradients(self.cases[i], seed, self.backend))

    def _of_right(self, i: int, seed: int) -> _Gradients:
        if (i, seed) not in self._right:
            self._right[i, seed] = _Gradients(self.cases[i], seed, self.backend)
        return self._right[i, seed]

    def _of_survivor(self, mutant: Mutant) -> Outcome:
        if mutant.reached is not None and not mutant.reached:
            return Outcome(mutant, "survived", why="no case gets there")
        for seed in (*range(SMOOTH), *range(-ROUGH, 0)):
            for i, case in enumerate(self.cases):
                change = self._change(mutant, i, seed)
                if change:
                    where = f"{case} with {'zeros and ties' if seed < 0 else 'other inputs'}"
                    why = f"unnoticed on {where}, where it is wrong ({change})"
                    return Outcome(mutant, "survived", why=why)
        return Outcome(mutant, "equivalent", why=self._why(mutant))

    def _why(self, mutant: Mutant) -> str:
        """Why a mutant gives the same gradients as the right derivative on all inputs."""
        rights = [self._of_right(i, seed) for i in range(len(self.cases)) for seed in range(SMOOTH)]
        if not any(np.any(g) for right in rights for g in right.first if g is not None):
            return "the gradient is zero everywhere"
        if mutant.kind.startswith("captured"):
            return "the derivative is piecewise constant in this array"
        return "the same gradients of both orders on all random inputs"


class _Gradients:
    """The gradients of a case at an input, or the error that they end with.

    Those of both orders, and those of the first if there was another call before.
    """

    def __init__(self, case: Case, seed: int, backend: str) -> None:
        arrays = _drawn(case, seed)
        count = sum(x.dtype.kind == "f" for x in arrays)
        self.error = False
        try:
            found = checks.gradients(case, arrays, backend)
            self.later = checks.gradients(case, arrays, backend, order=1, between=case.draw(1))
        except Exception:
            self.error, found = True, []
        self.first, self.second = found[:count], found[count:]

    def compare(self, other: _Gradients) -> str:
        """The check that can be expected to notice the difference, or nothing."""
        if self.error:
            return ""  # nothing to compare with: the case is not defined there
        if other.error or not _same(self.first, other.first):
            return "first order"
        if not _same(self.second, other.second):
            return "second order"
        return "" if _same(self.later, other.later) else "hygiene"


def _drawn(case: Case, seed: int) -> list[np.ndarray]:
    """Random inputs; for negative seeds without decimals, so that there are zeros and ties."""
    arrays = case.draw(abs(seed))
    return [np.trunc(x) if seed < 0 and x.dtype.kind == "f" else x for x in arrays]


def _same(right: list[Any], found: list[Any]) -> bool:
    """Whether arrays are equal but for rounding, wherever the right ones are finite."""
    if len(right) != len(found):
        return False
    for a, b in zip(right, found, strict=True):
        if a is None or b is None:
            # No path and a gradient of zeros are the same to a user who sums gradients up.
            if np.any(a if b is None else b):
                return False
            continue
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        finite = np.isfinite(a)
        # Inputs are of the size of 1: far below it, gradients are what rounding leaves.
        size = np.abs(a[finite]).max(initial=1e-5)
        if not np.allclose(b[finite], a[finite], rtol=1e-9, atol=1e-10 * size):
            return False
    return True


# --- the score -----------------------------------------------------------------------------------


def mutation_score(
    lines: Iterable[Line], progress: Callable[[Outcome], None] = lambda outcome: None
) -> MutationReport:
    """Break what the lines say, one mutant at a time, and see which of them the checks notice.

    Parameters
    ----------
    lines : from `op_lines()` and `recurrent_line(...)`, or a part of them from `sampled`.
    progress : called with every outcome.

    Raises
    ------
    MutationError : a check fails without any mutation.

    Examples
    --------
    >>> from minigrad.mutation.score import mutation_score, op_lines, sampled
    >>> lines = [line for line in op_lines() if line.name == "exp"]
    >>> mutation_score(sampled(lines, 5)).share()
    1.0
    """
    start = time.perf_counter()
    report = MutationReport()
    for line in lines:
        judge = _Judge(line)
        for mutant in line.mutants:
            outcome = judge(mutant)
            report.outcomes.append(outcome)
            progress(outcome)
    report.seconds = time.perf_counter() - start
    return report


def sampled(lines: Sequence[Line], count: int, seed: int = 0) -> list[Line]:
    """The lines with `count` of their mutants in all, drawn at random, as evenly as it goes.

    What is drawn of a line doesn't depend on which others there are.
    """
    ranked = []
    for i, line in enumerate(lines):
        rng = np.random.default_rng([seed, *line.name.encode()])
        order = enumerate(rng.permutation(len(line.mutants)))
        ranked += [(rank, rng.random(), i, k) for rank, k in order]
    chosen = {(i, k) for _, _, i, k in sorted(ranked)[:count]}
    picked = [
        replace(line, mutants=[m for k, m in enumerate(line.mutants) if (i, k) in chosen])
        for i, line in enumerate(lines)
    ]
    return [line for line in picked if line.mutants]
