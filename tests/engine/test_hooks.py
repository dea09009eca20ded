"""Hooks and retained gradients: each once per sweep, on the whole gradient, and PyTorch's order."""

import copy
import gc
import threading
import weakref
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import SHAPE, Run, programs

import minigrad as mg
from minigrad.models import GRU, LSTM


def leaf(values, **options):
    return mg.tensor(values, requires_grad=True, dtype="float64", **options)


def arrays(seed, count):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(SHAPE) for _ in range(count)]


def same(a, b):
    return (a is None and b is None) or np.allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11)


def assert_same_run(one, other):
    """Two runs whose hooks saw the same, and whose values keep the same."""
    assert one.calls.keys() == other.calls.keys()
    for here, seen in one.calls.items():
        assert len(seen) == len(other.calls[here])
        assert all(map(same, seen, other.calls[here]))
    for a, b in zip(one.retained, other.retained, strict=True):
        assert same(a.grad, b.grad)


# --- random graphs -------------------------------------------------------------------------------


@given(program=programs(), seed=st.integers(0, 10**6))
def test_checkpoints_change_nothing(backend, program, seed):
    """Gradients, what hooks see and how often, what is retained: as without checkpoints."""
    found = []
    for checkpointed in (False, True):
        leaves = [leaf(array) for array in arrays(seed, 2)]
        run = Run(program, leaves, checkpointed=checkpointed)
        run.loss([mg.tensor(a) for a in arrays(seed + 1, 3)]).backward()
        found.append((run, leaves))
    (plain, one), (checked, other) = found
    assert_same_run(plain, checked)
    for a, b in zip(one, other, strict=True):
        assert same(a.grad, b.grad)
    assert all(len(seen) == 1 for seen in checked.calls.values())


@given(program=programs(), seed=st.integers(0, 10**6))
def test_checkpoints_change_nothing_at_second_order(backend, program, seed):
    found = []
    for checkpointed in (False, True):
        leaves = [leaf(array) for array in arrays(seed, 2)]
        run = Run(program, leaves, checkpointed=checkpointed, within=False)
        loss = run.loss([mg.tensor(a) for a in arrays(seed + 1, 3)])
        slopes = mg.grad(loss, leaves, create_graph=True, allow_unused=True)
        weights = [mg.tensor(a) for a in arrays(seed + 2, 2)]
        pairs = [(s, w) for s, w in zip(slopes, weights, strict=True) if s is not None]
        again = sum((s * w).sum() for s, w in pairs)
        second = [None, None]
        if isinstance(again, mg.Tensor) and again.requires_grad:
            second = mg.grad(again, leaves, allow_unused=True)
        found.append((run, [*slopes, *second]))
    (plain, one), (checked, other) = found
    assert_same_run(plain, checked)
    assert all(map(same, one, other))


@given(program=programs(), seed=st.integers(0, 10**6))
def test_hooks_are_those_of_torch(program, seed):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.concatenate = torch.cat
    leaves = [leaf(array, backend="numpy") for array in arrays(seed, 2)]
    ours = Run(program, leaves, checkpointed=True)
    ours.loss([mg.tensor(a, backend="numpy") for a in arrays(seed + 1, 3)]).backward()
    theirs_leaves = [torch.tensor(a, requires_grad=True) for a in arrays(seed, 2)]
    theirs = Run(program, theirs_leaves, m=torch)
    theirs.loss([torch.tensor(a) for a in arrays(seed + 1, 3)]).backward()
    assert_same_run(ours, theirs)
    for a, b in zip(leaves, theirs_leaves, strict=True):
        assert same(a.grad, b.grad)


# --- the list of hooks ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x * 1, lambda x: mg.split(x, 1)[0]])
def test_hooks_that_add_and_remove_hooks(make):
    """What is there when the gradient arrives runs; changes count from the next sweep on."""
    x = leaf([1.0])
    y, called, remove = make(x), [], {}

    def first(g):
        called.append("first")
        remove["first"]()
        remove["third"]()
        y.register_hook(lambda g: called.append("new"))

    remove["first"] = y.register_hook(first)
    y.register_hook(lambda g: called.append("second"))
    remove["third"] = y.register_hook(lambda g: called.append("third"))
    loss = (y * 2).sum()
    loss.backward(retain_graph=True)
    assert called == ["first", "second", "third"]
    called.clear()
    loss.backward()
    assert called == ["second", "new"]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12))
