"""Linear algebra: equations, factors, determinants, norms; at singular matrices, in batches."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.linalg import LinAlgError
from minigrad.testing import checks, strategies
from minigrad.testing.cases import Case, Kind

LIMIT = {"float32": 2e-3, "float64": 1e-9}


def beside(diagonal):
    return Kind(lambda rng, shape: rng.uniform(-1, 1, shape) + diagonal * np.eye(shape[-1]))


def leaf(array, dtype="float64"):
    return mg.tensor(np.asarray(array), dtype=dtype, requires_grad=True)


# --- any batch, layout and dtype ---------------------------------------------------------------


@given(st.data())
def test_solutions_solve(backend, data):
    n, k = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    leading, others = data.draw(strategies.broadcastable())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a = (rng.uniform(-1, 1, (*leading, n, n)) + 2 * n * np.eye(n)).astype(dtype)
    b = rng.standard_normal((*others, n, k)).astype(dtype)
    layout = data.draw(st.sampled_from(strategies.LAYOUTS))
    x = mg.linalg.solve(mg.tensor(strategies.relaid(a, layout)), mg.tensor(b))
    right = np.broadcast_shapes(leading, others)
    assert x.dtype == dtype and x.shape == (*right, n, k)
    assert np.allclose((a @ x.numpy()), np.broadcast_to(b, x.shape), atol=LIMIT[dtype])
    assert np.allclose(a @ mg.linalg.inv(mg.tensor(a)).numpy(), np.eye(n), atol=LIMIT[dtype])


@given(st.data())
def test_derivatives_of_any_batch(data):
    leading, others = data.draw(strategies.broadcastable())
    if math.prod(np.broadcast_shapes(leading, others)) > 6:
        leading = others = ()
    n, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    case = Case(
        mg.linalg.solve, np.linalg.solve, (beside(n)(*leading, n, n), beside(0)(*others, n, n))
    )
    for check in (checks.forward, checks.hygiene, checks.derivatives):
        check(case)
    vector = Case(mg.linalg.solve, np.linalg.solve, (beside(n)(*leading, n, n), beside(0)(n, n)))
    checks.derivatives(vector)
    assert k


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_factor_times_itself(backend, dtype):
    rng = np.random.default_rng(0)
    b = rng.standard_normal((2, 3, 4, 4))
    a = (b @ np.swapaxes(b, -1, -2) + np.eye(4)).astype(dtype)
    factor = mg.linalg.cholesky(mg.tensor(a))
    assert factor.dtype == dtype
    product = (factor @ factor.swapaxes(-1, -2)).numpy()
    assert np.allclose(product, a, atol=1e-4 if dtype == "float32" else 1e-12)
    assert (np.triu(factor.numpy(), 1) == 0).all()


def test_float16_is_computed_in_float32_and_integers_in_float64(backend):
    a = mg.tensor([[2.0, 1.0], [1.0, 3.0]], dtype="float16", requires_grad=True)
    b = mg.tensor([3.0, 5.0], dtype="float16")
    for y in (mg.linalg.solve(a, b), mg.linalg.det(a), mg.linalg.cholesky(a), mg.linalg.norm(a)):
        assert y.dtype == "float16"
        (g,) = mg.grad(y.sum(), [a])
        assert g.dtype == "float16" and np.isfinite(g.numpy()).all()
    assert mg.linalg.solve(a, b.astype("float64")).dtype == "float64"
    whole = mg.tensor([[2, 1], [1, 3]])
    assert mg.linalg.solve(whole, mg.tensor([3, 5])).dtype == "float64"
    assert mg.linalg.inv(whole).dtype == mg.linalg.det(whole).dtype == "float64"
    assert mg.linalg.norm(whole, 1).tolist() == 4 and mg.linalg.norm(whole).dtype == "float64"
    assert mg.linalg.norm(mg.tensor([300.0, 400.0], dtype="float16")).item() == 500


def test_slogdet_of_what_is_too_large_for_a_number(backend):
    sign, size = mg.linalg.slogdet(mg.eye(400, dtype="float64") * -1000)
    assert (sign.item(), size.item()) == (1, pytest.approx(400 * math.log(1000)))
    assert mg.linalg.det(mg.eye(400, dtype="float64") * -1000).item() == math.inf
    singular = mg.linalg.slogdet(mg.ones((2, 2)))
    assert singular.sign.item() == 0 and singular.logabsdet.item() == -math.inf


# --- determinants at singular matrices -----------------------------------------------------------


def leibniz(x):
    """The determinant as a sum over all permutations: no division, so it is right anywhere."""
    n, total = x.shape[-1], 0
    for order in itertools.permutations(range(n)):
        term = round(np.linalg.det(np.eye(n)[list(order)]))
        for i, j in enumerate(order):
            term = term * x[..., i, j]
        total = total + term
    return total


def slopes(f, array, most, dtype="float64"):
    """The value, and weighted derivatives of rising order until there are none."""
    x, rng = leaf(array, dtype), np.random.default_rng(0)
    y = f(x)
    found = [y.numpy()]
    for _ in range(most):
        g = mg.tensor(rng.standard_normal(y.shape), dtype=dtype)
        (y,) = mg.grad([y], [x], [g], create_graph=True)
        found.append(y.numpy())
        if not y.requires_grad:
            break
    return found


def of_rank(rng, n, rank, leading=()):
    return rng.standard_normal((*leading, n, rank)) @ rng.standard_normal((*leading, rank, n))


@pytest.mark.parametrize(("n", "rank"), [(n, r) for n in range(1, 5) for r in range(n + 1)])
def test_derivatives_of_a_determinant_are_right_at_any_rank(n, rank, backend):
    array = of_rank(np.random.default_rng(n * 7 + rank), n, rank)
    right = slopes(leibniz, array, min(n, 3))
    found = slopes(mg.linalg.det, array, len(right) - 1)
    for order, (a, b) in enumerate(zip(found, right, strict=True)):
        assert np.allclose(a, b, rtol=1e-7, atol=1e-8), f"of order {order}"


@given(st.integers(0, 999))
def test_determinants_in_batches_of_mixed_rank(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    array = np.stack([of_rank(rng, n, int(rank)) for rank in rng.integers(0, n + 1, 4)])
    right = slopes(leibniz, array, min(n, 3))
    for a, b in zip(slopes(mg.linalg.det, array, len(right) - 1), right, strict=True):
        assert np.allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrices_that_are_almost_singular(dtype, backend):
    """[[1, 2, 3], [4, 5, 6], [7, 8, 9]] is singular, and by rounding it isn't."""
    array = np.arange(1.0, 10.0).reshape(3, 3)
    right = slopes(leibniz, array, 3)
    for a, b in zip(slopes(mg.linalg.det, array, 3, dtype), right, strict=True):
        assert np.allclose(a, b, atol=1e-4 if dtype == "float32" else 1e-12)
    graded = np.diag([1.0, 1e-10, 1e-12])
    for a, b in zip(slopes(mg.linalg.det, graded, 3), slopes(leibniz, graded, 3), strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-25)


