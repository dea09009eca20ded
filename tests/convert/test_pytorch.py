"""Modules of PyTorch in and out: round trips to the bit, outputs and gradients to 1e-10."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_frameworks import torch_or_skip
from scans import fusing

import minigrad as mg
from minigrad import nn
from minigrad.models.convert import ConversionError, check, from_pytorch, pytorch_state, to_pytorch

torch = torch_or_skip()


def same_state(ours, theirs):
    """Equal to the bit, in names, order, dtypes and values."""
    theirs = {name: x.numpy() for name, x in theirs.state_dict().items()}
    ours = ours.state_dict()
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        np.testing.assert_array_equal(array, theirs[name], strict=True)


@st.composite
def recurrent(draw, single_cells=True):
    """A recurrent layer or cell of PyTorch's, with any options."""
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    I, H = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    options = {"bias": draw(st.booleans())}
    options["dtype"] = draw(st.sampled_from([torch.float32, torch.float64]))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if single_cells and draw(st.booleans()):
        return getattr(torch.nn, f"{kind}Cell")(I, H, **options)
    if kind == "LSTM":
        options["proj_size"] = draw(st.integers(0, H - 1))
    options["num_layers"] = draw(st.integers(1, 3))
    for name in ("bidirectional", "batch_first"):
        options[name] = draw(st.booleans())
    if options["num_layers"] > 1:
        options["dropout"] = draw(st.sampled_from([0.0, 0.3]))
    return getattr(torch.nn, kind)(I, H, **options)


@given(recurrent(), st.integers(0, 99))
def test_recurrent_there_and_back(theirs, seed):
    ours = from_pytorch(theirs)
    same_state(ours, theirs)
    back = to_pytorch(ours)
    same_state(ours, back)
    assert repr(back) == repr(theirs)
    certificate = check(ours, theirs, seed=seed)
    assert certificate and certificate.worst.greatest < 1e-10, certificate


@given(recurrent(), st.booleans())
def test_a_bare_state_dict_gives_the_same_layer(theirs, nested):
    state = theirs.state_dict()
    options = {
        name: getattr(theirs, name)
        for name in ("batch_first", "dropout", "nonlinearity")
        if hasattr(theirs, name)
    }
    if nested:
        state = {f"model.encoder.{name}": x for name, x in state.items()}
    ours = from_pytorch(state, **options)
    ours = ours.get_submodule("model.encoder") if nested else ours
    assert repr(ours) == repr(from_pytorch(theirs))
    same_state(ours, theirs)


ITEMS = {
    "Linear": lambda: torch.nn.Linear(4, 4),
    "Linear without bias": lambda: torch.nn.Linear(4, 4, bias=False),
    "LayerNorm": lambda: torch.nn.LayerNorm(4, eps=1e-3),
    "LayerNorm without weights": lambda: torch.nn.LayerNorm(4, elementwise_affine=False),
    "BatchNorm1d": lambda: torch.nn.BatchNorm1d(4, momentum=None),
    "BatchNorm1d without weights": lambda: torch.nn.BatchNorm1d(
        4, affine=False, track_running_stats=False
    ),
    "Dropout": lambda: torch.nn.Dropout(0.25),
    "Identity": lambda: torch.nn.Identity(),
    "Flatten": lambda: torch.nn.Flatten(),
    "Tanh": lambda: torch.nn.Tanh(),
    "Sigmoid": lambda: torch.nn.Sigmoid(),
    "ReLU": lambda: torch.nn.ReLU(),
    "LeakyReLU": lambda: torch.nn.LeakyReLU(0.2),
    "ELU": lambda: torch.nn.ELU(0.5),
    "GELU": lambda: torch.nn.GELU(),
    "GELU by tanh": lambda: torch.nn.GELU("tanh"),
    "SiLU": lambda: torch.nn.SiLU(),
    "Softplus": lambda: torch.nn.Softplus(),
    "Softmax": lambda: torch.nn.Softmax(-1),
    "LogSoftmax": lambda: torch.nn.LogSoftmax(dim=1),
}


