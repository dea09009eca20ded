"""`minigrad gradcheck`: its table, files, exit codes, and what it says to wrong use."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import minigrad as mg
from minigrad import models, nn
from minigrad.engine import registry
from minigrad.models.commands import main
from minigrad.models.reports.layer_cases import LAYERS, as_case, layer
from minigrad.nn import Module
from minigrad.testing import checks
from minigrad.testing.op_cases import OP_CASES

OWN = """
import minigrad as mg

def swish(x):
    return x * mg.sigmoid(x)

def product(a, b):
    return a * b

def half(x):
    return x.detach() * x

def layer():
    return mg.nn.Linear(3, 2), (mg.randn((4, 3)),)

def kink():
    return mg.relu, mg.tensor([0.0, 1.0])

def number(x):
    return 3.0

def nothing():
    return None

def broken(x):
    raise RuntimeError("no fault of the checker's")

def leaves(x):
    raise SystemExit(0)

def leaves_early():
    raise SystemExit(0)

def fails_early():
    raise KeyError("a")

constant = 1

class Layer(mg.nn.Module):
    pass
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of one's own in the current folder."""
    (tmp_path / "own_functions.py").write_text(OWN)
    (tmp_path / "needy_functions.py").write_text("import no_such_library")
    (tmp_path / "leaving.py").write_text("import sys; sys.exit()")
    (tmp_path / "cut_short.py").write_text("x = (")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_functions", raising=False)
    return tmp_path


def gradcheck(*arguments, code):
    result = CliRunner().invoke(main, ["gradcheck", *map(str, arguments)], prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def rows(result):
    """The table as lists of words, by target and backend."""
    table = [line for line in result.stdout.partition("\n\n")[0].splitlines() if ": " not in line]
    assert table[0].split() == [
        *("target", "backend", "verdict", "cases", "entries", "evaluations", "would", "notice")
    ]
    return {tuple(line.rsplit(maxsplit=6)[:2]): line.split() for line in table[1:]}


# --- what passes ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_all_ops(monkeypatch):
    """In the fast profile every fifth: what holds for each op, test_ops.py checks of all."""
    named = ("matmul", "cross_entropy", "equal", "sign")
    if os.environ.get("MINIGRAD_PROFILE") != "deep":
        kept = {name: OP_CASES[name] for name in {*named, *[*OP_CASES][::5]}}
        monkeypatch.setattr("minigrad.testing.op_cases.OP_CASES", kept)
    found = rows(gradcheck("ops", code=0))
    assert ("matmul", "numpy") in found and ("cross_entropy", "numpy") in found
    assert ("equal", "numpy") not in found  # it has no gradient
    assert found["sign", "numpy"][2] == "PASS"  # and its gradient is zero, as it should be


def test_all_models(monkeypatch):
    kept = {name: LAYERS[name] for name in ("Linear", "RNN", "SequenceClassifier rnn")}
    monkeypatch.setattr(models.reports.layer_cases, "LAYERS", kept)
    found = rows(gradcheck("models", code=0))
    assert {name for name, _ in found} == set(kept)


@pytest.mark.usefixtures("on_numpy")
def test_one_op_at_second_order():
    first, second = (gradcheck("multiply", "--order", n, code=0) for n in (1, 2))
    assert "PASS: order 2, seed 0" in second.stdout
    evaluations = [int(rows(result)["multiply", "numpy"][5]) for result in (first, second)]
    assert evaluations[1] > evaluations[0]


def test_every_backend(monkeypatch):
    def missing():
        raise ImportError("no such device")

    monkeypatch.setitem(registry.backend_loaders, "faulty", missing)
    result = gradcheck("tanh", "--backend", "all", code=0)
    assert {("tanh", "numpy"), ("tanh", "strict")} <= set(rows(result))
    assert "faulty is skipped" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("swish", "--shape", "3,4"), ("product", "--shape", "2,3", "--shape", "3"), ("layer",)],
)
def test_a_function_of_ones_own(own, arguments):
    name, *rest = arguments
    assert "PASS" in gradcheck(f"own_functions:{name}", *rest, "--order", 2, code=0).stdout


def kinds_of(base):
    """The classes that minigrad derives from a base, at any depth."""
    own = {c for c in base.__subclasses__() if c.__module__.startswith("minigrad.")}
    return own.union(*map(kinds_of, own))


