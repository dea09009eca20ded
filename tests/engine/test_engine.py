"""The engine: what a backward pass visits, adds up, keeps and frees."""

import gc
import itertools
import sys
import weakref

import numpy as np
import pytest

import minigrad as mg


def leaf(values, **options):
    return mg.tensor(values, requires_grad=True, dtype="float64", **options)


def numbers(tensor):
    return tensor.numpy().tolist()


# --- long chains -------------------------------------------------------------------------------


def test_a_chain_of_100_000_ops_differentiates_and_is_freed(backend):
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1e-6 * y
    first = weakref.ref(y._node)
    y.backward()
    assert x.grad.item() == pytest.approx((1 + 1e-6) ** 100_000)
    del y
    gc.collect()
    assert first() is None


def test_a_chain_is_freed_without_a_backward_pass():
    y = leaf(1.0)
    for _ in range(100_000):
        y = -y
    node = weakref.ref(y._node)
    del y
    gc.collect()
    assert node() is None


def test_a_long_chain_at_second_order():
    x = leaf(0.5)
    y = x
    for _ in range(3000):
        y = mg.sin(y)
    (slope,) = mg.grad([y], [x], create_graph=True)
    assert np.isfinite(mg.grad(slope, x).item())


def test_nothing_recurses():
    x = leaf(1.0)
    y = x
    for _ in range(2000):
        y = mg.concatenate([mg.tanh(y).reshape(1), y.reshape(1)])[0]
    limit = sys.getrecursionlimit()
    depth = len(_stack())
    sys.setrecursionlimit(depth + 60)
    try:
        y.backward()
    finally:
        sys.setrecursionlimit(limit)
    assert 0 < x.grad.item() < 1


