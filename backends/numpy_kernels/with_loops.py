"""What makes a backend of NumPy's arrays run cells over time as loops of plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from minigrad.engine.backend import ArrayModuleBackend


class WithLoops(ArrayModuleBackend):
    """Loops for scans. The compiler is imported when it compiles the first one."""

    product_starts = True  # products may start from what they are added to
    # Functions and updates, in blocks of rows that fit a cache, took 1.0 to 1.8 times as long as op
    # by op: NumPy's functions are the same, and the backward pass computes forward rows again.
    loops_only = True

    @cached_property
    def kernels(self) -> WeakValueDictionary[str, Any]:
        """The functions of loops by their text, as long as a plan needs them."""
        return WeakValueDictionary()

    def compile_loop(self, loop: Any, dtype: str) -> Callable[..., None]:
        """A loop as a function of NumPy."""
        from .loops import NumpyLoop

        return NumpyLoop(loop, self)

    def matmul(self, a: Any, b: Any, start: Any = None) -> Any:
        """The matrix product over the last two axes; with `start`, (N, M) or (M,), added to it."""
        y = super().matmul(a, b)
        if start is not None:
            y += start
        return y
