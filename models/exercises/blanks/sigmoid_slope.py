"""The way back through sigmoid, from its output.

y = 1 / (1 + exp(-x)) is known, and so is g, the gradient of a loss with respect to y.

Check it: minigrad exercise check sigmoid-slope FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def backward(g, y):
    """The gradient of the loss with respect to x; g and y are arrays of one shape."""
    return blank("g times the slope of sigmoid, written with y")
