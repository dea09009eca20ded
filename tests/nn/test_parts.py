"""The parts of modules: each has a name of its own, or an error says where there is none."""

import copy
import pickle
from collections import ChainMap, OrderedDict, UserDict, UserList, deque, namedtuple
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn


class Scale(nn.Module):
    """A module with one parameter and one buffer."""

    def __init__(self):
        self.w = nn.Parameter([1.0])
        self.count = nn.Buffer([0.0])

    def forward(self, x):
        return self.w * x


def tensors(value):
    """All parameters and buffers that were put into a value, found by a search of its own."""
    if isinstance(value, (nn.Parameter, nn.Buffer)):
        return [value]
    if isinstance(value, nn.Module):
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors(item)]
    return []


# --- the property: all are counted, everywhere, or it is an error --------------------------------

KEYS = ["a", "b", "a.b", "b.a", "0", "1", "", ".", "a.", "w", "a.w", 0, 1, (0, 1), "(0, 1)", True]
NAMES = [key for key in KEYS if isinstance(key, str)]
LEAVES = st.sampled_from([nn.Parameter, nn.Buffer]).map(lambda kind: lambda: kind([1.0]))
BRANCHES = st.recursive(
    LEAVES | st.just(Scale),
    lambda inner: (
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda parts: lambda: {key: make() for key, make in parts.items()}
        )
        | st.lists(inner, max_size=3).map(lambda parts: lambda: [make() for make in parts])
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3).map(
            lambda parts: lambda: module_of(parts)
        )
    ),
    max_leaves=8,
)


def module_of(parts):
    module = nn.Module()
    for name, make in parts.items():
        setattr(module, name, make())
    return module


@given(parts=st.dictionaries(st.sampled_from(NAMES), BRANCHES, max_size=4), data=st.data())
def test_each_part_has_a_name_of_its_own_or_it_is_an_error(parts, data):
    module, put = nn.Module(), []
    for name, make in parts.items():
        before = dict(vars(module))
        try:
            value = make()
            setattr(module, name, value)
        except ValueError as error:
            assert "have the name" in str(error)
            assert vars(module) == before
            return
        put += tensors(value)
    if tied := bool(put and data.draw(st.booleans())):
        module.again = put[0]  # it counts once, and is saved under both names
    named = [*module.named_parameters(), *module.named_buffers()]
    assert {id(part) for _, part in named} == {id(part) for part in put}
    assert len(named) == len(put) == len(module.state_dict()) - tied == len(dict(named))
    assert module.state_dict().keys() >= dict(named).keys()
    modules = [name for name, _ in module.named_modules()]
    assert len(modules) == len(set(modules))

    for i, part in enumerate(put):
        part.data = np.array([i + 2.0], dtype="float32")
    state = module.state_dict()
    for part in put:
        part.data = np.zeros(1, "float32")
    assert module.load_state_dict(state) == ([], [])
    assert sorted(part.item() for part in put) == [i + 2.0 for i in range(len(put))]


def test_gradcheck_covers_as_many():
    model = Scale()
    model.parts = {"a.b": Scale(), 0: [Scale()], "1": (Scale(), {"x": Scale()})}
    model.forward = lambda x: mg.stack([p * x for p in model.parameters()]).sum()
    covered = mg.gradcheck(model.double(), mg.ones(1, dtype="float64")).covered
    assert covered.keys() == {0, *dict(model.named_parameters())}
    assert len(covered) == 6


# --- two of one name -----------------------------------------------------------------------------

P, B, S = lambda: nn.Parameter([1.0]), lambda: nn.Buffer([1.0]), Scale


