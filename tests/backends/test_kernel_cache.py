"""Kernels as files: compiled once for all processes, whatever happens to the folder."""

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg

try:
    mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

from minigrad.backends.numba_kernels import cache, machine_code, packing
from minigrad.backends.numba_kernels import files as numba_files
from minigrad.backends.numba_kernels.cache import Kernel
from minigrad.backends.numba_kernels.packing import panel_width
from minigrad.backends.shared import kernel_files
from minigrad.backends.shared.kernel_files import cache_folder

TEXT = "def kernel(x):\n    x[0] = tanh(x[0]) + 1\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "kernels"
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder))
    monkeypatch.setattr(kernel_files, "_warned", set())
    kernel_files._temporary.cache_clear()
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
    monkeypatch.setattr(cache, "_helpers", lambda: "others")
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
def test_broken_compiled_code_is_compiled_anew(folder, content):
    used()
    (file,) = files(folder, "nbc")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with trouble() as said:
        _, warm = used()
    assert len(said) == 1 and "is damaged, and compiled anew" in str(said[0].message)
    assert not warm and used()[1]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_flipped_bit_is_noticed_before_anything_is_loaded(folder, place, bit):
    """Not one of these is run: where a bit is wrong, that could end the process."""
    used()
    (file,) = files(folder, "nbc")
    whole = bytearray(file.read_bytes())
    whole[int(place * len(whole))] ^= 1 << bit
    file.write_bytes(whole)
    kernel_files._warned.clear()
    with trouble() as said:
        assert numba_files.read_checked(file) is None
    assert "is damaged" in str(said[0].message)
    kernel_files._warned.clear()
    with trouble():
        assert not used()[1]
    assert used()[1]


def test_helpers_of_kernels_lie_in_the_folder_too(folder):
    """Numba would write them beside the source, or where NUMBA_CACHE_DIR says, and not check."""
    program = (
        "import numpy as np, minigrad as mg\n"
        "from minigrad.backends.numba_kernels import gemm as numba_gemm, scatter\n"
        "a = np.ones((64, 64))\n"
        "numba_gemm.matmul(a, a, np.empty((64, 64)))\n"
        "w = mg.ones((4, 300), requires_grad=True, backend='numba')\n"
        "mg.embedding([0, 1, 1, 3], w).sum().backward()\n"
        "print(w.grad.numpy()[:, 0].tolist())"
    )
    environment = {**os.environ, "MINIGRAD_CACHE": str(folder)}
    environment["NUMBA_CACHE_DIR"] = str(folder / "numba")
    written = []
    for damaged in (False, True):
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert ran.stdout == "[1.0, 2.0, 0.0, 1.0]\n"
        assert ("is damaged" in ran.stderr) == damaged
        written.append({file.name for file in files(folder, "nbc")})
        names = {name.partition("-")[0] for name in written[-1]}
        assert {"multiply_float64", "whole_float64", "pack_float64"} <= names
        assert {"_add_rows", "_find_busy"} <= names
        assert not (folder / "numba").exists()
        for file in files(folder, "nbc"):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 16
            file.write_bytes(content)
    assert written[0] == written[1]  # the second process looked for what the first had written


# --- other users -----------------------------------------------------------------------------

on_posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes and owners are POSIX's")


@on_posix
def test_a_new_folder_and_its_files_are_the_users_alone(folder):
    before = os.umask(0)
    try:
        used()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@on_posix
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o720])
def test_a_folder_that_others_may_write_to_is_not_used(folder, mode):
    used()
    folder.chmod(mode)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with trouble() as said:
        kernel, warm = used()
        used(TEXT.replace("1\n", "1.0\n"))
    (text,) = {str(w.message) for w in said}
    assert f"the cache folder {folder} is not used, as other users may write to it (mode " in text
    assert not warm and kernel.path.parent != folder
    assert stat.S_IMODE(kernel.path.parent.stat().st_mode) == 0o700
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    folder.chmod(0o700)
    assert used()[1]


@on_posix
@pytest.mark.parametrize("kind", ["folder", "file", "link to a folder", "link to a file"])
def test_what_another_user_owns_is_not_read(folder, monkeypatch, tmp_path, kind):
    used()
    (file,) = files(folder, "nbc")
    found = folder if "folder" in kind else file
    if kind.startswith("link"):
        real = tmp_path / "elsewhere"
        found.rename(real)
        found.symlink_to(real)
        found = real
    stolen = (found.stat().st_dev, found.stat().st_ino)
    right = kernel_files.why_not_private

    def of_another(status):
        if (status.st_dev, status.st_ino) != stolen:
            return right(status)
        with monkeypatch.context() as patch:  # as if it were the file of another user
            patch.setattr(os, "geteuid", lambda: status.st_uid + 1)
            return right(status)

    monkeypatch.setattr(kernel_files, "why_not_private", of_another)
    monkeypatch.setattr(numba_files, "why_not_private", of_another)
    with trouble() as said:
        assert not used()[1]
    assert len(said) == 1 and "it belongs to another user (number " in str(said[0].message)
    kernel, warm = used()
    assert warm and (kernel.path.parent == folder) == ("file" in kind)  # the file was replaced


