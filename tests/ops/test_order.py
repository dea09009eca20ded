"""Order, running values and positions along an axis: any array, ties, NaN, zeros, wrong use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.testing import references, strategies

NUMBERS = [0.0, 1.0, -1.0, 0.5, 2.0, -0.0, np.nan, np.inf, -np.inf]
SEEDS = st.integers(0, 9)


@st.composite
def tied(draw, min_dims=1, special=True, max_side=5):
    """An array in some layout in which many numbers are equal, with an axis of it or None."""
    shape = draw(strategies.shapes(min_dims=min_dims, max_side=max_side))
    numbers = NUMBERS if special else NUMBERS[:5]
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    array = rng.choice(numbers, shape).astype(draw(strategies.dtypes()))
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    layout = draw(st.sampled_from(strategies.LAYOUTS)) if array.size and shape else "contiguous"
    return strategies.relaid(array, layout), axis


def flat(array, axis):
    return (array.ravel(), 0) if axis is None else (array, axis % array.ndim)


def gathered(f, array, order, axis, seed=0):
    """That f(x) is x at positions `order` along an axis, and its gradients those of reading."""
    x = mg.tensor(array, requires_grad=True)
    y = f(x)
    a, along = flat(array, axis)
    assert y.dtype == array.dtype
    assert np.array_equal(y.numpy(), np.take_along_axis(a, order, along), equal_nan=True)
    g = np.random.default_rng(seed).standard_normal(y.shape).astype(array.dtype)
    expected = np.zeros(a.shape)
    index = [
        np.arange(n).reshape([-1 if i == j else 1 for j in range(a.ndim)])
        for i, n in enumerate(a.shape)
    ]
    index[along] = order
    np.add.at(expected, tuple(index), g)
    (slope,) = mg.grad([y], [x], [mg.tensor(g)], create_graph=True)
    assert np.allclose(slope.numpy(), expected.reshape(array.shape), rtol=1e-5, atol=1e-5)


@given(case=tied(), descending=st.booleans())
def test_sort_reads_in_a_stable_order(backend, case, descending):
    array, axis = case
    a, along = flat(array, axis)
    order = references.argsort(a, along, descending)
    found = mg.argsort(mg.tensor(array), axis=axis, descending=descending)
    assert found.dtype == np.int64 and np.array_equal(found.numpy(), order)
    gathered(lambda x: mg.sort(x, axis=axis, descending=descending), array, order, axis)


@given(case=tied(), largest=st.booleans(), data=st.data())
def test_topk_is_the_first_of_what_is_sorted(backend, case, largest, data):
    array, axis = case
    axis = -1 if axis is None else axis
    k = data.draw(st.integers(0, array.shape[axis]))
    order = np.take(references.argsort(array, axis, largest), range(k), axis)
    values, indices = mg.topk(mg.tensor(array), k, axis, largest)
    assert np.array_equal(indices.numpy(), order) and values.shape == indices.shape
    gathered(lambda x: mg.topk(x, k, axis=axis, largest=largest).values, array, order, axis)


@given(case=tied(), data=st.data())
def test_take_along_axis_reads_anything(backend, case, data):
    array, axis = case
    a, along = flat(array, axis)
    shape = list(a.shape)
    shape[along] = data.draw(st.integers(0, 6)) if shape[along] else 0
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    n = a.shape[along]
    order = rng.integers(-n, n, shape) if n else np.zeros(shape, int)
    kind = data.draw(st.sampled_from([np.asarray, mg.tensor, np.ndarray.tolist]))
    if kind is np.ndarray.tolist and not order.size:
        kind = np.asarray
    gathered(lambda x: mg.take_along_axis(x, kind(order), axis=axis), array, order, axis)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@given(case=tied())
def test_running_extremes_read_the_last_of_ties(backend, name, case):
    array, axis = case
    a, along = flat(array, axis)
    ufunc = np.maximum if name == "cummax" else np.minimum
    y = getattr(mg, name)(mg.tensor(array), axis=axis)
    assert np.array_equal(y.numpy(), ufunc.accumulate(a, axis=along), equal_nan=True)
    lines = np.moveaxis(a, along, 0)
    order = np.zeros(lines.shape, int)
    for i in range(1, len(lines)):
        best = np.take_along_axis(lines, order[i - 1 : i], 0)[0]
        with np.errstate(invalid="ignore"):
            wins = ufunc(lines[i], best) == lines[i]
        order[i] = np.where(wins | np.isnan(lines[i]), i, order[i - 1])
    gathered(lambda x: getattr(mg, name)(x, axis=axis), array, np.moveaxis(order, 0, along), axis)


@given(case=tied(special=False, max_side=9))
def test_running_products_are_numpys(backend, case):
    array, axis = case
    y = mg.cumprod(mg.tensor(array), axis=axis)
    assert y.dtype == array.dtype
    assert np.allclose(y.numpy(), np.cumprod(array, axis=axis), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "int64"])
def test_running_products_of_integers_have_numpys_dtype(backend, dtype):
    array = np.array([3, 200, 1, 7, 5], dtype)
    found = mg.cumprod(mg.tensor(array))
    assert found.dtype == np.cumprod(array).dtype
    assert np.array_equal(found.numpy(), np.cumprod(array))


def test_a_negative_nan_comes_last(backend):
    """As x86 makes it; a GPU that sorts by bits would put it first."""
    array = np.array([1.0, np.copysign(np.nan, -1), -np.inf, 2.0])
    assert mg.argsort(mg.tensor(array)).tolist() == [2, 0, 3, 1]
    assert mg.argsort(mg.tensor(array), descending=True).tolist() == [1, 3, 0, 2]
    assert mg.argsort(mg.tensor(array.astype("float16"))).tolist() == [2, 0, 3, 1]


# --- PyTorch ---------------------------------------------------------------------------------

# Of minigrad and of PyTorch: functions of a vector, in which numbers are equal or 0.
SAME = {
    "sort": (lambda x: mg.sort(x), lambda t, x: t.sort(x, stable=True).values),
    "sort down": (
        lambda x: mg.sort(x, descending=True),
        lambda t, x: t.sort(x, stable=True, descending=True).values,
    ),
    "cumprod": (lambda x: mg.cumprod(x), lambda t, x: t.cumprod(x, 0)),
    "cummax": (lambda x: mg.cummax(x), lambda t, x: t.cummax(x, 0).values),
    "cummin": (lambda x: mg.cummin(x), lambda t, x: t.cummin(x, 0).values),
    "cumprod of cummax": (
        lambda x: mg.cumprod(mg.cummax(x * x)),
        lambda t, x: t.cumprod(t.cummax(x * x, 0).values, 0),
    ),
    "diff": (lambda x: mg.diff(x, n=2, append=x), lambda t, x: t.diff(x, n=2, append=x)),
    "roll": (lambda x: mg.roll(x, -3) * x, lambda t, x: t.roll(x, -3) * x),
    "diag": (lambda x: mg.diag(x, 1) ** 2, lambda t, x: t.diag(x, 1) ** 2),
    "diagonal": (
        lambda x: mg.diagonal(mg.outer(x, x), -1),
        lambda t, x: t.diagonal(t.outer(x, x), -1),
    ),
    "inner": (lambda x: mg.inner(x, x * x), lambda t, x: t.inner(x, x * x)),
    "tensordot": (
        lambda x: mg.tensordot(mg.outer(x, x), x, axes=1),
        lambda t, x: t.tensordot(t.outer(x, x), x, dims=1),
    ),
    "meshgrid": (
        lambda x: mg.multiply(*mg.meshgrid(x, x * x, indexing="ij")),
        lambda t, x: t.mul(*t.meshgrid(x, x * x, indexing="ij")),
    ),
}


@pytest.mark.parametrize("name", SAME)
@given(
    values=st.lists(st.sampled_from(NUMBERS[:6]), min_size=3, max_size=9), seed=st.integers(0, 9)
)
def test_gradients_of_both_orders_are_torchs(backend, name, values, seed):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ours, theirs = SAME[name]
    x = mg.tensor(values, requires_grad=True, dtype="float64")
    z = torch.tensor(values, requires_grad=True, dtype=torch.float64)
    y, right = ours(x), theirs(torch, z)
    rng = np.random.default_rng(seed)
    g, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    assert np.allclose(y.numpy(), right.detach().numpy(), rtol=1e-12)
    (first,) = mg.grad([y], [x], [mg.tensor(g)], create_graph=True)
    (wanted,) = torch.autograd.grad([right], [z], [torch.tensor(g)], create_graph=True)
    assert np.allclose(first.numpy(), wanted.detach().numpy(), rtol=1e-9, atol=1e-12)
    if not wanted.requires_grad:
        return
    (second,) = torch.autograd.grad([wanted], [z], [torch.tensor(v)], allow_unused=True)
    found = mg.grad([first], [x], [mg.tensor(v)], allow_unused=True)[0]
    second = np.zeros(len(values)) if second is None else second.numpy()
    found = np.zeros(len(values)) if found is None else found.numpy()
    assert np.allclose(found, second, rtol=1e-9, atol=1e-12)


@given(values=st.lists(st.sampled_from(NUMBERS[:7]), min_size=1, max_size=9), data=st.data())
def test_topk_has_the_values_of_torchs(backend, values, data):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    k, largest = data.draw(st.integers(1, len(values))), data.draw(st.booleans())
    found = mg.topk(mg.tensor(values, dtype="float64"), k, largest=largest)
    right = torch.topk(torch.tensor(values, dtype=torch.float64), k, largest=largest)
    assert np.array_equal(found.values.numpy(), right.values.numpy(), equal_nan=True)


# --- methods, and results of their own ---------------------------------------------------------


def test_methods_are_the_functions(backend):
    x = mg.tensor([[3.0, 1.0], [2.0, 2.0]])
    calls = [("argsort", ()), ("cummax", (1,)), ("cummin", (0,)), ("cumprod", ()), ("cumsum", (0,))]
    calls += [("diag", (1,)), ("diagonal", ()), ("roll", (1, 0))]
    for name, rest in calls:
        assert getattr(x, name)(*rest).tolist() == getattr(mg, name)(x, *rest).tolist()
    assert x.topk(1).indices.tolist() == [[0], [0]]
    assert not hasattr(x, "sort")


@pytest.mark.parametrize(
    "f",
    [
        *(lambda x: mg.roll(x, 0), lambda x: mg.roll(x, (), ()), lambda x: mg.diff(x, n=0)),
        *(mg.cumprod, lambda x: mg.cumprod(x, 0), mg.cumsum, mg.sort, mg.cummax),
    ],
)
def test_a_result_is_no_input(backend, f):
    """What is done to the result does not reach the input, also if they are equal."""
    x = mg.tensor([3.0])
    y = f(x)
    y += 1
    assert x.tolist() == [3.0]


# --- wrong use -----------------------------------------------------------------------------------

X = mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], backend="numpy")
WRONG = [
    (lambda: mg.sort(X, axis=2), ValueError, r"sort: axis 2 is out of range.*-2 to 1"),
    (lambda: mg.sort(mg.tensor(1.0)), ValueError, r"sort: axis -1 is out of range"),
    (lambda: mg.argsort(X, axis=(0, 1)), TypeError, r"argsort: axis must be an integer"),
    (lambda: mg.topk(X, 4), ValueError, r"topk: axis 1 of shape \(2, 3\) has no 4 elements"),
    (lambda: mg.topk(X, -1), ValueError, r"topk: k must be 0 or more; got -1"),
    (lambda: mg.topk(X, 1.0), TypeError, r"topk: k must be an integer; got 1\.0"),
    (
        lambda: mg.take_along_axis(X, [1], axis=1),
        ValueError,
        r"take_along_axis: indices have as many axes as x, 2; got shapes \(1,\) and \(2, 3\)",
    ),
    (
        lambda: mg.take_along_axis(X, [[True], [False]], axis=1),
        IndexError,
        r"take_along_axis: indices are integers; got truth values",
    ),
    (lambda: mg.take_along_axis(X, [[3], [0]]), IndexError, r"take_along_axis: index 3 is out of"),
    (lambda: mg.take_along_axis(X, [[1.0], [0]]), IndexError, r"integers, slices or truth"),
    (
        lambda: mg.take_along_axis(X, [[0], [0], [0]], axis=1),
        IndexError,
        r"take_along_axis: shape mismatch",
    ),
    (lambda: mg.cumprod(X, axis=2), ValueError, r"cumprod: axis 2 is out of range"),
    (lambda: mg.cummax(X, axis=-3), ValueError, r"cummax: axis -3 is out of range"),
    (lambda: mg.diff(X, n=-1), ValueError, r"diff: n must be 0 or more; got -1"),
    (lambda: mg.diff(mg.tensor(1.0)), ValueError, r"diff: axis -1 is out of range"),
    (lambda: mg.diff(X, append=mg.ones((3, 1))), ValueError, r"diff: shapes .* do not fit"),
    (lambda: mg.roll(X, 1.5, axis=0), TypeError, r"roll: a shift is an integer; got 1\.5"),
    (lambda: mg.roll(X, (1, 2, 3), axis=(0, 1)), ValueError, r"roll: 3 shifts don't fit 2 axes"),
    (lambda: mg.roll(X, 1, axis=2), ValueError, r"roll: axis 2 is out of range"),
    (lambda: mg.diagonal(X[0]), ValueError, r"diagonal: needs a matrix, or more axes"),
    (lambda: mg.diagonal(X, axis1=1), ValueError, r"diagonal: axis \(1, 1\) names an axis twice"),
    (lambda: mg.diagonal(X, 0.5), TypeError, r"diagonal: the offset of a diagonal is an integer"),
    (lambda: mg.diag(mg.ones((2, 2, 2))), ValueError, r"diag: needs a vector or a matrix"),
    (lambda: mg.diag(mg.ones(2), "1"), TypeError, r"diag: the offset of a diagonal is an integer"),
    (lambda: mg.inner(X, X[0, :2]), ValueError, r"inner: shapes \(2, 3\) and \(2,\) do not fit"),
    (lambda: mg.tensordot(X, X.T), ValueError, r"tensordot: .*sizes \(2, 3\), axes .* \(3, 2\)"),
    (lambda: mg.tensordot(X, X, 3), ValueError, r"tensordot: 3 axes are asked for; got shapes"),
    (lambda: mg.tensordot(X, X, (0, 1, 1)), ValueError, r"tensordot: axes are a number, or a pair"),
    (lambda: mg.tensordot(X, X, ((0, 1), 0)), ValueError, r"tensordot: 2 axes of a can't meet 1"),
    (lambda: mg.tensordot(X, X, 1.0), TypeError, r"tensordot: axes, a number or a pair, must be"),
    (lambda: mg.meshgrid(X, indexing="yx"), ValueError, r"meshgrid: indexing is 'xy' or 'ij'; got"),
]


@pytest.mark.parametrize(("call", "kind", "text"), WRONG)
def test_wrong_use_is_explained(on_numpy, call, kind, text):
    with pytest.raises(kind, match=text):
        call()
