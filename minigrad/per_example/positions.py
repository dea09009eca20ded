"""Indices that read positions, for arrays of which one axis is hidden."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import Untraceable
from .rows import Rows, data_of


class Positions:
    """An index with arrays in it, of the examples' own arrays.

    The base backend's arrays are indexed by the number of the example as well. That is an array,
    so NumPy puts the axes that arrays stand for first: the examples, then those of the positions.
    In one example's result they may come later.

    Attributes
    ----------
    lead : how many examples have positions that differ, or 1.
    ndim : how many axes one example's result has.
    """

    def __init__(self, parts: Iterable[Any], ndim: int, owner: Any) -> None:
        self._owner = owner
        self._parts = list(self._spelled_out(parts, ndim))
        arrays = [part for part in self._parts if isinstance(part, Rows)]
        picks = [i for i, part in enumerate(self._parts) if not _is_kept(part)]
        self._shape = np.broadcast_shapes(*(x.shape for x in arrays))
        self.lead = max(x.lead for x in arrays)
        self.ndim = len(self._shape) + len(self._parts) - len(picks)
        together = picks == list(range(picks[0], picks[0] + len(picks)))
        self._place = picks[0] if together else 0  # so many other axes come before

    def index(self, lead: int, differs: bool = True) -> tuple[Any, ...]:
        """For an array (lead, ...), or (1, ...) which no example differs in."""
        n = len(self._shape)
        examples = (np.arange(lead) if differs else np.zeros(lead, int)).reshape(lead, *[1] * n)
        parts = (data_of(part, n) if isinstance(part, Rows) else part for part in self._parts)
        return (self._owner.base.index_array(examples), *parts)

    def from_front(self, ndim: int) -> tuple[int, ...]:
        """How to order the axes of what was found, so that they are one example's."""
        n, place = len(self._shape), self._place
        others = range(1 + n, 1 + n + place)
        return (0, *others, *range(1, 1 + n), *range(1 + n + place, ndim))

    def to_front(self, ndim: int) -> tuple[int, ...]:
        """The other way round."""
        n, place = len(self._shape), self._place
        picked = range(1 + place, 1 + place + n)
        return (0, *picked, *range(1, 1 + place), *range(1 + place + n, ndim))

    def _spelled_out(self, parts: Iterable[Any], ndim: int) -> Iterator[Any]:
        """The parts with one for each axis, and positions in place of truth values."""
        plain: list[Any] = []
        for part in parts:
            if isinstance(part, Rows) and part.dtype.kind == "b":
                if part.lead != 1 or not part.ndim:
                    raise Untraceable("it picks by truth values, which differ between examples")
                mask = self._owner.to_host(part)
                plain += [self._owner.index_array(at) for at in np.nonzero(mask)]
            else:
                plain.append(part)
        count = sum(part is not None and part is not ... for part in plain)
        if not any(part is ... for part in plain):
            plain.append(...)
        for part in plain:
            if part is ...:
                yield from [slice(None)] * (ndim - count)
            else:
                yield part


def _is_kept(part: Any) -> bool:
    """Whether a part of an index gives an axis of its own, rather than picks."""
    return part is None or isinstance(part, slice)
