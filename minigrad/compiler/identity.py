"""What a value is, as something to compare: whether a plan made for one call serves another.

A plan bakes in every number that a cell finds in its closure, its defaults, the globals that it
reads, and its parameters. So all of them are part of what a plan is filed under.
"""

from __future__ import annotations

import dis
import functools
import types
from typing import Any

import numpy as np

from ..fuse import RowFunction
from ..op import Op

_SIMPLE = (int, float, complex, str, bytes, slice, np.generic, type(None), type(...))
_FIXED = (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc, np.dtype)


class Unknown(Exception):
    """A value of which nobody can tell whether it has changed."""


def identity(value: Any, within: tuple[Any, ...] = ()) -> Any:
    """Something hashable that is equal for values that a cell can't tell apart.

    Of functions that is their code and all that it finds outside: closure, defaults, globals, and
    those of the functions among them. Modules and classes are taken to stay as they are.

    Raises `Unknown` for objects that may change without anybody's seeing it.
    """
    if isinstance(value, _SIMPLE):
        return type(value), repr(value)  # 0.0 and -0.0 differ, and NaN is NaN
    if isinstance(value, Op):
        return value, value.since  # its derivatives may be declared again
    if isinstance(value, _FIXED) or _is_ours(value):
        return value
    for other in within:
        if value is other:
            return "itself"
    within = (*within, value)
    if isinstance(value, (tuple, list, frozenset)):
        return type(value), tuple(identity(part, within) for part in value)
    if isinstance(value, dict):
        parts = ((identity(key, within), identity(part, within)) for key, part in value.items())
        return type(value), tuple(parts)
    if isinstance(value, functools.partial):
        return "partial", identity((value.func, value.args, value.keywords), within)
    if isinstance(value, RowFunction):
        return identity(value.function, within)
    if not isinstance(value, types.FunctionType):
        raise Unknown(type(value).__name__)
    outside = [value.__defaults__, value.__kwdefaults__]
    for cell in value.__closure__ or ():
        try:
            outside.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            outside.append(None)
    outside += map(value.__globals__.get, _globals_read(value.__code__))
    return value.__code__, *[identity(part, within) for part in outside]


def _is_ours(value: Any) -> bool:
    """Whether it is one of minigrad's own functions, which have nothing to change."""
    return (
        isinstance(value, types.FunctionType)
        and (value.__module__ or "").partition(".")[0] == "minigrad"
        and value.__closure__ is None
    )


@functools.lru_cache(maxsize=1024)
def _globals_read(code: types.CodeType) -> tuple[str, ...]:
    """The globals that a function reads, by name, and those of the functions written in it."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    own = (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return tuple(dict.fromkeys([*own, *(name for part in inner for name in _globals_read(part))]))
