"""Sums over rows by one kernel: what all rows of a fused function share gets its gradients so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dialect import HELPERS, TYPES

_THREADS = 256  # of a block; a power of two
_COLUMNS = 8  # of a block, at most: 32 bytes of float32, the least that memory reads

_TEXT = f"""\
// Sums over the rows of several arrays: of each block some columns of one of them.
// Written by minigrad.
//
// x0 and so on: N rows of W columns, whose numbers are apart by as much as `down` and `across` say.
// y0 and so on: W sums. C: columns of a block, a power of two.

#define THREADS {_THREADS}
typedef long long Index;

{HELPERS["add_to"]}
{HELPERS["whole"]}
template <typename T> __device__ void sum_rows(
    const T* __restrict__ x, T* __restrict__ y, Index N, Index W, Index down, Index across, int C
) {{
    __shared__ T held[THREADS];
    const Index j = (Index)blockIdx.x * C + threadIdx.x % C;
    const int lanes = blockDim.x / C, lane = threadIdx.x / C;  // each goes over some of the rows
    T total = 0, lost = 0;
    if (j < W)
        for (Index n = lane; n < N; n += lanes) add_to(total, lost, x[n * down + j * across]);
    held[threadIdx.x] = whole(total, lost);
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {{
        if (lane < half) held[threadIdx.x] += held[threadIdx.x + half * C];
        __syncthreads();
    }}
    if (lane == 0 && j < W) y[j] = held[threadIdx.x];
}}
"""


class RowSums:
    """Sums over rows: called with arrays and the shapes of what they sum up to."""

    def __init__(self, cupy: Any, kernels: Callable[[str], Any]) -> None:
        self._cupy, self._kernels = cupy, kernels

    def __call__(self, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """The sums, each over as many rows as an array has times what its sums' shape has."""
        tables, made, arguments, blocks = [], [], [], 1
        for x, shape in zip(arrays, shapes, strict=True):
            y = self._cupy.empty(shape, x.dtype)
            tables.append(x := x.reshape(-1, y.size))
            width = min(_COLUMNS, 1 << (y.size - 1).bit_length())
            down, across = (step // x.itemsize for step in x.strides)
            sizes = map(np.int64, (len(x), y.size, down, across))
            arguments += [x.data.ptr, y.data.ptr, *sizes, np.int32(width)]
            blocks = max(blocks, -(-y.size // width))
            made.append(y)
        kinds = [TYPES[x.dtype.name] for x in tables]
        kernel = self._kernels(_write_kernel(kinds)).get("sums", False)
        kernel((blocks, len(made)), (_THREADS,), tuple(arguments))
        return made


def _write_kernel(kinds: Sequence[str]) -> str:
    """The text of the kernel for arrays of these types."""
    names = ("N", "W", "down", "across")
    arguments, lines = [], []
    for i, kind in enumerate(kinds):
        sizes = ", ".join(f"Index {name}{i}" for name in names)
        arguments.append(f"    const {kind}* x{i}, {kind}* y{i}, {sizes}, int C{i}")
        given = ", ".join(f"{name}{i}" for name in ("x", "y", *names, "C"))
        lines.append(f"    if (blockIdx.y == {i}) sum_rows({given});")
    head = 'extern "C" __global__ void sums('
    return "\n".join([_TEXT, head, ",\n".join(arguments), ") {", *lines, "}", ""])
