"""Modules, layers and initialisers."""

import copy
import math
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


class Block(nn.Module):
    """A module with everything in it, in every kind of container."""

    def __init__(self):
        self.scale = nn.Parameter(mg.ones(2))
        self.layers = [nn.Linear(2, 2), mg.tanh, (nn.LayerNorm(2), 3)]
        self.heads = {"a": nn.Linear(2, 1, bias=False), "text": "no part"}
        self.count = nn.Buffer(0)
        self.mean = nn.Buffer([0.5, 0.5])
        self.note = "no part"
        self.cache = mg.ones(3)  # a plain tensor is no part

    def forward(self, x):
        x = self.layers[0](x) * self.scale - self.mean
        return self.heads["a"](self.layers[2][0](mg.tanh(x)))


NAMES = [
    "scale",
    "layers.0.weight",
    "layers.0.bias",
    "layers.2.0.weight",
    "layers.2.0.bias",
    "heads.a.weight",
]


def state_of(model):
    return {name: array.tolist() for name, array in model.state_dict().items()}


# --- parameters ------------------------------------------------------------------------------


def test_a_parameter_is_a_tensor_with_a_gradient(backend):
    data = np.array([1.0, 2.0])
    p = nn.Parameter(data)
    data[0] = 9
    assert isinstance(p, mg.Tensor) and p.requires_grad and p.is_leaf
    assert p.tolist() == [1.0, 2.0] and p.dtype == np.float64
    assert p.backend is mg.get_backend(backend)
    (p * p).sum().backward()
    assert p.grad.tolist() == [2.0, 4.0]
    assert type(p * 2) is mg.Tensor
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert nn.Parameter([1.0], dtype="float64").dtype == np.float64
    with pytest.raises(TypeError, match="only float tensors can require a gradient"):
        nn.Parameter([1, 2])


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_kind_and_are_independent(clone, backend):
    for original in (nn.Parameter([1.0]), nn.Parameter([1.0], False), nn.Buffer([1.0])):
        twin = clone(original)
        assert type(twin) is type(original)
        assert twin.requires_grad == original.requires_grad
        assert twin.backend is original.backend
        init.zeros_(twin)
        assert (original.tolist(), twin.tolist()) == ([1.0], [0.0])

    model = Block().eval()
    model.tied = model.scale
    twin = clone(model)
    assert twin.tied is twin.scale is not model.scale
    assert state_of(twin) == state_of(model)
    assert not twin.layers[0].training
    assert twin.layers[1] is mg.tanh
    twin(mg.ones((1, 2))).sum().backward()
    assert twin.scale.grad is not None
    assert model.scale.grad is None


# --- what a module holds ---------------------------------------------------------------------


def test_names_and_order():
    model = Block()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert [name for name, _ in model.named_buffers()] == ["count", "mean"]
    assert [id(b) for b in model.buffers()] == [id(model.count), id(model.mean)]
    assert [id(p) for p in model.parameters()][-1] == id(model.heads["a"].weight)
    assert [name for name, _ in model.named_modules()] == ["", "layers.0", "layers.2.0", "heads.a"]
    assert next(model.modules()) is model
    outer = nn.Sequential(model, nn.Dropout())
    assert list(outer.children()) == [model, outer[1]]
    assert list(model.children()) == [model.layers[0], model.layers[2][0], model.heads["a"]]
    assert [name for name, _ in outer.named_parameters()] == [f"0.{name}" for name in NAMES]


def test_shared_parts_count_once():
    model = nn.Module()
    model.a = nn.Linear(2, 2)
    model.b = model.a
    model.c = nn.Linear(2, 2, bias=False)
    model.c.weight = model.a.weight
    model.parent = model  # even a circle
    assert [name for name, _ in model.named_parameters()] == ["a.weight", "a.bias"]
    assert list(model.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight"]
    assert len(list(model.modules())) == 3 and len(list(model.children())) == 3
    x = mg.ones((1, 2))
    (model.a(x) + model.b(x) + model.c(x)).sum().backward()
    assert model.c.weight.grad.tolist() == [[3.0, 3.0]] * 2


def test_a_plain_tensor_cannot_replace_a_parameter():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is a parameter, .* assign a mg.nn.Param"):
        layer.weight = layer.weight * 2
    assert isinstance(layer.weight, nn.Parameter)
    layer.weight = nn.Parameter(mg.zeros((2, 2)))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_a_tensor_becomes_the_new_value_of_a_buffer():
    model = Block()
    model.mean = model.mean * 0.5 + model.scale * 0.5
    assert type(model.mean) is nn.Buffer
    assert not model.mean.requires_grad
    assert model.state_dict()["mean"].tolist() == [0.75, 0.75]


def test_modes_reach_all_parts():
    model = nn.Sequential(Block(), nn.Dropout(0.9))
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    x = mg.ones((4, 2))
    np.testing.assert_array_equal(model(x).numpy(), model[0](x).numpy())
    assert model(x).requires_grad  # evaluation is about dropout, not about gradients
    model.train()
    assert all(module.training for module in model.modules())

    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())
    assert [name for name, _ in model.named_parameters()] == [f"0.{name}" for name in NAMES]
    model.requires_grad_()
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_without_a_forward():
    with pytest.raises(NotImplementedError, match=r"Module defines no forward\(\)"):
        nn.Module()(1)


