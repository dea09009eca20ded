"""State dicts and lists of weights, converted without the framework that they are of."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

import minigrad as mg
from minigrad import nn
from minigrad.models import zoo
from minigrad.models.convert import (
    ConversionError,
    Outputs,
    from_keras,
    from_pytorch,
    keras_weights,
    pytorch_state,
    to_keras,
    to_pytorch,
)
from minigrad.models.convert.keras_layers import NEEDS as KERAS_NEEDS
from minigrad.models.convert.keras_out import OUR_NEEDS as NEEDS_FOR_KERAS
from minigrad.models.convert.torch_layers import NEEDS as TORCH_NEEDS
from minigrad.models.convert.torch_layers import OUR_NEEDS as NEEDS_FOR_TORCH

# --- state dicts of PyTorch ------------------------------------------------------------------


@st.composite
def ours(draw, **fixed):
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    options = {name: draw(st.booleans()) for name in ("bias", "bidirectional")}
    options |= {"num_layers": draw(st.integers(1, 3)), "batch_first": draw(st.booleans()), **fixed}
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    I, H = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    return getattr(nn, kind)(I, H, **options)


@given(ours())
def test_layers_are_found_from_names_and_shapes(layer):
    known = {"batch_first": layer.batch_first}
    if isinstance(layer, nn.RNN):
        known["nonlinearity"] = layer.nonlinearity
    again = from_pytorch(pytorch_state(layer), **known)
    assert repr(again) == repr(layer)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array, strict=True)


def test_a_whole_model():
    state = {
        "words.weight": np.ones((9, 4)),
        "encoder.rnn.weight_ih_l0": np.ones((12, 4)),
        "encoder.rnn.weight_hh_l0": np.ones((12, 4)),
        "encoder.norm.weight": np.ones(4),
        "encoder.norm.bias": np.ones(4),
        "stats.running_mean": np.ones(4),
        "stats.running_var": np.ones(4),
        "stats.num_batches_tracked": np.array(3),
        "head.weight": np.ones((2, 4)),
        "head.bias": np.ones(2),
    }
    layers = {
        "words": {"layer": "Embedding", "padding_idx": 0},
        "encoder.norm": {"layer": "LayerNorm"},
    }
    model = from_pytorch(state, layers, batch_first=True, eps=1e-5)
    assert list(model.state_dict()) == list(state)
    assert repr(model["encoder"]["rnn"]) == "GRU(4, 4, bias=False, batch_first=True)"
    assert model["words"].padding_idx == 0 and model["stats"].momentum == 0.1
    assert model["head"].weight.dtype == "float64"


LSTM = {"weight_ih_l0": np.ones((8, 3)), "weight_hh_l0": np.ones((8, 2))}
STATES = {
    "nothing": ({}, {}, "an empty state dict can't be converted: there is no layer in it"),
    "no batch_first": (LSTM, {}, "LSTM can't be converted: a state dict doesn't say batch_first"),
    "no nonlinearity": (
        {"a.weight_ih_l0": np.ones((2, 3)), "a.weight_hh_l0": np.ones((2, 2))},
        {"batch_first": True},
        "a (RNN) can't be converted: a state dict doesn't say nonlinearity ('tanh' or 'relu'); "
        "give it, layers={'a': {...}}",
    ),
    "no nonlinearity of a cell": (
        {"weight_ih": np.ones((2, 3)), "weight_hh": np.ones((2, 2))},
        {},
        "a state dict doesn't say nonlinearity ('tanh' or 'relu'); give it, by name",
    ),
    "an embedding or a linear layer": (
        {"words.weight": np.ones((9, 4))},
        {},
        "Embedding and Linear have such arrays; say which it is, layers={'words': "
        "{'layer': 'Embedding'} or {'layer': 'Linear'}}",
    ),
    "a norm": (
        {"norm.weight": np.ones(4), "norm.bias": np.ones(4)},
        {},
        "LayerNorm and BatchNorm1d have such arrays",
    ),
    "no eps": (
        {"weight": np.ones((2, 4)), "bias": np.ones((2, 4))},
        {},
        "a state dict doesn't say eps (1e-5 if it was PyTorch's default)",
    ),
    "a convolution": (
        {"conv.weight": np.ones((2, 3, 4)), "conv.bias": np.ones(2)},
        {},
        "no layer here has such arrays: weight (2, 3, 4), bias (2,). The layers are RNN, LSTM",
    ),
    "five gates": (
        {"weight_ih_l0": np.ones((10, 3)), "weight_hh_l0": np.ones((10, 2))},
        {},
        "weight_hh_l0 is (10, 2), where an RNN, a GRU or an LSTM has 1, 3 or 4 times",
    ),
    "a layer that is missing": (
        {**LSTM, "weight_ih_l2": np.ones((8, 2)), "weight_hh_l2": np.ones((8, 2))},
        {"batch_first": True},
        "missing: weight_ih_l1, weight_hh_l1",
    ),
    "wrong shapes": (
        {**LSTM, "bias_ih_l0": np.ones(8), "bias_hh_l0": np.ones(7)},
        {"batch_first": True},
        "wrong shape: bias_hh_l0 is (8,), and in the state (7,)",
    ),
    "a reverse direction by half": (
        {**LSTM, "weight_ih_l0_reverse": np.ones((8, 3))},
        {"batch_first": True},
        "missing: weight_hh_l0_reverse",
    ),
    "a projection that is too wide": (
        {
            "weight_ih_l0": np.ones((8, 3)),
            "weight_hh_l0": np.ones((8, 3)),
            "weight_hr_l0": np.ones((3, 2)),
        },
        {"batch_first": True},
        "its arrays are weight_ih_l0 (8, 3), weight_hh_l0 (8, 3), weight_hr_l0 (3, 2): LSTM: proj",
    ),
    "complex numbers": (
        {"weight": np.ones((2, 2)) * 1j, "bias": np.ones(2) * 1j},
        {},
        "its arrays must be of one float dtype; got complex128",
    ),
    "a layer within a layer": (
        {"a.weight": np.ones((2, 2)), "a.bias": np.ones(2), "a.b.weight": np.ones((2, 2))}
        | {"a.b.bias": np.ones(2)},
        {},
        "it has layers within; a state dict of a class that you wrote",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_refused_state_dicts(name):
    state, options, words = STATES[name]
    with pytest.raises(ConversionError) as caught:
        from_pytorch(state, **options)
    assert words in str(caught.value)


def test_wrong_options_of_state_dicts():
    with pytest.raises(TypeError, match="no layer in this state dict takes batch_frist"):
        from_pytorch(LSTM, batch_first=True, batch_frist=True)
    with pytest.raises(
        ConversionError, match=r"'batch_frist'; did you mean batch_first\? It takes"
    ):
        from_pytorch(LSTM, {"": {"batch_frist": True}})
    with pytest.raises(ConversionError, match=r"no such part; did you mean 'encoder'\? It has"):
        from_pytorch({f"encoder.{n}": a for n, a in LSTM.items()}, {"encode": {}})
    with pytest.raises(ConversionError, match="'Conv' can't be converted: the layers are RNN"):
        from_pytorch(LSTM, {"": {"layer": "Conv"}})


def test_files_of_pytorch_need_it(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"w.pt is a file of PyTorch's.*safetensors.torch.save_file"
    ):
        from_pytorch(tmp_path / "w.pt")
    with pytest.raises(ImportError, match=r"pytorch_state gives its state dict without.*oracle"):
        to_pytorch(nn.GRU(3, 4))
    monkeypatch.setitem(__import__("sys").modules, "keras", None)
    with pytest.raises(ImportError, match=r"keras_weights gives its configuration.*oracle"):
        to_keras(nn.GRU(3, 4, batch_first=True))


TO_PYTORCH = {
    "reset before": (lambda: nn.GRU(3, 4, reset_after=False), "applies the reset gate after"),
    "a cell's reset": (lambda: nn.GRUCell(3, 4, reset_after=False), "applies the reset gate"),
    "a cell's projection": (lambda: nn.LSTMCell(3, 4, proj_size=2), "cells have no projection"),
    "the zoo": (lambda: zoo.MGU(3, 4), "MGU can't be converted: torch.nn has no such layer"),
    "outputs": (lambda: Outputs(nn.GRU(3, 4)), "convert .layer"),
    "a function": (lambda: nn.Sequential(mg.exp), "torch.nn has no module for this function"),
    "a part": (
        lambda: nn.ModuleDict({"a": nn.ModuleList([zoo.IndRNN(2, 2)])}),
        "a.0 (IndRNN) can't be converted",
    ),
    "a class": (lambda: type("Mine", (nn.Module,), {})(), "Mine can't be converted"),
}


@pytest.mark.parametrize("name", TO_PYTORCH)
def test_refused_for_pytorch(name):
    make, words = TO_PYTORCH[name]
    for convert in (to_pytorch, pytorch_state):
        with pytest.raises(ConversionError) as caught:
            convert(make())
        assert words in str(caught.value)


# --- weights of Keras ------------------------------------------------------------------------


@given(ours(batch_first=True), st.booleans(), st.sampled_from(["all", "last"]))
def test_keras_weights_there_and_back(layer, outputs, which):
    if layer.num_layers > 1 or outputs:
        layer = Outputs(layer, which)
    config, weights, names = keras_weights(layer)
    assert len(weights) == len(names) == len(set(names))
    again = from_keras(config, weights)
    weights_again = keras_weights(again).weights
    for a, b in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    x = mg.tensor(
        np.random.default_rng(0).normal(size=(2, 5, weights[0].shape[0])), dtype="float32"
    )
    results = []
    for module in (layer, again):
        if isinstance(layer, Outputs) and not isinstance(module, (Outputs, nn.Sequential)):
            module = Outputs(module, which)  # alone, it gives its state, too
        y = module(x)
        results.append((y if isinstance(y, mg.Tensor) else y[0]).detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_the_order_of_gates():
    """Keras's GRU has z, r, n; each gate's weights are written by hand here."""
    z, r, n = (np.full((1, 1), k) for k in (1.0, 2.0, 3.0))
    kernel, recurrent = np.hstack([z, r, n]), np.hstack([z, r, n]) * 10
    bias = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    ours = from_keras({"class_name": "GRU"}, [kernel, recurrent, bias])
    assert ours.weight_ih_l0.tolist() == [[2], [1], [3]]
    assert ours.weight_hh_l0.tolist() == [[20], [10], [30]]
    assert ours.bias_ih_l0.tolist() == [2, 1, 3] and ours.bias_hh_l0.tolist() == [5, 4, 6]
    config = {"class_name": "GRU", "config": {"reset_after": False}}
    ours = from_keras(config, [kernel, recurrent, bias[0]])
    assert ours.weight_hh_l0.tolist() == [[20], [10]] and ours.weight_hn_l0.tolist() == [[30]]
    assert ours.bias_ih_l0.tolist() == [2, 1, 3]
    lstm = from_keras(
        {"class_name": "LSTM"},
        [np.arange(4.0)[None], np.arange(4.0)[None], bias[0, :1].repeat(4)],
    )
    assert lstm.weight_ih_l0.ravel().tolist() == [0, 1, 2, 3]  # i, f, c, o, as here


KERNELS = [np.ones((3, 8)), np.ones((2, 8)), np.ones(8)]
CONFIGS = {
    "no class": ({}, KERNELS, "it is a dict {'class_name': 'LSTM', 'config': {...}}"),
    "a typing error": (
        {"class_name": "LSTM", "config": {"return_sequence": True}},
        KERNELS,
        "its options return_sequence are unknown here; it has units",
    ),
    "no layer": ({"class_name": "Sequential", "config": {"layers": []}}, [], "no layer in it"),
    "too few weights": (
        {"class_name": "LSTM"},
        KERNELS[:2],
        "its weights are arrays of 2, 2, 1 axes; in their place came (3, 8), (2, 8)",
    ),
    "too many weights": (
        {"class_name": "LSTM"},
        [*KERNELS, np.ones(3)],
        "there are more weights than its layers have; left are (3,)",
    ),
    "other units": ({"class_name": "LSTM", "config": {"units": 3}}, KERNELS, "the weights have 2"),
    "other sizes": (
        {"class_name": "Embedding", "config": {"input_dim": 5}},
        [np.ones((4, 3))],
        "input_dim=5, and the weights are (4, 3)",
    ),
    "other gates": (
        {"class_name": "GRU", "config": {"reset_after": False}},
        KERNELS,
        "its weights are (3, 8)",
    ),
    "a state in a model": (
        {
            "class_name": "Sequential",
            "config": {
                "layers": [{"class_name": "LSTM", "config": {"return_state": True, "name": "a"}}]
            },
        },
        KERNELS,
        "a (LSTM) can't be converted: return_state=True: a layer behind it takes one tensor",
    ),
    "a layer of yours": (
        {"class_name": "LSTM", "registered_name": "mine>LSTM"},
        KERNELS,
        "you wrote",
    ),
    "forwards twice": (
        {
            "class_name": "Bidirectional",
            "config": {"layer": {"class_name": "LSTM"}, "backward_layer": {"class_name": "LSTM"}},
        },
        KERNELS * 2,
        "its backward_layer must have go_backwards=True",
    ),
    "backwards first": (
        {
            "class_name": "Bidirectional",
            "config": {"layer": {"class_name": "LSTM", "config": {"go_backwards": True}}},
        },
        KERNELS * 2,
        "its first direction goes forwards",
    ),
    "two directions of a product": (
        {"class_name": "Bidirectional", "config": {"layer": {"class_name": "Dense"}}},
        KERNELS,
        "two directions have recurrent layers only",
    ),
    "a norm without a size": (
        {"class_name": "LayerNormalization", "config": {"center": False, "scale": False}},
        [],
        "its size can't be seen",
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_refused_configurations(name):
    config, weights, words = CONFIGS[name]
    with pytest.raises(ConversionError) as caught:
        from_keras(config, weights)
    assert words in str(caught.value)


KERAS_ROWS = [(need, kind) for need in KERAS_NEEDS for kind in need.kinds]


@pytest.mark.parametrize(("need", "kind"), KERAS_ROWS, ids=lambda x: getattr(x, "option", x))
def test_every_row_of_what_keras_has_and_we_lack(need, kind):
    config = {"class_name": kind, "config": {need.option: "something else"}}
    with pytest.raises(ConversionError) as caught:
        from_keras(config, [])
    assert f"{kind} can't be converted: {need.option}='something else': {need.reason}" in str(
        caught.value
    )
    if need.training:  # left out, so that now the weights are missing
        assert "inference=True" in str(caught.value)
        with pytest.raises(ConversionError) as caught:
            from_keras(config, [], inference=True) and from_keras({}, [])
        assert need.option not in str(caught.value)


LAYER = {"batch_first": True}
TO_KERAS = {
    "time first": (lambda: nn.GRU(3, 4), "batch_first=False: Keras reads (N, T, I)"),
    "time first within": (
        lambda: Outputs(nn.RNN(3, 4)),
        "RNN can't be converted: batch_first=False",
    ),
    "a projection": (lambda: nn.LSTM(3, 4, proj_size=2, **LAYER), "Keras's LSTM has no projection"),
    "weights that drop": (lambda: nn.GRU(3, 4, weight_drop=0.5, **LAYER), "Keras drops no weights"),
    "zoneout": (lambda: nn.RNN(3, 4, zoneout=0.5, **LAYER), "Keras's layers have no zoneout"),
    "residual": (
        lambda: Outputs(nn.GRU(3, 3, num_layers=2, residual=True, **LAYER)),
        "a Sequential of Keras adds no inputs to outputs",
    ),
    "masks of gates": (
        lambda: nn.LSTM(3, 4, recurrent_dropout=0.5, **LAYER),
        "Keras draws a mask for each gate",
    ),
    "a mask for both": (
        lambda: nn.RNN(3, 4, bidirectional=True, variational_dropout=0.5, **LAYER),
        "here both directions have one mask",
    ),
    "a padded row": (lambda: nn.Embedding(3, 4, padding_idx=0), "in Keras all rows get gradients"),
    "several layers": (lambda: nn.LSTM(3, 4, 2, **LAYER), "num_layers=2: Keras stacks layers"),
    "a state": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 4, **LAYER)),
        "1 (LSTM) can't be converted: it returns its state, too",
    ),
    "batch norm": (
        lambda: nn.BatchNorm1d(3),
        "its running variance is by n - 1, and in Keras by n",
    ),
    "a cell": (lambda: nn.GRUCell(3, 4), "convert the layer of this cell"),
    "a list": (lambda: nn.ModuleList([nn.Linear(2, 2)]), "it has no forward(); convert its items"),
    "the zoo": (lambda: zoo.MGU(3, 4, **LAYER), "Keras has no such layer"),
    "the zoo within": (lambda: Outputs(zoo.MGU(3, 4, **LAYER)), "Keras has no such layer"),
    "both, backwards": (
        lambda: Outputs(nn.GRU(3, 4, bidirectional=True, **LAYER), "all", True),
        "go_backwards=True: in Keras two directions are forwards, backwards",
    ),
    "another slope": (lambda: nn.LeakyReLU(0.3), "Keras's leaky_relu has negative_slope=0.2"),
    "gelu by tanh": (lambda: nn.GELU(), "Keras's gelu has approximate='none'"),
    "other axes": (lambda: nn.Flatten(0, 1), "Keras's Flatten takes all axes but the first"),
    "a function": (lambda: nn.Sequential(mg.exp), "Keras has no function of this kind"),
    "a class": (lambda: type("Mine", (nn.Module,), {})(), "Mine can't be converted"),
    "tied": (lambda: _tied(), "1 (Linear) can't be converted: it shares a parameter"),
    "half frozen": (lambda: _half_frozen(), "some of its parameters are frozen"),
}


def _tied():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    return model


def _half_frozen():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad = False
    return layer


@pytest.mark.parametrize("name", TO_KERAS)
def test_refused_for_keras(name):
    make, words = TO_KERAS[name]
    with pytest.raises(ConversionError) as caught:
        keras_weights(make())
    assert words in str(caught.value)


def test_wrong_arguments_for_keras():
    with pytest.raises(TypeError, match="a configuration comes with weights"):
        from_keras({"class_name": "LSTM"})
    with pytest.raises(TypeError, match=r"A file is read by Keras: from_keras\(keras"):
        from_keras("model.keras")
    with pytest.raises(TypeError, match="takes a layer or model of Keras 3, or a configuration"):
        from_keras(3)


def test_outputs():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True).double()
    x = mg.tensor(np.random.default_rng(0).normal(size=(2, 5, 3)))
    y, (h, _) = layer(x)
    assert (Outputs(layer)(x) == y).all()
    last = Outputs(layer, "last")(x)
    assert (last == mg.concatenate([y[:, -1, :4], y[:, 0, 4:]], axis=-1)).all()
    assert (last == mg.concatenate([h[2], h[3]], axis=-1)).all()
    lengths = [5, 2]
    assert (Outputs(layer)(x, lengths=lengths) == layer(x, lengths=lengths)[0]).all()
    single = nn.GRU(3, 4).double()
    assert (Outputs(single, "all", True)(x[0]) == single(mg.flip(x[0], axis=0))[0]).all()
    assert (Outputs(single, "last", True)(x[0]) == single(mg.flip(x[0], axis=0))[1][-1]).all()
    with pytest.raises(TypeError, match="Outputs takes a recurrent layer; got Linear"):
        Outputs(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="which is 'all' or 'last'; got 'first'"):
        Outputs(single, "first")
    with pytest.raises(ValueError, match="with go_backwards only x can be given; got lengths"):
        Outputs(layer, "all", True)(x, lengths=lengths)


def test_outputs_have_right_gradients():
    for which in ("all", "last"):
        layer = Outputs(nn.RNN(1, 2, bidirectional=True), which, go_backwards=True)
        assert mg.gradcheck(layer, mg.randn((2, 1, 1)), order=2)


def test_the_page_names_every_refusal():
    page = re.sub(r"\s+", " ", (ROOT / "models/convert/README.md").read_text("utf-8"))
    rows = [need.attribute for need in (*TORCH_NEEDS, *NEEDS_FOR_TORCH, *NEEDS_FOR_KERAS)]
    rows += [need.option for need in KERAS_NEEDS if "_regularizer" not in need.option]
    missing = [
        row for row in dict.fromkeys(rows) if f"`{row}`" not in page and "_constraint" not in row
    ]
    assert not missing, missing


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, 0.3) for name in ("variational_dropout", "recurrent_dropout", "weight_drop")),
        *(("zoneout", (0.0, 0.1)), ("residual", True), ("stateful", True)),
    ],
)
def test_options_that_others_lack_are_refused(option, value):
    layer = nn.LSTM(2, 3, 2, batch_first=True, **{option: value})
    text = rf"LSTM can't be converted: {option}={re.escape(repr(value))}: "
    with pytest.raises(ConversionError, match=text + "PyTorch's LSTM has no such option"):
        pytorch_state(layer)
    if option in ("variational_dropout", "stateful"):  # which Keras has
        again = from_keras(*keras_weights(Outputs(layer))[:2])
        assert all(getattr(item.layer, option) == value for item in again)
        return
    with pytest.raises(ConversionError, match=text):
        keras_weights(Outputs(layer))
