"""argsort on the stand-ins: CuPy has it from thrust, as machine code of a GPU; here NumPy sorts.

`install` puts it in the place of thrust's. It is as strict as a GPU is: a vector of floats is
sorted by its bits, so that a NaN with a sign comes first, and the memory that is sorted is lost.
"""

from __future__ import annotations

import ctypes

import numpy as np


def _array(start, dtype, shape):
    """The device's memory, which is the host's, as an array of NumPy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(start), dtype).reshape(shape)


def argsort(dtype, idx_start, data_start, keys_start, shape):
    """Along the last axis, stable: positions into `idx_start`."""
    import cupy

    cupy.cuda.get_current_stream().synchronize()
    data, positions = _array(data_start, dtype, shape), _array(idx_start, np.uint64, shape)
    keys = _bits(data) if data.ndim == 1 and data.dtype.kind == "f" else data
    positions[...] = np.argsort(keys, axis=-1, kind="stable")
    data.view(np.uint8)[...] = 0xFF
    if keys_start:
        _array(keys_start, np.uint64, shape)[...] = 2**64 - 1


def _bits(x):
    """Integers in the order in which a radix sort leaves floats: by their bits, but for -0."""
    bits = np.where(x == 0, 0, x.view(f"i{x.itemsize}"))
    lowest = np.iinfo(bits.dtype).min
    return np.where(bits < 0, lowest - bits, bits)


def install():
    import cupy.cuda.thrust

    cupy.cuda.thrust.argsort = argsort
