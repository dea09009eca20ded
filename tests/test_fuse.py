"""`mg.fuse`: a function by kernels is the function by its ops, at every order, or says why not."""

import copy
import inspect
import pickle
import re
from typing import NamedTuple

import numpy as np
import pytest
from functions import BACKEND, assert_fused_as_composed, normal, results
from hypothesis import given
from random_rows import functions
from scans import assert_close, fusing, parts

import minigrad as mg
from minigrad.compiler import FusionError
from minigrad.engine.graph import time_step

ELSEWHERE = mg.ones(4, "float64", backend=BACKEND)
inf, nan = np.inf, np.nan


@pytest.fixture(autouse=True)
def on_a_fusing_backend():
    with mg.use_backend(BACKEND):
        mg.reset_dispatch_counts()
        yield
    mg.reset_dispatch_counts()


# --- against the definition ----------------------------------------------------------------------


@given(case=functions())
def test_random_functions(case):
    assert_fused_as_composed(mg.fuse(case.function), case.arrays, order=2)


@mg.fuse
def squash(x, scale=None, shift=0.0):
    y = mg.tanh(x - x.mean(axis=-1, keepdims=True)) + shift
    return y if scale is None else y * scale


LAYOUTS = {
    "transposed": lambda x: x.transpose(),
    "strided": lambda x: x[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1],
    "the same row": lambda x: np.broadcast_to(x[:1], x.shape),
    "the same column": lambda x: np.broadcast_to(x[:, :1], x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_inputs_and_cotangents(layout):
    def gradient(backend, choice):
        x, g = (mg.tensor(0.0, dtype="float64", backend=backend) for _ in range(2))
        x._data, g._data = LAYOUTS[layout](normal(6, 6)), LAYOUTS[layout](normal(6, 6, seed=1))
        x.requires_grad = True
        with fusing(choice):
            return mg.grad(squash(x), x, g).numpy()

    np.testing.assert_allclose(gradient(BACKEND, "require"), gradient("numpy", "0"), rtol=1e-12)


NUMBERS = [[nan, 1, 2], [inf, 1, 2], [-inf, 1, 2], [inf, -inf, 0], [-inf] * 3, [inf] * 3, [0, 0, 0]]


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "silu", "elu", "leaky_relu"])
def test_what_is_not_finite_stays_so(name):
    function, x = getattr(mg, name), np.array([*NUMBERS, [1e300, 1, -1e300]])
    if name == "silu":  # at -inf it is what the backend's sigmoid makes of it
        x = np.maximum(x, -700)
    assert_fused_as_composed(function, [x])
    assert_fused_as_composed(lambda x: mg.layer_norm(x, 3), [x])
    assert_fused_as_composed(mg.fuse(lambda x: (x.max(axis=-1), x.min(axis=-1))), [x])


def test_rows_that_do_not_fill_a_cache_line():
    """Narrow or endless rows of an elementwise function are cut anew; the kernel is the same."""
    assert_fused_as_composed(mg.silu, [normal(2, 200)])
    texts = set(BACKEND.texts)
    for shape in ((2048,), (700, 3), (5003,), (2, 6000)):
        assert_fused_as_composed(mg.silu, [normal(*shape)])
    assert set(BACKEND.texts) == texts


def test_nothing_else_is_cut_anew():
    x = normal(300, 2)
    for function in (
        lambda x: x / x.sum(axis=-1, keepdims=True),
        lambda x: x * x.shape[-1],
        lambda x: x[..., :1] * 2,
    ):
        assert_fused_as_composed(mg.fuse(function), [x])
    assert_fused_as_composed(mg.fuse(lambda x, w: x * w), [x, normal(2)])
    assert_fused_as_composed(mg.fuse(lambda x, w: mg.exp(w) * x), [x, normal()])
    assert_fused_as_composed(mg.fuse(lambda x, z: x * z), [x, normal(300, 1)])


def test_what_has_rows_that_are_all_the_same():
    def wide(x, w):
        rows = mg.broadcast_to(mg.exp(w), x.shape)
        return rows, x * rows, mg.zeros_like(x) * w

    for shape in ((5, 3), (2, 3, 3)):
        assert_fused_as_composed(mg.fuse(wide), [normal(*shape), normal(3)], order=2)


# --- arguments and results -----------------------------------------------------------------------


class Pair(NamedTuple):
    first: mg.Tensor
    second: mg.Tensor


