"""`x += y` and `x[index] = y`: leaves made by hand are edited under no_grad, the rest is new."""

import copy
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

IN_PLACE = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "**": operator.ipow,
    "@": operator.imatmul,
}
PLAIN = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "@": operator.matmul,
}


def leaf(values, **options):
    return mg.tensor(values, requires_grad=True, dtype="float64", **options)


# --- training by hand ----------------------------------------------------------------------------


def test_parameters_are_trained(backend):
    layer = mg.nn.Linear(3, 2)
    before = {name: p.numpy() for name, p in layer.named_parameters()}
    objects = list(layer.parameters())
    (layer(mg.ones((4, 3))) ** 2).sum().backward()
    with mg.no_grad():
        for p in layer.parameters():
            p -= 0.1 * p.grad
    for name, p in layer.named_parameters():
        assert np.allclose(p.numpy(), before[name] - 0.1 * p.grad.numpy(), atol=1e-7)
        assert p.requires_grad and p.is_leaf
    assert all(a is b for a, b in zip(objects, layer.parameters(), strict=True))


@pytest.mark.parametrize("way", ["operators", "items", "data", "optimiser"])
def test_momentum_by_hand(backend, way):
    """The textbook's loop: velocities and parameters, in lists, edited in a `for`."""
    start, target = np.linspace(-1, 1, 6), np.linspace(2, 0, 6)
    ws = [leaf(start[:3]), leaf(start[3:])]
    vs = [mg.zeros_like(w) for w in ws]
    optimizer = mg.optim.SGD(ws, lr=0.05, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        loss = sum(
            ((w - mg.tensor(t)) ** 2).sum() for w, t in zip(ws, np.split(target, 2), strict=True)
        )
        loss.backward()
        if way == "optimiser":
            optimizer.step()
            continue
        with mg.no_grad():
            for w, v in zip(ws, vs, strict=True):
                if way == "items":
                    v[:] = 0.9 * v + w.grad
                    w[:] -= 0.05 * v
                elif way == "operators":
                    v *= 0.9
                    v += w.grad
                    w -= 0.05 * v
                else:
                    v.data = 0.9 * v + w.grad
                    w.data -= (0.05 * v).data
    w, v, x = start, np.zeros(6), None
    for _ in range(10):
        x = 2 * (w - target)
        v = 0.9 * v + x
        w = w - 0.05 * v
    assert np.allclose(np.concatenate([x.numpy() for x in ws]), w)


def test_moving_averages_of_a_model(backend):
    model, target = mg.nn.Linear(3, 2), mg.nn.Linear(3, 2)
    target.load_state_dict(model.state_dict())
    target.requires_grad_(False)
    averages = (
        [copy.deepcopy(p) for p in model.parameters()],
        [p.detach() for p in model.parameters()],
    )
    first = [p.numpy() for p in model.parameters()]
    with mg.no_grad():
        for p in model.parameters():
            p += 1
        for held in (target.parameters(), *averages):
            for q, p in zip(held, model.parameters(), strict=True):
                q *= 0.5
                q += 0.5 * p
    for held in (target.parameters(), *averages):
        for q, old in zip(held, first, strict=True):
            assert np.allclose(q.numpy(), old + 0.5)


def test_gradients_are_scaled_by_hand(backend):
    w = [leaf([1.0, 2.0]), leaf([3.0])]
    (w[0].sum() * w[1]).sum().backward()
    grads = [p.grad for p in w]
    for g in [*grads, *mg.grad((w[0] * 2).sum(), [w[0]])]:
        with mg.no_grad():
            g *= 0.5
    assert [p.grad.tolist() for p in w] == [[1.5, 1.5], [1.5]]
    mg.optim.clip_grad_value_(w, 1.0)
    mg.optim.clip_grad_norm_(w, 100.0)
    with mg.no_grad():
        for g in [p.grad for p in w]:
            g *= 0.0
    assert [p.grad.tolist() for p in w] == [[0.0, 0.0], [0.0]]


class Net(mg.nn.Module):
    def __init__(self):
        self.w = mg.nn.Parameter([1.0, 2.0])
        self.frozen = mg.nn.Parameter([1.0, 2.0], requires_grad=False)
        self.mean = mg.nn.Buffer([0.0, 0.0])
        self.parts = [mg.nn.Parameter([5.0])]


@pytest.mark.parametrize("grad_mode", [mg.no_grad, mg.enable_grad])
def test_attributes_of_modules(backend, grad_mode):
    net = Net()
    w, frozen, mean, part = net.w, net.frozen, net.mean, net.parts[0]
    with mg.no_grad():
        net.w -= 1
        net.parts[0] *= 2
        net.w[1] = 7
    with grad_mode():
        net.frozen *= 3
        net.mean += 2.0
        for buffer in net.buffers():
            buffer *= 5
    assert net.w is w and net.frozen is frozen and net.mean is mean and net.parts[0] is part
    assert (w.tolist(), part.tolist()) == ([0.0, 7.0], [10.0])
    assert (frozen.tolist(), mean.tolist()) == ([3.0, 6.0], [10.0, 10.0])
    net.mean += net.w  # with a graph, of which a buffer keeps the numbers
    assert type(net.mean) is mg.nn.Buffer and not net.mean.requires_grad
    assert net.mean.tolist() == [10.0, 17.0]


# --- every operator ------------------------------------------------------------------------------


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(IN_PLACE)), st.floats(0.5, 2.0), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_operators_as_in_numpy(backend, steps):
    x = leaf([[1.5, 0.5], [2.0, 1.0]])
    other, named, expected = x, {"x": x}, x.numpy()
    x.grad = mg.ones_like(x)
    loss = (x * x).sum()  # a graph from before
    before = x.numpy()
    with mg.no_grad():
        for sign, number, as_tensor in steps:
            operand = np.full((2, 2), number) if as_tensor or sign == "@" else number
            expected = PLAIN[sign](expected, operand)
            expected = np.clip(expected, 0.1, 10)
            y = mg.tensor(operand) if isinstance(operand, np.ndarray) else operand
            x = IN_PLACE[sign](x, y)
            x[...] = mg.clip(x, 0.1, 10)
    assert x is other is named["x"] and np.allclose(x.numpy(), expected)
    assert x.requires_grad and x.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert np.allclose(mg.grad(loss, x).numpy(), 2 * before)
    (x * x).sum().backward()
    assert np.allclose(x.grad.numpy(), 1 + 2 * expected)


