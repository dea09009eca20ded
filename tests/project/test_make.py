"""The Makefile's environments, with programs in the place of Python that write down their calls."""

import os
import shutil
import subprocess

import pytest
from places import ROOT

pytestmark = pytest.mark.no_backend

# Says which one it is; `-m venv` makes an environment with itself in it, as Python does.
PROGRAM = """#!/bin/sh
echo "{name} $*" >> {log}
case "$1 $2" in
    --version*) echo "Python {name}" ;;
    "-c "*version_info*) exit 0 ;;
    "-c "*) echo "{name}" ;;
    "-m venv")
        for folder; do :; done
        [ "$3" = --clear ] && rm -rf "$folder"
        mkdir -p "$folder/bin" && touch "$folder/pyvenv.cfg" && cp "$0" "$folder/bin/python" ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    if shutil.which("make") is None or os.name != "posix":
        pytest.skip("there is no make here")
    log = tmp_path / "log"
    for name in ("3.11", "3.12"):
        program = tmp_path / f"python{name}"
        program.write_text(PROGRAM.format(name=name, log=log))
        program.chmod(0o755)

    def run(*arguments, code=0):
        log.write_text("")
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "VENV", "MAKEFLAGS")}
        done = subprocess.run(
            ["make", *arguments, f"VENV={tmp_path / 'env'}"],
            cwd=ROOT,
            env={**clean, "PATH": f"{tmp_path}:{clean['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        made = [line for line in log.read_text().splitlines() if "-m venv" in line]
        return done.stdout + done.stderr, made, log.read_text()

    return run


def test_an_environment_of_another_python_is_made_anew(make, tmp_path):
    _, made, calls = make("install", "PYTHON=python3.11")
    assert len(made) == 1 and made[0].startswith("3.11 -m venv")
    assert "3.11 -m pip" in calls
    for again in (["PYTHON=python3.11"], []):  # the same one, or no wish
        _, made, calls = make("install", *again)
        assert not made and "pip" not in calls
    (tmp_path / "env" / "old").touch()
    said, made, calls = make("install", "PYTHON=python3.12")
    assert f"{tmp_path / 'env'} is of Python 3.11; it is made anew, of Python 3.12" in said
    assert len(made) == 1 and made[0].startswith("3.12 -m venv --clear")
    assert "3.12 -m pip" in calls and "3.11 -m pip" not in calls
    assert not (tmp_path / "env" / "old").exists()
    _, made, calls = make("install", "PYTHON=python3.12")
    assert not made and "pip" not in calls


def test_an_environment_that_make_has_not_made_is_left_alone(make, tmp_path):
    make("install", "PYTHON=python3.11")
    for stamp in (".guide", ".dev"):
        (tmp_path / "env" / stamp).unlink()
    said, made, _ = make("install", "PYTHON=python3.12", code=2)
    assert "is of another Python than python3.12, and not of make's making" in said
    assert not made and (tmp_path / "env" / "pyvenv.cfg").exists()


def test_a_class_is_set_up_once(make):
    said, _, calls = make("class", "PYTHON=python3.11")
    calls = calls.splitlines()
    assert ".[guide,numba]" in next(call for call in calls if "-m pip" in call)
    guides = [call.partition("-m minigrad ")[2] for call in calls if "-m minigrad" in call]
    assert guides == ["guide --prepare", "guide --chapters 1-7,9-10 --out guide"]
    assert "guide/teacher.html" in said and "minigrad guide --serve" in said
    _, made, again = make("class", "PYTHON=python3.11")
    assert not made and "pip" not in again and again.count("-m minigrad") == 2