def test_every_layer_is_checked():
    for package in (mg, models):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(found.name)
    packages = mg.nn.__name__, models.__name__  # networks and tasks are made of what is in these
    layers = {kind for kind in kinds_of(Module) if kind.__module__.rpartition(".")[0] in packages}
    bases = {kind for kind in layers if kind.__subclasses__()}
    bases |= {models.Recurrent, models.RecurrentCell}
    bases |= {nn.ModuleList, nn.ModuleDict}  # they hold layers, and calculate nothing
    checked = {type(part) for name in LAYERS for part in layer(name)[0].modules()}
    assert layers - bases - checked == set()


@pytest.mark.parametrize("name", ["LayerNorm", "RNN both ways", "GRUCell"])
def test_a_layer_as_a_function_of_its_parameters(name):
    case = as_case(name)
    count = sum(1 for _ in layer(name)[0].parameters())
    found = checks.gradients(case, case.draw(), order=1)
    assert len(found) > count and all(g is not None for g in found)
    checks.hygiene(case)


# --- what does not -------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_a_wrong_gradient(own):
    result = gradcheck("own_functions:half", "--shape", "2", code=1)
    assert rows(result)["own_functions:half", "numpy"][2] == "FAIL"
    assert "ratio 0.5" in result.stdout and result.stdout.endswith("FAIL: order 1, seed 0\n")


@pytest.mark.usefixtures("on_numpy")
def test_an_op_whose_derivative_is_wrong():
    right = dict(mg.tanh.derivatives)
    try:
        mg.tanh.vjp(x=lambda g, y: 1.001 * g * (1 - y * y))
        assert rows(gradcheck("tanh", code=1))["tanh", "numpy"][2] == "FAIL"
    finally:
        mg.tanh.vjp(**right)
    gradcheck("tanh", code=0)


def test_a_kink_is_inconclusive(own):
    result = gradcheck("own_functions:kink", code=2)
    assert "on a kink" in result.stdout and "input 0[0]" in result.stdout


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_the_same_seed_writes_the_same_json(own):
    target = ("own_functions:layer", "--order", 2)
    for name in ("a.json", "b.json"):
        gradcheck(*target, "--seed", 3, "--json", name, code=0)
    gradcheck(*target, "--seed", 4, "--json", "c.json", code=0)
    a, b, c = ((own / name).read_bytes() for name in ("a.json", "b.json", "c.json"))
    assert a == b != c
    found = json.loads(a)
    assert (found["verdict"], found["seed"], found["order"]) == ("PASS", 3, 2)
    (result,) = found["results"]
    assert result["backend"] == "numpy"
    assert {"weight", "bias"} <= {part["name"] for part in result["reports"][0]["covered"]}


