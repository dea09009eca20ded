"""What cells name, for calls that a plan has served: then it needn't be found out again."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..errors import Untraceable
from .fused_scan import ScanCall


class KnownNames:
    """What the cell of a call names, if a plan has served such a call.

    A plan is made for all that a cell depends on, and a cell that reads a tensor's values has none.
    So what such a cell names is the same for each call that the plan serves. It is remembered
    among the plans.

    Parameters
    ----------
    call : without an instrument.
    """

    def __init__(self, call: ScanCall) -> None:
        self.call = call
        try:
            numbers = tuple(map(repr, call.numbers))
            self._key: Any = "names", call.found_outside, call.facts, numbers
        except Untraceable:
            self._key = None

    @property
    def like(self) -> ScanCall | None:
        """The call, for one of the same cell with more inputs, which reads the same from outside.

        None if the inputs are of a class that has something of its own: that is read, too.
        """
        return self.call if self._key and type(self.call.xs) in (Tensor, tuple) else None

    def get(self, place: str) -> Any:
        """What was remembered for a cell at this place; None if nothing was."""
        return None if self._key is None else ScanCall.plans.get((*self._key, place))

    def put(self, place: str, names: Any) -> None:
        """Remember what it names: a plan has served it."""
        if self._key is not None:
            ScanCall.plans.put((*self._key, place), names)
