"""vjp, jvp, hvp, jacobian, hessian; checkpoint; anomaly mode."""

import gc
import weakref

import numpy as np
import pytest

import minigrad as mg

RNG = np.random.default_rng(0)


def tensor(*shape, requires_grad=False):
    return mg.tensor(RNG.standard_normal(shape), requires_grad=requires_grad)


def matrix_of(f, x, step=1e-6):
    """The Jacobian by central differences: (size of f(x), size of x)."""
    columns = []
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = step
        e = e.reshape(x.shape)
        up, down = (f(mg.tensor(x.numpy() + s * e)).numpy().reshape(-1) for s in (1, -1))
        columns.append((up - down) / (2 * step))
    return np.stack(columns, axis=1)


def f(x):
    """(2, 3) to (3,)."""
    return mg.tanh(x[0]) * mg.exp(x[1]) + x.sum() ** 2


def scalar(x):
    return (mg.tanh(x) ** 3).sum() * x[0, 0]


# --- vjp and jvp ---------------------------------------------------------------------------------


def test_vjp_and_jvp_against_the_jacobian(backend):
    x, v, u = tensor(2, 3), tensor(3), tensor(2, 3)
    jacobian = matrix_of(f, x)
    y, pulled = mg.vjp(f, x, v)
    assert np.allclose(y.numpy(), f(x).numpy())
    assert np.allclose(pulled.numpy().reshape(-1), v.numpy() @ jacobian, atol=1e-7)
    y, pushed = mg.jvp(f, x, u)
    assert np.allclose(y.numpy(), f(x).numpy())
    assert np.allclose(pushed.numpy(), jacobian @ u.numpy().reshape(-1), atol=1e-7)


def test_several_inputs_and_outputs(backend):
    a, b = tensor(2), tensor(2)

    def both(a, b):
        return a * b, a + mg.sin(b)

    (p, q), (ga, gb) = mg.vjp(both, (a, b), (mg.ones_like(a), 10 * mg.ones_like(a)))
    assert np.allclose(p.numpy(), (a * b).numpy()) and np.allclose(
        q.numpy(), (a + mg.sin(b)).numpy()
    )
    assert np.allclose(ga.numpy(), b.numpy() + 10)
    assert np.allclose(gb.numpy(), a.numpy() + 10 * np.cos(b.numpy()))
    _, (dp, dq) = mg.jvp(both, (a, b), (mg.ones_like(a), 2 * mg.ones_like(a)))
    assert np.allclose(dp.numpy(), b.numpy() + 2 * a.numpy())
    assert np.allclose(dq.numpy(), 1 + 2 * np.cos(b.numpy()))


def test_a_function_that_does_not_depend_on_its_input():
    x = tensor(3)
    constant = tensor(2)
    assert mg.vjp(lambda x: constant, x, constant)[1].tolist() == [0, 0, 0]
    assert mg.jvp(lambda x: constant, x, x)[1].tolist() == [0, 0]
    assert mg.jacobian(lambda x: constant, x).tolist() == [[0] * 3] * 2
    assert mg.hvp(lambda x: (constant * 1).sum(), x, x)[1].tolist() == [0, 0, 0]


def test_a_linear_function_has_no_second_derivative():
    x = tensor(3)
    assert mg.hvp(lambda x: x.sum(), x, x)[1].tolist() == [0, 0, 0]
    assert mg.hessian(lambda x: x.sum(), x).tolist() == [[0] * 3] * 3


def test_inputs_are_left_alone():
    x = tensor(3, requires_grad=True)
    y, g = mg.vjp(lambda x: x * x, x.detach(), mg.ones_like(x))
    assert not y.requires_grad and not g.requires_grad
    mg.jacobian(lambda x: x * x, x.detach())
    assert x.grad is None


@pytest.mark.parametrize("transform", ["vjp", "jvp", "hvp", "jacobian", "hessian"])
def test_results_are_differentiable_where_the_input_is(transform):
    """The gradient of a derivative, against finite differences of that derivative."""
    x, v = tensor(2, 3, requires_grad=True), tensor(2, 3)
    derivative = {
        "vjp": lambda x: mg.vjp(scalar, x)[1],
        "jvp": lambda x: mg.jvp(scalar, x, v)[1],
        "hvp": lambda x: mg.hvp(scalar, x, v)[1],
        "jacobian": lambda x: mg.jacobian(f, x),
        "hessian": lambda x: mg.hessian(scalar, x),
    }[transform]
    y = derivative(x)
    assert y.requires_grad
    g = tensor(*y.shape)
    numeric = matrix_of(derivative, x.detach())
    assert not derivative(x.detach()).requires_grad
    assert np.allclose(
        mg.grad(y, x, g).numpy().reshape(-1), g.numpy().reshape(-1) @ numeric, atol=1e-6
    )


