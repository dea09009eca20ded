"""What errors say for names and arguments that minigrad doesn't have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..utils.spelling import nearest
from .arguments import ARGUMENTS, Argument
from .table import look_up, names_in

# Submodules of PyTorch, which say nothing about what is asked of them.
_SUBMODULES = {"autograd", "functional", "init", "linalg", "lr_scheduler", "nn", "optim"}
_SUBMODULES |= {"rnn", "special", "utils"}


class Place(NamedTuple):
    """Where a name is asked for.

    Parameters
    ----------
    shown : what the user's code calls it: `mg.nn`, or `x` for a tensor.
    theirs : what PyTorch and NumPy call it, as names in the table begin.
    names : what it has.
    """

    shown: str
    theirs: tuple[str, ...]
    names: Callable[[], Iterable[str]]


def missing(place: Place, path: list[str], others: Mapping[str, Any]) -> str:
    """What to say of a name that a place doesn't have.

    `path` is the name and what is asked of it next; `others` are the modules that may have it.
    """
    asked = f"{place.shown}.{path[0]}"
    if path[0].startswith("_"):
        return f"{place.shown} has no attribute {path[0]!r}"
    found = look_up(place.theirs, path)
    if found is not None and found[1].count(".") == len(path) - 1:
        return f"{place.shown}.{found[1]}: {found[0].text(found[1])}"
    last = next((name for name in path if name not in _SUBMODULES), "")
    if last and (len(path) == 1 or path[0] in _SUBMODULES):
        for shown, module in others.items():
            if last in getattr(module, "__all__", ()):
                return f"{asked}: minigrad has it in {shown}: {call_of(shown, last, module)}"
        if path[0] != last and (row := look_up(("torch.", "F.", "nn.", "optim."), [last])):
            return f"{asked}.{last}: {row[0].text(last)}"
    if found is not None:
        return f"{place.shown}.{found[1]}: {found[0].text(found[1])}"
    if path[0].endswith("_"):
        for shown, module in others.items():
            if (base := path[0].rstrip("_")) in getattr(module, "__all__", ()):
                return f"{asked}: {edits_nothing(shown, base, module)}"
    near = _near(place, path[0]) or _of_numpy(place, path[0])
    return f"{place.shown} has no attribute {path[0]!r}{near}"


def edits_nothing(shown: str, name: str, module: Any) -> str:
    """What to say of a function's name with an underscore at its end."""
    return f"no function edits its argument: x = {call_of(shown, name, module)}"


def _of_numpy(place: Place, name: str) -> str:
    """Whether NumPy has such a function."""
    for home in ("np.", "np.linalg."):
        if home in place.theirs:
            function = getattr(np.linalg if "linalg" in home else np, name, None)
            if callable(function) and not isinstance(function, type):
                return f". NumPy has {home}{name}, of arrays: x.detach().numpy() is one"
    return ""


def _near(place: Place, name: str) -> str:
    """Which name was meant, of minigrad's or of those in the table."""
    ours = {known for known in place.names() if known[:1] != "_"}
    theirs = names_in(place.theirs) - ours
    near = nearest(name, ours, cutoff=0.75)
    other = nearest(name, theirs, cutoff=0.85)
    if near is not None and other is not None:
        near = nearest(name, [near, other])
    near = near or other
    if near in ours:
        return f". Did you mean {place.shown}.{near}?"
    found = look_up(place.theirs, [near]) if near else None
    return f". Did you mean {near}? {found[0].text(near or '')}" if found else ""


def call_of(shown: str, name: str, module: Any) -> str:
    """A call of a function or a class as it would be written."""
    value = getattr(module, name)
    try:
        given = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return f"{shown}.{name}"
    words = [p.name for p in given if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    axis = next((p for p in given if p.name == "axis" and p.default is not p.empty), None)
    if axis is not None:
        words.append(f"axis={axis.default or 0}")
    return f"{shown}.{name}({', '.join(words)})"


# --- arguments -----------------------------------------------------------------------------


def wrong_arguments(
    shown: str, parameters: Mapping[str, inspect.Parameter], given: dict[str, Any], others: Any
) -> str | None:
    """What to say of keywords that a function doesn't have; None if there is nothing to say.

    `given` are its arguments that are right, `others` the keywords that are wrong.
    """
    called, near, notes, right = [], [], [], dict(given)
    function = shown.rpartition(".")[2]
    for name, value in others.items():
        row = ARGUMENTS.get(f"{function}.{name}") or ARGUMENTS.get(name, Argument())
        ours = next((own for own in row.ours if own in parameters and own not in right), None)
        if ours is None and not row.note:
            free = [own for own in parameters if own not in right]
            if (ours := nearest(name, free)) is None:
                return None
            near.append(f"{name}: did you mean {ours}?")
            right[ours] = value
        elif ours is not None:
            called.append(f"{name} {ours}")
            right[ours] = int(value) if row.as_number else value
        else:
            notes.append(f"{name}: {row.note}")
    line = _call(shown, parameters, right)
    said = [f"minigrad calls {', '.join(called)}{': ' if line else ''}{line}"] if called else []
    said = said or ([f"write {line}"] if line else [])
    if near and said:
        said[0] = said[0][0].upper() + said[0][1:]
    return f"{shown}: {' '.join([*near, '. '.join([*said, *notes])])}"


def _call(shown: str, parameters: Mapping[str, inspect.Parameter], right: dict[str, Any]) -> str:
    """A call with these arguments as it would be written; nothing if it lacks one."""
    words = []
    for name, p in parameters.items():
        if p.kind is p.VAR_POSITIONAL:
            words += [_text("...", value) for value in right.get(name, ())]
        elif name in right:
            text = _text(name, right[name])
            words.append(text if p.default is p.empty else f"{name}={text}")
        elif p.default is p.empty and p.kind is not p.VAR_KEYWORD:
            return ""
    return f"{shown}({', '.join(words)})"


def _text(name: str, value: Any) -> str:
    """A value as it would be written, or the name of its parameter if it is no short one."""
    text = repr(value) if isinstance(value, (int, float, str, bool, type(None), tuple)) else name
    return name if text[30:] else text
