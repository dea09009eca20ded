"""What a fused function is called with: its tensors, its numbers, and all the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..engine.tensor import Tensor
from ..fusion import PLAIN
from .cache_key import identity
from .parameter_tree import ParameterTree, of_kind
from .static_lookup import code_of
from .symbolic_numbers import may_change


class Arguments:
    """What a function is called with: its tensors, its numbers, and all the rest.

    `numbers` are the floats of which a kernel may take any value; `facts` is equal for arguments
    that differ in their tensors and numbers alone.
    """

    def __init__(self, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
        values = (*args, *settings.values())
        self._names, self._count = tuple(settings), len(args)
        self.tensors: list[Tensor] = []
        self.numbers: list[float] = []
        self._objects: ParameterTree | None = None  # if some are within containers or objects
        self.facts: Any = (self._count, self._names)
        self._places: list[int] = []
        self._kinds: list[Any] = []
        self._number_places: list[int] = []
        rest: list[Any] = []
        for i, x in enumerate(values):
            if isinstance(x, Tensor):
                self.tensors.append(x)
                self._places.append(i)
                self._kinds.append(x.__class__)
                rest.append(x.__class__)
            elif may_change(x):
                self.numbers.append(x)
                self._number_places.append(i)
                rest.append(float)
            elif x.__class__ in PLAIN:
                rest.append((x.__class__, repr(x)))  # 0.0 and -0.0 differ
            else:
                self._open(values)
                return
        self._values: Any = [*values]
        for i in self._places:
            self._values[i] = None
        self.facts = (*self.facts, *rest)

    def _open(self, values: tuple[Any, ...]) -> None:
        """Some tensors are within containers or objects."""
        self._objects = self._values = ParameterTree(values)
        self._places = self._number_places = []
        self._kinds = self._values.kinds
        self.tensors, self.numbers = self._values.tensors, self._values.numbers
        self.facts = (*self.facts, self._values.signature)

    def outside(self, function: Callable[..., Any], args: Any, settings: dict[str, Any]) -> Any:
        """All that a function called so reads besides numbers in tensors."""
        objects = self._objects
        if objects is None:
            return identity(function), self.facts
        known, names = dict(enumerate(args)), getattr(code_of(function), "co_varnames", ())
        for name, value in settings.items():
            known[names.index(name) if name in names else len(names) + len(known)] = value
        known = {i: x for i, x in known.items() if id(x) in objects.opened}
        return identity(function, known, objects.opened, objects.has_classes), self.facts

    def release(self) -> None:
        """Let the tensors go; what is not a tensor stays."""
        self.tensors.clear()
        if self._objects is not None:
            self._objects.release()

    def names(self, function: Callable[..., Any]) -> list[str]:
        """What each tensor is called: the parameter that it was given to, or its number."""
        if isinstance(self._values, ParameterTree):
            return [f"number {i}" for i in range(len(self._values.tensors))]
        code: Any = getattr(function, "__code__", None)
        known = code.co_varnames[: code.co_argcount] if code is not None else ()
        places = enumerate([*known[: self._count], *self._names])
        by_place = dict(places) if len(known) >= self._count else {}
        return [by_place.get(place, f"number {place}") for place in self._places]

    def rebuild(
        self, tensors: Iterable[Any], numbers: Sequence[Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with these in place of the tensors, and maybe of the numbers."""
        given = [of_kind(kind, t) for kind, t in zip(self._kinds, tensors, strict=True)]
        if isinstance(self._values, ParameterTree):
            values = list(self._values.rebuild(given, numbers))
        else:
            values = list(self._values)
            for place, t in zip(self._places, given, strict=True):
                values[place] = t
            if numbers is not None:
                for place, x in zip(self._number_places, numbers, strict=True):
                    values[place] = x
        count = self._count
        return tuple(values[:count]), dict(zip(self._names, values[count:], strict=True))

    def check(self) -> None:
        """Refuse if what was rebuilt was written to."""
        if self._objects is not None:
            self._objects.check()