def test_removing_takes_away_its_own(actions):
    """Two functions, registered again and again, each removal done once or twice."""
    x, factors = leaf([1.0]), [lambda g: g * 2, lambda g: g * 3]
    left, removes = [], []
    for number, add in actions:
        if add or not removes:
            key = len(removes)
            removes.append(x.register_hook(factors[number % 2]))
            left.append((key, 2 + number % 2))
        else:
            removes[number % len(removes)]()
            left = [(key, f) for key, f in left if key != number % len(removes)]
    (x * 1).sum().backward()
    assert x.grad.item() == np.prod([f for _, f in left])


def test_hooks_of_an_output_of_several(backend):
    x = leaf([1.0, 2.0, 3.0])
    parts, seen = mg.unstack(x), []
    parts[1].register_hook(lambda g: seen.append(g.item()) or g * 10)
    parts[1].retain_grad()
    parts[2].register_hook(lambda g: seen.append("not used"))
    (parts[0] * parts[1] + parts[1]).backward()
    assert seen == [2.0] and parts[1].grad.item() == 20 and x.grad.tolist() == [2.0, 20.0, 0.0]


BAD = {
    "shape": lambda g: g.sum(),
    "dtype": lambda g: g.astype("float32"),
    "array": lambda g: g.numpy(),
    "number": lambda g: 3.0,
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("make", [lambda x: x, lambda x: x * 1])
def test_what_a_hook_must_not_return(backend, kind, graph, make):
    x = leaf([1.0, 2.0])
    y = make(x)
    y.register_hook(BAD[kind])
    text = rf"hook on a tensor of shape \(2,\) must return None or .* float64 on '{backend}'; it r"
    with pytest.raises(TypeError, match=text):
        (y * 2).sum().backward(create_graph=graph)
    assert x.grad is None


def test_a_hook_must_stay_on_its_backend(register):
    register("other")
    x = leaf([1.0], backend="numpy")
    x.register_hook(lambda g: g.to("other"))
    with pytest.raises(TypeError, match=r"float64 on 'numpy'; it returned .* on 'other'"):
        (x * 2).sum().backward()


@pytest.mark.parametrize("wrap", [lambda f, x: f(x), mg.checkpoint])
def test_a_hook_that_raises(wrap):
    x = leaf([1.0])
    y = x * 2

    def hook(g):
        raise ZeroDivisionError

    remove = y.register_hook(hook)
    loss = wrap(lambda y: (y * y).sum(), y)
    with pytest.raises(ZeroDivisionError) as error:
        loss.backward(retain_graph=True)
    assert "This happened in a hook on a tensor of shape (1,)." in error.value.__notes__
    assert x.grad is None
    remove()
    loss.backward()
    assert x.grad.item() == 8


def test_hooks_run_once_in_each_sweep():
    x, calls = leaf([0.5, -0.25]), []
    x.register_hook(lambda g: calls.append(1))
    y = mg.sin(x)
    y.register_hook(lambda g: calls.append(2))
    slope = mg.grad((y * y * x).sum(), x, create_graph=True)
    assert sorted(calls) == [1, 2]
    mg.grad((slope * slope).sum(), x)
    assert sorted(calls) == [1, 1, 2, 2]
    mg.grad(mg.cos(y).sum(), y)
    assert sorted(calls) == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("transform", ["vjp", "jvp", "hvp", "jacobian", "hessian"])
def test_hooks_within_a_function_that_is_differentiated(transform):
    """A hook on a value within scales what flows through it, once per backward pass."""
    x, v = mg.tensor([0.3, -0.7], dtype="float64"), mg.tensor([1.0, 2.0], dtype="float64")

    def scaled(x, factor, hooked):
        y = mg.sin(x)
        if hooked:
            y.register_hook(lambda g: g * factor)
        else:
            y = y * factor + y.detach() * (1 - factor)  # the same value and the same derivative
        return (y * 3).sum() if transform in ("hvp", "hessian") else y * 3

    def run(hooked):
        f = lambda x: scaled(x, 5.0, hooked)  # noqa: E731
        derivative = getattr(mg, transform)
        result = derivative(f, x) if transform in ("jacobian", "hessian") else derivative(f, x, v)
        return result[1] if isinstance(result, tuple) else result

    assert np.allclose(run(True).numpy(), run(False).numpy())


# --- what enters a computation that is run again -------------------------------------------------


def second_order(build, create_graph):
    """The gradient after a hook that scales it, and how often the hook ran."""
    mg.manual_seed(0)
    wanted, loss = build()
    calls = []
    wanted.register_hook(lambda g: calls.append(g.numpy()) or g * 10)
    g = mg.grad(loss(), wanted, create_graph=create_graph)
    return g.numpy(), calls


def _recurrent(kind, name):
    def build():
        layer = kind(2, 3).double()
        xs = leaf(np.random.default_rng(0).standard_normal((4, 2, 2)))
        wanted = xs if name == "xs" else getattr(layer, name)
        return wanted, lambda: (layer(xs)[0] ** 2).sum()

    return build


def _fused_function(shared):
    @mg.fuse
    def f(x, k):
        return mg.tanh(x * k) * x

    def build():
        x = leaf(np.random.default_rng(1).standard_normal((4000, 8)))
        k = leaf(np.linspace(0.5, 2, 8))
        h = x * 1
        return (k if shared else h), lambda: f(h, k).sum()

    return build


RUN_AGAIN = {
    "GRU weight": _recurrent(GRU, "weight_hh_l0"),
    "LSTM bias": _recurrent(LSTM, "bias_ih_l0"),
    "LSTM input": _recurrent(LSTM, "xs"),
    "fused shared": _fused_function(shared=True),
    "fused rows": _fused_function(shared=False),
}


@pytest.mark.parametrize("name", RUN_AGAIN)
def test_hooks_of_what_enters_a_kernel(backend, name):
    first, second = (second_order(RUN_AGAIN[name], create) for create in (False, True))
    assert len(first[1]) == len(second[1]) == 1
    assert np.allclose(first[0], second[0]) and np.allclose(first[1][0], second[1][0])


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_of_what_enters_nested_checkpoints(backend, depth, create_graph):
    w, x, calls = leaf(3.0), leaf(2.0), []
    h = w * 1
    for t in (w, h):
        t.register_hook(lambda g: calls.append(g.item()) or g * 10)
    h.retain_grad()

    def f(x):
        return x * h + w * x

    def deeper(f):
        return lambda x: mg.checkpoint(f, x) + w * x

    for _ in range(depth):
        f = deeper(f)
    f(x).backward(create_graph=create_graph)
    n = depth + 1  # times that w is used, besides once by h
    assert calls == [2.0, 2.0 * n + 20] and h.grad.item() == 20
    assert w.grad.item() == 10 * (2.0 * n + 20) and x.grad.item() == 3 * (n + 1)


# --- retain_grad ---------------------------------------------------------------------------------


def test_retained_twice_is_once(backend):
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    loss = (y * 3).sum()
    loss.backward(retain_graph=True)
    assert y.grad.tolist() == [3.0, 3.0]
    loss.backward()  # it adds up over backward passes, as that of leaves does
    assert y.grad.tolist() == [6.0, 6.0]


@pytest.mark.parametrize("first", ["hook", "retain"])
def test_what_is_retained_comes_after_all_hooks(backend, first):
    x = leaf([1.0, 2.0])
    y = x * 2
    actions = [lambda: y.register_hook(lambda g: g * 5), y.retain_grad]
    for act in actions if first == "hook" else reversed(actions):
        act()
    y.register_hook(lambda g: g + 1)
    (y * 3).sum().backward()
    assert y.grad.tolist() == [16.0, 16.0] and x.grad.tolist() == [32.0, 32.0]


def test_retained_gradients_of_grad(backend):
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    z = (y * 3).sum()
    mg.grad(z, x, retain_graph=True)
    assert y.grad.tolist() == [3.0, 3.0] and x.grad is None
    y.grad = None
    assert mg.grad(z, y).tolist() == [3.0, 3.0] and y.grad.tolist() == [3.0, 3.0]


def test_a_leaf_has_its_gradient_anyway():
    x = leaf([1.0])
    x.retain_grad()
    (x * 3).sum().backward()
    assert x.grad.item() == 3


def test_what_requires_no_gradient_retains_none():
    with pytest.raises(RuntimeError, match=r"retain_grad\(\) needs a tensor that requires a grad"):
        mg.ones(2).retain_grad()
    with mg.no_grad(), pytest.raises(RuntimeError, match="requires a gradient"):
        (leaf([1.0]) * 2).retain_grad()


def test_a_retained_gradient_with_a_graph(backend):
    x = leaf([2.0])
    y = x * x
    y.retain_grad()
    (y * y).sum().backward(create_graph=True)
    assert mg.grad(y.grad.sum(), x).item() == 4 * 2  # 2 y = 2 x**2


SHARING = {
    "sum": lambda a, b: a + b,
    "reshape": lambda a, b: (a + b).reshape(2, 1),
    "stack": lambda a, b: mg.stack([a, b]),
    "concatenate": lambda a, b: mg.concatenate([a, b]),
    "itself": lambda a, b: a,
    "checkpoint": lambda a, b: mg.checkpoint(lambda a, b: a + b, a, b),
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("kind", SHARING)
@pytest.mark.parametrize("graph", [False, True])
def test_gradients_share_no_memory_with_anything(kind, graph):
    """Leaves', retained ones, those that hooks saw, gave and keep, and the caller's cotangent."""
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    p, q, kept = a * 1, b * 1, []
    constant = leaf([7.0, 8.0]).detach()
    for t in (p, q):
        t.retain_grad()
        t.register_hook(kept.append)
    a.register_hook(lambda g: kept.append(g) or g)
    b.register_hook(lambda g: constant)
    y = SHARING[kind](p, q)
    g = mg.ones(y.shape, dtype="float64")
    y.backward(g, create_graph=graph)
    tensors = [p.grad, q.grad, a.grad, b.grad, g, constant, *kept]
    found = [x._data for x in tensors if x is not None and x._node is None]
    for i, one in enumerate(found):
        assert not any(np.shares_memory(one, other) for other in found[:i])


def halve(g):
    g *= 0.5


def drop_first(g):
    g[0] = 0


def drop_first_by_array(g):
    g.data[0] = 0


def drop_first_of_detached(g):
    g.detach().data[0] = 0


def sum_up(g):
    g += g.sum()


def shift_twice(g):
    g -= 1
    g[0] += 3
    g /= 4


HOOK_EDITS = [halve, drop_first, sum_up, shift_twice]
WAYS = {"leaf": lambda x: x, "op": lambda x: x * 1, "part": lambda x: mg.split(x, 1)[0]}


@pytest.mark.parametrize("edit", HOOK_EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("within", ["checkpoint", "no_grad", "enable_grad"])
def test_edits_of_what_a_hook_sees_count(backend, edit, way, within):
    """As if it had returned the edited gradient; and nothing else is edited."""
    rng, found = np.random.default_rng(0), []

    def returning(g):
        edited = mg.tensor(g.numpy(), backend=g.backend)
        with mg.no_grad():
            edit(edited)
        return edited

    for hook in (edit, returning):
        x, b = leaf(rng.standard_normal(3)), leaf([3.0, 4.0, 5.0])
        g = mg.tensor([0.5, -2.0, 3.0], dtype="float64")

        def f(x, hook=hook, b=b):
            y = WAYS[way](x)
            y.register_hook(hook)
            return y + b

        z = mg.checkpoint(f, x) if within == "checkpoint" else f(x)
        with mg.no_grad() if within == "no_grad" else mg.enable_grad():
            z.backward(g)
        assert b.grad.tolist() == g.tolist() == [0.5, -2.0, 3.0]
        assert type(x.grad) is mg.Tensor
        found.append(x.grad.numpy())
    assert np.array_equal(*found) and not np.array_equal(found[0], [0.5, -2.0, 3.0])


def test_edits_of_hooks_at_second_order(backend):
    """What an edit computes is a part of the graph, as what a hook returns."""
    found = []
    for hook in (sum_up, lambda g: g + g.sum()):
        x, v = leaf([0.3, -0.7]), mg.tensor([1.0, 2.0], dtype="float64")
        y = mg.sin(x)
        y.register_hook(hook)
        slope = mg.grad((y * y * y).sum(), x, create_graph=True)
        found.append((slope.numpy(), mg.grad((slope * v).sum(), x).numpy()))
    assert all(np.allclose(a, b) for a, b in zip(*found, strict=True))


def test_an_edit_of_hooks_that_the_graph_can_not_follow(backend):
    x = leaf([0.3, -0.7])
    y = mg.sin(x)
    y.register_hook(drop_first)
    with pytest.raises(RuntimeError, match=r"once they are in a graph.*Build a new one") as error:
        mg.grad((y * y).sum(), x, create_graph=True)
    assert "This happened in a hook on a tensor of shape (2,)." in error.value.__notes__


def test_edits_of_hooks_are_those_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    found = []
    for m in (mg, torch):
        x = m.tensor([1.0, -2.0, 3.0], requires_grad=True)
        y = x * x
        for t in (y, x):
            for edit in (halve, drop_first, sum_up, shift_twice):
                t.register_hook(edit)
        (y * y).sum().backward()
        found.append(x.grad.numpy())
    assert np.allclose(*found)


def test_an_edited_copy_in_a_hook_is_an_error(backend):
    def edit(g):
        g.numpy()[0] = 0

    for y in (x := leaf([1.0, 2.0]), x * 1):
        with (
            y.register_hook(edit),
            pytest.raises(
                RuntimeError, match=r"edited g.numpy\(\), which is .* Return the new grad"
            ),
        ):
            (y * 2).sum().backward()
    assert x.grad is None


def test_copies_in_a_hook_that_do_no_harm(backend):
    """Read, edited where a gradient is returned, copied again, and edited later."""
    x, kept = leaf([1.0, np.nan]), []

    def look(g):
        kept.append(g)
        g.numpy().copy()[0] = 9
        assert g.tolist()[0] == 3
        kept.append(g.numpy())

    def give(g):
        array = g.numpy()
        array *= 2
        return mg.tensor(array, backend=g.backend)

    x.register_hook(look)
    x.register_hook(give)
    x.register_hook(lambda g: g)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [6.0, 6.0] and type(x.grad) is mg.Tensor
    seen, array = kept
    array[0] = 7
    seen[0] = 8
    seen.numpy()[0] = 9
    assert seen.tolist() == [8.0, 3.0] and x.grad.tolist() == [6.0, 6.0]
    assert copy.copy(seen).tolist() == [8.0, 3.0] and type(copy.copy(seen)) is mg.Tensor


def test_a_buffer_that_a_hook_fills(backend):
    net, x = mg.nn.Module(), leaf([1.0, 2.0])
    net.seen = mg.nn.Buffer(np.zeros(2))
    x.register_hook(lambda g: setattr(net, "seen", g))
    (x * 3).sum().backward()
    assert type(net.seen) is mg.nn.Buffer and net.seen.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("way", ["remove", "call", "with", "error in with"])
def test_handles(backend, way):
    x = leaf([1.0])
    handle = x.register_hook(lambda g: g * 10)
    if way == "remove":
        handle.remove()
        handle.remove()
    elif way == "call":
        handle()
        handle()
    else:
        with suppress(ZeroDivisionError), handle as entered:
            assert entered is handle
            (x * 3).sum().backward()
            assert x.grad.item() == 30
            x.grad = None
            if way != "with":
                raise ZeroDivisionError
    (x * 3).sum().backward()
    assert x.grad.item() == 3


def test_handles_make_no_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0])
        hook = lambda g: g * 2  # noqa: E731
        handle = x.register_hook(hook)
        kept = weakref.ref(hook)
        del hook, x
        assert kept() is not None
        del handle
        assert kept() is None
    finally:
        gc.enable()


def test_retaining_makes_no_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = x * 2
        y.retain_grad()
        loss = (y * 3).sum()
        array, alive = weakref.ref(y._data), weakref.ref(y)
        loss.backward()
        del y
        assert alive() is None and array() is None
        y = x * 2
        y.retain_grad()
        node, loss = weakref.ref(y._node), (y * 3).sum()
        del y, loss
        assert node() is None
    finally:
        gc.enable()


def test_a_tensor_that_is_gone_keeps_nothing():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    loss = (y * 3).sum()
    del y
    loss.backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_hooks_of_threads_do_not_meet():
    x, found = leaf([1.0]), {}

    def work(i):
        y = x * i
        y.retain_grad()
        y.register_hook(lambda g: g * i)
        for _ in range(10):
            mg.grad((y * 2).sum(), x, retain_graph=True)
        found[i] = y.grad.item()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: 20.0 * i for i in range(1, 5)}


