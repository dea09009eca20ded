"""The verdict on each wrong derivative, and the score: the share that was killed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from .operators import Mutant

__all__ = ["MutationReport", "Outcome"]

PER_LINE, OVER_ALL = 0.95, 0.98  # the shares that have to be killed


@dataclass(frozen=True)
class Outcome:
    """The verdict on a mutant.

    Attributes
    ----------
    verdict : "killed", "survived" or "equivalent".
    by : the check that killed it.
    error : whether it was killed by an error in place of a wrong number.
    why : the reason, for the other verdicts.
    """

    mutant: Mutant
    verdict: str
    by: str = ""
    error: bool = False
    why: str = ""


@dataclass(repr=False)
class MutationReport:
    """All outcomes, in the order of the lines; true if enough mutants were killed."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def __bool__(self) -> bool:
        shares = [self.share(name) for name in self.names()]
        return self.share() >= OVER_ALL and all(share >= PER_LINE for share in shares)

    def names(self) -> list[str]:
        """The lines, each once."""
        return list(dict.fromkeys(outcome.mutant.target for outcome in self.outcomes))

    def count(self, name: str | None = None) -> Counter[str]:
        """How many were killed, survived, or are equivalent: of a line, or over all."""
        return Counter(o.verdict for o in self.outcomes if name in (None, o.mutant.target))

    def share(self, name: str | None = None) -> float:
        """The share killed of those that are not equivalent; 1 if there are none."""
        count = self.count(name)
        total = count["killed"] + count["survived"]
        return count["killed"] / total if total else 1.0

    def survivors(self) -> list[Outcome]:
        """The mutants that no check noticed."""
        return [outcome for outcome in self.outcomes if outcome.verdict == "survived"]

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def __str__(self) -> str:
        names = self.names()
        width = max(map(len, [*names, "over all"]))
        lines = [f"{'':{width}}  mutants  killed  survived  equivalent   score"]
        for name in [*names, None]:
            count = self.count(name)
            lines.append(
                f"{name or 'over all':{width}}  {count.total():7}  {count['killed']:6}  "
                f"{count['survived']:8}  {count['equivalent']:10}  {self.share(name):6.1%}"
            )
        by = Counter(o.by for o in self.outcomes if o.verdict == "killed")
        errors = sum(outcome.error for outcome in self.outcomes)
        noticed = ", ".join(f"{n} by {name}" for name, n in by.most_common())
        lines.append(f"killed: {noticed}; {errors} of them by an error in place of a wrong number")
        for title, verdict in (("survived", "survived"), ("equivalent", "equivalent")):
            found = [o for o in self.outcomes if o.verdict == verdict]
            lines += [f"{title}:"] * bool(found)
            lines += [f"  {o.mutant}\n      {o.why}" for o in found]
        said = "reached" if self else "NOT reached"
        lines.append(
            f"{said}: {PER_LINE:.0%} of every line and {OVER_ALL:.0%} over all have to be killed"
        )
        return "\n".join(lines)

    def to_json(self) -> str:
        """Everything but the time, so that the same run gives the same text."""
        lines = {name: {**self.count(name), "share": self.share(name)} for name in self.names()}
        mutants = [
            {
                "line": o.mutant.target,
                "place": o.mutant.place,
                "kind": o.mutant.kind,
                "text": o.mutant.text,
                "verdict": o.verdict,
                "by": o.by,
                "error": o.error,
                "why": o.why,
            }
            for o in self.outcomes
        ]
        total = {**self.count(), "share": self.share(), "reached": bool(self)}
        return json.dumps({"over all": total, "lines": lines, "mutants": mutants}, indent=1)
