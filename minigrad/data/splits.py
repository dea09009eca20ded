"""Examples in several parts at random: for training, validation and test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..utils.arguments import is_number
from .columns import select
from .examples import check_data, common_length, is_column
from .loader import seed_of

__all__ = ["random_split"]


class Part:
    """Some examples of a data set, each fetched when it is asked for."""

    def __init__(self, data: Any, rows: np.ndarray) -> None:
        self.data, self.rows = data, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.data[int(self.rows[i])]


def random_split(data: Any, lengths: Sequence[float], seed: int | None = None) -> list[Any]:
    """Data in parts at random, each example in one of them, in the form of the data.

    Parameters
    ----------
    data : what `DataLoader` takes.
    lengths : how many examples each part has; or shares that add up to 1, where examples that are
        left over go to the first parts.
    seed : what the parts follow from. Without it `mg.manual_seed` decides.

    Raises ValueError for lengths that do not add up.

    >>> x, y = np.arange(10.0), np.arange(10) % 2
    >>> train, test = mg.data.random_split((x, y), [0.8, 0.2], seed=0)
    >>> len(train[0]), test
    (8, (array([8., 1.]), array([0, 1])))
    """
    name = "random_split"
    check_data(name, data)
    if isinstance(data, (tuple, Mapping)):
        columns = data if isinstance(data, Mapping) else dict(enumerate(data))
        count = common_length(name, columns)
    else:
        count = len(data)
    sizes = _sizes(name, lengths, count)
    order = np.random.default_rng(seed_of(name, seed)).permutation(count)
    return [_part(data, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]


def _sizes(asked_by: str, lengths: Any, count: int) -> list[int]:
    what = f"{asked_by}: lengths are numbers of examples, or shares that add up to 1"
    if not isinstance(lengths, Sequence) or isinstance(lengths, str) or not lengths:
        raise TypeError(f"{what}, in a list; got {type(lengths).__name__} {lengths!r:.40}")
    if not all(is_number(n) and n >= 0 for n in lengths):
        raise ValueError(f"{what}; got {lengths!r:.60}")
    if sum(lengths) == count and all(float(n).is_integer() for n in lengths):
        return [int(n) for n in lengths]
    if not math.isclose(sum(lengths), 1.0):
        raise ValueError(f"{what}; there are {count} examples, and {lengths!r:.60} is neither")
    sizes = [math.floor(count * share) for share in lengths]
    for i in range(count - sum(sizes)):
        sizes[i % len(sizes)] += 1
    return sizes


def _part(data: Any, rows: np.ndarray) -> Any:
    if isinstance(data, Mapping):
        return {name: select(values, rows) for name, values in data.items()}
    if isinstance(data, tuple):
        return tuple(select(values, rows) for values in data)
    return select(data, rows) if is_column(data) or isinstance(data, list) else Part(data, rows)
