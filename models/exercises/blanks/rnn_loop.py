"""Read a whole sequence, step by step.

Check it: minigrad exercise check rnn-loop FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def read(x, w_ih, w_hh, bias):
    """The states (T, N, H) after each step of x (T, N, I); the state before them is zeros."""
    h = np.zeros((x.shape[1], len(bias)))
    states = []
    for x_t in x:
        h = blank("a step of the RNN")
        blank("keep the state")
    return np.stack(states)
