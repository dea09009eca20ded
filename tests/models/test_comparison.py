"""Cells compared: the best first, and no difference is called real that the seeds don't show."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.reports.comparison import compare
from minigrad.models.training.task import Metric

METRICS = [Metric("accuracy", "higher"), Metric("error", "lower", "{:.2f}")]


def runs(metric, figures, **more):
    return [
        {
            "task": "odd",
            "settings": {"cell": cell, "seed": seed},
            "test": {metric.name: value},
            "baselines": {"always 3": 0.25},
            "parameters": 1234,
            "step_seconds": 0.002,
            "seconds": 3.0,
            **more,
        }
        for cell, values in figures.items()
        for seed, value in enumerate(values)
    ]


values = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=5)


@given(
    metric=st.sampled_from(METRICS),
    figures=st.dictionaries(st.sampled_from(["rnn", "lstm", "gru"]), values, min_size=1),
)
def test_rows_and_judgements(metric, figures):
    found = compare(metric, runs(metric, figures))
    means = [row.mean for row in found.rows]
    assert means == sorted(means, reverse=metric.better == "higher")
    for row in found.rows:
        of = figures[row.cell]
        assert (row.mean, row.lowest, row.highest) == (statistics.fmean(of), min(of), max(of))
        assert row.spread == (statistics.stdev(of) if len(of) > 1 else None)
        assert row.seeds == list(range(len(of)))
    is_beaten = metric.is_better(means[0], than=0.25)
    assert ("No cell is better than always 3." in found.judgements) != is_beaten
    judgements = [said for said in found.judgements if not said.startswith("No cell")]
    if all(len(of) == 1 for of in figures.values()):
        assert judgements == [
            "One seed shows no spread, so no difference is judged: take --seeds 3."
        ]
        return
    pairs = zip(found.rows, found.rows[1:], strict=False)
    for (a, b), said in zip(pairs, judgements, strict=True):
        assert said.startswith(a.cell) and b.cell in said
        if a.spread is None or b.spread is None:
            assert said.endswith("a cell with one seed shows no spread.")
            continue
        pooled = ((a.spread**2 + b.spread**2) / 2) ** 0.5
        is_more = abs(a.mean - b.mean) > pooled
        assert (f"{a.cell} is better than {b.cell} by " in said) == is_more
        assert ("these seeds don't show that one is better" in said) != is_more
        better = [
            x > y if metric.better == "higher" else x < y
            for x in figures[a.cell]
            for y in figures[b.cell]
        ]
        assert ("no seeds overlap" in said) == (is_more and all(better))


def test_as_text_and_as_json():
    metric = METRICS[1]
    figures = {"rnn": [0.5, 0.7], "lstm": [0.1, 0.2]}
    found = compare(metric, runs(metric, figures), ["gru-0 gave no result: the loss became nan"])
    lines = str(found).splitlines()
    assert lines[1].split() == ["lstm", "0.15", "0.07", "0.10", "0.20", "1,234", "2.0", "3.0"]
    assert lines[2].split() == ["rnn", "0.60", "0.14", "0.50", "0.70", "1,234", "2.0", "3.0"]
    assert lines[3].split() == ["always", "3", "0.25"]
    assert lines[-2] == (
        "lstm is better than rnn by 0.45: more than the spread of 0.11, and no seeds overlap."
    )
    assert lines[-1] == "gru-0 gave no result: the loss became nan"
    assert len({len(line) for line in lines[:3]}) == 1
    again = json.loads(json.dumps(found.as_json()))
    assert (again["metric"], again["better"]) == ("error", "lower")
    assert [row["cell"] for row in again["rows"]] == ["lstm", "rnn"] and len(again["runs"]) == 4


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="no run to compare"):
        compare(METRICS[0], [])