@pytest.mark.parametrize(
    ("target", "where", "order"),
    [  # random masks, many cases
        pytest.param("ZoneoutLSTM", "numba", "1", marks=pytest.mark.numba),
        ("cross_entropy", "numpy", "2"),
    ],
)
def test_every_process_writes_the_same_json(target, where, order, tmp_path):
    code = "from minigrad.models.cli import main; main()"
    texts = []
    for hash_seed in ("0", "1"):
        path = tmp_path / f"{hash_seed}.json"
        options = ("--order", order, "--backend", where, "--json", str(path))
        subprocess.run(
            [sys.executable, "-c", code, "gradcheck", target, *options],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        texts.append(path.read_bytes())
    assert texts[0] == texts[1]


def test_json_names_the_case(tmp_path):
    gradcheck("transpose", "--json", tmp_path / "t.json", code=0)
    (result,) = json.loads((tmp_path / "t.json").read_text())["results"]
    assert "case 2x1x3 axes=(2,0,1)" in {report["notes"][0] for report in result["reports"]}


def test_the_plot_is_of_the_worst(own):
    gradcheck("own_functions:half", "--shape", "2", "--plot", "half.svg", code=1)
    text = "".join(xml.parse(own / "half.svg").getroot().itertext())
    assert "Taylor remainder, slope 1.0" in text


# --- wrong use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["matmull"], "unknown: 'matmull'; did you mean matmul?"),
        (["lstm"], "unknown: 'lstm'; did you mean LSTM?"),
        (["tanh", "--backend", "NUMPY"], "Did you mean 'numpy'?"),
        (["own_functions:swish", "--shape", "a", "--shape", "3"], "as 3,4; got 'a' and '3'"),
        (["equal"], "equal has no gradient to check"),
        (["tanh", "--backend", "nunpy"], "unknown backend 'nunpy'"),
        (["tanh", "--shape", "3"], "--shape is for a function of yours"),
        (["tanh", "--order", "3"], "is not in the range 1<=x<=2"),
        (["own_functions:swish", "--shape", "a"], "a shape is numbers between commas, as 3,4"),
        (["own_functions:swish"], "must take nothing and return a pair (f, inputs), or take"),
        (["own_functions:nothing"], "must take nothing and return a pair (f, inputs)"),
        (["own_functions:number", "--shape", "2"], "must return a tensor"),
        (["own_functions:missing"], "own_functions:missing can't be found"),
        (["own_functions:constant"], "own_functions:constant is not a function"),
        (["no_such_module:f"], "no_such_module:f can't be found: No module named 'no_such_module'"),
        (
            ["needy_functions:f"],
            "needy_functions can't be imported: ModuleNotFoundError: No module",
        ),
        (["cut_short:f"], "cut_short can't be imported: SyntaxError: '(' was never closed (cut_sh"),
        (["leaving:f"], "leaving can't be imported: SystemExit:"),
        (["own_functions:leaves", "--shape", "2"], "leaves ends the program: SystemExit(0)"),
        (["own_functions:leaves_early"], "leaves_early ends the program: SystemExit(0)"),
        ([":f"], ":f can't be found"),
        (["own_functions:"], "own_functions: can't be found"),
        (["own_functions:swish", "--shape", "-2"], "a shape is numbers of at least 0"),
        (["own_functions:swish", "--shape", "2", "--shape", "2"], "takes 1 positional argument"),
        (["own_functions:Layer"], "own_functions:Layer is a class: name a function that makes an"),
        (["tanh", "--json", "no/folder.json"], "there is no folder no"),
        (["tanh", "--plot", "no/folder.svg"], "there is no folder no"),
    ],
)
def test_wrong_use(own, arguments, said):
    message = " ".join(gradcheck(*arguments, code=2).stderr.split())
    assert said in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["broken", "--shape", "2"], "RuntimeError: no fault of the checker's"),
        (["fails_early"], "KeyError: 'a'"),
    ],
)
def test_an_error_of_the_function_itself_is_shown_as_it_is(own, arguments, said):
    """And it is no wrong gradient, which 1 would say."""
    name, *rest = arguments
    result = gradcheck(f"own_functions:{name}", *rest, code=2)
    assert "Traceback" in result.stderr and f"in {name}" in result.stderr
    assert said in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_file_that_cannot_be_written_is_named():
    result = gradcheck("tanh", "--json", "/dev/full", code=1)
    assert "Error: /dev/full can't be written: No space left on device" in result.stderr


@pytest.mark.parametrize("name", ["t.png", "t", "t.svg.png", ".svg"])
def test_a_plot_is_svg(name, tmp_path):
    result = CliRunner().invoke(main, ["gradcheck", "tanh", "--plot", str(tmp_path / name)])
    assert result.exit_code == 2
    better = f"{Path(name).stem}.svg"
    assert f"the file will be SVG; name it {tmp_path / better}\n" in result.stderr
    assert not list(tmp_path.iterdir())
    report = mg.gradcheck(mg.tanh, np.ones(2))
    with pytest.raises(ValueError, match=rf"as SVG; name the file {better} instead of {name}, and"):
        report.plot(tmp_path / name)
    assert report.plot(tmp_path / better).read_text().startswith("<svg")


def test_two_options_are_two_files(tmp_path):
    path = str(tmp_path / "a.svg")
    result = CliRunner().invoke(main, ["gradcheck", "tanh", "--plot", path, "--json", path])
    assert result.exit_code == 2
    assert f"--plot and --json are the same file, {path}" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "the name of a file can't be empty"), ("nowhere/a", "there is no folder nowhere")],
)
def test_files_that_cannot_be_written_are_told_before_the_work(path, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["gradcheck", "tanh", "--json", path])
    assert result.exit_code == 2 and said in result.stderr
    monkeypatch.setattr("os.access", lambda *args: False)
    result = CliRunner().invoke(main, ["gradcheck", "tanh", "--json", "a.json"])
    assert result.exit_code == 2
    assert "nothing can be written to the folder ." in result.stderr
