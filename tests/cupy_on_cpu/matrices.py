"""Functions of `cupy.linalg` on the stand-ins: CuPy has them from cuSOLVER; here NumPy does them.

`install` puts them in the place of CuPy's. They refuse what CuPy's refuse, and where cuSOLVER's
errors aren't asked for (`cupyx.errstate`), they give garbage in place of an error.
"""

from __future__ import annotations

import numpy as np


def install():
    import cupy

    for name in ("solve", "cholesky", "slogdet", "svd"):
        setattr(cupy.linalg, name, _on_host(name))


def _on_host(name):
    import cupy
    import cupyx

    original, function = getattr(cupy.linalg, name), getattr(np.linalg, name)

    def call(*arrays, **settings):
        for x in arrays:
            if not isinstance(x, cupy.ndarray):
                raise np.linalg.LinAlgError("cupy.linalg only supports cupy.ndarray")
            if x.dtype == np.float16:
                raise TypeError("array type float16 is unsupported in linalg")
            if x.ndim < 2 or (name != "svd" and x is arrays[0] and x.shape[-1] != x.shape[-2]):
                raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
        if name == "solve" and arrays[0].shape[:-1] != arrays[1].shape[:-1]:
            raise ValueError("a must have (..., M, M) shape and b must have (..., M, K)")
        given = [cupy.asnumpy(x) for x in arrays]
        try:
            with np.errstate(all="ignore"):
                found = function(*given, **settings)
        except np.linalg.LinAlgError:
            if cupyx.geterr()["linalg"] == "raise":
                raise
            found = np.full_like(given[-1], np.nan)
        if isinstance(found, tuple):
            return tuple(cupy.asarray(part) for part in found)
        return cupy.asarray(found)

    call.__doc__ = original.__doc__
    return call
