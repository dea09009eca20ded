"""Layers of Keras 3 in and out: round trips to the bit, outputs and gradients to 1e-10."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from other_frameworks import keras_or_skip

import minigrad as mg
from minigrad import nn
from minigrad.models.convert import (
    ConversionError,
    KerasWeights,
    Outputs,
    check,
    from_keras,
    keras_weights,
    to_keras,
)
from minigrad.models.convert.keras import arrays_of
from minigrad.models.convert.keras_layers import ACTIVATIONS

keras = keras_or_skip()
layers = keras.layers
FEWER = max(settings().max_examples * 2 // 3, 1)  # a layer of Keras takes a while to make


def same_arrays(ours, theirs):
    """Equal to the bit, in order, dtypes and values."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)


def with_weights(layer, rng):
    """Random weights, in biases, too."""
    layer.set_weights([rng.normal(size=a.shape).astype(a.dtype) for a in arrays_of(layer)])
    return layer


@st.composite
def recurrent(draw):
    """The kind and options of a recurrent layer that can be converted, and whether it is both."""
    kind = draw(st.sampled_from(["SimpleRNN", "LSTM", "GRU"]))
    options = {"units": draw(st.integers(1, 4)), "use_bias": draw(st.booleans())}
    options["return_sequences"] = draw(st.booleans())
    options["dtype"] = draw(st.sampled_from(["float32", "float64"]))
    if kind == "SimpleRNN":
        options["activation"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "GRU":
        options["reset_after"] = draw(st.booleans())
    both = draw(st.booleans())
    if not both:
        options["go_backwards"] = draw(st.booleans())
    return kind, options, both


@settings(max_examples=FEWER)
@given(recurrent(), st.integers(1, 4), st.integers(0, 99))
def test_recurrent_there_and_back(drawn, I, seed):
    kind, options, both = drawn
    theirs = getattr(layers, kind)(**options)
    if both:
        theirs = layers.Bidirectional(theirs, dtype=options["dtype"])
    theirs.build((None, None, I))
    with_weights(theirs, np.random.default_rng(seed))
    ours = from_keras(theirs)
    certificate = check(ours, theirs, seed=seed)
    assert certificate and certificate.worst.greatest < 1e-10, certificate
    config, weights, _ = keras_weights(ours)
    same_arrays(weights, arrays_of(theirs))
    again = from_keras(config, weights)
    assert repr(again) == repr(ours)
    same_arrays(list(again.state_dict().values()), list(ours.state_dict().values()))


@settings(max_examples=FEWER)
@given(st.data())
def test_ours_there(data):
    """All of our options that Keras has: several layers in a Sequential, too."""
    kind = data.draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    options = {name: data.draw(st.booleans(), name) for name in ("bias", "bidirectional")}
    if kind == "RNN":
        options["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
    if kind == "GRU":
        options["reset_after"] = data.draw(st.booleans())
    depth = data.draw(st.integers(1, 3), "layers")
    layer = getattr(nn, kind)(2, 3, batch_first=True, num_layers=depth, **options)
    layer.astype(data.draw(st.sampled_from(["float32", "float64"])))
    backwards = not options["bidirectional"] and data.draw(st.booleans())
    if depth > 1 or backwards or data.draw(st.booleans(), "outputs"):
        layer = Outputs(layer, data.draw(st.sampled_from(["all", "last"])), backwards)
    theirs = to_keras(layer)
    certificate = check(layer, theirs)
    assert certificate and certificate.worst.greatest < 1e-10, certificate
    assert check(from_keras(theirs), theirs)


def model(dtype="float32"):
    made = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(7, 3),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.Dropout(0.2),
            layers.LayerNormalization(),
            layers.GRU(3, reset_after=False, return_sequences=True, go_backwards=True),
            layers.SimpleRNN(3),
            keras.Sequential([layers.Dense(4, activation="gelu"), layers.Flatten()]),
            layers.Dense(2, activation="softmax", use_bias=False),
            layers.Identity(),
        ]
    )
    return with_weights(made, np.random.default_rng(0))


def test_a_sequential_there_and_back():
    theirs = model()
    theirs.layers[0].trainable = False
    ours = from_keras(theirs)
    assert not ours[0].weight.requires_grad and ours[3].weight.requires_grad
    certificate = check(ours, theirs)
    assert certificate, certificate
    back = to_keras(ours)
    same_arrays(arrays_of(back), arrays_of(theirs))
    assert not back.layers[0].trainable
    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(*(m(tokens).detach().numpy() for m in (theirs, back)), rtol=1e-6)
    assert check(from_keras(back), back)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "softmax", "log_softmax", "silu"])
def test_functions(name):
    ours = nn.Sequential(nn.Linear(3, 4), getattr(mg, name, None) or getattr(mg.functional, name))
    assert check(ours, "keras")


