"""A gate that stays at f keeps f of a memory at each step. How long does a memory last?

Such a gate comes from a bias, before the sigmoid, if input and state add nothing to it.

Check it: minigrad exercise check half-life FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def half_life(f):
    """After how many steps, as a float, is half of a memory left?"""
    return blank("the t for which f to the power of t is a half")


def bias_for(t):
    """The bias of a gate whose half-life is t steps."""
    f = blank("the gate that keeps a half over t steps")
    return blank("the a for which sigmoid(a) is f")
