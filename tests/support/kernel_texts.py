"""What the compiler writes for a layer, as text."""

from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.models import LSTM


def lstm_program():
    layer = LSTM(3, 5)
    p = layer._weights("_l0")
    h, c = mg.zeros((2, 5)), mg.zeros((2, 5))
    return mg.trace(layer.cell, p, mg.ones((2, 3)), (h, c))


def kernels(layer, T, N, I, H, lengths=None):
    """The texts of the kernels that a training step of a layer runs."""
    backend = InterpretedBackend()
    with mg.use_backend(backend), fusing("require"):
        x = mg.zeros((T, N, I), requires_grad=True)
        layer(I, H)(x, lengths=lengths)[0].sum().backward()
    return backend.texts
