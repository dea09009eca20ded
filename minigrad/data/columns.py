"""Columns: what all examples have at one place, ready to give some of it as a part of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.tensor import Tensor
from ..utils.arguments import is_number
from .padding import as_arrays, check_padding, pad_arrays


class Rows:
    """A column that is one array: its examples lie along the first axis."""

    lengths: np.ndarray | None = None

    def __init__(self, name: str, values: Any) -> None:
        self.values = values
        if not values.ndim:
            raise TypeError(f"{name} is a single number; a column has something for each example")

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def take(self, rows: np.ndarray, batch_first: bool) -> list[Any]:
        """The examples at some positions: a tensor (N, ...)."""
        return [self.values[rows] if isinstance(self.values, Tensor) else tensor(self.values[rows])]


class Sequences:
    """A column of sequences of any lengths; `lengths` says how many steps each has."""

    def __init__(self, name: str, values: Sequence[Any], padding_value: Any) -> None:
        self.values, self.padding_value = as_arrays(name, values), padding_value
        if self.values:
            check_padding(name, padding_value, self.values[0].dtype)
        self.lengths = np.array([len(sequence) for sequence in self.values], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray, batch_first: bool) -> list[Any]:
        """The examples at some positions: a tensor (T, N, ...), and the lengths (N,)."""
        sequences = [self.values[row] for row in rows]
        padded = pad_arrays(sequences, self.padding_value, batch_first)
        return [tensor(padded), self.lengths[rows]]


def as_column(
    asked_by: str, key: Any, values: Any, is_sequences: bool | None = None, padding_value: Any = 0
) -> Rows | Sequences:
    """A column, called `key`, of what a user gave; without `is_sequences`, lists are sequences.

    Raises TypeError or ValueError for what holds no numbers, or does not fit together.
    """
    name = f"{asked_by}: column {key!r}"
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = list(values)
    if isinstance(values, (Tensor, np.ndarray)):
        if not is_sequences:
            return Rows(name, values)
        values = list(values.detach().numpy() if isinstance(values, Tensor) else values)
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"{name} must be an array, a tensor or a list, with something for each example; got "
            f"{type(values).__name__} {values!r:.40}"
        )
    singles = [_is_single(value) for value in values]
    if any(singles) and not all(singles):
        odd = singles.index(not singles[0])
        raise TypeError(
            f"{name} must have a number for each example, or a sequence for each; number 0 is "
            f"{values[0]!r:.40}, number {odd} is {values[odd]!r:.40}"
        )
    if is_sequences is None:
        is_sequences = not all(singles)
    if is_sequences:
        return Sequences(name, values, padding_value)
    if all(singles):
        numbers = [value.item() if isinstance(value, Tensor) else value for value in values]
        return Rows(name, tensor(numbers, backend="numpy").numpy())
    arrays = as_arrays(name, values)
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"{name} has examples of different shapes: number 0 has {arrays[0].shape}, number "
                f"{i} {array.shape}. Sequences are padded if you name them: sequences=[{key!r}]"
            )
    return Rows(name, np.stack(arrays))


def _is_single(value: Any) -> bool:
    is_one = is_number(value) and getattr(value, "ndim", 0) == 0
    return is_one or isinstance(value, (bool, np.bool_))


def select(values: Any, rows: np.ndarray) -> Any:
    """Some examples of a column, in the form in which it was given."""
    if isinstance(values, (list, tuple)):
        return [values[row] for row in rows]
    return values[rows]