def test_repr_is_a_tree():
    model = nn.Sequential(
        nn.Embedding(9, 4, padding_idx=-1), nn.Sequential(nn.Linear(4, 2), mg.tanh), nn.Dropout(0.1)
    )
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Embedding(9, 4, padding_idx=8)\n"
        "  (1): Sequential(\n"
        "    (0): Linear(in_features=4, out_features=2, bias=True)\n"
        "    (1): <op tanh>\n"
        "  )\n"
        "  (2): Dropout(p=0.1)\n"
        ")"
    )
    assert repr(nn.LayerNorm((2, 3))) == "LayerNorm((2, 3), eps=1e-05)"
    block = Block()
    block.parent = block
    assert repr(block) == (
        "Block(\n"
        "  (layers.0): Linear(in_features=2, out_features=2, bias=True)\n"
        "  (layers.2.0): LayerNorm((2,), eps=1e-05)\n"
        "  (heads.a): Linear(in_features=2, out_features=1, bias=False)\n"
        "  (parent): ...\n"
        ")"
    )


# --- conversion ------------------------------------------------------------------------------


def test_conversion_keeps_the_tensors_and_converts_all_that_is_float():
    model, x = Block(), mg.ones((3, 2))
    y = model(x)
    y.sum().backward()
    held, gradients = dict(model.named_parameters()), [p.grad.tolist() for p in model.parameters()]
    doubled = []
    model.scale.register_hook(lambda g: doubled.append(g.dtype))

    assert model.double() is model
    assert all(p is held[name] and p.is_leaf for name, p in model.named_parameters())
    assert {p.dtype for p in model.parameters()} == {np.dtype("float64")}
    assert [p.grad.tolist() for p in model.parameters()] == gradients
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype("float64")}
    assert (model.mean.dtype, model.count.dtype) == (np.float64, np.int64)
    z = model(x.astype("float64"))
    np.testing.assert_allclose(z.numpy(), y.numpy(), rtol=1e-4)  # y is float32
    model.zero_grad()
    z.sum().backward()
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype("float64")}
    assert doubled == [np.float64]
    assert {p.dtype for p in model.float().parameters()} == {np.dtype("float32")}
    with pytest.raises(TypeError, match="of a float dtype; got int64"):
        model.astype("int64")


def test_moving_to_another_backend(backend):
    with mg.use_backend("numpy"):
        model, x = Block(), mg.ones((3, 2))
    y = model(x)
    y.sum().backward()
    target, weight = mg.get_backend(backend), model.layers[0].weight
    gradient = weight.grad.tolist()
    model.layers[0].weight.requires_grad = False
    assert model.to(backend) is model
    assert model.layers[0].weight is weight
    assert {id(part.backend) for part in [*model.parameters(), *model.buffers()]} == {id(target)}
    assert weight.grad.backend is target and weight.grad.tolist() == gradient
    assert not weight.requires_grad
    model.requires_grad_().zero_grad()
    z = model(x.to(backend))
    z.sum().backward()
    np.testing.assert_allclose(z.numpy(), y.numpy(), rtol=1e-4)  # y is float32
    assert weight.grad.backend is target
    # Through a norm of two features nearly no gradient comes: what comes is mostly rounding.
    np.testing.assert_allclose(weight.grad.numpy(), gradient, atol=1e-4)


# --- state -----------------------------------------------------------------------------------


def test_state_is_copied_out_and_in(backend):
    model, other = Block(), Block()
    state = model.state_dict()
    assert list(state) == [
        *("scale", "count", "mean"),
        *(name for name in NAMES if name != "scale"),
    ]
    assert all(type(array) is np.ndarray for array in state.values())
    before = state_of(model)
    held = dict(other.named_parameters())
    state["count"] += 3
    assert other.load_state_dict(state) == ([], [])
    assert all(p is held[name] for name, p in other.named_parameters())
    state["scale"][:] = 9
    assert state_of(model) == before
    assert state_of(other) == {**before, "count": 3}
    assert other.count.dtype == np.int64


