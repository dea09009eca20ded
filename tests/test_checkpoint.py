"""A checkpoint's second run: the same computation as the first one, or an error."""

import gc
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.fusion import compiles
from minigrad.models import GRU

CHANGED = "runs its function again in the backward pass, and that was not the same computation: "
EDITED = "edited in place after checkpoint saved it"
EITHER = f"{CHANGED}|{EDITED}"


def leaf(values, **options):
    return mg.tensor(values, requires_grad=True, dtype="float64", **options)


def nested(f, depth):
    """f within so many checkpoints, and some computation between them."""
    if depth == 0:
        return f
    inner = nested(f, depth - 1)
    return lambda *inputs: mg.checkpoint(lambda *inputs: inner(*inputs) * 1.5, *inputs)


def raises_for(y):
    """An error that is raised at once, or when a device's numbers come to the host."""
    with pytest.raises(RuntimeError, match=EITHER) as error:
        y.sum().backward()
        y.numpy()
    return str(error.value)


# --- what changes between the passes -------------------------------------------------------------
class Layer(mg.nn.Module):
    """Everything that a function may find for itself."""

    def __init__(self):
        self.weight = mg.nn.Parameter([1.0, -2.0, 3.0])
        self.frozen = mg.nn.Parameter([0.5, 2.0, 1.0], requires_grad=False)
        self.buffer = mg.nn.Buffer([2.0, 0.25, -1.0])
        self.plain = mg.tensor([1.5, -0.5, 1.0])
        self.array = np.array([1.0, 4.0, -2.0], dtype="float32")
        self.labels = mg.tensor([2, 0, 1])
        self.places = [0, 2, 2]
        self.number = 3.0
        self.power = 2
        self.outer = self.weight * 2  # a tensor with a graph of its own
        self.dropout = 0.5
        self.random = np.random.default_rng(0)

    def uses(self, name):
        """A function of x that uses what is called so."""
        return {
            "weight": lambda x: mg.tanh(x * self.weight),
            "frozen": lambda x: mg.tanh(x * self.frozen),
            "buffer": lambda x: mg.tanh(x + self.buffer),
            "where": lambda x: mg.where(self.buffer > 0, x * 2, x * 5),
            "branch": lambda x: x * 2 if self.buffer[0] > 0 else mg.sin(x),
            "plain": lambda x: mg.sin(x / self.plain) + self.weight,
            "array": lambda x: mg.sin(x * self.array),
            "labels": lambda x: mg.sin(x)[self.labels] * self.weight,
            "table": lambda x: x * mg.eye(3)[self.labels, 0],
            "places": lambda x: mg.sin(x)[self.places],
            "number": lambda x: mg.sin(x * self.number),
            "power": lambda x: x**self.power,
            "outer": lambda x: mg.sin(x * self.outer),
            "order": lambda x: self._ordered(mg.sin(x), mg.cos(x)),
            "count": lambda x: mg.stack([mg.sin(x)] * self.power),
            "mode": lambda x: mg.sin(x) * self.weight if self.training else mg.sin(x),
            "rate": lambda x: mg.dropout(x * self.weight, self.dropout),
            "random": lambda x: x * self.random.standard_normal(3).astype("float32"),
        }[name]

    def _ordered(self, a, b):
        return (a - b if self.power == 2 else b - a) * b


def by_optimizer(layer):
    layer.weight.grad = mg.ones(3)
    mg.optim.SGD([layer.weight], lr=0.1).step()
    layer.weight.grad = None


def by_state(layer):
    layer.load_state_dict({**layer.state_dict(), "weight": np.ones(3, "float32")})


def assign(name, value):
    return lambda layer: setattr(layer, name, value(layer))


def data(name, value):
    def change(layer):
        getattr(layer, name).data = mg.tensor(value)

    return change


def edit(name):
    def edited(layer):
        array = getattr(layer, name).data
        array[...] = array + 1

    return edited


CHANGES = {
    "weight, an optimiser": ("weight", by_optimizer),
    "weight, a state dict": ("weight", by_state),
    "weight, its data": ("weight", data("weight", np.ones(3, "float32"))),
    "weight, an edit": ("weight", edit("weight")),
    "weight, a new one": ("weight", assign("weight", lambda _: mg.nn.Parameter([1.0, 1.0, 1.0]))),
    "weight, one like it": ("weight", assign("weight", lambda m: mg.nn.Parameter(m.weight))),
    "frozen, its data": ("frozen", data("frozen", np.ones(3, "float32"))),
    "frozen, an edit": ("frozen", edit("frozen")),
    "buffer, its data": ("buffer", data("buffer", np.ones(3, "float32"))),
    "buffer, an edit": ("buffer", edit("buffer")),
    "buffer, a new one": ("buffer", assign("buffer", lambda m: m.buffer * 2)),
    "buffer, read by a condition": ("where", data("buffer", -np.ones(3, "float32"))),
    "buffer, read by a branch": ("branch", data("buffer", -np.ones(3, "float32"))),
    "plain, a new one": ("plain", assign("plain", lambda m: m.plain * 2)),
    "plain, an edit": ("plain", edit("plain")),
    "an array": ("array", lambda m: m.array.__setitem__(1, 7.0)),
    "labels, new ones": ("labels", assign("labels", lambda _: mg.tensor([1, 1, 0]))),
    "labels of a table": ("table", assign("labels", lambda _: mg.tensor([1, 1, 0]))),
    "labels, an edit": ("labels", lambda m: setattr(m.labels, "data", mg.tensor([0, 0, 0]))),
    "places": ("places", lambda m: m.places.reverse()),
    "number": ("number", assign("number", lambda _: 3.5)),
    "power": ("power", assign("power", lambda _: 3)),
    "order": ("order", assign("power", lambda _: 3)),
    "count": ("count", assign("power", lambda _: 3)),
    "outer, a new one": ("outer", assign("outer", lambda m: m.weight * 3)),
    "outer, one like it": ("outer", assign("outer", lambda m: m.weight * 2)),
    "outer, cut off": ("outer", assign("outer", lambda m: m.outer.detach())),
    "outer, an edit": ("outer", edit("outer")),
    "mode": ("mode", lambda m: m.eval()),
    "rate": ("rate", assign("dropout", lambda _: 0.25)),
    "no rate": ("rate", assign("dropout", lambda _: 0.0)),
}


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_between_the_passes_is_an_error(backend, name, depth):
    uses, change = CHANGES[name]
    if backend == "strict" and change.__name__ == "edited":
        pytest.skip("a strict array is not edited")
    if not mg.get_backend(backend).is_host and uses in ("array", "random"):
        pytest.skip("NumPy arrays meet tensors of the host alone")
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    held = [layer.weight, layer.outer]  # the old ones are still wanted
    f = layer.uses(uses)
    y = nested(f, depth)(x)
    change(layer)
    raises_for(y)
    if mg.get_backend(backend).is_host:  # a device finds it when the gradients are there
        assert x.grad is None and held[0].grad is None
    x, again = (mg.tensor([0.5, 1.5, -1.0], requires_grad=True) for _ in range(2))
    mg.manual_seed(0)
    nested(Layer().uses(uses), depth)(x).sum().backward()  # without a change all is well
    mg.manual_seed(0)
    (Layer().uses(uses)(again) * 1.5**depth).sum().backward()
    assert np.allclose(x.grad.numpy(), again.grad.numpy())


def test_a_generator_of_your_own(backend):
    if not mg.get_backend(backend).is_host:
        pytest.skip("NumPy arrays meet tensors of the host alone")
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    y = mg.checkpoint(layer.uses("random"), x)
    assert "draw numbers from a generator of your own outside" in raises_for(y)


@pytest.mark.parametrize(
    ("uses", "change", "text"),
    [
        (
            "weight",
            by_optimizer,
            r"read an array of shape \(3,\), and then one of other n",
        ),
        (
            "weight",
            edit("weight"),
            r"after checkpoint saved it .* its input number 1, shape \(3,\)",
        ),
        ("number", assign("number", lambda _: 4.0), "multiply read 3.0, and then 4.0"),
        (
            "branch",
            data("buffer", -np.ones(3, "float32")),
            "op number 0 was multiply, and then",
        ),
        ("mode", lambda m: m.eval(), "it took 2 ops, and then 1"),
        (
            "plain",
            assign("plain", lambda _: mg.ones(1)),
            r"float32 \(3,\), and then float32 \(",
        ),
        ("array", assign("array", lambda _: 2.0), "multiply read an array, and then 2.0"),
    ],
)
@pytest.mark.usefixtures("on_numpy")
def test_the_error_says_what_changed(uses, change, text):
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    y = mg.checkpoint(layer.uses(uses), x)
    change(layer)
    with pytest.raises(RuntimeError, match=text):
        y.sum().backward()


def test_a_tensor_that_is_no_longer_used():
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    y, before = mg.checkpoint(layer.uses("outer"), x), layer.outer
    layer.outer = layer.weight * 2
    with pytest.raises(RuntimeError, match=r"no longer uses a tensor of shape \(3,\)"):
        y.sum().backward()
    assert before.requires_grad


def test_an_argument_may_change():
    """It is kept as it was."""
    w, x = leaf([3.0]), leaf([2.0])
    y = mg.checkpoint(lambda x, w: (x * w) ** 2, x, w)
    w.grad = mg.ones(1, dtype="float64")
    mg.optim.SGD([w, x], lr=1.0).step()
    w.grad = None
    y.backward()
    assert x.grad.tolist() == [36.0] and w.grad.tolist() == [24.0]


@pytest.mark.usefixtures("on_numpy")
def test_an_edit_before_the_forward_pass_is_none():
    x, w = leaf([1.0, 2.0]), leaf([1.0, 1.0])
    assert x.data[0] == w.data[0] == 1
    x.data[0], w.data[1] = 5.0, 3.0
    mg.checkpoint(lambda x: x * w, x).sum().backward()
    assert x.grad.tolist() == [1.0, 3.0] and w.grad.tolist() == [5.0, 2.0]
    x.data[0] = 7.0
    mg.checkpoint(lambda x: x * w, x).sum().backward()
    assert w.grad.tolist() == [12.0, 4.0]


def test_changes_of_a_kernels_numbers_are_errors_at_any_order(backend):
    layer = GRU(2, 3).double()
    x = leaf(np.random.default_rng(0).standard_normal((4, 2, 2)))
    y = mg.checkpoint(lambda x: layer(x)[0], x)
    by_hand = layer.weight_hh_l0
    by_hand.grad = mg.ones_like(by_hand)
    mg.optim.SGD([by_hand], lr=0.1).step()
    with pytest.raises(RuntimeError, match=CHANGED):
        mg.grad(y.sum(), x, create_graph=True)
        y.numpy()


class Numbers:
    """What kernels read from outside."""

    factor, power = 2.0, 2

    def scaled(self, x, k):
        return mg.tanh(x * k * self.factor) ** self.power


def kernels():
    """Functions of a tensor that may run as kernels, and a change of a number that they read."""
    numbers, factor = Numbers(), 2.0
    fused = mg.fuse(Numbers.scaled)
    k, w = leaf(np.linspace(0.5, 2, 8)), leaf(np.eye(8) / 2)

    def cell(w, x, h):
        h = mg.tanh(x * factor + h @ w)
        return h, h

    def change_factor():
        nonlocal factor
        factor = 3.0

    def run_cell(x):
        rows = x.reshape(4, 1000, 8)
        return mg.scan(cell, w, rows, mg.zeros((1000, 8), dtype="float64"))[0]

    return {
        "a function": (lambda x: fused(numbers, x, k), lambda: setattr(numbers, "factor", 3.0)),
        "a power": (lambda x: fused(numbers, x, k), lambda: setattr(numbers, "power", 3)),
        "a cell": (run_cell, change_factor),
    }


@pytest.mark.parametrize("name", kernels())
@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("order", [1, 2])
def test_numbers_that_kernels_read_are_noticed(backend, name, within, order):
    """The gradient is that of the numbers in the forward pass, or there is an error."""
    x = leaf(np.random.default_rng(0).standard_normal((4000, 8)))

    def gradient(change):
        f, alter = kernels()[name]
        y = (mg.checkpoint(f, x) if within else f(x)).sum()
        if change:
            alter()
        slope = mg.grad(y, x, create_graph=order == 2)
        return (slope if order == 1 else mg.grad((slope**2).sum(), x)).numpy()

    right = gradient(False)
    assert np.isfinite(right).all()
    try:
        found = gradient(True)
    except RuntimeError as error:
        assert "in the backward pass" in str(error)
        assert within or order == 2
    else:
        assert not within and np.allclose(found, right)


@pytest.mark.parametrize("name", kernels())
def test_freezing_what_a_kernel_reads(backend, name):
    f, _ = kernels()[name]
    x = leaf(np.random.default_rng(0).standard_normal((4000, 8)))
    w = leaf(np.ones(8))
    y = mg.checkpoint(lambda x: f(x * w), x)
    w.requires_grad = False
    y.sum().backward()
    assert x.grad is not None and w.grad is None


# --- what is no change ---------------------------------------------------------------------------
class Norm(mg.nn.Module):
    """Batch normalisation, with running means by assignment, by data and by an edit."""

    def __init__(self, way):
        self.way, self.log = way, []
        self.mean = mg.nn.Buffer(mg.zeros(3))
        self.count = 0

    def forward(self, x):
        mean = x.mean(axis=0)
        new = self.mean * 0.9 + mean.detach() * 0.1
        self.count += 1
        self.log.append(mean.detach())
        if self.way == "assignment":
            self.mean = new
        elif self.way == "data":
            self.mean.data = new
        else:
            self.mean.data[:] = new.data
        return mg.tanh(x - mean)


@pytest.mark.parametrize("way", ["assignment", "data", "edit"])
def test_running_means_are_none_of_its_business(backend, way):
    if backend == "strict" and way == "edit":
        pytest.skip("a strict array is not edited")
    norm = Norm(way)
    xs = [mg.randn((4, 3), requires_grad=True) for _ in range(2)]
    ys = [mg.checkpoint(norm, x) for x in xs]  # both before a backward pass
    (ys[0] * ys[1]).sum().backward()
    others = [mg.tensor(x, requires_grad=True) for x in xs]
    a, b = (norm(x) for x in others)
    (a * b).sum().backward()
    for x, other in zip(xs, others, strict=True):
        assert np.allclose(x.grad.numpy(), other.grad.numpy(), atol=1e-6)


def test_what_the_function_makes_for_itself(backend):
    """Constants, masks that it keeps, tensors of the same numbers: as good as the same ones."""
    kept, table = [], [1.0, 2.0, 3.0]

    def f(x):
        kept.append(mg.tensor([True, False, True]))
        ones = mg.ones(3) + mg.zeros(3)
        return mg.where(kept[-1], x * mg.tensor(table), x * 2) * ones + np.arange(3).tolist()[1]

    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mg.checkpoint(f, x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0] and len(kept) == 3


def test_an_update_by_nothing():
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    y = mg.checkpoint(layer.uses("weight"), x)
    layer.weight.grad = mg.zeros(3)
    mg.optim.SGD([layer.weight], lr=1.0).step()
    y.sum().backward()
    assert x.grad is not None


def test_freezing_and_freeing():
    layer, x = Layer(), mg.tensor([0.5, 1.5, -1.0], requires_grad=True)
    y = mg.checkpoint(lambda x: layer.uses("weight")(x) + layer.uses("frozen")(x), x)
    layer.weight.requires_grad, layer.frozen.requires_grad = False, True
    y.sum().backward()
    assert x.grad is not None and layer.weight.grad is None and layer.frozen.grad is None


