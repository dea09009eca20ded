"""Texts of different lengths in one batch: the state stays at the end.

Check it: minigrad exercise check padding FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def last_states(x, lengths, w_ih, w_hh, bias):
    """The state (N, H) of each sequence after its own last step.

    x (T, N, I) is padded; lengths (N,) says how many steps of each sequence count, perhaps 0.
    """
    h = np.zeros((x.shape[1], len(bias)))
    for t, x_t in enumerate(x):
        new = np.tanh(x_t @ w_ih.T + h @ w_hh.T + bias)
        h = blank("new where this step counts, else the state as it was")
    return h
