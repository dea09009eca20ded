"""Modules that hold others in an order that may change: `Sequential`, `ModuleList`, `ModuleDict`.

An item is an attribute like any other, so it is found as all parts are; a container also keeps the
names of its items in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, ClassVar, Self

from ..utils.spelling import nearest
from .module import Module
from .parts import parts_in

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Container(Module):
    """Items by name; a module that is set as an attribute becomes the last one, as in PyTorch."""

    __slots__ = ("_item_names",)  # and so no attribute in which parts are looked for

    _item_names: list[str]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        object.__setattr__(made, "_item_names", [])  # also if a subclass sets attributes first
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._item_names:
            self._check(name, value)
        super().__setattr__(name, value)
        if isinstance(value, Module) and name not in self._item_names:
            self._item_names.append(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in self._item_names:
            self._item_names.remove(name)

    def _set_item(self, name: str, item: Any) -> None:
        """Set an item under a name; a new one comes last."""
        self._check(name, item)
        if name not in self._item_names:
            name = self._new_name(type(self).__name__, name, Module)
        setattr(self, name, item)
        if name not in self._item_names:  # a function
            self._item_names.append(name)

    def _check(self, name: str, item: Any) -> None:
        """Raise unless this may be an item."""
        if not isinstance(item, Module):
            raise self._wrong(name, item, "not a module")

    def _wrong(self, name: str, item: Any, what: str) -> TypeError:
        kind = type(self).__name__
        if isinstance(item, type) and issubclass(item, Module):
            return TypeError(
                f"{kind}: item {name} is the class {item.__name__}; write {item.__name__}(...)"
            )
        return TypeError(f"{kind}: item {name} is {what}, but {item!r:.60}")

    def _items(self) -> list[tuple[str, Any]]:
        return [(name, vars(self)[name]) for name in self._item_names]

    def __len__(self) -> int:
        return len(self._item_names)

    def _shown(self) -> Iterator[tuple[str, Any]]:
        modules = ((name, part) for name, part in parts_in(self) if isinstance(part, Module))
        return iter((dict(self._items()) | dict(modules)).items())


class _ListOfModules(_Container, MutableSequence[Any]):
    """Items by position: their names are their positions, or were given and stay."""

    def __iter__(self) -> Iterator[Any]:
        return iter([item for _, item in self._items()])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._made_of(self._items()[index])
        return vars(self)[self._name_at(index)]

    def __setitem__(self, index: Any, item: Any) -> None:
        if isinstance(index, slice):
            items = self._items()
            items[index] = [("0", new) for new in item]
            self._rearrange(items)
        else:
            self._set_item(self._name_at(index), item)

    def __delitem__(self, index: Any) -> None:
        items = self._items()
        if not isinstance(index, slice):
            self._name_at(index)
        del items[index]
        self._rearrange(items)

    def insert(self, index: int, value: Any) -> None:
        """Put an item before the one at this position; those behind it move on.

        >>> layers = mg.nn.ModuleList([mg.nn.ReLU()])
        >>> layers.insert(0, mg.nn.Tanh())
        >>> list(layers)
        [Tanh(), ReLU()]
        """
        end = len(self)
        if index == end and str(end) not in self._item_names:
            self._set_item(str(end), value)
            return
        items = self._items()
        items.insert(index, ("0", value))
        self._rearrange(items)

    def append(self, value: Any) -> Self:  # type: ignore[override]
        """Add an item at the end; returns the container.

        >>> len(mg.nn.ModuleList().append(mg.nn.ReLU()))
        1
        """
        self.insert(len(self), value)
        return self

    def extend(self, values: Iterable[Any]) -> Self:  # type: ignore[override]
        """Add items at the end; returns the container.

        >>> len(mg.nn.ModuleList().extend([mg.nn.ReLU(), mg.nn.Tanh()]))
        2
        """
        self[len(self) :] = list(values)
        return self

    def __add__(self, other: Iterable[Any]) -> Self:
        return self._made_of([("", item) for item in (*self, *other)])

    def _made_of(self, items: list[tuple[str, Any]]) -> Any:
        """A container of these items."""
        raise NotImplementedError

    def _name_at(self, index: Any) -> str:
        """The name of the item at a position; negative ones count from the end."""
        try:
            return self._item_names[index]
        except TypeError as error:
            near = f". Write .{index}" if index in self._item_names else ""
            raise TypeError(
                f"{type(self).__name__}: an index is an integer or a slice; got {index!r:.40}{near}"
            ) from error
        except IndexError as error:
            raise IndexError(
                f"{type(self).__name__} has {len(self)} items; there is none at position {index}"
            ) from error

    def _rearrange(self, items: list[tuple[str, Any]]) -> None:
        """Hold these items in this order; a number as a name becomes the position."""
        for i, (_, item) in enumerate(items):
            self._check(str(i), item)
        before, names = dict(vars(self)), list(self._item_names)
        for name in names:
            del vars(self)[name]
        self._item_names.clear()
        try:
            for i, (name, item) in enumerate(items):
                self._set_item(str(i) if name.isdecimal() else name, item)
        except (TypeError, ValueError):
            vars(self).clear()
            vars(self).update(before)
            self._item_names[:] = names
            raise


class Sequential(_ListOfModules):
    """Modules, or functions of one tensor, one after the other; named "0", "1" and so on.

    Or by the names of a dict: `Sequential({"hidden": Linear(2, 8), "act": mg.tanh})`. It is a list:
    it has positions, slices, `append`, `insert`, `del`. A slice keeps the names; where items move,
    those that are numbers are given anew.

    >>> import minigrad as mg
    >>> mg.nn.Sequential(mg.nn.Linear(2, 8), mg.tanh, mg.nn.Linear(8, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): <op tanh>
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """

    def __init__(self, *modules: Callable[..., Any] | Mapping[str, Callable[..., Any]]) -> None:
        named: Any = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        if isinstance(named, Module):  # a ModuleDict
            named = None
        for i, module in enumerate(modules):
            if isinstance(module, (list, tuple)):
                raise TypeError(
                    f"Sequential takes modules one by one; got a {type(module).__name__} of "
                    f"{len(module)}. Write Sequential(*modules)"
                )
            if named is None:
                self._set_item(str(i), module)
        for name, module in (named or {}).items():
            self._set_item(name, module)

    def _check(self, name: str, item: Any) -> None:
        is_class = isinstance(item, type) and issubclass(item, Module)
        if is_class or not callable(item):
            raise self._wrong(name, item, "neither a module nor a function")

    def _made_of(self, items: list[tuple[str, Any]]) -> Sequential:
        named = all(name for name, _ in items)
        return Sequential(dict(items)) if named else Sequential(*(item for _, item in items))

    def forward(self, x: Any) -> Any:
        """The last module's output."""
        for module in self:
            x = module(x)
        return x


class ModuleList(_ListOfModules):
    """A list of modules, named "0", "1" and so on, with all that lists do.

    A plain list in an attribute does as well; this one is a module, with `apply` and a `repr`.

    >>> layers = mg.nn.ModuleList([mg.nn.Linear(2, 2) for _ in range(3)])
    >>> layers.append(mg.nn.Linear(2, 1))[-1]
    Linear(in_features=2, out_features=1, bias=True)
    >>> del layers[0]
    >>> [name for name, _ in layers[1:].named_parameters()]
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        if not isinstance(modules, Iterable) or isinstance(modules, Mapping):
            raise TypeError(f"ModuleList takes a list of modules; got {type(modules).__name__}")
        self.extend(modules)

    def _made_of(self, items: list[tuple[str, Any]]) -> ModuleList:
        return ModuleList(item for _, item in items)


class ModuleDict(_Container, MutableMapping[str, Any]):
    """A dict of modules, with all that dicts do; its keys are names of attributes.

    A plain dict in an attribute does as well; this one is a module, with `apply` and a `repr`.

    >>> heads = mg.nn.ModuleDict({"a": mg.nn.Linear(2, 1)})
    >>> heads["b"] = mg.nn.Linear(2, 3, bias=False)
    >>> [name for name, _ in heads.named_parameters()]
    ['a.weight', 'a.bias', 'b.weight']
    >>> heads["b"] is heads.b
    True
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        pairs = list(modules.items() if isinstance(modules, Mapping) else modules)
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise TypeError("ModuleDict takes a dict of modules, or pairs of a name and a module")
        self.update(pairs)

    def __getitem__(self, key: str) -> Any:
        if key not in self._item_names:
            near = nearest(str(key), self._item_names)
            hint = f"; did you mean {near!r}?" if near else ""
            raise KeyError(f"ModuleDict has no item {key!r:.40}{hint}")
        return vars(self)[key]

    def __setitem__(self, key: str, module: Any) -> None:
        self._set_item(key, module)

    def __delitem__(self, key: str) -> None:
        self[key]
        delattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._item_names))

    __eq__ = object.__eq__
    __hash__: ClassVar[Any] = object.__hash__
