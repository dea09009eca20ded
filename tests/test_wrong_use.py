"""What people type by mistake: the error says what came and what to write instead.

Where what was typed can mean one thing only, it works.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

pytestmark = pytest.mark.usefixtures("on_numpy")


def ones(*shape):
    return mg.ones(shape, requires_grad=True)


def check(use, kind, text):
    with pytest.raises(kind) as error:
        use()
    assert text in str(error.value), str(error.value)


def table(cases):
    """A test per case of a table: what the text must contain, the error's kind, the use."""
    return pytest.mark.parametrize(
        ("text", "kind", "use"), [(text, *case) for text, case in cases.items()], ids=[*cases]
    )


# --- shapes and dtypes -----------------------------------------------------------------------

SHAPED = {"zeros": mg.zeros, "ones": mg.ones, "empty": mg.empty, "rand": mg.rand, "randn": mg.randn}


@given(st.sampled_from(sorted(SHAPED)), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_sizes_as_separate_arguments_are_a_shape(name, sizes):
    make, shape = SHAPED[name], tuple(sizes)
    assert make(*sizes).shape == make(shape).shape == make(list(sizes)).shape == shape
    assert make(*map(np.int64, sizes)).shape == make(np.array(sizes)).shape == shape
    assert make(shape=shape).shape == shape
    for given_ in (make(*sizes, "float64"), make(shape, np.float64), make(*sizes, dtype=float)):
        assert given_.shape == shape and given_.dtype == np.float64
    assert make(*sizes, None, True).requires_grad


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_sizes_of_a_new_shape_as_separate_arguments(sizes):
    shape, n = tuple(sizes), int(np.prod(sizes))
    x = mg.arange(float(n), requires_grad=True)
    for y in (x.reshape(*sizes), mg.reshape(x, *sizes), x.reshape(list(sizes)), x.reshape(shape)):
        assert y.shape == shape
    wide = (2, *sizes)
    for z in (y.broadcast_to(*wide), mg.broadcast_to(y, *wide), mg.broadcast_to(y, shape=wide)):
        assert z.shape == wide
    assert mg.grad(z.sum(), x).tolist() == [2.0] * n


@pytest.mark.parametrize("axes", [(1, 0), ((1, 0),), ([1, 0],), (-1, 0), (), (None,)])
def test_transposed_by_separate_axes(axes):
    assert ones(2, 3).transpose(*axes).shape == (3, 2)


def test_full_has_one_shape_and_one_value():
    assert mg.full(2, 3).tolist() == [3, 3]


@given(st.sampled_from(["zeros_like", "ones_like"]), st.sampled_from(["float64", "int64", "bool"]))
def test_like_a_numpy_array(name, dtype):
    array = np.ones((2, 3), dtype)
    made = getattr(mg, name)(array)
    assert made.shape == (2, 3) and made.dtype == np.dtype(dtype)


CREATION = {
    "zeros: a size is an integer, as in mg.zeros((2, 3)); got float 2.0": (
        TypeError,
        lambda: mg.zeros(2.0),
    ),
    "rand: a size is an integer, as in mg.rand((2, 3)); got float 3.0": (
        TypeError,
        lambda: mg.rand(2, 3.0),
    ),
    "ones: a size is 0 or more; got -3 in shape (2, -3)": (ValueError, lambda: mg.ones(2, -3)),
    "zeros: a size is an integer, as in mg.zeros((2, 3)); got list [1, 2]; mg.tensor(...) makes a "
    "tensor of these numbers": (TypeError, lambda: mg.zeros([[1, 2], [3, 4]])),
    "got a tensor; int(n) makes a size of one number": (
        TypeError,
        lambda: mg.zeros(mg.tensor(3)),
    ),
    "zeros: after 3 comes the dtype; got True. Write the sizes in one tuple, and options by name: "
    "mg.zeros((2, 3), requires_grad=True)": (TypeError, lambda: mg.zeros(3, True)),
    "ones: after (2, 3) comes the dtype; got 4": (TypeError, lambda: mg.ones((2, 3), 4)),
    "zeros takes a shape, then dtype, requires_grad, backend; got 4 more arguments": (
        TypeError,
        lambda: mg.zeros(2, 3, "float32", True, None, 5),
    ),
    "zeros: 'flaot32' is no dtype; did you mean 'float32'?": (
        TypeError,
        lambda: mg.zeros(2, 3, dtype="flaot32"),
    ),
    "tensor: 'torch.float32' is no dtype; did you mean 'float32'?": (
        TypeError,
        lambda: mg.tensor([1.0], dtype="torch.float32"),
    ),
    "astype: None is no dtype; use 'float32', 'int64', 'bool' or the like": (
        TypeError,
        lambda: ones(2).astype(None),
    ),
    "zeros: complex128 is not supported; use a float, integer or bool dtype": (
        TypeError,
        lambda: mg.zeros(2, dtype=complex),
    ),
    "requires_grad is True or False; got str 'float64'. A dtype is given by its name: "
    "dtype='float64'": (TypeError, lambda: mg.tensor([1.0], "float64")),
    "full: the value (2, 2) doesn't fit shape (7,); the shape comes first, as in "
    "mg.full((2, 3), 7)": (ValueError, lambda: mg.full(7, (2, 2))),
    "full: the value is a number; got a tensor of shape (). Spread it with mg.broadcast_to(x, "
    "(2,)), through which gradients flow": (TypeError, lambda: mg.full(2, ones())),
    "eye: a size is an integer, as in mg.eye(3); got tuple (2, 2)": (
        TypeError,
        lambda: mg.eye((2, 2)),
    ),
    "linspace: a size is 0 or more; got -2": (ValueError, lambda: mg.linspace(0, 1, -2)),
    "arange: the step must not be 0; got arange(0, 1, 0)": (
        ValueError,
        lambda: mg.arange(0, 1, 0),
    ),
    "arange takes numbers, as in mg.arange(0, 10, 2); got 0, None, 1": (
        TypeError,
        lambda: mg.arange(None),
    ),
    "linspace takes numbers, as in mg.linspace(0, 1, 5); got 'a', 2, 50": (
        TypeError,
        lambda: mg.linspace("a", 2),
    ),
}


@table(CREATION)
def test_creation(text, kind, use):
    check(use, kind, text)


@pytest.mark.parametrize(
    "use",
    [
        lambda: mg.Tensor(3, 4),
        lambda: mg.Tensor([1.0, 2.0]),
        lambda: mg.Tensor(),
        lambda: mg.Tensor(np.ones(2)),
        lambda: mg.Tensor([1.0], mg.current_backend()),
    ],
)
def test_tensor_is_no_way_to_make_one(use):
    check(use, TypeError, "mg.tensor([3.0, 4.0]) for a tensor of given numbers, mg.zeros((3, 4))")


# --- backends --------------------------------------------------------------------------------


def test_a_device_in_place_of_a_backend(backend):
    with mg.use_backend(backend):
        x = ones(2)
        model = mg.nn.Linear(2, 1)
    here = x.backend
    assert x.to(x.device) is x
    assert model.to(x.device) is model and model.weight.backend is here
    on_host = x.to("cpu")
    assert on_host.backend is here if here.is_host else on_host.backend.name == "numpy"
    assert model.to("cpu").weight.backend is on_host.backend
    on_host.sum().backward()
    assert x.grad.backend is here


BACKENDS = {
    "unknown backend 'cuda'; known are": (mg.BackendError, lambda: ones(2).to("cuda")),
    "Did you mean 'cupy:1'?": (mg.BackendError, lambda: ones(2).to("cuda:1")),
    "Did you mean 'cupy'?": (mg.BackendError, lambda: mg.set_backend("gpu")),
    "Did you mean 'numpy'?": (mg.BackendError, lambda: mg.zeros(2, backend="cpu")),
    "to() moves to a backend, as in x.to('numpy'), and 'float64' is a dtype; convert to it with "
    "x.astype('float64')": (TypeError, lambda: ones(2).to("float64")),
    "<class 'numpy.float64'> is a dtype; convert to it with x.astype('float64')": (
        TypeError,
        lambda: mg.nn.Linear(2, 1).to(np.float64),
    ),
    "a backend is given by its name, such as 'numpy', or as a backend object, such as x.backend; "
    "got Tensor": (TypeError, lambda: ones(2).to(ones(2))),
    "got NoneType None": (TypeError, lambda: mg.nn.Module().to(None)),
    "unknown backend 'nunba'": (mg.BackendError, lambda: mg.nn.Module().to("nunba")),
}


@table(BACKENDS)
def test_backends(text, kind, use):
    check(use, kind, text)
