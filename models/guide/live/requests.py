"""What a page may ask for: fields of a request, checked; an error is a sentence for its reader."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import minigrad as mg

__all__ = ["Refused", "choice", "override_of", "share"]


class Refused(Exception):
    """A request that gets no answer; the text says why and what to do."""


def choice(asked: Mapping[str, Any], name: str, among: Sequence[str]) -> str:
    """The text of a field, one of several.

    >>> choice({"cell": "GRU"}, "cell", ["LSTM", "GRU"])
    'GRU'
    """
    found = asked.get(name)
    if not isinstance(found, str) or found not in among:
        raise Refused(f"{name} is one of {', '.join(among)}; got {found!r:.40}")
    return found


def share(value: Any, name: str, most: float = 1.0) -> float:
    """A number from 0 to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"{name} is a number from 0 to {most:g}; got {value!r:.40}")
    if not 0 <= value <= most or not math.isfinite(value):
        raise Refused(f"{name} is from 0 to {most:g}; got {value!r:.40}")
    return float(value)


def override_of(asked: Mapping[str, Any], gates: Sequence[str]) -> dict[str, Any]:
    """What `mg.override` takes, from a field `gates`: by name, a share to `set`, or `times` one.

    A gate that is multiplied stays at most open, 1.

    >>> override_of({"gates": {"forget": {"set": 0.5}}}, ["forget", "input"])
    {'forget': 0.5}
    """
    wanted = asked.get("gates", {})
    if not isinstance(wanted, dict):
        raise Refused(f"gates is an object of gates by name; got {wanted!r:.40}")
    found: dict[str, Any] = {}
    for name, change in wanted.items():
        if name not in gates:
            there = ", ".join(gates) or "none"
            raise Refused(f"this cell has no gate {name!r:.40}; it has {there}")
        if not isinstance(change, dict) or len(change) != 1:
            raise Refused(f"{name} is set, or multiplied; got {change!r:.40}")
        if "set" in change:
            found[name] = share(change["set"], name)
        elif "times" in change:
            found[name] = _multiplied(share(change["times"], name, 2.0))
        else:
            raise Refused(f"{name} is set, or multiplied; got {change!r:.40}")
    return found


def _multiplied(factor: float) -> Callable[[mg.Tensor], mg.Tensor]:
    return lambda gate: mg.minimum(gate * factor, 1.0)
