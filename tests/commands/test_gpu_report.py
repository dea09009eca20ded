"""`minigrad gpu-report`: what it says of backends that are right, wrong, or not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from interpreted_backend import InterpretedBackend

import minigrad as mg
from minigrad.backends.numpy_backend import NumpyBackend
from minigrad.engine.backend import ArrayModuleBackend
from minigrad.models.commands import main
from minigrad.models.reports import gpu_report

PARTS = ["conformance", "gradients", "fused", "launches", "benchmark"]


@pytest.fixture(autouse=True)
def little_to_do(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIGRAD_THREADS", "1")
    monkeypatch.setattr(gpu_report, "_QUICK_OPS", ("tanh",))
    monkeypatch.setattr(gpu_report, "_QUICK_LAYERS", ("GRU",))
    monkeypatch.setattr(gpu_report, "_QUICK_CELLS", ("GRU",))


def report(name, *options):
    """The exit code, what was printed, and the JSON by part."""
    result = CliRunner().invoke(main, ["gpu-report", "--backend", name, "--quick", *options])
    if result.exit_code not in (0, 1):
        return result.exit_code, result.output, None
    found = json.loads(Path("gpu-report.json").read_text())
    assert [part["name"] for part in found["parts"]] == PARTS
    assert Path("gpu-report.txt").read_text() in result.output
    found["parts"] = {part["name"]: part for part in found["parts"]}
    return result.exit_code, result.stdout, found


def verdicts(found):
    return {name: part["verdict"] for name, part in found["parts"].items()}


class Plain(NumpyBackend):
    """NumPy without its loops."""

    def __init__(self):
        super().__init__()
        self.name = "plain"


def test_a_backend_without_kernels(register):
    register("plain", Plain)
    code, text, found = report("plain")
    assert code == 0
    assert text.startswith(f"PASS: minigrad {mg.__version__} on plain, cpu\n")
    assert found["verdict"] == "PASS" and found["backend"] == "plain" and found["quick"]
    assert verdicts(found) == dict.fromkeys(PARTS, "ok") | {
        "fused": "skipped",
        "launches": "skipped",
    }
    assert "fused       skipped  the backend has no compiler" in text
    (seconds,) = found["parts"]["benchmark"]["details"]["seconds"].values()
    assert seconds["composed"] > 0 and "fused" not in seconds
    assert found["environment"]["NumPy"] == np.__version__


def test_a_backend_with_kernels(register):
    register("interpreted", InterpretedBackend)
    code, _, found = report("interpreted")
    assert code == 0
    assert verdicts(found) == dict.fromkeys(PARTS, "ok") | {"launches": "skipped"}
    compared = found["parts"]["fused"]["details"]
    assert "GRU T=6 N=5 I=3 H=17 float32 padded" in compared
    assert "layer_norm of 5 rows of 17 float64" in compared
    assert 0 < max(compared.values()) < 1e-4
    (seconds,) = found["parts"]["benchmark"]["details"]["seconds"].values()
    assert {"fused", "composed"} <= seconds.keys()


def test_other_files():
    options = ["--backend", "numpy", "--quick", "--json", "a.json", "--text", "b.txt"]
    result = CliRunner().invoke(main, ["gpu-report", *options])
    assert result.exit_code == 0 and "written to a.json and b.txt" in result.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["a.json", "b.txt"]


class Wrong(ArrayModuleBackend):
    """Its tanh is a little off, and it can't make the kernels that it promises."""

    def __init__(self):
        super().__init__(np, "wrong", is_host=True)

    def tanh(self, x):
        return 1.01 * np.tanh(x)

    def compile_loop(self, loop, dtype):
        raise OSError("no compiler at /home/ann/cuda/bin/nvcc")


def test_what_is_wrong_is_told_and_stops_nothing(register):
    register("wrong", Wrong)
    code, text, found = report("wrong")
    assert code == 1
    assert text.startswith("FAIL (conformance, gradients, fused, benchmark): minigrad")
    assert verdicts(found) == dict.fromkeys(PARTS, "FAIL") | {"launches": "skipped"}
    failures = {name: part["failures"] for name, part in found["parts"].items()}
    assert any(line.startswith("tanh: ") for line in failures["conformance"])
    assert any(line.startswith("tanh: ") for line in failures["gradients"])
    assert failures["fused"][0].endswith("OSError: no compiler at nvcc")
    assert "/home" not in text and "ann/" not in text


def test_a_part_that_breaks_off(monkeypatch):
    def broken(*_, **__):
        raise MemoryError("the device is full\nand more")

    monkeypatch.setattr(gpu_report, "check_backend", broken)
    code, text, found = report("numpy")
    assert code == 1 and text.startswith("FAIL (conformance): ")
    assert found["parts"]["conformance"]["failures"] == [
        "it stopped: MemoryError: the device is full"
    ]
    assert found["parts"]["gradients"]["verdict"] == "ok"


def test_fused_numbers_that_differ(monkeypatch, register):
    register("interpreted", InterpretedBackend)
    monkeypatch.setattr(gpu_report, "disagreement", lambda found, right: float("nan"))
    code, text, found = report("interpreted")
    assert code == 1 and "differs by nan of the largest number" in text
    assert "fused and composed differ by nan" in text
    assert set(found["parts"]["fused"]["details"].values()) == {"nan"}  # JSON has no other


def test_a_backend_that_cannot_start(register):
    def missing():
        raise mg.BackendError("this machine has no GPU")

    register("missing", missing)
    code, text, _ = report("missing")
    assert code == 2 and "no report: " in text and "this machine has no GPU" in text
    assert not Path("gpu-report.json").exists()


@pytest.mark.parametrize("option", ["--json", "--text"])
def test_a_folder_that_is_not_there_is_told_before_the_work(option):
    code, text, _ = report("numpy", option, "no/report")
    assert code == 2 and "there is no folder no" in text
    assert not Path("gpu-report.json").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ann/.cache/ab.cu:12: error x / y", "ab.cu:12: error x / y"),
        ('file "C:\\Users\\ann b\\k.cu"', 'file "k.cu"'),
        ("(/home/ann smith/x.py)", "(x.py)"),
        (f"{Path.home()}", "~"),
        (f"{Path.home()}/x.py", "x.py"),
        ("1/2, a/b.py", "1/2, a/b.py"),
    ],
)
def test_no_folders(text, told):
    assert gpu_report._for_json({"said": [text]}) == {"said": [told]}


def test_where_torch_is_not_compared(monkeypatch):
    monkeypatch.setattr(gpu_report, "find_spec", lambda name: None)
    _, text, found = report("numpy")
    assert "torch.nn is not compared: PyTorch is not installed" in text
    assert "PyTorch" not in found["environment"]


@pytest.mark.cupy
def test_on_cupy():
    try:
        mg.get_backend("cupy")
    except mg.BackendError as reason:
        pytest.skip(str(reason))
    code, text, found = report("cupy")
    assert code == 0, text
    assert verdicts(found) == dict.fromkeys(PARTS, "ok")
    assert found["parts"]["launches"]["details"]["GRU"] == {"forward": [1, 1], "backward": [1, 2]}
    assert {"GPU", "compute capability", "driver", "runtime", "CuPy"} <= found["environment"].keys()
