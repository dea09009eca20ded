"""Running the function of a loop: which arrays its steps see, in which order."""

from __future__ import annotations

import linecache
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice, repeat
from typing import Any

import numpy as np

from minigrad.compiler.schedule import Loop

from .codegen import Writer
from .dialect import sigmoid


class Kernel:
    """The function of a text."""

    def __init__(self, text: str, xp: Any) -> None:
        filename = f"<minigrad kernel {zlib.crc32(text.encode()):08x}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        weakref.finalize(self, linecache.cache.pop, filename, None).atexit = False
        scope: dict[str, Any] = {"np": np, "sigmoid": sigmoid, "xp": xp}
        exec(compile(text, filename, "exec"), scope)
        self.text = text
        self.run: Callable[..., None] = scope["kernel"]


class NumpyLoop:
    """A loop as a function of NumPy; called as `minigrad.compiler.host_code` says.

    Attributes
    ----------
    text : the function.
    """

    def __init__(self, loop: Loop, xp: Any) -> None:
        writer = Writer(loop)
        self.text = writer.text
        self._sizes = [loop.program.sizes[name] for name in writer.sizes]
        kernel = xp.kernels.get(self.text)
        if kernel is None:
            xp.kernels[self.text] = kernel = Kernel(self.text, xp)
        self._kernel, self._run = kernel, kernel.run
        self._quiet = xp.quiet

    def __call__(
        self,
        T: int,
        N: int,
        descending: bool,
        keep: bool,
        full_history: Sequence[bool],
        invariant: Sequence[Any],
        steps: Sequence[Any],
        carries: Sequence[Any],
        kept: Sequence[Any],
    ) -> None:
        def each(x: np.ndarray) -> Iterable[np.ndarray]:
            """The rows of all steps in their order; or one that all of them use."""
            if len(x) != T:
                return repeat(x[0], T)
            return x[::-1] if descending else x

        def before(states: np.ndarray, full: bool) -> Iterable[np.ndarray]:
            """A state as each step finds it: of all that there are, or of two rows in turn."""
            if not full:
                return islice(cycle((states[0], states[1])), T)
            return states[:0:-1] if descending else states[:-1]

        def after(states: np.ndarray, full: bool) -> Iterable[np.ndarray]:
            """A state as each step leaves it."""
            if not full:
                return islice(cycle((states[1], states[0])), T)
            return states[-2::-1] if descending else states[1:]

        sizes = N, *self._sizes
        arrays = *invariant, *steps, *carries, *kept
        with self._quiet():
            self._run(T, each, before, after, *full_history, *sizes, *arrays)
