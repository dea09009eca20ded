"""The wheel, the sdist and the editable install, each in an environment of its own.

The environments hold minigrad and NumPy, nothing else. No test here needs a network.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from places import ROOT

import minigrad as mg

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
# Where the files of a folder of the checkout are once installed.
FOLDERS = {"minigrad": "minigrad", "backends": "minigrad/backends", "models": "minigrad/models"}

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.skipif(os.name == "nt", reason="its environments are made of symlinks"),
]

# Run by the Python of a new environment, from a folder that has nothing to do with the checkout.
LOOK = """
import json, sys
from importlib import metadata, resources
from importlib.util import find_spec

import minigrad

x = minigrad.tensor([1.0, 2.0], requires_grad=True, backend="numpy")
(x * x).sum().backward()
print(json.dumps({
    "distributions": sorted(d.name for d in metadata.distributions()),
    "versions": [minigrad.__version__, metadata.version("minigrad")],
    "packages": [name for name in sys.argv[1:] if find_spec(name)],
    "top level": [name for name in ("backends", "models", "tests") if find_spec(name)],
    "typed": resources.files("minigrad").joinpath("py.typed").is_file(),
    "entry points": {f"{e.group}: {e.name}": e.value
                     for e in metadata.distribution("minigrad").entry_points},
    "backend": callable(metadata.entry_points(group="minigrad.backends")["numpy"].load()),
    "gradient": x.grad.numpy().tolist(),
}))
"""


def run(*command, check=True, **options):
    """Run a command to its end; where it had to succeed and did not, show all it said."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if check and done.returncode:
        pytest.fail(f"{' '.join(done.args)}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


def only(name, folder):
    """Make a folder from which one installed distribution can be imported, and no other."""
    folder.mkdir()
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files if len(file.parts) > 1} - {".."}:
        (folder / top).symlink_to(installed.locate_file(top), target_is_directory=True)
    return str(folder)


def sources(root, *folders):
    """All files below some folders of a checkout, as paths relative to it."""
    return {
        path.relative_to(root).as_posix()
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the checkout, so that building leaves no traces in it."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    ignored = shutil.ignore_patterns(".?*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


@pytest.fixture(scope="session")
def built(checkout):
    """The folder with the sdist, and with the wheel that was built from it."""
    folder = checkout / "dist"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout)
    return folder


@pytest.fixture(scope="session", params=["wheel", "sdist", "editable"])
def python(request, checkout, built, tmp_path_factory):
    """The Python of an environment into which minigrad was installed in one of three ways."""
    home = tmp_path_factory.mktemp(request.param)
    venv.create(home / "venv", with_pip=False, symlinks=True)
    python = home / "venv" / "bin" / "python"
    path = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout
    Path(path.strip(), "numpy.pth").write_text(only("numpy", home / "numpy"))
    what = {
        "wheel": built.glob("*.whl"),
        "sdist": built.glob("*.tar.gz"),
        "editable": ["--editable", checkout],
    }
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    setuptools = only("setuptools", home / "setuptools")  # on the path while it installs
    run(*pip, *offline, *what[request.param], env={**os.environ, "PYTHONPATH": setuptools})
    return python


@pytest.fixture(scope="session")
def seen(python, tmp_path_factory):
    """What a Python in that environment sees."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    return json.loads(run(python, "-I", "-c", LOOK, *PACKAGES, cwd=elsewhere).stdout)


def test_environment_holds_numpy_and_minigrad_alone(seen):
    assert seen["distributions"] == ["minigrad", "numpy"]


def test_version_is_that_of_pyproject(seen):
    assert seen["versions"] == [PROJECT["project"]["version"]] * 2


def test_packages_are_inside_minigrad(seen):
    assert seen["packages"] == PACKAGES
    assert seen["top level"] == []


def test_marked_as_typed(seen):
    assert seen["typed"]


def test_entry_points(seen):
    project = PROJECT["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    assert seen["entry points"] == {
        f"{group}: {name}": value
        for group, points in groups.items()
        for name, value in points.items()
    }
    assert seen["backend"]


def test_a_gradient(seen):
    assert seen["gradient"] == [2.0, 4.0]


def test_command_without_its_extra_names_the_install_line(python):
    done = run(python.with_name("minigrad"), "--help", check=False)
    assert done.returncode == 1
    assert 'in the checkout: pip install -e ".[learn]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_every_package_is_listed():
    inits = [path for path in sources(ROOT, *FOLDERS) if path.endswith("/__init__.py")]
    assert {installed(path).removesuffix("/__init__.py").replace("/", ".") for path in inits} == {
        *PACKAGES
    }


def test_wheel_holds_every_file_and_no_other(checkout, built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    code = {path for path in sources(checkout, *FOLDERS) if not path.endswith(".md")}
    assert names == {installed(path) for path in code}


def test_sdist_holds_the_tests_and_the_pages_of_folders(checkout, built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources(checkout, "tests", *FOLDERS) < names
    assert {"Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"} < names


def test_type_checkers_see_every_public_name(built, tmp_path):
    """As a user's mypy sees them, in its strictest mode."""
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    names = [name for name, value in vars(mg).items() if callable(value) and name[0] != "_"]
    assert len(names) > 100
    program = tmp_path / "program.py"
    program.write_text("\n".join(["import minigrad as mg", *(f"print(mg.{n})" for n in names)]))
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"]
    done = run(*mypy, "program.py", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_import_is_light():
    """NumPy is all that `import minigrad` brings along; not even our own plugins."""
    code = (
        "import sys, time; start = time.perf_counter(); import minigrad;"
        "print(*sys.modules, sep='\\n'); print(time.perf_counter() - start, file=sys.stderr)"
    )
    done = run(sys.executable, "-c", code)
    print(f"import minigrad took {float(done.stderr):.3f} s")
    extras = ["click", "rich", "safetensors", "grandalf", "platformdirs"]
    extras += ["numba", "scipy", "cupy", "torch", "minigrad.backends", "minigrad.models"]
    assert not {*extras} & {*done.stdout.split()}
    assert "numpy" in done.stdout.split()


def installed(path):
    """Where a file of the checkout is once installed, below site-packages."""
    folder, _, rest = path.partition("/")
    return f"{FOLDERS[folder]}/{rest}"