@given(st.lists(st.sampled_from(list(ITEMS)), min_size=1, max_size=6), st.booleans())
def test_sequentials_there_and_back(names, training):
    inner = [ITEMS[name]() for name in names]
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sequential(*inner))
    theirs.train(training)
    ours = from_pytorch(theirs)
    same_state(ours, theirs)
    assert ours.training == ours[1][0].training == training
    back = to_pytorch(ours)
    assert repr(back) == repr(theirs) and back[1][0].training == training
    same_state(ours, back)
    certificate = check(ours, theirs)
    assert certificate, certificate


@pytest.mark.parametrize("name", ITEMS)
def test_every_layer_alone(name):
    theirs = ITEMS[name]()
    x = np.random.default_rng(0).normal(size=(5, 4))
    certificate = check(from_pytorch(theirs), theirs, x)
    assert certificate, certificate


def test_containers_tied_and_frozen_parameters():
    words = torch.nn.Embedding(7, 4, padding_idx=2)
    head = torch.nn.Linear(4, 7)
    head.weight = words.weight
    theirs = torch.nn.ModuleDict({"words": words, "rest": torch.nn.ModuleList([head])})
    theirs["rest"][0].bias.requires_grad = False
    ours = from_pytorch(theirs)
    assert ours["rest"][0].weight is ours["words"].weight
    assert not ours["rest"][0].bias.requires_grad and ours["words"].weight.requires_grad
    assert ours["words"].padding_idx == 2
    certificate = check(ours, theirs)
    assert certificate, certificate
    assert "gradient of words.weight" in {row.name for row in certificate.differences}
    back = to_pytorch(ours)
    assert back["rest"][0].weight is back["words"].weight
    assert not back["rest"][0].bias.requires_grad


def test_a_module_twice_is_one():
    layer = torch.nn.Linear(3, 3)
    ours = from_pytorch(torch.nn.Sequential(layer, torch.nn.Tanh(), layer))
    assert ours[0] is ours[2]
    back = to_pytorch(ours)
    assert back[0] is back[2]


def test_functions_become_modules():
    ours = nn.Sequential(nn.Linear(3, 4), mg.tanh, mg.functional.gelu, mg.functional.softmax)
    theirs = to_pytorch(ours)
    assert [type(m).__name__ for m in theirs] == ["Linear", "Tanh", "GELU", "Softmax"]
    assert check(ours, theirs)


def test_no_random_number_is_drawn():
    torch.manual_seed(0)
    mg.manual_seed(0)
    before = torch.random.get_rng_state(), mg.rand(1).item()
    mg.manual_seed(0)
    theirs = to_pytorch(from_pytorch(torch_layer := torch.nn.LSTM(3, 4)))
    assert theirs and torch_layer
    torch.manual_seed(0)
    to_pytorch(nn.LSTM(3, 4))
    assert torch.equal(before[0], torch.random.get_rng_state())
    mg.manual_seed(0)
    from_pytorch(torch.nn.LSTM(3, 4))
    assert mg.rand(1).item() == before[1]


def test_a_class_of_yours_by_its_state():
    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = torch.nn.GRU(3, 4), torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[1][-1])

    class Ours(nn.Module):
        def __init__(self):
            self.rnn, self.head = nn.GRU(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[1][-1])

    theirs, ours = Theirs(), Ours()
    with pytest.raises(
        ConversionError, match=r"^Theirs can't be converted: it is a class that you"
    ):
        from_pytorch(theirs)
    ours.load_state_dict(pytorch_state(theirs))
    certificate = check(ours, theirs, np.random.default_rng(0).normal(size=(5, 2, 3)))
    assert certificate, certificate
    with pytest.raises(ValueError, match="give one, x=an array"):
        check(ours, theirs)
    by_parts = from_pytorch(theirs.state_dict(), batch_first=False)
    assert repr(by_parts).replace("ModuleDict", "Ours") == repr(ours)
    assert check(by_parts, theirs)


def test_files_of_pytorch(tmp_path):
    theirs = torch.nn.LSTM(3, 4, 2)
    path = tmp_path / "weights.pt"
    torch.save(theirs.state_dict(), path)
    same_state(from_pytorch(path, batch_first=False), theirs)
    torch.save({"model": theirs.state_dict(), "epoch": 3}, path)
    with pytest.raises(ConversionError, match=r"dict of dicts \(model\).*\['model'\]"):
        from_pytorch(path, batch_first=False)
    torch.save(theirs, path)
    with pytest.raises(ConversionError, match="holds more than tensors"):
        from_pytorch(path)
    torch.save(torch.ones(2), path)
    with pytest.raises(ConversionError, match="it holds no state dict, but Tensor"):
        from_pytorch(path)


