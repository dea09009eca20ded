"""The base of single cells: one step, for loops that you write."""

from __future__ import annotations

from typing import Any, ClassVar

from ..engine.tensor import Tensor
from ..scan import step
from .cell_module import CellModule

__all__ = ["RecurrentCell"]


class RecurrentCell(CellModule):
    """A cell over one step, for loops that you write: the base of `RNNCell`, `LSTMCell`, `GRUCell`.

    Its parameters have the names of a layer's without a suffix: `weight_ih`, `bias_hh`.

    Calling it
    ----------
    `state = cell(x, state=None)` with x (N, I) and a state (N, H), or a tuple of them for a cell of
    several states; zeros if None. For a single sequence, x is (I,) and a state (H,).

    >>> class Step(RecurrentCell):
    ...     def cell(p, x, h):
    ...         h = h + mg.linear(x, p.w)
    ...         return h, h
    ...
    ...     def shapes(self, I, H):
    ...         return {"w": (H, I)}
    >>> Step(3, 4)(mg.ones((2, 3))).shape
    (2, 4)
    """

    _is_step: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """The state after one step.

        >>> cell = mg.nn.GRUCell(3, 4)
        >>> h = cell.forward(mg.ones((2, 3)))
        >>> cell.forward(mg.ones((2, 3)), h).shape
        (2, 4)
        """
        self._check_input(x, {1: "(I,)", 2: "(N, I)"})
        parts = self._state(state, x.shape[:-1], x)
        given = self.cell, self._weights(""), x, self._packed(parts)
        _, state = step(*given) if x.ndim == 2 else self.cell(*given[1:])
        return state

    def extra_repr(self) -> str:
        """Its sizes, and whether it has no bias."""
        return self._sizes_and_options({"bias": True, **self.options})