def test_closures_get_gradients_too():
    x, w = tensor(3), tensor(3, requires_grad=True)
    _, g = mg.vjp(lambda x: (x * w).sum(), x, create_graph=True)
    assert np.allclose(mg.grad((g**2).sum(), w).numpy(), 2 * w.numpy())


def test_inside_no_grad():
    x = tensor(3)
    with mg.no_grad():
        assert np.allclose(mg.vjp(mg.sin, x, mg.ones_like(x))[1].numpy(), np.cos(x.numpy()))


# --- jacobian, hessian, hvp ----------------------------------------------------------------------


def test_jacobian(backend):
    x = tensor(2, 3)
    found = mg.jacobian(f, x)
    assert found.shape == (3, 2, 3)
    assert np.allclose(found.numpy().reshape(3, 6), matrix_of(f, x), atol=1e-7)


def test_jacobian_of_several_inputs():
    a, b = tensor(2), tensor(3)
    for_a, for_b = mg.jacobian(lambda a, b: mg.outer(a, b), (a, b))
    assert for_a.shape == (2, 3, 2) and for_b.shape == (2, 3, 3)
    assert np.allclose(for_a.numpy(), np.einsum("ik,j->ijk", np.eye(2), b.numpy()))
    assert np.allclose(for_b.numpy(), np.einsum("i,jk->ijk", a.numpy(), np.eye(3)))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0)])
def test_jacobian_of_small_shapes(shape):
    assert mg.jacobian(lambda x: x * x, tensor(*shape)).shape == shape * 2


def test_hessian(backend):
    x = tensor(2, 3)
    found = mg.hessian(scalar, x).numpy().reshape(6, 6)
    numeric = matrix_of(lambda x: mg.vjp(scalar, x)[1], x)
    assert np.allclose(found, numeric, atol=1e-6)
    assert np.allclose(found, found.T)


def test_hessian_blocks():
    a, b = tensor(2), tensor(3)
    blocks = mg.hessian(lambda a, b: (a.sum() ** 2) * b.sum(), (a, b))
    assert [[block.shape for block in row] for row in blocks] == [
        [(2, 2), (2, 3)],
        [(3, 2), (3, 3)],
    ]
    assert np.allclose(blocks[0][0].numpy(), 2 * b.numpy().sum())
    assert np.allclose(blocks[0][1].numpy(), 2 * a.numpy().sum())
    assert np.allclose(blocks[1][0].numpy(), blocks[0][1].numpy().T)
    assert np.allclose(blocks[1][1].numpy(), 0)


def test_hvp_is_the_hessian_times_a_vector(backend):
    x, v = tensor(2, 3), tensor(2, 3)
    value, product = mg.hvp(scalar, x, v)
    hessian = mg.hessian(scalar, x).numpy().reshape(6, 6)
    assert value.item() == pytest.approx(scalar(x).item())
    assert np.allclose(product.numpy().reshape(-1), hessian @ v.numpy().reshape(-1))


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (lambda x: mg.hvp(mg.sin, x, x), ValueError, "hvp: the function must return one tensor of"),
        (lambda x: mg.hessian(mg.sin, x), ValueError, "hessian: .* got shape \\(3,\\)"),
        (lambda x: mg.jacobian(lambda x: 3, x), TypeError, "must return one tensor; got int"),
        (lambda x: mg.vjp(mg.sin, 3.0), TypeError, "input 0 must be a tensor; got float"),
        (lambda x: mg.vjp(mg.sin, x, mg.ones(2)), ValueError, "must have its shape \\(3,\\)"),
        (
            lambda x: mg.vjp(mg.sin, x),
            RuntimeError,
            "a scalar has a gradient without a cotangent",
        ),
    ],
)
def test_wrong_use(use, kind, text):
    with pytest.raises(kind, match=text):
        use(tensor(3))


# --- checkpoint ----------------------------------------------------------------------------------


def network(x, w):
    return mg.tanh(mg.tanh(x @ w) @ w)


def gradients(run):
    x, w = (mg.tensor(RNG.standard_normal((3, 3)), requires_grad=True) for _ in range(2))
    plain = mg.grad((network(x, w) ** 2).sum(), [x, w])
    return [g.numpy() for g in plain], [g.numpy() for g in mg.grad(run(x, w), [x, w])]


def test_checkpoint_gives_the_same_gradients(backend):
    plain, found = gradients(lambda x, w: (mg.checkpoint(network, x, w) ** 2).sum())
    assert all(np.allclose(a, b) for a, b in zip(plain, found, strict=True))


def test_checkpoint_reaches_what_the_function_closes_over(backend):
    plain, found = gradients(lambda x, w: (mg.checkpoint(lambda x: network(x, w), x) ** 2).sum())
    assert all(np.allclose(a, b) for a, b in zip(plain, found, strict=True))