@pytest.mark.parametrize(
    "name",
    [*ACTIVATIONS, "swish", "linear", None],
)
def test_activations(name):
    theirs = layers.Dense(3, activation=name)
    theirs.build((None, 2))
    certificate = check(from_keras(theirs), theirs)
    assert certificate, certificate


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.1}, {"center": False, "scale": False}])
@pytest.mark.parametrize("axis", [-1, [-2, -1]])
def test_layer_norm(options, axis):
    theirs = layers.LayerNormalization(axis, **options)
    theirs.build((2, 4, 3))
    ours = from_keras(theirs)
    certificate = check(ours, theirs, np.random.default_rng(0).normal(size=(2, 4, 3)))
    assert certificate, certificate
    again = from_keras(*keras_weights(ours)[:2])
    assert repr(again) == repr(ours)


def test_float32_sums_of_biases_are_named():
    ours = nn.LSTM(3, 4, batch_first=True)
    certificate = check(ours, "keras")
    assert certificate and "their sum, rounded" in certificate.notes[1]
    assert len(check(ours.double(), "keras").notes) == 1


def test_keras_on_something_else_gives_outputs_in_its_precision(monkeypatch):
    """As on JAX, where float64 has to be asked for; its outputs are rounded here."""
    module = import_module("minigrad.models.convert.check")
    original = module.run_keras

    def rounded(*arguments):
        _, run = original(*arguments)
        outputs = {name: array.astype("float32") for name, array in run.outputs.items()}
        return "Keras 3 on jax", run._replace(outputs=outputs, gradients={})

    monkeypatch.setattr(module, "run_keras", rounded)
    certificate = check(nn.GRU(3, 4, batch_first=True), "keras")
    assert certificate.verdict == "INCONCLUSIVE" and certificate.tolerance == 1e-5
    assert certificate.notes[1:] == (
        "gradients need Keras on PyTorch: set KERAS_BACKEND=torch",
        "Keras 3 on jax computes in float32 here, however exact its weights are",
        "Keras 3 on jax gave no gradient of x, initial h, kernel, recurrent_kernel, bias",
    )


def test_a_wrong_weight_is_found():
    theirs = layers.LSTM(4)
    theirs.build((None, None, 3))
    ours = from_keras(theirs)
    for k, array in enumerate(before := arrays_of(theirs)):
        array = array + 1e-6
        theirs.set_weights([*before[:k], array, *before[k + 1 :]])
        assert check(ours, theirs).verdict == "FAIL", k
    theirs.set_weights(before)
    assert check(ours, theirs)


def test_inference_leaves_out_what_acts_in_training_only():
    theirs = layers.GRU(3, dropout=0.1, recurrent_dropout=0.2, kernel_regularizer="l2")
    theirs.build((None, None, 2))
    with pytest.raises(ConversionError, match=r"recurrent_dropout=0.2: .*inference=True"):
        from_keras(theirs)
    ours = from_keras(theirs, inference=True)
    assert not ours.training
    assert check(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "dropped"),
    [
        *(("SimpleRNN", "dropout"), ("LSTM", "dropout"), ("GRU", "dropout")),
        ("SimpleRNN", "recurrent_dropout"),  # the others' is refused
    ],
)
def test_one_mask_for_all_steps(kind, dropped):
    """With one feature, or one unit, there are two outputs: it is dropped, or twice as much."""
    theirs = getattr(layers, kind)(1, return_sequences=True, dtype="float64", **{dropped: 0.5})
    theirs.build((None, None, 1))
    with_weights(theirs, np.random.default_rng(0))
    ours = from_keras(theirs)
    assert check(ours, theirs)
    x = np.ones((30, 4, 1))
    weight = "weight_ih_l0" if dropped == "dropout" else "weight_hh_l0"
    possible = []
    for factor in (0, 2):
        scaled = from_keras(theirs).eval()
        scaled.load_state_dict({**(state := ours.state_dict()), weight: factor * state[weight]})
        possible.append(scaled(mg.tensor(x))[0].numpy()[0])
    mg.manual_seed(0)
    for y in (ours.train()(mg.tensor(x))[0].numpy(), theirs(x, training=True).detach().numpy()):
        found = [[np.allclose(row, one, atol=1e-6) for one in possible] for row in y]
        assert all(map(any, found)) and np.all(np.any(found, axis=0))
    config, weights, _ = keras_weights(ours)
    assert config["config"][dropped] == 0.5
    assert repr(from_keras(config, weights)) == repr(ours)


