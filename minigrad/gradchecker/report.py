"""The result of a gradient check: a verdict, its reasons, and the numbers behind it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..utils.files import replace_file

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"

Name = int | str
Index = tuple[int, ...]


@dataclass(repr=False)
class Entry:
    """One slope that was checked: an entry of an input, or a random direction (no index).

    Attributes
    ----------
    name : the position of an input, or the name of a parameter.
    index : of the entry; None for a direction through all entries.
    analytic : the slope by the backward pass.
    numeric, error : the slope by finite differences, and its error bar.
    step : the finite-difference step that the estimate rests on.
    status : "agrees", "wrong", "kink", "edge" (of the domain), "noise" of the function, or
        "rounding" of its gradient.
    severity : the disagreement in units of what the error bars allow; above 1 is wrong.
    where : for recurrent layers: layer, direction, gate, time step.
    curve : pairs of a step and the central difference with it.
    """

    name: Name
    index: Index | None
    analytic: float
    numeric: float = math.nan
    error: float = math.inf
    step: float = math.nan
    status: str = "agrees"
    severity: float = 0.0
    where: str = ""
    curve: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Analytic over numeric slope: 1 if right."""
        return self.analytic / self.numeric if self.numeric else math.nan

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return (
            f"{place(self.name, self.index)}{where}: analytic {self.analytic:.8g}, "
            f"numeric {self.numeric:.8g} ± {self.error:.1g}, step {self.step:.1g}, "
            f"ratio {self.ratio:.6g}{self._guess()}"
        )

    def _guess(self) -> str:
        """What a wrong slope's ratio to the right one suggests."""
        if self.status != "wrong" or not math.isfinite(self.ratio):
            return ""
        guesses = {-1.0: "sign?", 0.0: "missing?", 0.5: "a factor of 2?", 2.0: "a factor of 2?"}
        near = min(guesses, key=lambda ratio: abs(self.ratio - ratio))
        return f" ({guesses[near]})" if abs(self.ratio - near) < 0.01 else ""


def place(name: Name, index: Index | None = ()) -> str:
    """In words: `input 0`, `input 0[1, 2]`, `weight_ih_l0[3, 1]`."""
    said = f"input {name}" if isinstance(name, int) else name
    if index is None:
        return f"{said} along a random direction"
    return f"{said}[{', '.join(map(str, index))}]" if index else said


