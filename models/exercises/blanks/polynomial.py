"""The derivative of x³ - 2x.

Check it: minigrad exercise check polynomial FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def derivative(x):
    """The slope of x**3 - 2 * x at each x, an array."""
    return blank("the derivative")
