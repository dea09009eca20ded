"""Gradients asked for by name, hooks, grad mode, and what memory a graph holds."""

import gc
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg


def leaf(values, **options):
    return mg.tensor(values, requires_grad=True, dtype="float64", **options)


def numbers(tensor):
    return tensor.numpy().tolist()


# --- what is asked for ---------------------------------------------------------------------------


def test_grad_touches_no_grad_attribute():
    x, w = leaf([1.0]), leaf([2.0])
    mg.grad((x * w).sum(), x)
    assert x.grad is None and w.grad is None


def test_grad_of_a_single_input_and_of_a_sequence():
    x = leaf([1.0])
    assert isinstance(mg.grad((x * x).sum(), x), mg.Tensor)
    assert isinstance(mg.grad((x * x).sum(), [x]), tuple)


def test_inputs_that_are_no_leaves(backend):
    x = leaf([1.0, 2.0])
    hidden = x * x
    y = (hidden * x).sum()
    for_hidden, for_x = mg.grad(y, [hidden, x])
    assert numbers(for_hidden) == [1.0, 2.0]
    assert numbers(for_x) == [3.0, 12.0]


def test_a_non_leaf_keeps_its_identity_through_other_tensors():
    """A gradient belongs to the node, not to the Python object that happened to hold it."""
    x = leaf([2.0])
    hidden = x * x
    other = mg.Tensor(hidden._data, hidden.backend, hidden._node)
    assert numbers(mg.grad((hidden * 3).sum(), other)) == [3.0]


def test_unused_inputs():
    x, unused = leaf([1.0]), leaf([1.0])
    y = (x * 2).sum()
    with pytest.raises(RuntimeError, match=r"no path .* input 1 .*allow_unused=True"):
        mg.grad(y, [x, unused], retain_graph=True)
    assert mg.grad(y, [x, unused], allow_unused=True)[1] is None


def test_a_leaf_that_was_dropped_is_no_trouble():
    x = leaf([1.0])
    y = (leaf([2.0]) * x).sum()
    gc.collect()
    y.backward()
    assert numbers(x.grad) == [2.0]


def test_detach_stops_gradients(backend):
    x = leaf([2.0])
    (x.detach() * x).sum().backward()
    assert numbers(x.grad) == [2.0]


def test_gradients_stop_at_integers():
    x = leaf([1.4, 2.6])
    (mg.astype(x, "int64") * x).sum().backward()
    assert numbers(x.grad) == [1.0, 2.0]


# --- hooks ---------------------------------------------------------------------------------------


def test_a_hook_sees_and_replaces_a_gradient(backend):
    x = leaf([1.0, 2.0])
    seen = []
    y = x * 3
    y.register_hook(lambda g: seen.append(g.numpy().tolist()))
    remove = y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert seen == [[1.0, 1.0]] and numbers(x.grad) == [30.0, 30.0]
    remove()
    remove()  # twice does no harm
    x.zero_grad()
    (x * 3).sum().backward()
    assert numbers(x.grad) == [3.0, 3.0]


def test_a_hook_runs_once_on_the_complete_gradient():
    x = leaf([1.0])
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).sum().backward()
    assert seen == [5.0]


def test_a_hook_on_a_wanted_input():
    x = leaf([1.0])
    hidden = x * 2
    hidden.register_hook(lambda g: -g)
    assert numbers(mg.grad((hidden * 3).sum(), hidden)) == [-3.0]


def test_a_hook_in_create_graph():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    slope = mg.grad(y, x, create_graph=True)
    assert slope.item() == 8 and mg.grad(slope, x).item() == 8  # 2 x * x, whose slope is 4 x


def test_a_hook_must_return_a_gradient():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g.sum())
    with pytest.raises(TypeError, match=r"hook on a tensor of shape \(2,\) must return None or"):
        (x * 2).sum().backward()


def test_a_hook_needs_a_gradient():
    with pytest.raises(RuntimeError, match="hook needs a tensor that requires a gradient"):
        mg.ones(2).register_hook(print)


def test_retain_grad_fills_a_non_leaf():
    x = leaf([1.0, 2.0])
    y = x * x
    y.retain_grad()
    y.sum().backward()
    assert numbers(y.grad) == [1.0, 1.0]


# --- memory --------------------------------------------------------------------------------------


def test_backward_frees_what_the_graph_saved():
    x = leaf(np.ones(1000))
    hidden = mg.exp(x)
    array = weakref.ref(hidden._data)
    y = (hidden * hidden).sum()
    del hidden
    assert array() is not None  # the graph needs it
    y.backward()
    assert array() is None