@on_posix
def test_a_file_that_others_may_write_to_is_not_read(folder):
    used()
    (file,) = files(folder, "nbc")
    file.chmod(0o664)
    with trouble() as said:
        assert not used()[1]
    assert "is not read, as other users may write to it (mode 664)" in str(said[0].message)
    assert used()[1] and stat.S_IMODE(file.stat().st_mode) == 0o600


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

    monkeypatch.setattr(numba_files, "write_checked", save)
    with trouble() as said:
        used()
        used(TEXT.replace("1\n", "1.0\n"))
    assert len(said) == 1 and "No space left" in str(said[0].message)


@pytest.mark.parametrize("name", ["read_checked", "write_checked"])
def test_machine_code_without_a_file(folder, monkeypatch, name):
    """The packing of a product's right operand is compiled for this process alone."""

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine_code, name, fail)
    with trouble() as said:
        pack = packing.packer.__wrapped__(np.dtype("float32"))
    assert len(said) == 1 and "No space left" in str(said[0].message)
    b, panels = np.arange(6, dtype=np.float32), np.empty(3 * panel_width("float32"), np.float32)
    pack.ctypes(b.ctypes.data, 8, 4, 3, 2, panels.ctypes.data)
    np.testing.assert_array_equal(panels.reshape(3, -1)[:, :2], b.reshape(3, 2))
    assert (panels.reshape(3, -1)[:, 2:] == 0).all()


@pytest.mark.parametrize("is_there", [True, False])
def test_no_room_anywhere(folder, monkeypatch, tmp_path, is_there):
    """Not even in the folder for temporary files: kernels run from memory."""

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    for module in (kernel_files, numba_files):
        monkeypatch.setattr(module, "replace_file", full)
    if not is_there:
        monkeypatch.setattr(kernel_files.tempfile, "mkdtemp", full)
    with trouble() as said:
        kernel, warm = used()
        used(TEXT.replace("1\n", "1.0\n"))
    assert not warm and not kernel.path.exists() and TEXT in kernel.source
    assert "No space left" in str(said[0].message) and len(said) <= 2
    assert not list(tmp_path.rglob("*.py")) and not list(tmp_path.rglob("*.nbc"))
    kernel_files._temporary.cache_clear()


@pytest.mark.parametrize("line", ["x.nothing()", "row(x[0], (0,))"])  # Numba's own, or any other
def test_errors_in_a_kernel_are_not_blamed_on_the_folder(folder, line):
    kernel = Kernel(f"def kernel(x):\n    {line}\n")
    with warnings.catch_warnings(), pytest.raises(Exception, match=r"nothing|attribute") as error:
        warnings.simplefilter("error")
        kernel.ready([np.ones(2)])
    (note,) = error.value.__notes__
    assert note.startswith(f"This happened while Numba compiled {kernel.path}. MINIGRAD_FUSED=0")


ALLOCATING = """
def kernel(x):
    room = np.empty(2)
    room[0] = tanh(x[0])
    x[0] = room[0] + 1
"""

PROGRAM = """
import sys
from minigrad.backends.numba_kernels.cache import Kernel
import numpy as np
kernel = Kernel(sys.argv[1])
sys.stdin.readline()
x = np.ones(2)
kernel.ready([x])(x)
hits = sum(kernel.compiled.stats.cache_hits.values())
print(hits, x[0], "numba.typed.dictimpl" in sys.modules)
another = Kernel(f"{sys.argv[1]}    x[1] = {sys.argv[2]}\\n")
another.ready([x])(x)
print(x[1])
"""


def started(folder, number):
    command = [sys.executable, "-W", "error", "-c", PROGRAM, ALLOCATING, str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "MINIGRAD_CACHE": str(folder)}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def test_processes_at_once_and_after_each_other(folder):
    """Two start together, on nothing; a third one finds what they have made.

    It loads that without what compiling needs, and compiles another one after it.
    """
    pair = [started(folder, number) for number in (2, 2)]
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    both = [process.communicate() for process in pair]
    third = started(folder, 3).communicate("go\n")
    for (out, errors), number in zip((*both, third), (2, 2, 3), strict=True):
        assert errors == "" and float(out.split()[1]) == pytest.approx(np.tanh(1) + 1)
        assert float(out.split()[3]) == number
    assert third[0].split()[0] == "1" and third[0].split()[2] == "False"
    assert both[0][0].split()[2] == "True" or both[1][0].split()[2] == "True"
    assert len(files(folder, "py")) == 3 and not list(folder.glob("*.draft"))
