"""Cells compared on a task: a table over seeds, and whether the difference is more than chance."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..training.task import Metric

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True)
class Row:
    """What the trainings of one cell came to, over their seeds.

    `mean`, `lowest` and `highest` are of the metric on held-out examples; `spread` is its standard
    deviation between seeds, None if there is one only. `step_seconds` and `seconds` are means: of a
    step, and of a whole training.
    """

    cell: str
    seeds: list[int]
    mean: float
    spread: float | None
    lowest: float
    highest: float
    parameters: int
    step_seconds: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Rows, the best first, and sentences that judge their differences; `print` shows a table."""

    task: str
    metric: Metric
    rows: list[Row]
    baselines: dict[str, float]
    judgements: list[str]
    failed: list[str]
    runs: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """All of it for `json.dumps`."""
        return {**asdict(self), "metric": self.metric.name, "better": self.metric.better}

    def __str__(self) -> str:
        heads = [
            "cell",
            self.metric.name,
            "spread",
            "from",
            "to",
            "parameters",
            "ms per step",
            "seconds",
        ]
        lines = [
            [
                row.cell,
                self.metric.print(row.mean),
                "-" if row.spread is None else _digits(self.metric, row.spread),
                self.metric.print(row.lowest),
                self.metric.print(row.highest),
                f"{row.parameters:,}",
                f"{1000 * row.step_seconds:.1f}",
                f"{row.seconds:.1f}",
            ]
            for row in self.rows
        ]
        table = [heads, *lines]
        table += [[name, self.metric.print(value)] for name, value in self.baselines.items()]
        widths = [max(len(line[i]) for line in table if i < len(line)) for i in range(len(heads))]
        printed = []
        for line in table:
            first, *others = line
            cells = [f"{text:>{width}}" for text, width in zip(others, widths[1:], strict=False)]
            printed.append("   ".join([f"{first:{widths[0]}}", *cells]))
        seeds = max(len(row.seeds) for row in self.rows)
        under = [f"means over {seeds} seeds; spread: standard deviation between them"]
        return "\n".join(
            [*printed, "", *(under if seeds > 1 else []), *self.judgements, *self.failed]
        )


def compare(
    metric: Metric, runs: Sequence[Mapping[str, Any]], failed: Iterable[str] = ()
) -> Comparison:
    """Compare the figures of runs of one task, as `run_of` gives them.

    `failed` are sentences on trainings that gave no figures. Raises ValueError if there is no run.

    >>> def run(cell, seed, accuracy):
    ...     return {
    ...         "task": "reviews",
    ...         "settings": {"cell": cell, "seed": seed},
    ...         "test": {"accuracy": accuracy},
    ...         "baselines": {"naive Bayes": 0.78},
    ...         "parameters": 9000,
    ...         "step_seconds": 0.004,
    ...         "seconds": 12.0,
    ...     }
    >>> figures = [("lstm", 0, 0.78), ("lstm", 1, 0.80), ("rnn", 0, 0.70), ("rnn", 1, 0.71)]
    >>> print(compare(Metric("accuracy", "higher"), [run(*each) for each in figures]))
    cell          accuracy   spread    from      to   parameters   ms per step   seconds
    lstm             0.790    0.014   0.780   0.800        9,000           4.0      12.0
    rnn              0.705    0.007   0.700   0.710        9,000           4.0      12.0
    naive Bayes      0.780
    <BLANKLINE>
    means over 2 seeds; spread: standard deviation between them
    lstm is better than rnn by 0.085: more than the spread of 0.011, and no seeds overlap.
    """
    if not runs:
        raise ValueError("there is no run to compare")
    by_cell: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_cell.setdefault(run["settings"]["cell"], []).append(run)
    rows = [_row(metric, cell, some) for cell, some in by_cell.items()]
    rows.sort(key=lambda row: row.mean, reverse=metric.better == "higher")
    judgements = [_judgement(metric, a, b) for a, b in itertools.pairwise(rows)]
    if all(row.spread is None for row in rows):
        judgements = ["One seed shows no spread, so no difference is judged: take --seeds 3."]
    baselines = dict(runs[0]["baselines"])
    better = [
        name for name, value in baselines.items() if not metric.is_better(rows[0].mean, than=value)
    ]
    if better:
        judgements.append(f"No cell is better than {' or '.join(better)}.")
    return Comparison(
        runs[0]["task"],
        metric,
        rows,
        baselines,
        judgements,
        [*failed],
        [dict(run) for run in runs],
    )


def _row(metric: Metric, cell: str, runs: Sequence[Mapping[str, Any]]) -> Row:
    values = [run["test"][metric.name] for run in runs]
    return Row(
        cell,
        [run["settings"]["seed"] for run in runs],
        statistics.fmean(values),
        statistics.stdev(values) if len(values) > 1 else None,
        min(values),
        max(values),
        runs[0]["parameters"],
        statistics.fmean(run["step_seconds"] for run in runs),
        statistics.fmean(run["seconds"] for run in runs),
    )


def _judgement(metric: Metric, a: Row, b: Row) -> str:
    """Whether a is better than b, the next one in the table, by more than the seeds differ."""
    if a.spread is None or b.spread is None:
        return f"{a.cell} and {b.cell}: a cell with one seed shows no spread."
    difference = abs(a.mean - b.mean)
    spread = math.sqrt((a.spread**2 + b.spread**2) / 2)
    apart = a.lowest > b.highest if metric.better == "higher" else a.highest < b.lowest
    seeds = "no seeds overlap" if apart else "some seeds overlap"
    by, of = _digits(metric, difference), _digits(metric, spread)
    if difference > spread:
        return (
            f"{a.cell} is better than {b.cell} by {by}: more than the spread of {of}, "
            f"{'and' if apart else 'but'} {seeds}."
        )
    return (
        f"{a.cell} and {b.cell} differ by {by}: no more than the spread of {of}, so these seeds "
        "don't show that one is better."
    )


def _digits(metric: Metric, value: float) -> str:
    """A difference, with as many digits as a value of the metric."""
    return metric.print(value)