def test_state_is_converted_to_the_dtype_of_the_parameter(backend):
    layer = nn.Linear(2, 1, bias=False)
    layer.load_state_dict({"weight": mg.tensor([[1.0, 2.0]], dtype="float64")})
    assert layer.weight.dtype == np.float32 and layer.weight.tolist() == [[1.0, 2.0]]
    layer.load_state_dict({"weight": [[3, 4]]})
    assert layer.weight.dtype == np.float32 and layer.weight.tolist() == [[3.0, 4.0]]
    assert layer.weight.requires_grad


def test_a_state_that_does_not_fit_is_told_at_once_and_changes_nothing():
    model = Block()
    before = state_of(model)
    state = {name: array + 1 for name, array in model.state_dict().items()}
    del state["scale"], state["heads.a.weight"]
    state |= {"layers.0.weight": np.ones((2, 3)), "head.weight": np.ones(1), "count": 0.5}
    state["mean"] = np.array(["a", "b"])
    with pytest.raises(ValueError, match="does not fit Block; nothing was loaded") as error:
        model.load_state_dict(state)
    assert str(error.value).split("\n")[1:] == [
        "  missing: scale, heads.a.weight",
        "  unexpected: head.weight",
        "  wrong dtype: count is int64, and in the state float64",
        "  no array of numbers: mean is array(['a', 'b'], dtype='<U1')",
        "  wrong shape: layers.0.weight is (2, 2), and in the state (2, 3)",
    ]
    with pytest.raises(ValueError, match="wrong shape") as error:
        model.load_state_dict(state, strict=False)
    assert "missing" not in str(error.value) and "unexpected" not in str(error.value)
    assert state_of(model) == before

    good = {"scale": [2.0, 2.0], "more": [1.0]}
    missing, unexpected = model.load_state_dict(good, strict=False)
    assert unexpected == ["more"]
    assert missing == [name for name in before if name != "scale"]
    assert state_of(model) == {**before, "scale": [2.0, 2.0]}
    for wrong in (None, "two", [[1.0, 2.0], [3.0]], [1.0, None], object()):
        with pytest.raises(ValueError, match="no array of numbers: scale is "):
            model.load_state_dict({"scale": wrong}, strict=False)
    with pytest.raises(TypeError, match="a state dict is a dict of arrays; got list"):
        model.load_state_dict([1])


def test_old_graphs_outlive_new_values():
    layer = nn.Linear(1, 1, bias=False)
    layer.load_state_dict({"weight": [[3.0]]})
    y = (layer(mg.ones((1, 1))) ** 2).sum()
    layer.load_state_dict({"weight": [[5.0]]})
    init.zeros_(layer.weight)
    y.backward()
    assert layer.weight.grad.tolist() == [[6.0]]


# --- layers ----------------------------------------------------------------------------------


def test_linear(backend):
    layer = nn.Linear(3, 2).double()
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    y = layer(mg.tensor(x))
    weight, bias = layer.weight.numpy(), layer.bias.numpy()
    np.testing.assert_allclose(y.numpy(), np.einsum("tni,oi->tno", x, weight) + bias)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), [x.sum((0, 1))] * 2)
    np.testing.assert_allclose(layer.bias.grad.numpy(), [20.0, 20.0])
    assert nn.Linear(3, 2, bias=False).bias is None


def test_embedding_never_learns_its_padding(backend):
    table = nn.Embedding(5, 3, padding_idx=-4)
    assert table.padding_idx == 1
    assert table.weight.numpy()[1].tolist() == [0.0] * 3
    assert (table.weight.numpy()[[0, 2, 3, 4]] != 0).all()
    optimizer = mg.optim.Adam(table.parameters(), weight_decay=0.1)
    start = table.weight.numpy()
    for _ in range(3):
        optimizer.zero_grad()
        y = table([[0, 1], [1, 4]])
        assert y.shape == (2, 2, 3)
        np.testing.assert_array_equal(y.numpy()[0, 0], table.weight.numpy()[0])
        (y + 1).sum().backward()
        expected = np.zeros((5, 3))
        expected[[0, 4]] = 1
        np.testing.assert_array_equal(table.weight.grad.numpy(), expected)
        optimizer.step()
    assert table.weight.numpy()[1].tolist() == [0.0] * 3
    assert (table.weight.numpy()[[0, 4]] != start[[0, 4]]).all()
    assert nn.Embedding(5, 3).weight.numpy().all()


def test_dropout(backend):
    mg.manual_seed(0)
    layer, x = nn.Dropout(0.25), mg.ones((100, 100))
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert layer.eval()(x) is x


