"""What fused functions, losses and updates ask of a device: one launch where one will do."""

import numpy as np
import pytest
from cupy_on_cpu.counters import ABSENT, PRESENT, counted

import minigrad as mg
from minigrad import optim
from minigrad.models import GRU, LSTM

pytestmark = pytest.mark.cupy

try:
    CUPY = mg.get_backend("cupy")
except mg.BackendError as missing:
    pytest.skip(str(missing), allow_module_level=True)

counts = pytest.mark.skipif(not PRESENT, reason=ABSENT)


@pytest.fixture(autouse=True)
def on_cupy():
    with mg.use_backend(CUPY):
        yield


@mg.fuse
def swish(x, beta=1.0):
    return x * mg.sigmoid(beta * x)


FUNCTIONS = {
    "swish": swish,
    "gelu": mg.gelu,
    "silu": mg.silu,
    "elu": mg.elu,
    "leaky_relu": mg.leaky_relu,
    "softmax": mg.softmax,
    "log_softmax": mg.log_softmax,
    "layer_norm": lambda x, w, b: mg.layer_norm(x, 4, w, b),
}


def asked(function, leaves, *rest):
    """What a function asks of the device forwards, and backwards."""
    g = mg.randn(function(*leaves, *rest).shape)
    mg.grad(function(*leaves, *rest), leaves, g)  # compiles
    with counted() as forward:
        y = function(*leaves, *rest)
    with counted() as backward:
        mg.grad(y, leaves, g)
    for found in (forward, backward):
        assert not any((found.products, found.h2d, found.d2h, found.d2d, found.syncs)), found
        assert not found.fills, found
    return forward.launches, backward.launches


def leaves_of(*shapes):
    return [mg.randn(shape, requires_grad=True) for shape in shapes]


@counts
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_one_launch_each_way(name):
    """Besides, the gradients of weight and bias, which all rows share, are summed up over rows."""
    shared = [(4,), (4,)] if name == "layer_norm" else []
    cost = (1, 2) if shared else (1, 1)
    assert asked(FUNCTIONS[name], leaves_of((6, 4), *shared)) == cost


@counts
def test_small_and_large_ones_alike():
    """On a device each op is a kernel, so that one is always less."""
    sizes = [leaves_of((1, 1)), leaves_of((300, 128))]
    assert [asked(mg.gelu, leaves) for leaves in sizes] == [(1, 1), (1, 1)]


@counts
def test_what_all_rows_share_is_no_launch_of_its_own():
    def function(x, w, b):
        return x * (mg.exp(w) - 1) + mg.tanh(b)

    assert asked(mg.fuse(function), leaves_of((6, 4)), mg.randn(4), mg.randn(())) == (1, 1)


# --- losses --------------------------------------------------------------------------------------

LABELS = np.arange(6) % 4
NUMBERS = np.arange(24, dtype="float32").reshape(6, 4) / 24
SMOOTH = {"label_smoothing": 0.1}
LOSSES = {
    "cross_entropy": (mg.cross_entropy, LABELS, {}),
    "of short integers": (mg.cross_entropy, LABELS.astype("int32"), {}),
    "smoothed": (mg.cross_entropy, LABELS, SMOOTH),
    "weighted": (mg.cross_entropy, LABELS, SMOOTH | {"weight": NUMBERS[1]}),
    "nll_loss": (mg.functional.nll_loss, LABELS, {}),
    "of probabilities": (mg.cross_entropy, NUMBERS, {}),
    "of weighted probabilities": (mg.cross_entropy, NUMBERS, SMOOTH | {"weight": NUMBERS[1]}),
    "of logits": (mg.binary_cross_entropy_with_logits, NUMBERS, {}),
    "of weighted logits": (
        *(mg.binary_cross_entropy_with_logits, NUMBERS),
        {"pos_weight": NUMBERS[1]},
    ),
    "mse_loss": (mg.mse_loss, NUMBERS, {}),
    "l1_loss": (mg.l1_loss, NUMBERS, {}),
    "huber_loss": (mg.huber_loss, NUMBERS, {"delta": 0.5}),
}


@counts
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_few_launches(name, reduction):
    """The loss of each row, and its sum or mean. Wrong labels are reported later."""
    function, target, options = LOSSES[name]
    target = mg.tensor(target)
    options = {k: mg.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}

    def loss(x):
        return function(x, target, reduction=reduction, **options)

    looks = target.dtype.kind == "i"
    forward, backward = {"none": (1, 1), "sum": (2, 1), "mean": (2, 2)}[reduction]
    assert asked(loss, leaves_of((6, 4))) == (looks + forward, backward)


@counts
def test_labels_of_pixels():
    """Logits whose classes aren't their last axis are copied so that they are."""
    x, target = leaves_of((2, 4, 3)), mg.tensor(LABELS.reshape(2, 3))
    assert asked(lambda x: mg.cross_entropy(x, target), x) == (4, 2)


@counts
def test_a_step_of_training_begins_with_a_one():
    """Which is one launch more, whatever the loss."""
    (x,), labels = leaves_of((6, 4)), mg.tensor(LABELS)
    mg.grad(mg.cross_entropy(x, labels), [x])
    loss = mg.cross_entropy(x, labels)
    with counted() as backward:
        mg.grad(loss, [x])
    assert backward.launches == 3, backward
    assert not any((backward.h2d, backward.d2h, backward.syncs, backward.fills)), backward


@counts
def test_lengths_go_to_the_device_once():
    """And not once for each layer and direction."""
    layer = GRU(2, 5, num_layers=2, bidirectional=True)
    x = mg.ones((4, 3, 2))
    layer(x, lengths=[4, 2, 0])
    with counted() as padded:
        layer(x, lengths=[4, 2, 0])
    assert padded.h2d == 1, padded


# --- updates -------------------------------------------------------------------------------------


def trained(optimizer, params, steps=3):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        for p in params:
            p.grad = mg.tensor(rng.normal(size=p.shape), dtype=p.dtype, backend=p.backend)
        optimizer.step()
    return [p.numpy() for p in params]


def parameters(backend, dtype="float64"):
    rng = np.random.default_rng(1)
    return [
        mg.tensor(rng.normal(size=size), dtype=dtype, requires_grad=True, backend=backend)
        for size in ((20, 16), (5,), ())
    ]


OPTIMISERS = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.1, weight_decay=0.01, amsgrad=True),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.1),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.1, momentum=0.9, centered=True),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_updates_are_those_of_numpy(name):
    found, right = (
        trained(OPTIMISERS[name](ps), ps) for ps in (parameters("cupy"), parameters("numpy"))
    )
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@counts
@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_update_is_one_launch_per_parameter(name):
    """Numbers that are others at each step, as Adam's corrections, are arguments of the kernel."""
    params = parameters("cupy", "float32")
    optimizer = OPTIMISERS[name](params)
    trained(optimizer, params)
    with counted() as asked:
        optimizer.step()
    assert asked.launches == len(params), asked
    assert not any((asked.h2d, asked.d2h, asked.d2d, asked.fills, asked.syncs)), asked


class Rooted(optim.Optimizer):
    """Computes with a number by the backend's functions, which want it on the device."""

    @staticmethod
    def rule(xp, p, g, state, *, lr):
        return p - xp.sqrt(xp.maximum(lr, 1e-3)) * g

    def __init__(self, params, lr):
        super().__init__(params, lr=lr)


def test_functions_of_numbers_alone():
    found, right = (
        trained(Rooted(ps, lr=0.25), ps) for ps in (parameters("cupy"), parameters("numpy"))
    )
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


# --- what is counted without the stand-ins -------------------------------------------------------


@counts
@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_the_backend_counts_what_its_loops_launch(kind):
    layer = kind(2, 5)
    launched = []
    for T in (4, 14):
        x = mg.ones((T, 3, 2), requires_grad=True)
        mg.grad(layer(x)[0].sum(), [x, *layer.parameters()])
        CUPY.launched.clear()
        with counted() as asked:
            mg.grad(layer(x)[0].sum(), [x, *layer.parameters()])
        launched.append((dict(CUPY.launched), asked.launches, asked.products))
    (few, *less), (many, *more) = launched
    assert [b - a for a, b in zip(less, more, strict=True)] == [
        many[what] - few[what] for what in ("kernels", "products")
    ]
    assert few["products"] == 2 * 4


# --- the in-place guard --------------------------------------------------------------------------


@counts
def test_the_guard_looks_once_at_each_array_that_was_handed_out():
    """A scan saves several views of its weights."""
    layer, x = LSTM(2, 5), mg.ones((4, 3, 2), requires_grad=True)
    held = [p.data for p in layer.parameters()]
    leaves = [x, *layer.parameters()]
    mg.grad(layer(x)[0].sum(), leaves)
    with counted() as forward:
        y = layer(x)[0].sum()
    with counted() as backward:
        mg.grad(y, leaves)
    for asked in (forward, backward):
        assert asked.kernels["minigrad_fingerprint"] == len(held)
