"""Recurrent layers and models with them as ONNX: run by onnxruntime, read again, trained on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.convert import (
    ConversionError,
    Outputs,
    certify_from_onnx,
    certify_to_onnx,
    from_onnx,
    to_onnx,
)
from minigrad.models.convert.onnx_files.library import runtime_or_none
from minigrad.models.networks.attention import Attention
from minigrad.models.networks.classifier import SequenceClassifier
from minigrad.models.networks.language_model import LanguageModel
from minigrad.models.networks.pooling import POOLINGS
from minigrad.models.networks.tagger import SequenceTagger
from minigrad.models.networks.transcriber import Transcriber
from minigrad.models.registry import LAYERS
from minigrad.utils.install import install_line

onnx = pytest.importorskip("onnx", reason=f"no onnx; {install_line('onnx')}")

KINDS = {
    "tanh": (mg.nn.RNN, {}),
    "relu": (mg.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (mg.nn.LSTM, {"forget_bias": 1.0}),
    "lstm without bias": (mg.nn.LSTM, {"bias": False}),
    "gru": (mg.nn.GRU, {}),
    "gru, reset before": (mg.nn.GRU, {"reset_after": False}),
    "gru, reset before, without bias": (mg.nn.GRU, {"reset_after": False, "bias": False}),
    "lstm, projected": (mg.nn.LSTM, {"proj_size": 3}),
    "lstm, zoneout": (mg.nn.LSTM, {"zoneout": 0.2}),
}
KINDS |= {
    name: (layer, {}) for name, layer in LAYERS.items() if layer.__module__ != mg.nn.LSTM.__module__
}
T, N, I, H = 5, 3, 2, 4


@st.composite
def layers(draw):
    """A layer, examples of its inputs, and a name for each output."""
    kind, options = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    options = options | {
        "num_layers": draw(st.sampled_from([1, 2])),
        "bidirectional": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }
    if options["num_layers"] == 2:
        options["residual"] = draw(st.booleans())
        options["dropout"] = draw(st.sampled_from([0.0, 0.5]))
    mg.manual_seed(draw(st.integers(0, 2**16)))
    layer = kind(I, H, **options)
    single = draw(st.booleans())
    leading = (T,) if single else (N, T) if layer.batch_first else (T, N)
    inputs = {"x": mg.randn(*leading, I)}
    steps = draw(st.sampled_from(["all", "lengths", "mask"]))
    if steps == "lengths" and not single:
        inputs["lengths"] = [5, 2, 0]
    if steps == "mask":  # one of several lengths, or of any steps
        inputs["mask"] = np.ones(leading, bool)
    if draw(st.booleans()):
        runs = layer.num_layers * (2 if layer.bidirectional else 1)
        rows = (runs,) if single else (runs, N)
        state = tuple(mg.randn(*rows, size) for size in layer.state_sizes(layer.hidden_size))
        inputs["state"] = state if len(state) > 1 else state[0]
    return layer, inputs


@given(layers())
def test_a_layer_gives_the_same_in_onnxruntime(drawn):
    layer, inputs = drawn
    certificate = certify_to_onnx(layer, inputs)
    # Of four numbers that are nearly the same, a norm makes rounding errors large.
    loose = type(layer).__name__.startswith("LayerNorm") and certificate.worst.within(1e-3)
    assert certificate or loose, str(certificate)


@given(layers())
def test_a_layer_has_the_same_gradients_when_it_is_read_again(drawn):
    layer, inputs = drawn
    certificate = certify_from_onnx(layer, inputs)
    assert certificate, str(certificate)
    compared = {row.name.removeprefix("gradient of ") for row in certificate.differences}
    assert {name for name, _ in layer.named_parameters()} <= compared


@given(layers(), st.randoms(use_true_random=False))
def test_a_mutant_of_the_graph_is_noticed(drawn, random):
    """The certificate fails for a graph with another number in one of its weights."""
    layer, inputs = drawn
    model = to_onnx(layer, inputs, check=False)
    tensor = random.choice(model.graph.initializer)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array += 1
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    assert certify_to_onnx(layer, inputs, model=model).verdict == "FAIL"


def test_a_layer_is_one_node_with_named_axes_and_states():
    layer = mg.nn.LSTM(I, H, num_layers=2, bidirectional=True)
    state = (mg.zeros((4, N, H)), mg.zeros((4, N, H)))
    model = to_onnx(layer, {"x": mg.ones((T, N, I)), "lengths": [5, 2, 1], "state": state})
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("LSTM") == 2
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "x": ["time", "batch", I],
        "lengths": ["batch"],
        "h_0": [4, "batch", H],
        "c_0": [4, "batch", H],
        "y": ["time", "batch", 2 * H],
        "h_n": [4, "batch", H],
        "c_n": [4, "batch", H],
    }
    assert model.opset_import[0].version == 18 and model.ir_version == 8
    assert [p.name for p in model.graph.initializer][:3] == ["W_l0", "R_l0", "B_l0"]


class Pooled(mg.nn.Module):
    """Layer norm, a recurrent layer, and a mean, a maximum and a last output over valid steps."""

    def __init__(self, kind):
        self.words = mg.nn.Embedding(11, 6, padding_idx=0)
        self.norm = mg.nn.LayerNorm(6)
        self.recurrent = kind(6, 5, bidirectional=True, batch_first=True)
        self.drop = mg.nn.Dropout(0.5)
        self.score = mg.nn.Linear(10, 1, bias=False)
        self.head = mg.nn.Sequential(mg.nn.Linear(40, 8), mg.gelu, mg.nn.Linear(8, 3))
        self.mean = mg.nn.Buffer(np.linspace(-1, 1, 10, dtype="float32"))

    def forward(self, tokens, lengths):
        x = self.norm(self.words(tokens))
        y, _ = self.recurrent(x, lengths=lengths)  # (N, T, 10)
        y = self.drop(y) - self.mean
        n, t = tokens.shape
        valid = mg.arange(t) < mg.reshape(lengths, (n, 1))  # (N, T)
        mean = mg.mean(y, axis=1, where=mg.expand_dims(valid, 2))
        most = mg.max(y, axis=1, where=mg.expand_dims(valid, 2))
        last = y[mg.arange(n), lengths - 1]
        scores = mg.where(valid, self.score(y)[..., 0], -1e9)
        context = (mg.expand_dims(mg.softmax(scores, axis=1), 1) @ y)[:, 0]
        return mg.softmax(self.head(mg.concatenate([mean, most, last, context], axis=1)))


def tokens(*shape):
    return mg.randint(1, 11, shape)


def lstm_state(layers=1):
    return tuple(mg.randn(layers, 3, 5) for _ in range(2))


SYMBOLS = {"x": ("time", "batch"), "lengths": ("batch",)}
FEATURES = {"x": ("time", "batch", None), "lengths": ("batch",)}
STATE = {f"state_{i}": (None, "batch", None) for i in range(2)}
LENGTHS = [5, 2, 1]
# By name: how it is made, examples of its inputs, and their axes.
MODELS = {
    f"classifier, {pooling}": (
        lambda pooling=pooling: SequenceClassifier(
            "lstm", 11, 6, 5, pooling=pooling, bidirectional=pooling != "last"
        ),
        lambda: {"x": tokens(5, 3), "lengths": LENGTHS},
        SYMBOLS,
    )
    for pooling in POOLINGS
} | {
    "pooled": (
        lambda: Pooled(mg.nn.GRU),
        lambda: {"tokens": tokens(3, 5), "lengths": mg.tensor(LENGTHS)},
        {"tokens": ("batch", "time"), "lengths": ("batch",)},
    ),
    "classifier of features": (
        lambda: SequenceClassifier("gru", None, 4, 5, pooling="mean", num_layers=2),
        lambda: {"x": mg.randn(5, 3, 4), "lengths": LENGTHS},
        FEATURES,
    ),
    "tagger": (
        lambda: SequenceTagger("gru", 11, 4, 5, 3),
        lambda: {"x": tokens(5, 3), "lengths": LENGTHS},
        SYMBOLS,
    ),
    "language model": (
        lambda: LanguageModel("lstm", 11, 5, 5, tied=True),
        lambda: {"symbols": tokens(5, 3), "state": lstm_state()},
        {"symbols": ("time", "batch")} | STATE,
    ),
    "transcriber": (
        lambda: Transcriber(4, 5, 7, steps=2),
        lambda: {"x": mg.randn(5, 3, 4), "lengths": LENGTHS},
        FEATURES,
    ),
    "attention": (
        lambda: Attention("additive", 4, 4),
        lambda: (mg.randn(2, 3, 4), mg.randn(5, 3, 4), mg.randn(5, 3, 4), mg.randn(5, 3) > 0),
        {"query": ("u", "n", None), "memory": ("s", "n", None), "keys": ("s", "n", None)}
        | {"mask": ("s", "n")},
    ),
}


def model_and_inputs(name):
    mg.manual_seed(1)
    make, inputs, axes = MODELS[name]
    return make(), inputs(), axes


@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_gives_the_same_in_onnxruntime(name):
    model, inputs, axes = model_and_inputs(name)
    certificate = certify_to_onnx(model, inputs, axes=axes)
    assert certificate, str(certificate)


@pytest.mark.parametrize("name", MODELS)
def test_a_whole_model_has_the_same_gradients_when_it_is_read_again(name):
    model, inputs, axes = model_and_inputs(name)
    certificate = certify_from_onnx(model, inputs, axes=axes)
    assert certificate, str(certificate)


def test_a_model_that_is_read_again_trains_on_and_loads_back(backend, tmp_path):
    model, inputs, axes = model_and_inputs("classifier, last")
    path = tmp_path / "model.onnx"
    to_onnx(model, inputs, path, axes=axes)
    again = from_onnx(path).to(backend)
    optimizer = mg.optim.Adam(again.parameters(), lr=0.05)
    labels = mg.tensor([0, 1, 1])
    losses = []
    for _ in range(12):
        loss = mg.cross_entropy(again(**inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {*again.state_dict()} == {*model.state_dict()}
    model.load_state_dict(again.state_dict())
    np.testing.assert_allclose(
        model.eval()(**inputs).detach().numpy(), again(**inputs).detach().numpy(), atol=1e-5
    )


class Stepping(mg.nn.Module):
    """One step of a language model, with its state."""

    def __init__(self):
        self.words = mg.nn.Embedding(9, 4)
        self.recurrent = mg.nn.LSTM(4, 5, num_layers=2)
        self.head = mg.nn.Linear(5, 9)

    def forward(self, symbols, state=None):
        y, state = self.recurrent.step(self.words(symbols), state)
        return self.head(y), state


def cases():
    """Modules of other kinds, with examples of their inputs and their axes."""
    mg.manual_seed(2)
    x, rows = mg.randn(4, 6), {"x": ("n", None)}
    norm = mg.nn.BatchNorm1d(6)
    norm(3 * mg.randn(20, 6) + 1)
    yield norm, x, rows
    yield norm, mg.randn(3, 6, 5), {"x": ("n", None, "t")}
    for kind in (
        "Softmax",
        "LogSoftmax",
        "GELU",
        "ELU",
        "LeakyReLU",
        "SiLU",
        "Softplus",
        "Sigmoid",
    ):
        yield getattr(mg.nn, kind)(), x, rows
    yield mg.nn.GELU(approximate="none"), x, rows
    yield mg.nn.LayerNorm(6, elementwise_affine=False), x, rows
    yield mg.nn.LayerNorm((3, 6), eps=1e-3), mg.randn(5, 3, 6), {"x": ("n", None, None)}
    yield mg.nn.Identity(), x, rows
    yield mg.nn.Flatten(0, 1), mg.randn(3, 4, 5), {"x": ("n", "t", None)}
    yield mg.nn.Linear(6, 3), x, None  # one size only
    yield mg.nn.Linear(6, 3).astype("float16"), x.astype("float16"), rows
    yield mg.nn.GRU(3, 4).double(), mg.randn(5, 2, 3).astype("float64"), None
    yield mg.nn.RNNCell(6, 3), {"x": x, "state": mg.randn(4, 3)}, rows | {"state": ("n", None)}
    yield mg.nn.GRUCell(6, 3), x, rows
    state = (mg.randn(2, 3, 5), mg.randn(2, 3, 5))
    axes = {f"state_{i}": (None, "n", None) for i in range(2)} | {"symbols": ("n",)}
    yield Stepping(), (mg.tensor([1, 2, 8]), state), axes


@pytest.mark.parametrize("number", range(len([*cases()])))
def test_other_modules_give_the_same(number):
    module, inputs, axes = [*cases()][number]
    certificate = certify_to_onnx(module, inputs, axes=axes)
    assert certificate, str(certificate)
    in_runtime = runtime_or_none() and certificate.tolerance > 1e-10  # it has no GRU in float64
    assert bool(certificate.notes) != bool(in_runtime)
    again = certify_from_onnx(module, inputs, axes=axes)
    assert again.verdict == "PASS" or not [*module.parameters()], str(again)


def test_weights_that_are_tied_stay_one_parameter():
    class Tied(mg.nn.Module):
        def __init__(self):
            self.words = mg.nn.Embedding(7, 4)
            self.head = mg.nn.Linear(4, 7, bias=False)
            self.head.weight = self.words.weight

        def forward(self, tokens):
            return self.head(self.words(tokens))

    tokens = mg.tensor([[1, 2, 6]])
    certificate = certify_from_onnx(Tied(), tokens, axes={"tokens": ("n", "t")})
    assert certificate, str(certificate)
    assert [row.name for row in certificate.differences][1:] == ["gradient of words.weight"]


def test_a_module_that_is_exported_stays_as_it_was():
    layer = mg.nn.LSTM(I, H, num_layers=2, dropout=0.5)
    model = mg.nn.Sequential(Outputs(layer, "last"), mg.nn.Dropout(0.5), mg.nn.Linear(H, 2))
    model[1].eval()
    before = {name: vars(part).copy() for name, part in model.named_modules()}
    to_onnx(model, mg.ones((T, N, I)), axes={"x": ("time", "batch", None)})
    for name, part in model.named_modules():
        assert vars(part).keys() == before[name].keys()
        assert part.training == (name != "1")


def test_a_layer_that_keeps_its_state_between_calls_is_refused():
    inside = mg.nn.Sequential(Outputs(mg.nn.GRU(I, H, stateful=True)), mg.nn.Linear(H, 1))
    with pytest.raises(ConversionError, match="keeps its state between calls") as error:
        to_onnx(inside, mg.ones((T, N, I)), axes={"x": ("time", "batch", None)})
    assert error.value.part == "0.layer"


def test_a_cell_that_you_write_becomes_a_scan():
    def cell(p, x, state):
        h, seen = state
        h = mg.tanh(mg.linear(x, p.w_ih) + p.scale * h)
        seen = mg.maximum(seen, h)
        return h - seen, (h, seen)

    class Own(mg.nn.Recurrent):
        states = ("h", "seen")

        def shapes(self, I, H):
            return {"w_ih": (H, I), "scale": (H,)}

    Own.cell = staticmethod(cell)
    layer = Own(I, H, num_layers=2, bidirectional=True)
    inputs = {"x": mg.randn(T, N, I), "lengths": [5, 2, 0]}
    model = to_onnx(layer, inputs)
    assert [node.op_type for node in model.graph.node].count("Scan") == 4
    for certificate in (
        certify_to_onnx(layer, inputs, model=model),
        certify_from_onnx(layer, inputs),
    ):
        assert certificate, str(certificate)


def test_wrong_arguments_say_what_to_give():
    layer = mg.nn.GRU(I, H)
    x = mg.ones((T, N, I))
    for given_, options, reason in (
        ({"y": x}, {}, "the inputs don't fit"),
        (x, {"axes": {"z": ("a",)}}, "axes are given for 'z', and the inputs are x"),
        (x, {"axes": {"x": ("a", "b")}}, "a name or None for each"),
        (x, {"outputs": ["a"]}, "returns 2 tensors"),
        (x, {"outputs": ["a", "x"]}, "is the name of an input"),
        ({}, {}, "the inputs don't fit"),
    ):
        with pytest.raises(ValueError, match="to_onnx") as error:
            to_onnx(layer, given_, **options)
        assert reason in str(error.value)