RESULTS = {
    "tensor": lambda x: x * 2,
    "tuple": lambda x: (x * 2, x + 1),
    "list": lambda x: [x * 2, x + 1],
    "named tuple": lambda x: Pair(x * 2, x.sum(axis=-1)),
    "of one": lambda x: (x * 2,),
    "an input": lambda x: (x, x * 2, x),
    "the same twice": lambda x: (y := x * 2, y),
    "truth values": lambda x: (x > 0, x * 2),
    "the same for all rows": lambda x: (x * 0.5, mg.zeros_like(x) + 1),
    "nothing to derive": lambda x: x > 0,
    "without a gradient": lambda x: (x.detach() * 2, mg.sign(x)),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_results_of_any_form(kind):
    function = mg.fuse(RESULTS[kind])
    assert_fused_as_composed(function, [normal(3, 4)])
    x = mg.tensor(normal(3, 4), requires_grad=True)
    with fusing("require"):
        found = function(x)
    right = RESULTS[kind](x)
    assert type(found) is type(right)
    flags = [[y.requires_grad for y in parts(ys)] for ys in (found, right)]
    assert flags[0] == flags[1]
    for y in parts(found):
        assert not np.shares_memory(y._data, x._data)


def test_tensors_anywhere_among_the_arguments():
    @mg.fuse
    def weighed(xs, weights, *, bias=None, power=1):
        y = sum(x * weights[name] ** power for name, x in zip("ab", xs, strict=True))
        return y if bias is None else y + bias

    def called(a, b, w, v, bias):
        return weighed([a, b], {"a": w, "b": v}, bias=bias, power=2)

    arrays = [normal(2, 3, 4), normal(2, 3, 4, seed=1), normal(4), normal(1, 4), normal()]
    assert_fused_as_composed(called, arrays, order=2)
    assert_fused_as_composed(lambda a, b, w, v: weighed([a, b], {"a": w, "b": v}), arrays[:4])


class Scaled(mg.nn.Module):
    def __init__(self):
        self.scale, self.unused = mg.nn.Parameter([1.0, 2.0]), mg.nn.Parameter([1.0])

    @mg.fuse
    def forward(self, x, by=1.0):
        """x, scaled."""
        return mg.tanh(x * self.scale) * by


def test_methods():
    layer, x = Scaled(), mg.ones((3, 2))
    with fusing("require"):
        y = layer(x, by=2.0)
        y.sum().backward()
    scale = np.array([1.0, 2.0], "float32")
    np.testing.assert_allclose(y.numpy()[0], 2 * np.tanh(scale), rtol=1e-6)
    np.testing.assert_allclose(layer.scale.grad.numpy(), 6 / np.cosh(scale) ** 2, rtol=1e-5)
    assert layer.unused.grad is None
    assert Scaled.forward.__doc__ == "x, scaled."
    assert mg.dispatch_counts() == {("forward", "interpreted", "fused", ""): 1}


def test_a_fused_function_is_a_function():
    assert repr(squash) == "<fused squash>" and squash.__name__ == "squash"
    assert list(inspect.signature(squash).parameters) == ["x", "scale", "shift"]
    assert copy.deepcopy(squash) is squash and pickle.loads(pickle.dumps(mg.gelu)) is mg.gelu
    named = mg.fuse(name="twice")(lambda x: 2 * x)
    named(mg.ones((2, 3)))
    assert next(iter(mg.dispatch_counts()))[0] == "twice"
    with pytest.raises(TypeError, match="fuse takes a function; got int"):
        mg.fuse(3)


def test_within_cells_derivatives_and_each_other():
    double = mg.fuse(lambda x: 2 * mg.silu(x))
    assert_fused_as_composed(lambda x: mg.fuse(lambda x: double(x) + 1)(x), [normal(2, 3)])

    def cell(p, x, h):
        h = squash(x + h, p)
        return h, h

    mg.reset_dispatch_counts()
    h = mg.zeros((2, 3), requires_grad=True)
    with fusing("require"):
        mg.scan(cell, mg.ones(3), mg.ones((4, 2, 3)), h)[0].sum().backward()
    assert mg.dispatch_counts() == {("cell", "interpreted", "fused", ""): 1}

    ops = dict(mg.OPS)
    swish = mg.op(_swish).vjp(x=lambda g, x: g * (mg.sigmoid(x) + mg.silu(x) * mg.sigmoid(-x)))
    x = mg.tensor(normal(3), requires_grad=True)
    for create_graph in (False, True):
        found = mg.grad(swish(x).sum(), x, create_graph=create_graph)
        right = mg.grad(mg.silu(x).sum(), x)
        np.testing.assert_allclose(found.numpy(), right.numpy(), rtol=1e-12)
    mg.OPS.clear()
    mg.OPS.update(ops)


def _swish(xp, x):
    return x * xp.sigmoid(x)


# --- refusals ------------------------------------------------------------------------------------


def sums_the_batch(x):
    return x / x.sum(axis=0, keepdims=True)


def sums_all(x):
    return x / x.sum()


def multiplies(x):
    return x @ mg.transpose(x)


def looks(x):
    return x if x.sum() > 0 else -x


def draws(x):
    return mg.dropout(x, 0.5)


def knows_the_time(x):
    return x if time_step.get() is None else -x


def captures(x):
    return x * ELSEWHERE


def makes(x):
    return x * mg.tensor([1.0, 2.0, 3.0, 4.0])


def counts_rows(x):
    return x / x.shape[0]


def accumulates(x):
    return mg.cumsum(x, axis=-1)


def listens(x):
    y = mg.exp(x)
    y.register_hook(lambda g: g)
    return y


def returns_a_number(x):
    return 1.0


def returns_a_dict(x):
    return {"y": x}


def returns_what_all_share(x):
    return mg.zeros_like(x).sum(axis=-1)[0]


def halves(x):
    return x.astype("float16")


REFUSED = {
    sums_the_batch: "sum mixes rows",
    sums_all: "sum mixes rows",
    multiplies: "a matrix product belongs outside of it",
    looks: "it reads a tensor's values",
    draws: "it draws random numbers",
    knows_the_time: "it reads the time step",
    captures: "it uses a tensor that is not among its arguments",
    makes: "it creates a tensor",
    counts_rows: "it calculates with the number of rows",
    accumulates: "cumsum can't be part of a kernel",
    listens: "it registers a hook",
    returns_a_number: "it returns a float among its results",
    returns_a_dict: "it returns a dict among its results",
    halves: "it uses float16; compiled are float32 and float64",
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda function: function.__name__)
def test_refusals_have_a_reason(function):
    x, fused = mg.tensor(normal(5, 4), requires_grad=True), mg.fuse(function)
    with fusing("require"), pytest.raises(FusionError) as caught:
        fused(x)
    name = function.__name__
    start = f"MINIGRAD_FUSED=require, but {name} on backend 'interpreted' can't be fused: "
    assert str(caught.value).startswith(start) and REFUSED[function] in str(caught.value)
    words = re.findall(r"\w+", str(caught.value).replace("time step", "time"))
    assert not {"cell", "state", "step", "sequence", "sequences", "batch"} & set(words)
    mg.manual_seed(0)
    big = mg.tensor(np.tile(normal(5, 4), (900, 1)), requires_grad=True)
    found = fused(big)  # runs all the same
    assert type(found) is type(function(big))
    counted = {key: n for key, n in mg.dispatch_counts().items() if key[0] == name}
    (((_, backend, way, reason), count),) = counted.items()
    assert (backend, way, count) == ("interpreted", "composed", 1) and REFUSED[function] in reason


AXES = {
    "the second of three": lambda x: x - x.mean(axis=1, keepdims=True),
    "the number of axes": lambda x: x * 2 if x.ndim == 2 else x * 3,
    "the size of an axis": lambda x: x / x.shape[1],
    "a size that is in its way": lambda x: x if x.shape[0] == 2 else -x,
    "axes taken together": lambda x: x.reshape(2, -1).sum(axis=-1),
    "axes that change places": lambda x: mg.transpose(x),
}


@pytest.mark.parametrize("what", AXES)
def test_leading_axes_that_are_not_alike(what):
    """A function is traced on rows: what distinguishes its axes must not be lost."""
    function, x = mg.fuse(AXES[what]), normal(2, 3, 3)
    try:
        found = results(function, [x], BACKEND, "require")
    except FusionError:
        found = results(function, [x], BACKEND, "1")
    assert_close(found, results(AXES[what], [x], "numpy", "0"), 1e-12)


def test_refused_arguments():
    x, axpy = mg.ones((2, 3)), mg.fuse(lambda x, y: x + y)
    reasons = {
        "there are no rows, or no features": (mg.ones((0, 3)), 1.0),
        "its tensors have no axes": (mg.ones(()), 1.0),
        "the leading axes of (3, 3) are not those of its rows, (2, 3)": (mg.ones((2, 3, 3)), x[:1]),
        "its tensors are of float32 and float64": (x, mg.ones(3, "float64")),
        "its tensors are of no float dtype": (mg.ones((2, 3), "int64"), 1),
        "its tensors are on several backends": (x, mg.ones(3, backend="numpy")),
        "its numbers are in another machine's byte order": (mg.ones((2, 3), ">f4"), 1.0),
    }
    reasons["the leading axes of (3, 3) are not those of its rows, (2, 3)"] = (
        *(mg.ones((2, 3, 3)), mg.ones((3, 3))),
    )
    for reason, args in reasons.items():
        with fusing("require"), pytest.raises(FusionError) as caught:
            axpy(*args)
        assert str(caught.value).endswith(f"can't be fused: {reason}")
    by_rows = mg.fuse(lambda x, t: x * t.reshape(t.shape[0], 1))
    with fusing("require"), pytest.raises(FusionError, match=r"values per row; reshape it to"):
        by_rows(x, mg.ones(2))
    with fusing("require"), mg.detect_anomaly(), pytest.raises(FusionError, match="anomaly mode"):
        axpy(x, 1.0)
    with fusing("require"), pytest.raises(FusionError, match="the backend has no compiler"):
        axpy(mg.ones(3, backend="strict"), 1.0)


def test_small_inputs_are_composed_unless_a_kernel_is_required():
    mg.gelu(mg.ones((64, 255)))
    ((key, _),) = mg.dispatch_counts().items()
    assert key[2:] == (
        "composed",
        "too little work (fewer than 16384 numbers) for a kernel to be faster",
    )
    for choice, shape in (("1", (64, 256)), ("require", (2, 2)), ("", (16384,))):
        mg.reset_dispatch_counts()
        with fusing(choice):
            mg.gelu(mg.ones(shape))
        assert mg.dispatch_counts() == {("gelu", "interpreted", "fused", ""): 1}
    mg.reset_dispatch_counts()
    with fusing("0"):
        mg.gelu(mg.ones((64, 256)))
    assert next(iter(mg.dispatch_counts()))[2:] == ("composed", "MINIGRAD_FUSED=0")
    with fusing("never"), pytest.raises(ValueError, match="0, 1 or require; got 'never'"):
        mg.gelu(mg.ones(2))
    for backend, reason in {
        "numpy": "on this backend its ops are faster one by one",
        "strict": "the backend has no compiler",
    }.items():
        mg.reset_dispatch_counts()
        with mg.use_backend(backend):
            mg.gelu(mg.ones((64, 256)))
        assert next(iter(mg.dispatch_counts()))[2:] == ("composed", reason)


def test_an_error_of_the_function_is_its_own():
    broken = mg.fuse(lambda x, w: x * w)
    with pytest.raises(ValueError, match=r"multiply: shapes \(64, 300\) and \(3,\) do not fit"):
        broken(mg.ones((64, 300)), mg.ones(3))
    with (
        fusing("require"),
        pytest.raises(FusionError, match="tracing it gave ValueError: multiply"),
    ):
        broken(mg.ones((64, 300)), mg.ones(3))


# --- kernels that serve again, and those that must not --------------------------------------------


def test_one_kernel_for_all_shapes():
    function = mg.fuse(lambda x, w: mg.tanh(x) * w / x.sum(axis=-1, keepdims=True))
    before = set(BACKEND.texts)
    for shape in ((2, 3), (5, 3), (1, 3), (4, 7), (2, 3, 7), (5, 1, 2, 3)):
        assert_fused_as_composed(function, [normal(*shape), normal(shape[-1])])
    assert len(set(BACKEND.texts) - before) == 2  # forwards and backwards


def test_other_rows_need_no_other_plan(monkeypatch):
    made = []
    plan = mg.compiler.fused_function.RowPlan
    monkeypatch.setattr(
        "minigrad.compiler.fused_function.RowPlan", lambda *args: made.append(args) or plan(*args)
    )
    function = mg.fuse(lambda x: mg.tanh(x) / 2)
    with fusing("require"):
        for lead in ((2,), (3,), (1,), (2,)):
            function(mg.ones((*lead, 200)))
    assert len(made) == 1


FACTOR = 2.0


def test_constants_are_part_of_a_kernel():
    factor, box, x = 2.0, [2.0], mg.ones((2, 3), "float64")

    @mg.fuse
    def scaled(x, by=1.0):
        return x * factor * FACTOR * box[0] * by

    def value(**options):
        with fusing("require"):
            return scaled(x, **options).numpy()[0, 0]

    assert value() == 8
    factor = 3.0
    assert value() == 12
    box[0] = 1.0
    assert value() == 6
    globals()["FACTOR"] = 4.0
    try:
        assert value() == 12
    finally:
        globals()["FACTOR"] = 2.0
    assert (value(by=2.0), value(by=-0.0), value(by=2)) == (12, 0, 12)


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x * self.calls


def test_what_may_change_unseen_is_traced_at_each_call():
    counter, x = Counter(), mg.ones((2, 3), "float64")

    @mg.fuse
    def scaled(x):
        return x * counter.calls

    for calls in (1, 2):
        counter.calls = calls
        with fusing("require"):
            assert scaled(x).numpy()[0, 0] == calls


def test_a_function_that_branches_on_its_shape():
    function = mg.fuse(lambda x: x * 2 if x.shape[-1] > 3 else x * 3)
    assert_fused_as_composed(function, [normal(2, 3)])
    assert_fused_as_composed(function, [normal(2, 4)])
    by_rows = mg.fuse(lambda x: x * 2 if x.shape[0] > 3 else x * 3)
    for rows in (2, 5, 1, 4):
        assert_fused_as_composed(by_rows, [normal(rows, 3)])


# --- in the graph --------------------------------------------------------------------------------


@pytest.fixture
def by_kernels():
    with fusing("require"):
        yield


def leaf(*shape):
    return mg.tensor(normal(*shape), requires_grad=True)


def test_without_gradients_there_is_no_graph(by_kernels):
    x = leaf(2, 3)
    with mg.no_grad():
        y = mg.softmax(x)
    assert not y.requires_grad
    np.testing.assert_allclose(y.numpy(), mg.softmax(x).numpy(), rtol=1e-15)
    assert repr(mg.softmax(x)).endswith("op=softmax)")


def test_only_what_is_asked_for(by_kernels):
    x, w = leaf(2, 3), leaf(3)
    y = squash(x, w)
    both = mg.grad(y.sum(), [x, w], retain_graph=True)
    for i, t in enumerate((x, w)):
        np.testing.assert_array_equal(
            mg.grad(y.sum(), t, retain_graph=True).numpy(), both[i].numpy()
        )
    x.requires_grad = False
    squash(x, w).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), both[1].numpy(), rtol=1e-14)
    assert x.grad is None


