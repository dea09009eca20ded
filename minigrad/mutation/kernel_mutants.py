"""Generated kernels with one thing wrong, to see whether the checks notice.

The kernels that a backend writes for a scan are plain Python text: the wrong text is not compiled
but interpreted, slowly and with the same result. New memory is filled with NaN meanwhile, so that a
kernel that leaves something out can't find right numbers of an earlier run there. The kinds,
besides those of `slips.py`:

zero, sign, factor 1.001   what a loop over the features writes, times 0, -1, 1.001
last sample dropped        the loop over the rows of the batch ends one row early
last step dropped          the loop over time ends one step early
stale state                a state is read where the next one goes, or a value of step 0
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..compiler.fused_scan import ScanCall
from ..engine.registry import get_backend
from ..testing import checks
from ..testing.cases import Case
from .operators import Mutant
from .slips import Choice, compiled, in_text, shown, variants

__all__ = ["collecting", "of_kernels"]


class _Wrong:
    """Stands in for a kernel, and is not compiled."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function

    def ready(self, arguments: Any) -> Callable[..., None]:
        return self.function


def of_kernels(
    target: str, case: Case, backend: str, choose: Choice | None = None
) -> Iterator[Mutant]:
    """The mutants of every kernel that a case runs on a backend; none if it runs none.

    `choose` may say what goes wrong instead; see `slips.variants`.
    """
    owner = get_backend(backend)
    for number, (text, kernel) in enumerate(_kernels_of(case, owner).items()):
        place = ("forward kernel", "backward kernel")[number % 2]
        (tree,) = ast.parse(text).body
        assert isinstance(tree, ast.FunctionDef)
        scope = {**kernel.names(), "np": _NUMPY}
        for kind, slip, changed in variants(tree, choose or _in_kernel):
            wrong = _Wrong(compiled(changed, scope, []))
            yield Mutant(target, place, kind, _putting(owner, text, wrong), slip)


def _kernels_of(case: Case, owner: Any) -> dict[str, Any]:
    """By their text, the kernels of a case: of its forward pass and of its backward pass."""
    with collecting(owner, {}):
        checks.gradients(case, case.draw(), owner.name, order=1)
        return dict(owner.kernels)


@contextlib.contextmanager
def collecting(owner: Any, kernels: dict[str, Any]) -> Iterator[None]:
    """Within the block, plans are made again, and a backend takes kernels from `kernels` and adds
    new ones to it."""
    before = owner.kernels
    try:
        owner.kernels = kernels
        with ScanCall.plans.emptied():
            yield
    finally:
        owner.kernels = before


def _putting(
    owner: Any, text: str, wrong: _Wrong
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def apply() -> Iterator[None]:
        empty = owner.empty
        with collecting(owner, {**owner.kernels, text: wrong}):
            try:
                owner.empty = _nan
                yield
            finally:
                owner.empty = empty

    return apply


def _nan(shape: Any, dtype: Any = np.float64) -> np.ndarray:
    return np.full(shape, np.nan, dtype)


_NUMPY = SimpleNamespace(**{**vars(np), "empty": _nan})

# --- what goes wrong -----------------------------------------------------------------------------

_FUNCTIONS = {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus"}


def _in_kernel(node: ast.AST) -> Iterator[tuple[str, str, ast.AST]]:
    """The choice of what goes wrong in what a kernel writes, how far it runs, what it reads."""
    match node:
        case ast.Assign([ast.Subscript() as target], value):  # one number: r0[j] = ...
            for kind, factor in (("zero", 0.0), ("sign", -1.0), ("factor 1.001", 1.001)):
                scaled = ast.BinOp(value, ast.Mult(), ast.Constant(factor))
                yield kind, shown(node), ast.Assign([target], scaled)
            for kind, text, wrong in variants(node, lambda inner: in_text(inner, _FUNCTIONS)):
                yield "missing mask" if kind == "condition ignored" else kind, text, wrong
        case ast.For(ast.Name("n" | "step" as name), ast.Call(function, [*start, stop])):
            kind = "last sample dropped" if name == "n" else "last step dropped"
            less = ast.Call(function, [*start, ast.BinOp(stop, ast.Sub(), ast.Constant(1))], [])
            loop = ast.For(node.target, less, node.body, [])
            yield kind, f"{shown(node.iter)} -> {shown(less)}", loop
        case ast.Subscript(ast.Name(name), ast.Name(index)) if old := _old(name, index):
            stale: ast.AST = ast.Subscript(node.value, old, ast.Load())
            yield "stale state", f"{shown(node)} -> {shown(stale)}", stale
        case ast.Call(ast.Name("row"), [ast.Name(name), ast.Tuple([ast.Name(index), *rest])]) if (
            old := _old(name, index)
        ):
            at = ast.Tuple([old, *rest], ast.Load())
            stale = ast.Call(node.func, [node.args[0], at], [])
            yield "stale state", f"{shown(node)} -> {shown(stale)}", stale


def _old(name: str, index: str) -> ast.expr | None:
    """The wrong index for what a step reads: where the next state goes, or step 0."""
    if name.startswith("states") and index.startswith("old"):
        return ast.Name(index.replace("old", "new"), ast.Load())
    return ast.Constant(0) if index == "t" else None
