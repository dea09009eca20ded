"""The way back through tanh, from its output.

y = tanh(x) is known, and so is g, the gradient of a loss with respect to y.

Check it: minigrad exercise check tanh-slope FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def backward(g, y):
    """The gradient of the loss with respect to x; g and y are arrays of one shape."""
    return blank("g times the slope of tanh, written with y")
