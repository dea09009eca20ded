"""Keys of values: hashable, and equal for values that a function can't distinguish."""

from __future__ import annotations

import array
import collections
import contextvars
import enum
import functools
import operator
import os
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..engine.graph import HandmadeOp
from ..engine.op import Op
from ..engine.tensor import Tensor
from ..errors import Untraceable
from ..fusion import FusedFunction
from . import static_lookup
from .bytecode import CHANGING
from .static_lookup import GENERATORS, RANDOM, WORLD, Same

# Larger arrays are not compared at each call.
MOST_BYTES = 4096

# Built-in functions that do something, or look at what can't be known here.
_ACTS = {"print", "open", "input", "exec", "eval", "compile", "breakpoint", "__import__", "globals"}
_ACTS |= {"setattr", "delattr"}

_EXACT = frozenset({int, bool, str, bytes, type(None), type(...), type(NotImplemented)})
OF_THE_WORLD = "it uses %s, which may give something else at each step"
DRAWS = "it draws random numbers; pass them as arguments"

# What the interpreter keeps in a class, besides what was written there.
_MADE = {"__dict__", "__weakref__", "__annotations__"}
_MADE |= {"__slots__", "__orig_bases__", "__parameters__", "__abstractmethods__", "_abc_impl"}
_MADE |= {"__dataclass_fields__", "__dataclass_params__", "__match_args__", "__annotate__"}
_MADE |= {"__firstlineno__", "__static_attributes__", "__annotate_func__"}

# Methods that run where an object is only read: each call could leave another object.
_RUN_BY_READING = ["__bool__", "__call__", "__contains__", "__enter__", "__exit__", "__float__"]
_RUN_BY_READING += ["__getattr__", "__getattribute__", "__getitem__", "__index__", "__int__"]
_RUN_BY_READING += ["__iter__", "__len__", "__missing__", "__get__"]
_OPERATORS = ("add", "sub", "mul", "truediv", "pow", "matmul")
_RUN_BY_READING += [f"__{side}{name}__" for name in _OPERATORS for side in ("", "r", "i")]

CONTAINERS = (list, dict, set, frozenset, tuple, bytearray, collections.deque, array.array)
_NUMBERS = (int, float, complex, str, bytes)
_PARTS_OF_TYPES: tuple[type, ...] = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GenericAlias,
    types.UnionType,
    type(vars(collections.namedtuple("_Fields", "a"))["a"]),
)
_PICKERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)


class Unknown(Untraceable):
    """Something outside can't be part of what a plan is filed under; the text says why."""


