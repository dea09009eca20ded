"""Tensors among NumPy arrays, Python numbers and other libraries; copies and pickles."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg

ARRAY = np.array([[1.0, 2.0], [3.0, 4.0]])


def leaf(values=ARRAY, dtype="float64"):
    return mg.tensor(values, requires_grad=True, dtype=dtype)


# --- NumPy -------------------------------------------------------------------------------------

SIDES = {
    "array * tensor": (lambda a, t: a * t, 5 * ARRAY),
    "tensor * array": (lambda a, t: t * a, 5 * ARRAY),
    "array - tensor": (lambda a, t: a - t, ARRAY * 0 - 1),
    "array @ tensor": (lambda a, t: a @ t, (5 * ARRAY).T),
    "array / tensor": (lambda a, t: a / t, -5 * ARRAY / ARRAY**2),
    "tensor ** array": (lambda a, t: t**a, None),
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", ["array * tensor", "tensor * array"])
def test_products_with_arrays_are_tensors(name):
    x = leaf()
    y = SIDES[name][0](np.array([5.0, 5.0]), x)
    assert isinstance(y, mg.Tensor) and y.requires_grad
    y.backward(mg.tensor(ARRAY))
    assert np.allclose(x.grad.numpy(), SIDES[name][1])


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", SIDES)
def test_numpy_leaves_mixed_operators_to_tensors(name):
    x, array = leaf(ARRAY + 1), ARRAY + 2
    y = SIDES[name][0](array, x)
    assert isinstance(y, mg.Tensor)
    assert np.allclose(y.numpy(), SIDES[name][0](array, ARRAY + 1))
    assert mg.grad(y.sum(), x).shape == (2, 2)


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("compare", [np.ndarray.__eq__, np.ndarray.__lt__, np.ndarray.__ge__])
def test_comparisons_with_arrays_are_tensors(compare):
    import operator

    name = compare.__name__.strip("_")
    for y in (getattr(operator, name)(ARRAY, leaf()), getattr(operator, name)(leaf(), ARRAY)):
        assert isinstance(y, mg.Tensor) and y.dtype == bool and y.shape == (2, 2)


@pytest.mark.usefixtures("on_numpy")
def test_asarray_is_a_read_only_view():
    x = leaf().detach()
    array = np.asarray(x)
    assert np.shares_memory(array, x._data)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    assert np.asarray(x, dtype="float32").dtype == np.float32
    writable = np.array(x)
    writable[0, 0] = 9
    assert x.numpy()[0, 0] == 1


def test_numpy_gives_a_copy(backend):
    x = leaf()
    array = x.numpy()
    array[:] = 0
    assert x.tolist() == ARRAY.tolist()


@pytest.mark.usefixtures("on_numpy")
def test_functions_of_numpy_take_host_tensors():
    x = leaf().detach()
    assert np.sum(np.asarray(x)) == np.sum(x) == 10
    assert np.allclose(x, ARRAY) and np.array_equal(np.exp(x), np.exp(ARRAY))
    np.testing.assert_allclose(x, ARRAY)


def test_a_device_is_not_read_in_silence():
    x = mg.tensor([1.0], backend="strict")
    with pytest.raises(TypeError, match=r"'strict' isn't turned into a NumPy array .* x.numpy\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError, match=r"NumPy array meets a tensor on backend 'strict'"):
        x * np.ones(1)
    assert x.numpy().tolist() == [1.0]


def test_lists_become_tensors_beside_tensors(backend):
    x = leaf([1.0, 2.0])
    assert mg.add(x, [1, 2]).tolist() == [2.0, 4.0]
    assert mg.maximum(x, [5, 0]).tolist() == [5.0, 2.0]
    assert mg.concatenate([x, [7.0]]).tolist() == [1.0, 2.0, 7.0]


@pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.int64(2), np.float32(2)])
@pytest.mark.parametrize(
    "f",
    [
        *(lambda x, n: x * n, lambda x, n: n * x, lambda x, n: x - n, lambda x, n: n - x),
        *(lambda x, n: x / n, lambda x, n: n / x, lambda x, n: x**n, lambda x, n: n**x),
        *(lambda x, n: mg.maximum(x, n), lambda x, n: mg.where(x > n, x, n)),
    ],
)
def test_numbers_never_upcast(backend, f, number):
    for value in (1.5, [1.5, 2.5]):
        x = mg.tensor(value, requires_grad=True, dtype="float32")
        y = f(x, number)
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == np.float32


def test_two_numbers_take_the_default_dtype(backend):
    mask = mg.tensor([True, False])
    assert mg.where(mask, 1.0, 0).dtype == np.float32
    assert mg.where(mask, 1, 0).dtype == np.int64


def test_bounds_of_numpys_kind_do_not_upcast(backend):
    assert mg.clip(mg.ones(2), min=np.float64(0), max=np.int64(3)).dtype == np.float32


def test_python_numbers_out():
    assert float(mg.tensor(1.5)) == 1.5 and int(mg.tensor(3)) == 3 and bool(mg.tensor(True))
    assert isinstance(mg.tensor(1.5).item(), float) and isinstance(mg.tensor(3).item(), int)
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert f"{mg.tensor(2.0):.2f}" == "2.00"
    assert len(mg.ones((3, 2))) == 3
    assert [row.tolist() for row in mg.tensor(ARRAY)] == ARRAY.tolist()
    assert sum([mg.tensor(1.0), mg.tensor(2.0)]).item() == 3.0


def test_iteration_differentiates():
    x = leaf()
    sum(row.sum() * i for i, row in enumerate(x)).backward()
    assert x.grad.tolist() == [[0, 0], [1, 1]]


def test_unpacking():
    a, b = leaf([1.0, 2.0])
    assert (a.item(), b.item()) == (1.0, 2.0)


# --- what tensors are made of ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        *((1.0, "float32"), (1, "int64"), (True, "bool"), ([[1.0, 2.0]], "float32")),
        *(([1, 2], "int64"), ([], "float32"), (np.float64(1), "float64"), (np.ones(2), "float64")),
        (np.ones(2, "int32"), "int32"),
    ],
)
def test_dtypes_of_new_tensors(backend, data, dtype):
    assert mg.tensor(data).dtype == dtype


def test_the_default_dtype_can_be_set():
    mg.set_default_dtype("float64")
    try:
        assert mg.tensor([1.0]).dtype == mg.zeros(2).dtype == mg.rand(2).dtype == np.float64
    finally:
        mg.set_default_dtype("float32")
    with pytest.raises(TypeError, match="must be a float dtype; got int64"):
        mg.set_default_dtype("int64")


def test_tensors_of_tensors():
    x = mg.tensor([mg.tensor(1.0), mg.tensor(2.0)])
    assert x.tolist() == [1.0, 2.0]
    y = mg.tensor(x)
    y.data[0] = 5
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: mg.zeros((2, 2)), np.zeros((2, 2))),
        (lambda: mg.ones(3), np.ones(3)),
        (lambda: mg.full((2,), 7), np.full(2, 7)),
        (lambda: mg.full((2,), 1.5), np.full(2, 1.5)),
        (lambda: mg.arange(4), np.arange(4)),
        (lambda: mg.arange(1, 2, 0.25), np.arange(1, 2, 0.25)),
        (lambda: mg.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        (lambda: mg.eye(2, 3), np.eye(2, 3)),
        (lambda: mg.zeros_like(leaf()), np.zeros((2, 2))),
        (lambda: mg.ones_like(leaf()), np.ones((2, 2))),
        (lambda: mg.full_like(leaf(), 3), np.full((2, 2), 3.0)),
        (lambda: mg.empty((0, 3)), np.zeros((0, 3))),
    ],
)
def test_creation(backend, make, expected):
    x = make()
    assert x.shape == expected.shape and x.backend.name == backend
    assert x.dtype.kind == expected.dtype.kind
    assert np.allclose(x.numpy(), expected)


def test_a_seed_gives_the_same_numbers_on_every_backend(backend):
    mg.manual_seed(5)
    found = [mg.randn((2, 3)).numpy(), mg.rand(4).numpy(), mg.dropout(mg.ones(50)).numpy()]
    with mg.use_backend("numpy"):
        mg.manual_seed(5)
        expected = [mg.randn((2, 3)).numpy(), mg.rand(4).numpy(), mg.dropout(mg.ones(50)).numpy()]
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b) and a.dtype == np.float32


# --- DLPack --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
def test_dlpack_out():
    x = mg.tensor([1.0, 2.0])
    array = np.from_dlpack(x)
    assert array.tolist() == [1.0, 2.0] and np.shares_memory(array, x._data)


@pytest.mark.usefixtures("on_numpy")
def test_dlpack_in():
    array = np.array([1.0, 2.0])
    x = mg.from_dlpack(array)
    assert x.dtype == np.float64 and np.shares_memory(array, x._data)
    x.requires_grad = True
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_dlpack_refuses_a_tensor_with_history():
    with pytest.raises(BufferError, match=r"detach\(\) first"):
        np.from_dlpack(leaf())


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = mg.tensor([1.0, 2.0])
    assert torch.from_dlpack(x).tolist() == [1.0, 2.0]
    assert mg.from_dlpack(torch.ones(2)).tolist() == [1.0, 1.0]


def test_a_host_array_is_not_shared_with_a_device():
    said = r"in the host's memory can't be shared with backend 'strict'; copy it there by mg.tensor"
    with pytest.raises(mg.BackendError, match=said):
        mg.from_dlpack(np.ones(2), backend="strict")


class OnDevice:
    """An array of another library on CUDA's device 0, as far as anybody may look."""

    def __dlpack_device__(self):
        return (2, 0)


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("take", [mg.tensor, mg.from_dlpack])
def test_an_array_on_a_device_is_not_read_in_silence(take):
    with pytest.raises(
        mg.BackendError, match=r"pass backend='cupy', and move the tensor with .to\('numpy'\)"
    ):
        take(OnDevice())


