"""A step of the LSTM, backwards.

The step was cell = forget * old cell + input * candidate and hidden = output * tanh(cell).

Check it: minigrad exercise check lstm-backward FILE
"""

import numpy as np


def blank(what):
    """Replace each call of this function by your code."""
    raise NotImplementedError(what)


def backward(g_hidden, g_cell, old_cell, cell, gates):
    """The gradients of output, forget, input, candidate and old cell, as a dict of these names.

    g_hidden is the gradient of hidden; g_cell is what the next step sends back to the cell state;
    gates is a dict of forget, candidate, input and output. All arrays are (N, H).
    """
    g_output = blank("by way of hidden")
    g_c = blank("all that arrives at the cell state: through hidden, and from the next step")
    return {
        "output": g_output,
        "forget": blank("the gradient of forget"),
        "input": blank("the gradient of input"),
        "candidate": blank("the gradient of candidate"),
        "old cell": blank("what goes on to the step before"),
    }
