"""Running the loop of a scan on a GPU: per step its matrix products and its kernels, and no more.

All that a step needs is made before the first one: the loop asks neither for memory nor for a
result. A kernel gets the addresses of its step's rows, so that nothing is sliced for it.

The steps are launched one by one. Captured into a CUDA graph they would be launched at once, but
CuPy (14.2) refuses matrix products while it captures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.compiler.schedule import Loop

from ..shared.kernel_files import kernel_file
from .codegen import MOST_THREADS, Product, Writer
from .region import Place, RegionWriter

_THREADS = 128  # of a block whose threads have a column each: small batches get more blocks
_LARGE = 2**31 - MOST_THREADS  # columns times rows of which 32 bits can't count the threads


Action = Callable[[list[int]], None]  # what a step does, given its row of each array


class Kernels:
    """The kernels of one loop's text, compiled at their first call.

    The text is a file in minigrad's cache folder, where profilers find its lines. What the compiler
    makes of it is kept by CuPy, in a cache of its own.
    """

    def __init__(self, text: str, cupy: Any) -> None:
        self.path = kernel_file(text, ".cu")
        self._code = f'#line 1 "{self.path.as_posix()}"\n{text}'
        self._cupy = cupy
        self._modules: dict[bool, Any] = {}

    def get(self, name: str, large: bool) -> Any:
        """A kernel; one that counts in 64 bits if `large`."""
        if large not in self._modules:
            options = ["-DLARGE"] if large else []
            if not self._cupy.cuda.runtime.is_hip:
                options.append("-lineinfo")
            self._modules[large] = self._cupy.RawModule(code=self._code, options=tuple(options))
        return self._modules[large].get_function(name)


class CupyLoop:
    """A loop with its kernels; called as `minigrad.compiler.host_code` says, with CuPy arrays."""

    def __init__(self, loop: Loop, writer: Writer, kernels: Kernels, backend: Any) -> None:
        self._loop, self._stages, self._own = loop, writer.stages, writer.own
        self.text = writer.text
        self._kernels, self._cupy, self._tally = kernels, backend.xp, backend.launched
        products = sum(isinstance(stage, Product) for stage in self._stages)
        self._per_step = {"products": products, "kernels": len(self._stages) - products}
        self._factors = {s.invariant for s in self._stages if isinstance(s, Product)}
        self._elements = {
            p.index
            for s in self._stages
            for p in (s.places if isinstance(s, RegionWriter) else [s.rows])
            if p.kind == "invariant"
        }
        # Cotangents that kernels alone read: they may be one number, as those of a sum are.
        self._lone = {i for i, v in enumerate(loop.steps) if v in loop.program.g_ys}
        self._lone -= {s.rows.index for s in self._stages if isinstance(s, Product)}

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
        xp = self._cupy
        arrays = {
            "invariant": [self._tidy(i, x) for i, x in enumerate(invariant)],
            "steps": [
                x if i in self._lone and _is_one_number(x) else xp.ascontiguousarray(x)
                for i, x in enumerate(steps)
            ],
            "before": carries,
            "after": carries,
            "kept": kept,
            "own": [xp.empty((1, N, *map(int, v.shape[1:])), v.dtype) for v in self._own],
        }
        actions = [
            self._product_action(stage, arrays)
            if isinstance(stage, Product)
            else self._kernel_action(stage, arrays, N)
            for stage in self._stages
        ]
        for what, count in self._per_step.items():
            self._tally[what] += T * count
        for step in range(T):
            t = T - 1 - step if descending else step
            row = [0, t, t if keep else 0]  # of each array, by `_row`
            for full in full_history:
                ends = (t, t + 1) if full else (step % 2, 1 - step % 2)
                row += reversed(ends) if full and descending else ends
            for action in actions:
                action(row)

    def _tidy(self, i: int, x: Any) -> Any:
        """An array as kernels and cuBLAS take it, so that no step has to copy it; of one row."""
        if self._loop.invariant[i].is_number:
            return x
        if i in self._factors and i not in self._elements and x.flags.f_contiguous:
            return x[None]
        return self._cupy.ascontiguousarray(x)[None]

    def _product_action(self, product: Product, arrays: dict[str, Any]) -> Action:
        """What runs a matrix product of the step whose rows are given."""
        dot = self._cupy.dot
        w = arrays["invariant"][product.invariant][0]
        (a, i), (c, k) = (
            (_split(arrays[p.kind][p.index]), _row(p)) for p in (product.rows, product.out)
        )

        def run(row: list[int]) -> None:
            dot(a[row[i]], w, out=c[row[k]])

        return run

    def _kernel_action(self, region: RegionWriter, arrays: dict[str, Any], N: int) -> Action:
        """What runs a kernel of the step whose rows are given."""
        found = [arrays[p.kind][p.index] for p in region.places]
        pairs = list(zip(found, region.places, strict=True))
        lone = {p for x, p in pairs if p in region.cotangents and _is_one_number(x)}
        # The address of row 0, from row to row, and which row.
        rows = [(x.data.ptr, 0 if p in lone else x.nbytes // len(x), _row(p)) for x, p in pairs]
        widths = [x.size // len(x) for x in found]
        large = max([N * region.widest, *widths]) >= _LARGE
        index: Any = np.int64 if large else np.int32
        known = self._loop.program.sizes
        rest = [arrays[p.kind][p.index] for p in region.numbers]
        rest += [index(N), *(index(known[name]) for name in region.sizes)]
        rest += [index(p not in lone) for p in region.cotangents]
        if region.by_rows:
            threads = min(MOST_THREADS, max(32, 1 << (region.widest - 1).bit_length()))
            grid, block = (N,), (threads,)
        else:
            rest.append(index(region.widest))
            grid, block = (-(-N * region.widest // _THREADS),), (_THREADS,)
        kernel = self._kernels.get(region.name, large)

        def run(row: list[int]) -> None:
            kernel(grid, block, (*[start + by * row[i] for start, by, i in rows], *rest))

        return run if N * region.widest else lambda row: None


def _is_one_number(x: Any) -> bool:
    """Whether an array is one number repeated, and no more of it in memory."""
    return x.size > 1 and all(
        step == 0 or n == 1 for step, n in zip(x.strides, x.shape, strict=True)
    )


def _row(place: Place) -> int:
    """Where in the list of a step's rows the one of an array stands."""
    if place.kind in ("invariant", "own"):
        return 0
    if place.kind in ("steps", "kept"):
        return 1 if place.kind == "steps" else 2
    return 3 + 2 * place.index + (place.kind == "after")


def _split(array: Any) -> Any:
    """An array by rows; if they are few, sliced once and for all."""
    return [array[i] for i in range(len(array))] if len(array) <= 2 else array
