"""Wrong uses of layers, losses, optimisers, files and checks: the text says what to write."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreted_backend import InterpretedBackend
from wrong_uses import check, ones, table

import minigrad as mg
from minigrad import models
from minigrad.gradchecker.report import Entry
from minigrad.testing import check_backend

nn, init, optim = mg.nn, mg.nn.init, mg.optim
pytestmark = pytest.mark.usefixtures("on_numpy")


def sgd(**options):
    return optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1, **options)


LAYERS = {
    "Linear(in_features=3, out_features=2) got x of width 4, shape (5, 4); its last axis must have "
    "size 3": (ValueError, lambda: nn.Linear(3, 2)(mg.ones(5, 4))),
    "got x without axes, shape ()": (ValueError, lambda: nn.Linear(3, 2)(mg.ones(()))),
    "Linear(in_features=5, out_features=1) got x of width 2": (
        ValueError,
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(5, 1))(mg.ones(4, 3)),
    ),
    "Linear: in_features is a positive integer; got True": (ValueError, lambda: nn.Linear(True, 2)),
    "Linear: bias is True or False; got 0.5": (TypeError, lambda: nn.Linear(3, 2, 0.5)),
    "LayerNorm: each size is a positive integer; got 3.0": (ValueError, lambda: nn.LayerNorm(3.0)),
    "layer_norm: the last axes of x (2, 4) are not (3,), the normalized shape": (
        ValueError,
        lambda: nn.LayerNorm(3)(mg.ones(2, 4)),
    ),
    "Embedding: padding_idx is the number of a row; got 0.5": (
        TypeError,
        lambda: nn.Embedding(5, 2, padding_idx=0.5),
    ),
    "embedding: positions must be integers; got float32. Convert them": (
        TypeError,
        lambda: nn.Embedding(5, 2)(mg.ones(2)),
    ),
    "Dropout: p is a probability, from 0 to 1; got str 'a'": (TypeError, lambda: nn.Dropout("a")),
    "Sequential takes modules one by one; got a list of 2. Write Sequential(*modules)": (
        TypeError,
        lambda: nn.Sequential([nn.Linear(3, 2), mg.tanh]),
    ),
    "Sequential: item 1 is the class Linear; write Linear(...)": (
        TypeError,
        lambda: nn.Sequential(mg.tanh, nn.Linear),
    ),
    "LSTM: num_layers is a positive integer; got True": (
        ValueError,
        lambda: models.LSTM(3, 4, True),
    ),
    "the third argument is num_layers; give other options by name, as in nonlinearity='relu'": (
        TypeError,
        lambda: models.RNN(3, 4, "relu"),
    ),
    "GRU: batch_first is True or False; got 1": (
        TypeError,
        lambda: models.GRU(3, 4, batch_first=1),
    ),
    "LSTM: x must be a tensor (T, I) or (T, N, I) with I = 3; got ndarray float64 (5, 2, "
    "3). Make one: mg.tensor(x, dtype='float32')": (
        TypeError,
        lambda: models.LSTM(3, 4)(np.ones((5, 2, 3))),
    ),
    "GRU: x must be (T, I) or (T, N, I) with I = 3; got shape (5, 2, 4)": (
        ValueError,
        lambda: models.GRU(3, 4)(mg.ones(5, 2, 4)),
    ),
    "got a list of [int 5, int 2]. Lengths are given by name: lengths=[...]": (
        ValueError,
        lambda: models.LSTM(3, 4)(mg.ones(5, 2, 3), [5, 2]),
    ),
}


@table(LAYERS)
def test_layers(text, kind, use):
    check(use, kind, text)


@given(st.sampled_from([nn.Linear, nn.Embedding, models.RNN, models.LSTM, models.GRUCell]))
def test_sizes_of_numpy(layer):
    made = layer(np.int64(3), np.int32(4))
    assert [p.shape for p in made.parameters()] == [p.shape for p in layer(3, 4).parameters()]
    assert repr(made) == repr(layer(3, 4))


INIT = {
    f"{name} gives new values to a tensor, as in init.{name}(layer.weight); got ndarray. Pass the "
    "parameter, not its .data": (TypeError, lambda f=f: f(np.ones((2, 2))))
    for name, f in vars(init).items()
    if name[0] != "_" and name.endswith("_") and name != "constant_"
}
INIT |= {
    "constant_ gives new values to a tensor": (TypeError, lambda: init.constant_([1.0], 2)),
    "constant_: [1, 2, 3] can't be the values of a tensor of shape (2,)": (
        ValueError,
        lambda: init.constant_(ones(2), [1, 2, 3]),
    ),
    "uniform_: a is a number; got str 'a'": (TypeError, lambda: init.uniform_(ones(2), "a")),
}


@table(INIT)
def test_initialisers(text, kind, use):
    assert len(INIT) == 12
    check(use, kind, text)


OPTIM = {
    "StepLR takes an optimiser, as in StepLR(optimizer, ...); got Linear": (
        TypeError,
        lambda: optim.StepLR(nn.Linear(3, 2), 2),
    ),
    "StepLR: step_size must be an integer; got float 2.5": (
        TypeError,
        lambda: optim.StepLR(sgd(), 2.5),
    ),
    "LinearWarmup: `after` is a schedule; got 3": (
        TypeError,
        lambda: optim.LinearWarmup(sgd(), 2, after=3),
    ),
    "SGD: an option must be a number; got lr='0.1'": (
        TypeError,
        lambda: optim.SGD([ones(2)], lr="0.1"),
    ),
    "Adam: an option must be a number; got lr=None": (
        TypeError,
        lambda: optim.Adam([ones(2)], lr=None),
    ),
    "Adam: an option must be a number; got betas=0.9": (
        TypeError,
        lambda: optim.Adam([ones(2)], 0.1, 0.9, 0.999),
    ),
    "got tuple. named_parameters() gives pairs; take parameters()": (
        TypeError,
        lambda: optim.SGD(nn.Linear(3, 2).named_parameters(), lr=0.1),
    ),
    "clip_grad_norm_ takes parameters, such as model.parameters(); got Linear": (
        TypeError,
        lambda: optim.clip_grad_norm_(nn.Linear(3, 2), 1.0),
    ),
    "clip_grad_norm_: max_norm is a number; got": (
        TypeError,
        lambda: optim.clip_grad_norm_(1.0, [ones(2)]),
    ),
    "clip_grad_value_: clip_value is a number; got NoneType None": (
        TypeError,
        lambda: optim.clip_grad_value_([ones(2)], None),
    ),
}


@table(OPTIM)
def test_optimisers(text, kind, use):
    check(use, kind, text)


FILES = {
    "save: the path comes first, as in mg.save('model.safetensors', state); got dict": (
        TypeError,
        lambda: mg.save({"w": mg.ones(2)}, "model.safetensors"),
    ),
    "got Linear. Save its state_dict()": (
        TypeError,
        lambda: mg.save(nn.Linear(3, 2), "model.safetensors"),
    ),
    "load takes the path of a file; got dict": (TypeError, lambda: mg.load({})),
}


@table(FILES)
def test_files(text, kind, use):
    pytest.importorskip("safetensors", reason="files are safetensors'")
    check(use, kind, text)


# --- graphs and checks -----------------------------------------------------------------------


def carried_over():
    layer, state = models.LSTM(3, 4), None
    for _ in range(2):
        y, state = layer(mg.ones(5, 2, 3), state)
        y.sum().backward()


def test_a_state_that_is_carried_over_is_to_be_detached(backend):
    with mg.use_backend(backend), pytest.raises(RuntimeError) as error:
        carried_over()
    text = str(error.value)
    assert text.startswith("second backward through ")
    assert 0 < text.index("h = h.detach()") < text.index("retain_graph=True")
    with mg.use_backend(backend):
        layer, state = models.LSTM(3, 4), None
        for _ in range(2):
            y, state = layer(mg.ones(5, 2, 3), state)
            y.sum().backward()
            state = tuple(part.detach() for part in state)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_a_second_backward_pass_names_the_shape_in_words(shape):
    y = (ones(*shape) * ones(*shape)) * 1
    y.backward(mg.ones(shape))
    words = f"shape {shape}" if shape else "a number"
    with pytest.raises(RuntimeError, match=r"second backward through multiply \(") as error:
        y.backward(mg.ones(shape))
    assert f"multiply ({words}): the first one has freed" in str(error.value)


def edited(name, layer=models.LSTM):
    layer = layer(3, 4)
    y, _ = layer(mg.ones(5, 2, 3))
    getattr(layer, name).data[0] = 3
    y.sum().backward()


@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l0", "bias_hh_l0"])
def test_an_edited_weight_of_a_fused_scan_has_its_name(name, backend, monkeypatch):
    with mg.use_backend(backend) as used:
        if not hasattr(used, "compile_loop") or used.compile_loop is None:
            return  # composed, it is an input of some op
        monkeypatch.setenv("MINIGRAD_FUSED", "require")
        with pytest.raises(RuntimeError) as error:
            edited(name)
            mg.ones(1, backend=backend).numpy()  # a device tells when numbers come to the host
    short = name.replace("weight", "w").replace("bias", "b").removesuffix("_l0")
    assert f"after scan saved it for the backward pass: its input {short}, shape (16" in str(
        error.value
    )


@pytest.mark.parametrize("name", ["x", "weight"])
def test_an_edited_argument_of_a_fused_function_has_its_name(name, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    with mg.use_backend(InterpretedBackend()):
        inputs = {"x": ones(3, 4), "weight": ones(4)}
        y = mg.layer_norm(inputs["x"], 4, inputs["weight"])
        inputs[name].data[...] = 3
        monkeypatch.setenv("MINIGRAD_FUSED", "1")
        with pytest.raises(RuntimeError) as error:
            y.sum().backward()
    what = f"its input {name}, shape {inputs[name].shape}"
    assert f"after layer_norm saved it for the backward pass: {what}" in str(error.value)


def test_an_edited_array_among_several_has_its_number():
    a, b = ones(2, 2), ones(2, 2)
    y = mg.einsum("ij,jk", a, b)
    b.data[0] = 3
    with pytest.raises(RuntimeError, match=r"its input arrays\[1\], shape \(2, 2\)"):
        y.sum().backward()


def test_a_derivative_in_numpy_is_told_to_be_written_in_ops():
    @mg.op
    def bent(xp, x):
        return xp.tanh(x)

    bent.vjp(x=lambda g, y: g * (1 - np.tanh(y) ** 2))
    try:
        x = ones(2)
        with pytest.raises(TypeError) as error:
            mg.grad(bent(x).sum(), x, create_graph=True)
    finally:
        mg.OPS.pop("bent")
    notes = error.value.__notes__
    assert notes[0] == "This happened in the backward pass of bent."
    assert (
        "write it in operators and minigrad's ops, such as mg.tanh in place of np.tanh" in notes[1]
    )


@pytest.mark.parametrize("tangent", [[1.0, 10.0], (np.array([1.0, 10.0]),), [[1.0, 10.0]]])
def test_directions_as_lists_and_arrays(tangent):
    x = mg.tensor([1.0, 2.0])
    inputs = [x] if tangent == [[1.0, 10.0]] else x
    _, change = mg.jvp(mg.square, inputs, tangent)
    assert change.tolist() == [2.0, 40.0]


GRAPH = {
    "jvp: tangents have the shapes of the inputs; input 0 has shape (2, 3), and number 0 of "
    "tangents (2,)": (
        ValueError,
        lambda: mg.jvp(mg.tanh, ones(2, 3), ones(2)),
    ),
    "hvp: vectors are one per input, 1; got 2": (
        ValueError,
        lambda: mg.hvp(mg.sum, ones(2), (ones(2), ones(2))),
    ),
    "input 0 must be a tensor; got float. The function comes first, then its inputs": (
        TypeError,
        lambda: mg.jacobian(mg.tanh, [1.0, 2.0]),
    ),
    "manual_seed: the seed is an integer of 0 or more; got 1.5": (
        ValueError,
        lambda: mg.manual_seed(1.5),
    ),
    "a hook is a function of the gradient; got int 3": (
        TypeError,
        lambda: ones(2).register_hook(3),
    ),
    "of arrays; got list. Pass what state_dict() or mg.load(path) returned": (
        TypeError,
        lambda: nn.Linear(3, 2).load_state_dict([1]),
    ),
    "train: mode is True or False; got 'eval'": (
        TypeError,
        lambda: nn.Linear(3, 2).train("eval"),
    ),
    "the first argument is a cotangent; got True. Give options by name: "
    "backward(retain_graph=True)": (TypeError, lambda: ones().backward(True)),
    "gradcheck was called inside no_grad(), where no tensor has a gradient to check": (
        RuntimeError,
        mg.no_grad()(lambda: mg.gradcheck(mg.tanh, mg.ones(2))),
    ),
    "gradgradcheck was called inside no_grad()": (
        RuntimeError,
        mg.no_grad()(lambda: mg.gradgradcheck(mg.tanh, mg.ones(2))),
    ),
}


@table(GRAPH)
def test_graphs_and_checks(text, kind, use):
    check(use, kind, text)


@given(st.floats(0.1, 10), st.sampled_from([-1.0, 0.0, 0.5, 2.0, 1.7]), st.booleans())
def test_a_wrong_slope_suggests_what_is_wrong(numeric, ratio, negative):
    numeric = -numeric if negative else numeric
    entry = Entry(0, (0,), ratio * numeric, numeric, 1e-9, 1e-5, "wrong")
    guess = {-1.0: " (sign?)", 0.0: " (missing?)", 0.5: " (a factor of 2?)"}
    guess[2.0] = guess[0.5]
    assert str(entry).endswith(f"ratio {entry.ratio:.6g}{guess.get(ratio, '')}")
    entry.status = "agrees"
    assert "?" not in str(entry)


@pytest.mark.parametrize(
    ("wrong", "guess"),
    [
        (lambda x: 2 * x.detach() - x, "(sign?)"),
        (lambda x: x.detach() + 0 * x, "(missing?)"),
        (lambda x: 2 * x - x.detach(), "(a factor of 2?)"),
    ],
)
def test_a_report_suggests_what_is_wrong(wrong, guess):
    report = mg.gradcheck(wrong, np.array([1.0, 2.0]), raise_exception=False)
    assert report.verdict == "FAIL" and guess in str(report)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mg.gradcheck(mg.tanh, np.array([1.0, 2.0])),
        lambda: check_backend("numpy"),
        lambda: models.RNN(3, 4).trace(),
        lambda: models.LSTM(3, 4).trace(),
        lambda: models.GRU(3, 4, num_layers=2, bidirectional=True).trace(),
    ],
)
def test_at_a_prompt_a_report_is_its_text(make):
    report = make()
    assert repr(report) == str(report) and "object at 0x" not in repr(report)


def test_a_report_explains_its_terms():
    text = str(mg.gradcheck(mg.tanh, np.array([1.0, 2.0])))
    assert "the outputs' rounding error" in text
    report = mg.gradcheck(lambda x: x * x.detach(), np.ones(2), raise_exception=False)
    assert str(report).endswith("terms: see help(mg.gradcheck)")
    for term in ("noise floor", "slope of the Taylor remainder"):
        assert term in mg.gradcheck.__doc__