@given(st.integers(0, 999), st.integers(1, 15))
def test_second_derivatives_on_the_way_to_a_singular_matrix(seed, digits):
    """The cofactors of [[a, b], [c, d]] are [[d, -c], [-b, a]], however small its determinant."""
    rng = np.random.default_rng(seed)
    columns, rows = rng.uniform(1, 2, (2, 1)), rng.uniform(1, 2, (1, 2))
    x = leaf(columns * rows + 0.1**digits * rng.standard_normal((2, 2)))
    w = rng.standard_normal((2, 2))
    (g,) = mg.grad(mg.linalg.det(x), [x], create_graph=True)
    (h,) = mg.grad((g * mg.tensor(w)).sum(), [x])
    for found, ((a, b), (c, d)) in ((g, x.tolist()), (h, w)):
        assert np.allclose(found.numpy(), [[d, -c], [-b, a]], atol=1e-6 if found is h else 1e-12)


def test_a_nan_stays_in_its_matrix(backend):
    array = np.stack([np.ones((2, 2)), np.full((2, 2), math.nan), np.eye(2)])
    x = leaf(array)
    y = mg.linalg.det(x)
    (g,) = mg.grad(y.sum(), [x])
    assert g[0].tolist() == pytest.approx(np.array([[1, -1], [-1, 1]]))
    assert np.isnan(g[1].numpy()).all() and g[2].tolist() == [[1, 0], [0, 1]]


# --- norms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ord", [None, 2, 3, 1.5, -2, 0.5, 10])
def test_norms_of_large_and_of_tiny_numbers(ord, dtype, backend):
    for size in (1.0, float(np.finfo(dtype).max) / 32, float(np.finfo(dtype).tiny) * 64):
        x = leaf(np.array([3.0, -4.0, 1.0]) * size, dtype)
        y = mg.linalg.norm(x, ord)
        right = np.linalg.norm([3.0, -4.0, 1.0], ord) * size
        assert y.dtype == dtype and y.item() == pytest.approx(right, rel=1e-5)
        plain = leaf([3.0, -4.0, 1.0])
        (g,), (h,) = mg.grad(y, [x]), mg.grad(mg.linalg.norm(plain, ord), [plain])
        assert g.tolist() == pytest.approx(h.tolist(), rel=1e-4)


