"""Parts that are set by method, found by name, and visited by a function."""

import numpy as np
import pytest
from wrong_uses import check, table

import minigrad as mg
from minigrad import nn


class Positions(nn.Module):
    def __init__(self):
        self.register_buffer("mean", mg.zeros(2))
        self.register_buffer("mask", mg.ones((2, 2)), persistent=False)
        self.register_parameter("weight", nn.Parameter([1.0, 2.0]))
        self.register_parameter("bias", None)
        self.add_module("inner", nn.Linear(2, 2))
        self.add_module("none", None)


def test_registered_parts_are_attributes_like_others(backend):
    model = Positions()
    assert type(model.mean) is nn.Buffer and type(model.mask) is nn.Buffer
    assert model.bias is None and model.none is None
    assert [name for name, _ in model.named_parameters()] == [
        "weight",
        "inner.weight",
        "inner.bias",
    ]
    assert [name for name, _ in model.named_buffers()] == ["mean", "mask"]
    assert list(model.state_dict()) == ["mean", "weight", "inner.weight", "inner.bias"]


def test_a_buffer_that_is_not_persistent_moves_and_converts_and_is_not_saved(backend):
    model = Positions().double()
    assert model.mask.dtype == np.float64
    assert not Positions().mask.persistent and Positions().mean.persistent
    model.mask = model.mask * 3  # its new value is not saved either
    assert "mask" not in model.state_dict() and not model.mask.persistent
    assert model.load_state_dict(model.state_dict()) == ([], [])
    with pytest.raises(ValueError, match="unexpected: mask"):
        model.load_state_dict(model.state_dict() | {"mask": np.ones((2, 2))})
    assert model.mask.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    with mg.use_backend("numpy"):
        other = Positions()
    assert other.to(backend).mask.backend is mg.get_backend(backend)


def test_a_name_may_be_registered_again():
    model = Positions()
    model.register_buffer("mean", mg.ones(3))
    model.register_parameter("bias", nn.Parameter([1.0]))
    model.add_module("none", nn.Dropout())
    assert model.mean.shape == (3,) and model.bias.tolist() == [1.0]
    assert list(model.state_dict())[:3] == ["mean", "weight", "bias"]


WRONG = {
    "register_buffer: the name comes first, a string; got tensor([1., 1.]": (
        TypeError,
        lambda m: m.register_buffer(mg.ones(2), "mean"),
    ),
    "register_buffer: a name isn't empty and has no dot in it; got 'a.b'": (
        ValueError,
        lambda m: m.register_buffer("a.b", mg.ones(2)),
    ),
    "add_module: a name isn't empty and has no dot in it; got ''": (
        ValueError,
        lambda m: m.add_module("", nn.Dropout()),
    ),
    "register_buffer: Positions has an attribute forward already; choose another name": (
        ValueError,
        lambda m: m.register_buffer("forward", mg.ones(2)),
    ),
    "register_parameter: Positions has an attribute mean already": (
        ValueError,
        lambda m: m.register_parameter("mean", nn.Parameter([1.0])),
    ),
    "add_module: Positions has an attribute training already": (
        ValueError,
        lambda m: m.add_module("training", nn.Dropout()),
    ),
    "register_buffer: a buffer is a tensor; got None for 'count'. Without the buffer write "
    "self.count = None, and later self.count = mg.nn.Buffer(...)": (
        TypeError,
        lambda m: m.register_buffer("count", None),
    ),
    "register_parameter: 'w' must be a parameter or None; got Tensor. Write mg.nn.Parameter": (
        TypeError,
        lambda m: m.register_parameter("w", mg.ones(2)),
    ),
    "add_module: 'act' must be a module; got <op tanh>": (
        TypeError,
        lambda m: m.add_module("act", mg.tanh),
    ),
    "Buffer: persistent is True or False; got 'no'": (
        TypeError,
        lambda m: m.register_buffer("x", mg.ones(2), persistent="no"),
    ),
    "Positions has no module 'iner'; did you mean 'inner'?": (
        AttributeError,
        lambda m: m.get_submodule("iner"),
    ),
    "Positions has no parameter 'inner.wieght'; did you mean 'inner.weight'?": (
        AttributeError,
        lambda m: m.get_parameter("inner.wieght"),
    ),
    "Positions has no parameter 'mean'": (AttributeError, lambda m: m.get_parameter("mean")),
}


@table(WRONG)
def test_wrong_use(text, kind, use):
    check(lambda: use(Positions()), kind, text)


def test_parts_by_name():
    model = Positions()
    assert model.get_submodule("inner") is model.inner
    assert model.get_submodule("") is model
    assert model.get_parameter("inner.weight") is model.inner.weight
    model.again = [model.inner]
    assert model.get_submodule("again.0") is model.inner
    assert model.get_parameter("again.0.bias") is model.inner.bias


def test_apply_visits_each_module_once_after_those_within():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), mg.tanh), nn.LayerNorm(2))
    model.tied = model[0]
    model.back = model  # even a circle
    seen = []
    assert model.apply(seen.append) is model
    assert seen == [model[0], model[1][0], model[1], model[2], model]


def test_children_have_names_and_come_once():
    model = Positions()
    model.parts = [model.inner, nn.Dropout()]
    assert [name for name, _ in model.named_children()] == ["inner", "parts.1"]
    assert list(model.children()) == [model.inner, model.parts[1]]
