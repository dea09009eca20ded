"""Arrays with an axis that their function doesn't see: a row per example."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import Untraceable


class Rows:
    """An array per example: `data` is one of the other backend, its first axis is hidden.

    Attributes
    ----------
    data : (N, *shape), or (1, *shape) if it is the same for all examples.
    owner : the `BatchedBackend` that made it.
    lead : the size of the hidden axis.
    """

    __slots__ = ("data", "owner")

    __array_ufunc__ = None  # NumPy leaves mixed operators to us
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Any, owner: Any) -> None:
        self.data, self.owner = data, owner

    @property
    def lead(self) -> int:
        """The size of the hidden axis: that of the batch, or 1."""
        return self.data.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example's array."""
        return self.data.shape[1:]

    @property
    def dtype(self) -> Any:
        """The type of its elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """How many axes one example's array has."""
        return self.data.ndim - 1

    def __neg__(self) -> Rows:
        return Rows(-self.data, self.owner)

    def __repr__(self) -> str:
        return f"<{self.lead} examples of {self.dtype}{list(self.shape)}>"


def _operator(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Rows], ...]:
    def method(self: Rows, other: Any) -> Rows:
        a, b = aligned((self, other))
        return Rows(function(a, b), self.owner)

    def reflected(self: Rows, other: Any) -> Rows:
        a, b = aligned((other, self))
        return Rows(function(a, b), self.owner)

    return method, reflected


for _name in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod", "and", "or", "xor"):
    _direct, _reflected = _operator(getattr(operator, f"{_name}_" if _name in "and or" else _name))
    setattr(Rows, f"__{_name}__", _direct)
    setattr(Rows, f"__r{_name}__", _reflected)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Rows, f"__{_name}__", _operator(getattr(operator, _name))[0])


def _refuse(self: Rows, *args: Any, **settings: Any) -> Any:
    raise Untraceable("it reads numbers, which differ between examples")


for _name in ("array", "float", "int", "bool", "index", "len", "iter", "contains", "getitem"):
    setattr(Rows, f"__{_name}__", _refuse)


def data_of(x: Any, ndim: int) -> Any:
    """The array behind x, with axes of size 1 before its own up to `ndim`; numbers as they are."""
    if not isinstance(x, Rows):
        return x
    if x.ndim == ndim:
        return x.data
    return x.owner.base.reshape(x.data, (x.lead, *[1] * (ndim - x.ndim), *x.shape))


def aligned(values: Sequence[Any]) -> list[Any]:
    """Arrays that broadcast as the examples' own would."""
    for x in values:
        if not isinstance(x, (Rows, int, float, np.generic, type(None))):
            raise Untraceable(f"it calculates with a {type(x).__name__} from outside")
    ndim = max(x.ndim for x in values if isinstance(x, Rows))
    return [data_of(x, ndim) for x in values]
