"""Files are replaced whole: whatever fails, and wherever, the old or the new content is there."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys

import pytest
from places import ROOT

import minigrad as mg
from minigrad.utils import files
from minigrad.utils.files import remove_drafts, replace_file

posix = pytest.mark.skipif(os.name != "posix", reason="links, signals and locks are POSIX's here")
OLD, NEW = b"old" * 1000, b"new" * 2000
CALLS = ["open", "fdopen", "fchmod", "fsync", "replace", "scandir"]


@pytest.fixture
def path(tmp_path):
    replace_file(tmp_path / "file", OLD)
    return tmp_path / "file"


def test_new_and_replaced(path):
    assert path.read_bytes() == OLD
    replace_file(path, NEW)
    replace_file(str(path.with_name("n" * 255)), NEW)  # as long as names may be
    assert path.read_bytes() == NEW
    assert len(os.listdir(path.parent)) == 2


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_fails_the_old_content_stays(call, error, path, monkeypatch):
    reached = []

    def fail(*args, **kwargs):
        reached.append(args)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fail)
        if call == "scandir" and isinstance(error, OSError):
            replace_file(path, NEW)  # cleaning is not worth an error
        elif call == "fchmod" and isinstance(error, OSError):
            replace_file(path, NEW)  # nor are permissions, where there are none
        else:
            with pytest.raises(type(error)):
                replace_file(path, NEW)
            assert path.read_bytes() == OLD
    assert reached
    replace_file(path, NEW)
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]


@posix
def test_a_full_disk(path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, len(NEW) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(OSError):
                replace_file(path, NEW)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == OLD
        assert os.listdir(path.parent) == [path.name]


@posix
def test_what_a_killed_process_left_is_removed_and_what_is_written_is_not(path):
    code = (
        "import os, sys\n"
        "from minigrad.utils import files\n"
        "files.os.replace = lambda *_: (print('here', flush=True), sys.stdin.read())\n"
        f"files.replace_file({str(path)!r}, b'other')\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout.readline() == "here\n"
        drafts = [name for name in os.listdir(path.parent) if files.is_draft(name)]
        assert len(drafts) == 1
        replace_file(path, NEW)  # while the other one is at work
        assert drafts[0] in os.listdir(path.parent)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert drafts[0] in os.listdir(path.parent)
        remove_drafts(path.parent)
        assert os.listdir(path.parent) == [path.name]
    finally:
        writer.kill()
        writer.communicate()
    assert path.read_bytes() == NEW


@posix
def test_a_private_file_is_a_new_one_of_its_owner(path, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"other")
    path.unlink()
    path.symlink_to(other)
    replace_file(path, b"mine", private=True)
    assert not path.is_symlink() and path.read_bytes() == b"mine" and other.read_bytes() == b"other"
    path.chmod(0o666)
    replace_file(path, b"again", private=True)
    assert path.read_bytes() == b"again" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_all_files_are_replaced_whole():
    """What writes a file, in minigrad and its benchmarks, calls `replace_file`."""
    root = ROOT
    allowed = {
        ("files.py", "target.write_bytes("),  # a device or a pipe
        ("memory.py", 'Path("/proc/self/clear_refs").write_text('),  # of the kernel's
        ("say.py", "file.write_bytes("),  # a temporary one, for a player
        ("10_cost.py", "script.write_text("),  # in a temporary folder
        ("11_text.py", "path.write_text("),  # in a temporary folder
        ("packages.py", '(info / "METADATA").write_text('),  # in a temporary folder
        ("packages.py", '(stand_in / "build_meta.py").write_text('),
    }
    writes = re.compile(
        r"""\S.*(?:\.write_(?:text|bytes)\(|\bopen\([^)]*["'][wax]b?["']|\.tofile\(|\bnp\.save\("""
        r"""|os\.replace\(|json\.dump\(|\.dump\()"""
    )
    found = []
    for folder in ("minigrad", "backends", "models", "benchmarks"):
        for file in sorted((root / folder).rglob("*.py")):
            for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()):
                told = any(file.name == name and line.startswith(text) for name, text in allowed)
                if writes.match(line) and not told and file.name != "files.py":
                    found.append((str(file.relative_to(root)), line))
    assert not found


def test_a_drawing_is_replaced_whole(path, monkeypatch):
    drawing, seen = mg.draw(mg.ones(2, requires_grad=True) * 2), []
    path = path.with_suffix(".svg")
    for file in (path, path.with_suffix(".dot")):
        file.write_text("old")
        monkeypatch.setattr(os, "replace", lambda *paths: seen.append(paths) or _fail())
        with pytest.raises(OSError, match="full"):
            drawing.save(file)
        monkeypatch.undo()
        assert file.read_text() == "old"
        drawing.save(file)
        assert file.read_text() != "old" and len(os.listdir(path.parent)) <= 3
    assert len(seen) == 2


def _fail():
    raise OSError("full")


def test_only_drafts_are_removed(path):
    others = [".minigrad-12345678.tmp.txt", "minigrad-12345678.tmp", ".minigrad-1234567g.tmp"]
    for name in others:
        path.with_name(name).touch()
    path.with_name(".minigrad-12345678.tmp").touch()
    remove_drafts(path.parent)
    assert sorted(os.listdir(path.parent)) == sorted([path.name, *others])


def test_a_draft_that_was_taken_for_left_over_is_made_anew(path, monkeypatch):
    lock = files._locked
    seen = []

    def late(file, flags=0):
        if not seen:
            seen.extend(name for name in os.listdir(path.parent) if files.is_draft(name))
            os.unlink(path.with_name(seen[0]))
        return lock(file, flags)

    monkeypatch.setattr(files, "_locked", late)
    replace_file(path, NEW)
    assert seen and path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]


def test_without_locks_other_drafts_stay(path, monkeypatch):
    """A file system that has none: a draft may be another process's, at work."""
    monkeypatch.setattr(files, "_locked", lambda *args: False)
    path.with_name(".minigrad-12345678.tmp").touch()
    replace_file(path, NEW)
    assert path.read_bytes() == NEW
    assert len(os.listdir(path.parent)) == 2


@posix
def test_what_is_no_file_is_written_to_or_refused(path):
    replace_file("/dev/null", NEW)
    assert not os.path.isfile("/dev/null")
    with pytest.raises(IsADirectoryError):
        replace_file(path.parent, NEW)
    link = path.with_name("link")
    link.symlink_to("target")
    replace_file(link, NEW)  # it points to nothing yet
    assert link.is_symlink() and path.with_name("target").read_bytes() == NEW


@posix
def test_permissions_of_another_group_are_not_given_away(path, monkeypatch):
    path.chmod(0o664)
    fields = list(os.stat(path))
    fields[5] += 1  # its group

    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(files.os, "fchown", refuse)
    with open(path, "r+b") as file:
        files._keep_permissions(file, os.stat_result(fields))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o604