def test_saved_arrays_are_freed_during_the_sweep():
    """The last activations are gone before the first are reached."""
    x = leaf(np.ones(1000))
    first = mg.exp(x)
    last = mg.exp(first * 1e-3)
    array, alive = weakref.ref(last._data), []
    first.register_hook(lambda g: alive.append(array() is not None))
    y = last.sum()
    del last, first
    y.backward()
    assert alive == [False]


def test_an_op_saves_only_what_its_derivatives_need():
    x, c = leaf(np.ones(1000)), mg.tensor(np.ones(1000))
    hidden = x + 1
    array = weakref.ref(hidden._data)
    y = hidden * c  # the gradient of x needs c, not the hidden array
    del hidden
    assert array() is None
    y.sum().backward()


def test_a_dropped_output_frees_the_graph():
    x = leaf(np.ones(10))
    y = mg.exp(x).sum()
    node = weakref.ref(y._node)
    del y
    assert node() is None  # at once: there is no cycle to collect


def test_the_graph_holds_no_second_copy_of_outputs():
    x = leaf(np.ones(10))
    y = x + x  # addition saves nothing
    array = weakref.ref(y._data)
    z = y + 1
    del y
    assert array() is None
    z.sum().backward()


# --- grad mode -----------------------------------------------------------------------------------


def test_no_grad_as_context_and_decorator():
    x = leaf([1.0])

    @mg.no_grad()
    def f(x):
        """Doubles."""
        return x * 2

    with mg.no_grad():
        assert not mg.is_grad_enabled() and not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert mg.is_grad_enabled()
    assert not f(x).requires_grad
    assert (f.__name__, f.__doc__) == ("f", "Doubles.")
    assert (x * 2).requires_grad


def test_no_grad_ends_after_an_error():
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert mg.is_grad_enabled()


def test_no_grad_decorates_a_recursive_function():
    @mg.no_grad()
    def f(x, depth):
        return x if depth == 0 else f(x * 2, depth - 1)

    assert not f(leaf([1.0]), 5).requires_grad
    assert mg.is_grad_enabled()


def test_one_no_grad_object_can_be_nested():
    mode = mg.no_grad()
    with mode, mode:
        assert not mg.is_grad_enabled()
    assert mg.is_grad_enabled()


def test_grad_mode_belongs_to_a_thread():
    inside, seen = threading.Event(), []
    done = threading.Event()

    def other():
        inside.wait(5)
        seen.append(mg.is_grad_enabled())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with mg.no_grad():
        inside.set()
        done.wait(5)
    thread.join()
    assert seen == [True]


def test_threads_differentiate_at_the_same_time():
    w = leaf(np.ones((20, 20)))
    results = {}

    def work(seed):
        x = mg.tensor(np.random.default_rng(seed).standard_normal((5, 20)))
        for _ in range(20):
            (g,) = mg.grad((mg.tanh(x @ w) ** 2).sum(), [w])
        results[seed] = g.numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, found in results.items():
        x = np.random.default_rng(seed).standard_normal((5, 20))
        h = np.tanh(x @ w.numpy())
        assert np.allclose(found, x.T @ (2 * h * (1 - h * h)))
    assert len(results) == 4


def test_backward_inside_no_grad_still_differentiates():
    x = leaf(3.0)
    y = x * x
    with mg.no_grad():
        y.backward()
        assert mg.grad(x, x).item() == 1
    assert x.grad.item() == 6


def test_create_graph_inside_no_grad():
    x = leaf(3.0)
    y = x**3
    with mg.no_grad():
        slope = mg.grad(y, x, create_graph=True)
    assert mg.grad(slope, x).item() == 18


# --- sweeps inside and after sweeps --------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_the_same_input_twice():
    x = leaf([1.0, 2.0])
    a, b = mg.grad((x * x).sum(), [x, x])
    assert numbers(a) == numbers(b) == [2.0, 4.0]
    assert not np.shares_memory(a._data, b._data)


def test_a_hook_may_differentiate_something_else():
    x, w = leaf([1.0]), leaf([3.0])
    y = x * 2
    y.register_hook(lambda g: g * mg.grad((w * w).sum(), w))
    y.sum().backward()
    assert numbers(x.grad) == [12.0]


def test_an_error_in_a_sweep_leaves_no_trace():
    x = leaf([1.0])
    y = x * 2
    remove = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward(retain_graph=True)
    remove()
    assert isinstance(mg.exp([1.0]), mg.Tensor) and mg.is_grad_enabled()
    assert x.grad is None
    (x * 3).sum().backward()
    assert numbers(x.grad) == [3.0]


def test_ops_on_plain_data_make_tensors():
    assert mg.exp(0.0).item() == 1.0
    assert mg.add([1, 2], 3).tolist() == [4, 5]
    assert mg.concatenate([[1.0], [2.0]]).tolist() == [1.0, 2.0]