def test_a_wrong_weight_is_found():
    """The certificate can fail: each parameter in turn is changed a little."""
    theirs = torch.nn.GRU(3, 4).double()
    for name, parameter in theirs.named_parameters():
        ours = from_pytorch(theirs)
        with torch.no_grad():
            parameter[0] += 1e-8
        certificate = check(ours, theirs)
        assert certificate.verdict == "FAIL" and certificate.worst.greatest > 1e-10, name


def test_modules_on_other_backends(backend):
    if backend == "strict":
        pytest.skip("a device whose arrays have to be moved by hand")
    ours = from_pytorch(torch.nn.LSTM(3, 4, bidirectional=True))
    assert ours.weight_ih_l0.backend.name == backend
    with fusing("0"):  # a kernel is compared elsewhere
        assert check(ours)


REFUSED = {
    "a convolution": (lambda: torch.nn.Conv1d(2, 2, 1), "minigrad has no such layer. It has RNN"),
    "attention": (lambda: torch.nn.MultiheadAttention(4, 2), "minigrad has no such layer"),
    "max_norm": (lambda: torch.nn.Embedding(3, 2, max_norm=1.0), "it shortens rows when they"),
    "scaled": (lambda: torch.nn.Embedding(3, 2, scale_grad_by_freq=True), "are never scaled"),
    "sparse": (lambda: torch.nn.Embedding(3, 2, sparse=True), "are never sparse"),
    "beta": (lambda: torch.nn.Softplus(beta=2.0), "softplus here has no beta"),
    "threshold": (lambda: torch.nn.Softplus(threshold=5), "softplus here has no threshold"),
    "half a norm": (lambda: torch.nn.LayerNorm(3, bias=False), "has weight and bias, or neither"),
    "softmax": (lambda: torch.nn.Softmax(), "dim=None: name the axis"),
    "bfloat16": (lambda: torch.nn.Linear(2, 2).bfloat16(), "of torch.bfloat16"),
    "complex": (lambda: torch.nn.Linear(2, 2, dtype=torch.complex64), "of torch.complex64"),
    "lazy": (lambda: torch.nn.LazyLinear(2), "minigrad has no such layer"),
    "parametrized": (
        lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2)),
        "its weights are computed from others; make them plain first",
    ),
    "mixed dtypes": (
        lambda: _mixed(torch.nn.Linear(2, 2)),
        "must be of one float dtype; got float32, float64",
    ),
    "hooks": (lambda: _hooked(torch.nn.Linear(2, 2)), "it has hooks (forward hooks)"),
    "a subclass": (lambda: type("Mine", (torch.nn.Linear,), {})(2, 2), "a class that you wrote"),
}


def _mixed(layer):
    layer.bias = torch.nn.Parameter(layer.bias.double())
    return layer


def _hooked(layer):
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("within", [False, True])
def test_refused(name, within):
    make, reason = REFUSED[name]
    layer = make()
    if within:
        layer = torch.nn.ModuleDict({"encoder": torch.nn.Sequential(torch.nn.Tanh(), layer)})
    with pytest.raises(ConversionError) as caught:
        from_pytorch(layer)
    assert reason in str(caught.value)
    assert caught.value.part.startswith("encoder.1" if within else "")


def test_wrong_arguments():
    with pytest.raises(TypeError, match="says all of its options itself; got batch_first"):
        from_pytorch(torch.nn.GRU(3, 4), batch_first=True)
    with pytest.raises(TypeError, match="takes a module of PyTorch, a state dict, or the path"):
        from_pytorch(3)
    with pytest.raises(TypeError, match="pytorch_state takes a module; got int"):
        pytorch_state(3)
    with pytest.raises(TypeError, match="check takes a module of PyTorch"):
        check(nn.GRU(3, 4), "tensorflow")
    with pytest.raises(TypeError, match="the module here comes first; got GRU"):
        check(torch.nn.GRU(3, 4), nn.GRU(3, 4))
