"""Products of batches in any layout of memory, on every backend: views with any steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg

CUTS = [
    slice(None),
    slice(None, None, -1),
    slice(None, None, 2),
    slice(None, None, -2),
    slice(0, 1),
]


@st.composite
def views(draw, shape):
    """Numbers of a shape, and how to cut them out of more, axes exchanged or not."""
    cuts = tuple(draw(st.sampled_from(CUTS)) for _ in shape)
    if draw(st.booleans()):  # each matrix in order: a library takes these as they lie
        cuts = (*cuts[:-2], CUTS[0], CUTS[0])
    swapped = draw(st.booleans())
    return cuts, swapped


def view(x, cuts, swapped):
    x = x[cuts]
    return (
        (x.swapaxes(-1, -2) if isinstance(x, mg.Tensor) else np.swapaxes(x, -1, -2))
        if swapped
        else x
    )


@given(data=st.data(), batches=st.integers(0, 2), seed=st.integers(0, 100))
def test_any_views(data, batches, seed, backend):
    rng = np.random.default_rng(seed)
    given_ = []
    for shape in ((3,) * batches + (3, 3), (3,) * data.draw(st.integers(0, 2)) + (3, 3)):
        given_.append((rng.normal(size=shape), *data.draw(views(shape))))
    (x, *how), (w, *how_w) = given_
    a, b = view(x, *how), view(w, *how_w)
    n = min(a.shape[-1], b.shape[-2])
    same = [p == q or 1 in (p, q) for p, q in zip(a.shape[-3::-1], b.shape[-3::-1], strict=False)]
    if not all(same):
        return
    xt, wt = (mg.tensor(z, backend=backend, requires_grad=True) for z in (x, w))
    at, bt = view(xt, *how), view(wt, *how_w)
    right = a[..., :n] @ b[..., :n, :]
    y = at[..., :n] @ bt[..., :n, :]
    np.testing.assert_allclose(y.numpy(), right, atol=1e-12)
    g = rng.normal(size=y.shape)
    first = mg.grad(y, [xt, wt], mg.tensor(g, backend=backend), create_graph=True)
    assert abs((first[0].numpy() * x).sum() - (g * right).sum()) < 1e-10  # y is linear in x
    assert abs((first[1].numpy() * w).sum() - (g * right).sum()) < 1e-10  # and in w
    second = mg.grad((first[0] * mg.tensor(x, backend=backend)).sum(), wt)
    np.testing.assert_allclose(second.numpy(), first[1].numpy(), atol=1e-10)


@pytest.mark.parametrize("cut", CUTS, ids=["all", "back", "second", "second back", "first"])
@pytest.mark.parametrize("batches", [(3,), (1,), (2, 3), (1, 1)])
def test_batches_of_matrices_in_order(batches, cut, backend):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(*batches, 2, 4)), rng.normal(size=(*batches, 4, 3))
    xt, wt = mg.tensor(x, backend=backend), mg.tensor(w, backend=backend)
    for a, b, right in (
        (xt[cut], wt[cut], x[cut] @ w[cut]),
        (xt[:1], wt[cut], x[:1] @ w[cut]),
        (xt[cut], wt[0], x[cut] @ w[0]),
    ):
        np.testing.assert_allclose((a @ b).numpy(), right, atol=1e-12)


@pytest.mark.parametrize("cut", CUTS, ids=["all", "back", "second", "second back", "first"])
def test_one_matrix_for_all_of_a_batch(cut, backend):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 2, 2, 4)), rng.normal(size=(1, 1, 4, 3))
    xt, wt = mg.tensor(x, backend=backend), mg.tensor(w, backend=backend)
    np.testing.assert_allclose((xt @ wt[cut]).numpy(), x @ w, atol=1e-12)
    np.testing.assert_allclose((wt[cut].mT @ xt.mT).mT.numpy(), x @ w, atol=1e-12)


def in_order(gradient):
    """Whether the elements lie in reading order; where arrays don't show that, it is believed."""
    flags = getattr(gradient._data, "flags", None)
    return flags is None or flags.c_contiguous


