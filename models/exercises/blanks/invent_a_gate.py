"""A cell of yours, with a gate, that outlasts the RNN.

The check measures that the gate lies between 0 and 1, that the gradient is right, and that the cell
learns to say the first of 20 symbols at the end, which an RNN doesn't.

Check it: minigrad exercise check invent-a-gate FILE
"""

import minigrad as mg
from minigrad.nn import Recurrent


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def my_cell(p, x, h):
    """One step: x is (N, I), h is (N, H); returns the output and the new state, both (N, H)."""
    gate = mg.probe("gate", blank("between 0 and 1, from x and h"))
    candidate = blank("what the state could become")
    h = blank("the gate decides between the old state and the candidate")
    return h, h


class MyCell(Recurrent):
    """The layer of this cell."""

    cell = my_cell

    def shapes(self, I, H):
        """The shapes of the parameters, by name: p.w_ih in the cell, and so on."""
        return {"w_ih": (H, I), "b_ih": (H,), "w_hh": (H, H)}

    def initial(self, name, shape):
        """How the parameter of this name begins, an array. What makes a gate begin open?"""
        return super().initial(name, shape)
