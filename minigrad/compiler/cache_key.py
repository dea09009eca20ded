"""What a function reads from outside, as something to compare: whether a plan serves again.

A plan bakes in every number that a cell finds in its closure, its defaults, in globals and in their
attributes. So all of them are part of what a plan is filed under; and what may be another at each
step, or can't be looked at, is refused with its reason.
"""

from __future__ import annotations

import abc
import array
import contextvars
import enum
import functools
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.op import Op
from ..engine.tensor import Tensor
from ..fusion import FusedFunction
from . import static_lookup
from .bytecode import CHANGING, ITEM, Path, Reads, reads
from .static_lookup import ABSENT, RANDOM, WORLD, Same
from .value_key import CONTAINERS, OF_THE_WORLD, Unknown, Walk

_OF_ARRAYS = {"shape", "ndim", "dtype", "size", "backend", "device", "requires_grad"}
_OF_FUNCTIONS = {"__annotations__", "__doc__", "__module__", "__name__", "__qualname__"}
_FLAT = (bytearray, array.array)  # containers of numbers
_METACLASSES = (type, abc.ABCMeta, enum.EnumMeta)
_CHANGING = {(name,) for name in CHANGING}


def identity(
    value: Any,
    known: Mapping[int, Any] | None = None,
    covered: Mapping[int, Any] | None = None,
    has_classes: bool = False,
    name: str = "something",
) -> Any:
    """Something hashable that is equal for values that a cell can't tell apart.

    Of functions that is their code and all that it reads outside: closure, defaults, globals, the
    attributes that it takes of them, and all of that of the functions among them.

    Parameters
    ----------
    value : a function, or what one reads.
    known : by their number, arguments that it will be called with, which are from outside, too.
    covered : by their id, those objects among the arguments whose attributes and items are
        compared elsewhere. Only what they find in their classes is looked at here, if some of
        them `has_classes` that may change.
    name : what a refusal calls the value.

    Raises
    ------
    Unknown : it reads what may change without being seen, or it writes to what is outside of it.
    """
    if not has_classes and type(value) is types.FunctionType and static_lookup.is_settled(value):
        return value
    try:
        return _Walk(covered or {}, has_classes).called(value, dict(known or {}))
    except Unknown as unknown:
        raise Unknown(str(unknown).replace("%s", name)) from None
    except RecursionError:
        raise Unknown("what it reads from outside is nested too deeply") from None


class _Found:
    """Where a path ends early: the identity of what its rest is taken from."""

    __slots__ = ("identity",)

    def __init__(self, identity: Any) -> None:
        self.identity = identity


