"""Tensors in containers: what a cell's parameters, inputs and state may be made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor


class Structure:
    """The tensors in a value, in order, and the value again with other tensors in their places.

    A value is a tensor, a list, tuple, named tuple or dict of values, or an object with tensors
    among its attributes. Everything else in it is kept as it is.
    """

    def __init__(self, value: Any) -> None:
        self.tensors: list[Tensor] = []
        self._names: list[str] = []
        self._constants: list[Any] | None = []
        self._rebuild = self._open(value, "")

    @property
    def signature(self) -> Any:
        """What is the same for all values that differ in their tensors alone; None if unknown."""
        if self._constants is None:
            return None
        return tuple(self._names), tuple(self._constants)

    def named(self, name: str) -> list[tuple[str, Tensor]]:
        """Each tensor with the name of its place."""
        if self._names == [""]:
            return [(name, self.tensors[0])]
        short = [part.rpartition(".")[2] for part in self._names]
        if len(set(short)) == len(short) and not any(part.isdigit() for part in short):
            return list(zip(short, self.tensors, strict=True))
        return [(f"{name}{part}", t) for part, t in zip(self._names, self.tensors, strict=True)]

    def rebuild(self, tensors: Sequence[Any]) -> Any:
        """The value with these in place of its tensors."""
        return self._rebuild(tensors)

    def _open(self, value: Any, path: str) -> Callable[[Sequence[Any]], Any]:
        if isinstance(value, Tensor):
            place = len(self.tensors)
            self.tensors.append(value)
            self._names.append(path)
            return lambda tensors: tensors[place]
        if isinstance(value, dict):
            parts = {key: self._open(part, f"{path}.{key}") for key, part in value.items()}
            return lambda tensors: {key: part(tensors) for key, part in parts.items()}
        if isinstance(value, (list, tuple)):
            names = getattr(value, "_fields", range(len(value)))
            items = [self._open(part, f"{path}.{n}") for n, part in zip(names, value, strict=True)]
            make: Any = type(value)
            if hasattr(value, "_fields"):
                return lambda tensors: make(*(item(tensors) for item in items))
            return lambda tensors: make(item(tensors) for item in items)
        if isinstance(value, (int, float, str, type(None))):
            if self._constants is not None:
                self._constants.append((path, type(value), value))
            return lambda tensors: value
        attributes = None if isinstance(value, type) else getattr(value, "__dict__", None)
        if not attributes:
            self._constants = None  # who knows what is in there
            return lambda tensors: value
        before = len(self.tensors)
        opened = {key: self._open(part, f"{path}.{key}") for key, part in attributes.items()}
        if len(self.tensors) == before:
            return lambda tensors: value

        def again(tensors: Sequence[Any]) -> Any:
            made = copy.copy(value)
            vars(made).update({key: part(tensors) for key, part in opened.items()})
            return made

        return again
