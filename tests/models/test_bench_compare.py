"""`minigrad bench compare` on records that are drawn: what it calls slower, and what not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.models.reports.bench.compare import compare_records
from minigrad.models.reports.bench.pace import Enough
from minigrad.models.reports.bench.record import Line, Record, RecordError
from minigrad.models.reports.bench.significance import UNSEEN, in_one_run

pytestmark = pytest.mark.no_backend

OWN, PEER = "minigrad numpy", "PyTorch"


@st.composite
def records(draw):
    """A record of times and counts, in which minigrad and a peer took turns."""
    lines = []
    for number in range(draw(st.integers(1, 4))):
        rounds, unit = draw(st.integers(5, 20)), draw(st.sampled_from(["s", "bytes", "count"]))
        one = st.integers(0, 9) if unit == "count" else st.floats(1e-6, 1e3)
        values = {
            name: draw(st.lists(one, min_size=rounds, max_size=rounds)) for name in (OWN, PEER)
        }
        lines.append(Line("drawn", f"line {number}", draw(st.integers(1, 2)), unit, values))
    return Record(lines, {}, {}, {}, {})


def scaled(record, by, names=(OWN, PEER)):
    """The record, with the times and bytes of some contenders so many times as large."""
    return replace(
        record,
        lines=[
            replace(
                line,
                values={
                    name: [by * v for v in values] if name in names else values
                    for name, values in line.values.items()
                },
            )
            for line in record.lines
            if line.unit != "count"
        ],
    )


def found(first, second, yardstick=None):
    return {c.line.key: c for c in compare_records(first, second, yardstick).changes}


@given(records())
def test_a_record_does_not_differ_from_itself(record):
    both = compare_records(record, record)
    assert len(both.changes) == len(record.lines) and not both.worse and not both.left_out
    assert {change.verdict for change in both.changes} <= {UNSEEN, "the same"}


@given(records(), records())
def test_slower_one_way_is_faster_the_other_way(first, second):
    try:
        there, back = found(first, second), found(second, first)
    except RecordError:
        return
    opposite = {"slower": "faster", "faster": "slower", "more": "fewer", "fewer": "more"}
    assert there.keys() == back.keys()
    for key, change in there.items():
        assert back[key].verdict == opposite.get(change.verdict, change.verdict)


@given(records(), st.randoms(use_true_random=False))
def test_neither_the_order_of_lines_nor_the_peers_count(record, random):
    second = replace(record, lines=random.sample(record.lines, len(record.lines)))
    others = replace(record, lines=[*record.lines])
    others.lines[:] = [
        replace(line, values={OWN: line.values[OWN], "JAX": line.values[PEER]})
        for line in record.lines
    ]
    assert not compare_records(record, second).worse and not compare_records(record, others).worse


@given(records(), st.floats(0.2, 5))
def test_by_a_yardstick_the_speed_of_the_machine_does_not_count(record, by):
    if all(line.unit == "count" for line in record.lines):
        return
    changes = found(scaled(record, 1), scaled(record, by), PEER).values()
    assert all(change.ratio == pytest.approx(1) and not change.worse for change in changes)


@given(records(), st.floats(1.06, 5))
def test_what_is_steady_and_slower_is_called_so(record, by):
    steady = replace(
        record,
        lines=[
            replace(line, values={name: [values[0]] * 9 for name, values in line.values.items()})
            for line in record.lines
        ],
    )
    if all(line.unit == "count" for line in record.lines):
        return
    for yardstick in (None, PEER):
        slow = found(scaled(steady, 1), scaled(steady, by, [OWN]), yardstick)
        assert slow and all(change.worse for change in slow.values())
        fast = found(scaled(steady, by, [OWN]), scaled(steady, 1), yardstick)
        assert {change.verdict for change in fast.values()} == {"faster"}


def test_what_peers_show_too_does_not_count():
    """Peers are the same program in both runs: as far as they differ, the machine does."""

    def run(own, peer, version="2"):
        values = {OWN: [own] * 9, PEER: [peer] * 9, "products alone": [1.0] * 9}
        versions = {"PyTorch": version, "NumPy": "2"}
        return Record([Line("drawn", "line", 1, "s", values)], {}, {}, versions, {})

    before = run(1.0, 1.0)
    for peer, smallest in ((1.2, 0.2), (1 / 1.2, 0.2), (1.01, 0.05)):
        both = compare_records(before, run(1.15, peer))
        assert both.smallest == pytest.approx(smallest) and bool(both.worse) == (smallest < 0.15)
    both = compare_records(before, run(1.15, 1.2, version="3"))
    assert both.smallest == 0.05 and both.worse
    with pytest.raises(
        RecordError, match="called JAX; there are minigrad numpy, PyTorch, products"
    ):
        compare_records(before, before, "JAX")


def noisy(rng, rounds, noise, by=1.0):
    """Rounds of a run: each process has a speed of its own, some rounds take much longer."""
    outliers = np.where(rng.random(rounds) < 0.1, 1.5, 1.0)
    return [*(by * rng.lognormal(0, 0.01) * outliers * rng.lognormal(0, noise, rounds))]


@pytest.mark.parametrize(("rounds", "noise"), [(15, 0.01), (41, 0.02), (101, 0.04)])
def test_ten_per_cent_are_seen_and_nothing_is_not(rounds, noise):
    rng, alarms, seen, runs = np.random.default_rng(0), 0, 0, 400

    def run(by=1.0):
        line = Line("drawn", "line", 1, "s", {OWN: noisy(rng, rounds, noise, by)})
        return Record([line], {}, {}, {}, {})

    for _ in range(runs):
        plain = run()
        (equal,) = compare_records(plain, run()).changes
        (slower,) = compare_records(plain, run(1.1)).changes
        alarms += equal.verdict != UNSEEN
        seen += slower.worse
    assert alarms <= runs * 0.005 and seen >= runs * 0.5, (alarms, seen)


def test_stopping_early_finds_no_more_differences_than_there_are():
    """Rounds end as soon as the spread is narrow: that must not find what chance adds."""
    rng, alarms, stopped = np.random.default_rng(0), 0, []
    for _ in range(400):
        enough, times = Enough(), {"a": [], "b": []}
        while len(times["a"]) < 101 and not (times["a"] and enough(times)):
            for values in times.values():
                values.append(rng.lognormal(0, 0.02) * rng.choice([1.0, 1.3], p=[0.9, 0.1]))
        stopped.append(len(times["a"]))
        alarms += in_one_run(times["a"], times["b"]).verdict != UNSEEN
    assert alarms <= 4 and 12 <= min(stopped) < 101