@pytest.mark.parametrize("switch", ["anomaly", "MINIGRAD_FUSED"])
def test_kernels_that_run_in_one_of_the_passes_only(backend, switch, monkeypatch):
    """Another way of the same computation; weights that change are noticed all the same."""
    layer = GRU(2, 3).double()
    x = leaf(np.random.default_rng(0).standard_normal((4, 2, 2)))

    def gradient(change):
        y = mg.checkpoint(lambda x: layer(x)[0], x)
        change()
        if switch == "anomaly":
            with mg.detect_anomaly():
                return mg.grad(y.sum(), x).numpy()
        with monkeypatch.context() as context:
            context.setenv("MINIGRAD_FUSED", "0")
            return mg.grad(y.sum(), x).numpy()

    assert np.allclose(gradient(lambda: None), mg.grad(layer(x)[0].sum(), x).numpy())

    def step():
        layer.weight_hh_l0.grad = mg.ones_like(layer.weight_hh_l0)
        mg.optim.SGD([layer.weight_hh_l0], lr=0.1).step()

    with pytest.raises(RuntimeError, match=CHANGED):
        gradient(step)


def test_as_it_was_around_it(backend, register):
    """The current backend, the default dtype, the grad mode and the random numbers."""
    register("other")
    seen = []

    def f(x):
        with mg.no_grad():
            half = mg.dropout(mg.ones(3), 0.5)
        seen.append((half.dtype, half.backend.name, mg.is_grad_enabled()))
        return x * half * mg.tensor([1.0, 2.0, 3.0])

    x = mg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = mg.checkpoint(f, x)
    numbers, total = y.numpy(), y.sum()
    dtype = mg.get_default_dtype()
    mg.manual_seed(7)
    before = mg.rand(2).tolist()
    mg.manual_seed(7)
    mg.set_default_dtype("float64")
    try:
        with mg.use_backend("other"), mg.no_grad():
            total.backward()
            assert mg.zeros(1).dtype == np.float64 and mg.zeros(1).backend.name == "other"
    finally:
        mg.set_default_dtype(dtype)
    assert seen[0] == seen[1] == (dtype, backend, True)
    assert np.array_equal(x.grad.numpy(), numbers)
    assert mg.rand(2).tolist() == before


def test_a_seed_that_is_set_within():
    def f(x):
        mg.manual_seed(3)
        return mg.dropout(x, 0.5)

    x = mg.ones(50, requires_grad=True)
    y = mg.checkpoint(f, x)
    mg.manual_seed(5)
    y.sum().backward()
    after = mg.rand(2).tolist()
    mg.manual_seed(5)
    assert mg.rand(2).tolist() == after
    assert np.array_equal(x.grad.numpy(), y.numpy())


def test_another_thread_draws_meanwhile():
    """The second run has random numbers of its own: it takes none from others, nor gives them."""
    started, drawn, found = threading.Event(), threading.Event(), []

    def f(x):
        y = mg.dropout(x, 0.5)
        if started.is_set():  # the second run
            turn.set()
            drawn.wait(5)
        return mg.dropout(y, 0.5)

    turn = threading.Event()

    def other():
        turn.wait(5)
        found.append(mg.rand(4).tolist())
        drawn.set()

    mg.manual_seed(1)
    x = mg.ones(200, requires_grad=True)
    y = mg.checkpoint(f, x)
    started.set()
    thread = threading.Thread(target=other)
    thread.start()
    y.sum().backward()
    thread.join()
    assert np.array_equal(x.grad.numpy(), y.numpy())
    mg.manual_seed(1)
    mg.dropout(mg.dropout(mg.ones(200), 0.5), 0.5)
    assert found == [mg.rand(4).tolist()]


# --- memory, and wrong use -----------------------------------------------------------------------
def test_masks_are_not_kept(backend):
    made = []

    def f(x):
        mask = mg.tensor(np.arange(1000) % 2 == 0)
        made.append(weakref.ref(mask._data))
        return mg.where(mask, mg.exp(x), 0.0)

    x = mg.ones(1000, requires_grad=True)
    y = mg.checkpoint(f, x)
    gc.collect()
    assert made[0]() is None
    y.sum().backward()
    assert len(made) == 2