@given(
    lead=st.sampled_from([(), (5,), (1,), (2, 3)]),
    turned=st.sampled_from([(), ("x",), ("w",), ("x", "w")]),
    seed=st.integers(0, 100),
)
def test_gradients_of_matrices_lie_in_memory_as_these(lead, turned, seed, backend):
    """Of w in x @ w.T and of x in x.T @ w, too; all are right, and so are their gradients."""
    rng = np.random.default_rng(seed)
    if "x" in turned and len(lead) != 1:
        return  # .T turns all axes

    def turn(name, z):
        return z.T if name in turned else z

    a, b, g, u = (rng.normal(size=size) for size in ((*lead, 4), (4, 3), (*lead, 3), (4, 3)))
    x, w, along = (
        np.ascontiguousarray(turn(name, z)) for name, z in (("x", a), ("w", b), ("w", u))
    )
    xt, wt = (mg.tensor(z, backend=backend, requires_grad=True) for z in (x, w))
    gt, ut = (mg.tensor(z, backend=backend) for z in (g, along))
    right = turn("x", g @ b.T), turn("w", a.reshape(-1, 4).T @ g.reshape(-1, 3))
    for graph in (False, True):
        found = mg.grad(turn("x", xt) @ turn("w", wt), [xt, wt], gt, create_graph=graph)
        for mine, gradient in zip(found, right, strict=True):
            np.testing.assert_allclose(mine.numpy(), gradient, atol=1e-12)
            assert graph or not lead or in_order(mine)
    second = mg.grad((found[1] * ut).sum(), xt).numpy()
    np.testing.assert_allclose(second, turn("x", g @ u.T), atol=1e-12)


def lies_as(x, like):
    """Whether two arrays have the same order in memory, axes of one entry aside."""
    pairs = zip(x.shape, x._data.strides, like._data.strides, strict=True)
    return all(a == b for n, a, b in pairs if n > 1)


USES = {
    "linear": (lambda x, w: mg.linear(x, w, mg.zeros(w.shape[0])), (7, 5)),
    "linear without a bias": (mg.linear, (7, 5)),
    "x @ w.T": (lambda x, w: x @ w.T, (7, 5)),
    "x @ w": (lambda x, w: x @ w, (5, 7)),
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", USES)
def test_the_gradient_of_a_weight_lies_in_memory_as_the_weight(name, large, request, backend):
    """A step of an optimiser, which reads both, takes much longer if their orders differ."""
    if backend == "strict":
        pytest.skip("its arrays don't tell how they lie")
    if large:
        request.getfixturevalue("fast_ways")
    product, shape = USES[name]
    for rows in (1, 6, 40):
        w = mg.randn(shape, requires_grad=True)
        product(mg.randn((rows, 5)), w).backward(mg.randn((rows, 7)))
        assert lies_as(w.grad, w)
        product(mg.randn((2, rows, 5)), w).sum().backward()
        assert lies_as(w.grad, w)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("T", [1, 3])
def test_so_do_the_gradients_of_a_layer(T, large, request, backend):
    if backend == "strict":
        pytest.skip("its arrays don't tell how they lie")
    if large:
        request.getfixturevalue("fast_ways")
    for bias in (True, False):
        layer = mg.nn.GRU(3, 5, bias=bias)
        layer(mg.randn((T, 4, 3)))[0].sum().backward()
        assert all(lies_as(p.grad, p) for p in layer.parameters())


def test_linear_takes_biases_that_are_spread(backend):
    """Where the bias isn't one per column, it is the composition."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(2, 3))
    for weight, shape in ((w, ()), (w, (3, 1, 2)), (w[:1], (3,)), (w[0], ())):
        bias = rng.normal(size=shape)
        y = mg.linear(mg.tensor(x), mg.tensor(weight), mg.tensor(bias))
        np.testing.assert_allclose(y.numpy(), x @ weight.T + bias, rtol=1e-5)
        given = [mg.tensor(array, dtype="float64") for array in (x, weight, bias)]
        assert mg.gradcheck(mg.linear, given, order=2).verdict == "PASS"
