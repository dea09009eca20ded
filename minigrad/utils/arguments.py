"""Checks of plain arguments that many functions and layers take: sizes, flags, probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_positive(asked_by: str, name: str, value: Any) -> int:
    """A size of 1 or more, as an int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{asked_by}: {name} is a positive integer; got {value!r:.40}")
    return int(value)


def check_flag(asked_by: str, name: str, value: Any) -> bool:
    """True or False, as Python's own."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{asked_by}: {name} is True or False; got {value!r:.40}")
    return bool(value)


def is_number(value: Any) -> bool:
    """Whether `value` is one number, Python's or another one that turns into a float."""
    return not isinstance(value, (bool, str)) and hasattr(type(value), "__float__")


def check_number(asked_by: str, name: str, value: Any) -> None:
    """Raise unless `value` is one number."""
    if not is_number(value):
        raise TypeError(f"{asked_by}: {name} is a number; got {type(value).__name__} {value!r:.40}")


def check_probability(asked_by: str, name: str, p: Any) -> None:
    """Raise unless p is a number from 0 to 1."""
    what = f"{asked_by}: {name} is a probability, from 0 to 1"
    if not is_number(p):
        raise TypeError(f"{what}; got {type(p).__name__} {p!r:.40}")
    if not 0 <= p <= 1:
        raise ValueError(f"{what}; got {p}")
