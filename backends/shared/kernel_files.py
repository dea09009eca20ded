"""Generated kernels as files in a cache folder: readable, and never needed.

A file is named by what is in it. What is missing or broken is written again; a folder that can't be
used, or in which other users may write, is replaced by one for this process alone, with a warning.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import warnings
from functools import cache
from pathlib import Path

from minigrad.utils.files import replace_file


def cache_folder() -> Path:
    """Where kernels are written: MINIGRAD_CACHE, or a folder in the user's cache."""
    chosen = os.environ.get("MINIGRAD_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minigrad" / "kernels"


def kernel_name(source: str) -> str:
    """The name of a kernel: another source has another one."""
    return f"scan_{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def kernel_file(source: str, suffix: str, folder: Path | None = None) -> Path:
    """The file of a kernel, in the cache folder if possible."""
    folder, name = folder or private_folder(), f"{kernel_name(source)}{suffix}"
    try:
        return _write(folder / name, source)
    except OSError as error:
        _warn_of_folder(folder, error)
    try:
        return _write(_temporary() / name, source)
    except OSError:  # no room anywhere: the kernel runs from its text in memory
        return _temporary() / name


def private_folder() -> Path:
    """The cache folder if it is the user's own, and else one for this process alone."""
    try:
        folder = cache_folder()
    except RuntimeError:  # the user has no home
        return _temporary()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = why_not_private(folder.stat())
    except OSError as error:
        _warn_of_folder(folder, error)
        return _temporary()
    if reason:
        warn(f"the cache folder {folder} is not used, as {reason}")
        return _temporary()
    return folder


def why_not_private(status: os.stat_result) -> str | None:
    """Why what is in a file or a folder may come from another user; None if it may not."""
    if not hasattr(os, "geteuid"):  # Windows, where a user's folders are the user's
        return None
    if status.st_uid != os.geteuid():
        return f"it belongs to another user (number {status.st_uid})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write to it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def _warn_of_folder(folder: Path, error: OSError) -> None:
    warn(f"kernels can't be written to the cache folder {folder}", error)


def _write(path: Path, source: str) -> Path:
    """The file of a kernel. Other processes see it whole or not at all."""
    text = source.encode()
    if path.exists():
        if path.read_bytes() == text:
            return path
        warn(f"a kernel in {path.parent} was not as minigrad had written it, and is written anew")
    replace_file(path, text, private=True)
    return path


@cache
def _temporary() -> Path:
    """A cache folder for this process alone; one that isn't there if none can be made."""
    try:
        folder = tempfile.mkdtemp(prefix="minigrad-kernels-")
    except OSError:
        return Path("minigrad-kernels-without-a-folder")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


_warned: set[str] = set()


def warn(trouble: str, error: Exception | None = None) -> None:
    """Say it, once for each kind of trouble: results are right all the same."""
    if trouble in _warned:
        return
    _warned.add(trouble)
    because = f" ({type(error).__name__}: {error})" if error else ""
    warnings.warn(
        f"minigrad: {trouble}{because}. Compiling takes some seconds more. To avoid that, delete "
        "the folder, or set MINIGRAD_CACHE to one of your own that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )
