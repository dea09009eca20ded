"""Probabilities for the next character: temperature and top-k.

Check it: minigrad exercise check temperature FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def probabilities(scores, temperature, k):
    """Probabilities (V,) from scores (V,): only the k highest scores may be drawn.

    A temperature below 1 makes likely characters likelier, one above 1 makes all more alike.
    """
    return blank("the probabilities, which add up to 1")