def _stack():
    frame, frames = sys._getframe(), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def test_a_wide_diamond_is_linear_in_time():
    """2**60 paths, 60 nodes: each is visited once."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


# --- adding up ---------------------------------------------------------------------------------


def test_gradients_accumulate_over_backward_calls(backend):
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    (3 * x).sum().backward()
    assert numbers(x.grad) == [5.0, 7.0]
    x.zero_grad()
    assert x.grad is None


def test_accumulating_leaves_the_earlier_gradient_alone():
    x = leaf([1.0])
    (2 * x).sum().backward()
    before = x.grad
    (3 * x).sum().backward()
    assert numbers(before) == [2.0] and numbers(x.grad) == [5.0]


@pytest.mark.parametrize("times", [1, 2, 3, 7])
def test_one_tensor_used_many_times(backend, times):
    x = leaf([1.0, -2.0])
    y = mg.exp(x)
    total = y
    for _ in range(times - 1):
        total = total + y
    total.sum().backward()
    assert np.allclose(x.grad.numpy(), times * np.exp([1.0, -2.0]))


def test_one_tensor_as_both_operands(backend):
    x = leaf([3.0, -2.0])
    (x * x + x / x - x ** x.detach()).sum().backward()
    expected = 2 * np.array([3.0, -2.0]) - np.array([27.0, -2.0 * (-2.0) ** -3.0])
    assert np.allclose(x.grad.numpy(), expected)


def test_several_outputs_share_a_sweep(backend):
    x = leaf([1.0, 2.0])
    g = mg.grad([x * 2, x * x], x, [leaf([1.0, 1.0]), leaf([10.0, 10.0])])
    assert numbers(g) == [22.0, 42.0]


def test_an_output_that_another_output_depends_on():
    x = leaf(3.0)
    y = x * x
    assert mg.grad([y, y * y], x).item() == 6 + 4 * 27


def test_the_same_output_twice():
    x = leaf(3.0)
    y = x * x
    assert mg.grad([y, y], x).item() == 12


def test_gradient_of_a_leaf_by_itself():
    x = leaf([1.0, 2.0])
    x.backward(mg.tensor([3.0, 4.0]))
    assert numbers(x.grad) == [3.0, 4.0]
    y = leaf(2.0)
    assert mg.grad(y, y).item() == 1


@pytest.mark.usefixtures("on_numpy")
def test_gradients_share_no_memory():
    """Of y = a + b both gradients are the cotangent; each leaf still has an array of its own."""
    a, b, g = leaf([1.0, 2.0]), leaf([3.0, 4.0]), mg.tensor([1.0, 1.0], dtype="float64")
    (a + b).backward(g)
    arrays = [a.grad._data, b.grad._data, g._data]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    a.grad.data[:] = 7
    assert numbers(b.grad) == [1.0, 1.0] and numbers(g) == [1.0, 1.0]


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: mg.concatenate([a, b]),
        lambda a, b: a.reshape(2, 1) + b.reshape(2, 1),
        lambda a, b: mg.stack([a, b]),
        lambda a, b: mg.where(mg.tensor([True, False]), a, b) + a,
    ],
)
def test_no_op_makes_gradients_share_memory(f):
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = f(a, b)
    g = mg.ones(y.shape, dtype="float64")
    found = [*mg.grad(y, [a, b], g, retain_graph=True)]
    y.backward(g)
    arrays = [x._data for x in (*found, a.grad, b.grad, g)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2, 3)])
def test_gradients_may_be_written_to(shape):
    """Though that of a sum is one number, repeated without a copy."""
    x = mg.ones(shape, requires_grad=True)
    x.sum().backward()
    x.grad.data[...] = 7
    assert (x.grad.numpy() == 7).all()


def test_a_gradient_laid_out_in_another_way_is_not_copied():
    x, w = leaf([[1.0, 2.0, 3.0]]), leaf([[4.0], [5.0], [6.0]])
    dx, dw = mg.grad((x.T * w).sum(), [x, w])
    assert dx.tolist() == [[4, 5, 6]] and dw.tolist() == [[1], [2], [3]]
    assert dx._data.base is not None  # a view of a product of its own
    part = mg.grad((mg.concatenate([x.T, w]) ** 2).sum(), x)
    assert part.tolist() == [[2, 4, 6]]
    assert part._data.base is None  # and not of a larger array, which would live as long


def test_gradients_have_the_dtype_of_their_leaf():
    x = mg.tensor([1.0], requires_grad=True, dtype="float32")
    w = mg.tensor([2.0], requires_grad=True, dtype="float64")
    y = x * w
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32 and w.grad.dtype == np.float64


BINARY = {
    "add": (lambda a, b: a + b),
    "subtract": (lambda a, b: a - b),
    "multiply": (lambda a, b: a * b),
    "divide": (lambda a, b: a / b),
    "power": (lambda a, b: a**b),
    "maximum": mg.maximum,
    "minimum": mg.minimum,
    "where": (lambda a, b: mg.where(mg.tensor([True, False, True]), a, b)),
}


@pytest.mark.parametrize("name", BINARY)
def test_broadcasting_is_undone(backend, name):
    a, b = leaf(np.linspace(1, 2, 6).reshape(2, 1, 3)), leaf(np.linspace(0.5, 1.6, 4).reshape(4, 1))
    full_a = leaf(np.broadcast_to(a.numpy(), (2, 4, 3)))
    full_b = leaf(np.broadcast_to(b.numpy(), (2, 4, 3)))
    g = mg.tensor(np.random.default_rng(0).standard_normal((2, 4, 3)))
    BINARY[name](a, b).backward(g)
    BINARY[name](full_a, full_b).backward(g)
    assert np.allclose(a.grad.numpy(), full_a.grad.numpy().sum(axis=1, keepdims=True))
    assert np.allclose(b.grad.numpy(), full_b.grad.numpy().sum(axis=(0, 2)).reshape(4, 1))


# --- multi-output ops ----------------------------------------------------------------------------


def test_an_unused_output_counts_as_zero(backend):
    x = leaf([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    first, _, last = mg.split(x, 3)
    (first * last).sum().backward()
    assert numbers(x.grad) == [5.0, 6.0, 0.0, 0.0, 1.0, 2.0]


def test_an_unused_output_at_second_order():
    x = leaf([1.0, 2.0])
    a, _ = mg.unstack(x)
    g = mg.grad(a * a * a, x, create_graph=True)
    assert numbers(mg.grad(g.sum(), x)) == [6.0, 0.0]


def test_one_output_used_twice_and_wanted():
    x = leaf([1.0, 2.0])
    a, b = mg.unstack(x)
    y = a * a * b
    ga, gb, gx = mg.grad(y, [a, b, x])
    assert (ga.item(), gb.item(), numbers(gx)) == (4.0, 1.0, [4.0, 1.0])


# --- once and again ------------------------------------------------------------------------------


def test_a_second_backward_pass_says_what_to_do(backend):
    x = leaf([1.0])
    y = mg.exp(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second backward through .*retain_graph=True"):
        y.backward()


def test_retain_graph_allows_another(backend):
    x = leaf([1.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert numbers(x.grad) == [4.0]
    with pytest.raises(RuntimeError, match="second backward"):
        y.backward()


def test_a_freed_part_of_a_larger_graph_is_noticed():
    x = leaf([1.0])
    shared = mg.exp(x)
    (shared * 2).sum().backward()
    with pytest.raises(RuntimeError, match="second backward through exp"):
        (shared * 3).sum().backward()


def test_a_sweep_that_does_not_need_a_part_leaves_it_alone():
    x, w = leaf([1.0]), leaf([2.0])
    hidden = mg.exp(x)
    y = (hidden * w).sum()
    mg.grad(y, w, retain_graph=True)
    assert numbers(mg.grad(y, x)) == pytest.approx([2 * np.e])


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x**3
    slope = mg.grad(y, x, create_graph=True)
    assert mg.grad(y, x).item() == 12
    assert mg.grad(slope, x).item() == 12


def test_orders_one_to_five(backend):
    x = leaf(1.3)
    y = mg.sin(x) * mg.exp(x)
    found = []
    for _ in range(5):
        y = mg.grad(y, x, create_graph=True)
        found.append(y.item())
    e, s, c = np.exp(1.3), np.sin(1.3), np.cos(1.3)
    assert np.allclose(
        found, [e * (s + c), 2 * e * c, 2 * e * (c - s), -4 * e * s, -4 * e * (s + c)]
    )


def test_backward_with_create_graph_gives_a_gradient_with_a_graph():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    (x.grad * 2).backward()
    assert x.grad.item() == 27 + 36  # the second call adds to the first


def test_a_gradient_penalty(backend):
    x, w = leaf([0.3, -0.7]), leaf([[1.0, 2.0], [-1.0, 0.5]])
    slope = mg.grad(mg.tanh(x @ w).sum(), x, create_graph=True)
    penalty = (slope * slope).sum()
    found = mg.grad(penalty, w).numpy()

    def value(weights):
        h = np.tanh(x.numpy() @ weights)
        return (((1 - h * h) @ weights.T) ** 2).sum()

    for at in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[at] = 1e-5
        slope = (value(w.numpy() + step) - value(w.numpy() - step)) / 2e-5
        assert found[at] == pytest.approx(slope, rel=1e-6)


def test_gradients_of_what_was_repeated_once_share_no_memory(backend):
    """A row's gradient is that of the matrix of one row that it was added to, in another shape."""
    x, row, other = (mg.randn(shape, requires_grad=True) for shape in ((1, 3), (3,), (1, 1, 3)))
    g = mg.randn((1, 1, 3))
    right = g.numpy()
    (x + row + other).backward(g)
    with mg.no_grad():
        for leaf in (x, row, other):
            np.testing.assert_array_equal(leaf.grad.numpy(), right.reshape(leaf.shape))
            leaf.grad += 1
    np.testing.assert_array_equal(g.numpy(), right)
    arrays = [t._data for t in (g, x.grad, row.grad, other.grad)]
    if isinstance(arrays[0], np.ndarray):
        pairs = itertools.combinations(arrays, 2)
        assert not any(np.shares_memory(a, b) for a, b in pairs)