@pytest.mark.parametrize("sign", IN_PLACE)
@pytest.mark.parametrize("kind", ["tensor", "parameter", "freed again"])
def test_with_gradients_on_it_is_an_error(backend, sign, kind):
    x = mg.nn.Parameter([[1.0, 2.0], [3.0, 4.0]])
    if kind == "tensor":
        x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    elif kind == "freed again":
        x.requires_grad = False
        x.requires_grad = True
    text = (
        rf"x \{sign[0]}\S*= y with gradients on, and x \(shape \(2, 2\)\) is a leaf that requires"
    )
    with pytest.raises(RuntimeError, match=text) as error:
        x = IN_PLACE[sign](x, mg.ones((2, 2)))
    assert "with mg.no_grad():" in str(error.value) and f"x = x {sign} y" in str(error.value)
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("sign", IN_PLACE)
@pytest.mark.parametrize("grad_mode", [mg.no_grad, mg.enable_grad])
def test_results_of_ops_are_never_edited(backend, sign, grad_mode):
    """So a function gives the same with and without gradients, whatever its names share."""
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = mg.ones((2, 2), dtype="float64")
    makers = [
        lambda: w * 1,
        lambda: mg.split(w, 1)[0],
        lambda: mg.stack(mg.unstack(w)),
        lambda: mg.checkpoint(lambda w: w * 1, w),
        lambda: mg.dropout(w * 1, 0.0),
        lambda: w.reshape(2, 2),
        lambda: w[:],
    ]
    with grad_mode():
        for make in makers:
            x = make()
            other, before = x, x.numpy()
            x = IN_PLACE[sign](x, y)
            assert x is not other and np.array_equal(other.numpy(), before)
            assert np.allclose(x.numpy(), PLAIN[sign](before, np.ones((2, 2))))
            assert x.requires_grad is mg.is_grad_enabled()


def test_sums_keep_their_graph(backend):
    w, total = leaf([1.0, 2.0]), mg.zeros((), dtype="float64")
    start = total
    for i in range(3):
        total += (w * i).sum()
    assert start.item() == 0
    total.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_sums_that_grow_under_no_grad(backend):
    with mg.no_grad():
        total = mg.tensor(0)
        total += mg.tensor(0.5)
        assert total.item() == 0.5
        rows = mg.zeros(())
        rows += mg.ones(3)
        assert rows.tolist() == [1.0, 1.0, 1.0]
        flags = mg.tensor([True, False])
        same = flags
        flags &= mg.tensor([True, True])
        flags |= mg.tensor([False, True])
        assert same is flags and flags.tolist() == [True, True]


@pytest.mark.parametrize("make", [lambda: leaf([1.0, 2.0]), lambda: mg.nn.Parameter([1.0, 2.0])])
@pytest.mark.parametrize("y", [np.ones((3, 2)), np.ones((2, 1))])
def test_an_edit_changes_no_shape(make, y):
    x = make()
    with mg.no_grad(), pytest.raises(ValueError, match=r"x \+= y can't turn x, \w+ \(2,\), into"):
        x += mg.tensor(y, dtype=x.dtype)
    assert x.tolist() == [1.0, 2.0]


