"""Products in bf16 parts by NumPy: what those on the tile unit are compared with."""

import contextlib

import numpy as np
import pytest

import minigrad as mg


def split(x, parts):
    """`parts` bf16 numbers, as float32 arrays, for each float32 number."""
    found, rest = [], np.asarray(x, np.float32).copy()
    for _ in range(parts):
        bits = rest.view(np.uint32)
        upper = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
        found.append(upper.view(np.float32))
        rest = rest - found[-1]
    return found


def product(a, b, parts, start=0, dtype=np.float32):
    """start + a @ b by the products of parts that count, the smallest first; of a dtype."""
    left, right = ([x.astype(dtype) for x in split(x, parts)] for x in (a, b))
    out = np.zeros((len(a), b.shape[1]), dtype)
    for total in range(parts - 1, -1, -1):
        for i in range(total, -1, -1):
            out += left[i] @ right[total - i]
    return out + start


def error(c, a, b, start=0):
    """The root mean square of the error of c = start + a @ b, relative to that of the result."""
    right = a.astype(np.float64) @ b.astype(np.float64) + start
    return np.sqrt(np.mean((c - right) ** 2) / np.mean(right**2))


@contextlib.contextmanager
def emulated_tiles(small=True):
    """Products in parts on the emulated unit; with `small`, also of sizes that don't pay."""
    amx = pytest.importorskip("minigrad.backends.numba_kernels.amx", reason="needs Numba")
    from minigrad.backends.numba_kernels import tile_product

    with pytest.MonkeyPatch.context() as patch, mg.set_products("float32"):
        patch.setattr(amx, "EMULATED", True)
        if small:
            for name, value in {"_TERMS": 1, "_NUMBERS": 1}.items():
                patch.setattr(tile_product, name, value)
            for name in ("_ROWS", "_USES"):
                patch.setattr(tile_product, name, {1: 1, 2: 1, 3: 1})
        yield
