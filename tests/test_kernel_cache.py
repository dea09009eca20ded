"""Kernels as files: compiled once for all processes, whatever happens to the folder."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg

try:
    mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

from minigrad.backends import kernel_files, numba_cache
from minigrad.backends.kernel_files import cache_folder
from minigrad.backends.numba_cache import Kernel

TEXT = "def kernel(x):\n    x[0] = tanh(x[0]) + 1\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "kernels"
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder))
    monkeypatch.setattr(kernel_files, "_warned", set())
    return folder


def used(text=TEXT):
    """A kernel that a process loads and runs; and whether its code came from the folder."""
    kernel = Kernel(text)
    x = np.ones(2)
    kernel.ready([x])(x)
    assert x[0] == pytest.approx(np.tanh(1) + 1)
    hits, misses = (sum(c.values()) for c in kernel.compiled.stats[1:])
    assert hits + misses == 1
    return kernel, hits == 1


def files(folder, kind):
    return sorted(folder.rglob(f"*.{kind}"))


def trouble():
    return pytest.warns(RuntimeWarning, match=r"^minigrad: .*set MINIGRAD_CACHE")


def test_a_kernel_is_compiled_once(folder):
    first, warm = used()
    assert not warm and first.path.parent == folder
    assert first.path.read_text() == first.source and TEXT in first.source
    assert used()[1]
    other, warm = used(TEXT.replace("1\n", "1.0\n"))
    assert not warm and other.path != first.path
    assert not list(folder.glob("*.draft"))


def test_the_folder_is_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAD_CACHE", "some/where")
    assert cache_folder() == Path.cwd() / "some" / "where"
    monkeypatch.setenv("MINIGRAD_CACHE", "~/where")
    assert cache_folder() == Path.home() / "where"
    monkeypatch.delenv("MINIGRAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "minigrad" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "minigrad" / "kernels"


def test_new_helpers_are_new_kernels(folder, monkeypatch):
    old = Kernel(TEXT)
    monkeypatch.setattr(numba_cache, "_helpers", lambda: "others")
    assert Kernel(TEXT).name != old.name


@pytest.mark.parametrize("change", [lambda b: b + b"\n", lambda b: b[:40], lambda b: b"\xff\x00"])
def test_a_changed_kernel_file_is_written_anew(folder, change):
    kernel, _ = used()
    kernel.path.write_bytes(change(kernel.path.read_bytes()))
    with trouble() as said:
        used()
    assert len(said) == 1 and "was not as minigrad had written it" in str(said[0].message)
    assert kernel.path.read_text() == kernel.source
    assert used()[1]


@pytest.mark.parametrize("content", [b"", b"garbage", b"half"], ids=["empty", "garbage", "half"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_broken_compiled_code_is_compiled_anew(folder, kind, content):
    used()
    (file,) = files(folder, kind)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with trouble() as said:
        _, warm = used()
    assert len(said) == 1 and "can't be read or written" in str(said[0].message)
    assert not warm and used()[1]


@pytest.mark.parametrize("place", ["a file", "below a file", "no place for folders"])
def test_a_folder_that_can_not_be_written(folder, monkeypatch, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    nowhere = "/proc/nowhere" if Path("/proc").exists() else str(tmp_path / "file")
    chosen = {"a file": str(tmp_path / "file"), "below a file": str(tmp_path / "file" / "x")}
    monkeypatch.setenv("MINIGRAD_CACHE", chosen.get(place, nowhere))
    with trouble() as said:
        first, _ = used()
        second, _ = used(TEXT.replace("1\n", "1.0\n"))
    assert len(said) == 1
    assert f"can't be written to the cache folder {os.environ['MINIGRAD_CACHE']} (" in str(
        said[0].message
    )
    assert first.path.parent == second.path.parent and first.path.is_file()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    try:
        with trouble() as said:
            used()
        assert len(said) == 1
    finally:
        folder.chmod(0o700)


def test_a_folder_that_fills_up(folder, monkeypatch):
    def save(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", save)
    with trouble() as said:
        used()
        used(TEXT.replace("1\n", "1.0\n"))
    assert len(said) == 1 and "No space left" in str(said[0].message)


@pytest.mark.parametrize("line", ["x.nothing()", "row(x[0], (0,))"])  # Numba's own, or any other
def test_errors_in_a_kernel_are_not_blamed_on_the_folder(folder, line):
    kernel = Kernel(f"def kernel(x):\n    {line}\n")
    with warnings.catch_warnings(), pytest.raises(Exception, match=r"nothing|attribute") as error:
        warnings.simplefilter("error")
        kernel.ready([np.ones(2)])
    (note,) = error.value.__notes__
    assert note.startswith(f"This happened while Numba compiled {kernel.path}. MINIGRAD_FUSED=0")


PROGRAM = """
import sys
from minigrad.backends.numba_cache import Kernel
import numpy as np
kernel = Kernel(sys.argv[1])
sys.stdin.readline()
x = np.ones(2)
kernel.ready([x])(x)
hits = sum(kernel.compiled.stats.cache_hits.values())
print(hits, x[0])
"""


def started(folder):
    command = [sys.executable, "-W", "error", "-c", PROGRAM, TEXT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "MINIGRAD_CACHE": str(folder)}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def test_processes_at_once_and_after_each_other(folder):
    """Two start together, on nothing; a third one finds what they have made."""
    pair = [started(folder), started(folder)]
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    both = [process.communicate() for process in pair]
    third = started(folder).communicate("go\n")
    for out, errors in (*both, third):
        assert errors == "" and float(out.split()[1]) == pytest.approx(np.tanh(1) + 1)
    assert third[0].split()[0] == "1"
    assert len(files(folder, "py")) == 1 and not list(folder.glob("*.draft"))
