"""What PyTorch's users write and can mean one thing only works; what is wrong is an error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wrong_uses import check, ones, table

import minigrad as mg

# --- dtypes by name --------------------------------------------------------------------------

NAMES = ["bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64"]
NAMES += ["uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("name", NAMES)
def test_dtypes_have_names(name, backend):
    dtype = getattr(mg, name)
    assert dtype == np.dtype(name)
    with mg.use_backend(backend):
        for x in (
            mg.zeros(2, 3, dtype=dtype),
            mg.zeros((2, 3), dtype),
            mg.full((2, 3), 1, dtype=dtype),
            mg.tensor(np.ones((2, 3)), dtype=dtype),
            mg.ones(2, 3).astype(dtype),
            mg.zeros_like(mg.ones(2, 3), dtype=dtype),
            mg.arange(6, dtype=dtype).reshape(2, 3),
        ):
            assert x.dtype == dtype == np.dtype(name) and x.shape == (2, 3)


def test_the_default_dtype_by_name():
    mg.set_default_dtype(mg.float64)
    try:
        assert mg.ones(2).dtype == mg.float64 == mg.get_default_dtype()
    finally:
        mg.set_default_dtype(mg.float32)
    assert mg.nn.Linear(2, 1).astype(mg.float64).weight.dtype == mg.float64
    assert mg.bool_ is mg.bool


# --- axes made one ---------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), max_size=4), st.data())
def test_flatten_from_one_axis_to_another(sizes, data):
    x = mg.arange(float(np.prod(sizes)), requires_grad=True).reshape(tuple(sizes))
    flat = x.flatten()
    assert flat.tolist() == x.numpy().ravel().tolist() == x.ravel().tolist()
    if sizes:
        last = data.draw(st.integers(0, x.ndim - 1))
        first = data.draw(st.integers(0, last))
        shape = (*sizes[:first], int(np.prod(sizes[first : last + 1])), *sizes[last + 1 :])
        both = x.flatten(first, last - x.ndim), x.flatten(first - x.ndim, end_axis=last)
        layer = mg.nn.Flatten(first, last)(x)
        for y in (*both, layer):
            assert y.shape == shape and (y.numpy() == x.numpy().reshape(shape)).all()


def test_zero_grad_of_a_module_makes_zeros_if_asked():
    layer = mg.nn.LSTM(2, 3)
    layer(mg.ones(4, 2))[0].sum().backward()
    layer.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() and p.grad.shape == p.shape for p in layer.parameters())
    layer.zero_grad(set_to_none=True)
    assert all(p.grad is None for p in layer.parameters())
    layer.zero_grad(set_to_none=False)  # where there is none, none is made
    assert all(p.grad is None for p in layer.parameters())


WRONG = {
    "zeros: 'a' is no dtype; use 'float32', 'int64', 'bool' or the like": (
        TypeError,
        lambda: mg.zeros(2, "a"),
    ),
    "zeros: after (2, 3) comes the dtype; got 4": (TypeError, lambda: mg.zeros((2, 3), 4)),
    "transpose: the new order names all 3 axes of shape (2, 3, 4); got (1, 2). To exchange two: "
    "x.swapaxes(1, 2)": (ValueError, lambda: ones(2, 3, 4).transpose(1, 2)),
    "transpose: axis 2 is out of range for shape (2, 3); allowed are -2 to 1": (
        ValueError,
        lambda: ones(2, 3).transpose(0, 2, 1),
    ),
    "transpose: axis (0, 0) names an axis of shape (2, 3) twice": (
        ValueError,
        lambda: ones(2, 3).transpose(0, 0),
    ),
    "transpose: the new order names all 2 axes of shape (2, 3); got (1,)": (
        ValueError,
        lambda: ones(2, 3).transpose((1,)),
    ),
    "transpose: axes are integers, as in x.transpose(1, 0); got 'a'": (
        TypeError,
        lambda: ones(2, 3).transpose("a"),
    ),
    "flatten: shape (2, 3) has no axes from 1 to 0": (ValueError, lambda: ones(2, 3).flatten(1, 0)),
    "flatten: axis 2 is out of range": (ValueError, lambda: ones(2, 3).flatten(2)),
    "zero_grad: set_to_none is True or False; got 1": (
        TypeError,
        lambda: mg.nn.Linear(2, 1).zero_grad(set_to_none=1),
    ),
    "and dtype('float64') is a dtype; convert to it with x.astype('float64')": (
        TypeError,
        lambda: ones(2).to(mg.float64),
    ),
}


@pytest.mark.usefixtures("on_numpy")
@table(WRONG)
def test_wrong_forms(text, kind, use):
    check(use, kind, text)
