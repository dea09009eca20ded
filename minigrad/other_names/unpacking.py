"""One tensor where PyTorch gives two: `values, indices = x.max(1)`.

Python's error says how many values it wanted. The call that they are of is read from the code, once
for each place in it.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .frames import steps_of
from .table import ROWS

# Functions of which PyTorch's give values and positions.
_PAIRS = ("max", "min", "sort")


def explain_unpacking(cls: Any) -> None:
    """Make tensors of a class explain that they are no pair of values and positions."""
    plain = cls.__iter__
    looked_at: set[tuple[int, int]] = set()  # by the code's identity, as its hash takes long

    def __iter__(self: Any) -> Any:
        frame = sys._getframe(1)
        place = id(frame.f_code), frame.f_lasti
        if place not in looked_at:
            name = _unpacked(frame)
            if name is None:
                looked_at.add(place)
            elif self.ndim and len(self) != 2:
                note = ROWS[f"x.{name}"].note
                raise ValueError(f"{name}: there is one tensor, of shape {self.shape}. {note}")
        return plain(self)

    __iter__.__doc__ = plain.__doc__
    cls.__iter__ = __iter__


def _unpacked(frame: FrameType) -> str | None:
    """The function that a frame has called if it unpacks two values of it; else None."""
    steps, now = steps_of(frame)
    if steps[now].opname != "UNPACK_SEQUENCE" or steps[now].argval != 2:
        return None
    call = steps[now - 1]
    if not call.opname.startswith("CALL") or call.positions is None:
        return None
    begin = call.positions[::2]  # its line and column, where what is called begins, too
    asked = [
        step.argval
        for step in steps[:now]
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD")
        and step.positions is not None
        and step.positions[::2] == begin
    ]
    return asked[-1] if asked and asked[-1] in _PAIRS else None
