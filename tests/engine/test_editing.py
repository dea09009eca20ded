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
        lambda: (w * 1).reshape(2, 2),
        lambda: (w * 1)[:],
        lambda: mg.flip(w),
        lambda: w[[0, 1]],
    ]
    makers += [lambda: w.reshape(2, 2), lambda: w[:]] if grad_mode is mg.enable_grad else []
    makers[1:2] = makers[1:2] if grad_mode is mg.enable_grad else []
    with grad_mode():
        for make in makers:
            x = make()
            other, before = x, x.numpy()
            x = IN_PLACE[sign](x, y)
            assert x is not other and np.array_equal(other.numpy(), before)
            assert np.allclose(x.numpy(), PLAIN[sign](before, np.ones((2, 2))))
            assert x.requires_grad is mg.is_grad_enabled()


# --- views ---------------------------------------------------------------------------------------

VIEWS = {
    "reshape": lambda w: w.reshape(4),
    "expand_dims": lambda w: mg.expand_dims(w, 0),
    "squeeze": lambda w: mg.squeeze(w[:1]),
    "T": lambda w: w.T,
    "mT": lambda w: w.mT,
    "transpose": lambda w: w.transpose(1, 0),
    "swapaxes": lambda w: w.swapaxes(0, 1),
    "moveaxis": lambda w: mg.moveaxis(w, 0, 1),
    "flatten": lambda w: w.flatten(),
    "broadcast_to": lambda w: mg.broadcast_to(w, (3, 2, 2)),
    "index": lambda w: w[0],
    "slice": lambda w: w[:, 1:],
    "ellipsis": lambda w: w[...],
    "new axis": lambda w: w[None],
    "twice": lambda w: w.T[0],
    "split": lambda w: mg.split(w, 2)[1],
    "unstack": lambda w: mg.unstack(w)[0],
    "iteration": lambda w: next(iter(w)),
    "detached": lambda w: w.detach().reshape(4),
}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("sign", ["+", "*", "/", "**"])
@pytest.mark.parametrize("made_within", [True, False])
def test_views_are_not_edited_alone(backend, kind, sign, made_within):
    """PyTorch's would change w, too."""
    for w in (leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[1.0, 2.0], [3.0, 4.0]]).detach()):
        with mg.no_grad() if made_within else mg.enable_grad():
            v = VIEWS[kind](w)
        before = v.numpy()
        text = rf"x \{sign[0]}\S*= y within no_grad\(\), and x \(shape .*\) is a view of anoth"
        with mg.no_grad(), pytest.raises(RuntimeError, match=text) as error:
            IN_PLACE[sign](v, 2.0)
        assert f"w[0, 1:] {sign}= y" in str(error.value)
        with pytest.raises(TypeError, match=r"x alone would change, where PyTorch|in a graph"):
            v[0] = 5.0
        with pytest.raises(TypeError, match=r"x alone would change, where PyTorch|in a graph"):
            v[0] += 5.0
        assert np.array_equal(v.numpy(), before) and w.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_views_under_other_names(backend):
    w, held, views = leaf([[1.0, 2.0], [3.0, 4.0]]), {}, []
    held["row"] = w[0]
    views.append(w[0])
    view = w[0]

    class Holder:
        row = w[0]

    with mg.no_grad():
        for _ in range(2):
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                held["row"] += 1
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                views[0] += 1
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                view += 1
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                Holder.row += 1
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                for row in w:
                    row += 1
            with pytest.raises(RuntimeError, match="is a view of another tensor"):
                w[0].__iadd__(1)
    assert w.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_parts_that_are_edited_by_one_index(backend):
    w, names = leaf(np.arange(1.0, 13).reshape(3, 4)), {"w": [leaf(np.ones((2, 2)))]}
    expected, other = w.numpy(), np.ones((2, 2))
    with mg.no_grad():
        for array, x in ((expected, w), (other, names["w"][0])):
            array[0] += 5
            array[:, 1:] *= 2
            array[-1, 0] -= 1
            array[..., 0] /= 4
            array[array > 8] = 1
            if x is w:
                w[0] += 5
                w[:, 1:] *= 2
                w[-1, 0] -= 1
                w[..., 0] /= 4
                w[w > 8] = 1
            else:
                names["w"][0][0] += 5
                names["w"][0][:, 1:] *= 2
                names["w"][0][-1, 0] -= 1
                names["w"][0][..., 0] /= 4
                names["w"][0][names["w"][0] > 8] = 1
            assert np.array_equal(x.numpy(), array)


