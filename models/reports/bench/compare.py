"""Two records of benchmarks: what takes longer now, by more than the spread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .record import FLOORS, Line, Record, RecordError
from .significance import FEWEST_ROUNDS, SMALLEST_BETWEEN_RUNS, Difference, between_runs

__all__ = ["Change", "Comparison", "compare_records"]


@dataclass(frozen=True)
class Change:
    """What became of one contender of a line; `difference` is None where no spread is known."""

    line: Line
    contender: str
    difference: Difference | None
    ratio: float

    @property
    def worse(self) -> bool:
        """Whether it got slower or larger, by more than the spread; a count, whether it rose."""
        return self.ratio > 1 if self.difference is None else self.difference.slower

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.difference is not None:
            return self.difference.verdict
        return "more" if self.ratio > 1 else "fewer" if self.ratio < 1 else "the same"


@dataclass(frozen=True)
class Comparison:
    """All changes, what can't be compared, with the reason, and what else differs.

    Attributes
    ----------
    smallest : the least difference that counts, as 0.05: the largest that peers show, if more.
    """

    changes: list[Change]
    left_out: list[str]
    warnings: list[str]
    smallest: float

    @property
    def worse(self) -> list[Change]:
        """What got slower, larger or more."""
        return [change for change in self.changes if change.worse]


def compare_records(first: Record, second: Record, yardstick: str | None = None) -> Comparison:
    """How the second run differs from the first, for all contenders that are minigrad's.

    Peers of the same version are the same program in both runs. What differs by less than the
    clearest difference of a peer doesn't count: the machine may have changed as much.

    With a yardstick, the name of a contender, each time counts as its ratio to the yardstick's of
    the same round, so that a machine that was slower as a whole makes no difference.

    Raises RecordError if the two have nothing in common, or no contender has the yardstick's name.
    """
    before = {line.key: line for line in first.lines}
    after = {line.key: line for line in second.lines}
    names = dict.fromkeys(name for line in first.lines for name in line.values)
    if yardstick is not None and yardstick not in names:
        raise RecordError(f"no contender is called {yardstick}; there are {', '.join(names)}")
    pairs = [(line, after[key]) for key, line in before.items() if key in after]
    smallest = max([SMALLEST_BETWEEN_RUNS, *_of_peers(pairs, _same(first, second), yardstick)])
    changes: list[Change] = []
    left_out = [f"{after[key].label}: only in the second" for key in after if key not in before]
    left_out += [
        f"{line.label}: only in the first" for key, line in before.items() if key not in after
    ]
    for line, other in pairs:
        for name in line.own:
            if name not in other.values:
                left_out.append(f"{line.label}, {name}: only in the first")
                continue
            found = _change(line, other, name, yardstick, smallest)
            if isinstance(found, Change):
                changes.append(found)
            else:
                left_out.append(found)
    if not changes:
        raise RecordError(
            "the two records have nothing in common that can be compared: "
            + "; ".join(left_out[:3] or ["they are empty"])
        )
    return Comparison(changes, left_out, _warnings(first, second), smallest)


def _same(first: Record, second: Record) -> set[str]:
    """The packages that have the same version in both."""
    return {
        name for name, version in first.versions.items() if second.versions.get(name) == version
    }


def _of_peers(
    pairs: Iterable[tuple[Line, Line]], same: set[str], yardstick: str | None
) -> Iterator[float]:
    """By how much the times of peers differ, beyond their spread."""
    for line, other in pairs:
        for name in line.values.keys() & other.values.keys() - {*line.own, yardstick}:
            package = "NumPy" if name in FLOORS else name.partition(",")[0]
            if line.unit != "s" or package not in same:
                continue
            found = _change(line, other, name, yardstick, 0.0)
            if isinstance(found, Change) and found.difference is not None:
                yield max(found.difference.low, 1 / found.difference.high) - 1


def _change(
    line: Line, other: Line, name: str, yardstick: str | None, smallest: float
) -> Change | str:
    a, b = line.values[name], other.values[name]
    if line.unit == "count":  # round i has the same random inputs in both
        rounds = min(len(a), len(b))
        a, b = a[:rounds], b[:rounds]
        ratio = 1.0 if sum(a) == sum(b) else float("inf") if not sum(a) else sum(b) / sum(a)
        return Change(line, name, None, ratio)
    if yardstick is not None:
        if not (line.paired and yardstick in line.values and yardstick in other.values):
            return f"{line.label}, {name}: no rounds of {yardstick} in turns in both"
        a = _in_units_of(line.values[yardstick], a)
        b = _in_units_of(other.values[yardstick], b)
    if min(len(a), len(b)) < FEWEST_ROUNDS:
        return f"{line.label}, {name}: fewer than {FEWEST_ROUNDS} rounds have no spread"
    if not min(*a, *b) > 0:
        return f"{line.label}, {name}: a time of 0 has no ratio"
    found = between_runs(a, b, smallest)
    return Change(line, name, found, found.ratio)


def _in_units_of(yardstick: Sequence[float], values: Sequence[float]) -> list[float]:
    """The ratios; 0 where the yardstick has no length, which is refused as a time of 0 is."""
    return [x / y if y else 0.0 for x, y in zip(values, yardstick, strict=True)]


def _warnings(first: Record, second: Record) -> list[str]:
    """What else differs: the reader should know before believing a ratio."""
    said = []
    if first.machine.get("cpu") != second.machine.get("cpu"):
        said.append("the machine: compare ratios to a peer, by --yardstick PyTorch, not times")
    for what in ("machine", "versions", "settings"):
        a, b = getattr(first, what), getattr(second, what)
        for name in sorted({*a, *b}):
            if name != "minigrad" and a.get(name) != b.get(name):
                said.append(f"{what}: {name} is {a.get(name)} and {b.get(name)}")
    return said
