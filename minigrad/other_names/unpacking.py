"""One tensor where PyTorch gives two: `values, indices = x.max(1)`.

Python's error says how many values it wanted. The call that they are of is read from the code, once
for each place in it. Two rows could be unpacked, and would be taken for values and positions: then
the name that the second one gets decides, as `a, b = x.max(axis=1)` may well mean rows.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .frames import steps_of
from .table import ROWS

# Functions of which PyTorch's give values and positions.
_PAIRS = ("max", "min", "sort")
# How names of positions begin: indices, idx, positions, argmax, predicted, preds, labels.
_POSITIONS = ("ind", "idx", "pos", "arg", "pred", "label")


def explain_unpacking(cls: Any) -> None:
    """Make tensors of a class explain that they are no pair of values and positions."""
    plain = cls.__iter__
    looked_at: set[tuple[int, int]] = set()  # by the code's identity, as its hash takes long

    def __iter__(self: Any) -> Any:
        frame = sys._getframe(1)
        place = id(frame.f_code), frame.f_lasti
        if place not in looked_at:
            name, second = _unpacked(frame)
            if name is None:
                looked_at.add(place)
            elif self.ndim and (len(self) != 2 or second.lstrip("_").startswith(_POSITIONS)):
                note = ROWS[f"x.{name}"].note
                rows = f". If you mean its two rows, give the second another name than {second!r}"
                raise ValueError(
                    f"{name}: there is one tensor, of shape {self.shape}. {note}"
                    f"{rows if len(self) == 2 else ''}"
                )
        return plain(self)

    __iter__.__doc__ = plain.__doc__
    cls.__iter__ = __iter__


def _unpacked(frame: FrameType) -> tuple[str | None, str]:
    """The function that a frame has called if it unpacks two values of it; else None.

    And the name that the second value gets, if it gets one.
    """
    steps, now = steps_of(frame)
    if steps[now].opname != "UNPACK_SEQUENCE" or steps[now].argval != 2:
        return None, ""
    call = steps[now - 1]
    if not call.opname.startswith("CALL") or call.positions is None:
        return None, ""
    begin = call.positions[::2]  # its line and column, where what is called begins, too
    asked = [
        step.argval
        for step in steps[:now]
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD")
        and step.positions is not None
        and step.positions[::2] == begin
    ]
    if not asked or asked[-1] not in _PAIRS:
        return None, ""
    stores = [step.argval for step in steps[now + 1 : now + 3] if step.opname.startswith("STORE_")]
    return asked[-1], _second(stores)


def _second(stores: list[Any]) -> str:
    """The second name of two; Python 3.13 and newer store both in one step."""
    names = [
        name for stored in stores for name in ([stored] if isinstance(stored, str) else stored)
    ]
    return names[1] if len(names) > 1 and isinstance(names[1], str) else ""
