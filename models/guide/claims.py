"""Claims: what a chapter says, whether this run bears it out, and the numbers for it."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["CLAIM", "Claim", "claim", "collect"]

# The type under which a claim lies among a cell's outputs, for those who gather them.
CLAIM = "application/vnd.minigrad.claim+json"
_UNBROKEN = " style='white-space:nowrap'"  # 1e-06 would be broken behind its hyphen

Verdict = Literal["holds", "holds only if", "does not hold"]


@dataclass(frozen=True)
class Claim:
    """A sentence, its verdict, and the evidence: numbers of this run, by name.

    `condition` completes "holds only if"; it is empty for the other verdicts.
    """

    claim: str
    verdict: Verdict
    condition: str
    evidence: dict[str, str]

    def __str__(self) -> str:
        numbers = "; ".join(f"{name} {value}" for name, value in self.evidence.items())
        return f"{self.claim}\n  {self.verdict} {self.condition}".rstrip() + f": {numbers}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th>"
            f"<td{_UNBROKEN if len(value) <= 12 else ''}>{html.escape(value)}</td></tr>"
            for name, value in self.evidence.items()
        )
        kind = self.verdict.replace(" ", "-")
        condition = f" {html.escape(self.condition)}" if self.condition else ""
        return (
            f"<div class='claim {kind}'><p>{html.escape(self.claim)}</p>"
            f"<p><strong>{self.verdict}</strong>{condition}</p><table>{rows}</table></div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {CLAIM: asdict(self), "text/html": self._repr_html_(), "text/plain": str(self)}


_collected: ContextVar[list[Claim] | None] = ContextVar("minigrad claims", default=None)


def claim(text: str, holds: bool | str, evidence: Mapping[str, Any]) -> Claim:
    """Judge a claim by what was just computed; the last line of a cell shows it.

    `holds` is True or False, or a string that completes "holds only if": use it where this run
    shows both the case in which the claim is true and the case in which it isn't. The evidence
    names numbers of this run, or texts; floats are shown with three digits.

    Raises TypeError if `holds` is neither a bool nor a string, ValueError for no evidence.

    >>> claim("tanh keeps numbers small", True, {"largest of tanh(x)": 0.99933})
    tanh keeps numbers small
      holds: largest of tanh(x) 0.999
    >>> claim("an LSTM remembers", "its gates are set to", {"loss": 0.0}).verdict
    'holds only if'
    """
    if not isinstance(holds, (bool, str)) and type(holds).__name__ != "bool":  # NumPy's bool
        raise TypeError(
            "claim: holds is True, False, or what completes 'holds only if'; got "
            f"{type(holds).__name__}"
        )
    if not evidence:
        raise ValueError("claim: name at least one number as evidence")
    verdict: Verdict
    if isinstance(holds, str):
        verdict, condition = "holds only if", holds
    else:
        verdict, condition = ("holds" if holds else "does not hold"), ""
    shown = {name: _shown(value) for name, value in evidence.items()}
    judged = Claim(text, verdict, condition, shown)
    if (collected := _collected.get()) is not None:
        collected.append(judged)
    return judged


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    number = value.item() if hasattr(value, "item") else value
    return f"{number:.3g}" if isinstance(number, float) else f"{number:,}"


@contextlib.contextmanager
def collect() -> Iterator[list[Claim]]:
    """A context that gathers the claims which are made within.

    >>> with collect() as claims:
    ...     _ = claim("2 is even", True, {"2 % 2": 2 % 2})
    >>> len(claims)
    1
    """
    claims: list[Claim] = []
    token = _collected.set(claims)
    try:
        yield claims
    finally:
        _collected.reset(token)
