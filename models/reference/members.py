"""What a page shows: pdoc's objects, with ops as the functions that they are."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import sys
from typing import Any

import pdoc.doc
import pdoc.doc_types

import minigrad as mg
from minigrad.engine.backend import OPTIONAL, PROTOCOL
from minigrad.other_names.hooks import Absent

__all__ = ["Section", "modules", "sections"]

Section = tuple[str, list[pdoc.doc.Doc]]


class _Written(str):
    """An annotation as the source has it."""

    def __repr__(self) -> str:
        return str(self)


def _as_written(annotation: Any, *places: Any) -> Any:
    """In place of pdoc's evaluation, which looks for `int` among a class's attributes."""
    return _Written(annotation) if isinstance(annotation, str) else annotation


def modules(names: list[str]) -> dict[str, pdoc.doc.Module]:
    """The modules with what their pages show, by name."""
    for part in (pdoc.doc, pdoc.doc_types):
        vars(part)["safe_eval_type"] = _as_written
    # They are loaded when they are first asked for.
    vars(mg).update(source=mg.source, trace=mg.trace)
    made = {name: pdoc.doc.Module.from_name(name) for name in names}
    for module in made.values():
        module.source = ""  # each name has its own
        module.members = {
            name: _callable(member, module) for name, member in module.members.items()
        }
    front = made["minigrad"]
    elsewhere = made["minigrad.ops"].members.keys() | made["minigrad.functional"].members.keys()
    front.members = {n: member for n, member in front.members.items() if n not in elsewhere}
    made["minigrad.backend"].members["PROTOCOL"] = _protocol()
    _place_members(made)
    return made


def _protocol() -> pdoc.doc.Variable:
    """The protocol of backends as a table."""
    rows = [
        f"| {purpose} | {', '.join(f'`{n}`' for n in names)} |"
        for purpose, names in PROTOCOL.items()
    ]
    text = ["What a backend offers, by purpose.", "", "| | |", "|---|---|", *rows, ""]
    text += ["What it may offer besides:", "", "| | |", "|---|---|"]
    text += [f"| `{name}` | {what} |" for name, what in OPTIONAL.items()]
    taken_from = "minigrad.backend", "PROTOCOL"
    return pdoc.doc.Variable(*taken_from, taken_from=taken_from, docstring="\n".join(text))


def _value(module: pdoc.doc.Module, name: str) -> Any:
    return getattr(module.obj, name, None)


def _callable(member: pdoc.doc.Doc, module: pdoc.doc.Module) -> pdoc.doc.Doc:
    """An op or a fused function is an object that is called: shown as a function."""
    value = _value(module, member.name)
    ours = getattr(type(value), "__module__", "").startswith("minigrad")
    if isinstance(value, type) or not ours or not callable(value):
        return member
    return _as_function(pdoc.doc.Function(module.fullname, member.name, value, member.taken_from))


def _as_function(member: pdoc.doc.Function) -> pdoc.doc.Function:
    """With the signature and the text of the call, not of the declaration."""
    value: Any = member.wrapped
    member.obj = value = getattr(value, "__wrapped__", value) if _is_call(value) else value
    member.decorators = []
    member.docstring = inspect.cleandoc(value.__doc__ or "")
    member.source = definition(value)
    return member


def _is_call(value: Any) -> bool:
    """Whether this is the written call of an op, as tensors have it for a method."""
    return inspect.isfunction(value) and isinstance(getattr(value, "__wrapped__", None), mg.Op)


def definition(value: Any) -> str:
    """The source of an op with its derivatives, or of a fused function.

    >>> print(definition(mg.negative).partition("negative.vjp")[1])
    negative.vjp
    """
    return "\n\n".join(_definitions(value.__module__).get(value.__name__, []))


@functools.cache
def _definitions(name: str) -> dict[str, list[str]]:
    """For each function of a file its text, and the statements that declare its derivatives."""
    lines = inspect.getsource(sys.modules[name]).splitlines()
    parts: dict[str, list[str]] = {}
    for statement in ast.parse("\n".join(lines)).body:
        first = statement.lineno
        if isinstance(statement, ast.FunctionDef):
            first = min([first, *(decorator.lineno for decorator in statement.decorator_list)])
            owner = statement.name
        elif declares := re.match(r"(\w+)\.vjp(_all)?\(", lines[first - 1]):
            owner = declares[1]
        else:
            continue
        parts.setdefault(owner, []).append("\n".join(lines[first - 1 : statement.end_lineno]))
    return parts


def _place_members(made: dict[str, pdoc.doc.Module]) -> None:
    """Say of each member of a class which page has it.

    Classes inherit from bases that users don't name: what these give is the class's own. What a
    base with a page gives is inherited from there.
    """
    public: dict[type, tuple[str, str]] = {}
    classes = [c for module in made.values() for c in module.members.values()]
    for cls in classes:
        if isinstance(cls, pdoc.doc.Class):
            public.setdefault(cls.obj, (cls.modulename, cls.qualname))
    for cls in classes:
        if not isinstance(cls, pdoc.doc.Class):
            continue
        here = cls.modulename, cls.qualname
        cls.members = {
            name: member
            for name, member in cls.members.items()
            if not isinstance(_raw(cls.obj, name), Absent | type)  # a class has its own place
            if member.docstring or member.kind != "variable" or _is_field(cls.obj, name)
        }
        member: Any  # a function where it has a signature
        for name, member in cls.members.items():
            method = _raw(cls.obj, name)
            if name == "__init__" and inspect.isfunction(method):
                member.signature_without_self = _constructor(cls.obj)
                member.taken_from = here[0], f"{here[1]}.{name}"
                continue
            owner = next((kind for kind in cls.obj.__mro__ if name in vars(kind)), cls.obj)
            named = [k for k in cls.obj.__mro__ if k in public and issubclass(k, owner)]
            home = public[named[-1]] if named and named[-1] is not cls.obj else here
            if _is_call(method):
                _as_function(member).source = ""  # the page of ops has it
            elif owner is cls.obj and _is_in(member, cls):
                member.source = ""  # the class's has it
            if owner.__module__.startswith("minigrad") or owner is cls.obj:
                member.taken_from = home[0], f"{home[1]}.{name}"
        cls.taken_from = here
        bases = [kind for kind in cls.obj.__mro__[1:] if kind in public]
        cls.bases = [(*public[k], ".".join(public[k])) for k in bases[:1]] or [
            base for base in cls.bases if not base[0].startswith("minigrad")
        ]


def _is_in(member: pdoc.doc.Doc, cls: pdoc.doc.Class) -> bool:
    """Whether the text of a class has this method in it."""
    return bool(member.source) and member.source in cls.source


def _constructor(cls: type) -> inspect.Signature:
    """How a class is called, which a base's `__init__(*args)` may not say."""
    if isinstance(_raw(cls, "__signature__"), property):  # of its objects, which are called
        _, *parameters = inspect.signature(_raw(cls, "__init__")).parameters.values()
    else:
        parameters = list(inspect.signature(cls).parameters.values())
    written = [p.replace(annotation=_as_written(p.annotation)) for p in parameters]
    return inspect.Signature(written)