def test_with_gradients_on_a_view_becomes_a_new_tensor(backend):
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    a = w[0]
    a += 1
    a *= w[1]
    assert w.tolist() == [[1.0, 2.0], [3.0, 4.0]] and a.tolist() == [6.0, 12.0]
    assert mg.grad(a.sum(), w).tolist() == [[3.0, 4.0], [2.0, 3.0]]


def test_views_that_nothing_else_sees_are_free(backend):
    w = leaf([[1.0, 2.0], [3.0, 4.0]])
    with mg.no_grad():
        h = (w * 2).reshape(4)
        h += 1
        h[0] = 7
        row = mg.unstack(w * 2)[1]
        row *= 2
        part = (w @ w)[0]
        part -= 1
        assert h.tolist() == [7.0, 5.0, 7.0, 9.0] and row.tolist() == [12.0, 16.0]
        assert part.tolist() == [6.0, 9.0]


STEPS = {
    "reshape": (lambda m, x: x.reshape(-1), True),
    "rows": (lambda m, x: x.reshape(2, -1), True),
    "T": (lambda m, x: x.T if x.ndim == 2 else x, True),
    "first": (lambda m, x: x[0] if x.ndim > 1 else x, True),
    "slice": (lambda m, x: x[..., 1:] if x.shape[-1] > 1 else x, True),
    "pairs": (lambda m, x: x[..., ::2], True),
    "new axis": (lambda m, x: x[:, None] if x.ndim < 3 else x, True),
    "wide": (lambda m, x: m.broadcast_to(x, (2, *x.shape)) if x.ndim < 3 else x, True),
    "part": (lambda m, x: m.split(x, len(x))[0], True),
    "flip": (lambda m, x: mg.flip(x, 0) if m is mg else m.flip(x, (0,)), False),
    "copy": (lambda m, x: x * 1, False),
    "list": (lambda m, x: x[[0]], False),
}
EDITS = {
    "+=": lambda v: operator.iadd(v, 3.0),
    "*=": lambda v: operator.imul(v, 2.0),
    "-= of itself": lambda v: operator.isub(v, v * 0.5),
    "[0] =": lambda v: operator.setitem(v, 0, 7.0),
    "[...] =": lambda v: operator.setitem(v, ..., 7.0),
}


