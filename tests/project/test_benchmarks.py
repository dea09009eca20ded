"""The benchmarks measure what they say; how much that is, is not tested."""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bf16_parts import emulated_tiles
from other_frameworks import torch_or_skip
from places import ROOT
from scans import fusing

import minigrad as mg
from minigrad.models.reports.bench.groups import GROUPS
from minigrad.models.reports.bench.growth import growths, verdict
from minigrad.models.reports.bench.pace import Pace

FOLDER = ROOT / "benchmarks"

try:
    mg.get_backend("numba")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(name, *arguments):
    command = [sys.executable, FOLDER / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# --- memory ------------------------------------------------------------------------------------

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc, which is Linux's")


@on_linux
def test_the_peak_is_what_was_touched(monkeypatch):
    memory = loaded("memory")
    steps = []

    def touches(kind, x, g):
        def step():
            steps.append(x.shape)
            np.ones(len(x) << 20, np.uint8)
            np.empty(1 << 30, np.uint8)  # and not touched

        return step

    monkeypatch.setitem(memory.PEERS, "touches", touches)
    np.ones(96 << 20, np.uint8)  # an earlier peak doesn't count
    found = memory.peak("touches", "any", (48, 1, 1, 1), steps=3)
    assert 47 << 20 < found < 56 << 20
    assert [shape[0] for shape in steps] == [2, 48, 48, 48]


@on_linux
def test_memory_of_a_layer(tmp_path):
    said = program(
        *("memory", "--cells", "rnn", "--shape", 400, 64, 16, 128, "--json", tmp_path / "m.json")
    )
    assert said.startswith("MB at (T, N, I, H) = (400, 64, 16, 128), 3 steps\n")
    found = json.loads((tmp_path / "m.json").read_text())["rnn"]
    own = {"minigrad numpy", "minigrad numba"}
    assert set(found) == own | ({"PyTorch"} if importlib.util.find_spec("torch") else set())
    (line,) = GROUPS["peak-memory"].lines({"rnn": found})
    assert line.unit == "bytes" and line.values == found
    assert all(len(found[name]) == 1 for name in own)
    # The outputs, and on NumPy the gradients of z; no more than four such arrays.
    outputs = 4 * 400 * 64 * 128
    assert 2 * outputs < found["minigrad numpy"][0] < 4 * outputs
    assert outputs < found["minigrad numba"][0] < 4 * outputs


# --- first use ---------------------------------------------------------------------------------


def test_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    first_use = loaded("first_use")
    seconds = functools.partial(first_use.seconds, bytecode=tmp_path)
    assert 0 < seconds(first_use.IMPORT) < 60
    assert [*tmp_path.rglob("minigrad/scan*.pyc")]  # which the next processes find
    cache = Path(os.environ["MINIGRAD_CACHE"])
    assert 0 < seconds(first_use.FIRST_USE, "RNN", "numba", cache=cache) < 60
    assert 0 < seconds(first_use.FIRST_USE, "RNN", "numpy") < 60
    with pytest.raises(subprocess.CalledProcessError):
        seconds(first_use.FIRST_USE, "NoSuchCell", "numpy")


def test_an_import_that_loads_numba_is_noticed(capfd, tmp_path):
    first_use = loaded("first_use")
    with pytest.raises(subprocess.CalledProcessError):
        first_use.seconds("import numba\n" + first_use.IMPORT, bytecode=tmp_path)
    assert "import minigrad loads {'numba'}" in capfd.readouterr().err


def test_cold_and_warm_are_told_apart(monkeypatch, tmp_path):
    """A cold one finds an empty folder, a warm one what the cold one has left."""
    first_use = loaded("first_use")
    writes = """
import os, pathlib, sys
if sys.argv[2] == "numpy":
    sys.exit(print(5))
kernel = pathlib.Path(os.environ["MINIGRAD_CACHE"], "kernel.py")
print(1 if kernel.exists() else 10)
kernel.touch()
"""
    monkeypatch.setattr(first_use, "FIRST_USE", writes)
    assert first_use.first_use("any", tmp_path) == {"numpy": 5, "cold": 10, "warm": 1}
    found = {"numpy": [5.0] * 3, "cold": [10.0] * 3, "warm": [1.0] * 3}
    lines = [*GROUPS["first-use"].lines({"import": [1.0], "first use": {"any": found}})]
    assert [line.name for line in lines] == ["import", "any, numpy", "any, cold", "any, warm"]


def test_around_kernels_that_do_nothing():
    around = loaded("around")
    assert all(milliseconds > 0 for milliseconds in around.measure("RNN", rounds=2, count=2))
    ready = around.Kernel.ready
    with around.without_kernels():
        assert around.Kernel.ready is not ready
    assert around.Kernel.ready is ready


# --- recurrent layers --------------------------------------------------------------------------


@pytest.fixture
def recurrent(monkeypatch):
    module = loaded("recurrent")
    monkeypatch.delitem(module.PEERS, "JAX")  # slow to compile
    monkeypatch.setenv("MINIGRAD_THREADS", "1")
    with fusing("require"):
        yield module


def test_recurrent_layers(recurrent):
    found = recurrent.measure("gru", (3, 2, 4, 5), Pace(2), ("numpy", "numba"))
    own = ["minigrad numpy", "minigrad numba", recurrent.COMPOSED]
    assert {*own, recurrent.FLOOR} <= set(found)
    assert all(len(rounds) == 2 and 0 < min(rounds) < 60 for rounds in found.values())
    (line,) = GROUPS["recurrent"].lines({"2": {"gru": found}})
    assert (line.floor, line.threads, line.own) == ("products alone", 2, own)


def test_a_wrong_gradient_is_not_timed(recurrent, monkeypatch):
    def wrong(*arguments):
        step = recurrent.minigrad_step("numba", *arguments)
        return lambda: [1.01 * t for t in step()]

    monkeypatch.setitem(recurrent.PEERS, "wrong", wrong)
    with pytest.raises(AssertionError, match="wrong"):
        recurrent.measure("rnn", (3, 2, 4, 5), Pace(1))


# --- products in bf16 parts ----------------------------------------------------------------------


def test_products_and_layers_in_parts(capsys, fast_ways):
    """On the emulated tile unit: what the script prints on a machine that has one."""
    torch_or_skip()
    with emulated_tiles():
        products = loaded("products")
        rows = {
            "(130, 40) @ (40, 50)": products.measure((130, 40, 50), Pace(2)),
            "LSTM (3, 20, 24, 40)": products.measure_layer((3, 20, 24, 40), Pace(2)),
        }
    for row in rows.values():
        assert row["rounds"].keys() == row["errors"].keys()
        assert all(len(times) == 2 and min(times) > 0 for times in row["rounds"].values())
    errors = rows["LSTM (3, 20, 24, 40)"]["errors"]
    assert errors["minigrad bf16x6"] <= errors["minigrad float32"] < 2e-6
    assert 1e-6 < errors["minigrad bf16x3"] < 1e-5
    assert 1e-4 < errors["minigrad bf16"] < errors["PyTorch bf16"]
    products.table(1, rows)
    said = capsys.readouterr().out
    for mode in ("bf16x6", "bf16x3", "bf16", "float32"):
        assert said.count(f"minigrad {mode}") >= 1 and said.count(f"{mode} ") >= 2
    assert "times as fast as PyTorch bf16: float32 " in said
    names = [line.name for line in GROUPS["products"].lines({"1": rows})]
    assert names == [*rows]


def test_products_say_why_they_are_not_in_parts(capsys, monkeypatch):
    products = loaded("products")
    monkeypatch.setattr(products, "WITHOUT_PARTS", "no AMX: it needs Linux")
    monkeypatch.setattr(products, "report_by_threads", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["products.py"])
    products.main()
    line = "products in bf16 parts, and layers with them, are left out: no AMX: it needs Linux\n"
    assert capsys.readouterr().out == line


# --- how cost grows ------------------------------------------------------------------------------


@pytest.fixture
def growing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("MINIGRAD_THREADS", "1")
    return loaded("growth")


def test_a_layer_is_measured_at_each_size(growing, monkeypatch, capsys):
    monkeypatch.setitem(growing.AXES, "T", (2, 3, 4))
    monkeypatch.setattr(growing, "BASE", {"T": 2, "N": 2, "I": 3, "H": 4})
    found = growing.by_time("gru", "T", Pace(2), ("numpy", "numba"))
    lines = [*GROUPS["growth"].lines([found])]
    assert [(line.axis, line.at) for line in lines] == [("T", 2), ("T", 3), ("T", 4)]
    assert all(line.own == ["minigrad numpy", "minigrad numba"] for line in lines)
    assert all(line.floor == growing.FLOOR and line.paired for line in lines)
    assert growing.show(found) == growths(lines)["gru", "T", "s"]
    assert "gru, ms by T: 2, 3, 4" in capsys.readouterr().out


def test_memory_is_measured_at_each_size(growing, monkeypatch, capsys):
    def measured(name, kind, shape, steps):
        power = 1.3 if name == "minigrad numba" else 1
        return growing.kept_bytes(kind, shape) ** power

    monkeypatch.setattr(growing.memory, "measured", measured)
    found = growing.by_memory("lstm", "N", ("numpy", "numba"))
    grown = growths(GROUPS["growth"].lines([found]))
    assert grown == {("lstm", "N", "bytes"): growing.show(found)}
    assert verdict(grown).endswith("products: lstm with N on minigrad numba, in memory")
    assert capsys.readouterr().out.count("GROWS FASTER") == 1


def test_what_a_step_keeps(growing):
    T, N, I, H = 5, 2, 3, 4
    parameters = sum(p.data.size for p in mg.nn.LSTM(I, H).parameters())
    arrays = T * N * H + T * N * 4 * H + T * N * I + parameters
    assert growing.kept_bytes("lstm", (T, N, I, H)) == 4 * arrays


# --- whole programs ----------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_eight_programs_start_alike():
    """`measure` compares the losses of several steps; here those of one suffice."""
    torch_or_skip()
    programs = loaded("programs")
    assert len(programs.PROGRAMS) == 8
    for path in programs.PROGRAMS.values():
        trains = programs.contenders(programs.Program(path), ("numpy",))
        theirs, ours = (train() for train in trains.values())
        assert ours == pytest.approx(theirs, rel=programs.CLOSE), path.stem


def test_programs_are_measured(tmp_path):
    torch_or_skip()
    options = ["--programs", "names", "--backends", "numpy", "--rounds", 2, "--threads", 1]
    said = program("programs", *options, "--json", tmp_path / "found")
    found = json.loads((tmp_path / "found").read_text())["1"]["names"]
    assert found["seconds"].keys() == {"PyTorch", "numpy"}
    assert all(0 < low <= median <= high for low, median, high in found["ratios"].values())
    assert "numpy: geometric mean" in said
    (line,) = GROUPS["programs"].lines({"1": {"names": found}})
    assert line.values.keys() == {"PyTorch", "minigrad numpy"} and line.threads == 1


def test_a_program_of_other_losses_is_not_timed(monkeypatch):
    programs = loaded("programs")
    monkeypatch.setattr(
        programs, "contenders", lambda *_: {"PyTorch": lambda: 1, "numpy": lambda: 1.01}
    )
    with pytest.raises(AssertionError, match="losses of names in numpy"):
        programs.measure(programs.Program(programs.PROGRAMS["names"]), Pace(2), ("numpy",))


# --- small things --------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MINIGRAD_THREADS"):
        monkeypatch.setenv(name, "1")  # as it does itself, without an end
    monkeypatch.setattr("gc.freeze", lambda: None)
    return loaded("small")


def test_small_things_have_equal_gradients_and_ratios(small, monkeypatch, capsys, tmp_path):
    torch_or_skip()
    monkeypatch.setattr(small, "TURN", 0)
    options = ["--backends", "numpy", "--rounds", "2", "--json", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", ["small.py", *options])
    small.main()
    found = json.loads((tmp_path / "found").read_text())
    rows = [row for kind in small.ROWS.values() for row in kind()]
    assert [(row["name"], row["target"]) for row in found] == [row[:2] for row in rows]
    assert all(0 < low <= high for row in found for low, _, high in row["ratios"].values())
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows)
    lines = [*GROUPS["ops"].lines(found)]
    assert [line.name for line in lines] == [row.name for row in rows]
    assert all(line.own == ["minigrad numpy"] for line in lines)
    peers = {name for line in lines for name in line.values if name not in line.own}
    assert peers == {"PyTorch", "unguarded", "NumPy by hand"}


def test_a_small_thing_of_other_gradients_is_not_timed(small):
    row = small.Row("wrong", 1.0, lambda: lambda: [np.ones(2)], lambda: lambda: [np.zeros(2)])
    with pytest.raises(AssertionError, match="wrong"):
        small.measure(row, ("numpy",), Pace(2))


# --- updates by hand -----------------------------------------------------------------------------


def test_updates_by_hand_give_the_weights_of_sgd():
    benchmark = loaded("manual_update")
    for make in (lambda: benchmark.mlp((3, 4, 2), 5), lambda: benchmark.lstm(2, 3, 4, 2)):
        benchmark.agree(make)
    said = program("manual_update", "--rounds", 1)
    assert len(said.splitlines()) == 1 + len(benchmark.MODELS) * len(benchmark.UPDATES)


# --- threads -----------------------------------------------------------------------------------


def test_trainings_take_turns_while_others_count(monkeypatch, tmp_path, capsys):
    threads = loaded("threads")
    calls, running = [], []

    def seconds(cell, epochs, count):
        calls.append((cell, epochs, count is None, len(running)))
        return 1.0 if count is None else 3.0

    class Program(subprocess.Popen):
        def __init__(self, command):
            super().__init__([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            running.append(self)

        def wait(self):
            running.remove(self)
            self.stdin.close()
            return super().wait()

    monkeypatch.setattr(threads, "seconds", seconds)
    monkeypatch.setattr(threads.subprocess, "Popen", Program)
    options = ["--busy", "2", "--epochs", "5", "--rounds", "2", "--json", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", ["threads.py", *options])
    threads.main()
    assert calls == [("lstm", 5, own, busy) for busy in (0, 2) for own in (True, False) * 2]
    assert not running
    assert "lstm, 2 busy: minigrad train 1.0 s, " in (said := capsys.readouterr().out)
    assert said.count("ratio 3.0") == 2
    assert [row["busy"] for row in json.loads((tmp_path / "found").read_text())] == [0, 2]


# --- recording -----------------------------------------------------------------------------------


def test_recording_is_compared_with_the_plain_step(monkeypatch, tmp_path, capsys):
    recording = loaded("recording")
    options = ["--backend", "numpy", "--rounds", "1", "--shape", *"3124"]
    monkeypatch.setattr(sys, "argv", ["recording.py", *options, "--json", str(tmp_path / "found")])
    recording.main()
    found = json.loads((tmp_path / "found").read_text())
    assert found["backend"] == "numpy"
    assert [row["cell"] for row in found["rows"]] == [*recording.CELLS]
    assert all(row["shape"] == [3, 1, 2, 4] and row["recorded"] > 0 for row in found["rows"])
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(recording.CELLS)


def test_ratios_are_medians_of_pairs(monkeypatch):
    recording = loaded("recording")
    times = iter([0.0, 1.0, 1.0, 3.0, 3.0, 7.0, 7.0, 11.0, 11.0, 12.0, 12.0, 15.0])
    monkeypatch.setattr(recording.time, "perf_counter", lambda: next(times))
    found = recording.ratios({"plain": list, "recorded": list}, rounds=3)
    assert found == {"plain": 1.0, "recorded": 2.0}


# --- calibration ---------------------------------------------------------------------------------


def test_equal_runs_and_slowed_ones(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    calibration = loaded("calibration")

    def run(by):
        return {"lstm": {"minigrad": [by] * 9, calibration.YARDSTICK: [2.0] * 9}}

    plain, slow = [run(1.0), run(1.01), run(1.3)], [run(1.1), run(1.43)]
    for yardstick in (None, calibration.YARDSTICK):
        found = calibration.verdicts(plain, slow, yardstick)
        assert (found["equal"], found["called different"]) == (3, 2)
        assert (found["slowed"], found["called slower"]) == (6, 5)
        assert found["apart"][-1] == pytest.approx(0.3)


def test_a_slowed_step_takes_longer(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    calibration = loaded("calibration")
    now = iter([0.0, 1.0, 1.0, 1.0, 1.05, 1.2])
    monkeypatch.setattr(calibration.time, "process_time", lambda: next(now))
    calibration.slowed(lambda: None, 0.1)()
    assert next(now, None) is None
