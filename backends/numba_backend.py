"""The Numba backend: NumPy, and kernels compiled for the CPU where they pay."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numba
import numpy as np

from minigrad.compiler.schedule import Loop
from minigrad.precision import PARTS, products
from minigrad.utils import summation
from minigrad.utils.summation import terms_at_a_time

from .numba_kernels import amx, threads
from .numba_kernels import gemm as numba_gemm
from .numba_kernels.array_pool import ArrayPool
from .numba_kernels.cache import Kernel
from .numba_kernels.codegen import ROWS_PER_SUM, Writer
from .numba_kernels.gemm import gemm, pack
from .numba_kernels.scatter import add_rows
from .numba_kernels.threads import by_rows
from .numba_kernels.tile_product import is_large, pays
from .numba_kernels.totals import Totals
from .numpy_backend import NumpyBackend

# Products with fewer rows or columns, or fewer terms in all, are the library's.
_NARROW, _SMALL = 16, 3 << 20

# Of a long product, at least so many terms are added in their order: each part costs a call.
_TERMS = 1024

_FLOATS = (np.dtype("float32"), np.dtype("float64"))  # in the machine's byte order

_FEW = 1024  # numbers to scatter for which loading a kernel does not pay

# A loop computes the products of each step that others compute for all steps at once, if a step has
# so many rows and the weights are no more numbers than that: they stay in cache.
_ROWS_IN_LOOP, _NUMBERS_IN_LOOP = 12, 1 << 18


class NumbaBackend(NumpyBackend):
    """NumPy arrays on the CPU, with compiled loops for scans."""

    product_starts = True  # products may start from what they are added to
    rows_per_sum = ROWS_PER_SUM
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.name = "numba"
        self.version = numba.__version__
        self.empty = ArrayPool().empty
        # By their text, as long as a plan needs them.
        self.kernels: WeakValueDictionary[str, Kernel] = WeakValueDictionary()

    def matmul(self, a: Any, b: Any, start: Any = None) -> Any:
        """The matrix product over the last two axes; with `start`, (N, M) or (M,), added to it.

        Only products of at least two axes start from something.
        """
        if a.ndim != 2 or b.ndim != 2:
            if a.ndim > 2 and b.ndim == 2:
                rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
                return self.matmul(rows, b, start).reshape(*a.shape[:-1], b.shape[-1])
            return super().matmul(a, b)
        (rows, terms), columns = a.shape, b.shape[1]
        if terms > summation.LONG and min(rows, columns) < _NARROW:
            out = super().matmul(a, b)
        elif a.size * columns < _SMALL:
            out = np.dot(a, b)
        elif terms != b.shape[0] or a.dtype != b.dtype or a.dtype not in _FLOATS:
            out = super().matmul(a, b)
        elif min(rows, columns) < _NARROW:
            out = np.dot(a, b, out=self.empty((rows, columns), a.dtype))
        else:
            if terms <= summation.LONG:
                return self._product(a, b, start)
            size = max(terms_at_a_time(a, b, rows * columns), _TERMS)
            return self._parts(a, b, start, size)
        if start is not None:
            out += start
        return out

    def _parts(self, a: Any, b: Any, start: Any, size: int) -> Any:
        """The product of `size` of the terms at a time, added up pairwise."""
        (rows, terms), columns = a.shape, b.shape[1]
        cuts = [slice(at, at + size) for at in range(0, terms, size)]
        sums = self.empty((len(cuts), rows, columns), a.dtype)
        each = numba_gemm.work_of(rows, size, columns)
        if threads.parts_of(each) > 1 or _bf16_parts_for(sums[0]):
            for i, cut in enumerate(cuts):
                _write_product(a[:, cut], b[cut], sums[i], None if i else start)
        else:
            numba_gemm.products(a, b, sums, start, size)
        step = 1
        while step < len(cuts):
            for i in range(0, len(cuts) - step, 2 * step):
                sums[i] += sums[i + step]
            step *= 2
        return sums[0].copy()  # the others take up memory

    def _product(self, a: Any, b: Any, start: Any) -> Any:
        """The product of large matrices."""
        out = self.empty((a.shape[0], b.shape[1]), a.dtype)
        _write_product(a, b, out, start)
        return out

    def scatter(self, g: Any, index: Any, shape: tuple[int, ...]) -> Any:
        """Zeros of `shape` with `g` added at `index`."""
        rows = isinstance(index, np.ndarray) and index.dtype.kind == "i" and len(shape) > 0
        if not rows or g.size < _FEW or g.dtype not in _FLOATS:
            return super().scatter(g, index, shape)
        out, width = np.zeros(shape, g.dtype), math.prod(shape[1:])
        positions = _tidy(index.astype(np.int64, copy=False)).reshape(index.size)
        table = out.reshape(shape[0], width)
        add_rows(table, positions, _tidy(g).reshape(index.size, width))
        return out

    def doctor_lines(self) -> list[str]:
        """Which products of float32 matrices there are here, for `minigrad doctor`."""
        reason, mode = amx.why_not(), products()
        if reason is None:
            return [f"products in {mode}; MINIGRAD_PRODUCTS may be {', '.join(PARTS)}"]
        asked = "" if mode == "float32" else f", not in {mode}"
        return [f"products in float32{asked}: {reason}"]

    def product_in_loop(self, rows: int, terms: int, columns: int) -> bool:
        """Whether a product of each step is faster in the loop, as what it reads is in cache there.

        The rows are added up one after the other then, so that they may not be too many, and
        weights' gradients are not in parts.
        """
        if terms * columns > _NUMBERS_IN_LOOP or not _ROWS_IN_LOOP <= rows <= summation.LONG:
            return False
        return not (is_large(terms, columns) and _bf16_parts(rows, summation.LONG))

    def compile_loop(self, loop: Loop, dtype: str) -> Callable[..., Any]:
        """A compiled kernel for a loop; the same text is compiled once."""
        writer = Writer(loop)
        text = writer.text
        width = sum(int(v.shape[-1]) for v in loop.body if v.shape)  # numbers per row and step
        plain = [loop.invariant.index(v) for v in writer.plain]
        packed = [loop.invariant.index(v) for v in writer.packed]
        sizes = [loop.program.sizes[name] for name in writer.sizes]
        plain_gemms = [gemm(name).address for name in writer.product_dtypes]
        for_totals: list[int] = []
        if loop.totals:
            packing = [numba_gemm.whole_gemm(name).address for name in writer.product_dtypes]
            for_totals = [*plain_gemms, *packing]
        in_float32 = "float32" in writer.product_dtypes
        adds_rows = any(v.op == "block_sum" for v in loop.body)
        together = ROWS_PER_SUM if adds_rows else threads.ROWS_PER_CUT
        kernel = self.kernels.get(text)
        if kernel is None:
            self.kernels[text] = kernel = Kernel(text)

        def run(
            T: int,
            N: int,
            descending: bool,
            keep: bool,
            full_history: Sequence[bool],
            invariant: Sequence[Any],
            steps: Sequence[Any],
            carries: Sequence[Any],
            kept: Sequence[Any],
            wanted: Sequence[bool] = (),
        ) -> Any:
            # Lists: a generator costs a call per item.
            weights = [_tidy(invariant[i]) for i in plain]
            gemms, parts = plain_gemms, 0
            if in_float32 and products() != "float32" and (parts := _bf16_parts(N, T)):
                gemms = [gemm(name, parts).address for name in writer.product_dtypes]
            panels = [pack(invariant[i], parts) for i in packed]
            rows = [x if x.flags.carray else _tidy(x) for x in steps]
            given = (*full_history, N, *sizes, *weights, *rows, *gemms, *panels, *for_totals)
            rest = (*given, *carries, *kept)
            totals = Totals(loop.totals, wanted, T, N, self.empty) if loop.totals else None
            first = totals.of(0) if totals else []
            everything = (T, 0, N, descending, keep, *rest, *first)
            compiled, work = kernel.ready(everything), T * N * width
            if work < threads.MIN_WORK_PER_THREAD:  # nothing to share out
                compiled(*everything)
                return totals and totals.found

            def part(lo: int, hi: int) -> None:
                own = totals.of(lo) if totals and lo else first
                compiled(T, lo, hi, descending, keep, *rest, *own)

            by_rows(part, N, work, together)
            return totals and totals.found

        run.text = text  # type: ignore[attr-defined]  # for `source()`
        return run


def _write_product(a: Any, b: Any, out: Any, start: Any) -> None:
    numba_gemm.matmul(a, b, out, start, _bf16_parts_for(out))


def _bf16_parts_for(out: Any) -> int:
    """The bf16 parts of a number in a product that is written to an array; see `matmul`."""
    if out.dtype != np.float32:
        return 0
    return _bf16_parts(out.shape[0] if out.strides[1] == out.itemsize else out.shape[1])


def _bf16_parts(rows: int, times: int = 1) -> int:
    """The bf16 parts of a number in float32 products, `times` of so many rows; 0 for none."""
    mode = products()
    parts = 0 if mode == "float32" else amx.parts_of(mode)
    return parts if parts and pays(parts, rows, rows * times) else 0


def _tidy(x: Any) -> Any:
    """An array as kernels are compiled for: in reading order, and writeable. Or a number."""
    return x if x.flags.carray or isinstance(x, np.generic) else np.array(x, order="C")


def load() -> NumbaBackend:
    """The entry point's target: one backend object."""
    return NumbaBackend()
