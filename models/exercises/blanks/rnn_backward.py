"""Backpropagation through time, for an RNN.

A step was h_t = tanh(x_t @ w_ih.T + h_before @ w_hh.T + bias).

Check it: minigrad exercise check rnn-backward FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def backward(x, states, w_hh, g):
    """The gradients of w_ih, w_hh, bias and the first state, as a dict of these names.

    x (T, N, I); states (T + 1, N, H), of which the first is the one before step 0, so that
    states[t + 1] is tanh's output of step t; g (T, N, H) is the gradient that the loss itself
    gives to each output.
    """
    T, N, I = x.shape
    H = w_hh.shape[0]
    g_ih, g_hh, g_bias = np.zeros((H, I)), np.zeros((H, H)), np.zeros(H)
    g_h = np.zeros((N, H))  # what the step after this one has sent back
    for t in reversed(range(T)):
        g_y = blank("what arrives at this step's output: from the loss, and from the step after")
        g_sum = blank("back through tanh")
        blank("add this step's part to g_ih, g_hh and g_bias")
        g_h = blank("what goes on to the step before")
    return {"w_ih": g_ih, "w_hh": g_hh, "bias": g_bias, "first state": g_h}