def test_an_edit_changes_no_dtype():
    p, mean = mg.nn.Parameter([1.0, 2.0]), mg.nn.Buffer([1, 2])
    with mg.no_grad():
        with pytest.raises(
            ValueError, match=r"into float64 \(2,\)\. Convert y \(y\.astype\('float32"
        ):
            p -= mg.tensor([1.0, 2.0], dtype="float64")
        with pytest.raises(ValueError, match=r"x /= y can't turn x, int64 \(2,\), into float64"):
            mean /= 2
        p *= np.float64(2)  # a number, which changes no dtype
        p += [1.0, 1.0]
        p += True
    assert p.dtype == np.float32 and p.tolist() == [4.0, 6.0] and mean.tolist() == [1, 2]


# --- x[index] = y --------------------------------------------------------------------------------

INDICES = {
    "number": 1,
    "negative": -1,
    "slice": slice(None, None, 2),
    "ellipsis": ...,
    "pair": (0, slice(1, None)),
    "column": (slice(None), None, 1),
    "list": [2, 0],
    "repeated": [1, 1, 0],
    "lists": ([0, 2], [1, 1]),
    "array": np.array([[0, 2], [1, 0]]),
    "mask": np.array([True, False, True]),
    "whole mask": np.arange(6).reshape(3, 2) % 2 == 0,
    "nothing": slice(0, 0),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_items_as_in_numpy(backend, name, dtype):
    index, rng = INDICES[name], np.random.default_rng(0)
    start = (rng.standard_normal((3, 2)) * 10).astype(dtype)
    x, expected = mg.tensor(start), start.copy()
    shape = expected[index].shape
    for value in (rng.standard_normal(shape) * 10, np.ones(shape[-1:])):
        value = value.astype(dtype)
        expected[index] = value
        x[index] = mg.tensor(value)
        assert np.array_equal(x.numpy(), expected) and x.dtype == expected.dtype
    x[index] = 1
    expected[index] = 1
    assert np.array_equal(x.numpy(), expected)
    if not isinstance(index, tuple) and isinstance(index, np.ndarray):
        x[mg.tensor(index)] = 0
        expected[index] = 0
        assert np.array_equal(x.numpy(), expected)


def test_items_of_leaves(backend):
    p = mg.nn.Parameter([[1.0, 2.0], [3.0, 4.0]])
    loss = (p * p).sum()
    with mg.no_grad():
        p[0] = mg.tensor([5.0, 6.0])
        p[1, 1] += 1
        p[:, 0] *= 2
        p[p > 9] = 0.0
    assert p.tolist() == [[0.0, 6.0], [6.0, 5.0]] and p.requires_grad
    assert mg.grad(loss, p).tolist() == [[2.0, 4.0], [6.0, 8.0]]
    x = mg.zeros(3)
    x[1] = 4  # no gradient is asked of it
    x[2:] += 1
    assert x.tolist() == [0.0, 4.0, 1.0]


def test_other_tensors_keep_their_numbers(backend):
    p = mg.nn.Parameter([1.0, 2.0])
    views = [p.detach(), p.reshape(2, 1), p[:1], p * 1]
    before = [v.tolist() for v in views]
    with mg.no_grad():
        p[:] = 9
        p += 1
    assert [v.tolist() for v in views] == before


WRONG = {
    "once they are in a graph": lambda: (leaf([1.0, 2.0]) * 2).__setitem__(0, 1.0),
    "while they require a gradient and gradients are on": lambda: leaf([1.0]).__setitem__(0, 1.0),
    "y requires a gradient, which would not reach it": lambda: mg.zeros(2).__setitem__(
        0, leaf([1.0])[0]
    ),
    "x is int64, and can't hold 1.5": lambda: mg.tensor([1, 2]).__setitem__(0, 1.5),
    "x is int64, and can't hold float32": lambda: mg.tensor([1]).__setitem__(0, mg.ones(1)),
    "x is bool, and can't hold 2": lambda: mg.tensor([True]).__setitem__(0, 2),
}


@pytest.mark.parametrize("text", WRONG)
def test_items_that_are_refused(backend, text):
    with pytest.raises(TypeError, match=text):
        WRONG[text]()


def test_items_that_do_not_fit(backend, register):
    register("other")
    x = mg.zeros(3, 2)
    with pytest.raises(ValueError, match=r"y of shape \(3,\) does not fit a part of shape \(2,\)"):
        x[0] = mg.ones(3)
    with pytest.raises(IndexError):
        x[7] = 1
    with pytest.raises(TypeError, match=r"y on 'other'; convert it with y\.to"):
        x[0] = mg.ones(2, backend="other")
    with mg.no_grad(), pytest.raises(RuntimeError, match="once they are in a graph"):
        with mg.enable_grad():
            y = leaf([1.0]) * 2
        y[0] = 1
    assert x.tolist() == [[0.0, 0.0]] * 3


# --- kernels, graphs and checkpoints -------------------------------------------------------------


def counting(w, x, h):
    h *= 0.5
    h += x @ w
    y = h
    h += 1
    x *= 2
    return y + x, h


def counting_plainly(w, x, h):
    h = h * 0.5
    h = h + x @ w
    y = h
    h = h + 1
    x = x * 2
    return y + x, h


@pytest.mark.parametrize("fused", ["0", "1"])
@pytest.mark.parametrize("grads", [True, False])
def test_in_cells_there_are_new_values(backend, fused, grads, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", fused)
    found = []
    for cell in (counting, counting_plainly):
        rng = np.random.default_rng(0)
        w, x, h = (leaf(rng.standard_normal(s)) for s in ((2, 2), (4, 3, 2), (3, 2)))
        if not grads:
            w, x, h = w.detach(), x.detach(), h.detach()
        before = x.numpy(), h.numpy()
        with mg.enable_grad() if grads else mg.no_grad():
            ys, last = mg.scan(cell, w, x, h)
        found.append([ys, last])
        if grads:
            found[-1] += mg.grad((ys * ys).sum() + last.sum(), [w, x, h])
        assert np.array_equal(x.numpy(), before[0]) and np.array_equal(h.numpy(), before[1])
    for a, b in zip(*found, strict=True):
        assert np.allclose(a.numpy(), b.numpy())


@pytest.mark.skipif("numba" not in mg.available_backends(), reason="numba is not installed")
def test_such_cells_are_fused(monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed")
    monkeypatch.setenv("MINIGRAD_FUSED", "require")
    w, x, h = (leaf(np.ones(s), backend="numba") for s in ((2, 2), (4, 3, 2), (3, 2)))
    ys, _ = mg.scan(counting, w, x, h)
    assert ys.requires_grad


@mg.fuse
def scaled(x, k):
    x *= k
    y = x
    y += 1
    return mg.tanh(x) * y


@pytest.mark.parametrize("rows", [3, 4000])
@pytest.mark.parametrize("grads", [True, False])
def test_in_fused_functions_there_are_new_values(backend, rows, grads):
    x = mg.tensor(np.random.default_rng(0).standard_normal((rows, 8)))
    k = mg.tensor(np.linspace(0.5, 2, 8), requires_grad=True) * 1
    before, numbers = x.numpy(), k.numpy()
    with mg.enable_grad() if grads else mg.no_grad():
        y = scaled(x, k)
    expected = np.tanh(before * numbers) * (before * numbers + 1)
    assert np.allclose(y.numpy(), expected)
    assert np.array_equal(x.numpy(), before) and np.array_equal(k.numpy(), numbers)


def test_a_weight_that_is_edited_after_a_checkpoint(backend):
    w, x = leaf([3.0, 4.0]), leaf([2.0, 1.0])
    y = mg.checkpoint(lambda x: x * w, x).sum()
    with mg.no_grad():
        w -= 1
    with pytest.raises(RuntimeError, match="runs its function again"):
        y.backward()
        y.numpy()


@pytest.mark.usefixtures("on_numpy")
def test_the_guard_and_edits():
    """An edit in place gives a new array: what was handed out is no longer the tensor's."""
    w = leaf([3.0, 4.0])
    array = w.data
    loss = (w * w).sum()
    with mg.no_grad():
        w -= 1
        w[0] = 7
    loss.backward()
    assert w.grad.tolist() == [6.0, 8.0] and array.tolist() == [3.0, 4.0]
    loss = (w * w).sum()
    w.data[0] = 1
    with pytest.raises(RuntimeError, match="edited in place after multiply saved it"):
        loss.backward()


def test_data_of_every_backend(backend):
    """`p.data -= lr * g`, of raw arrays or of tensors."""
    w = leaf([3.0, 4.0])
    (w * w).sum().backward()
    w.data = w.detach() - 0.5 * w.grad
    assert w.tolist() == [0.0, 0.0]
    w.data = w.data - (0.5 * w.grad).data
    w.data -= (0.5 * w.grad).data
    assert w.tolist() == [-6.0, -8.0] and w.requires_grad


def test_as_torch(backend):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    data = rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2)
    found = []
    for m in (mg, torch):
        x, w, b = (m.tensor(a, requires_grad=i > 0) for i, a in enumerate(data))
        for _ in range(5):
            (m.tanh(x @ w + b) ** 2).sum().backward()
            with m.no_grad():
                for p in (w, b):
                    p -= 0.1 * p.grad
                    p *= 0.99
                    p[0] = 0.25
                    p[1:] += 0.1
                    p.grad *= 0.5
        found.append([p.detach().numpy() for p in (w, b)] + [p.grad.numpy() for p in (w, b)])
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b)