@pytest.mark.parametrize("ord", [None, 2, 1, 3, 1.5, 0.5, -1, math.inf, -math.inf, 0])
def test_at_0_the_gradient_is_0(ord, backend):
    x = leaf(np.zeros(3))
    (g,) = mg.grad(mg.linalg.norm(x, ord), [x])
    assert g.tolist() == [0, 0, 0]
    x = leaf([[0.0, 0.0], [3.0, 4.0]])
    (g,) = mg.grad(mg.linalg.norm(x, ord, axis=1).sum(), [x])
    assert g[0].tolist() == [0, 0] and np.isfinite(g.numpy()).all()


def test_second_derivatives_at_0_are_not_defined(backend):
    for ord in (2, 3):
        x = leaf(np.zeros(2))
        (g,) = mg.grad(mg.linalg.norm(x, ord), [x], create_graph=True)
        assert np.isnan(mg.grad(g.sum(), x).numpy()).all()


def test_an_element_that_is_0(backend):
    x = leaf([0.0, 3.0, 4.0])
    for ord, right in ((2, [0, 0.6, 0.8]), (0.5, None), (-1, [0, 0, 0])):
        (g,) = mg.grad(mg.linalg.norm(x, ord), [x])
        assert g.tolist()[0] == 0 and np.isfinite(g.numpy()).all()
        assert right is None or g.tolist() == pytest.approx(right)
    assert mg.linalg.norm(x, -1).item() == 0 and mg.linalg.norm(x, 0).item() == 2


def test_infinite_and_missing_numbers(backend):
    for ord in (2, 3, 1, math.inf):
        assert mg.linalg.norm(mg.tensor([1.0, -math.inf]), ord).item() == math.inf
        assert math.isnan(mg.linalg.norm(mg.tensor([1.0, math.nan]), ord).item())
    assert mg.linalg.norm(mg.tensor([1.0, math.inf]), -2).item() == 1


# --- errors --------------------------------------------------------------------------------------

HOLE = np.stack([np.eye(2), np.ones((2, 2))])

WRONG = {
    "solve: the matrix is singular: some of its rows are sums of others": lambda: mg.linalg.solve(
        mg.ones((2, 2)), mg.ones(2)
    ),
    "solve: the matrix a[1] is singular": lambda: mg.linalg.solve(mg.tensor(HOLE), mg.ones((2, 1))),
    "inv: the matrix a[0, 1] is singular": lambda: mg.linalg.inv(mg.tensor(HOLE[None])),
    "To go on, add a little: a + 1e-6 * mg.eye(2)": lambda: mg.linalg.inv(mg.zeros((2, 2))),
    "cholesky: the matrix a[1] is not positive definite": lambda: mg.linalg.cholesky(
        mg.tensor(np.stack([np.eye(2), -np.eye(2)]))
    ),
    "det: the last two axes are those of a square matrix; got shape (2, 3)": lambda: mg.linalg.det(
        mg.ones((2, 3))
    ),
    "inv: the last two axes are those of a square matrix; got shape (3,)": lambda: mg.linalg.inv(
        mg.ones(3)
    ),
    "slogdet: the last two axes": lambda: mg.linalg.slogdet(mg.ones((2, 2, 1))),
    "cholesky: the last two axes": lambda: mg.linalg.cholesky(mg.ones(())),
    "The least squares solution is mg.linalg.solve(a.T @ a, a.T @ b)": lambda: mg.linalg.solve(
        mg.ones((3, 2)), mg.ones(3)
    ),
    "solve: a (2, 2) and b (3,) do not fit: b is a vector (2,) or has the shape (..., 2, k)": (
        lambda: mg.linalg.solve(mg.eye(2), mg.ones(3))
    ),
    "solve: a (3, 2, 2) and b (2, 2, 1) do not fit": lambda: mg.linalg.solve(
        mg.ones((3, 2, 2)), mg.ones((2, 2, 1))
    ),
    "solve: takes matrices; got a number": lambda: mg.linalg.solve(mg.eye(2), 3),
}

