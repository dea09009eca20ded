"""The certificate of a conversion: what two frameworks computed from the same numbers.

A `Run` is what one of them gave for given inputs and cotangents: outputs, and gradients by the
names that the parameters have here. `compare` makes a `Certificate` of two runs. How another
framework runs a model is in the file of that framework, and how it is run here in `runs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Certificate", "Difference", "Run", "compare"]

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
TOLERANCE = 1e-10  # of float64


class Run(NamedTuple):
    """What a framework computed: outputs, and gradients with respect to inputs and parameters."""

    outputs: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How far two frameworks are apart in one array.

    Attributes
    ----------
    name : "output y", "final state h", "gradient of weight_ih_l0".
    shape : of the array.
    greatest : the greatest absolute difference; inf where only one of them has a finite number.
    scale : the greatest absolute value of the other framework's array.

    >>> Difference("output y", (2,), greatest=1e-9, scale=1.0)
    Difference(name='output y', shape=(2,), greatest=1e-09, scale=1.0)
    """

    name: str
    shape: tuple[int, ...]
    greatest: float
    scale: float

    def within(self, tolerance: float) -> bool:
        """Whether it is small, measured by the values where these are greater than 1.

        >>> Difference("output y", (2,), greatest=1e-9, scale=100.0).within(1e-10)
        True
        """
        return self.greatest <= tolerance * max(1.0, self.scale)


@dataclass(frozen=True)
class Certificate:
    """Whether a converted model computes the same; true only if the verdict is PASS.

    Attributes
    ----------
    verdict : "PASS", "FAIL", or "INCONCLUSIVE" where something could not be compared.
    model : what was compared.
    framework : with what, and its release: "PyTorch 2.13.0".
    source : "computed here", or which stored cases were compared instead, and why.
    tolerance : the greatest allowed difference, relative to values greater than 1.
    differences : every array that was compared.
    notes : what was left out, and why.

    >>> y = np.ones(2)
    >>> same = compare("Linear(2, 2)", "PyTorch 2.13.0", Run({"y": y}, {}), Run({"y": y}, {}))
    >>> same.verdict, bool(same), same.worst.greatest
    ('PASS', True, 0.0)
    """

    verdict: str
    model: str
    framework: str
    source: str
    tolerance: float
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return self.verdict == PASS

    @property
    def worst(self) -> Difference | None:
        """The greatest difference, measured as `Difference.within` does; None if there is none.

        >>> y = np.zeros(2)
        >>> compare("", "", Run({"y": y}, {}), Run({"y": y + 3}, {})).worst.greatest
        3.0
        """
        return max(self.differences, key=lambda d: d.greatest / max(1.0, d.scale), default=None)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON.

        >>> compare("", "", Run({}, {}), Run({}, {})).to_dict()["verdict"]
        'INCONCLUSIVE'
        """
        rows = [
            {"name": d.name, "shape": list(d.shape), "greatest": d.greatest, "scale": d.scale}
            for d in self.differences
        ]
        named = ("verdict", "model", "framework", "source", "tolerance")
        return {name: getattr(self, name) for name in named} | {
            "differences": rows,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.model} here and in {self.framework}", f"  {self.source}"]
        head = ("", "shape", "difference", "greatest value")
        rows = [
            (d.name, str(d.shape), f"{d.greatest:.1e}", f"{d.scale:.1e}") for d in self.differences
        ]
        widths = [max(len(row[k]) for row in [head, *rows]) for k in range(4)]
        for row in [head, *rows] if rows else []:
            cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [row[k].rjust(widths[k]) for k in (2, 3)]
            lines.append(f"  {'  '.join(cells)}")
        lines.append(f"  allowed: {self.tolerance:.0e} times the greatest value, or 1 if greater")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def compare(
    model: str,
    framework: str,
    ours: Run,
    theirs: Run,
    *,
    source: str = "computed here",
    tolerance: float = TOLERANCE,
    notes: tuple[str, ...] = (),
) -> Certificate:
    """The certificate of two runs. What only one of them has makes it INCONCLUSIVE.

    >>> ours = Run({"y": np.array([1.0])}, {"x": np.array([2.0])})
    >>> print(compare("Linear(1, 1)", "PyTorch 2.13.0", ours, ours))
    PASS: Linear(1, 1) here and in PyTorch 2.13.0
      computed here
                     shape  difference  greatest value
      output y       (1,)      0.0e+00         1.0e+00
      gradient of x  (1,)      0.0e+00         2.0e+00
      allowed: 1e-10 times the greatest value, or 1 if greater
    """
    rows: list[Difference] = []
    lacking: list[str] = []
    for kind, mine, other in (
        ("output", ours.outputs, theirs.outputs),
        ("gradient of", ours.gradients, theirs.gradients),
    ):
        rows += [difference(f"{kind} {n}", mine[n], other[n]) for n in mine if n in other]
        for one, another, where in ((mine, other, framework), (other, mine, "the model here")):
            if names := [name for name in one if name not in another]:
                lacking.append(f"{where} gave no {kind} {', '.join(names)}")
    verdict = PASS if rows and not lacking else INCONCLUSIVE
    if not all(row.within(tolerance) for row in rows):
        verdict = FAIL
    if not rows:
        lacking.append("nothing was compared")
    return Certificate(
        verdict, model, framework, source, tolerance, tuple(rows), (*notes, *lacking)
    )


def difference(name: str, ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """How far two arrays are apart; those of different shapes, infinitely.

    >>> difference("output y", np.array([1.0, np.nan]), np.array([1.0, np.nan])).greatest
    0.0
    """
    if ours.shape != theirs.shape:
        return Difference(f"{name}, there {theirs.shape}", ours.shape, np.inf, 0.0)
    if not ours.size:
        return Difference(name, ours.shape, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        apart = np.abs(ours.astype("float64") - theirs.astype("float64"))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    finite = np.abs(theirs[np.isfinite(theirs)])
    return Difference(name, ours.shape, float(apart.max()), float(finite.max(initial=0.0)))
