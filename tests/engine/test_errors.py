"""Wrong use: each gives an error that says what was asked, what came, and what to do."""

import re

import numpy as np
import pytest

import minigrad as mg


def ones(*shape):
    return mg.ones(shape, requires_grad=True)


def check(use, kind, text):
    with pytest.raises(kind) as error:
        use()
    assert text in str(error.value), str(error.value)


SHAPES = {
    "add: shapes (2, 3) and (4, 3) do not fit together": lambda: ones(2, 3) + ones(4, 3),
    "counted from the last axis, sizes must be equal or 1": lambda: mg.maximum(ones(2), ones(3)),
    "where: shapes (2,) and (3,) and (3,) do not fit": lambda: mg.where(
        mg.tensor([True, False]), ones(3), ones(3)
    ),
    "matmul: shapes (2, 3) and (4, 3) do not fit: the last axis of the first has 3 entries, the "
    "second-to-last axis of the second 4": lambda: ones(2, 3) @ ones(4, 3),
    "matmul: shapes (3,) and (4,) do not fit: the last axis of the first has 3 entries, the only "
    "axis of the second 4": lambda: ones(3) @ ones(4),
    "matmul: shapes () and (3,): a matrix product needs at least one axis": lambda: (
        ones() @ ones(3)
    ),
    "matmul: shapes (2, 2, 3) and (3, 3, 2) do not fit: sizes before the last two": lambda: (
        ones(2, 2, 3) @ ones(3, 3, 2)
    ),
    "concatenate: shapes (2, 3), (3, 2) do not fit together; they must agree in all axes but the "
    "joined one": lambda: mg.concatenate([ones(2, 3), ones(3, 2)]),
    "concatenate: needs at least one array": lambda: mg.concatenate([]),
    "stack: shapes (2,), (3,) differ; stack needs equal ones": lambda: mg.stack([ones(2), ones(3)]),
    "reshape: cannot reshape array of size 6 into shape (4,2); called with x (2, 3) "
    "float32, shape=(4, 2)": lambda: ones(2, 3).reshape(4, 2),
    "broadcast_to: operands could not be broadcast": lambda: mg.broadcast_to(ones(2, 3), (4, 3)),
    "squeeze: axis 0 of shape (2, 3) has size 2, not 1": lambda: ones(2, 3).squeeze(0),
    "split: 5 entries along axis 0 can't be split into 2 equal parts": lambda: mg.split(ones(5), 2),
    "split: cuts must go upwards; got (3, 1) for 5 entries": lambda: mg.split(ones(5), (3, 1)),
    "pad: 1 pairs of widths for an array of shape (2, 2)": lambda: mg.pad(ones(2, 2), ((1, 1),)),
    "moveaxis: 2 axes can't go to 1 places": lambda: mg.moveaxis(ones(3, 2), (0, 1), 0),
    "einsum: 'ij,jk' names 2 operands; got 1": lambda: mg.einsum("ij,jk", ones(2, 3)),
    "einsum: index 'j' has size 3, and 4 in operand 1": lambda: mg.einsum(
        "ij,jk", ones(2, 3), ones(4, 5)
    ),
    "einsum: term 'ijk' of 'ijk' doesn't fit operand 0, which has 2 axes": lambda: mg.einsum(
        "ijk", ones(2, 3)
    ),
    "einsum: the output of 'ij->q' repeats or invents an index": lambda: mg.einsum(
        "ij->q", ones(2, 3)
    ),
    "layer_norm: the last axes of x (2, 3) are not (4,)": lambda: mg.layer_norm(ones(2, 3), 4),
    "mse_loss: prediction (2, 3) and target (3,) differ in shape": lambda: mg.mse_loss(
        ones(2, 3), ones(3)
    ),
    "cross_entropy: logits (2, 3) need integer targets of shape (2,); got (1,)": lambda: (
        mg.cross_entropy(ones(2, 3), [0])
    ),
}

