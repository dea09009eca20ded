"""Parameter trees: the tensors and numbers in what a cell reads; copies of it with others."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import is_
from types import SimpleNamespace
from typing import Any, NoReturn

from ..engine.tensor import Tensor
from ..engine.wrapping import alias
from ..errors import Untraceable
from .cache_key import identity
from .static_lookup import ABSENT, attributes_of, held, is_fixed, slot, slots
from .symbolic_numbers import may_change
from .value_key import Unknown

_PLAIN: set[type] = {dict, list, tuple, SimpleNamespace}
_Rebuild = Callable[[Sequence[Any], Sequence[Any]], Any]  # from tensors and numbers


class ParameterTree:
    """The tensors in a value, in order, and the value again with other tensors in their places.

    A value is a tensor, a list, tuple, named tuple or dict of values, or an object with values as
    its attributes. Everything else in it is kept as it is; what can't be compared between calls
    becomes something that refuses to be used.

    Attributes
    ----------
    tensors : those in the value.
    kinds : their classes.
    numbers : the floats in it of which a kernel may take any value.
    opened : by their id, the tensors, containers and objects in it that were looked into.
    has_classes : whether some of these are of classes of which more than attributes may be read.
    signature : equal for all values that differ in their tensors and numbers alone. What objects
        find in their classes is no part of it: `identity` looks at that.
    """

    def __init__(self, value: Any) -> None:
        self.tensors: list[Tensor] = []
        self.kinds: list[type[Tensor]] = []
        self.numbers: list[float] = []
        self.opened: dict[int, Any] = {}
        self.has_classes = False
        self._names: list[str] = []
        self._copies: list[tuple[Any, list[Any]]] = []
        self._attributes: tuple[str, ...] | None = None
        if type(value) is SimpleNamespace and self._take_attributes(value):
            return
        self._places: dict[int, str] = {}  # by id, where a container or object was met first
        self._rest: list[Any] = []  # what is there besides tensors
        self._replaced = 0  # how many parts a rebuilt value has of its own
        self._rebuild = self._open(value, "", ())
        self.signature: Any = (tuple(self._names), tuple(self.kinds), tuple(self._rest))

    def _take_attributes(self, value: SimpleNamespace) -> bool:
        """The short way of most layers' parameters: attributes that are tensors or None.

        It is not taken, and notes nothing, if there are others.
        """
        attributes = value.__dict__
        found = {k: v for k, v in attributes.items() if isinstance(v, Tensor)}
        nothing = [k for k, v in attributes.items() if v is None]
        if not found or len(found) + len(nothing) < len(attributes):
            return False
        self.tensors += found.values()
        self.kinds += map(type, self.tensors)
        self._names += found
        self._attributes = tuple(attributes)
        self.opened[id(value)] = value
        for x in self.tensors:
            self.opened[id(x)] = x
        self.signature = SimpleNamespace, self._attributes, tuple(found), tuple(self.kinds)
        return True

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

    def rebuild(self, tensors: Sequence[Any], numbers: Sequence[Any] | None = None) -> Any:
        """The value with these in place of its tensors, and maybe of its numbers."""
        self._copies.clear()
        if self._attributes is not None:
            given = dict.fromkeys(self._attributes) | dict(zip(self._names, tensors, strict=True))
            return self._note(SimpleNamespace(**given))
        return self._rebuild(tensors, self.numbers if numbers is None else numbers)

    def check(self) -> None:
        """Refuse if the containers and objects of the rebuilt value were written to."""
        for made, before in self._copies:
            now = _parts_of(made)
            if len(now) != len(before) or not all(map(is_, now, before)):
                raise Untraceable("it writes to its parameters, and a kernel would not")

    def release(self) -> None:
        """Let the tensors go that the value holds itself; `rebuild` goes on working."""
        self.tensors.clear()
        self.opened.clear()

    def _note(self, made: Any) -> Any:
        """Remember what a new container or object is like."""
        self._copies.append((made, _parts_of(made)))
        return made

    def _with_items(
        self, value: Any, items: dict[Any, _Rebuild], own: dict[str, _Rebuild], given: Any
    ) -> Any:
        """A copy of a dict, with new parts."""
        made = copy.copy(value)
        made.update({k: part(*given) for k, part in items.items()})
        for name, part in own.items():
            object.__setattr__(made, name, part(*given))
        return self._note(made)

    def _with_parts(
        self, make: Any, parts: list[_Rebuild], own: dict[str, _Rebuild], given: Any
    ) -> Any:
        """A list or tuple of new parts."""
        made = make(part(*given) for part in parts)
        for name, part in own.items():
            object.__setattr__(made, name, part(*given))
        return self._note(made)

    def _with_attributes(self, value: Any, items: dict[str, _Rebuild], given: Any) -> Any:
        """A copy of an object, with new parts."""
        made = copy.copy(value)
        held = getattr(made, "__dict__", {})
        for name, part in items.items():
            if name in held:
                held[name] = part(*given)
            else:  # a slot
                object.__setattr__(made, name, part(*given))
        return self._note(made)

    def _open(self, value: Any, path: str, within: tuple[int, ...]) -> _Rebuild:
        if isinstance(value, Tensor):
            place = len(self.tensors)
            self.tensors.append(value)
            self.kinds.append(type(value))
            self._names.append(path)
            self.opened[id(value)] = value
            self._replaced += 1
            return lambda tensors, numbers: tensors[place]
        attributes: dict[str, Any] | None
        keys: Any = None
        if isinstance(value, (dict, list, tuple)):
            attributes = None
            if isinstance(value, dict):
                try:
                    keys = tuple(k if type(k) is str else identity(k) for k in value)
                except Unknown:
                    return self._kept(value, path)
        elif type(value) is SimpleNamespace:
            attributes = value.__dict__
        else:
            attributes = attributes_of(value)
            if attributes is None:
                return self._kept(value, path)
        if id(value) in within:  # it holds itself
            self._rest.append((path, self._places[id(value)]))
            return lambda tensors, numbers: value
        within = (*within, id(value))
        if type(value) not in _PLAIN:
            self.has_classes = True
        self.opened[id(value)] = value
        shared = self._places.setdefault(id(value), path)
        before = self._replaced
        if attributes is not None:
            self._rest.append((path, shared, type(value), tuple(attributes)))
            items = {k: self._open(v, f"{path}.{k}", within) for k, v in attributes.items()}
            if self._replaced == before:
                return lambda tensors, numbers: value
            return lambda *given: self._with_attributes(value, items, given)
        own = {k: self._open(v, f"{path}.{k}", within) for k, v in _own(value).items()}
        if isinstance(value, dict):
            self._rest.append((path, shared, type(value), keys, tuple(own)))
            items = {k: self._open(v, f"{path}.{k}", within) for k, v in value.items()}
            if self._replaced == before:
                return lambda tensors, numbers: value
            return lambda *given: self._with_items(value, items, own, given)
        self._rest.append((path, shared, type(value), len(value), tuple(own)))
        fields = getattr(value, "_fields", range(len(value)))
        pairs = zip(fields, value, strict=True)
        parts = [self._open(v, f"{path}.{name}", within) for name, v in pairs]
        if self._replaced == before:
            return lambda tensors, numbers: value
        make: Any = getattr(type(value), "_make", type(value))
        return lambda *given: self._with_parts(make, parts, own, given)

    def _kept(self, value: Any, path: str) -> _Rebuild:
        """What is no container: itself, if it can be compared."""
        if may_change(value):
            place = len(self.numbers)
            self.numbers.append(value)
            self._rest.append((path, "a number"))
            self._replaced += 1
            return lambda tensors, numbers: numbers[place]
        try:
            self._rest.append((path, identity(value, name=f"params{path}")))
        except Unknown as unknown:
            self._rest.append((path, type(value)))
            self._replaced += 1
            text = str(unknown)
            return lambda tensors, numbers: Unusable(text)
        return lambda tensors, numbers: value


class Unusable:
    """What stands in a cell's parameters for something that it must not use."""

    def __init__(self, reason: str) -> None:
        object.__setattr__(self, "_reason", reason)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Untraceable(object.__getattribute__(self, "_reason"))

    __getattribute__ = __setattr__ = __delattr__ = _refuse
    __call__ = __bool__ = __iter__ = __next__ = __len__ = __getitem__ = __setitem__ = _refuse
    __enter__ = __exit__ = __contains__ = __float__ = __int__ = __index__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = __repr__ = __str__ = __format__ = _refuse