def two(first, a, second, b):
    def make():
        module = nn.Module()
        setattr(module, first, a)
        setattr(module, second, b)

    return make


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (two("enc", {"l1": S()}, "enc.l1", S()), "enc.l1"),
        (two("enc.l1", S(), "enc", {"l1": S()}), "enc.l1"),
        (two("enc.w", P(), "enc", S()), "enc.w"),
        (two("enc", S(), "enc.w", B()), "enc.w"),
        (two("a", {"b.c": P()}, "a.b", {"c": P()}), "a.b.c"),
        (two("x", 1, "parts", {0: P(), "0": P()}), "parts.0"),
        (two("x", 1, "parts", {(0, 1): P(), "(0, 1)": B()}), "parts.(0, 1)"),
        (two("x", 1, "parts", {True: P(), "True": P()}), "parts.True"),
        (two("x", 1, "parts", {"a.b": P(), "a": [{"x": 1}, {"y": 2}], "a.b.": 1, "": P()}), None),
        (two("x", 1, "parts", {"a.0": P(), "a": [P()]}), "parts.a.0"),
        (two("x", 1, "parts", [{"a.b": S()}, {"a": {"b": S()}}]), None),
        (two("x", 1, "", P()), ""),
        (two("", S(), "x", 1), ""),
        (two("a", {"": {"b": P()}}, "a.", {"b": P()}), "a..b"),
    ],
)
def test_two_parts_of_one_name_are_refused_when_they_are_set(make, name):
    if name is None:  # they look alike, and aren't
        make()
        return
    with pytest.raises(ValueError, match="two parts of Module have the name") as caught:
        make()
    assert f"have the name {name!r}, a " in str(caught.value)
    assert "rename one, best without a dot in it" in str(caught.value)


def test_what_is_refused_is_not_set():
    module = nn.Module()
    module.enc = {"w": P()}
    with pytest.raises(ValueError, match=r"'enc\.w', a Parameter and a Buffer"):
        setattr(module, "enc.w", B())
    assert list(vars(module)) == ["enc"]
    setattr(module, "enc.v", kept := P())
    with pytest.raises(ValueError, match="have the name"):
        module.enc = {"v": P()}
    assert list(module.enc) == ["w"] and vars(module)["enc.v"] is kept
    assert list(vars(module)) == ["enc", "enc.v"]


def test_two_parts_that_meet_later_are_refused_when_they_are_looked_for():
    module = nn.Module()
    module.enc = S()
    module.parts = {}
    setattr(module, "enc.more", P())
    module.enc.more = P()
    module.parts["x"] = 1
    for look in (
        module.state_dict,
        module.parameters,
        module.buffers,
        module.modules,
        module.train,
        module.double,
        module.zero_grad,
        lambda: module.load_state_dict({}),
        lambda: mg.gradcheck(module, np.ones(1)),
    ):
        with pytest.raises(ValueError, match=r"'enc\.more', a Parameter and a Parameter"):
            look()
    assert repr(module)  # can be looked at


def test_a_part_may_be_replaced_and_named_twice():
    module = S()
    module.w = P()
    module.tied = module.w
    module.parts = {"tied": module.w, "w": module.w}
    module.count = mg.ones(1)
    assert list(module.state_dict()) == ["w", "count", "tied", "parts.tied", "parts.w"]
    module.parts = {"w": P()}
    assert list(module.state_dict()) == ["w", "count", "tied", "parts.w"]
    module.w = None
    assert list(module.state_dict()) == ["count", "tied", "parts.w"]


# --- places where parts have no name -------------------------------------------------------------


@dataclass
class Config:
    layer: Any
    size: int = 3
    derived: int = field(default=0, init=False)


class Kind(Enum):
    A = 1


Pair = namedtuple("Pair", "a b")
HIDDEN = {
    "set": lambda part: {part},
    "frozenset": lambda part: frozenset([part]),
    "deque": lambda part: deque([part]),
    "UserList": lambda part: UserList([part]),
    "UserDict": lambda part: UserDict(a=part),
    "ChainMap": lambda part: ChainMap({"a": part}),
    "mappingproxy": lambda part: MappingProxyType({"a": part}),
    "SimpleNamespace": lambda part: SimpleNamespace(a=part),
    "Config": lambda part: Config(part),
    "partial": lambda part: partial(mg.add, part),
    "dict_values": lambda part: {"a": part}.values(),
    "dict_items": lambda part: {"a": part}.items(),
    "dict_keys": lambda part: {part: 1}.keys(),
    "ndarray": lambda part: np.array([part, None], dtype=object)[:1],
}


