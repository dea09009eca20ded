"""The Numba backend: NumPy, and kernels compiled for the CPU where they pay."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.compiler.schedule import Loop

from .array_pool import ArrayPool
from .numba_codegen import Writer
from .numba_gemm import MR, pack
from .numba_math import FLAGS
from .numba_threads import by_rows
from .numpy_backend import NumpyBackend

_HEADER = '''"""A step of {title}.

Written by minigrad; to change it, change the cell. With helpers {helpers}.
"""

from math import cos, sin, sqrt

import numpy as np
from minigrad.backends.numba_gemm import product
from minigrad.backends.numba_math import exp, expm1, log, log1p, sigmoid, softplus, tanh
from numba import njit


@njit(cache=True, nogil=True, error_model={error_model!r}, fastmath={{{flags}}})
'''


class NumbaBackend(NumpyBackend):
    """NumPy arrays on the CPU, with compiled loops for scans."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "numba"
        self.empty = ArrayPool().empty
        self._kernels: dict[str, Callable[..., None]] = {}

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product over the last two axes."""
        if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.shape[1] != b.shape[0]:
            return super().matmul(a, b)
        return np.matmul(a, b, out=self.empty((a.shape[0], b.shape[1]), a.dtype))

    def compile_loop(self, loop: Loop, dtype: str) -> Callable[..., None]:
        """A compiled kernel for a loop; the same text is compiled once."""
        writer = Writer(loop, dtype)
        text = writer.text()
        width = sum(int(v.shape[-1]) for v in loop.body if v.shape)  # numbers per row and step
        plain = [loop.once.index(v) for v in writer.plain]
        packed = [loop.once.index(v) for v in writer.packed]
        if text not in self._kernels:
            self._kernels[text] = _load(text, "a scan")
        kernel = self._kernels[text]

        def run(
            T: int,
            descending: bool,
            keep: bool,
            whole: Sequence[bool],
            once: Sequence[Any],
            steps: Sequence[Any],
            carries: Sequence[Any],
            kept: Sequence[Any],
        ) -> None:
            N = carries[0].shape[1]
            weights = [once[i] for i in plain]
            panels = [pack(once[i]) for i in packed]
            rest = (*weights, *steps, *panels, *carries, *kept)

            def part(lo: int, hi: int) -> None:
                kernel(T, lo, hi, descending, keep, *whole, *rest)

            by_rows(part, N, T * N * width, MR)

        return run


def cache_folder() -> Path:
    """Where generated kernels are written: MINIGRAD_CACHE, or a folder in the user's cache."""
    chosen = os.environ.get("MINIGRAD_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minigrad" / "kernels"


def _helpers() -> str:
    """A checksum of what kernels call: Numba's cache looks at the kernel's own file alone."""
    folder = Path(__file__).parent
    texts = [path.read_bytes() for path in sorted(folder.glob("numba_*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def _load(text: str, title: str) -> Callable[..., None]:
    """Write a kernel's text to its file in the cache folder, and import it from there."""
    flags = ", ".join(repr(flag) for flag in sorted(FLAGS["fastmath"]))
    header = _HEADER.format(
        title=title, flags=flags, helpers=_helpers(), error_model=FLAGS["error_model"]
    )
    source = header + text
    name = f"scan_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.kernel


def load() -> NumbaBackend:
    """The entry point's target: one backend object."""
    return NumbaBackend()