# --- leaves that are frozen ----------------------------------------------------------------------


FREEZE = {
    "attribute": lambda w, on: setattr(w, "requires_grad", on),
    "method": lambda w, on: w.requires_grad_(on),
}


@pytest.mark.parametrize("way", FREEZE)
@pytest.mark.parametrize("wrap", [lambda f, *x: f(*x), mg.checkpoint])
def test_a_leaf_that_is_frozen_after_the_forward_pass(backend, way, wrap):
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for turn in range(2):
        loss = wrap(lambda x: (x * w).sum(), x)
        FREEZE[way](w, False)
        x.grad = None
        loss.backward()
        assert w.grad is None and x.grad.tolist() == [1.0, 2.0] and turn < 2
        FREEZE[way](w, True)
    wrap(lambda x: (x * w).sum(), x).backward()
    assert w.grad.tolist() == [3.0, 4.0]


def test_a_leaf_that_is_frozen_and_free_again():
    """It is the same leaf in graphs from before, meanwhile and after; its hooks stay."""
    w, calls = leaf([1.0, 2.0]), []
    w.register_hook(lambda g: calls.append(g.tolist()) or g * 2)
    before = w * 2
    w.requires_grad = False
    meanwhile = w * 5
    w.requires_grad = True
    y = (before + meanwhile + w * 3).sum()
    assert mg.grad(y, w, retain_graph=True).tolist() == [10.0, 10.0]
    y.backward()
    assert w.grad.tolist() == [10.0, 10.0] and calls == [[5.0, 5.0]] * 2


