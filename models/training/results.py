"""What came of a training: a run to be saved, with all its figures."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import minigrad as mg
from minigrad.nn import Module

from .loop import evaluate
from .run_folder import Run
from .state import Training
from .task import Metric

__all__ = ["parameters_of", "run_of", "summary"]


def run_of(training: Training) -> Run:
    """The run of a training that is over, or ended early after one epoch or more.

    The test examples are used here, once, with the weights of the best epoch. The figures:

    | name | what |
    |---|---|
    | minigrad, backend, task | the release, and what it ran on |
    | settings | those of the task |
    | parameters | how many numbers the model has |
    | finished | whether all epochs are done, or no more were needed |
    | best_epoch, history | from 1, and the figures of each epoch |
    | test, baselines | figures on the test examples, and the metric of simple rivals |
    | seconds, step_seconds | of the training in all; of one step, the median of the epochs' |

    >>> from minigrad.models.training.example import FirstNumber
    >>> from minigrad.models.training.loop import fit
    >>> run = run_of(fit(FirstNumber()))
    >>> run.metrics["task"], run.metrics["parameters"], run.metrics["finished"]
    ('first-number', 929, True)
    """
    task = training.task
    metrics = {
        "minigrad": mg.__version__,
        "backend": mg.current_backend().name,
        "task": task.name,
        "settings": dataclasses.asdict(task.settings),
        "parameters": parameters_of(training.model),
        "finished": training.finished,
        "best_epoch": training.best.epoch,
        "test": _plain(evaluate(task, training.model, "test")),
        "baselines": _plain(task.baselines()),
        "seconds": training.seconds,
        # Not the mean: kernels are compiled in the first epoch.
        "step_seconds": statistics.median_low(r.step_seconds for r in training.history),
        "history": [dataclasses.asdict(record) for record in training.history],
    }
    return Run(task, training.model, metrics)


def parameters_of(model: Module) -> int:
    """How many numbers a model learns."""
    return sum(p.size for p in model.parameters())


def summary(metric: Metric, figures: Mapping[str, Any]) -> str:
    """The figures of a run for a person, a line each.

    >>> from minigrad.models.training.example import FirstNumber
    >>> from minigrad.models.training.loop import fit
    >>> print(summary(FirstNumber.metric, run_of(fit(FirstNumber())).metrics))
    held-out error     0.0... (always 0.5: 0.289)
    best epoch         3 of 3
    parameters         929
    time               ... on backend ...
    """
    rivals = "; ".join(
        f"{name}: {metric.print(value)}" for name, value in figures["baselines"].items()
    )
    rivals = f" ({rivals})" if rivals else ""
    others = [
        f"{f'held-out {name}':18} {value:.3f}"
        for name, value in figures["test"].items()
        if name not in ("loss", metric.name)
    ]
    return "\n".join(
        [
            f"{f'held-out {metric.name}':18} {metric.print(figures['test'][metric.name])}{rivals}",
            *others,
            f"best epoch         {figures['best_epoch']} of {len(figures['history'])}",
            f"parameters         {figures['parameters']:,}",
            f"time               {figures['seconds']:.0f} s on backend {figures['backend']}",
        ]
    )


def _plain(figures: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}
