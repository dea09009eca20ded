"""Set an LSTM to remember: the forget gates begin open.

Check it: minigrad exercise check open-gates FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def open_forget_gates(bias, value):
    """The bias (4H,) with `value` for the forget gates, the rest as it was.

    The order of the gates is input, forget, candidate, output.
    """
    bias = bias.copy()
    blank("set the part of the forget gates")
    return bias
