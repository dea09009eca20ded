"""The doctor: every known backend is tried, none crashes it, and the exit code is the current's."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import doctor
from minigrad.engine.backend import ArrayModuleBackend
from minigrad.utils.settings import SettingError, Variable

KEYS = {"name", "fuses", "available", "why", "version", "device", "memory", "install", "current"}
KEYS |= {"chosen_by", "lines"}


def row(name, rows=None):
    (found,) = [row for row in rows or doctor.report() if row["name"] == name]
    return found


def test_every_known_backend_has_a_row():
    rows = doctor.report()
    assert [row["name"] for row in rows] == mg.available_backends()
    assert all(set(row) == KEYS for row in rows)
    assert json.loads(json.dumps(rows)) == rows


def test_numpy_works():
    found = row("numpy")
    assert found["available"] and found["why"] is None
    assert found["version"] == np.__version__
    assert found["device"] == "cpu" and found["fuses"] == "scans"
    assert found["install"] is None


def test_who_chose_the_current_backend():
    with mg.use_backend("strict"):
        assert row("strict")["current"] and row("strict")["chosen_by"] == "use_backend"
        assert not row("numpy")["current"] and row("numpy")["chosen_by"] is None
        assert row("strict")["fuses"] is None and "on cpu; fuses scans\n" in doctor.table()
        assert "'strict', chosen by use_backend" in doctor.table()


def test_a_backend_that_cannot_start(register):
    class NoDriver(RuntimeError):
        hint = "install a driver"

    def load():
        raise NoDriver("no driver found")

    register("ghost", load)
    found = row("ghost")
    assert not found["available"]
    assert "no driver found" in found["why"]
    assert found["install"] == "install a driver"
    text = doctor.table()
    assert "ghost   not available" in text and "no driver found" in text
    assert doctor.exit_code() == 0  # it is not the current one


class NoDevice(ArrayModuleBackend):
    def from_host(self, array):
        raise OSError("no device")


class WrongNumbers(ArrayModuleBackend):
    def ones(self, shape, dtype):
        return np.full(shape, 2, dtype)


@pytest.mark.parametrize(
    ("kind", "why"), [(NoDevice, "no device"), (WrongNumbers, "comes out as tensor([4., 8.]")]
)
def test_a_backend_that_starts_and_then_fails(register, kind, why):
    register("ill", lambda: kind(np, "ill", is_host=True))
    assert why in row("ill")["why"]
    with mg.use_backend("ill"):
        assert doctor.exit_code() == 1
        assert "* 'ill', chosen by use_backend, does not work here" in doctor.table()


def test_the_memory_of_a_device(register):
    class Device(ArrayModuleBackend):
        def memory(self):
            gib = 2**30
            sizes = {"total": 16 * gib, "free": 12 * gib, "pool_held": 3 * gib, "pool_used": gib}
            return {"gpu": "A GPU", **sizes}

        def doctor_lines(self):
            return ["A GPU: 12.00 of 16.00 GiB free"]

    register("device", lambda: Device(np, "device", is_host=True))
    assert row("device")["memory"]["free"] == 12 * 2**30
    assert row("numpy")["memory"] is None
    assert row("numpy")["lines"] == []
    assert "\n      A GPU: 12.00 of 16.00 GiB free\n" in doctor.table()


WRONG = {
    "MINIGRAD_FUSED": ["2", "requires", "yes"],
    "MINIGRAD_PRODUCTS": ["bf16x9", "BF16", " "],
    "MINIGRAD_THREADS": ["0", "-1", "two", "²", "1.5"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, some in WRONG.items() for v in some])
def test_a_setting_that_can_not_be(monkeypatch, name, value):
    variables = [each for each in Variable.known if each.name == name]
    if not variables:
        pytest.skip("the backend 'numba', whose setting it is, is not there")
    monkeypatch.setenv(name, value)
    for _ in range(2):  # it stays one
        with pytest.raises(SettingError, match=rf"^{name} is .*; got '{value}'"):
            variables[0].get()
    lines = doctor.table().splitlines()
    (said,) = [line for line in lines if line.startswith("!")]
    assert said.startswith(f"! {name} is ") and f"got {value!r}" in said
    assert doctor.exit_code() == 1
    ill = [row for row in doctor.report() if row["why"] and name in row["why"]]
    assert not any(row["install"] for row in ill)  # no package cures it
    monkeypatch.delenv(name)
    assert not variables[0].get() and "!" not in doctor.table() and doctor.exit_code() == 0


def test_every_setting_with_values_of_its_own_is_tried():
    checked = {each.name for each in Variable.known if each._why_not("no such value")}
    assert checked <= WRONG.keys()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("NUM_THREADS", "THREADS"), ("BACKENDS", "BACKEND"), ("fused", "FUSED"), ("PROFILE", "")],
)
def test_a_misspelt_setting(monkeypatch, name, meant):
    monkeypatch.setenv(f"MINIGRAD_{name}", "1")
    sentence = f"! MINIGRAD_{name} is no setting of minigrad; did you mean MINIGRAD_{meant}?"
    assert (sentence in doctor.table().splitlines()) == bool(meant)
    assert doctor.exit_code() == bool(meant)


def run(backend):
    code = (
        "from minigrad import doctor; print(doctor.table()); raise SystemExit(doctor.exit_code())"
    )
    env = {**os.environ, "MINIGRAD_BACKEND": backend}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("", 0, "made on 'numpy', chosen by default"),
        ("numpy", 0, "made on 'numpy', chosen by MINIGRAD_BACKEND"),
        ("nunpy", 1, "Did you mean 'numpy'?"),
        (
            "nunpy",
            1,
            "* 'nunpy', chosen by MINIGRAD_BACKEND, does not work here: no tensors can be",
        ),
    ],
)
def test_exit_code_is_that_of_the_environment(value, code, said):
    done = run(value)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert ("new tensors are made on" in done.stdout) == (code == 0)
    assert "Traceback" not in done.stderr