def test_gradients_add_up_over_calls_and_arguments(by_kernels):
    x = leaf(2, 3)
    product = mg.fuse(lambda a, b: a * b)
    (product(x, x) + product(x, x * 2)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.numpy(), rtol=1e-14)


def test_hooks_checkpoints_and_higher_orders(by_kernels):
    def derivatives():
        x, seen = leaf(3, 4), []
        y = squash(mg.gelu(x))
        y.register_hook(lambda g: seen.append(g.numpy()) or g * 2)
        (y * y).sum().backward()
        z = x.detach()
        found = [
            *mg.vjp(mg.softmax, z, mg.ones_like(z) * z),
            *mg.jvp(mg.softmax, z, mg.ones_like(z) * z),
            *mg.hvp(lambda z: (mg.softmax(z) ** 2).sum(), z, mg.ones_like(z)),
            mg.jacobian(lambda z: mg.log_softmax(z), z),
        ]
        x_again = leaf(3, 4)
        mg.checkpoint(lambda x: squash(mg.gelu(x)) ** 3, x_again).sum().backward()
        return [*seen, *(t.numpy() for t in (x.grad, x_again.grad, *found))]

    found = derivatives()
    with fusing("0"):
        assert_close(found, derivatives(), 1e-12)


def test_a_freed_graph_and_edits_in_place_are_noticed(by_kernels):
    x = leaf(2, 3)
    y = mg.softmax(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second backward through softmax"):
        y.sum().backward()

    @mg.fuse
    def powers(x):
        return mg.exp(x - x.mean(axis=-1, keepdims=True))

    for edited in ("input", "output"):
        x = leaf(2, 3)
        data = x.data
        y = powers(x) if edited == "output" else mg.softmax(x)
        data = data if edited == "input" else y.data
        data[0] += 1
        with pytest.raises(RuntimeError, match=r"edited in place after (softmax|powers) saved it"):
            y.sum().backward()


def test_gradients_by_finite_differences(by_kernels):
    inputs = [leaf(2, 3), leaf(3)]
    report = mg.gradcheck(lambda x, w: squash(x, w, shift=0.5), inputs, order=2)
    assert report, report
    assert ("squash", "interpreted", "fused", "") in mg.dispatch_counts()
