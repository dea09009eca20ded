"""What is left of a gradient after T steps of one unit.

The state is handed on by h = tanh(w * h).

Check it: minigrad exercise check vanishing FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def left_of_the_gradient(w, h, T):
    """The derivative of the state after T steps with respect to the first state, h."""
    left = 1.0
    for _ in range(T):
        h = np.tanh(w * h)
        left = blank("multiply by what this step contributes")
    return left