class Walk:
    """A way through values. Objects are numbered as they are met, so that sharing shows.

    Parameters
    ----------
    covered, has_classes : as for `identity`.
    """

    def __init__(self, covered: Mapping[int, Any], has_classes: bool) -> None:
        self.covered = covered
        self._numbers: dict[Any, int] = {}
        self._kinds: list[type] = []  # classes in which covered objects may find what changes
        if has_classes:
            kinds = dict.fromkeys(map(type, covered.values()))
            self._kinds = [kind for kind in kinds if not static_lookup.is_fixed(kind.__module__)]

    def again(self, mark: Any) -> tuple[str, int] | None:
        """What stands for something that was met before; None, and a number for it, if new."""
        if mark in self._numbers:
            return "again", self._numbers[mark]
        self._numbers[mark] = len(self._numbers)
        return None

    def called(self, f: Any, known: dict[int, Any]) -> Any:
        """A function, and what it finds in those of its arguments that are known, by number."""
        raise NotImplementedError

    def value(self, x: Any) -> Any:
        """All of a value."""
        kind = type(x)
        if kind in _EXACT:
            return kind, x
        if kind is float or kind is complex:
            return kind, repr(x)  # 0.0 and -0.0 differ, and NaN is NaN
        look = _LOOKS.get(kind)
        if look is not None:
            return look(self, x)
        if isinstance(x, Op):
            return x, x.since  # its derivatives may be declared again
        if isinstance(x, (np.ufunc, np.dtype)):
            return x
        return self._other(x)

    def _other(self, x: Any) -> Any:
        kind = type(x)
        if id(x) in self.covered:
            return "a tensor" if isinstance(x, Tensor) else self._classes()
        if isinstance(x, Tensor):
            raise Unknown("it uses a tensor that is not among its arguments (%s)")
        if isinstance(x, HandmadeOp):
            raise Unknown("it calls %s, whose derivative custom_vjp declares")
        if isinstance(x, GENERATORS) or str(getattr(x, "__module__", "")).startswith(RANDOM):
            raise Unknown(DRAWS)
        for base, look in _KINDS:
            if isinstance(x, base):
                return look(self, x)
        if isinstance(x, _PARTS_OF_TYPES) or kind.__name__ == "_ArrayFunctionDispatcher":
            return x
        if kind is object:
            return Same(x)
        if hasattr(kind, "__next__"):
            raise Unknown("it reads %s, an iterator, which goes on at each step")
        if static_lookup.is_object(x):
            return self._object(x)
        raise Unknown(
            f"it reads %s, and whether a {kind.__name__} changes can't be seen; pass what it "
            "needs of it as an argument"
        )

    def _items(self, x: Any) -> Any:
        """A list, tuple, set or deque."""
        if id(x) in self.covered:
            return self._classes()
        if type(x) is not tuple:
            again = self.again(id(x))
            if again is not None:
                return again
        return type(x), *map(self.value, list(x))

    def _table(self, x: dict[Any, Any]) -> Any:
        if id(x) in self.covered:
            return self._classes()
        again = self.again(id(x))
        if again is not None:
            return again
        return type(x), *[(self.value(key), self.value(part)) for key, part in list(x.items())]

    def _buffer(self, x: Any) -> Any:
        """An array of numbers."""
        again = self.again(id(x))
        if again is not None:
            return again
        if x.__class__ is not np.ndarray:
            return type(x), bytes(x)
        if x.dtype.hasobject:
            return x.shape, *map(self.value, x.ravel().tolist())
        if x.nbytes > MOST_BYTES:
            raise Unknown(
                f"it reads %s, an array of {x.nbytes} bytes, and only {MOST_BYTES} are compared at "
                "each call; pass it as an argument"
            )
        return x.shape, x.dtype, x.tobytes()

    def _number(self, x: np.generic) -> Any:
        if x.dtype.hasobject or x.dtype.kind == "V":
            raise Unknown(f"it reads %s, a number of dtype {x.dtype}")
        return type(x), x.dtype, x.tobytes()

    def _module(self, x: types.ModuleType) -> Any:
        if x.__name__.startswith(RANDOM):
            raise Unknown(DRAWS)
        if static_lookup.is_fixed(x.__name__):
            return x
        raise Unknown("it uses the module %s as a whole; name what it needs of it, as in module.k")

    def _member(self, x: enum.Enum) -> Any:
        again = self.again(id(x))
        if again is not None:
            return again
        own = [
            (k, self.value(v))
            for k, v in static_lookup.held(x).items()
            if k not in ("__objclass__", "_value_")
        ]
        return self.class_(type(x)), x.name, self.value(x.value), *own

    def _object(self, x: Any) -> Any:
        """An object of a class written in Python: its class, what it holds, its attributes."""
        again = self.again(id(x))
        if again is not None:
            return again
        kind = type(x)
        parts: list[Any] = [self.class_(kind)]
        solid = static_lookup.solid(kind)
        if issubclass(solid, dict):
            parts += [(self.value(k), self.value(v)) for k, v in list(dict.items(x))]
            parts.append(self.value(getattr(x, "default_factory", None)))
        elif solid in CONTAINERS:
            parts += map(self.value, list(solid.__iter__(x)))
        elif solid in _NUMBERS:
            parts.append(solid.__repr__(x))
        elif solid not in (object, types.SimpleNamespace) and not issubclass(solid, BaseException):
            raise Unknown(f"it reads %s, and whether a {kind.__name__} changes can't be seen")
        own = [(name, self.value(part)) for name, part in list(static_lookup.held(x).items())]
        own += [
            (d.__name__, self.value(static_lookup.slot(d, x))) for d in static_lookup.slots(kind)
        ]
        if len(parts) == 1 and not own:
            parts.append(Same(x))  # it stands for nothing but itself
        run = [static_lookup.in_class(kind, name) for name in _RUN_BY_READING]
        run = [self.called(f, {0: x}) for f in run if isinstance(f, types.FunctionType)]
        return *parts, *own, *run

    def class_(self, c: type) -> Any:
        """A class, its bases, and all that they hold."""
        if issubclass(c, GENERATORS):
            raise Unknown(DRAWS)
        if static_lookup.is_fixed(c.__module__):
            return c
        if c.__module__.partition(".")[0] in WORLD:
            raise Unknown(OF_THE_WORLD)
        if not static_lookup.is_python(c):
            raise Unknown(f"it uses %s, and what a {c.__name__} depends on can't be seen")
        again = self.again(id(c))
        if again is not None:
            return again
        parts: list[Any] = [Same(c)]
        if type(c) is not type:
            parts.append(self.class_(type(c)))
        for base in c.__mro__:
            if static_lookup.is_fixed(base.__module__):
                continue
            if base is not c:
                parts.append(self.class_(base))
                continue
            # A data class's own text asks which thread it is in.
            made = _MADE | {"__repr__"} if "__dataclass_fields__" in vars(c) else _MADE
            for name, part in list(vars(c).items()):
                if name not in made:
                    parts.append((name, self._part(part, f"{c.__name__}.{name}")))
        return tuple(parts)

    def _part(self, x: Any, name: str) -> Any:
        """What stands in a class under a name."""
        try:
            if isinstance(x, property):
                return *map(self.value, (x.fget, x.fset, x.fdel)), None
            return self.value(x)
        except Unknown as unknown:
            raise Unknown(str(unknown).replace("%s", name)) from None

    def _classes(self) -> Any:
        """What those objects find in their classes that are compared elsewhere."""
        again = self.again("classes")
        return again or tuple(map(self.class_, self._kinds))

    def _built_in(self, f: types.BuiltinFunctionType) -> Any:
        owner = f.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            if f.__module__ == "builtins" and f.__name__ in _ACTS:
                raise Unknown(f"it calls {f.__name__}, and a kernel would not")
            if static_lookup.is_fixed(f.__module__):
                return f
            raise Unknown(OF_THE_WORLD)
        if isinstance(owner, type):
            return f.__name__, self.class_(owner)
        if f.__name__ in CHANGING and isinstance(owner, (*CONTAINERS, np.ndarray)):
            raise Unknown(
                f"it changes what is outside of it ({f.__name__}), and a kernel would not"
            )
        return f.__name__, self.value(owner)


