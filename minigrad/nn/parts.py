"""The parts of a module: what its attributes hold, found anew at each look, with a name for each.

Names join attributes, keys and positions by dots. Whatever would be trained, saved or switched by
half, as it has no name or shares one, is refused by an error that says where it is.
"""

from __future__ import annotations

import dataclasses
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from functools import lru_cache, partial
from types import MappingProxyType, MethodType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Tensor
from ..fusion import PLAIN

__all__ = ["Part", "all_names", "all_parts", "holds_parts", "parts_in"]


class Part:
    """What a module consists of: parameters, buffers and modules."""

    __slots__ = ()


class _Strange(NamedTuple):
    """Parts at a place where a module doesn't look for them."""

    parts: list[Part]
    what: str  # the place is


def parts_in(holder: Any) -> Iterator[tuple[str, Part]]:
    """The parts directly in a module, through its lists, tuples and dicts, with their names."""
    return ((name, part) for name, part in _found(holder) if isinstance(part, Part))


def all_parts(module: Any) -> dict[str, Part]:
    """A module, by the empty name, and all parts within, each once and by its first name.

    Modules come before what is in them, and tensors before modules.

    Raises ValueError if two parts have one name, TypeError if one has no name.
    """
    seen: set[int] = set()  # == compares tensors by element
    first = {}
    for name, part in _walk(module, each_way=False).items():
        if id(part) not in seen:
            seen.add(id(part))
            first[name] = part
    return first


def all_names(module: Any) -> dict[str, Part]:
    """As `all_parts`, with a part that can be reached in several ways under each of its names.

    But modules from which a way leads into a circle of modules have one name.
    """
    return _walk(module, each_way=True)


def _walk(module: Any, each_way: bool) -> dict[str, Part]:
    """All parts by name; modules once, or `each_way` that leads to them."""
    walk = _Walk({"": module}, each_way)
    walk.collect("", module, (id(module),))
    seen = set(map(id, walk.named.values())) if walk.strange else ()
    for name, place in walk.strange:
        if any(id(part) not in seen for part in place.parts):
            lost = next(part for part in place.parts if id(part) not in seen)
            raise TypeError(
                f"{type(module).__name__}.{name} is {place.what} with a {type(lost).__name__} in "
                "it, which would be neither trained nor saved. Parts are found in attributes, and "
                "in lists, tuples and dicts, whose keys are strings or integers; keep it in one"
            )
    return walk.named


class _Walk:
    """Through a module and all modules within."""

    def __init__(self, named: dict[str, Part], each_way: bool) -> None:
        self.named = named
        self.strange: list[tuple[str, _Strange]] = []
        self._each_way = each_way
        self._once: set[int] = set()  # modules that are entered already, and not again

    def collect(self, path: str, module: Any, above: tuple[int, ...]) -> bool:
        """Name what is in a module; whether a way leads from it into a circle of modules."""
        within, circular = [], False
        for name, part in _found(module):
            full = f"{path}.{name}" if path else name
            if isinstance(part, Tensor):
                self.enter(full, part)
            elif isinstance(part, _Strange):
                self.strange.append((full, part))
            else:
                within.append((full, part))
        for full, part in within:
            if id(part) in above or id(part) in self._once:
                circular = True
            else:
                self.enter(full, part)
                circular |= self.collect(full, part, (*above, id(part)))
        if circular or not self._each_way:
            self._once.add(id(module))
        return circular

    def enter(self, full: str, part: Any) -> None:
        """Give a part a name that no other has."""
        if (first := self.named.setdefault(full, part)) is not part:
            raise ValueError(
                f"two parts of {type(self.named['']).__name__} have the name {full!r}, a "
                f"{type(first).__name__} and a {type(part).__name__}, so one of them could not be "
                "saved. Names join attributes and keys by dots: rename one, best without a dot in "
                "it"
            )


def _found(holder: Any, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """What is directly in a module or a container: parts, and strange places of parts."""
    items: Any
    if isinstance(holder, (list, tuple)):
        items = enumerate(holder)
    elif isinstance(holder, dict):
        items = holder.items()
        if any(isinstance(key, Part) for key in holder):
            keys = [key for key in holder if isinstance(key, Part)]
            yield prefix.removesuffix("."), _Strange(keys, "a dict whose keys are parts,")
    else:
        items = vars(holder).items()
    for key, value in items:
        if value.__class__ in PLAIN:
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Part):
            if key.__class__ is str:
                yield name, value
                continue
            inside: Any = ((name, value),)
        elif isinstance(value, (list, tuple, dict)):
            if id(value) in above:  # a circle
                continue
            inside = _found(value, f"{name}.", (*above, id(value)))
        elif (look := _look(value.__class__)) is None:
            continue
        else:
            parts = _hidden(look(value), (id(value),))
            inside = ((name, _Strange(parts, f"a {type(value).__name__}")),) if parts else ()
        if _is_key(key):
            yield from inside
        else:
            for name, part in inside:
                held = [part] if isinstance(part, Part) else part.parts
                yield name, _Strange(held, f"under the key {key!r:.40}, which is no name,")


def _is_key(key: Any) -> bool:
    """Whether a key is the same text in each process."""
    if isinstance(key, tuple):
        return all(map(_is_key, key))
    return isinstance(key, (str, int, np.integer))


def holds_parts(value: Any) -> bool:
    """Whether a value is a part, or has some in it."""
    if isinstance(value, Part):
        return True
    look = _look(value.__class__, own=True)
    return look is not None and bool(_hidden(look(value), (id(value),)))


def _hidden(values: Any, above: tuple[int, ...]) -> list[Part]:
    """All parts in some values, through containers of any kind."""
    parts: list[Part] = []
    for value in values:
        if isinstance(value, Part):
            parts.append(value)
        elif id(value) not in above and (look := _look(value.__class__, own=True)) is not None:
            parts += _hidden(look(value), (*above, id(value)))
    return parts


@lru_cache(maxsize=1000)
def _look(kind: type, own: bool = False) -> Callable[[Any], Any] | None:
    """What gives the values in a container of this kind; None if it is none.

    Lists, tuples and dicts, in which a module looks for parts, are containers if `own`.
    """
    if issubclass(kind, (list, tuple)):
        return iter if own else None
    if issubclass(kind, dict):
        return _keys_and_values if own else None
    if issubclass(kind, (set, frozenset, deque, UserList, KeysView, ValuesView)):
        return iter
    if issubclass(kind, ItemsView):
        return lambda value: [part for pair in value for part in pair]
    if issubclass(kind, (UserDict, ChainMap, MappingProxyType)):
        return _keys_and_values
    if issubclass(kind, SimpleNamespace):
        return lambda value: vars(value).values()
    if issubclass(kind, MethodType):
        return lambda value: (value.__self__,)
    if issubclass(kind, partial):
        return lambda value: (value.func, *value.args, *value.keywords.values())
    if issubclass(kind, np.ndarray):
        return lambda value: value.flat if value.dtype.hasobject else ()
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return lambda value: [getattr(value, name, None) for name in names]
    return None


def _keys_and_values(value: Any) -> Any:
    return (*value.keys(), *value.values())