def _is_field(cls: type, name: str) -> bool:
    """Whether a class says that its objects have this attribute: of others its text speaks."""
    return dataclasses.is_dataclass(cls) or name in vars(cls).get("__annotations__", {})


def _raw(cls: type, name: str) -> Any:
    """What a class has under a name, as it is."""
    return next((vars(kind)[name] for kind in cls.__mro__ if name in vars(kind)), None)


def sections(module: pdoc.doc.Module) -> list[Section]:
    """The members of a page under headings: of the front page by subject, of others by file."""
    public = [m for m in module.members.values() if m.name[0] != "_"]
    headings = _subjects() if module.fullname == "minigrad" else {}
    parts: dict[str, list[pdoc.doc.Doc]] = {}
    for member in public:
        if headings:
            heading = headings[member.name]
        else:
            file = sys.modules.get(getattr(_value(module, member.name), "__module__", None) or "")
            own = file is None or file is module.obj
            heading = "" if own else (file.__doc__ or "").partition("\n")[0].rstrip(".")
        parts.setdefault(heading, []).append(member)
    return list(parts.items())


def _subjects() -> dict[str, str]:
    """The subjects by which minigrad's own list of names is grouped, in its comments."""
    text = inspect.getsource(mg).partition("__all__ = ")[2]
    subject, found = "", {}
    for line in text.splitlines():
        comment = re.match(r"\s*# (.*?)\.?$", line)
        subject = comment[1] if comment else subject
        found.update(dict.fromkeys(re.findall(r'"(\w+)"', line), subject))
        if "dtypes.__all__" in line:
            found.update(dict.fromkeys(mg.engine.dtypes.__all__, "Dtypes"))
    return found
