"""A tensor that requires a gradient is no array for NumPy, unless asked for; any other is one."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.errors import GradientLost

pytestmark = pytest.mark.usefixtures("on_numpy")

C = np.array([10.0, 20.0])


def leaf(values=(1.0, 2.0)):
    return mg.tensor(np.array(values), requires_grad=True)


def into(index):
    def write(w):
        C.copy()[index] = w

    return write


def add_to(w):
    array = C.copy()
    array += w


# What is called, and the function that the error names.
NAMED = {
    "np.dot": (lambda w: np.dot(C, w), "mg.dot"),
    "np.stack": (lambda w: np.stack([w, w]), "mg.stack"),
    "np.sum": (lambda w: np.sum(w), "mg.sum"),
    "np.mean": (lambda w: np.mean(w * 2), "mg.mean"),
    "np.exp": (lambda w: np.exp(w), "mg.exp"),
    "np.negative": (lambda w: np.negative(w), "mg.negative"),
    "np.absolute": (lambda w: np.abs(w), "mg.abs"),
    "np.maximum": (lambda w: np.maximum(w, 0), "mg.maximum"),
    "np.linalg.norm": (lambda w: np.linalg.norm(w), "mg.linalg.norm"),
    "np.linalg.det": (lambda w: np.linalg.det(w[None, :1]), "mg.linalg.det"),
    "np.linalg.solve": (lambda w: np.linalg.solve(w[None, :1], w[:1]), "mg.linalg.solve"),
    "np.linalg.matmul": (lambda w: np.linalg.matmul(w, w), "mg.matmul"),
    "np.concatenate": (lambda w: np.concatenate([C, w]), "mg.concatenate"),
    "np.where": (lambda w: np.where(w > 0, w, 0), "mg.where"),
    "np.einsum": (lambda w: np.einsum("i,i", C, w), "mg.einsum"),
    "np.add.reduce": (lambda w: np.add.reduce(w), "mg.sum"),
    "np.add into an array (as in a += x)": (add_to, "mg.add"),
    "np.vstack": (lambda w: np.vstack([w, w]), "mg.concatenate"),
    "np.argmax": (lambda w: np.argmax(w), "mg.argmax"),
    "np.clip": (lambda w: np.clip(w, 0, 1), "mg.clip"),
    "np.rint": (lambda w: np.rint(w), "mg.round"),
    "np.fmin": (lambda w: np.fmin(w, 0), "mg.minimum"),
}

UNNAMED = {
    "np.array": lambda w: np.array(w),
    "np.array of a list": lambda w: np.array([w, w]),
    "np.array of numbers": lambda w: np.array([w[0], w[1]]),
    "np.array of a list of it": lambda w: np.array(list(w)),
    "np.asarray": lambda w: np.asarray(w),
    "another dtype": lambda w: np.asarray(w, dtype="float32"),
    "of no dimensions": lambda w: np.asarray(w[0]),
    "objects": lambda w: np.array([w], dtype=object),
    "[...]": into(...),
    "[:]": into(slice(None)),
    "np.vectorize": lambda w: np.vectorize(lambda t: t)(w),
    "assert_allclose": lambda w: np.testing.assert_allclose(w, C),
    "np.trace": lambda w: np.trace(w[None]),  # mg.trace is something else
    "np.linalg.pinv": lambda w: np.linalg.pinv(w[None, :1]),
    "np.cbrt": lambda w: np.cbrt(w),
    "random": lambda w: np.random.default_rng(0).normal(w),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_function_of_numpy_names_ours(name):
    call, ours = NAMED[name]
    for w in (leaf(), leaf() * 2):
        with pytest.raises(GradientLost) as error:
            call(w)
        assert str(error.value).startswith(f"{name} of a tensor that requires a gradient: none ")
        assert f"Use {ours}" in str(error.value)  # or a line that begins with it
        assert str(error.value).endswith(", or take x.detach() for the numbers alone")
    assert isinstance(error.value, TypeError)


@pytest.mark.parametrize("name", UNNAMED)
def test_a_conversion_says_what_to_do(name):
    for w in (leaf(), leaf() * 2):
        with pytest.raises(GradientLost, match=r"x\.detach\(\) for the numbers alone"):
            UNNAMED[name](w)


@pytest.mark.parametrize("name", [*NAMED, *UNNAMED])
def test_without_a_gradient_to_lose_a_tensor_is_an_array(name):
    call = NAMED[name][0] if name in NAMED else UNNAMED[name]
    if name == "assert_allclose":
        call = lambda w: np.testing.assert_allclose(w, w)  # noqa: E731
    right = call(np.array([1.0, 2.0]))
    with mg.no_grad():
        np.testing.assert_array_equal(call(leaf()), right)
    np.testing.assert_array_equal(call(leaf().detach()), right)
    np.testing.assert_array_equal(call(mg.tensor([1.0, 2.0], dtype="float64")), right)


def test_what_is_asked_for_stays():
    w = leaf()
    assert w.numpy().tolist() == w.tolist() == [1.0, 2.0]
    assert float(w[1]) == w[1].item() == 2.0 and int(w[1]) == 2 and bool(w[1])
    assert f"{w[1]:.3f}" == "2.000" and repr(w) and math.sqrt(w[1]) == math.sqrt(2)
    assert w in [w] and np.shape(w) == (2,) and np.ndim(w) == 1 and np.size(w) == 2
    assert C[w > 1].tolist() == [20.0]
    for again in (copy.copy(w), copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert again.tolist() == [1.0, 2.0] and again.requires_grad
    for made in (mg.nn.Parameter(w * 2), mg.nn.Buffer(w * 2)):
        assert made.tolist() == [2.0, 4.0]
    again = mg.tensor(w * 2, requires_grad=True)
    assert again.is_leaf and again.tolist() == [2.0, 4.0]
    assert mg.ones_like(w).tolist() == [1.0, 1.0]
    with pytest.raises(BufferError, match=r"detach\(\) first"):
        np.from_dlpack(w)


OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul),
    *(operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne),
]
UFUNCS = {np.add: operator.add, np.multiply: operator.mul, np.matmul: operator.matmul}


@given(
    st.sampled_from([*OPERATORS, *UFUNCS]),
    st.sampled_from([C, C.astype("float32"), np.float64(3), np.array(3), np.ma.array([1.0, 3.0])]),
    st.booleans(),
)
def test_operators_with_arrays_give_tensors(apply, array, swapped):
    plain = np.array([1.5, 2.5])
    if np.ndim(array) == 0 and apply in (operator.matmul, np.matmul):
        return
    w = leaf(plain)
    y = apply(array, w) if swapped else apply(w, array)
    right = apply(array, plain) if swapped else apply(plain, array)
    assert isinstance(y, mg.Tensor)
    np.testing.assert_allclose(y.numpy(), right)
    if y.dtype.kind == "f":
        other = mg.tensor(np.asarray(array, "float64"))
        same = UFUNCS.get(apply, apply)
        z = same(other, w) if swapped else same(w, other)
        g = mg.grad(y.sum(), w)
        np.testing.assert_allclose(g.numpy(), mg.grad(z.sum(), w).numpy())


@pytest.mark.parametrize(
    "make",
    [
        lambda w: mg.tensor([w[0], w[1]]),
        lambda w: mg.tensor((w, [1.0, 2.0])),
        lambda w: mg.tensor([[w[0], 1.0], [w[1], 2.0]]),
        lambda w: mg.tensor(w),
        lambda w: mg.tensor([w[0], w[1]], requires_grad=True),
        lambda w: mg.tensor(w, backend="strict"),
        lambda w: mg.add(w.detach(), [w[0], w[1]]),
        lambda w: mg.sin([w[0], w[1]]),
        lambda w: mg.where(w > 1, w, [w[1], w[0]]),
        lambda w: mg.concatenate([w, [w[0]]]),
        lambda w: mg.clip(w, w[0], 2.0),
        lambda w: mg.clip(w.detach(), max=w[1]),
        lambda w: mg.grad(w * w, w, [[w[0], w[1]]]),
    ],
)
def test_a_new_tensor_is_no_way_around(make):
    with pytest.raises(TypeError, match=r"detach\(\)"):
        make(leaf())


def test_what_to_use_instead():
    with pytest.raises(GradientLost, match=r"join tensors with mg.stack"):
        mg.tensor([leaf()[0], leaf()[1]])
    with pytest.raises(GradientLost, match=r"clip: .* use mg.maximum and mg.minimum"):
        mg.clip(leaf(), leaf()[0], 2)
    with mg.no_grad():
        w = leaf()
        assert mg.tensor([w[0], w[1]]).tolist() == mg.tensor(w).tolist() == [1.0, 2.0]
        assert mg.clip(w, w[1], 9).tolist() == [2.0, 2.0]


def test_a_setting_of_an_op_of_ones_own_is_no_input():
    def scaled(xp, x, *, factor=1.0):
        return x * float(factor)

    op = mg.op(scaled).vjp(x=lambda g, factor: g * factor)
    try:
        assert op(leaf(), factor=mg.tensor(3.0)).tolist() == [3.0, 6.0]
        with pytest.raises(GradientLost, match=r"scaled: .* A setting is no input: declare it as"):
            op(leaf(), factor=leaf()[1])
    finally:
        mg.OPS.pop("scaled")


def test_the_loss_of_the_issue_is_right():
    w = leaf()
    ((w * w).sum() + mg.dot(mg.tensor(C), w)).backward()
    assert w.grad.tolist() == [12.0, 24.0]


def test_on_a_device_it_says_so_first():
    x = mg.tensor([1.0], backend="strict", requires_grad=True)
    for read in (np.asarray, np.exp, np.sum, lambda x: np.stack([x])):
        with pytest.raises(TypeError, match="a tensor on 'strict' isn't turned into a NumPy array"):
            read(x)
    assert np.shape(x) == (1,)