def test_nested_checkpoints():
    def half(x, w):
        return mg.tanh(x @ w)

    def run(x, w):
        inner = mg.checkpoint(lambda x: mg.checkpoint(half, mg.checkpoint(half, x, w), w), x)
        return (inner**2).sum()

    plain, found = gradients(run)
    assert all(np.allclose(a, b) for a, b in zip(plain, found, strict=True))


def test_checkpoint_at_second_order(backend):
    x = mg.tensor([0.5, -0.3], requires_grad=True, dtype="float64")
    y = mg.checkpoint(lambda x: mg.exp(x * x), x)
    slope = mg.grad(y.sum(), x, create_graph=True)
    a = x.numpy()
    assert np.allclose(slope.numpy(), 2 * a * np.exp(a * a))
    assert np.allclose(mg.grad(slope.sum(), x).numpy(), (2 + 4 * a * a) * np.exp(a * a))


def test_checkpoint_with_several_outputs_one_of_them_unused():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    first, _ = mg.checkpoint(lambda x: (x * x, mg.exp(x)), x)
    (first * 3).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_checkpoint_with_arguments_that_are_no_tensors():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.checkpoint(lambda x, n, flag: x**n if flag else x, x, 3, True).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


def test_checkpoint_draws_the_same_random_numbers():
    x = mg.ones(1000, requires_grad=True)
    mg.manual_seed(1)
    y = mg.checkpoint(lambda x: mg.dropout(x, 0.5), x)
    after = mg.rand(3).tolist()
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.numpy())
    mg.manual_seed(1)
    mg.dropout(x, 0.5)
    assert mg.rand(3).tolist() == after  # the second run has not moved the stream


def test_checkpoint_keeps_only_the_inputs():
    x = mg.ones(1000, requires_grad=True)
    inner = []

    def keep(x):
        hidden = mg.exp(x)
        inner.append(weakref.ref(hidden._data))
        return mg.exp(hidden * 0.1)

    y = mg.checkpoint(keep, x)
    gc.collect()
    assert inner[0]() is None
    y.sum().backward()
    assert len(inner) == 2


def test_checkpoint_in_no_grad_is_the_function():
    x = mg.ones(2, requires_grad=True)
    with mg.no_grad():
        assert not mg.checkpoint(mg.exp, x).requires_grad


def test_checkpoint_that_depends_on_nothing():
    assert not mg.checkpoint(mg.exp, mg.ones(2)).requires_grad


def test_a_second_backward_through_a_checkpoint():
    x = mg.ones(2, requires_grad=True)
    y = mg.checkpoint(mg.exp, x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second backward"):
        y.backward()


@pytest.mark.usefixtures("on_numpy")  # a device tells of it later
def test_an_edited_input_of_a_checkpoint():
    x = mg.ones(2, requires_grad=True)
    y = mg.checkpoint(mg.exp, x).sum()
    x.data[0] = 3
    with pytest.raises(RuntimeError, match="edited in place"):
        y.backward()


# --- anomaly mode --------------------------------------------------------------------------------


def test_a_nan_born_forwards_names_op_line_and_inputs(backend):
    x = mg.tensor([1.0, -1.0], requires_grad=True)
    with pytest.raises(FloatingPointError) as error, mg.detect_anomaly(), np.errstate(all="ignore"):
        mg.log(x)
    text = str(error.value)
    assert "NaN was born in log at" in text and "test_derivatives.py, line" in text
    assert "(2,) from -1 to 1" in text


def test_a_nan_that_came_in_is_told_from_one_that_was_born():
    born = "NaN came into exp through its input"
    with pytest.raises(FloatingPointError, match=born), mg.detect_anomaly():
        mg.exp(mg.tensor([float("nan")]))


def test_a_nan_born_backwards_names_the_forward_line(backend):
    x = mg.tensor([0.0], requires_grad=True)
    with pytest.raises(FloatingPointError) as error, mg.detect_anomaly(), np.errstate(all="ignore"):
        (mg.sqrt(x) * 0).sum().backward()
    text = str(error.value)
    assert "backward pass of sqrt, whose forward was at" in text
    assert "test_derivatives.py, line" in text


def test_anomaly_mode_ends():
    with mg.detect_anomaly():
        pass
    with np.errstate(all="ignore"):
        assert np.isnan(mg.log(mg.tensor(-1.0)).item())


def test_infinities_are_no_anomaly():
    with mg.detect_anomaly(), np.errstate(all="ignore"):
        assert mg.exp(mg.tensor(1e4)).item() == np.inf


def test_anomaly_mode_changes_no_result(backend):
    x = mg.tensor([0.3, 2.0], requires_grad=True)
    with mg.detect_anomaly():
        (mg.split(mg.sin(x) * 2, 2)[0]).sum().backward()
    assert np.allclose(x.grad.numpy(), [2 * np.cos(0.3), 0])