def why_not_plain(tensors: Sequence[Tensor]) -> str:
    """A reason to refuse tensors of a class of the user's, which may compute what it likes."""
    for kind in {*map(type, tensors)} - {Tensor}:
        if not is_fixed(kind.__module__):
            return f"it is given a {kind.__name__}, and only minigrad's own tensors can be compiled"
    return ""


def _own(container: Any) -> dict[str, Any]:
    """What a container of a class of the user's holds besides its items."""
    if type(container) in _PLAIN:
        return {}
    found = {d.__name__: slot(d, container) for d in slots(type(container))}
    if isinstance(container, defaultdict):
        found["default_factory"] = container.default_factory
    return held(container) | {k: v for k, v in found.items() if v is not ABSENT}


def _parts_of(made: Any) -> list[Any]:
    """All that a container or an object holds."""
    if isinstance(made, (dict, list, tuple)):
        own = _own(made)
        items = [*made, *made.values()] if isinstance(made, dict) else made
        return [*items, *own, *own.values()]
    found = attributes_of(made) or {}
    return [*found, *found.values()]


def read_outside(
    cell: Any, params: Any, xs: Any, state: Any, p: ParameterTree | None = None
) -> Any:
    """All that a cell reads besides the numbers in tensors, as something to compare.

    `p` is the structure of `params`. Raises `Unknown` if the cell can't be compared.
    """
    p = p or ParameterTree(params)
    known, covered, has_classes = {0: params}, p.opened, p.has_classes
    for i, given in enumerate((xs, state), 1):
        if type(given) not in (Tensor, tuple, list):  # of a class with something of its own
            known[i], has_classes = given, True
            covered = {**covered, **ParameterTree(given).opened}
    return identity(cell, known, covered, has_classes), p.signature


def of_kind(kind: type[Tensor], x: Tensor) -> Tensor:
    """An alias that is a parameter if the argument was; without a `.grad` if `x` has none."""
    made = alias(x)
    made.__class__ = kind
    if not hasattr(x, "grad"):
        del made.grad
    return made