WRONG_NORMS = {
    "norm: ord=2 is of a vector or a matrix; got shape (2, 2, 2)": ((2, 2, 2), {"ord": 2}),
    "norm: for matrices ord is 'fro', 'nuc', 1, 2, -1, -2, math.inf or -math.inf; got 3": (
        (2, 2),
        {"ord": 3},
    ),
    "norm: for matrices ord is 'fro', 'nuc', 1, 2, -1, -2, math.inf or -math.inf; got 'f'": (
        (2, 2),
        {"ord": "f"},
    ),
    "norm: for vectors ord is a number, math.inf or -math.inf; got 'fro'": ((3,), {"ord": "fro"}),
    "norm: for vectors ord is a number, math.inf or -math.inf; got True": ((3,), {"ord": True}),
    "norm: the axes are one of vectors or two of matrices": ((2, 2, 2), {"axis": (0, 1, 2)}),
    "norm: axis 2 is out of range": ((2, 2), {"axis": 2}),
}


@pytest.mark.parametrize("text", WRONG)
def test_errors_say_which_matrix_and_what_to_do(text, backend):
    with pytest.raises(LinAlgError) as error:
        WRONG[text]()
    assert text in str(error.value)


@pytest.mark.parametrize("text", WRONG_NORMS)
def test_errors_of_norms(text, on_numpy):
    shape, settings = WRONG_NORMS[text]
    with pytest.raises((ValueError, NotImplementedError)) as error:
        mg.linalg.norm(mg.ones(shape), **settings)
    assert text in str(error.value)


def test_the_logarithm_of_a_singular_determinant_has_no_gradient(backend):
    x = leaf(np.ones((2, 2)))
    for graph in (False, True):
        size = mg.linalg.slogdet(x).logabsdet
        with pytest.raises(
            LinAlgError, match=r"slogdet: a matrix is singular.*mg\.linalg\.det has"
        ):
            mg.grad(size, x, create_graph=graph)


def test_a_backend_without_these_functions(register):
    class Bare(mg.ArrayModuleBackend):
        solve = cholesky = slogdet = svd = None

    register("bare", lambda: Bare(np, "bare", is_host=True))
    x = mg.eye(2, backend="bare")
    for name in ("inv", "cholesky", "det"):
        with pytest.raises(
            mg.BackendError, match=rf"^{name}: backend 'bare' has no .*x.to\('numpy'"
        ):
            getattr(mg.linalg, name)(x)


# --- together with the rest ----------------------------------------------------------------------


def test_gradients_per_example_of_many_at_once(on_numpy):
    def loss(w, x, y):
        a = w @ w.T + mg.linalg.norm(x) * mg.eye(2, dtype="float64")
        return (
            (mg.linalg.solve(a, x) * y).sum()
            + mg.linalg.slogdet(a).logabsdet
            + (mg.linalg.cholesky(a)[1, 0])
        )

    rng = np.random.default_rng(0)
    w, x, y = (rng.standard_normal(shape) for shape in ((2, 3), (5, 2), (5, 2)))
    mg.reset_dispatch_counts()
    found = mg.per_example_grad(loss, mg.tensor(w), x, y)
    for i in range(5):
        p = leaf(w)
        assert np.allclose(
            found[i].numpy(), mg.grad(loss(p, mg.tensor(x[i]), mg.tensor(y[i])), p).numpy()
        )
    assert "looped" not in str(mg.dispatch_counts())


def test_a_cell_with_a_matrix_function_runs_op_by_op(on_numpy):
    with pytest.raises(mg.errors.Untraceable):
        mg.trace(
            lambda p, x, h: (h, mg.tanh(mg.linalg.solve(p, x.T).T + h)),
            mg.eye(3),
            mg.ones((4, 3)),
            mg.ones((4, 3)),
        )


def test_torch_has_the_same_gradients(on_numpy):
    torch = pytest.importorskip("torch", reason="compared with PyTorch where that is installed")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 3)) + 3 * np.eye(3), rng.standard_normal((2, 3, 2))
    symmetric = a @ np.swapaxes(a, -1, -2)
    functions = {
        "solve": (a, lambda lib, x, b: lib.solve(x, b)),
        "inv": (a, lambda lib, x, b: lib.inv(x) @ b),
        "det": (a, lambda lib, x, b: lib.det(x) ** 2),
        "slogdet": (a, lambda lib, x, b: lib.slogdet(x)[1]),
        "cholesky": (symmetric, lambda lib, x, b: lib.cholesky(x) @ b),
        "norm": (a, lambda lib, x, b: lib.norm(x, "fro", (0, 2)) + lib.norm(x, 1, (0, 2))),
    }
    for name, (array, f) in functions.items():
        ours, theirs = leaf(array), torch.tensor(array, requires_grad=True)
        f(mg.linalg, ours, mg.tensor(b)).sum().backward()
        f(torch.linalg, theirs, torch.tensor(b)).sum().backward()
        assert np.allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-9), name
