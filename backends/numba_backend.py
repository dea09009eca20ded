"""The Numba backend: NumPy, and kernels compiled for the CPU where they pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from minigrad.compiler.schedule import Loop

from .array_pool import ArrayPool
from .numba_cache import Kernel
from .numba_codegen import Writer
from .numba_gemm import MR, pack
from .numba_threads import by_rows
from .numpy_backend import NumpyBackend


class NumbaBackend(NumpyBackend):
    """NumPy arrays on the CPU, with compiled loops for scans."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "numba"
        self.version = numba.__version__
        self.empty = ArrayPool().empty
        self.kernels: dict[str, Kernel] = {}  # by their text

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product over the last two axes."""
        if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.shape[1] != b.shape[0]:
            return super().matmul(a, b)
        return np.matmul(a, b, out=self.empty((a.shape[0], b.shape[1]), a.dtype))

    def compile_loop(self, loop: Loop, dtype: str) -> Callable[..., None]:
        """A compiled kernel for a loop; the same text is compiled once."""
        writer = Writer(loop)
        text = writer.text()
        width = sum(int(v.shape[-1]) for v in loop.body if v.shape)  # numbers per row and step
        plain = [loop.once.index(v) for v in writer.plain]
        packed = [loop.once.index(v) for v in writer.packed]
        sizes = [loop.program.sizes[name] for name in list(writer.sizes)[1:]]  # the first is N
        if text not in self.kernels:
            self.kernels[text] = Kernel(text)
        kernel = self.kernels[text]

        def run(
            T: int,
            N: int,
            descending: bool,
            keep: bool,
            whole: Sequence[bool],
            once: Sequence[Any],
            steps: Sequence[Any],
            carries: Sequence[Any],
            kept: Sequence[Any],
        ) -> None:
            weights = [_tidy(once[i]) for i in plain]
            panels = [pack(once[i]) for i in packed]
            rows = [_tidy(x) for x in steps]
            rest = (*whole, N, *sizes, *weights, *rows, *panels, *carries, *kept)
            compiled = kernel.ready((T, 0, N, descending, keep, *rest))

            def part(lo: int, hi: int) -> None:
                compiled(T, lo, hi, descending, keep, *rest)

            by_rows(part, N, T * N * width, MR)

        return run


def _tidy(x: Any) -> Any:
    """An array as kernels are compiled for: in reading order, and writeable."""
    flags = x.flags
    return x if flags.c_contiguous and flags.writeable and flags.aligned else np.array(x, order="C")


def load() -> NumbaBackend:
    """The entry point's target: one backend object."""
    return NumbaBackend()
