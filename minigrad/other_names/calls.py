"""Functions that explain keywords which they don't have.

Python refuses an unknown keyword before a function begins, so the function itself can't say more.
In front of each public function that has options stands one of the same parameters, written as a
text: it takes any keyword, and looks only whether there is one. Type checkers see the function.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper
from types import FunctionType, ModuleType
from typing import Any

from .advice import wrong_arguments
from .table import look_up

FILE = "<minigrad options>"
_ABSENT: Any = object()  # in the place of an argument that has to be given

_TEXT = """
def {name}({signature}*{rest}, **others):
    if {tests}:
        refuse_{number}(locals())
    return function_{number}({passed})
"""


class _Front:
    """What is written in front of a function."""

    def __init__(self, function: FunctionType, shown: str) -> None:
        code = function.__code__
        self.function, self.shown = function, shown
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.positional, self.by_name = names[: code.co_argcount], names[code.co_argcount :]
        self.takes_more = bool(code.co_flags & inspect.CO_VARARGS)
        self.rest = code.co_varnames[len(names)] if self.takes_more else "more"
        self.required = names[: code.co_argcount - len(function.__defaults__ or ())]

    def text(self, number: int) -> str:
        """The function that stands in front, as text."""
        tests = [f"{name} is absent" for name in self.required]
        passed = [*self.positional, *([f"*{self.rest}"] if self.takes_more else [])]
        signature = "".join(f"{name}=None, " for name in self.positional)
        rest = ", ".join([self.rest, *(f"{name}=None" for name in self.by_name)])
        return _TEXT.format(
            name=self.function.__name__,
            signature=signature,
            rest=rest,
            tests=" or ".join(["others", *([] if self.takes_more else ["more"]), *tests]),
            number=number,
            passed=", ".join([*passed, *(f"{name}={name}" for name in self.by_name)]),
        )

    def finish(self, front: Any) -> None:
        """Give the function in front what the one behind it has."""
        behind = self.function
        update_wrapper(front, behind)
        front.__defaults__ = (_ABSENT,) * len(self.required) + (behind.__defaults__ or ())
        front.__kwdefaults__ = behind.__kwdefaults__

    def refuse(self, given: dict[str, Any]) -> None:
        """Raise a TypeError for a call with these arguments."""
        others, more = given.pop("others"), given.pop(self.rest)
        parameters = dict(inspect.signature(self.function).parameters)
        right = {
            name: given[name]
            for name, p in parameters.items()
            if name in given and given[name] is not p.default and given[name] is not _ABSENT
        }
        if self.takes_more:
            right[self.rest] = more
        shown, me = self.shown, []
        if self.positional[:1] == ("self",):
            me = [right.pop("self")]
            parameters.pop("self")
            if self.function.__name__ == "__init__":  # also that of a subclass
                shown = f"{shown.rpartition('.')[0]}.{type(me[0]).__name__}"
        text = wrong_arguments(shown, parameters, right, others) if others else None
        if text is not None:
            raise TypeError(text)
        try:  # for what Python says
            right.pop(self.rest, None)
            if more:
                self.function(*(given[name] for name in self.positional), *more, **others)
            self.function(*me, **right, **others)
        except TypeError as error:
            place, _, name = shown.rpartition(".")
            starts = ["torch.", "x.", "F."] if place in ("mg", "x") else [f"{place}."]
            row = look_up(starts, [name])
            hint = f". {row[0].text(name)}" if row else ""
            raise TypeError(f"{shown}: {error}{hint}") from None
        raise AssertionError(f"{shown} was refused, and is right")


class Fronts:
    """Functions that get others in front of them, all written as one text."""

    def __init__(self) -> None:
        self._fronts: dict[FunctionType, _Front] = {}
        self._places: list[tuple[Any, str, Any]] = []

    def of_module(self, module: ModuleType, shown: str, constructors: bool) -> None:
        """The public functions of a module, wherever they are defined, or its constructors, too."""
        for name in module.__all__:
            value = vars(module).get(name)
            if self._add(value, f"{shown}.{name}", always=True):
                home = sys.modules[value.__module__]
                for place in (module, home):
                    if vars(place).get(name) is value:
                        self._places.append((place, name, value))
            elif constructors and isinstance(value, type):
                make = vars(value).get("__init__")
                if self._add(make, f"{shown}.{name}"):
                    self._places.append((value, "__init__", make))

    def of_class(self, cls: type, shown: str) -> None:
        """The methods of a class, whose objects are called `shown`."""
        for name, value in vars(cls).items():
            always = shown != "x"  # the short methods of tensors are called very often
            if name[0] != "_" and name != "forward" and self._add(value, f"{shown}.{name}", always):
                self._places.append((cls, name, value))

    def _add(self, value: Any, shown: str, always: bool = False) -> bool:
        """Whether it is a function that gets another in front."""
        if not isinstance(value, FunctionType) or value.__code__.co_filename.startswith("<"):
            return False
        code = value.__code__
        options = bool(value.__defaults__ or value.__kwdefaults__ or code.co_argcount > 1)
        if (
            not (options or always)
            or code.co_flags & inspect.CO_VARKEYWORDS
            or not code.co_name.isidentifier()
        ):
            return False
        self._fronts.setdefault(value, _Front(value, shown))
        return True

    def install(self) -> None:
        """Put them all in their places."""
        text = "".join(front.text(i) for i, front in enumerate(self._fronts.values()))
        linecache.cache[FILE] = (len(text), None, text.splitlines(True), FILE)
        scope: dict[str, Any] = {"__name__": __name__, "absent": _ABSENT}
        made: dict[FunctionType, Any] = {}
        for i, front in enumerate(self._fronts.values()):
            scope[f"function_{i}"], scope[f"refuse_{i}"] = front.function, front.refuse
        for function, front, written in zip(
            self._fronts, self._fronts.values(), _functions(text, scope), strict=True
        ):
            front.finish(written)
            made[function] = written
        for place, name, function in self._places:
            setattr(place, name, made[function])


def _functions(text: str, scope: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """The functions that a text defines, in its order; some have the same name."""
    for part in compile(text, FILE, "exec").co_consts:
        if inspect.iscode(part):
            yield FunctionType(part, scope)


def refuse(shown: str, function: Callable[..., Any], args: Any, options: dict[str, Any]) -> None:
    """Raise a TypeError if a function can't be called so; otherwise return."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        parameters = signature.parameters
        others = {name: value for name, value in options.items() if name not in parameters}
        right = {name: value for name, value in options.items() if name in parameters}
        right.update(zip(parameters, args, strict=False))
        text = wrong_arguments(shown, parameters, right, others) if others else None
        raise TypeError(text or f"{shown}: {error}") from None