@pytest.mark.parametrize("kind", HIDDEN)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [1, x], lambda x: {"a": (x,)}])
def test_parts_in_other_containers_are_refused(kind, wrap):
    part = nn.Linear(1, 1)
    module = nn.Module()
    with pytest.raises(TypeError, match=rf"Module\.x\S* is a {kind} with a Linear in it, which wo"):
        module.x = wrap(HIDDEN[kind](part))
    assert not vars(module)
    module.layer = part
    module.x = wrap(HIDDEN[kind](part))  # it has a name elsewhere
    assert [name for name, _ in module.named_parameters()] == ["layer.weight", "layer.bias"]
    del module.layer
    with pytest.raises(TypeError, match="neither trained nor saved"):
        module.parameters()
    repr(module)


def test_methods_of_other_modules_are_refused():
    part = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"Sequential\.0 is a method with a Linear in it"):
        nn.Sequential(part.forward, mg.tanh)
    module = nn.Module()
    module.part = part
    module.call, module.own = part.forward, module.train
    assert len(list(module.parameters())) == 2


@pytest.mark.parametrize(
    "key", [None, 1.5, Kind.A, object(), b"a", (1, None), print], ids=lambda key: type(key).__name__
)
def test_keys_that_are_no_names_are_refused(key):
    module = nn.Module()
    with pytest.raises(TypeError, match=r"is under the key .*, which is no name, with a Param"):
        module.parts = {key: P()}
    with pytest.raises(TypeError, match="which is no name"):
        module.parts = {"a": {key: [S()]}}
    module.parts = {key: 3}  # no part


def test_keys_that_are_parts_are_refused():
    module = nn.Module()
    with pytest.raises(TypeError, match=r"Module\.x\.a is a dict whose keys are parts"):
        module.x = {"a": {S(): 1}}
    module.layer = S()
    module.x = {module.layer: "a note"}


def test_containers_of_all_plain_kinds():
    module = nn.Module()
    module.x = [(P(), [B()]), {1: P(), np.int64(2): P()}, OrderedDict(a=P()), Pair(P(), 2), [], {}]
    names = ["x.0.0", "x.0.1.0", "x.1.1", "x.1.2", "x.2.a", "x.3.0"]
    assert sorted(module.state_dict()) == names
    circle = [P()]
    circle.append(circle)
    module.x = circle
    assert list(module.state_dict()) == ["x.0"]
    twin = pickle.loads(pickle.dumps(copy.deepcopy(module)))
    assert list(twin.state_dict()) == ["x.0"]
    module.x = {1, 2}, deque([mg.ones(1)]), np.array([None]), partial(mg.add, 1), Config(3)
    assert not list(module.parameters())


# --- attributes that are none --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [S(), P(), B(), [P()], {"a": S()}, {S()}], ids=lambda value: type(value).__name__
)
def test_parts_of_a_class_are_refused(value):
    with pytest.raises(TypeError, match=r"M\.layer belongs to the class.*in __init__, self\.layer"):
        type("M", (nn.Module,), {"layer": value})


@pytest.mark.parametrize("name", ["train", "parameters", "modules", "forward", "children", "float"])
def test_methods_are_not_hidden(name):
    module = S()
    for value in (P(), [S()], S()):
        with pytest.raises(TypeError, match=rf"Scale has a method {name}\(\), which an attribute"):
            setattr(module, name, value)
    if name != "forward":
        with pytest.raises(TypeError, match=rf"has a method {name}\(\)"):
            setattr(module, name, True)
    setattr(module, name, mg.tanh)  # a function in its place
    assert name in vars(module)


def test_methods_of_subclasses_are_not_hidden():
    class M(nn.Module):
        size = 3
        make = nn.Linear  # a default, not a method

        def encode(self, x):
            return x

    module = M()
    with pytest.raises(TypeError, match=r"M has a method encode\(\)"):
        module.encode = S()
    module.size = P()
    module.make = module.make(1, 1)
    module.training = False
    assert len(module.state_dict()) == 3


def test_slots_are_refused():
    class M(nn.Module):
        __slots__ = ("w",)

    with pytest.raises(TypeError, match=r"M\.w is a slot, in which no part is found"):
        M().w = P()
    M().w = 3