# --- copies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_leaves_can_be_copied(backend, again, requires_grad):
    x = mg.tensor([1.0, 2.0], requires_grad=requires_grad)
    y = again(x)
    assert y.tolist() == [1.0, 2.0] and y.dtype == np.float32
    assert y.requires_grad == requires_grad and y.backend is x.backend
    assert y._data is not x._data
    if requires_grad:
        (y * 2).sum().backward()
        assert x.grad is None


def test_results_can_not():
    with pytest.raises(TypeError, match=r"only leaves can be copied or pickled; use x.detach\(\)"):
        copy.deepcopy(leaf() * 2)
    assert copy.deepcopy((leaf() * 2).detach()).tolist() == (2 * ARRAY).tolist()


# --- backends ------------------------------------------------------------------------------------


def test_gradients_flow_between_backends(backend):
    x = mg.tensor([1.0, 2.0], requires_grad=True, backend="numpy")
    y = (x * x).to(backend)
    assert y.backend.name == backend
    z = mg.exp(y).to("numpy") * x
    z.sum().backward()
    a = np.array([1.0, 2.0])
    assert x.grad.backend.name == "numpy"
    assert np.allclose(x.grad.numpy(), np.exp(a * a) * (1 + 2 * a * a))


def test_second_order_between_backends(backend):
    x = mg.tensor([1.0, 2.0], requires_grad=True, backend="numpy", dtype="float64")
    slope = mg.grad(((x * x).to(backend) ** 2).sum(), x, create_graph=True)
    assert mg.grad(slope.sum(), x).tolist() == [12.0, 48.0]


def test_to_the_same_backend_is_the_tensor_itself(backend):
    x = mg.ones(2)
    assert x.to(backend) is x


# --- as text -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mg.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: mg.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: mg.tensor(1.5, dtype="float64"), "tensor(1.5, dtype=float64)"),
        (lambda: mg.tensor(1.0, requires_grad=True), "tensor(1., requires_grad=True)"),
        (lambda: mg.tensor(1.0, requires_grad=True) * 2, "tensor(2., op=multiply)"),
        (lambda: mg.tensor([True], backend="strict"), "tensor([ True], backend='strict')"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(mg.zeros((1000, 1000)))) < 1000
