"""Generated kernels for Numba: compiled once per machine, loaded by every process after.

Each is a Python file in the cache folder, and the compiled code lies beside it. Nothing in
the folder is needed: what is missing or broken is made again.
"""

from __future__ import annotations

import hashlib
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from numba import typeof

from ..shared.kernel_files import kernel_file, kernel_name
from . import (
    float_code,
    float_constants,
    intrinsics,
    kernel_products,
    math_functions,
    vectors,
    whole_division,
)
from .files import CompiledFiles
from .math_functions import FLAGS
from .uncompiled import names_for_python

_HEADER = '''"""A step of a scan.

Written by minigrad; to change it, change the cell. With helpers {helpers}.
"""

from math import cos, erf, sin, sqrt

import numpy as np
from minigrad.backends.numba_kernels.kernel_products import add_product, product, product_onto
from minigrad.backends.numba_kernels.math_functions import exp, expm1, log, log1p, sigmoid, tanh
from minigrad.backends.numba_kernels.math_functions import larger, maximum, minimum, smaller
from minigrad.backends.numba_kernels.intrinsics import fence, row, select, widest_vectors
from minigrad.backends.numba_kernels.whole_division import floored, modulo
from numba import njit


@njit(nogil=True, no_cfunc_wrapper=True, error_model={error_model!r}, fastmath={{{flags}}})
'''
_HELPERS = (
    *(math_functions, float_code, float_constants, intrinsics, whole_division),
    *(kernel_products, vectors),
)


class Kernel:
    """A generated function, compiled at its first call or loaded from the cache folder."""

    def __init__(self, text: str) -> None:
        flags = ", ".join(repr(flag) for flag in sorted(FLAGS["fastmath"]))
        self.source = (
            _HEADER.format(helpers=_helpers(), error_model=FLAGS["error_model"], flags=flags) + text
        )
        self.name = kernel_name(self.source)
        self.compiled: Any = None  # Numba's dispatcher
        self._is_ready = False
        self._load()

    def ready(self, arguments: Sequence[Any]) -> Callable[..., None]:
        """The compiled function for arguments like these."""
        if not self._is_ready:
            self._prepare(tuple(map(typeof, arguments)))
            self._is_ready = True
        return self.compiled

    def names(self) -> dict[str, Any]:
        """What its text calls, as Python may call it, to run the text uncompiled."""
        return {**self.compiled.py_func.__globals__, **names_for_python()}

    def _prepare(self, signature: tuple[Any, ...]) -> None:
        """Compile, or load what another process has compiled."""
        try:
            self.compiled.compile(signature)
        except Exception as error:
            error.add_note(
                f"This happened while Numba compiled {self.path}. MINIGRAD_FUSED=0 runs without "
                "kernels."
            )
            raise

    def _load(self) -> None:
        self.path = kernel_file(self.source, ".py")
        module = types.ModuleType(self.name)
        module.__file__ = str(self.path)
        sys.modules[self.name] = module  # Numba looks functions up by their module
        weakref.finalize(self, _forget, module).atexit = False
        exec(compile(self.source, self.path, "exec"), vars(module))
        self.compiled = module.kernel
        files = CompiledFiles(self.compiled.py_func, self.source.encode(), self.path.parent)
        self.compiled._cache = files


def _forget(module: types.ModuleType) -> None:
    """A kernel is gone: its module goes, too, if there is none of the same name by now."""
    if sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]


@cache
def _helpers() -> str:
    """A checksum of what kernels call: part of their text, so that a change compiles them again."""
    texts = [Path(str(module.__file__)).read_bytes() for module in _HELPERS]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]
