"""Checks of plain arguments that many functions and layers take: sizes, flags, probabilities.

And environment variables that are read often.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

# `os.environ` translates at each look; the dict behind it takes no time.
_environment: Any = getattr(os.environ, "_data", os.environ)


class SettingError(ValueError):
    """An environment variable has a value that it can't have."""


class Variable:
    """An environment variable that is read often."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key: Any = getattr(os.environ, "encodekey", str)(name)
        self._seen: tuple[Any, str | None] = (None, None)  # as it is in the dict, and translated

    def get(self) -> str | None:
        """Its value, or None if it isn't set."""
        there = _environment.get(self._key)
        seen, value = self._seen
        if there != seen:
            value = os.environ.get(self.name)
            self._seen = there, value
        return value


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