def test_layer_norm(backend):
    x = np.random.default_rng(0).normal(3, 2, size=(5, 2, 4))
    layer = nn.LayerNorm((2, 4)).double()
    y = layer(mg.tensor(x)).numpy()
    centred = x - x.mean((1, 2), keepdims=True)
    expected = centred / np.sqrt((centred**2).mean((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected)
    layer.load_state_dict({"weight": np.full((2, 4), 2.0), "bias": np.ones((2, 4))})
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), 2 * expected + 1)
    soft = nn.LayerNorm((2, 4), eps=9.0, elementwise_affine=False)
    expected = centred / np.sqrt((centred**2).mean((1, 2), keepdims=True) + 9)
    np.testing.assert_allclose(soft(mg.tensor(x)).numpy(), expected)
    bare = nn.LayerNorm(4, elementwise_affine=False)
    assert list(bare.parameters()) == []
    np.testing.assert_allclose(bare(mg.tensor(x)).numpy().mean(-1), np.zeros((5, 2)), atol=1e-12)


def test_sequential():
    model = nn.Sequential(nn.Linear(2, 3), mg.relu, nn.Linear(3, 1))
    x = mg.tensor([[1.0, -1.0]])
    expected = model[2](mg.relu(model[0](x)))
    np.testing.assert_array_equal(model(x).numpy(), expected.numpy())
    assert len(model) == 3 and list(model)[-1] is model[-1] is model[2]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert isinstance(model[:2], nn.Sequential) and list(model[:2]) == [model[0], mg.relu]
    with pytest.raises(IndexError):
        model[3]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Linear(0, 2), ValueError, "Linear: in_features is a positive integer; got 0"),
        (lambda: nn.Linear(2, 2.0), ValueError, "out_features is a positive integer; got 2.0"),
        (lambda: nn.Embedding(-1, 2), ValueError, "Embedding: num_embeddings is a positive"),
        (lambda: nn.Embedding(3, 2, 3), ValueError, "padding_idx 3 is none of the 3 rows"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p is a probability, from 0 to 1; got 1.5"),
        (lambda: nn.LayerNorm((2, 0)), ValueError, "LayerNorm: each size is a positive integer"),
        (lambda: nn.Sequential(None), TypeError, "item 0 is neither a module nor a function.*None"),
        (lambda: nn.Linear(3, 2)(mg.ones((4, 2))), ValueError, r"x of width 2, shape \(4, 2\)"),
        (lambda: nn.Embedding(3, 2)([3]), IndexError, "embedding: 3 is not one of the 3 positions"),
        (lambda: nn.LayerNorm(3)(mg.ones((4, 2))), ValueError, r"last axes of x \(4, 2\) are not"),
    ],
)
def test_wrong_use_is_told(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_layers_equal_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(
        torch.nn.Embedding(7, 4, padding_idx=2),
        torch.nn.LayerNorm((3, 4)),
        torch.nn.Linear(4, 5),
        torch.nn.Tanh(),
        torch.nn.Linear(5, 1, bias=False),
    ).double()
    torch.nn.init.normal_(theirs[1].weight)
    ours = nn.Sequential(
        nn.Embedding(7, 4, padding_idx=2),
        nn.LayerNorm((3, 4)),
        nn.Linear(4, 5),
        mg.tanh,
        nn.Linear(5, 1, bias=False),
    ).double()
    ours.load_state_dict({name: array.numpy() for name, array in theirs.state_dict().items()})
    indices = np.random.default_rng(0).integers(7, size=(6, 3))
    y, want = ours(indices), theirs(torch.tensor(indices))
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=1e-12, atol=1e-12)
    (y**2).sum().backward()
    (want**2).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), gradients[name], rtol=1e-10, atol=1e-10)


# --- initial values --------------------------------------------------------------------------

# Per initialiser: the standard deviation it promises a (300, 200) weight, and its distribution.
SPREADS = {
    "uniform_": (lambda w: init.uniform_(w, -0.3, 0.3), 0.3 / math.sqrt(3), "uniform"),
    "normal_": (lambda w: init.normal_(w, 0.0, 0.2), 0.2, "normal"),
    "xavier_uniform_": (
        lambda w: init.xavier_uniform_(w, 1.5),
        1.5 * math.sqrt(2 / 500),
        "uniform",
    ),
    "xavier_normal_": (init.xavier_normal_, math.sqrt(2 / 500), "normal"),
    "kaiming_uniform_": (init.kaiming_uniform_, math.sqrt(2 / 200), "uniform"),
    "kaiming_normal_": (
        lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh"),
        5 / 3 / math.sqrt(300),
        "normal",
    ),
    "linear": (lambda w: nn.Linear(200, 300).weight, 1 / math.sqrt(3 * 200), "uniform"),
    "embedding": (lambda w: nn.Embedding(300, 200).weight, 1.0, "normal"),
    "orthogonal_": (init.orthogonal_, 1 / math.sqrt(300), "normal"),
}


