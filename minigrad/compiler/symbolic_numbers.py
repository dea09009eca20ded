"""Symbolic numbers: Python floats that a kernel takes as arguments, as they may change.

A traced function gets a `SymbolicNumber` in place of a Python float. What it computes from numbers
alone is recorded as Python text, and runs in Python at each call, as without a kernel; what it
computes from arrays and numbers becomes the kernel, which takes the numbers' values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..errors import Untraceable


class NumberRead(Untraceable):
    """A function looks at numbers, those at `places`: they have to be constants for it."""

    def __init__(self, places: frozenset[int]) -> None:
        super().__init__("it looks at a number that may be another at each step")
        self.places = places


class SymbolicNumber:
    """A Python number that may be another at each call: the text that computes it.

    `places` are the positions of the numbers that it is made of. `is_true`: it is one of these as
    it is, and not zero, for which there would be another plan.
    """

    __slots__ = ("_is_true", "places", "text")
    __array_ufunc__ = None
    # So that it is taken for the float that it stands for.
    __class__ = property(lambda self: float)

    def __init__(
        self, text: str, is_true: bool = False, places: frozenset[int] = frozenset()
    ) -> None:
        self.text, self._is_true, self.places = text, is_true, places

    def look(self, *_: Any) -> NoReturn:
        """Refuse to show the number."""
        raise NumberRead(self.places)

    def __getattr__(self, name: str) -> Any:
        if hasattr(float, name):
            self.look()
        raise AttributeError(f"'float' object has no attribute {name!r}")

    def __bool__(self) -> bool:
        return self._is_true or self.look()

    def __neg__(self) -> SymbolicNumber:
        return SymbolicNumber(f"(-{self.text})", False, self.places)

    def __pos__(self) -> SymbolicNumber:
        return self

    __hash__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = look
    __float__ = __int__ = __index__ = __complex__ = __round__ = __abs__ = look
    __trunc__ = __floor__ = __ceil__ = __floordiv__ = __rfloordiv__ = look
    __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __reduce__ = look
    __str__ = __repr__ = __format__ = __array__ = look


def is_number(x: Any) -> bool:
    """Whether it is a `SymbolicNumber`."""
    return type(x) is SymbolicNumber


def _arithmetic(symbol: str) -> tuple[Any, Any]:
    def made(self: SymbolicNumber, other: Any, form: str) -> Any:
        text = text_of(other)
        if text is None:
            return NotImplemented
        more = other.places if is_number(other) else frozenset()
        return SymbolicNumber(form.format(self.text, text), False, self.places | more)

    def forward(self: SymbolicNumber, other: Any) -> Any:
        return made(self, other, f"({{0}} {symbol} {{1}})")

    def reflected(self: SymbolicNumber, other: Any) -> Any:
        return made(self, other, f"({{1}} {symbol} {{0}})")

    return forward, reflected


for _name, _symbol in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**"}.items():
    _forward, _reflected = _arithmetic(_symbol)
    setattr(SymbolicNumber, f"__{_name}__", _forward)
    setattr(SymbolicNumber, f"__r{_name}__", _reflected)


def text_of(x: Any) -> str | None:
    """A number as Python text; None for anything else."""
    if is_number(x):
        return x.text
    if type(x) is float:
        return f"({x!r})" if math.isfinite(x) else f"float('{x}')"
    return f"({int(x)!r})" if isinstance(x, int) else None


def may_change(x: Any) -> bool:
    """Whether a value is a number that a kernel takes as an argument.

    Integers shape a program; zero, infinities and NaN are what its text may branch on.
    """
    return type(x) is float and x != 0 and math.isfinite(x)


def symbols(numbers: Sequence[float], pinned: frozenset[int]) -> list[Any]:
    """What stands for the numbers in a trace: symbols, or the float for a pinned one."""
    return [
        x if i in pinned else SymbolicNumber(f"numbers[{i}]", True, frozenset([i]))
        for i, x in enumerate(numbers)
    ]


def evaluator(texts: Sequence[str], names: str = "numbers") -> Callable[..., list[Any]]:
    """The function that computes what the texts say."""
    return eval(f"lambda {names}: [{', '.join(texts)}]", {})
