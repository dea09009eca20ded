"""Tied weights: counted once, saved and loaded under each name; copies keep ties and gradients."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.utils.install import install_line


class Model(nn.Module):
    """A language model's two tables are one, and so are two of its layers."""

    def __init__(self):
        self.table = nn.Embedding(5, 3)
        self.layers = [nn.Linear(3, 3), nn.LayerNorm(3)]
        self.layers.append(self.layers[0])
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.table.weight
        self.scale = nn.Buffer([2.0])
        self.same = self.scale

    def forward(self, indices):
        x = self.table(indices) * self.same
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


FIRST = ["table.weight", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
NAMES = ["scale", "same", *FIRST, "layers.2.weight", "layers.2.bias", "head.weight"]
TIES = [
    {"scale", "same"},
    {"table.weight", "head.weight"},
    {"layers.0.weight", "layers.2.weight"},
    {"layers.0.bias", "layers.2.bias"},
]


def test_tied_weights_count_once_and_are_saved_under_each_name():
    model = Model()
    assert [name for name, _ in model.named_parameters()] == FIRST
    assert [name for name, _ in model.named_buffers()] == ["scale"]
    state = model.state_dict()
    assert list(state) == NAMES
    for tie in TIES:
        a, b = (state[name] for name in tie)
        assert a is b  # one copy: whoever edits it under one name edits it under the other


@pytest.mark.parametrize("left_out", [[], ["head.weight"], ["table.weight", "same"]])
def test_a_state_needs_one_of_the_names(left_out):
    model, other = Model(), Model()
    state = {name: array for name, array in model.state_dict().items() if name not in left_out}
    assert other.load_state_dict(state) == ([], [])
    assert other.head.weight is other.table.weight
    indices = [[1, 4, 0]]
    np.testing.assert_array_equal(model(indices).numpy(), other(indices).numpy())


def test_a_state_without_any_of_the_names_lacks_the_first():
    model = Model()
    state = model.state_dict()
    for name in ("head.weight", "table.weight"):
        del state[name]
    with pytest.raises(ValueError, match=r"missing: table\.weight$"):
        model.load_state_dict(state)
    assert model.load_state_dict(state, strict=False) == (["table.weight"], [])


def test_values_that_differ_are_refused_and_nothing_is_loaded():
    model, before = Model(), Model()
    model.load_state_dict(before.state_dict())
    state = {name: array + 1 for name, array in model.state_dict().items()}
    state["head.weight"] = state["head.weight"] * 2
    state["same"] = [np.nan]
    with pytest.raises(ValueError, match="nothing was loaded") as error:
        model.load_state_dict(state, strict=False)
    assert str(error.value).split("\n")[1:] == [
        "  different values: scale and same are one tensor of the module (tied), and two in the "
        "state",
        "  different values: table.weight and head.weight are one tensor of the module (tied), "
        "and two in the state",
    ]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before.state_dict()[name])
    state = model.state_dict() | {"scale": [np.nan], "same": [np.nan]}
    model.load_state_dict(state)  # what is NaN in both places agrees


def test_a_file_has_both_names(tmp_path):
    pytest.importorskip("safetensors", reason=f"no safetensors; {install_line('learn')}")
    model, other = Model(), Model()
    mg.save(tmp_path / "tied.safetensors", model.state_dict())
    state = mg.load(tmp_path / "tied.safetensors")
    assert set(state) == set(NAMES)
    assert other.load_state_dict(state) == ([], [])
    state["table.weight"] += 1
    with pytest.raises(ValueError, match=r"table\.weight and head\.weight are one tensor"):
        other.load_state_dict(state)


def test_a_step_moves_both(backend):
    model = Model()
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    mg.cross_entropy(model([1, 2]), [0, 3]).backward()
    optimizer.step()
    state = model.state_dict()
    for a, b in TIES:
        np.testing.assert_array_equal(state[a], state[b])


def test_gradients_of_both_places_add_up(backend):
    """Of the first and of the second order; against a model of two tables with the same numbers."""
    model, twice = Model().double(), Model().double()
    twice.load_state_dict(model.state_dict())
    twice.head.weight = nn.Parameter(model.table.weight.numpy())
    report = mg.gradcheck(lambda w: loss_of(model, w), mg.randn((5, 3), dtype="float64"), order=2)
    assert report, report
    (g,) = mg.grad([loss(model)], [model.table.weight])
    parts = mg.grad([loss(twice)], [twice.table.weight, twice.head.weight])
    np.testing.assert_allclose(g.numpy(), sum(part.numpy() for part in parts), rtol=1e-12)
    assert mg.gradcheck(model, ([[1, 4, 0]],), order=2)


def loss(model):
    return mg.cross_entropy(model([1, 2, 2]), [0, 3, 1])


def loss_of(model, w):
    """As a function of the tied weight."""
    table, head, same = model.table, model.head, model.same
    x = mg.embedding([1, 2, 2], w, table.padding_idx) * same
    for layer in model.layers:
        x = layer(x)
    return mg.cross_entropy(mg.linear(x, w, head.bias), [0, 3, 1])


