"""A recurrent layer whose output is a tensor alone: for a place within a `Sequential`."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module, Recurrent
from minigrad.utils.arguments import check_flag

__all__ = ["Outputs"]


class Outputs(Module):
    """A recurrent layer without its state: all outputs, or those after the last step.

    A layer returns its outputs and its state; what stands behind it in a `Sequential` takes one
    tensor. Keras's layers return one, by `return_sequences`.

    Parameters
    ----------
    layer : an `LSTM`, a `GRU`, or any other `Recurrent`.
    which : "all", the outputs of all steps, or "last", (N, D*H): of each direction the one
        after its last step, so of the backward direction that at the first step.
    go_backwards : whether x is reversed along time before, as Keras does. The outputs are in the
        order in which they were computed.

    >>> model = mg.nn.Sequential(Outputs(mg.nn.GRU(3, 4), "last"), mg.nn.Linear(4, 2))
    >>> model(mg.ones((5, 7, 3))).shape
    (7, 2)
    """

    def __init__(self, layer: Recurrent, which: str = "all", go_backwards: bool = False) -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"Outputs takes a recurrent layer; got {type(layer).__name__}")
        if which not in ("all", "last"):
            raise ValueError(f"Outputs: which is 'all' or 'last'; got {which!r}")
        self.layer, self.which = layer, which
        self.go_backwards = check_flag("Outputs", "go_backwards", go_backwards)

    def forward(self, x: Tensor, **options: Any) -> Tensor:
        """The outputs for x; takes what the layer takes by name, such as lengths.

        >>> Outputs(mg.nn.RNN(3, 4))(mg.ones((5, 2, 3))).shape
        (5, 2, 4)
        """
        if self.go_backwards:
            if options:
                raise ValueError(
                    f"Outputs: with go_backwards only x can be given; got {', '.join(options)}"
                )
            x = mg.flip(x, axis=1 if self.layer.batch_first and x.ndim == 3 else 0)
        y, state = self.layer(x, **options)
        if self.which == "all":
            return y
        h = state if isinstance(state, Tensor) else state[0]  # (L*D, N, H)
        if not self.layer.bidirectional:
            return h[-1]
        return mg.concatenate([h[-2], h[-1]], axis=-1)

    def extra_repr(self) -> str:
        """Its settings."""
        backwards = ", go_backwards=True" if self.go_backwards else ""
        return f"which={self.which!r}{backwards}"
