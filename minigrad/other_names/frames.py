"""What the user's code asks for next: the rest of `nn.utils.rnn.pad_sequence` after `nn.utils`.

It is read from the bytecode of the frame, once the error has happened.
"""

from __future__ import annotations

import dis
from types import FrameType

_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR")
_BETWEEN = ("CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL")


def steps_of(frame: FrameType) -> tuple[list[dis.Instruction], int]:
    """The instructions of a frame's code, and the number of the one that it is at."""
    steps = [step for step in dis.get_instructions(frame.f_code) if step.opname not in _BETWEEN]
    # Python 3.12 may point into the caches that follow an instruction.
    return steps, max(
        (i for i, step in enumerate(steps) if step.offset <= frame.f_lasti), default=0
    )


def path_from(frame: FrameType | None, name: str) -> list[str]:
    """An attribute that a frame asks for, and the attributes that it will ask of that."""
    path = [name]
    if frame is None:
        return path
    steps, now = steps_of(frame)
    if steps[now].opname in _ATTRIBUTE and steps[now].argval == name:
        for step in steps[now + 1 :]:
            if step.opname not in _ATTRIBUTE:
                break
            path.append(step.argval)
    return path


def import_from(frame: FrameType | None) -> tuple[str, list[str]]:
    """The module that a frame imports, and the names from it; frames of importlib are left out."""
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    names: list[str] = []
    if frame is None:
        return "", names
    steps, now = steps_of(frame)
    if steps[now].opname != "IMPORT_NAME":
        return "", names
    for step in steps[now + 1 :]:
        if step.opname == "IMPORT_FROM":
            names.append(step.argval)
        elif not step.opname.startswith("STORE"):
            break
    return steps[now].argval, names
