"""Looking at objects without running anything of theirs, and what is taken to stay as it is."""

from __future__ import annotations

import enum
import functools
import random
import types
from typing import Any

import numpy as np

from ..engine.op import Op
from ..fusion import FusedFunction

# Packages and modules that are taken to stay as they are. What a user's own modules hold of them is
# looked at all the same: `mg.tanh` is the attribute of a global.
FIXED = {"minigrad", "numpy", "math", "cmath", "operator", "_operator", "builtins", "functools"}
FIXED |= {"_functools", "itertools", "collections", "_collections", "typing", "types", "abc"}
FIXED |= {"_abc", "dataclasses", "enum", "numbers", "copy", "fractions", "re", "string"}
FIXED |= {"contextlib", "_collections_abc"}

# And those that look at the world, or act on it.
WORLD = {"datetime", "io", "logging", "pathlib", "socket", "subprocess", "tempfile", "threading"}
WORLD |= {"time"}

RANDOM = ("random", "numpy.random", "secrets", "uuid")
GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)

ABSENT = ("absent",)


class Same:
    """An object as something to compare by what it is."""

    __slots__ = ("_object",)

    def __init__(self, value: Any) -> None:
        self._object = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._object is other._object

    def __hash__(self) -> int:
        return id(self._object)


def code_of(f: Any) -> Any:
    """What a function has in common with others made by the same text."""
    while True:
        if isinstance(f, types.FunctionType):
            return f.__code__
        if isinstance(f, functools.partial):
            f = f.func
        elif isinstance(f, types.MethodType):
            f = f.__func__
        elif isinstance(f, FusedFunction):
            f = f.function
        else:
            return Same(type(f))


def own_attributes(f: types.FunctionType) -> dict[str, Any]:
    """A function's attributes without those that `functools.wraps` took from another."""
    theirs = held(f.__dict__.get("__wrapped__"))
    own = {k: v for k, v in f.__dict__.items() if theirs.get(k, ABSENT) is not v}
    own.pop("__wrapped__", None)
    return own


def is_settled(f: types.FunctionType) -> bool:
    """Whether a function and all that it reads is taken to stay as it is."""
    if f.__closure__ is not None or "<locals>" in f.__qualname__:  # each call may make another
        return False
    return str(f.__globals__.get("__name__")).partition(".")[0] in FIXED


def is_fixed(module: Any) -> bool:
    """Whether what is in a module of that name is taken to stay as it is."""
    return isinstance(module, str) and module.partition(".")[0] in FIXED


def is_python(c: type) -> bool:
    """Whether a class was written in Python."""
    return bool(c.__flags__ & 0x200) and not c.__flags__ & 0x100  # on the heap, and changeable


def is_object(x: Any) -> bool:
    """Whether a value is an object of a class written in Python, or as good as one."""
    return is_python(type(x)) or isinstance(x, types.SimpleNamespace)


def attributes_of(x: Any) -> dict[str, Any] | None:
    """All attributes of an object that is nothing but these and its class; None for others."""
    if not is_object(x) or isinstance(x, (type, enum.Enum, FusedFunction, Op, *GENERATORS)):
        return None
    kind = type(x)
    if solid(kind) not in (object, types.SimpleNamespace):
        return None
    found = {d.__name__: slot(d, x) for d in slots(kind)}
    return {**{name: part for name, part in found.items() if part is not ABSENT}, **held(x)}


def slots(kind: type) -> list[types.MemberDescriptorType]:
    """What a class written in Python keeps the attributes of its objects in, besides a dict."""
    parts = (part for base in kind.__mro__ if is_python(base) for part in vars(base).values())
    return [part for part in parts if isinstance(part, types.MemberDescriptorType)]


def solid(kind: type) -> type:
    """The class in C that a class is built on."""
    while is_python(kind) and kind.__base__ is not None:
        kind = kind.__base__
    return kind


def in_class(kind: type, name: str) -> Any:
    """What a class has by that name, as it stands there."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return ABSENT


def held(x: Any) -> dict[str, Any]:
    """An object's own attributes."""
    try:
        return object.__getattribute__(x, "__dict__")
    except AttributeError:
        return {}


def slot(descriptor: Any, x: Any) -> Any:
    """What an object has in a slot."""
    try:
        return descriptor.__get__(x)
    except AttributeError:
        return ABSENT