@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=4),
    edits=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=3),
    requires_grad=st.booleans(),
    drops=st.booleans(),
)
def test_edits_are_those_of_torch_or_errors(backend, steps, edits, requires_grad, drops):
    """Whatever was edited: what it was made of is as in PyTorch, or there was an error."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    start, found, refused = np.arange(1.0, 9).reshape(2, 4), [], False
    for m in (mg, torch):
        w = m.tensor(start, requires_grad=requires_grad)
        chain = [w]
        with m.no_grad():
            for step in steps:
                chain.append(STEPS[step][0](m, chain[-1]))
            v = chain[-1]
            if drops:
                del chain[1:]
            for edit in edits:
                try:
                    result = EDITS[edit](v)
                except (mg.ops.editing.EditError, RuntimeError):
                    refused = True
                    break
                v = v if result is None else result
        found.append((w.detach().numpy(), v.detach().numpy()))
    is_view = [STEPS[step][1] for step in steps]
    if refused:
        assert any(is_view)
        assert np.array_equal(found[0][0], start)
    else:
        assert all(np.allclose(a, b) for a, b in zip(*found, strict=True))


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


class Scale:
    def __init__(self, w):
        self.w = w

    @mg.fuse
    def __call__(self, x):
        w = self.w
        w *= x
        return w + 1


@mg.fuse
def scaled_in_a_list(xs, k):
    x = xs[0]
    x *= k
    return x + 1


@mg.fuse
def scaled_in_a_view(x, k):
    y = x.reshape(x.shape)
    y *= k
    return y + 1


@mg.fuse
def scaled_and_given(x, k):
    y = x
    y *= k
    return x, y + 1


IN_FUNCTIONS = {
    "argument": lambda x, k: scaled_and_given(x, k)[1],
    "keyword": lambda x, k: scaled_and_given(k=k, x=x)[1],
    "list": lambda x, k: scaled_in_a_list([x], k),
    "view": scaled_in_a_view,
    "object": lambda x, k: Scale(x)(k + x * 0),
}


@pytest.mark.parametrize("way", IN_FUNCTIONS)
@pytest.mark.parametrize("rows", [3, 4000])
@pytest.mark.parametrize("kind", ["leaf", "plain", "parameter", "result"])
@pytest.mark.parametrize("grad_mode", [mg.no_grad, mg.enable_grad])
def test_fused_functions_edit_nothing_that_they_reach(backend, way, rows, kind, grad_mode):
    """Composed and by a kernel alike, at each order."""
    before = np.random.default_rng(0).standard_normal((rows, 8))
    x = leaf(before)
    x = {"plain": x.detach(), "parameter": mg.nn.Parameter(x), "result": x * 1}.get(kind, x)
    k = mg.tensor(np.linspace(0.5, 2, 8))
    with grad_mode():
        y = IN_FUNCTIONS[way](x, k)
    assert np.allclose(y.numpy(), before * k.numpy() + 1) and np.array_equal(x.numpy(), before)
    if y.requires_grad:
        (slope,) = mg.grad((y * y).sum(), [x], create_graph=True)
        assert np.allclose(slope.numpy(), 2 * (before * k.numpy() + 1) * k.numpy())
        assert np.allclose(mg.grad(slope.sum(), x).numpy(), 2 * k.numpy() ** 2 + before * 0)


@pytest.mark.parametrize("rows", [3, 4000])
def test_an_argument_that_a_fused_function_returns(backend, rows):
    x, k = mg.tensor(np.ones((rows, 8))), mg.tensor(np.full(8, 2.0))
    with mg.no_grad():
        given, y = scaled_and_given(x, k)
        given *= 3
        given[0] = 5
        y -= 1
    assert x.numpy().max() == 1 and given.numpy().max() == 5 and y.numpy().max() == 2


def item_of_input(p, x, h):
    x[0] = 1.0
    return x + h, h


def item_of_state(p, x, h):
    h[0] = 1.0
    return x + h, h


def edit_of_parameter(p, x, h):
    p *= 2.0
    h = h + x * p
    return h, h


def kept_state(p, x, h):
    return x + h, h


@pytest.mark.parametrize("cell", [item_of_input, item_of_state])
@pytest.mark.parametrize("fused", ["0", "1"])
def test_cells_do_not_set_items_of_what_they_are_given(backend, cell, fused, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", fused)
    x, h = mg.ones((4, 3, 2)) * 2, mg.zeros((3, 2))
    with pytest.raises(RuntimeError, match="or an argument of a cell: x alone would change"):
        mg.scan(cell, mg.ones(2), x, h)
    assert x.numpy().min() == 2 and h.numpy().max() == 0


@pytest.mark.parametrize("fused", ["0", "1"])
@pytest.mark.parametrize("grad_mode", [mg.no_grad, mg.enable_grad])
def test_cells_edit_no_parameters(backend, fused, grad_mode, monkeypatch):
    monkeypatch.setenv("MINIGRAD_FUSED", fused)
    p, x, h = leaf([1.0, 2.0]), leaf(np.ones((3, 2, 2))), leaf(np.zeros((2, 2)))
    with grad_mode():
        _, last = mg.scan(edit_of_parameter, p, x, h)
    assert last.tolist() == [[6.0, 12.0]] * 2 and p.tolist() == [1.0, 2.0]
    with mg.no_grad():
        _, last = mg.scan(kept_state, p, x, h)
        last += 1
        last[0] = 4
        empty = mg.scan(kept_state, p, x[:0], h)[1]
        empty += 1
    assert h.numpy().max() == 0 and last.tolist() == [[4.0, 4.0], [1.0, 1.0]]


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
