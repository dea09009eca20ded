"""Tensors in containers: what a cell's parameters may be made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ..tensor import Tensor
from .identity import Unknown, identity


class Structure:
    """The tensors in a value, in order, and the value again with other tensors in their places.

    A value is a tensor, a list, tuple, named tuple or dict of values, or an object with tensors
    among its attributes. Everything else in it is kept as it is.
    """

    def __init__(self, value: Any) -> None:
        self.tensors: list[Tensor] = []
        self._names: list[str] = []
        self._rest: list[Any] | None = []  # what is there besides tensors; None if unknown
        self._rebuild = self._open(value, "", ())

    @property
    def signature(self) -> Any:
        """What is the same for all values that differ in their tensors alone; None if unknown."""
        return None if self._rest is None else (tuple(self._names), tuple(self._rest))

    def named(self, name: str) -> list[tuple[str, Tensor]]:
        """Each tensor with the name of its place."""
        if self._names == [""]:
            return [(name, self.tensors[0])]
        names = [part.rpartition(".")[2] for part in self._names]
        if len(set(names)) < len(names) or any(part.isdigit() for part in names):
            names = [f"{name}{part}" for part in self._names]
        if not all(part.replace(".", "_").isidentifier() for part in names):
            names = [f"{name}.{i}" for i in range(len(names))]
        return list(zip(names, self.tensors, strict=True))

    def rebuild(self, tensors: Sequence[Any]) -> Any:
        """The value with these in place of its tensors."""
        return self._rebuild(tensors)

    def _open(
        self, value: Any, path: str, within: tuple[Any, ...]
    ) -> Callable[[Sequence[Any]], Any]:
        if isinstance(value, Tensor):
            place = len(self.tensors)
            self.tensors.append(value)
            self._names.append(path)
            return lambda tensors: tensors[place]
        for other in within:
            if value is other:  # it holds itself
                self._rest = None
                return lambda tensors: value
        inner = (*within, value)
        if isinstance(value, dict):
            self._note(path, type(value), tuple(map(repr, value)))
            items = {key: self._open(part, f"{path}.{key}", inner) for key, part in value.items()}
            return lambda tensors: _filled(value, value, items, tensors)
        if isinstance(value, (list, tuple)):
            self._note(path, type(value), len(value))
            names = getattr(value, "_fields", range(len(value)))
            pairs = zip(names, value, strict=True)
            parts = [self._open(part, f"{path}.{n}", inner) for n, part in pairs]
            make: Any = type(value)
            if hasattr(value, "_fields"):
                return lambda tensors: make(*(part(tensors) for part in parts))
            return lambda tensors: make(part(tensors) for part in parts)
        if value.__class__ is not SimpleNamespace:  # which has its attributes and nothing else
            try:
                self._note(path, identity(value))
                return lambda tensors: value
            except Unknown:
                pass
        attributes = getattr(value, "__dict__", None)
        if not attributes:
            self._rest = None  # who knows what is in there
            return lambda tensors: value
        self._note(path, type(value), tuple(attributes))
        before = len(self.tensors)
        items = {k: self._open(part, f"{path}.{k}", inner) for k, part in attributes.items()}
        if len(self.tensors) == before:
            return lambda tensors: value
        return lambda tensors: _filled(value, vars(value), items, tensors)

    def _note(self, *facts: Any) -> None:
        if self._rest is not None:
            self._rest.append(facts)


def _filled(value: Any, held: dict[Any, Any], items: dict[Any, Any], tensors: Any) -> Any:
    """A copy of a dict or an object, with new parts."""
    made = copy.copy(value)
    (made if held is value else vars(made)).update({k: part(tensors) for k, part in items.items()})
    return made
