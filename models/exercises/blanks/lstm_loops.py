"""A step of the LSTM as a compiled kernel runs it: loops over rows and units.

The sums of products are there. The rest needs one pass, in which each value is a number: no arrays
between.

Check it: minigrad exercise check lstm-loops FILE
"""

import math

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def lstm_step(sums, c):
    """New h and c, each (N, H), of sums (N, 4H), in the order input, forget, candidate, output."""
    N, H = c.shape
    h_new, c_new = np.empty((N, H)), np.empty((N, H))
    for n in range(N):
        for j in range(H):
            i = sigmoid(sums[n, j])
            f = sigmoid(blank("the number of sums that belongs to the forget gate of unit j"))
            g = math.tanh(blank("that of the candidate"))
            o = sigmoid(blank("that of the output gate"))
            c_new[n, j] = blank("the new cell state of the unit")
            h_new[n, j] = blank("its new hidden state")
    return h_new, c_new