def test_a_frozen_model_is_not_moved(backend):
    layer = mg.nn.Linear(2, 1)
    optimizer = mg.optim.SGD(layer.parameters(), lr=1.0)
    y = layer(mg.ones((1, 2))).sum()
    layer.requires_grad_(False)
    before = layer.weight.numpy()
    y.backward()
    optimizer.step()
    assert layer.weight.grad is None and np.array_equal(layer.weight.numpy(), before)
    layer.bias.requires_grad = True
    layer(mg.ones((1, 2))).sum().backward()
    optimizer.step()
    assert np.array_equal(layer.weight.numpy(), before) and layer.bias.grad.tolist() == [1.0]


def test_an_old_gradient_of_a_frozen_parameter_counts():
    """As in PyTorch: an optimiser asks for `.grad` alone."""
    w = leaf([1.0])
    optimizer = mg.optim.SGD([w], lr=1.0)
    (w * 3).sum().backward()
    w.requires_grad_(False)
    optimizer.step()
    assert w.item() == -2


def test_a_model_that_is_converted_between_the_passes():
    layer = mg.nn.Linear(2, 1)
    layer.weight.register_hook(lambda g: g * 2)
    y = layer(mg.ones((1, 2), dtype="float32")).sum()
    layer.double()
    with pytest.raises(RuntimeError, match=r"was float32 on '\w+' in the forward pass, and is fl"):
        y.backward()
    assert layer.weight.grad is None
    layer(mg.ones((1, 2), dtype="float64")).sum().backward()
    assert layer.weight.grad.tolist() == [[2.0, 2.0]]
