"""A backend that runs generated kernels as the Python text that they are.

What the compiler makes of a cell can so be tested without waiting for Numba: thousands of cells,
and where Numba is not installed, too.
"""

import numpy as np

from minigrad.backends.numba_codegen import Writer
from minigrad.backends.numpy_backend import NumpyBackend


def product(a, w, c, lo, hi):
    c[lo:hi] = a[lo:hi] @ w


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SCOPE = {"np": np, "product": product, "sigmoid": sigmoid, "sqrt": np.sqrt, "tanh": np.tanh}
SCOPE |= {"exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p}
SCOPE |= {"sin": np.sin, "cos": np.cos}


class InterpretedBackend(NumpyBackend):
    def __init__(self):
        super().__init__()
        self.name = "interpreted"
        self.texts = []

    def empty(self, shape, dtype):
        kind = np.dtype(dtype).kind
        return np.full(shape, np.nan if kind == "f" else 99 if kind == "i" else 1, dtype)

    def compile_loop(self, loop, dtype):
        writer = Writer(loop)
        text = writer.text()
        self.texts.append(text)
        scope = dict(SCOPE)
        exec(text, scope)

        def run(T, N, descending, keep, whole, once, steps, carries, kept):
            arrays = dict(zip(loop.once, once, strict=True))
            names = {name: N if name == "N" else loop.program.sizes[name] for name in writer.sizes}
            for lo, hi in ((0, N // 2), (N // 2, N)):  # as two threads would
                scope["kernel"](
                    *(T, lo, hi, descending, keep, *whole, *names.values()),
                    *(arrays[v] for v in writer.plain),
                    *steps,
                    *(arrays[v] for v in writer.packed),
                    *carries,
                    *kept,
                )

        return run