def test_stateful_layers():
    theirs = keras.Sequential(
        [keras.Input(batch_shape=(3, None, 2)), layers.LSTM(4, stateful=True)]
    )
    ours = from_keras(theirs)
    assert ours[0].layer.stateful
    assert check(ours, theirs)
    config, weights, _ = keras_weights(ours)
    assert config["config"]["layers"][0]["config"]["stateful"]
    assert repr(from_keras(config, weights)) == repr(ours)
    with pytest.raises(ConversionError, match="Keras builds such a layer for one size of a batch"):
        to_keras(ours)
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
    for _ in range(2):
        y = theirs(x).detach().numpy()
        np.testing.assert_allclose(ours(mg.tensor(x)).detach().numpy(), y, atol=1e-6)
    assert check(ours, theirs)  # whatever they remember
    np.testing.assert_allclose(
        ours(mg.tensor(x)).detach().numpy(), theirs(x).detach().numpy(), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")  # Keras's
def test_files_of_keras_are_read_by_keras(tmp_path):
    theirs = model()
    path = tmp_path / "model.keras"
    theirs.save(path)
    assert check(from_keras(keras.saving.load_model(path)), theirs)
    with pytest.raises(TypeError, match=r"A file is read by Keras: from_keras\(keras.saving"):
        from_keras(path)


def test_weights_without_their_owner():
    theirs = model()
    config = keras.saving.serialize_keras_object(theirs)
    weights = arrays_of(theirs)
    ours = from_keras(config, weights)
    assert check(ours, KerasWeights(config, weights, []))


class Mine(layers.Dense):
    pass


REFUSED = {
    "a convolution": (
        lambda: layers.Conv1D(2, 1),
        (None, 3, 2),
        "has no such layer. It has Simple",
    ),
    "a class": (lambda: Mine(3), (None, 2), "it is a class that you wrote"),
    "a time distributed layer": (
        lambda: layers.TimeDistributed(layers.Dense(2)),
        (None, 3, 2),
        "minigrad has no such layer",
    ),
    "hard sigmoid": (
        lambda: layers.LSTM(3, recurrent_activation="hard_sigmoid"),
        (None, None, 2),
        "recurrent_activation='hard_sigmoid': gates here are sigmoids",
    ),
    "an RNN by gelu": (
        lambda: layers.SimpleRNN(3, activation="gelu"),
        (None, None, 2),
        "the cell here has tanh or relu",
    ),
    "a GRU by relu": (lambda: layers.GRU(3, activation="relu"), (None, None, 2), "has tanh only"),
    "two states that stay": (
        lambda: layers.Bidirectional(layers.LSTM(3, stateful=True)),
        (2, None, 2),
        "here one direction can be stateful",
    ),
    "two masks": (
        lambda: layers.Bidirectional(layers.LSTM(3, dropout=0.5)),
        (None, None, 2),
        "Keras draws a mask for each direction",
    ),
    "recurrent dropout": (
        lambda: layers.LSTM(3, recurrent_dropout=0.5),
        (None, None, 2),
        "Keras draws a mask for each gate",
    ),
    "a regulariser": (
        lambda: layers.Dense(3, kernel_regularizer="l2"),
        (None, 2),
        "kernel_regularizer=L2: it adds to the loss",
    ),
    "a constraint": (
        lambda: layers.Dense(3, bias_constraint="non_neg"),
        (None, 2),
        "layers here don't change weights after a step",
    ),
    "masks": (
        lambda: layers.Embedding(3, 2, mask_zero=True),
        (None, None),
        "give recurrent layers lengths=",
    ),
    "sums of directions": (
        lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="sum"),
        (None, None, 2),
        "merge_mode='sum': both directions are concatenated",
    ),
    "two kinds": (
        lambda: layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.GRU(3, go_backwards=True)
        ),
        (None, None, 2),
        "its two directions are different layers",
    ),
    "half a norm": (
        lambda: layers.LayerNormalization(center=False),
        (None, 2),
        "has both or neither",
    ),
    "another axis": (
        lambda: layers.LayerNormalization(axis=1),
        (None, 2, 3),
        "name the last axes, from the end",
    ),
    "an activation": (
        lambda: layers.Dense(2, activation="hard_tanh"),
        (None, 2),
        "hard_tanh has no counterpart; known are tanh",
    ),
    "a function": (
        lambda: layers.Dense(2, activation=_twice),
        (None, 2),
        "a function that you wrote has no counterpart",
    ),
    "low rank": (lambda: _low_rank(layers.Dense(4)), (None, 4), "merge the two matrices first"),
    "no weights": (lambda: layers.Dense(3), None, "it has no weights yet"),
    "bfloat16": (lambda: layers.Dense(3, dtype="bfloat16"), (None, 2), "of torch.bfloat16"),
    "batch norm": (lambda: layers.BatchNormalization(), (None, 2), "minigrad has no such layer"),
}


def _twice(x):
    return x + x


def _low_rank(layer):
    layer.build((None, 4))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, shape, reason = REFUSED[name]
    layer = make()
    if shape is not None and not layer.built:
        layer.build(shape)
    with pytest.raises(ConversionError) as caught:
        from_keras(layer)
    assert reason in str(caught.value)


def test_a_refusal_names_the_part():
    theirs = keras.Sequential(
        [keras.Input((None, 3)), keras.Sequential([layers.LSTM(2), layers.Dense(2, "mish")])]
    )
    with pytest.raises(ConversionError, match="mish has no counterpart") as caught:
        from_keras(theirs)
    inner = theirs.layers[0]
    assert caught.value.part == f"{inner.name}.{inner.layers[1].name}"


def test_wrong_arguments():
    layer = layers.Dense(2)
    layer.build((None, 2))
    with pytest.raises(TypeError, match="a layer has its weights; got others besides"):
        from_keras(layer, [])
    with pytest.raises(ConversionError, match="can't be read from its layers"):
        to_keras(nn.Sequential(nn.Tanh(), mg.relu))
