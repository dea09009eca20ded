"""One unit: y = tanh(w x + b), and back to all three.

Check it: minigrad exercise check chain-rule FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def backward(x, w, b, g):
    """The gradients of x, w and b, numbers, where g is the gradient of y."""
    y = np.tanh(w * x + b)
    g_sum = blank("the gradient of the sum w x + b")
    return blank("the gradient of x"), blank("the gradient of w"), blank("the gradient of b")
