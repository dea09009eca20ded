"""A backend that runs generated kernels as the Python text that they are.

What the compiler makes of a cell can so be tested without waiting for Numba: thousands of cells,
and where Numba is not installed, too.
"""

import math

import numpy as np

from minigrad.backends.numba_kernels.codegen import Writer
from minigrad.backends.numpy_backend import NumpyBackend


def product(gemm, a, w, c, lo, hi):
    assert a.dtype == w.dtype == c.dtype == gemm
    c[lo:hi] = a[lo:hi] @ w


def product_onto(gemm, start, a, w, c, lo, hi):
    assert start.dtype == a.dtype == w.dtype == c.dtype == gemm
    c[lo:hi] = (start if start.ndim == 1 else start[lo:hi]) + a[lo:hi] @ w


def row(array, at):
    return array[at[:-1]][at[-1] :]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


SCOPE = {"np": np, "product": product, "sigmoid": sigmoid, "sqrt": np.sqrt, "tanh": np.tanh}
SCOPE |= {"exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p}
SCOPE |= {"product_onto": product_onto, "row": row, "widest_vectors": lambda: None}
SCOPE |= {"sin": np.sin, "cos": np.cos, "maximum": np.maximum, "minimum": np.minimum}
SCOPE |= {"erf": lambda x: type(x)(math.erf(x))}
SCOPE |= {"select": lambda condition, a, b: a if condition else b, "fence": lambda x: x}
SCOPE |= {"larger": lambda a, b: a if a > b else b, "smaller": lambda a, b: a if a < b else b}
SCOPE |= {"modulo": np.remainder, "floored": np.floor_divide}


class InterpretedBackend(NumpyBackend):
    def __init__(self):
        super().__init__()
        self.name = "interpreted"
        self.texts = []

    product_starts = True
    rows_per_sum = 2

    def matmul(self, a, b, start=None):
        c = super().matmul(a, b)
        return c if start is None else c + start

    def empty(self, shape, dtype):
        kind = np.dtype(dtype).kind
        return np.full(shape, np.nan if kind == "f" else 99 if kind == "i" else 1, dtype)

    def compile_loop(self, loop, dtype):
        writer = Writer(loop, self.rows_per_sum)
        text = writer.text
        self.texts.append(text)
        scope = dict(SCOPE)
        exec(text, scope)

        def run(T, N, descending, keep, full_history, invariant, steps, carries, kept):
            arrays = dict(zip(loop.invariant, invariant, strict=True))
            sizes = [loop.program.sizes[name] for name in writer.sizes]
            middle = N // 2 // self.rows_per_sum * self.rows_per_sum
            for lo, hi in ((0, middle), (middle, N)):  # as two threads would
                scope["kernel"](
                    *(T, lo, hi, descending, keep, *full_history, N, *sizes),
                    *(arrays[v] for v in writer.plain),
                    *steps,
                    *writer.product_dtypes,
                    *(arrays[v] for v in writer.packed),
                    *carries,
                    *kept,
                )

        return run