@dataclass(repr=False)
class Report:
    """The outcome of a gradient check; true only if the verdict is PASS.

    Attributes
    ----------
    verdict : "PASS", "FAIL" or "INCONCLUSIVE".
    reasons : why, a sentence each; empty for PASS.
    kinks : (input position or parameter name, index) of every entry that sits on a kink.
    worst : the entry with the greatest disagreement, or None if none was compared.
    entries : every entry that doesn't simply agree, the most severe first.
    evaluations : calls of the function and of its backward pass, together.
    covered : per input or parameter: entries checked one by one, and entries in all.
    directions : random directions checked as well: in each, all entries change together.
    noise_floor : the rounding error of the weighted outputs, as measured. Two slopes whose
        differences are below it can't be distinguished.
    resolution : the relative error that would have been noticed in any entry of weight.
    taylor_slope : how the Taylor remainder f(x + t d) - f(x) - t * (gradient along d) falls with
        the step t, as the slope in a doubly logarithmic diagram: 2.00 for a right gradient, 1 for
        a wrong one, None where it drowns in noise (or the function is linear).
    taylor : pairs of a step and the remainder that the slope comes from.
    notes : further remarks.

    >>> report = mg.gradcheck(mg.tanh, mg.tensor([0.5, -1.0]))
    >>> report.verdict, bool(report), report.covered
    ('PASS', True, {0: (2, 2)})
    """

    verdict: str = PASS
    order: int = 1
    seed: int = 0
    reasons: list[str] = field(default_factory=list)
    kinks: list[tuple[Name, Index]] = field(default_factory=list)
    worst: Entry | None = None
    entries: list[Entry] = field(default_factory=list)
    evaluations: int = 0
    budget: int = 0
    covered: dict[Name, tuple[int, int]] = field(default_factory=dict)
    directions: int = 0
    noise_floor: float = 0.0
    resolution: float | None = None
    taylor_slope: float | None = None
    taylor: list[tuple[float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.verdict == PASS

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows

    def _repr_html_(self) -> str:
        """The verdict and its reasons, then all that is said of it, and the diagrams, folded."""
        from ..utils.rich import folded, shown_text  # loaded when a notebook asks for it

        first, *more = str(self).splitlines()
        said = first.partition(": ")[2]
        verdict = f"<b>{self.verdict}</b>{''.join(map(shown_text, self.reasons))}"
        return verdict + folded(said, shown_text("\n".join(more))) + folded("diagrams", self.svg)

    def __str__(self) -> str:
        lines = [f"{self.verdict}: gradient check of order {self.order}, seed {self.seed}"]
        lines += [f"  {reason}" for reason in self.reasons]
        if self.worst is not None:
            lines.append(f"  worst: {self.worst}")
        checked = sum(n for n, _ in self.covered.values())
        total = sum(n for _, n in self.covered.values())
        lines.append(
            f"  covered: {checked} of {total} entries, {self.directions} random directions; "
            f"{self.evaluations} evaluations (budget {self.budget})"
        )
        noise = f"  noise floor: {self.noise_floor:.1e}, the outputs' rounding error"
        lines.append(noise + self._resolution())
        if self.taylor_slope is not None:
            lines.append(f"  slope of the Taylor remainder: {self.taylor_slope:.2f} (2 is right)")
        lines += [f"  note: {note}" for note in self.notes]
        if self.verdict != PASS:
            lines.append("  terms: see help(mg.gradcheck)")
        return "\n".join(lines)

    def _resolution(self) -> str:
        if self.verdict == FAIL or not self.resolution or not math.isfinite(self.resolution):
            return ""
        return f"; relative errors above {self.resolution:.0e} would have been noticed"

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types; NaN and infinities as text.

        >>> found = mg.gradcheck(mg.tanh, mg.tensor([0.5, -1.0])).to_dict()
        >>> found["verdict"], found["covered"]
        ('PASS', [{'name': 0, 'checked': 2, 'total': 2}])
        """
        return {
            "verdict": self.verdict,
            "order": self.order,
            "seed": self.seed,
            "reasons": self.reasons,
            "kinks": [{"name": name, "index": list(index)} for name, index in self.kinks],
            "worst": None if self.worst is None else _plain(self.worst),
            "entries": [_plain(entry) for entry in self.entries],
            "evaluations": self.evaluations,
            "budget": self.budget,
            "covered": [
                {"name": name, "checked": checked, "total": total}
                for name, (checked, total) in self.covered.items()
            ],
            "directions": self.directions,
            "noise_floor": _number(self.noise_floor, 3),
            "resolution": _number(self.resolution, 3),
            "taylor_slope": _number(self.taylor_slope, 4),
            "taylor": [[_number(t, 3), _number(r, 4)] for t, r in self.taylor],
            "notes": self.notes,
        }

    def to_json(self) -> str:
        """The report as JSON; the same seed gives the same text, byte for byte.

        >>> print(mg.gradcheck(mg.tanh, mg.tensor([0.5])).to_json())
        {
          "verdict": "PASS",
          "order": 1,
        ...
        }
        """
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @property
    def svg(self) -> str:
        """Error against step and the Taylor remainder as the text of an SVG file.

        >>> mg.gradcheck(mg.tanh, mg.tensor([0.5])).svg
        '<svg ...</svg>...'
        """
        from .diagram import diagrams

        worst = self.worst
        error = [] if worst is None else [(h, abs(d - worst.analytic)) for h, d in worst.curve]
        bar = 0.0 if worst is None else worst.error
        steps = [h for h, _ in error]
        said = "no entry was checked" if worst is None else place(worst.name, worst.index)
        fall = "" if self.taylor_slope is None else f", slope {self.taylor_slope:.2f}"
        # What a right gradient would give, through the largest remainder.
        h, remainder = max(self.taylor, default=(1.0, 0.0))
        ideal = [(t, remainder * (t / h) ** 2) for t, _ in self.taylor] if remainder else []
        floor = [(min(steps), bar), (max(steps), bar)] if steps and 0 < bar < math.inf else []
        return diagrams(
            [
                (f"Error of {said}", "|numeric − analytic|; dashed: the error bar", error, floor),
                (f"Taylor remainder{fall}", "remainder; dashed: slope 2", self.taylor, ideal),
            ]
        )

    def plot(self, path: str | Path) -> Path:
        """Write the diagrams of `svg` to the file `path`, whose name ends in .svg; returns it.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mg.gradcheck(mg.tanh, mg.tensor([0.5])).plot(f"{folder}/tanh.svg").name
        'tanh.svg'
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ValueError(
                f"the diagrams are written as SVG; name the file {path.stem}.svg instead of "
                f"{path.name}, and convert it if you need another format"
            )
        replace_file(path, self.svg.encode())
        return path


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "index": None if entry.index is None else list(entry.index),
        "where": entry.where,
        "status": entry.status,
        "analytic": _number(entry.analytic),
        "numeric": _number(entry.numeric),
        "error": _number(entry.error, 3),
        "step": _number(entry.step, 3),
        "ratio": _number(entry.ratio),
        "severity": _number(entry.severity, 3),
    }


def _number(value: float | None, digits: int = 9) -> float | str | None:
    if value is None:
        return None
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)


class GradcheckError(AssertionError):
    """A gradient is wrong; `report` says which, where and by how much.

    >>> def forgetful(x):
    ...     return x * x.detach()
    >>> try:
    ...     mg.gradcheck(forgetful, mg.tensor([1.0, 2.0]))
    ... except mg.GradcheckError as error:
    ...     print(error.report.verdict, error.report.worst.index)
    FAIL (...,)
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
