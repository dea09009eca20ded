"""The number of elements of a tensor, which PyTorch's users call: `x.size(0)`."""

from __future__ import annotations

from typing import NoReturn

from .table import ROWS


class Size(int):
    """An integer that says what to write if it is called.

    >>> Size(6) + 1
    7
    >>> Size(6)(0)
    Traceback (most recent call last):
    TypeError: x.size is a number: write x.shape[0]. ...
    """

    __slots__ = ()

    def __call__(self, *args: object, **options: object) -> NoReturn:
        """Say what to write."""
        raise TypeError(f"x.size is a number: {ROWS['x.size'].text('size')}")

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)
