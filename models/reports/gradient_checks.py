"""The gradient checks of `minigrad gradcheck`, by name: all ops, layers and models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad as mg

__all__ = ["Checks", "layer_checks", "op_checks"]

Checks = Callable[[str, int, int], list[mg.Report]]  # of a backend, an order and a seed


def op_checks() -> dict[str, Checks]:
    """Checks of every op, composition and loss: a report per case that has a gradient."""
    from minigrad.testing.op_cases import OP_CASES

    return {name: _of_cases(cases) for name, cases in OP_CASES.items()}


def layer_checks() -> dict[str, Checks]:
    """Checks of every layer and model: one report each."""
    from .layer_cases import LAYERS

    return {name: _of_layer(name) for name in LAYERS}


def _of_cases(cases: Any) -> Checks:
    """All cases of a line of the op table that have a gradient."""

    def checks(backend: str, order: int, seed: int) -> list[mg.Report]:
        from minigrad.testing.checks import is_zero, slopes

        reports = []
        for case in cases:
            report = slopes(case, backend, order, seed)
            if report is None:
                continue
            if case.is_flat and is_zero(report):
                report.verdict = "PASS"  # which is what this case says of itself
            report.notes.insert(0, f"case {case}")
            reports.append(report)
        return reports

    return checks


def _of_layer(name: str) -> Checks:
    def checks(backend: str, order: int, seed: int) -> list[mg.Report]:
        from .layer_cases import layer

        module, inputs = layer(name)
        report = mg.gradcheck(
            module, inputs, order=order, backend=backend, seed=seed, raise_exception=False
        )
        return [report]

    return checks
