"""Sequential, ModuleList and ModuleDict: as modules, as lists and dicts, and as PyTorch's."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wrong_uses import check, table

import minigrad as mg
from minigrad import nn
from minigrad.utils.install import install_line


class Mark(nn.Module):
    """A layer that can be known again."""

    def __init__(self, number=0):
        self.w = nn.Parameter([float(number)])

    def forward(self, x):
        return x * self.w


def numbers(container):
    return [part.w.item() for part in container]


# --- as lists ------------------------------------------------------------------------------------

INDICES, COUNTS = st.integers(-6, 6), st.integers(0, 3)
SLICES = st.builds(slice, *[st.none() | INDICES] * 2, st.sampled_from([None, 1, 2, -1]))
EDITS = st.one_of(
    st.tuples(st.just("append")),
    st.tuples(st.just("extend"), COUNTS),
    st.tuples(st.just("insert"), INDICES),
    st.tuples(st.just("set"), INDICES),
    st.tuples(st.just("set slice"), SLICES, COUNTS),
    st.tuples(st.just("delete"), INDICES | SLICES),
    st.tuples(st.just("pop"), INDICES),
    st.tuples(st.just("reverse")),
    st.tuples(st.just("add"), COUNTS),
    st.tuples(st.just("take"), SLICES),
    st.tuples(st.just("clear")),
)


def edited(items, made, how, *args):
    """A list, or a container that is one, after an edit; `made` gives new items."""
    if how == "append":
        items.append(made())
    elif how == "extend":
        items.extend([made() for _ in range(*args)])
    elif how == "insert":
        items.insert(*args, made())
    elif how == "set":
        items[args[0]] = made()
    elif how == "set slice":
        items[args[0]] = [made() for _ in range(args[1])]
    elif how == "delete":
        del items[args[0]]
    elif how == "add":
        return items + [made() for _ in range(*args)]
    elif how == "take":
        return items[args[0]]
    else:
        getattr(items, how)(*args)
    return items


@given(kind=st.sampled_from([nn.Sequential, nn.ModuleList]), edits=st.lists(EDITS, max_size=6))
def test_they_do_what_lists_do(kind, edits):
    start = [Mark(i) for i in range(3)]
    given_, expected = kind(*start) if kind is nn.Sequential else kind(start), list(start)
    for edit in edits:
        new = [Mark(10 + i) for i in range(3)]
        results = []
        for items in (given_, expected):
            supply = iter(new)
            try:
                results.append(edited(items, lambda supply=supply: next(supply), *edit))
            except (IndexError, ValueError) as error:
                results.append(type(error))
        if isinstance(results[1], type):
            assert results[0] is results[1]
        else:
            given_, expected = results
            assert type(given_) is kind
        assert list(given_) == expected and len(given_) == len(expected)
        assert list(reversed(given_)) == expected[::-1]
        assert [given_[i] for i in range(-len(expected), len(expected))] == expected * 2
        assert list(given_.children()) == expected
        assert len(list(given_.parameters())) == len(expected) == len(given_.state_dict())
        for item in expected:
            assert item in given_ and given_.index(item) == expected.index(item)
        names = [name.partition(".")[0] for name in given_.state_dict()]
        assert len(set(names)) == len(names)
        if kind is nn.ModuleList:  # a slice of the other kind keeps its names
            assert names == list(map(str, range(len(expected))))
    twin = pickle.loads(pickle.dumps(copy.deepcopy(given_)))
    assert numbers(twin) == numbers(expected)
    twin.append(Mark(5))
    assert len(twin) == len(given_) + 1


@given(edits=st.lists(EDITS, max_size=6))
def test_named_items_keep_their_names(edits):
    model = nn.Sequential(OrderedDict(a=Mark(1), b=mg.tanh, c=Mark(2)))
    names = {id(item): name for name, item in model._items()}
    for edit in edits:
        try:
            model = edited(model, lambda: Mark(3), *edit)
        except (IndexError, ValueError):
            continue
        for name, item in model._items():
            assert getattr(model, name) is item
            before = names.get(id(item), "")
            if before.isalpha() and edit[0] not in ("add", "reverse", "set", "set slice"):
                assert name == before
        names = {id(item): name for name, item in model._items()}


@pytest.mark.parametrize("named", [False, True])
def test_sequential_is_pytorchs(named, backend):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")

    def parts(m):
        return {"first": m.Linear(3, 4), "act": m.Tanh(), "2": m.Linear(4, 2)}

    ours, theirs = (
        m.Sequential(OrderedDict(parts(m))) if named else m.Sequential(*parts(m).values())
        for m in (nn, torch.nn)
    )
    ours, theirs = ours.double(), theirs.double()
    ours.load_state_dict({name: a.numpy() for name, a in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(
        ours(mg.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-12
    )
    for part in (slice(1, None), slice(0, 2), slice(None, None, 2)):
        assert list(ours[part].state_dict()) == list(theirs[part].state_dict())
    if not named:
        del ours[0], theirs[0]
        assert list(ours.state_dict()) == list(theirs.state_dict())
    for model, m in ((ours, nn), (theirs, torch.nn)):
        model.append(m.Linear(2, 2))
        model.add_module("last", m.ReLU())
        model.more = m.Linear(2, 1)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert len(ours) == len(theirs) == 5 + named
    assert ours[-1] is ours.more


def test_a_function_in_an_attribute_is_no_item():
    model = nn.Sequential(Mark(2), mg.tanh)
    model.note = mg.relu
    assert len(model) == 2
    model[1] = mg.relu
    assert model(mg.tensor([-3.0])).item() == 0
    del model[0]
    assert list(model) == [mg.relu]
    assert repr(model) == "Sequential(\n  (0): <op relu>\n)"
    model.parts = [Mark(1)]
    assert repr(model) == "Sequential(\n  (0): <op relu>\n  (parts.0): Mark()\n)"
    del model.note


def test_a_subclass_may_have_other_parts():
    class Model(nn.Sequential):
        def __init__(self):
            self.scale = nn.Parameter([2.0])
            super().__init__(Mark(3), Mark(5))
            self.size = 2

        def forward(self, x):
            return super().forward(x) * self.scale

    model = Model()
    assert model(mg.ones(1)).item() == 30 and len(model) == 2
    assert list(model.state_dict()) == ["scale", "0.w", "1.w"]
    assert type(model[:1]) is nn.Sequential
    with pytest.raises(TypeError, match="is a parameter, and a plain tensor in its place"):
        model.scale = mg.ones(1)


def test_what_is_refused_changes_nothing():
    part = nn.Linear(1, 1)
    model = nn.Sequential(Mark(1), mg.tanh)
    for edit in (
        lambda: model.insert(0, part.forward),
        lambda: model.append(3),
        lambda: model.extend([Mark(2), None]),
        lambda: model.__setitem__(0, nn.ReLU),
        lambda: model.__setitem__(slice(0, 1), [nn.ReLU(), "x"]),
        lambda: setattr(model, "0", None),
    ):
        with pytest.raises(TypeError):
            edit()
        assert [name for name, _ in model._items()] == ["0", "1"] and model[1] is mg.tanh


# --- as dicts ------------------------------------------------------------------------------------


@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(["set", "delete", "pop", "update", "setdefault", "popitem"]),
            st.sampled_from("abc"),
        ),
        max_size=8,
    )
)
def test_it_does_what_dicts_do(edits):
    given_, expected = nn.ModuleDict({"a": (first := Mark(1))}), {"a": first}
    for how, key in edits:
        new, results = Mark(7), []
        for items in (given_, expected):
            try:
                if how == "set":
                    items[key] = new
                elif how == "delete":
                    del items[key]
                elif how == "update":
                    items.update({key: new})
                elif how == "setdefault":
                    results.append(items.setdefault(key, new))
                elif how == "pop":
                    results.append(items.pop(key, None))
                elif key in items:
                    results.append(items.popitem() if len(items) == 1 else None)
            except KeyError:
                results.append(KeyError)
        assert results[: len(results) // 2] == results[len(results) // 2 :]
        assert dict(given_.items()) == expected and list(given_) == list(expected)
        assert [name for name, _ in given_.named_parameters()] == [f"{k}.w" for k in expected]
        assert list(given_.keys()) == list(expected) and list(given_.values()) == list(
            expected.values()
        )
        assert all(getattr(given_, k) is v and k in given_ for k, v in expected.items())
    assert list(pickle.loads(pickle.dumps(given_))) == list(expected)


def test_a_dict_of_modules_is_one_object_among_others():
    heads = nn.ModuleDict([("a", Mark(1)), ("b", Mark(2))])
    assert heads == heads and heads != nn.ModuleDict(heads) and len({heads, heads}) == 1
    assert heads.get("c") is None
    model = nn.Sequential(heads)  # a module, and no names of its items
    assert list(model.state_dict()) == ["0.a.w", "0.b.w"]
    heads.clear()
    assert not heads and not model.state_dict()


def test_it_is_pytorchs():
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    ours, theirs = (
        m.ModuleDict({"a": m.Linear(2, 2), "b": m.ModuleList([m.Linear(2, 1), m.ReLU()])})
        for m in (nn, torch.nn)
    )
    ours.load_state_dict({name: a.numpy() for name, a in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours.b[1:]) == repr(theirs.b[1:])


# --- wrong use -----------------------------------------------------------------------------------

WRONG = {
    "Sequential: item act is the class ReLU; write ReLU(...)": (
        TypeError,
        lambda: nn.Sequential({"act": nn.ReLU}),
    ),
    "Sequential: a name isn't empty and has no dot in it; got 'a.b'": (
        ValueError,
        lambda: nn.Sequential({"a.b": Mark()}),
    ),
    "Sequential: the name comes first, a string; got 0": (
        TypeError,
        lambda: nn.Sequential({0: Mark()}),
    ),
    "Sequential has an attribute forward already; choose another name": (
        ValueError,
        lambda: nn.Sequential({"forward": mg.tanh}),
    ),
    "Sequential takes modules one by one; got a list of 1. Write Sequential(*modules)": (
        TypeError,
        lambda: nn.Sequential([Mark()]),
    ),
    "Sequential: an index is an integer or a slice; got 'act'. Write .act": (
        TypeError,
        lambda: nn.Sequential({"act": mg.tanh})["act"],
    ),
    "Sequential has 1 items; there is none at position 1": (
        IndexError,
        lambda: nn.Sequential(Mark())[1],
    ),
    "Sequential: item 0 is neither a module nor a function, but None": (
        TypeError,
        lambda: setattr(nn.Sequential(Mark()), "0", None),
    ),
    "ModuleList has 0 items; there is none at position -1": (
        IndexError,
        lambda: nn.ModuleList().pop(),
    ),
    "ModuleList: item 1 is not a module, but <op tanh>": (
        TypeError,
        lambda: nn.ModuleList([Mark(), mg.tanh]),
    ),
    "ModuleList: item 0 is the class ReLU; write ReLU(...)": (
        TypeError,
        lambda: nn.ModuleList([nn.ReLU]),
    ),
    "ModuleList takes a list of modules; got Linear": (
        TypeError,
        lambda: nn.ModuleList(nn.Linear(1, 1)),
    ),
    "ModuleList takes a list of modules; got dict": (
        TypeError,
        lambda: nn.ModuleList({"a": Mark()}),
    ),
    "ModuleList defines no forward()": (NotImplementedError, lambda: nn.ModuleList()(1)),
    "ModuleDict has no item 'hed'; did you mean 'head'?": (
        KeyError,
        lambda: nn.ModuleDict({"head": Mark()})["hed"],
    ),
    "ModuleDict has an attribute items already; choose another name": (
        ValueError,
        lambda: nn.ModuleDict({"items": Mark()}),
    ),
    "ModuleDict: item a is not a module, but 3": (TypeError, lambda: nn.ModuleDict({"a": 3})),
    "ModuleDict takes a dict of modules, or pairs of a name and a module": (
        TypeError,
        lambda: nn.ModuleDict([Mark()]),
    ),
    "Flatten: start_axis is an integer; got '1'": (TypeError, lambda: nn.Flatten("1")),
    "Flatten(start_axis=1, end_axis=-1): x of shape (3,) has no axes from 1 to -1": (
        ValueError,
        lambda: nn.Flatten()(mg.ones(3)),
    ),
    "Embedding.from_pretrained: the table must be floats (V, D); got int64 of shape (2, 2)": (
        ValueError,
        lambda: nn.Embedding.from_pretrained([[1, 2], [3, 4]]),
    ),
    "Embedding.from_pretrained: the table must be floats (V, D); got float32 of shape (2,)": (
        ValueError,
        lambda: nn.Embedding.from_pretrained([1.0, 2.0]),
    ),
    "Embedding: padding_idx 2 is none of the 2 rows": (
        ValueError,
        lambda: nn.Embedding.from_pretrained([[1.0], [2.0]], padding_idx=2),
    ),
    "Embedding.from_pretrained: freeze is True or False; got 1": (
        TypeError,
        lambda: nn.Embedding.from_pretrained([[1.0], [2.0]], freeze=1),
    ),
}


@table(WRONG)
def test_wrong_use(text, kind, use):
    with mg.use_backend("numpy"):
        check(use, kind, text)


# --- layers in the place of others ---------------------------------------------------------------


def test_identity():
    layer = nn.Identity(64, eps=1e-5)
    x = mg.ones(3)
    assert layer(x) is x and repr(layer) == "Identity()" and not layer.state_dict()


@given(
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    start=st.integers(-4, 3),
    end=st.integers(-4, 3),
)
def test_flatten_is_pytorchs(shape, start, end, backend):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    x = np.random.default_rng(0).normal(size=shape)
    try:
        right = torch.nn.Flatten(start, end)(torch.tensor(x)).numpy()
    except (IndexError, RuntimeError):
        with pytest.raises(ValueError, match="has no axes from"):
            nn.Flatten(start, end)(mg.tensor(x))
        return
    u = mg.tensor(x, requires_grad=True)
    y = nn.Flatten(start, end)(u)
    np.testing.assert_array_equal(y.numpy(), right)
    g = np.random.default_rng(1).normal(size=right.shape)
    np.testing.assert_array_equal(mg.grad(y, u, mg.tensor(g)).numpy(), g.reshape(shape))


@pytest.mark.parametrize("freeze", [True, False])
def test_a_table_of_given_vectors(freeze, backend):
    given_ = np.random.default_rng(0).normal(size=(4, 3))
    mg.manual_seed(0)
    table = nn.Embedding.from_pretrained(given_, freeze=freeze, padding_idx=-1)
    after = mg.randn((2,)).tolist()
    mg.manual_seed(0)
    assert mg.randn((2,)).tolist() == after  # nothing was drawn
    assert (table.num_embeddings, table.embedding_dim, table.padding_idx) == (4, 3, 3)
    assert table.weight.dtype == np.float64 and table.weight.requires_grad is not freeze
    np.testing.assert_array_equal(table([0, 3]).numpy(), given_[[0, 3]])
    given_[:] = 0
    assert table.weight.numpy().all()
    assert list(table.state_dict()) == ["weight"]
    if not freeze:
        table([0, 3]).sum().backward()
        assert table.weight.grad.numpy()[3].tolist() == [0.0] * 3
