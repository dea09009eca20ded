"""Generated kernels as files: readable, compiled once per machine, loaded by every process after.

Each kernel is a Python file in the cache folder, named by what is in it. Numba keeps the compiled
code beside it. Nothing in the folder is needed: what is missing or broken is made again.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from numba import typeof
from numba.core.errors import NumbaError

from . import numba_gemm, numba_math
from .numba_math import FLAGS

_HEADER = '''"""A step of a scan.

Written by minigrad; to change it, change the cell. With helpers {helpers}.
"""

from math import cos, sin, sqrt

import numpy as np
from minigrad.backends.numba_gemm import product
from minigrad.backends.numba_math import exp, expm1, log, log1p, sigmoid, tanh
from numba import njit


@njit(cache=True, nogil=True, error_model={error_model!r}, fastmath={{{flags}}})
'''
# When all kernel files were changed last: Numba wants to know, and their names tell more.
_BORN = 1_000_000_000


class Kernel:
    """A generated function, compiled at its first call or loaded from the cache folder."""

    def __init__(self, text: str) -> None:
        flags = ", ".join(repr(flag) for flag in sorted(FLAGS["fastmath"]))
        self.source = (
            _HEADER.format(helpers=_helpers(), error_model=FLAGS["error_model"], flags=flags) + text
        )
        self.name = f"scan_{hashlib.sha256(self.source.encode()).hexdigest()[:16]}"
        self.compiled: Any = None  # Numba's dispatcher
        self._is_ready = False
        self._load(_folder())

    def ready(self, arguments: Sequence[Any]) -> Callable[..., None]:
        """The compiled function for arguments like these."""
        if not self._is_ready:
            self._prepare(tuple(map(typeof, arguments)))
            self._is_ready = True
        return self.compiled

    def _prepare(self, signature: tuple[Any, ...]) -> None:
        """Compile, or load what another process has compiled; whatever the folder is like."""
        try:
            self.compiled.compile(signature)
            return
        except NumbaError:
            raise
        except Exception as error:  # unpickling garbage can raise anything
            _warn(f"compiled kernels in {self.path.parent} can't be read or written", error)
        if self.compiled.signatures:
            return  # compiled, and only not written
        with contextlib.suppress(OSError):
            for file in self.path.parent.rglob(f"{self.name}.*"):
                if file != self.path:
                    file.unlink()
        self._load(self.path.parent)
        with contextlib.suppress(OSError):
            self.compiled.compile(signature)

    def _load(self, folder: Path) -> None:
        try:
            self.path = _written(folder, self.name, self.source)
        except OSError as error:
            _warn(f"kernels can't be written to the cache folder {folder}", error)
            self.path = _written(_temporary(), self.name, self.source)
        module = types.ModuleType(self.name)
        module.__file__ = str(self.path)
        sys.modules[self.name] = module  # Numba looks functions up by their module
        exec(compile(self.source, self.path, "exec"), vars(module))
        self.compiled = module.kernel


def cache_folder() -> Path:
    """Where kernels are written: MINIGRAD_CACHE, or a folder in the user's cache."""
    chosen = os.environ.get("MINIGRAD_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minigrad" / "kernels"


def _folder() -> Path:
    try:
        return cache_folder()
    except RuntimeError:  # nobody's home
        return _temporary()


def _written(folder: Path, name: str, source: str) -> Path:
    """The file of a kernel. Other processes see it whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    text = source.encode()
    if path.exists():
        if path.read_bytes() == text:
            return path
        _warn(f"a kernel in {folder} was not as minigrad had written it, and is written anew")
    handle, draft = tempfile.mkstemp(prefix=name, suffix=".draft", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        # Numba takes compiled code for outdated if the file was changed: not by a second process.
        os.utime(draft, (_BORN, _BORN))
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    return path


@cache
def _helpers() -> str:
    """A checksum of what kernels call: Numba's cache looks at the kernel's own file alone."""
    texts = [Path(str(module.__file__)).read_bytes() for module in (numba_gemm, numba_math)]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


@cache
def _temporary() -> Path:
    """A cache folder for this process alone."""
    folder = tempfile.mkdtemp(prefix="minigrad-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


_warned: set[str] = set()


def _warn(trouble: str, error: Exception | None = None) -> None:
    """Say it, once for each kind of trouble: results are right all the same."""
    if trouble in _warned:
        return
    _warned.add(trouble)
    because = f" ({type(error).__name__}: {error})" if error else ""
    warnings.warn(
        f"minigrad: {trouble}{because}. Compiling takes some seconds more. To avoid that, delete "
        "the folder, or set MINIGRAD_CACHE to one that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )
