"""What fused functions, losses and updates ask of a device: one launch where one will do."""

import numpy as np
import pytest
from cupy_on_cpu.counters import ABSENT, PRESENT, counted

import minigrad as mg
from minigrad import optim
from minigrad.models import GRU, LSTM

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


LABELS = np.arange(6) % 4
FUNCTIONS = {
    "swish": swish,
    "gelu": mg.gelu,
    "silu": mg.silu,
    "elu": mg.elu,
    "leaky_relu": mg.leaky_relu,
    "softmax": mg.softmax,
    "log_softmax": mg.log_softmax,
    "layer_norm": lambda x, w, b: mg.layer_norm(x, 4, w, b),
    "cross_entropy": lambda x, t: mg.cross_entropy(x, t, reduction="none"),
}


def asked(name, numbers=(6, 4)):
    """What a function asks of the device forwards, and backwards."""
    x = mg.randn(numbers, requires_grad=True)
    leaves, rest = [x], []
    if name == "layer_norm":
        leaves += [mg.randn(4, requires_grad=True), mg.randn(4, requires_grad=True)]
    if name == "cross_entropy":
        rest = [mg.tensor(LABELS)]
    g = mg.randn(FUNCTIONS[name](*leaves, *rest).shape)
    mg.grad(FUNCTIONS[name](*leaves, *rest), leaves, g)  # compiles
    with counted() as forward:
        y = FUNCTIONS[name](*leaves, *rest)
    with counted() as backward:
        mg.grad(y, leaves, g)
    for found in (forward, backward):
        assert not any((found.products, found.h2d, found.d2h, found.d2d, found.syncs)), found
    return forward.launches, backward.launches


# Forwards and backwards. Besides our own kernel, layer norm sums the gradients of weight and bias
# over rows; cross entropy numbers the rows, and looks in five launches for labels that are none,
# to be told later.
COSTS = dict.fromkeys(FUNCTIONS, (1, 1)) | {"layer_norm": (1, 3), "cross_entropy": (7, 1)}


@counts
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_one_launch_each_way(name):
    assert asked(name) == COSTS[name]


@counts
def test_small_and_large_ones_alike():
    """On a device each op is a kernel, so that one is always less."""
    assert asked("gelu", (1, 1)) == asked("gelu", (300, 128)) == (1, 1)


@counts
def test_a_mean_over_labels():
    """It also counts those that aren't ignored, in three, and divides."""
    x, labels = mg.randn((6, 4), requires_grad=True), mg.tensor(LABELS)
    mg.grad(mg.cross_entropy(x, labels), [x])
    with counted() as forward:
        loss = mg.cross_entropy(x, labels)
    with counted() as backward:
        mg.grad(loss, [x])
    assert (forward.launches, backward.launches) == (12, 4)
    assert not any((forward.h2d, forward.d2h, forward.syncs, backward.h2d, backward.syncs))


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
