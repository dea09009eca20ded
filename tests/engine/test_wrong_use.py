"""What people type by mistake: the error says what came and what to write instead.

Where what was typed can mean one thing only, it works.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wrong_uses import check, ones, table

import minigrad as mg

pytestmark = pytest.mark.usefixtures("on_numpy")


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


# --- axes ------------------------------------------------------------------------------------

_REDUCTIONS = ["all", "any", "argmax", "argmin", "flip", "logsumexp", "max", "mean", "min"]
_REDUCTIONS += ["nanmean", "nansum", "norm", "prod", "std", "sum", "var"]
_ACTIVATIONS = ["elu", "gelu", "leaky_relu", "log_softmax", "silu", "softmax"]

# What each function does along an axis of x (2, 3), and how many axes more its result has.
ALONG = {
    **{name: (getattr(mg, name), 0) for name in _REDUCTIONS},
    **{
        name: (getattr(mg, name), 0)
        for name in ["mean", "min", "norm", "prod", "std", "sum", "var"]
    },
    **{name: (getattr(mg, name), 0) for name in ["cumsum", "log_softmax", "softmax", "squeeze"]},
    **{name: (getattr(mg, name), 0) for name in ["argsort", "cummax", "cummin", "cumprod", "sort"]},
    "choice": (lambda x, axis: mg.choice(x, 1, axis=axis), 0),
    "diff": (mg.diff, 0),
    "permutation": (mg.permutation, 0),
    "roll": (lambda x, axis: mg.roll(x, 1, axis=axis), 0),
    "take_along_axis": (
        lambda x, axis: mg.take_along_axis(x, np.zeros((1,) * x.ndim, int), axis=axis),
        0,
    ),
    "topk": (lambda x, axis: mg.topk(x, 1, axis=axis), 0),
    "unstack": (mg.unstack, 0),
    "concatenate": (lambda x, axis: mg.concatenate([x, x], axis=axis), 0),
    "split": (lambda x, axis: mg.split(x, 1, axis=axis), 0),
    "take": (lambda x, axis: mg.take(x, [0], axis=axis), 0),
    "repeat": (lambda x, axis: mg.repeat(x, 2, axis=axis), 0),
    "swapaxes": (lambda x, axis: mg.swapaxes(x, axis, 0), 0),
    "moveaxis": (lambda x, axis: mg.moveaxis(x, axis, 0), 0),
    "stack": (lambda x, axis: mg.stack([x, x], axis=axis), 1),
    "expand_dims": (mg.expand_dims, 1),
}
NO_AXES = ["0", 1.0, True, object(), {}]


def test_every_function_of_an_axis_is_here():
    import inspect

    takes = {n for n, f in vars(mg).items() if callable(f) and n[0] != "_" and f is not mg.scan}
    takes = {n for n in takes if "axis" in _parameters(inspect, getattr(mg, n))}
    assert takes - {"cumsum"} <= ALONG.keys()


def _parameters(inspect, f):
    try:
        return inspect.signature(f).parameters
    except (ValueError, TypeError):
        return ()


@given(st.sampled_from(sorted(ALONG)), st.integers(1, 4), st.data())
def test_an_axis_out_of_range_names_the_right_range(name, ndim, data):
    use, new = ALONG[name]
    n = ndim + new
    axis = data.draw(st.integers(-n - 3, n + 2))
    x = mg.ones((1,) * ndim, requires_grad=True)
    if -n <= axis < n:
        use(x, axis=axis)
        return
    with pytest.raises(ValueError) as error:
        use(x, axis=axis)
    assert str(error.value).startswith(f"{name}: axis {axis} is out of range")
    assert str(error.value).endswith(f"; allowed are -{n} to {n - 1}")


@given(st.sampled_from(sorted(ALONG)), st.sampled_from(NO_AXES))
def test_an_axis_that_is_no_integer(name, axis):
    with pytest.raises(TypeError) as error:
        ALONG[name][0](ones(1, 1), axis=axis)
    assert str(error.value).startswith(f"{name}: axis must be an integer")
    assert repr(axis)[:40] in str(error.value)


AXES = {
    "sum: axis must be an integer, a tuple of integers or None; got [0, 1], so write axis=(0, 1)": (
        TypeError,
        lambda: ones(2, 3).sum(axis=[0, 1]),
    ),
    "var: axis must be an integer, a tuple of integers or None; got [0], so write axis=0": (
        TypeError,
        lambda: mg.var(ones(2, 3), axis=[0]),
    ),
    "argmax: axis must be an integer; got (0, 1)": (
        TypeError,
        lambda: mg.argmax(ones(2, 3), axis=(0, 1)),
    ),
    "stack: axis 5 is out of range for shape (2,) with a new axis; allowed are -2 to 1": (
        ValueError,
        lambda: mg.stack([(2, 3)], axis=5),
    ),
    "expand_dims: axis (0, 0) names an axis twice": (
        ValueError,
        lambda: mg.expand_dims(ones(2), (0, 0)),
    ),
    "concatenate: the axis is a tensor of shape (2,); put all arrays into one list: [a, b]": (
        TypeError,
        lambda: mg.concatenate(ones(2), ones(2)),
    ),
    "stack takes a list of arrays, as in mg.stack([a, b]); got int 3": (
        TypeError,
        lambda: mg.stack(3),
    ),
    "repeat: repeats, one number for all, must be 0 or more; got -1": (
        ValueError,
        lambda: mg.repeat(ones(2), -1),
    ),
    "tile: each of reps must be an integer; got 2.0": (TypeError, lambda: mg.tile(ones(2), 2.0)),
    "split: sections must be an integer, or a tuple of indices to cut at; got 2.0": (
        TypeError,
        lambda: mg.split(ones(2), 2.0),
    ),
    "pad: pad_width must be an integer, a pair (before, after) or a pair per axis, 0 or more each; "
    "got 'a'": (ValueError, lambda: mg.pad(ones(2), "a")),
    "tril: needs a matrix, or a stack of them (..., N, M)": (ValueError, lambda: mg.tril(ones(3))),
    "einsum: the subscripts come first, as in mg.einsum('ij,jk->ik', a, b); got Tensor": (
        TypeError,
        lambda: mg.einsum(ones(2), ones(2)),
    ),
}


@table(AXES)
def test_axes(text, kind, use):
    check(use, kind, text)


# --- operands --------------------------------------------------------------------------------

# Functions of one tensor, called with the most natural other arguments.
OF_ONE = {
    **{name: getattr(mg, name) for name in ["cumsum", "norm", "prod", "squeeze", "std", "var"]},
    **{name: getattr(mg, name) for name in _ACTIVATIONS},
    **{name: getattr(mg, name) for name in ["exp", "sum", "reshape", "mean", "tanh"]},
    "dropout": mg.dropout,
    "expand_dims": lambda x: mg.expand_dims(x, 0),
    "layer_norm": lambda x: mg.layer_norm(x, 2),
    "moveaxis": lambda x: mg.moveaxis(x, 0, 1),
    "pad": lambda x: mg.pad(x, 1),
    "repeat": lambda x: mg.repeat(x, 2),
    "reshape": lambda x: mg.reshape(x, 4),
    "scatter_add": lambda x: mg.scatter_add(x, 0, 1.0),
    "swapaxes": lambda x: mg.swapaxes(x, 0, 1),
    "take": lambda x: mg.take(x, [0]),
    "tile": lambda x: mg.tile(x, 2),
    "index": lambda x: mg.index(x, 0),
    "dot": lambda x: mg.dot(x, 2.0),
    "outer": lambda x: mg.outer(x, x),
    "linear": lambda x: mg.linear(x, x),
    "mse_loss": lambda x: mg.mse_loss(x, [[1, 2], [3, 4]]),
    "cross_entropy": lambda x: mg.cross_entropy(x, [0, 1]),
    "nll_loss": lambda x: mg.nll_loss(x, [0, 1]),
    "embedding": lambda x: mg.embedding([0], x),
    "einsum": lambda x: mg.einsum("ij->ji", x),
}


@given(st.sampled_from(sorted(OF_ONE)))
def test_lists_and_numpy_arrays_in_place_of_a_tensor(name):
    numbers = [[0.5, -1.0], [2.0, 0.25]]
    results = []
    for x in (mg.tensor(numbers), numbers, tuple(numbers), np.array(numbers, np.float32)):
        mg.manual_seed(0)
        results.append(OF_ONE[name](x))
    for result in results[1:]:
        assert isinstance(result, mg.Tensor)
        assert result.dtype == results[0].dtype and result.tolist() == results[0].tolist()


@given(st.sampled_from(sorted(OF_ONE.keys() - {"linear", "outer"})), st.sampled_from([None, "a"]))
def test_what_is_no_operand_is_named(name, value):
    with pytest.raises(TypeError) as error:
        OF_ONE[name](value)
    assert str(error.value).startswith(f"{name.replace('index', 'op')}: can't make a tensor of")


def test_a_number_keeps_the_dtype_in_dot():
    x = mg.ones(3, dtype="float16")
    assert mg.dot(2.0, x).dtype == mg.dot(x, 2.0).dtype == np.float16
    assert mg.dot(2.0, x).tolist() == [2.0] * 3


class Strange:
    """What torch hands over, without torch."""

    __module__ = "torch"

    def __repr__(self):
        return "tensor(1.)"


OPERANDS = {
    "add: takes tensors, arrays and numbers; got Strange tensor(1.). Write mg.from_dlpack(x), or "
    "mg.tensor(x) for a copy": (TypeError, lambda: ones(2) + Strange()),
    "multiply: takes tensors, arrays and numbers; got Op <op tanh>. Did you mean to call it, as in "
    "f(x)?": (TypeError, lambda: ones(2) * mg.tanh),
    "elu: takes tensors, arrays and numbers; got str 'a'": (
        TypeError,
        lambda: mg.elu(ones(2), alpha="a"),
    ),
    "linear: weight (2, 4) takes x of 4 features, (..., 4); got (2, 3)": (
        ValueError,
        lambda: mg.linear(ones(2, 3), ones(2, 4)),
    ),
}


@table(OPERANDS)
def test_operands(text, kind, use):
    check(use, kind, text)


# --- losses ----------------------------------------------------------------------------------

LOSSES = {
    "cross_entropy: classes must be integers; got float32 (2,). Convert them: "
    "target.astype('int64')": (TypeError, lambda: mg.cross_entropy(ones(2, 3), mg.ones(2))),
    "nll_loss: classes must be integers; got float64 (2,)": (
        TypeError,
        lambda: mg.nll_loss(ones(2, 3), [0.0, 1.0]),
    ),
    "cross_entropy: classes must be integers; got bool (2,)": (
        TypeError,
        lambda: mg.cross_entropy(ones(2, 3), [True, False]),
    ),
    "cross_entropy: logits must be floats; got int64 (2,). The prediction comes first: "
    "cross_entropy(logits, target)": (
        TypeError,
        lambda: mg.cross_entropy(mg.tensor([0, 1]), ones(2, 3)),
    ),
    "logits (2, 5, 3) need integer targets of shape (2, 3); got (2, 5). The class axis of logits "
    "is the second, as in PyTorch; move the last one there: mg.moveaxis(logits, -1, 1)": (
        ValueError,
        lambda: mg.cross_entropy(ones(2, 5, 3), mg.zeros(2, 5, "int64")),
    ),
    "got (2, 1). Write target.reshape((2,))": (
        ValueError,
        lambda: mg.cross_entropy(ones(2, 3), [[0], [1]]),
    ),
    "got (2, 3). Probabilities must be floats: target.astype('float32')": (
        ValueError,
        lambda: mg.cross_entropy(ones(2, 3), [[1, 0, 0], [0, 1, 0]]),
    ),
    "got (2, 3). For targets with a 1 at each class, write mg.argmax(target, axis=1)": (
        ValueError,
        lambda: mg.nll_loss(ones(2, 3), [[1, 0, 0], [0, 1, 0]]),
    ),
    "cross_entropy: targets must be integers, one class each; got object ()": (
        TypeError,
        lambda: mg.cross_entropy(ones(2, 3), None),
    ),
    "cross_entropy: weight has a factor per class; write reduction='sum'": (
        TypeError,
        lambda: mg.cross_entropy(ones(2, 3), [0, 1], "sum"),
    ),
    "nll_loss: 3 classes need a weight of shape (3,); got (2,)": (
        ValueError,
        lambda: mg.nll_loss(ones(2, 3), [0, 1], weight=[1.0, 2.0]),
    ),
    "mse_loss: prediction (2, 1) and target (2,) differ in shape; write target.reshape((2, 1))": (
        ValueError,
        lambda: mg.mse_loss(ones(2, 1), ones(2)),
    ),
    "huber_loss: delta must be positive; got 'sum'": (
        ValueError,
        lambda: mg.huber_loss(ones(2), ones(2), delta="sum"),
    ),
    "embedding: the table must be (V, D); got shape (1,). The indices come first: "
    "embedding(indices, weight)": (ValueError, lambda: mg.embedding(ones(2, 3), [0])),
    "embedding: positions must be integers; got float32. Convert them: x.astype('int64')": (
        TypeError,
        lambda: mg.embedding(mg.ones(2), ones(2, 3)),
    ),
    "dropout: p is a probability, from 0 to 1; got NoneType None": (
        TypeError,
        lambda: mg.dropout(ones(2), None),
    ),
    "layer_norm: a size is an integer, as in mg.layer_norm(x, 3); got float 3.0": (
        TypeError,
        lambda: mg.layer_norm(ones(2, 3), 3.0),
    ),
}


@table(LOSSES)
def test_losses(text, kind, use):
    check(use, kind, text)
