"""Measure a gradient: differences to both sides.

Check it: minigrad exercise check measured-slope FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def slope(f, x, epsilon):
    """The gradient of f at x, measured entry by entry; f takes an array (n,), gives a number."""
    result = np.zeros_like(x)
    for i in range(len(x)):
        result[i] = blank("move x[i] up and down by epsilon; the difference by 2 epsilon")
    return result
