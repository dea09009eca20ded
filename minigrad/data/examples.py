"""What loaders and splits are given: columns, one column, or examples one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .columns import Rows, Sequences, as_column


def is_column(data: Any) -> bool:
    """Whether data are one column, and no examples of several fields."""
    if isinstance(data, list):
        return not (data and isinstance(data[0], (tuple, Mapping)))
    return isinstance(data, (np.ndarray, Tensor))


class Settings:
    """Which columns are sequences, and what they are padded with, as a user says it."""

    def __init__(self, asked_by: str, sequences: Any, padding_value: Any) -> None:
        self.asked_by, self.padding_value = asked_by, padding_value
        if isinstance(sequences, (str, int)):
            sequences = [sequences]
        self.sequences = None if sequences is None else list(sequences)

    def check(self, names: list[Any]) -> None:
        """Raise unless what the user says is about columns of these names."""
        strange = [name for name in self.sequences or () if name not in names]
        padded = self.padding_value
        if isinstance(padded, Mapping):
            strange += [name for name in padded if name not in names]
        if strange:
            raise ValueError(
                f"{self.asked_by}: there is no column {strange[0]!r:.40}; there are "
                f"{', '.join(map(repr, names))}"
            )
        if isinstance(padded, (tuple, list)) and len(padded) != len(names):
            raise ValueError(
                f"{self.asked_by}: padding_value has {len(padded)} entries for {len(names)} columns"
            )

    def column(self, name: Any, values: Any, stacked: bool = False) -> Rows | Sequences:
        """A column by its name or position; with `stacked` only those that are named are padded."""
        padded = self.padding_value
        if isinstance(padded, Mapping):
            padded = padded.get(name, 0)
        elif isinstance(padded, (tuple, list)):
            padded = padded[name]
        is_sequences = None if self.sequences is None else name in self.sequences
        if is_sequences is None and stacked:
            is_sequences = False
        padded = 0 if padded is None else padded
        return as_column(self.asked_by, name, values, is_sequences, padded)


def common_length(asked_by: str, columns: Mapping[Any, Any]) -> int:
    """How many examples there are in columns, all of which have something for each of them."""
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"column {name!r} has {size}" for name, size in sizes.items())
        raise ValueError(f"{asked_by}: columns have something for each example; {found}")
    return next(iter(sizes.values()), 0)


class Columns:
    """Examples of which all is there: columns of one length, by name or position."""

    def __init__(self, data: Any, settings: Settings) -> None:
        self.kind: type = dict if isinstance(data, Mapping) else tuple
        stacked = False
        if isinstance(data, list) and not is_column(data):
            data, stacked = _transposed(settings.asked_by, data), True
            self.kind = type(data)
        elif is_column(data):
            self.kind, data = list, (data,)  # a list of parts, which need no tuple around one
        parts = dict(data) if self.kind is dict else dict(enumerate(data))
        settings.check([*parts])
        self.columns = {
            name: settings.column(name, values, stacked and not _are_lists(values))
            for name, values in parts.items()
        }
        self.count = common_length(settings.asked_by, self.columns)
        self.lengths = [c.lengths for c in self.columns.values() if c.lengths is not None]
        for name, column in self.columns.items() if self.kind is dict else ():
            if column.lengths is not None and f"{name}_lengths" in self.columns:
                raise ValueError(
                    f"{settings.asked_by}: the lengths of column {name!r} are called "
                    f"'{name}_lengths', which is a column, too; give it another name"
                )

    def take(self, rows: np.ndarray, batch_first: bool) -> Any:
        """A batch of the examples at some positions."""
        taken = {name: column.take(rows, batch_first) for name, column in self.columns.items()}
        if self.kind is dict:
            batch: dict[Any, Any] = {}
            for name, found in taken.items():
                batch |= zip((name, f"{name}_lengths"), found, strict=False)
            return batch
        parts = tuple(part for found in taken.values() for part in found)
        return parts[0] if self.kind is list and len(parts) == 1 else parts


class Dataset:
    """Examples that an object gives one by one, when they are asked for."""

    lengths: tuple[np.ndarray, ...] = ()

    def __init__(self, data: Any, settings: Settings) -> None:
        self.data, self.settings, self.count = data, settings, len(data)

    def take(self, rows: np.ndarray, batch_first: bool) -> Any:
        """A batch of the examples at some positions."""
        found = [self.data[int(row)] for row in rows]
        if found and not isinstance(found[0], (tuple, Mapping)):
            found = [(example,) for example in found]
            batch = Columns(found, self.settings).take(np.arange(len(found)), batch_first)
            return batch[0] if len(batch) == 1 else batch
        return Columns(found, self.settings).take(np.arange(len(found)), batch_first)


def _are_lists(values: list[Any]) -> bool:
    return all(isinstance(value, list) for value in values)


def _transposed(asked_by: str, examples: list[Any]) -> Any:
    """Columns of examples that are tuples or dicts."""
    first = examples[0]
    for i, example in enumerate(examples):
        like = (
            isinstance(example, Mapping)
            if isinstance(first, Mapping)
            else (isinstance(example, tuple) and len(example) == len(first))
        )
        if not like or (isinstance(first, Mapping) and example.keys() != first.keys()):
            raise ValueError(
                f"{asked_by}: examples have the same fields; number 0 is {first!r:.60}, number {i} "
                f"is {example!r:.60}. A sequence is a list, an array or a tensor, and no tuple"
            )
    if isinstance(first, Mapping):
        return {name: [example[name] for example in examples] for name in first}
    return tuple([example[i] for example in examples] for i in range(len(first)))


def examples_of(asked_by: str, data: Any, sequences: Any, padding_value: Any) -> Columns | Dataset:
    """What a user gave as data, with all checks that need no examples of a data set."""
    check_data(asked_by, data)
    settings = Settings(asked_by, sequences, padding_value)
    if isinstance(data, (tuple, list, Mapping)) or is_column(data):
        return Columns(data, settings)
    return Dataset(data, settings)


def check_data(asked_by: str, data: Any) -> None:
    """Raise for what are no data at all."""
    if isinstance(data, (tuple, Mapping)) and not data:
        raise ValueError(f"{asked_by}: there are no columns")
    if isinstance(data, (np.ndarray, Tensor)) and not data.ndim:
        raise TypeError(f"{asked_by} takes something for each example; got a single number")
    is_dataset = hasattr(type(data), "__len__") and hasattr(type(data), "__getitem__")
    if is_dataset and not isinstance(data, (str, bytes)):
        return
    raise TypeError(
        f"{asked_by} takes columns, as in (inputs, labels), a list of examples, or an object with "
        f"len() that gives examples by position; got {type(data).__name__} {data!r:.40}"
    )
