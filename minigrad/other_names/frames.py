"""What the user's code asks for next: the rest of `nn.utils.rnn.pad_sequence` after `nn.utils`.

It is read from the bytecode of the frame, once the error has happened.
"""

from __future__ import annotations

import dis
from types import FrameType

_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR")
_BETWEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL")


def path_from(frame: FrameType | None, name: str) -> list[str]:
    """An attribute that a frame asks for, and the attributes that it will ask of that."""
    path = [name]
    if frame is None:
        return path
    now = False
    for step in dis.get_instructions(frame.f_code):
        if step.offset == frame.f_lasti:
            now = step.opname in _ATTRIBUTE and step.argval == name
            if not now:
                break
        elif now and step.opname in _ATTRIBUTE:
            path.append(step.argval)
        elif now and step.opname not in _BETWEEN:
            break
    return path


def import_from(frame: FrameType | None) -> tuple[str, list[str]]:
    """The module that a frame imports, and the names from it; frames of importlib are left out."""
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    module = ""
    names: list[str] = []
    if frame is None:
        return module, names
    for step in dis.get_instructions(frame.f_code):
        if step.offset == frame.f_lasti and step.opname == "IMPORT_NAME":
            module = step.argval
        elif module and step.opname == "IMPORT_FROM":
            names.append(step.argval)
        elif module and not step.opname.startswith("STORE") and step.opname not in _BETWEEN:
            break
    return module, names
