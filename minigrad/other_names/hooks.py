"""Where the table is asked: when a name is missing or a keyword is unknown, and only then.

Modules get a `__getattr__`, which Python calls for a name that they don't have. Classes get an
`Absent` under each name of the table that they don't have, since a `__getattr__` of theirs would
make every look-up of theirs slower. Imports of modules that aren't there come to a finder that is
asked last. All of it is out of sight of type checkers, for which a wrong name stays one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .advice import Place, call_of, edits_nothing, missing
from .arrays import explain_data
from .calls import Fronts
from .frames import import_from, path_from
from .table import names_in
from .unpacking import explain_unpacking

_modules: dict[str, tuple[Place, ModuleType]] = {}  # by what user's code calls them


def explain_module(module: ModuleType, shown: str, theirs: Iterable[str]) -> None:
    """Make a module explain the names that it doesn't have.

    Parameters
    ----------
    shown : what user's code calls it, such as `mg.nn`.
    theirs : how names in the table begin that are asked of it, such as `nn.`.
    """
    place = Place(shown, tuple(theirs), lambda: getattr(module, "__all__", ()) or vars(module))
    _modules[shown] = place, module
    before = vars(module).get("__getattr__")

    def __getattr__(name: str) -> Any:
        if before is not None:
            try:
                return before(name)
            except AttributeError:
                pass
        path = [name] if name[0] == "_" else path_from(sys._getframe(1), name)
        raise AttributeError(missing(place, path, _others()), name=name, obj=None)

    module.__getattr__ = __getattr__  # type: ignore[method-assign]


def _others() -> Mapping[str, ModuleType]:
    return {shown: module for shown, (_, module) in _modules.items()}


class Absent:
    """Stands in a class for a name that PyTorch's or NumPy's has: its text says what to write."""

    def __init__(self, name: str, text: Callable[[], str]) -> None:
        self.name, self.text = name, text

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        raise AttributeError(self.text(), name=self.name, obj=None)

    def __repr__(self) -> str:
        return f"<not in minigrad. {self.text()}>"


def explain_class(cls: type, shown: str, theirs: Iterable[str]) -> None:
    """Make a class explain the names in the table that it doesn't have.

    `shown` is what user's code calls an object of it, such as `x`.
    """
    place = Place(shown, tuple(theirs), lambda: vars(cls))
    cls.__dir__ = _names_that_are_there  # type: ignore[assignment]
    for name in names_in(place.theirs):
        if not hasattr(cls, name):
            setattr(cls, name, Absent(name, partial(missing, place, [name], {})))


def _names_that_are_there(self: Any) -> list[str]:
    """What `dir` lists, and editors offer."""
    kinds = type(self).__mro__
    absent = {name for kind in kinds for name, it in vars(kind).items() if isinstance(it, Absent)}
    own = getattr(self, "__dict__", {})
    return [name for name in object.__dir__(self) if name not in absent or name in own]


def explain_functions(cls: type, shown: str, module: ModuleType) -> None:
    """Make a class explain the functions of tensors in `module` that aren't its methods."""
    there = {name for kind in cls.__mro__ for name in vars(kind)}  # and rows
    for name in module.__all__:
        value = vars(module).get(name)
        home = getattr(value, "__module__", None) or ""
        if home.startswith(_FUNCTIONS) and not isinstance(value, type):
            for asked, text in ((name, _is_function), (f"{name}_", _edits)):
                if asked not in there:
                    setattr(cls, asked, Absent(asked, partial(text, shown, name, module)))


def _is_function(shown: str, name: str, module: ModuleType) -> str:
    return f"{shown}.{name}: minigrad has it as a function: {call_of('mg', name, module)}"


def _edits(shown: str, name: str, module: ModuleType) -> str:
    return f"{shown}.{name}_: {edits_nothing('mg', name, module)}"


_OWN = ("minigrad.backends", "minigrad.models")


class _Finder:
    """Is asked last for a module of minigrad, which isn't there then."""

    @staticmethod
    def find_spec(full: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Raise if the table has something to say; else None, as it finds no module."""
        if not full.startswith("minigrad."):
            return None
        module, names = import_from(sys._getframe(1))
        if not module or full in _OWN:  # it isn't imported, only looked for; or not installed
            return None
        asked = module if f"{module}.".startswith(f"{full}.") else full
        shown, rest = "mg", asked.split(".")[1:]
        while rest and f"{shown}.{rest[0]}" in _modules:
            shown = f"{shown}.{rest.pop(0)}"
        if shown not in _modules or not (path_asked := [*rest, *names[:1]]):
            return None
        text = missing(_modules[shown][0], path_asked, _others())
        if ": " not in text and "?" not in text:
            return None
        raise ModuleNotFoundError(f"{asked}: {text}")


def explain_imports() -> None:
    """Make imports of modules that minigrad doesn't have explain it."""
    if not any(isinstance(finder, type) and finder is _Finder for finder in sys.meta_path):
        sys.meta_path.append(_Finder)


def install(mg: ModuleType, classes: Mapping[str, Any]) -> None:
    """Make all of minigrad explain names and keywords that it doesn't have.

    `classes` are those whose names are explained, by what user's code calls an object of them.
    """
    fronts = Fronts()
    for shown, theirs in _MODULES.items():
        if (module := sys.modules.get(shown.replace("mg", "minigrad", 1))) is not None:
            explain_module(module, shown, theirs)
            if hasattr(module, "__all__") and shown != "mg.functional":
                # Tensors and backends are made too often for it.
                fronts.of_module(module, shown, constructors=shown != "mg")
    for shown, kinds in classes.items():
        explain_class(kinds[0], shown, _CLASSES.get(shown, ()))
        for kind in kinds:
            fronts.of_class(kind, shown)
    explain_functions(classes["x"][0], "x", mg)
    explain_data(classes["x"][0])
    explain_unpacking(classes["x"][0])
    fronts.install()
    explain_imports()


# How names of the table begin that are asked of a module, or of an object of a class.
_MODULES = {
    "mg": ("torch.", "F.", "np."),
    "mg.nn": ("nn.",),
    "mg.nn.init": ("nn.init.",),
    "mg.optim": ("optim.",),
    "mg.functional": ("F.", "torch."),
    "mg.linalg": ("torch.linalg.", "np.linalg."),
    "mg.data": ("torch.utils.data.",),
    "mg.utils": ("torch.utils.",),
}
_CLASSES = {"x": ("x.",), "model": ("model.",), "optimizer": ("optimizer.",)}
_FUNCTIONS = ("minigrad.ops", "minigrad.functional", "minigrad.losses", "minigrad.class_losses")
