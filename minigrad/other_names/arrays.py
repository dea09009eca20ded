"""Methods of PyTorch's that are asked of `x.data`, the backend's own array: `p.data.add_(...)`.

The array is NumPy's or CuPy's, and no error of its own could say what to write. So `x.data` looks
what the code that asks for it does next, once for each place in it.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from .frames import path_from
from .table import look_up


def explain_data(cls: Any) -> None:
    """Make `x.data` of a class explain the methods in the table that arrays don't have."""
    plain = cls.data
    get = plain.fget
    looked_at: set[tuple[int, int]] = set()  # by the code's identity, as its hash takes long

    def data(self: Any) -> Any:
        frame = sys._getframe(1)
        place = id(frame.f_code), frame.f_lasti
        if place not in looked_at:
            _check_next(frame, get(self))
            looked_at.add(place)
        return get(self)

    cls.data = property(data, plain.fset, doc=plain.__doc__)


def _check_next(frame: FrameType, array: Any) -> None:
    path = path_from(frame, "data")[:2]
    if len(path) == 2 and not hasattr(array, path[1]):
        asked = ".".join(path)
        found = look_up(["x."], path)
        if found is not None and found[1] == asked:
            raise AttributeError(f"x.{asked}: {found[0].text(asked)}", name=path[1], obj=array)
