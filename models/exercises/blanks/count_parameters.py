"""How many parameters has a layer?

Check it: minigrad exercise check count-parameters FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def count(cell, I, H):
    """The number of parameters of an "RNN", "GRU" or "LSTM" layer; it has two biases."""
    return blank("the number")
