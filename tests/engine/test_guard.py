"""Random programs of saves and edits: every edit is noticed or harmless, and nothing else is."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.engine import inplace, lending

FUNCTIONS = {
    "product": lambda a, b: a * b,
    "square": lambda a, b: a * a + b,
    "exp": lambda a, b: mg.exp(a) * b,
    "matmul": lambda a, b: a @ b,
    "transposed": lambda a, b: a.T * b.T,
    "views": lambda a, b: a[1:] ** 3 * b[:-1],
    "reshaped": lambda a, b: a.reshape(-1) * b.T.reshape(-1),
    "rows": lambda a, b: sum(row * row for row in mg.unstack(a)) + mg.split(b, 3)[1],
    "where": lambda a, b: mg.where(a > b, a * b, a),
    "unsaved": lambda a, b: a + b - 1,
    "checkpoint": lambda a, b: mg.checkpoint(lambda a, b: mg.tanh(a) * b, a, b),
    "scan": lambda a, b: mg.scan(lambda p, x, h: (h * x, h * p), b[0], a[:, None], b[:1])[0],
}

VIEWS = {
    "itself": lambda x: x.data,
    "slice": lambda x: x.data[1:],
    "transposed": lambda x: x.data.T,
    "reshaped": lambda x: x.data.reshape(9),
    "a view's view": lambda x: x.data[::-1].T[1:],
    "detached": lambda x: x.detach().data,
    "of a tensor that is a view": lambda x: x.detach().reshape(9).data,
    "of a part": lambda x: mg.unstack(x.detach())[1].data,
}

HOST_VIEWS = {
    "asarray": lambda x: np.asarray(x.data),
    "memoryview": lambda x: np.asarray(memoryview(x.data)),
    "strided": lambda x: np.lib.stride_tricks.sliding_window_view(x.data, 2, 0, writeable=True),
    "ravel": lambda x: x.data.ravel(),
    "flat": lambda x: x.data.flat.base,
    "a matrix": lambda x: x.data.view(np.recarray),
}


def add(view):
    view += 1


def assign(view):
    view[...] = view[...] * 3


def one(view):
    view[-1:] = 7


EDITS = {"add": add, "assign": assign, "one": one}
HOST_EDITS = {
    "copyto": lambda view: np.copyto(view, 5),
    "out": lambda view: np.negative(view, out=view),
    "swap": lambda view: view.__setitem__(slice(None), view[::-1].copy()),
    "nothing": lambda view: np.copyto(view, view.copy()),
}


class Graph:
    """A result, what its gradients have to be, and what its inputs were."""

    def __init__(self, function, xs):
        def run(xs):
            y = function(*xs)
            return mg.sum(y * y)

        copies = [mg.tensor(x.numpy(), requires_grad=True) for x in xs]
        self.right = [g.numpy() for g in mg.grad(run(copies), copies, create_graph=True)]
        self.inputs = list(xs)
        self.y = run(xs)
        # Weakly: an array that is referred to from elsewhere is guarded in another way.
        self.arrays = [weakref.ref(x._data) for x in xs]
        self.were = [x.numpy() for x in xs]

    def changed(self):
        """Whether an array that went in holds other numbers now."""
        to_host = self.y.backend.to_host
        pairs = [(array(), were) for array, were in zip(self.arrays, self.were, strict=True)]
        return any(a is not None and (to_host(a) != were).any() for a, were in pairs)

    def check(self, create_graph):
        """The right gradients, or an error if something was edited."""
        changed = self.changed()
        try:
            found = mg.grad(
                self.y, self.inputs, retain_graph=True, create_graph=create_graph, allow_unused=True
            )
            found = [g.numpy() for g in found]
        except RuntimeError as error:
            assert "edited in place" in str(error)
            assert changed, "an error though nothing was edited"
            return
        for mine, right in zip(found, self.right, strict=True):
            np.testing.assert_array_equal(mine, right)


def program(data, on_host):
    """One random program."""
    views = {**VIEWS, **(HOST_VIEWS if on_host else {})}
    edits = {**EDITS, **(HOST_EDITS if on_host else {})}
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    xs = [mg.tensor(rng.integers(1, 9, (3, 3)) / 8, requires_grad=True) for _ in range(2)]
    graphs, held = [], []
    draw = data.draw
    for _ in range(draw(st.integers(2, 12))):
        x = xs[draw(st.integers(0, 1))]
        what = draw(st.sampled_from(["save", "save", "edit", "edit", "hold", "drop", "assign"]))
        if what == "save":
            graphs.append(Graph(FUNCTIONS[draw(st.sampled_from(sorted(FUNCTIONS)))], xs))
        elif what == "hold":
            held.append(views[draw(st.sampled_from(sorted(views)))](x))
        elif what == "edit":
            edit = edits[draw(st.sampled_from(sorted(edits)))]
            if held and draw(st.booleans()):
                edit(held[draw(st.integers(0, len(held) - 1))])
            else:
                edit(views[draw(st.sampled_from(sorted(views)))](x))
            if graphs and draw(st.booleans()):  # and back to what it was
                graph = graphs[draw(st.integers(0, len(graphs) - 1))]
                for a, were in zip(graph.inputs, graph.were, strict=True):
                    a.data[...] = mg.tensor(were)._data
        elif what == "drop":
            held.clear()
        elif what == "assign":
            assign_data(draw(st.integers(0, 7)), xs, x, held)
        if graphs and draw(st.integers(0, 3)) == 0:
            graph = graphs[draw(st.integers(0, len(graphs) - 1))]
            graph.check(draw(st.booleans()))
            if draw(st.booleans()):
                graphs.remove(graph)
    for graph in graphs:
        graph.check(draw(st.booleans()))


def assign_data(way, xs, x, held):
    if way == 0:
        x.data -= x.data * 0.5
    elif way == 1:
        x.data = x.data * 2
    elif way == 2:
        x.data = x * 0.5
    elif way in (3, 7):
        held.append(x.data + 1)  # the user has it still, or a view of it
        x.data = held[-1]
        held[-1] = held[-1][way == 3 :]
    elif way == 4:
        xs[0].data, xs[1].data = xs[1].data, xs[0].data
    elif way == 5:
        xs[0].data = xs[1].data
    else:
        x.data = (x.data + 0.5).T


@settings(max_examples=150)
@given(st.data())
def test_every_edit_is_noticed_or_harmless(backend, data):
    if backend == "strict":
        pytest.skip("its arrays can't be edited by an index")
    program(data, backend in ("numpy", "numba"))


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.usefixtures("on_numpy")
def test_with_few_contents_kept(monkeypatch, kept, data):
    """What was forgotten counts as edited; so only errors that are none are left out."""
    monkeypatch.setattr(inplace, "MOST_KEPT", kept)
    monkeypatch.setattr(inplace, "MOST_LOANS", kept)
    monkeypatch.setattr(Graph, "changed", lambda graph: True)
    program(data, True)


@settings(max_examples=60)
@given(st.data())
@pytest.mark.usefixtures("on_numpy")
def test_without_counts_of_references(monkeypatch, data):
    with monkeypatch.context() as patch:
        patch.setattr(lending, "_references", None)
        program(data, True)


@pytest.mark.usefixtures("on_numpy")
def test_what_is_lent_is_the_backends_own_array():
    x = mg.tensor(np.arange(6.0).reshape(2, 3))
    for y in (x, x.T, x[:, ::2], mg.broadcast_to(x[0], (4, 3)), mg.zeros((0, 3)), mg.ones(())):
        array = y.data
        assert type(array) is np.ndarray and array.dtype == y.dtype
        assert array.shape == y._data.shape and np.shares_memory(array, y._data) == (y.size > 0)
        assert array.size == 0 or array.strides == y._data.strides
        assert array.flags.writeable == y._data.flags.writeable
    x.data[0, 0] = 7
    assert x.tolist()[0][0] == 7
    own = x._data
    x.data -= 1
    assert x._data is own and x.tolist()[0][0] == 6


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "bool", ">f4"])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "empty"])
def test_every_dtype_and_layout(dtype, layout):
    array = np.zeros((0, 3) if layout == "empty" else (3, 5), dtype)
    array = np.asfortranarray(array) if layout == "F" else array
    x = mg.ones(array[::2, ::-2].shape if layout == "strided" else array.shape, dtype)
    x.data = array[::2, ::-2] if layout == "strided" else array
    w = mg.ones((), requires_grad=True)
    y = (w * x).sum()
    view = x.data
    if view.size:
        view[-1] = 1
        with pytest.raises(RuntimeError, match="edited in place"):
            y.backward()
    else:
        y.backward()


@pytest.mark.usefixtures("on_numpy")
def test_an_assigned_array_is_the_users_as_long_as_it_is_held():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    flat = np.zeros(4, "float32")
    x.data = flat[1:3]
    flat[1] = 5
    assert x.tolist() == [5.0, 0.0]  # shared, not copied
    y = (x * x).sum()
    flat[:] = 7
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()
    y = (x * x).sum()
    del flat
    y.backward()
    assert x.grad.tolist() == [14.0, 14.0]
    assert not inplace._editable or mg.ones(1) is not None


@pytest.mark.usefixtures("on_numpy")
def test_memory_of_others_is_theirs_for_good():
    block = bytearray(16)
    x = mg.tensor([1.0, 2.0], requires_grad=True, dtype="float64")
    x.data = np.frombuffer(block)
    x.data += 3
    y = (x * x).sum()
    block[7] ^= 1
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


@pytest.mark.usefixtures("on_numpy")
def test_an_edit_in_a_hook_and_in_another_thread():
    def edit():
        x.data += 1

    def in_a_thread():
        thread = threading.Thread(target=edit)
        thread.start()
        thread.join()

    for how in (edit, in_a_thread):
        x = mg.tensor([1.0, 2.0], requires_grad=True)
        z = mg.exp(x * x) * 2
        z.register_hook(lambda g, how=how: how())
        with pytest.raises(RuntimeError, match="edited in place"):
            z.sum().backward()


def test_what_was_lent_is_forgotten():
    gc.collect()
    x = mg.ones(3)
    for _ in range(1000):
        assert x.data is not None
    assert len(inplace._loans) <= inplace.MOST_LOANS
    assert (x * 2).data is not None
    mg.ones(1) * 2
    if x.backend.name != "strict":
        assert not inplace._loans and not inplace._memories
