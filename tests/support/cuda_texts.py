"""What the CuPy backend writes for a layer, as text."""

from interpreted_backend import InterpretedBackend
from scans import fusing

import minigrad as mg
from minigrad.backends.cupy_kernels.codegen import Writer


class Listing(InterpretedBackend):
    """Computes as Python, and writes what a GPU would do."""

    product_starts = False  # as CuPy's

    def __init__(self):
        super().__init__()
        self.loops = []

    def compile_loop(self, loop, dtype):
        self.loops.append(Writer(loop))
        return super().compile_loop(loop, dtype)


def loops(layer, T, N, I, H, lengths=None):
    """The forward and the backward loop of a training step of a layer."""
    backend = Listing()
    with mg.use_backend(backend), fusing("require"):
        x = mg.zeros((T, N, I), requires_grad=True)
        layer(I, H)(x, lengths=lengths)[0].sum().backward()
    return backend.loops


def texts(*args, **options):
    return [loop.text for loop in loops(*args, **options)]
