"""Environment variables: those that are read often, and what is wrong with those that are set."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar

from .spelling import nearest

_PREFIX = "MINIGRAD_"
_OURS = ("BACKEND", "CACHE", "DATA", "FUSED", "PRODUCTS", "THREADS")  # all variables, without it

# `os.environ` translates at each look; the dict behind it takes no time.
_environment: Any = getattr(os.environ, "_data", os.environ)


class SettingError(ValueError):
    """An environment variable has a value that it can't have."""


class Variable:
    """An environment variable that is read often.

    `why_not(value)` gives a reason not to take a value, which follows the variable's name.
    """

    known: ClassVar[list[Variable]] = []

    def __init__(self, name: str, why_not: Callable[[str], str] = lambda _: "") -> None:
        self.name = name
        self._key: Any = getattr(os.environ, "encodekey", str)(name)
        self._why_not = why_not
        self._seen: tuple[Any, str | None] = (None, None)  # as it is in the dict, and translated
        Variable.known.append(self)

    def get(self) -> str | None:
        """Its value, or None if it isn't set; raises `SettingError` for one that it can't have."""
        there = _environment.get(self._key)
        seen, value = self._seen
        if there != seen:
            value = os.environ.get(self.name)
            if value and (reason := self._why_not(value)):
                raise SettingError(f"{self.name} {reason}")
            self._seen = there, value
        return value


def why_not_among(values: Collection[str]) -> Callable[[Any], str]:
    """A function of a value: the reason if it is none of these, else nothing.

    >>> print(why_not_among(["0", "1", "require"])("requires"))
    is 0, 1 or require; got 'requires' (did you mean 'require'?)
    """

    def why_not(value: Any) -> str:
        if isinstance(value, str) and value in values:
            return ""
        *others, last = values
        near = nearest(str(value), values)
        hint = f" (did you mean {near!r}?)" if near else ""
        return f"is {', '.join(others)} or {last}; got {value!r}{hint}"

    return why_not


def wrong_settings() -> Iterator[str]:
    """What is wrong with the variables that are set, in a sentence each."""
    for variable in Variable.known:
        try:
            variable.get()
        except SettingError as error:
            yield str(error)
    for name in os.environ:
        short = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and short not in _OURS and (near := nearest(short, _OURS)):
            yield f"{name} is no setting of minigrad; did you mean {_PREFIX}{near}?"
