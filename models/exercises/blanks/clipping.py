"""Scale gradients down to a common norm.

Check it: minigrad exercise check clipping FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def clip(gradients, limit):
    """The gradients, a list of arrays, scaled by one number.

    The norm of all their entries together is then at most `limit`. Gradients below it stay.
    """
    return blank("the scaled gradients")