@pytest.mark.parametrize("name", SPREADS)
def test_initial_values_are_distributed_as_promised(name):
    draw, std, kind = SPREADS[name]
    mg.manual_seed(11)
    values = draw(nn.Parameter(mg.zeros((300, 200)))).numpy().astype("float64")
    assert abs(values.mean()) < 4 * std / math.sqrt(60_000)
    assert values.std() == pytest.approx(std, rel=0.02)
    # the fourth moment tells the shape: 9/5 for uniform, 3 for normal
    assert (values**4).mean() / std**4 == pytest.approx(
        {"uniform": 9 / 5, "normal": 3}[kind], rel=0.06
    )
    if kind == "uniform":
        assert 0.99 < np.abs(values).max() / (std * math.sqrt(3)) < 1.00001


def test_a_linears_bias_starts_within_the_bound():
    mg.manual_seed(0)
    bias = nn.Linear(4, 5000).bias.numpy()
    assert 0.499 < np.abs(bias).max() <= 0.5
    assert bias.std() == pytest.approx(0.5 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3), (3, 2, 4)])
def test_orthogonal_is_orthogonal(shape, backend):
    w = init.orthogonal_(mg.zeros(shape, dtype="float64"), gain=1.5).numpy()
    w = w.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 1.5**2 * np.eye(min(w.shape)), atol=1e-12)


def test_orthogonal_favours_no_sign():
    mg.manual_seed(0)
    draws = np.array([init.orthogonal_(mg.zeros((2, 2))).numpy() for _ in range(400)])
    assert np.abs((draws > 0).mean(0) - 0.5).max() < 0.1
    assert abs((np.linalg.det(draws) > 0).mean() - 0.5) < 0.1


def test_simple_initialisers_fill_in_place_and_return_the_tensor(backend):
    for fill, value in (
        (init.zeros_, 0.0),
        (init.ones_, 1.0),
        (lambda w: init.constant_(w, 0.25), 0.25),
    ):
        w = nn.Parameter(mg.full((2, 3), 7.0))
        assert fill(w) is w
        assert w.tolist() == [[value] * 3] * 2 and w.dtype == np.float32 and w.requires_grad
        assert fill(nn.Parameter(7.0)).shape == ()


def test_the_same_seed_gives_the_same_weights_everywhere(backend):
    def draw(name):
        mg.manual_seed(4)
        with mg.use_backend(name):
            model = nn.Sequential(nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 3))
            init.orthogonal_(model[1].weight)
            init.kaiming_normal_(model[0].weight)
        return state_of(model)

    assert draw(backend) == draw("numpy")
    mg.manual_seed(4)
    double = init.normal_(mg.zeros(3, dtype="float64"))
    mg.manual_seed(4)
    single = init.normal_(mg.zeros(3))
    np.testing.assert_array_equal(single.numpy(), double.numpy().astype("float32"))


def test_gains_equal_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(math.sqrt(2 / 1.09))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda w: init.xavier_uniform_(mg.zeros(3)), ValueError, r"two axes.*got shape \(3,\)"),
        (lambda w: init.kaiming_normal_(mg.zeros(())), ValueError, "kaiming_normal_ needs a wei"),
        (lambda w: init.orthogonal_(mg.zeros(3)), ValueError, "orthogonal_ needs a weight of"),
        (lambda w: init.kaiming_uniform_(w, mode="in"), ValueError, "mode is 'fan_in' or.*'in'"),
        (
            lambda w: init.kaiming_uniform_(w, nonlinearity="softmax"),
            ValueError,
            "unknown nonlinearity 'softmax'; known are linear, sigmoid, tanh",
        ),
        (lambda w: init.uniform_(w, 1, 0), ValueError, "a <= b; got a=1, b=0"),
        (lambda w: init.normal_(w, 0, -1), ValueError, "std is at least 0; got -1"),
        (lambda w: init.zeros_(w * 2), RuntimeError, "only a leaf can be initialised"),
        (lambda w: init.normal_(mg.tensor([1, 2])), TypeError, "only float tensors .* is int64"),
    ],
)
def test_wrong_initialisation_is_told(make, error, text):
    with pytest.raises(error, match=text):
        make(nn.Parameter(mg.ones((2, 2))))