class _Walk(Walk):
    """A way through values. Objects are numbered as they are met, so that sharing shows."""

    # --- functions -------------------------------------------------------------------------

    def called(self, f: Any, known: dict[int, Any]) -> Any:
        """A function, and what it finds in those of its arguments that are known, by number."""
        if isinstance(f, types.FunctionType):
            return self._function(f, known)
        if isinstance(f, FusedFunction):
            return self.called(f.function, known)
        if isinstance(f, types.MethodType):
            return self.called(f.__func__, {0: f.__self__, **_shift(known, 1)})
        if type(f) is functools.partial:
            more = {**dict(enumerate(f.args)), **_shift(known, len(f.args))}
            return "partial", len(f.args), self.called(f.func, more), self.value(f.keywords)
        if static_lookup.is_object(f):
            call = static_lookup.in_class(type(f), "__call__")
            if isinstance(call, types.FunctionType):
                return self.called(call, {0: f, **_shift(known, 1)})
        return self.value(f), *map(self.value, known.values())

    def _function(self, f: Any, known: dict[int, Any]) -> Any:
        if static_lookup.is_settled(f):
            rest = [self.value(x) for x in known.values() if not self._is_compared(x)]
            return (f, *rest) if rest else f
        if str(f.__globals__.get("__name__")).partition(".")[0] in WORLD:
            raise Unknown(OF_THE_WORLD)
        again = self.again((id(f), *((i, id(x)) for i, x in known.items())))
        if again is not None:
            return again
        code = f.__code__
        does = reads(code)
        changeable = known
        if f.__defaults__:
            there = enumerate(f.__defaults__, code.co_argcount - len(f.__defaults__))
            changeable = {i: x for i, x in there if isinstance(x, CONTAINERS)} | known
        if does.writes or does.imports or does.changed:
            _check_acts(code, does, changeable)
        parts: list[Any] = [code]
        own = static_lookup.own_attributes(f) if f.__dict__ else None
        for given in (f.__defaults__, f.__kwdefaults__, own):
            parts.append(self.value(given) if given else None)
        scope, built_in = f.__globals__, f.__builtins__
        for name, path in does.globals:
            found = scope[name] if name in scope else built_in.get(name, ABSENT)
            if len(path) == 1 and found.__class__ is types.ModuleType:
                op = found.__dict__.get(path[0])
                if isinstance(op, Op):  # as in mg.tanh; the rest would find it, too
                    parts.append((op, op.since))
                    continue
            parts.append(self._path(found, path, name))
        if does.free:
            cells = dict(zip(code.co_freevars, f.__closure__ or (), strict=True))
            for name, path in does.free:
                try:
                    found = cells[name].cell_contents
                except ValueError:  # not assigned yet
                    found = ABSENT
                parts.append(self._path(found, path, name))
        if changeable:
            names, count = code.co_varnames, code.co_argcount
            for i, path in does.arguments:
                x = changeable.get(i)
                is_compared = i not in known or self._is_compared(x)
                if i in changeable and not (is_compared and path[-1:] not in _CHANGING):
                    parts.append(self._path(x, path, names[i]))
            parts += [self.value(x) for i, x in known.items() if i >= count]
        return tuple(parts)

    def _is_compared(self, x: Any) -> bool:
        """Whether an argument, and all in it, is compared elsewhere, and its classes are fixed."""
        return not self._kinds and id(x) in self.covered

    # --- paths -----------------------------------------------------------------------------

    def _path(self, x: Any, path: Path, name: str) -> Any:
        """What is found at x.a.b, and nothing else of x."""
        try:
            for attribute in path:
                if attribute == ITEM:
                    if path[-1] in CHANGING:
                        self._check_items(x, path[-1])
                    break
                if isinstance(x, types.ModuleType):
                    x = _of_module(x, attribute)
                else:
                    x = self._attribute(x, attribute)
                    if x.__class__ is _Found:
                        return x.identity
            return self.value(x)
        except Unknown as unknown:
            text = str(unknown)
            if "%s" not in text:
                raise
            raise Unknown(
                text.replace("%s", ".".join((name, *path)).replace(".[]", "[...]"))
            ) from None

    def _attribute(self, x: Any, name: str) -> Any:
        """An attribute, found without running anything; or `_Found`."""
        if isinstance(x, type):
            return self._of_class(x, name)
        if isinstance(x, (Tensor, np.ndarray)) and name in _OF_ARRAYS:
            if id(x) in self.covered:
                return _Found(name)
            found = getattr(x, name)
            return _Found((name, Same(found) if name == "backend" else self.value(found)))
        if isinstance(x, types.FunctionType):
            if name == "__globals__":
                raise Unknown("it uses all globals of a module (%s)")
            own = x.__dict__ if name in x.__dict__ else _OF_FUNCTIONS
            return getattr(x, name) if name in own else _Found(self.value(x))
        if name in CHANGING:
            self._check_method(x, name)
        if not static_lookup.is_object(x) or isinstance(x, Op):
            return _Found(self.value(x))
        kind = type(x)
        if isinstance(x, tuple) and name in getattr(kind, "_fields", ()):
            return tuple.__getitem__(x, kind._fields.index(name))
        if isinstance(static_lookup.in_class(kind, "__getattribute__"), types.FunctionType):
            return _Found(self.value(x))
        there, held = static_lookup.in_class(kind, name), static_lookup.held(x)
        if hasattr(type(there), "__set__") or hasattr(type(there), "__delete__"):
            if isinstance(there, property):
                return _Found(self.called(there.fget, {0: x}))
            if name == "__class__":
                return kind
            if isinstance(there, types.MemberDescriptorType):
                return static_lookup.slot(there, x)
            return _Found((self.value(x), self.value(there)))
        if name in held:
            return held[name]
        if there is ABSENT:
            return (
                _Found(self.value(x))
                if static_lookup.in_class(kind, "__getattr__") is not ABSENT
                else there
            )
        if isinstance(there, (types.FunctionType, FusedFunction)):
            return _Found(self.called(there, {0: x}))
        if isinstance(there, classmethod):
            return _Found(self.called(there.__func__, {0: kind}))
        if isinstance(there, functools.cached_property):
            return _Found(self.called(there.func, {0: x}))
        if isinstance(there, staticmethod):
            return there.__func__
        return _Found((self.value(x), self.value(there))) if hasattr(there, "__get__") else there

    def _check_items(self, x: Any, name: str) -> None:
        """Refuse to change a container within a container."""
        if isinstance(x, CONTAINERS) and not isinstance(x, _FLAT):
            for item in list(x.values() if isinstance(x, dict) else x):
                self._check_method(item, name)

    def _check_method(self, x: Any, name: str) -> None:
        if not isinstance(x, (*CONTAINERS, np.ndarray, contextvars.ContextVar)):
            return
        there = static_lookup.in_class(type(x), name)
        if there is not ABSENT and not isinstance(there, types.FunctionType):
            raise Unknown("it changes what is outside of it (%s), and a kernel would not")

    def _of_class(self, c: type, name: str) -> Any:
        if type(c) not in _METACLASSES:
            return _Found(self.value(c))
        if isinstance(c, enum.EnumMeta) and name in c.__members__:
            return c.__members__[name]
        there = static_lookup.in_class(c, name)
        if isinstance(there, (types.FunctionType, FusedFunction)):
            return there
        if isinstance(there, staticmethod):
            return there.__func__
        if isinstance(there, classmethod):
            return _Found(self.called(there.__func__, {0: c}))
        if there is ABSENT and name in ("__name__", "__qualname__"):
            return getattr(c, name)
        if there is ABSENT or hasattr(there, "__get__"):
            return _Found((name, self.class_(c)))
        return there


def _shift(known: dict[int, Any], by: int) -> dict[int, Any]:
    return {i + by: x for i, x in known.items()}


def _check_acts(code: types.CodeType, does: Reads, known: dict[int, Any]) -> None:
    """Refuse what a kernel would not do: writing to what is outside."""
    for _, name in does.writes:
        raise Unknown(f"it writes to {name}, which is outside of it, and a kernel would not")
    for i in does.changed & known.keys():
        raise Unknown(f"it writes to {code.co_varnames[i]}, and a kernel would not")
    for name in does.imports:
        if not static_lookup.is_fixed(name) or name.startswith(RANDOM):
            raise Unknown(f"it imports {name or 'a module'}; import it outside of it")


def _of_module(module: types.ModuleType, name: str) -> Any:
    there = vars(module)
    if name in there:
        return there[name]
    if static_lookup.is_fixed(module.__name__):
        return getattr(module, name, ABSENT)  # loaded when it is first asked for
    if "__getattr__" in there:
        raise Unknown("it reads %s, which its module makes when it is asked for it")
    return ABSENT
