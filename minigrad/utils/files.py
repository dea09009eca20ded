"""Files that are replaced whole: the old content is there until the new one is on the disk.

The new content is written to a draft in the same folder, synced, and moved to its name, which a
file system does at once or not at all. A process that is killed leaves at most its draft behind,
and the next one that writes to the folder removes it: a draft is locked as long as it is written,
and the system takes the lock from a process that ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, which doesn't remove a file that a process has open
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_draft", "locked_folder", "remove_drafts", "replace_file"]

_DRAFT = re.compile(r"\.minigrad-[0-9a-f]{8}\.tmp")


def replace_file(path: str | os.PathLike[str], content: bytes, *, private: bool = False) -> None:
    """Make `content` all that the file `path` holds, wholly or not at all.

    A link stays, and the file that it points to is replaced. A file that is there keeps its
    permissions, and one that may not be written to is not replaced. A device or a pipe is simply
    written to.

    A `private` file is a new one in each case, in the place of whatever was there, and only its
    owner may read it or write to it.

    Raises OSError if it can't be written; a file that was there is as it was.
    """
    if private:
        _replace(Path(path), content, None, 0o600)
        return
    target = Path(os.path.realpath(path))
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old.st_mode):
        target.write_bytes(content)  # /dev/stdout; a folder is an error that says so
        return
    if old is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "The file is write-protected", str(target))
    _replace(target, content, old, 0o666)


def _replace(target: Path, content: bytes, old: os.stat_result | None, mode: int) -> None:
    remove_drafts(target.parent)
    draft, file = _new_draft(target.parent, mode)
    try:
        with file:
            file.write(content)
            if old is not None:
                _keep_permissions(file, old)
            file.flush()
            os.fsync(file.fileno())  # or a crash could leave the new name with old bytes
            if fcntl:  # still locked, so no other process takes it for a leftover
                os.replace(draft, target)
        if not fcntl:  # an open file can't be moved
            os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(target.parent)


def remove_drafts(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes have left in a folder; what is still written to stays."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        drafts = [entry.path for entry in entries if _DRAFT.fullmatch(entry.name)]
        for draft in drafts:
            with contextlib.suppress(OSError), _opened(draft, os.O_RDWR) as file:
                if not fcntl:
                    file.close()
                    os.unlink(draft)
                elif _locked(file, fcntl.LOCK_NB):
                    os.unlink(draft)


def is_draft(name: str) -> bool:
    """Whether a file of this name is such a draft."""
    return _DRAFT.fullmatch(name) is not None


@contextlib.contextmanager
def locked_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Wait until no other process is within for this folder; where the system has no locks, don't.

    The lock is gone with the process that holds it, however it ends.
    """
    if not fcntl:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can."""
    if os.name == "posix":
        with contextlib.suppress(OSError):  # some file systems know no such thing
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _new_draft(folder: Path, mode: int) -> tuple[Path, IO[bytes]]:
    while True:
        draft = folder / f".minigrad-{secrets.token_hex(4)}.tmp"
        file = _opened(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if not fcntl:
            return draft, file
        _locked(file)
        if draft.exists():  # else it was taken for left over before it was locked
            return draft, file
        file.close()


def _opened(path: str | Path, flags: int, mode: int = 0o666) -> IO[bytes]:
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, mode), "r+b")


def _locked(file: IO[bytes], flags: int = 0) -> bool:
    """Whether the lock was free, and is held now until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | flags)
    except OSError:  # held by another one, or unknown to this file system
        return False
    return True


def _keep_permissions(file: IO[bytes], old: os.stat_result) -> None:
    mode = stat.S_IMODE(old.st_mode)
    if os.name != "posix":
        return
    new = os.fstat(file.fileno())
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG  # they were another group's
    with contextlib.suppress(OSError):  # a file system without permissions
        os.fchmod(file.fileno(), mode)
