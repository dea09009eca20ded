"""`minigrad convert`: what it reads, writes and prints, its errors and exit codes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from other_frameworks import keras_or_skip, torch_or_skip

import minigrad as mg
from minigrad import nn
from minigrad.models.commands import main
from minigrad.models.convert import Outputs, from_pytorch, load_module, save_module
from minigrad.models.convert.files import KEY


def convert(*arguments, code=0):
    result = CliRunner().invoke(main, ["convert", *map(str, arguments)], prog_name="minigrad")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # also so that it is as before afterwards


@pytest.fixture
def alone(monkeypatch):
    """Without the other frameworks."""
    for name in ("torch", "keras"):
        monkeypatch.setitem(sys.modules, name, None)


def model():
    return nn.ModuleDict(
        {"words": nn.Embedding(9, 3), "rnn": nn.GRU(3, 4), "head": nn.Linear(4, 2)}
    )


SETTINGS = ["--set", "words.layer=Embedding", "--set", "rnn.batch_first=true"]


@pytest.mark.usefixtures("alone")
def test_a_state_dict_to_a_whole_module():
    state = model().state_dict()
    mg.save("weights.safetensors", state)
    said = convert("weights.safetensors", "model.safetensors", *SETTINGS, "--json", "all.json")
    assert "(rnn): GRU(3, 4, batch_first=True)" in said
    assert "145 parameters of float32" in said
    assert "PASS: ModuleDict of 4 modules here and in PyTorch 2" in said
    assert "stored cases" in said and "value of rnn.weight_ih_l0" in said
    assert said.endswith("written: model.safetensors\n")
    again = load_module("model.safetensors")
    for name, array in again.state_dict().items():
        np.testing.assert_array_equal(array, state[name], strict=True)
    found = json.loads(Path("all.json").read_text("utf-8"))
    assert found["verdict"] == "PASS" and found["certificates"][0]["verdict"] == "PASS"
    shown = convert("model.safetensors")
    assert "PASS: ModuleDict" in shown and "written" not in shown


@pytest.mark.usefixtures("alone")
def test_what_only_minigrad_has_is_shown():
    save_module("mine.safetensors", nn.GRU(3, 4, reset_after=False))
    said = convert("mine.safetensors")
    assert "not compared with PyTorch: GRU can't be converted: reset_after=False" in said
    save_module("new.safetensors", nn.Sequential(nn.Linear(2, 2), mg.tanh))
    said = convert("new.safetensors", "copy.safetensors", code=2)
    assert "INCONCLUSIVE" in said and "no stored case has the function tanh" in said
    assert load_module("copy.safetensors")[1] is mg.tanh


def test_pytorch_and_back():
    torch = torch_or_skip()
    theirs = torch.nn.LSTM(3, 4, 2, proj_size=2)
    torch.save(theirs.state_dict(), "theirs.pt")
    said = convert("theirs.pt", "ours.safetensors", "--set", "batch_first=false")
    assert "computed here" in said and "LSTM(3, 4, num_layers=2, proj_size=2)" in said
    said = convert("ours.safetensors", "back.pt")
    assert said.count("PASS: ") == 1
    back = torch.load("back.pt", weights_only=True)
    assert all(torch.equal(x, back[name]) for name, x in theirs.state_dict().items())
    said = convert("theirs.pt", "copy.pt", "--set", "batch_first=false")
    assert said.count("PASS: ") == 1  # once is enough
    assert repr(from_pytorch("copy.pt", batch_first=False)) == repr(load_module("ours.safetensors"))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")  # Keras's
def test_keras_and_back():
    keras = keras_or_skip()
    layers = keras.layers
    theirs = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4, recurrent_dropout=0.5)])
    theirs.save("theirs.keras")
    said = convert("theirs.keras", code=1)
    assert "recurrent_dropout=0.5" in said and "(here: --inference)" in said
    said = convert("theirs.keras", "ours.safetensors", "--inference")
    assert "PASS: " in said and "Keras 3" in said
    assert isinstance(load_module("ours.safetensors")[0], Outputs)
    assert "PASS: " in convert("ours.safetensors", "back.keras")
    assert keras.saving.load_model("back.keras").layers[0].units == 4
    assert "PyTorch's recurrent layers return their state" in convert(
        "ours.safetensors", "back.pt", code=1
    )
    assert "--set is for a state dict" in convert("theirs.keras", *SETTINGS, code=2)


@pytest.mark.usefixtures("alone")
def test_a_wrong_conversion_is_not_written(monkeypatch):
    cell = nn.cells.gru_cell
    monkeypatch.setattr(nn.GRU, "cell", staticmethod(lambda p, x, h: cell(p, x, 1.001 * h)))
    mg.save("w.safetensors", nn.GRU(3, 4).state_dict())
    said = convert("w.safetensors", "o.safetensors", "--set", "batch_first=false", code=1)
    assert "FAIL: GRU(3, 4)" in said and "written" not in said
    with pytest.raises(FileNotFoundError):
        load_module("o.safetensors")


WRONG = {
    "no file": (["nothing.pt"], 2, "File 'nothing.pt' does not exist"),
    "no name": ([""], 2, "the name of a file can't be empty"),
    "another kind": (["notes.txt"], 2, "a file ends in .safetensors, .pt (PyTorch) or .keras"),
    "another kind of output": (["w.safetensors", "o.onnx"], 2, "got 'o.onnx'"),
    "itself": (["w.safetensors", "w.safetensors"], 2, "w.safetensors is the file that is read"),
    "twice": (["w.safetensors", "o.pt", "--json", "o.pt"], 2, "are the same file"),
    "no folder": (["w.safetensors", "no/o.pt"], 2, "there is no folder no"),
    "no setting": (
        ["w.safetensors", "--set", "batch_first"],
        2,
        "as batch_first=true or words.lay",
    ),
    "what is missing": (
        ["w.safetensors"],
        1,
        "say batch_first (True or False); give it, by name (here: --set OPTION=VALUE)",
    ),
    "an unknown option": (
        ["w.safetensors", "--set", "batch_first=True", "--set", "width=3"],
        2,
        "no layer in this state dict takes width",
    ),
    "a wrong value": (
        ["w.safetensors", "--set", "batch_first=maybe"],
        1,
        "is True or False; got 'maybe'",
    ),
    "an unknown part": (["w.safetensors", "--set", "a.b=1"], 1, "the state dict has no such part"),
    "a whole module": (["m.safetensors", *SETTINGS], 2, "this file says all itself"),
    "inference": (["w.safetensors", "--inference"], 2, "--inference is for files of Keras"),
    "a damaged file": (["damaged.safetensors"], 1, "is no safetensors file"),
    "another format": (["later.safetensors"], 1, "it is of format 9, and minigrad"),
}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_use(name):
    arguments, code, words = WRONG[name]
    mg.save("w.safetensors", nn.GRU(3, 4).state_dict())
    mg.save("later.safetensors", {KEY: {"format": 9}})
    save_module("m.safetensors", nn.GRU(3, 4))
    for path in ("damaged.safetensors", "notes.txt"):
        Path(path).write_text("hello")
    assert words in " ".join(convert(*arguments, code=code).split())


@pytest.mark.usefixtures("alone")
def test_files_of_frameworks_that_are_missing():
    for path, words in (
        ("w.pt", "which only PyTorch can read"),
        ("w.keras", "needs Keras 3, which"),
    ):
        Path(path).write_text("hello")
        assert words in convert(path, code=1)


def test_damaged_files_of_frameworks():
    torch_or_skip()
    save_module("any.safetensors", nn.Tanh())
    assert "it can't be compared: the shape of the input" in convert("any.safetensors", code=1)
    Path("w.pt").write_text("hello")
    assert "w.pt is damaged, or no file of PyTorch's" in convert("w.pt", code=1)
    keras_or_skip()
    Path("w.keras").write_text("hello")
    assert "Keras can't read w.keras" in convert("w.keras", code=1)
