"""Whole modules in safetensors files, and bare state dicts in them."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.models.convert import ConversionError, Outputs, load_module, save_module
from minigrad.models.convert.description import build, describe
from minigrad.models.registry import LAYERS

pytest.importorskip("safetensors", reason="safetensors is not installed here")

MAKE = {
    "linear": lambda: nn.Linear(3, 4, bias=False),
    "cell": lambda: nn.LSTMCell(3, 4, forget_bias=1.0, proj_size=2),
    "embedding": lambda: nn.Embedding(5, 3, padding_idx=1),
    "norms": lambda: nn.Sequential(nn.LayerNorm((2, 3), eps=0.1), nn.BatchNorm1d(3, momentum=None)),
    "bare norms": lambda: nn.Sequential(
        nn.LayerNorm(3, elementwise_affine=False), nn.BatchNorm1d(3, affine=False)
    ),
    "functions": lambda: nn.Sequential(
        {"in": nn.Linear(2, 3), "act": mg.tanh, "more": nn.ELU(0.5)}
    ),
    "shapes": lambda: nn.Sequential(nn.Flatten(0, 1), nn.Identity(), nn.Dropout(0.25)),
    "lists": lambda: nn.ModuleList([nn.GRU(2, 3, reset_after=False, memory=20), nn.Softmax(-1)]),
    "dicts": lambda: nn.ModuleDict({"a": nn.ModuleDict({"b": nn.RNN(2, 3, nonlinearity="relu")})}),
    "outputs": lambda: Outputs(nn.LSTM(2, 3, num_layers=2, dropout=0.5), "last", True),
    "loss": lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
    **{name: lambda layer=layer: layer(2, 3, bidirectional=True) for name, layer in LAYERS.items()},
}


def same(a, b):
    assert repr(a) == repr(b)
    assert list(a.state_dict()) == list(b.state_dict())
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x, y, strict=True)
    for kind in ("named_parameters", "named_modules"):
        pairs = list(zip(getattr(a, kind)(), getattr(b, kind)(), strict=True))
        assert all(name == other for (name, _), (other, _) in pairs)
        flag = "training" if kind == "named_modules" else "requires_grad"
        assert all(getattr(x, flag) == getattr(y, flag) for (_, x), (_, y) in pairs)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_there_and_back(name, dtype, tmp_path):
    module = MAKE[name]().astype(dtype).eval()
    for i, parameter in enumerate(module.parameters()):
        parameter.requires_grad = bool(i % 2)
    mg.manual_seed(0)
    save_module(tmp_path / "a.safetensors", module)
    again = load_module(tmp_path / "a.safetensors")
    same(module, again)
    drawn = mg.rand(1).item()
    mg.manual_seed(0)
    assert drawn == mg.rand(1).item()  # none is drawn meanwhile
    save_module(tmp_path / "b.safetensors", again)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@given(
    st.lists(st.sampled_from(["linear", "embedding", "functions", "dicts"]), max_size=4), st.data()
)
def test_descriptions_are_json(names, data):
    module = nn.ModuleList([MAKE[name]() for name in names])
    text = json.dumps(describe(module))
    assert repr(build(json.loads(text))) == repr(module)


def test_tied_parameters_and_shared_modules(tmp_path):
    path = tmp_path / "tied.safetensors"
    model = nn.Sequential(nn.Embedding(7, 4), mg.tanh, nn.Linear(4, 7))
    model[2].weight = model[0].weight
    save_module(path, model)
    again = load_module(path)
    assert again[2].weight is again[0].weight
    same(model, again)
    layer = nn.Linear(3, 3)
    save_module(path, nn.Sequential(layer, mg.tanh, layer))
    again = load_module(path)
    assert again[2].weight is again[0].weight and again[2].bias is again[0].bias
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ConversionError, match=r"its buffers have several names \(0.running_mean"):
        save_module(path, nn.Sequential(norm, norm))


def test_mixed_dtypes(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3).double(), nn.Linear(3, 2))
    save_module(tmp_path / "m.safetensors", model)
    same(model, load_module(tmp_path / "m.safetensors"))


def test_other_readers_find_the_arrays(tmp_path):
    from safetensors.numpy import load_file

    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    save_module(tmp_path / "m.safetensors", model)
    found = load_file(tmp_path / "m.safetensors")
    assert found.keys() == model.state_dict().keys()
    model.load_state_dict(found)


def test_files_of_other_writers(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "theirs.safetensors"
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    save_file(lstm.state_dict(), path)
    same(lstm, load_module(path, batch_first=True))
    with pytest.raises(ConversionError, match=r"doesn't say batch_first \(True or False\)"):
        load_module(path)


@pytest.mark.parametrize("name", sorted(MAKE))
def test_on_every_backend(name, backend, tmp_path):
    if name not in ("linear", "dicts"):
        return
    module = MAKE[name]()
    save_module(tmp_path / "m.safetensors", module)
    again = load_module(tmp_path / "m.safetensors")
    same(module, again)
    assert next(again.parameters()).backend is mg.current_backend()


class Mine(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


class Wide(nn.Linear):
    pass


REFUSED = {
    "a class": (Mine, "Mine can't be converted: it is a class that you wrote"),
    "a subclass": (Wide, "Wide can't be converted"),
    "a part": (lambda: nn.ModuleList([nn.Linear(2, 2), Mine()]), "1 (Mine) can't be converted"),
    "a function": (
        lambda: nn.Sequential(lambda x: x + 1),
        "0 (<lambda>) can't be converted: it is a function that isn't one of minigrad's",
    ),
    "an array": (
        lambda: nn.CrossEntropyLoss(weight=[1.0, 2.0]),
        "CrossEntropyLoss can't be converted: its options are no JSON",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    make, words = REFUSED[name]
    module = make(2, 2) if make is Wide else make()
    path = tmp_path / "m.safetensors"
    with pytest.raises(ConversionError) as caught:
        save_module(path, module)
    assert words in str(caught.value)
    assert not path.exists()


WRONG = {
    "a later format": ({"format": 2}, "it is of format 2, and minigrad"),
    "no format": (3, "it is of format 3, and minigrad"),
    "an unknown layer": (
        {"module": {"layer": "Transformer", "options": {}}},
        "'Transformer' can't be converted: minigrad",
    ),
    "code": ({"module": {"layer": "Module", "options": {}}}, "has no layer of this name"),
    "a private function": ({"module": {"function": "__import__"}}, "has no function of this name"),
    "a module of functions": ({"module": {"function": "nn"}}, "has no function of this name"),
    "an unknown option": (
        {"module": {"layer": "Linear", "options": {"in_features": 3, "width": 2}}},
        "Linear can't be converted: its description is wrong:",
    ),
    "other sizes": (
        {"module": {"layer": "Linear", "options": {"in_features": 9, "out_features": 2}}},
        "wrong shape: weight is (2, 9), and in the state (2, 3)",
    ),
    "nothing": ({"module": []}, "it names no layer: []"),
    "an unknown frozen parameter": ({"frozen": ["other"]}, "don't belong together"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name, tmp_path):
    record, words = WRONG[name]
    path = tmp_path / "m.safetensors"
    layer = nn.Linear(3, 2)
    save_module(path, layer)
    state = mg.load(path)
    whole = {**state["minigrad.module"], **record} if isinstance(record, dict) else record
    mg.save(path, {**state, "minigrad.module": whole})
    with pytest.raises(ConversionError) as caught:
        load_module(path)
    assert words in str(caught.value)


def test_damaged_and_missing_files(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_module(path)
    save_module(path, nn.Linear(30, 20))
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match="is damaged"):
        load_module(path)
    path.write_bytes(content)
    with pytest.raises(TypeError, match="says all options itself; give none"):
        load_module(os.fspath(path), batch_first=True)
    with pytest.raises(TypeError, match="save_module takes a module; got dict"):
        save_module(path, {})