_Look = Callable[[Walk, Any], Any]

# How to look at values of exactly these types.
_LOOKS: dict[type, _Look] = {
    **dict.fromkeys((tuple, list, set, frozenset, collections.deque), Walk._items),
    **dict.fromkeys((dict, collections.OrderedDict), Walk._table),
    **dict.fromkeys((np.ndarray, bytearray, array.array), Walk._buffer),
    types.FunctionType: lambda walk, f: walk.called(f, {}),
    types.BuiltinFunctionType: Walk._built_in,
    types.ModuleType: Walk._module,
    type: Walk.class_,
}
# And at those of others.
_KINDS: list[tuple[Any, _Look]] = [
    ((types.MethodType, functools.partial, FusedFunction), lambda walk, f: walk.called(f, {})),
    (enum.Enum, Walk._member),
    (type, Walk.class_),
    (np.generic, Walk._number),
    (types.ModuleType, Walk._module),
    (slice, lambda walk, x: (slice, *map(walk.value, (x.start, x.stop, x.step)))),
    (range, lambda walk, x: (range, x.start, x.stop, x.step)),
    (types.MappingProxyType, lambda walk, x: walk.value(tuple(x.items()))),
    ((staticmethod, classmethod), lambda walk, x: (type(x), walk.value(x.__func__))),
    (functools.cached_property, lambda walk, x: walk.value(x.func)),
    (types.MethodWrapperType, lambda walk, x: (x.__name__, walk.value(x.__self__))),
    (_PICKERS, lambda walk, x: (type(x), repr(x))),
    (collections.defaultdict, lambda walk, x: (walk.value(x.default_factory), walk._table(x))),
    (type(os.environ), lambda walk, x: walk.value(tuple(x.items()))),
    (contextvars.ContextVar, lambda walk, x: (Same(x), walk.value(x.get(None)))),
]