def test_a_step_is_taken_once(backend):
    """With momentum and decay, which would tell two steps from one."""
    model = Model().double()
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    w = model.table.weight.numpy()
    kept = 0
    for _ in range(3):
        model.zero_grad()
        loss(model).backward()
        kept = 0.9 * kept + model.head.weight.grad.numpy() + 0.1 * w
        w = w - 0.1 * kept
        optimizer.step()
        np.testing.assert_allclose(model.head.weight.numpy(), w, rtol=1e-12)
    with pytest.raises(ValueError, match=r"twice"):
        mg.optim.SGD([model.table.weight, model.head.weight], lr=0.1)


# --- names in graphs of modules ------------------------------------------------------------------


class Node(nn.Module):
    def __init__(self):
        self.w = nn.Parameter([1.0])


EDGES = st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 5))


@given(edges=st.lists(EDGES, max_size=9))
def test_names_are_pytorchs_where_modules_form_no_circle(edges):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(1))

    ours, theirs = [Node() for _ in range(6)], [Theirs() for _ in range(6)]
    for start, name, end in edges:
        if start < end:
            setattr(ours[start], name, ours[end])
            setattr(theirs[start], name, theirs[end])
    assert list(ours[0].state_dict()) == list(theirs[0].state_dict())
    assert [n for n, _ in ours[0].named_parameters()] == [
        n for n, _ in theirs[0].named_parameters()
    ]
    assert [n for n, _ in ours[0].named_modules()] == [n for n, _ in theirs[0].named_modules()]
    assert [n for n, _ in ours[0].named_children()] == [n for n, _ in theirs[0].named_children()]
    ours[0].load_state_dict({n: a.numpy() + 1 for n, a in theirs[0].state_dict().items()})
    assert all(p.item() == 2 for p in ours[0].parameters())


@given(edges=st.lists(EDGES))
def test_circles_of_modules_have_one_name_each(edges):
    nodes = [Node() for _ in range(6)]
    for start, name, end in edges:
        setattr(nodes[start], name, nodes[end])
    state, parameters = nodes[0].state_dict(), dict(nodes[0].named_parameters())
    assert parameters.keys() <= state.keys()
    assert len(parameters) == len(list(nodes[0].modules()))
    assert nodes[0].load_state_dict(state) == ([], [])
    order = []
    nodes[0].apply(order.append)
    assert sorted(map(id, order)) == sorted(map(id, nodes[0].modules())) and order[-1] is nodes[0]


def test_modules_that_all_know_each_other_have_few_names():
    """The ways through them are beyond count."""
    nodes = [Node() for _ in range(30)]
    for node in nodes:
        node.peers = list(nodes)
    assert len(nodes[0].state_dict()) == 30
    model = nn.Module()
    for level in range(40):  # and so are the ways down here, which a list of parts needs not
        below = model
        model = nn.Module()
        model.a = model.b = below
        model.w = nn.Parameter([float(level)])
    assert len(list(model.parameters())) == 40


# --- copies --------------------------------------------------------------------------------------


def test_deep_copies_keep_gradients_ties_and_kinds(backend):
    model = Model()
    model.frozen = nn.Parameter([1.0], requires_grad=False)
    model.passing = nn.Buffer([1.0], persistent=False)
    mg.cross_entropy(model([1, 2]), [0, 3]).backward()
    twin = copy.deepcopy(model)
    assert twin.head.weight is twin.table.weight is not model.table.weight
    assert twin.layers[0] is twin.layers[2] is not model.layers[0]
    assert twin.same is twin.scale and type(twin.same) is nn.Buffer
    assert not twin.frozen.requires_grad and not twin.passing.persistent
    for (name, ours), (same, theirs) in zip(
        model.named_parameters(), twin.named_parameters(), strict=True
    ):
        assert name == same and type(theirs) is nn.Parameter and theirs.is_leaf
        if ours.grad is None:
            assert theirs.grad is None and name == "frozen"
            continue
        assert theirs.grad is not ours.grad
        np.testing.assert_array_equal(theirs.grad.numpy(), ours.grad.numpy())
        if backend != "strict":  # a strict array is not edited
            kept = ours.grad.numpy()
            theirs.grad.data[...] = 7
            np.testing.assert_array_equal(ours.grad.numpy(), kept)


def test_deep_copies_of_gradients_that_are_results_and_shared(backend):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.grad((x**3).sum(), x, create_graph=True)
    x.grad = mg.grad((x**3).sum(), x, create_graph=True)
    twin, again = copy.deepcopy([x, x])
    assert twin is again and twin.grad.tolist() == [3.0, 12.0] and twin.grad.is_leaf
    assert copy.deepcopy(mg.ones(2)).grad is None
    with pytest.raises(TypeError, match="only leaves can be copied or pickled"):
        copy.deepcopy(x * 2)


def test_a_pickle_keeps_what_a_buffer_is():
    for persistent in (True, False):
        twin = pickle.loads(pickle.dumps(nn.Buffer([1.0], persistent=persistent)))
        assert type(twin) is nn.Buffer and twin.persistent is persistent