AXES = {
    "sum: axis 2 is out of range for shape (2, 3); allowed are -2 to 1": lambda: ones(2, 3).sum(2),
    "sum: axis (0, -2) names an axis of shape (2, 3) twice": lambda: ones(2, 3).sum((0, -2)),
    "mean: axis -3 is out of range for shape (2, 3)": lambda: mg.mean(ones(2, 3), axis=-3),
    "max: axis 0 is out of range for shape (); allowed are none": lambda: mg.max(ones(), axis=0),
    "logsumexp: axis 4 is out of range": lambda: mg.logsumexp(ones(2, 3), axis=4),
    "cumsum: axis 3 is out of range": lambda: mg.cumsum(ones(2, 2), axis=3),
    "split: axis 1 is out of range for shape (5,)": lambda: mg.split(ones(5), 5, axis=1),
    "unstack: axis 0 is out of range for shape ()": lambda: mg.unstack(ones()),
    "flip: axis 1 is out of range for shape (2,)": lambda: mg.flip(ones(2), axis=1),
    "concatenate: axis 1 is out of range": lambda: mg.concatenate([ones(2), ones(2)], axis=1),
    "axis 5 is out of range; allowed are -2 to 1": lambda: mg.expand_dims(ones(2), 5),
    "axis 1 is out of range; allowed are -1 to 0": lambda: mg.swapaxes(ones(2), 0, 1),
    "transpose: axis 2 is out of range for shape (2, 3)": lambda: ones(2, 3).transpose(0, 1, 2),
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("text", [*SHAPES, *AXES])
def test_shapes_and_axes(text):
    check((SHAPES | AXES)[text], ValueError, text)


INDICES = {
    "getitem: index 5 is out of bounds for axis 0 with size 2; called with x (2, 3)": lambda: ones(
        2, 3
    )[5],
    "too many indices": lambda: ones(2, 3)[0, 0, 0],
    "an index must be made of integers, slices or truth values; got float64": lambda: ones(2)[1.0],
    "truth values; got <U1": lambda: ones(2)["a"],
    "boolean index did not match": lambda: ones(2)[np.array([True, False, True])],
    "index 7 is out of bounds": lambda: mg.take(ones(2, 3), [7], axis=0),
    "embedding: 5 is not one of the 3 positions 0..2": lambda: mg.embedding([0, 5], ones(3, 2)),
    "embedding: -1 is not one of the 3 positions": lambda: mg.embedding([-1], ones(3, 2)),
    "cross_entropy: 3 is not one of the 3 positions": lambda: mg.cross_entropy(ones(2, 3), [0, 3]),
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("text", INDICES)
def test_indices(text):
    check(INDICES[text], IndexError, text)


KINDS = {
    "only float tensors can require a gradient; this one is int64. Convert it first: "
    "x.astype('float32')": lambda: mg.tensor([1, 2], requires_grad=True),
    "this one is bool": lambda: setattr(mg.tensor([True]), "requires_grad", True),
    "require a gradient; this one is int64": lambda: mg.zeros(2, dtype="int64", requires_grad=True),
    "can't make a tensor of complex 1j": lambda: mg.tensor(1j),
    "can't make a tensor of str 'a'": lambda: mg.tensor("a"),
    "can't make a tensor of list: setting an array element with a sequence": lambda: mg.tensor(
        [[1, 2], [3]]
    ),
    "can't make a tensor of NoneType None": lambda: mg.tensor(None),
    "tensors hold numbers or truth values": lambda: mg.tensor([object()]),
    "add: takes tensors, arrays and numbers; got NoneType None": lambda: ones(2) + None,
    "multiply: takes tensors, arrays and numbers; got str 'a'": lambda: ones(2) * "a",
    "astype: complex64 is not supported": lambda: ones(2).astype("complex64"),
    "embedding: positions must be integers; got float32": lambda: mg.embedding(
        mg.ones(2), ones(3, 2)
    ),
    "tensors aren't edited in place": lambda: ones(2).__setitem__(0, 1),
    "a tensor of no dimensions has no length": lambda: len(ones()),
    "a tensor of no dimensions can't be iterated over; use item()": lambda: list(ones()),
    "only integer tensors can be an index; this one is float32": lambda: [1, 2][ones()],
    "minigrad calls dim axis: mg.sum(x, axis=0)": lambda: mg.sum(ones(2), dim=0),
    "output 0 must be a tensor; got float 3.0": lambda: mg.grad(3.0, ones(2)),
    "input 0 must be a tensor; got float 3.0": lambda: mg.grad(ones().sum(), 3.0),
}


@pytest.mark.parametrize("text", KINDS)
def test_kinds(text):
    check(KINDS[text], TypeError, text)


VALUES = {
    "cross_entropy: 3 classes need a weight of shape (3,); got (1,)": lambda: mg.cross_entropy(
        ones(2, 3), [0, 1], weight=ones(1)
    ),
    "item() needs one element; this tensor has shape (2,)": lambda: ones(2).item(),
    "the truth of a tensor of shape (2,) is ambiguous; use any() or all()": lambda: bool(ones(2)),
    "norm: ord must be 1, 2 or math.inf; got 3": lambda: mg.norm(ones(2), ord=3),
    "dropout: p is a probability, from 0 to 1; got 2": lambda: mg.dropout(ones(2), p=2),
    "mse_loss: reduction must be 'mean', 'sum' or 'none'; got 'avg'": lambda: mg.mse_loss(
        ones(2), ones(2), reduction="avg"
    ),
    "huber_loss: delta must be positive; got 0": lambda: mg.huber_loss(ones(2), ones(2), delta=0),
    "cross_entropy: label_smoothing is from 0 to 1; got 2": lambda: mg.cross_entropy(
        ones(2, 3), [0, 1], label_smoothing=2
    ),
    "grad needs an output to differentiate; the list of outputs is empty": lambda: mg.grad(
        [], ones(2)
    ),
    "1 outputs need as many grad_outputs; got 2": lambda: mg.grad([ones().sum()], ones(), [1, 2]),
    "must have its shape (2,); got (3,)": lambda: (ones(2) * 2).backward(mg.ones(3)),
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text):
    check(VALUES[text], ValueError, text)


GRAPH = {
    "has shape (2,), and only a scalar has a gradient without a cotangent. Reduce it first, "
    "for example y.sum().backward(), or pass a cotangent g of shape (2,)": lambda: (
        ones(2) * 2
    ).backward(),
    "output 0 has shape (2,), and only a scalar": lambda: mg.grad(ones(2) * 2, ones(2)),
    "does not depend on any tensor that requires a gradient. Set requires_grad=True on an input, "
    "and make sure that the computation is not inside no_grad() or behind detach()": lambda: (
        mg.ones(()).backward()
    ),
    "input 0 (shape (2,)) does not require a gradient": lambda: mg.grad(ones().sum(), mg.ones(2)),
    "no path leads from the outputs to input 0 (shape (2,))": lambda: mg.grad(
        ones().sum(), ones(2)
    ),
    "requires_grad can't be switched off on the result of an op; use x.detach()": lambda: setattr(
        ones(2) * 2, "requires_grad", False
    ),
}


@pytest.mark.parametrize("text", GRAPH)
def test_graph(text):
    check(GRAPH[text], RuntimeError, text)


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(
    "use",
    [
        lambda: ones(2, 3) @ ones(4, 3),
        lambda: mg.where(mg.ones(2) > 0, ones(3), ones(3)),
        lambda: mg.sum(ones(2), axis=1),
        lambda: ones(2)[7],
        lambda: mg.concatenate([ones(2), ones(2, 2)]),
        lambda: mg.split(ones(5), 2),
        lambda: mg.tensor([1], requires_grad=True),
        lambda: (ones(2) * 2).backward(),
    ],
)
def test_a_device_says_the_same(use):
    """The explanation needs no array on the host."""
    with pytest.raises(Exception) as here:
        use()
    with mg.use_backend("strict"), pytest.raises(type(here.value)) as there:
        use()
    assert str(there.value) == str(here.value)


def test_an_error_in_a_backward_pass_names_the_op():
    @mg.op
    def faulty(xp, x):
        return x + 1

    faulty.vjp(x=lambda g, x: g.no_such_attribute)
    try:
        with pytest.raises(AttributeError) as error:
            faulty(ones()).backward()
    finally:
        mg.OPS.pop("faulty")
    assert error.value.__notes__ == ["This happened in the backward pass of faulty."]


def test_an_error_keeps_its_cause():
    with pytest.raises(ValueError) as error:
        ones(2) + ones(3)
    assert isinstance(error.value.__cause__, ValueError)


# --- declarations --------------------------------------------------------------------------------


def declare(forward, many=False):
    return mg.op(many=many)(forward)


@pytest.fixture(autouse=True)
def no_new_ops():
    before = dict(mg.OPS)
    yield
    mg.OPS.clear()
    mg.OPS.update(before)


def unary(xp, x, *, axis=None):
    return x


def binary(xp, a, b):
    return a


def variadic(xp, *arrays, axis=0):
    return arrays[0]


def no_array():
    pass


def all_keywords(xp, x, **settings):
    return x


def takes_g(xp, x, g):
    return x


def takes_saved(xp, x, *, saved=1):
    return x


DECLARATIONS = {
    "op no_array: the forward must take a namespace, at least one array, and settings by name, as "
    "in def no_array(xp, x, *, axis=None)": lambda: declare(no_array),
    "op all_keywords: the forward must take": lambda: declare(all_keywords),
    "op <lambda>: an op needs a name; declare it with def": lambda: declare(lambda xp, x: x),
    "op takes_g: an input or setting can't be called 'g'": lambda: declare(takes_g),
    "op takes_saved: an input or setting can't be called 'saved'": lambda: declare(takes_saved),
    "op unary: a derivative is declared for 'z', but its array inputs are x": lambda: declare(
        unary
    ).vjp(z=lambda g: g),
    "op binary: no derivative is declared for b; declare b=None if no gradient flows": lambda: (
        declare(binary).vjp(a=lambda g: g)
    ),
    "op unary: a derivative asks for 'axes'; it can have axis, g, like, x, y": lambda: declare(
        unary
    ).vjp(x=lambda g, axes: g),
    "op unary: a derivative asks for 'y'; it can have axis, g, like, x": lambda: declare(
        unary, many=True
    ).vjp(x=lambda g, y: g),
    "must be a function of named parameters, as in lambda g, x: ...; got 3": lambda: declare(
        unary
    ).vjp(x=3),
    "op unary: a derivative must be a function of named parameters": lambda: declare(unary).vjp(
        x=lambda *args: args[0]
    ),
    "op unary: vjp has declared its derivatives already": lambda: (
        declare(unary).vjp(x=lambda g: g).vjp_all(lambda g: [g])
    ),
    "op binary: its derivatives come from one function, declared by vjp_all": lambda: (
        declare(binary).vjp_all(lambda g: [g, g]).vjp(a=lambda g: g, b=lambda g: g)
    ),
    "op variadic: its derivatives come from one function, declared by vjp_all, as it takes any "
    "number of arrays": lambda: declare(variadic).vjp(arrays=lambda g: g),
    "op variadic: a derivative asks for 'y'; it can have arrays, axis, g, shapes": lambda: declare(
        variadic
    ).vjp_all(lambda g, y: [g]),
    "op variadic: a derivative asks for the arrays or for their shapes, not both": lambda: declare(
        variadic
    ).vjp_all(lambda g, arrays, shapes: [g]),
    "op binary: a derivative asks for 'like'": lambda: declare(binary).vjp_all(
        lambda g, like: [g, g]
    ),
}


@pytest.mark.parametrize("text", DECLARATIONS)
def test_a_bad_declaration_fails_at_once(text):
    check(DECLARATIONS[text], mg.DeclarationError, text)


def test_the_written_text_is_readable():
    assert re.search(r"def multiply\(a, b\):\n", mg.multiply.source)
    assert "method = backend.multiply\n        y = method(a_data, b_data)" in mg.multiply.source
    assert "part = g * b\n" in mg.multiply.source
    assert "part = vjp_a(g, b, a_node)\n" in mg.matmul.source
    compile(mg.multiply.source, "multiply", "exec")


def test_an_op_looks_like_its_function():
    import inspect

    assert str(inspect.signature(mg.sum)).startswith("(x, axis=None, keepdims=False")
    assert mg.sum.__name__ == "sum" and "sum over `axis`" in mg.sum.__doc__
    assert repr(mg.sum) == "<op sum>"


@pytest.mark.usefixtures("on_numpy")
def test_a_lack_of_memory_stays_one_and_names_the_op():
    with pytest.raises(MemoryError) as error:
        mg.outer(mg.ones(2**24), mg.ones(2**24))
    assert error.value.__notes__ == [
        "This happened in multiply, called with a (16777216, 1) float32, b (1, 16777216) float32."
    ]