def test_weights_are_kept_once():
    w, x = leaf(np.ones(10)), leaf(np.ones(10))
    y = mg.checkpoint(lambda x: (x * w + w) * w, x)
    kept = y._node.edges[0].saved
    assert [array is w._data or array is x._data for array in kept] == [True, True]


def test_outputs_of_other_kinds():
    x = leaf([1.0, 3.0, 2.0])
    top, values, same = mg.checkpoint(lambda x: (mg.argmax(x), x * x, x.detach()), x)
    assert top.item() == 1 and not top.requires_grad and not same.requires_grad
    (values * same).sum().backward()
    assert x.grad.tolist() == [2.0, 18.0, 8.0]
    with pytest.raises(TypeError, match=r"must return a tensor or a tuple .* it returned f"):
        mg.checkpoint(lambda x: x.sum().item(), x)
    with pytest.raises(TypeError, match="it returned dict"):
        mg.checkpoint(lambda x: (x, {}), x)


def test_within_a_cell(backend):
    """A kernel keeps what pays."""

    def cell(w, x, h):
        h = mg.checkpoint(lambda h: mg.tanh(x + h @ w), h)
        return h, h

    def plain(w, x, h):
        h = mg.tanh(x + h @ w)
        return h, h

    found = []
    for step in (cell, plain):
        w, x = leaf(np.eye(3) / 2), leaf(np.linspace(-1, 1, 24).reshape(4, 2, 3))
        ys, _ = mg.scan(step, w, x, mg.zeros((2, 3), dtype="float64"))
        (ys**2).sum().backward()
        found.append((w.grad.numpy(), x.grad.numpy()))
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b)


def test_a_number_that_a_kernel_takes_is_compared(backend, monkeypatch):
    if not compiles(mg.get_backend(backend)):
        pytest.skip("the backend has no compiler")
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    x, slope = mg.tensor([0.5, -1.5], requires_grad=True), [0.5]
    y = mg.checkpoint(lambda x: mg.leaky_relu(x, slope[0]), x)
    slope[0] = 0.25
    raises_for(y)


# --- settings that change between the passes ------------------------------------------------------
SETTINGS = {  # what reads k: 0 in the forward pass, 1 in the backward pass
    "sum": lambda x, data, k: (x * x).sum(axis=k),
    "keepdims": lambda x, data, k: (x * x).max(axis=0, keepdims=bool(k)).sum(),
    "clip": lambda x, data, k: mg.clip(x, -1.0, k + 0.5),
    "row": lambda x, data, k: x[k] * 3,
    "slice": lambda x, data, k: x[:, k : k + 2] * 3,
    "positions": lambda x, data, k: x[mg.tensor([k, 2])] * 3,
    "a row of data": lambda x, data, k: x * data[k],
    "columns of data": lambda x, data, k: x * data[:, [k, k, 2]],
    "flip": lambda x, data, k: x * mg.flip(data, axis=k),
    "argmax": lambda x, data, k: x[data.argmax(axis=k)] * 3,
    "transpose": lambda x, data, k: x * mg.transpose(data, (k, 1 - k)),
    "einsum": lambda x, data, k: mg.einsum(["ij,jk->ik", "ij,kj->ik"][k], x, data),
    "var": lambda x, data, k: mg.var(x, axis=0, ddof=k),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_changes_between_the_passes_is_an_error(name, backend):
    rng = np.random.default_rng(3)
    x = leaf(rng.normal(size=(3, 3)), backend=backend)
    data = mg.tensor(rng.normal(size=(3, 3)), backend=backend)
    k = 0

    def function(x):
        return SETTINGS[name](x, data, k)

    y = mg.checkpoint(function, x)
    w = mg.tensor(rng.normal(size=y.shape), backend=backend)
    gradient = mg.grad((function(x) * w).sum(), x)
    (y * w).sum().backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.numpy(), gradient.numpy(), rtol=1e-12)
    k = 1
    raises_for(y * w)
