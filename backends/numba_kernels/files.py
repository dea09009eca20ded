"""Numba's compiled code as files in minigrad's cache folder: checked before they are loaded.

To load compiled code is to run it. So a file is only read if it belongs to the user and no other
user may write to it. It is only loaded if its checksum is right: one flipped bit could end the
process. If anything is wrong with a file, the function is compiled, and the file is written again.

Numba's own cache (`cache=True`) does neither, and writes beside the source or where NUMBA_CACHE_DIR
says.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, compiler, serialize
from numba.core.ccallback import CFunc
from numba.core.runtime.nrt import rtsys

from minigrad.utils.files import replace_file

from ..shared.kernel_files import private_folder, warn, why_not_private

_DIGEST = hashlib.sha256().digest_size


class CompiledFiles(caching._Cache):
    """The compiled code of one Python function, a file per signature and machine.

    Parameters
    ----------
    function : the Python function.
    text : all that its code depends on; another text has other files.
    folder : where the files are; by default minigrad's cache folder.
    """

    def __init__(self, function: Any, text: bytes, folder: Path | None = None) -> None:
        self._name, self._folder, self._is_on = function.__name__, folder, True
        versions = f"{sys.version} {numba.__version__}"
        self._about = f"{text!r} {function.__code__.co_firstlineno} {versions}"
        closure = tuple(cell.cell_contents for cell in function.__closure__ or ())
        self._closure = hashlib.sha256(serialize.dumps(closure)).hexdigest() if closure else ""

    @property
    def cache_path(self) -> str:
        """The folder."""
        self._folder = self._folder or private_folder()
        return str(self._folder)

    def enable(self) -> None:
        """Read and write files."""
        self._is_on = True

    def disable(self) -> None:
        """Leave files alone."""
        self._is_on = False

    def flush(self) -> None:
        """Forget what is there."""
        for file in Path(self.cache_path).glob(f"{self._name}-*.nbc"):
            file.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None if there is none that may be loaded."""
        if not self._is_on:
            return None
        # Compiled code calls Numba's runtime. Numba's own cache refreshes the context here, which
        # imports what compiling needs, and takes as long as all else that loads a kernel.
        rtsys.initialize(target_context)
        path = self._path(sig, target_context.codegen())
        try:
            content = read_checked(path)
            if content is None:
                return None
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(content))
        except Exception as error:  # unpickling can raise anything
            warn(f"compiled kernels in {path.parent} can't be read", error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code for a signature; whatever the folder is like, it serves this process."""
        if not self._is_on or data.library.has_dynamic_globals or data.lifted:
            return
        path = self._path(sig, data.codegen)
        try:
            write_checked(path, serialize.dumps(data._reduce()))
        except OSError as error:
            warn(f"compiled kernels can't be written to the folder {path.parent}", error)

    def _path(self, sig: Any, codegen: Any) -> Path:
        about = f"{self._about} {self._closure} {sig} {codegen.magic_tuple()}"
        name = hashlib.sha256(about.encode()).hexdigest()[:24]
        return Path(self.cache_path) / f"{self._name}-{name}.nbc"


def read_checked(path: Path) -> bytes | None:
    """What was written to a file; None if there is no file, or it must not be used."""
    try:
        with open(path, "rb") as file:
            reason = why_not_private(os.fstat(file.fileno()))
            whole = b"" if reason else file.read()
    except FileNotFoundError:
        return None
    if reason:
        warn(f"a compiled kernel in {path.parent} is not read, as {reason}")
        return None
    digest, content = whole[:_DIGEST], whole[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        warn(f"a compiled kernel in {path.parent} is damaged, and compiled anew")
        return None
    return content


def write_checked(path: Path, content: bytes) -> None:
    """Write a file that other processes see whole or not at all, and other users can't change."""
    replace_file(path, hashlib.sha256(content).digest() + content, private=True)


@cache
def _source(file: str) -> bytes:
    return Path(file).read_bytes()


def keep_compiled(function: Any, *sources: str) -> Any:
    """Keep the compiled code of an `njit` function of a module in minigrad's cache folder.

    `sources` are the files of other modules that the code depends on.
    """
    python = function.py_func
    files = (python.__code__.co_filename, *sources)
    function._cache = CompiledFiles(python, b"".join(map(_source, files)))
    return function


def keep_callback(signature: Any, *sources: str) -> Callable[[Any], Any]:
    """As Numba's `cfunc`, with the compiled code kept in minigrad's cache folder.

    `sources` are the files of other modules that the code depends on.
    """

    def made(python: Any) -> Any:
        callback: Any = CFunc(
            python, (signature.args, signature.return_type), locals={}, options={}
        )
        files = (python.__code__.co_filename, *sources)
        callback._cache = CompiledFiles(python, b"".join(map(_source, files)))
        callback.compile()
        return callback

    return made


__all__ = ["CompiledFiles", "keep_callback", "keep_compiled", "read_checked", "write_checked"]
