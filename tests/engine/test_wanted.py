"""Gradients for some tensors alone, and of several outputs at once: as PyTorch has them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.utils.install import install_line


def leaves(n=3):
    rng = np.random.default_rng(1)
    return [mg.tensor(rng.standard_normal(2), requires_grad=True) for _ in range(n)]


# --- backward(inputs=) ---------------------------------------------------------------------------


@pytest.mark.parametrize("several", [list, tuple, iter])
def test_only_these_get_a_gradient(backend, several):
    x, w, b = leaves()
    y = (x * w + b).sum()
    y.backward(inputs=several([w, b]), retain_graph=True)
    assert x.grad is None and w.grad.tolist() == x.tolist() and b.grad.tolist() == [1, 1]
    y.backward(inputs=w)
    assert x.grad is None and b.grad.tolist() == [1, 1]
    np.testing.assert_allclose(w.grad.numpy(), 2 * x.numpy())


def test_the_parameters_of_a_module():
    first, second = mg.nn.Linear(2, 3), mg.nn.Linear(3, 1)
    loss = second(mg.tanh(first(mg.ones((4, 2))))).sum()
    loss.backward(inputs=second.parameters())
    assert all(p.grad is not None for p in second.parameters())
    assert all(p.grad is None for p in first.parameters())


def test_an_input_twice_counts_once():
    x, w, _ = leaves()
    (x * w).sum().backward(inputs=[x, x])
    assert x.grad.tolist() == w.tolist()


def test_an_input_that_is_no_leaf():
    x, w, _ = leaves()
    h = x * w
    (h * h).sum().backward(inputs=[h, w])
    np.testing.assert_allclose(h.grad.numpy(), 2 * h.numpy())
    np.testing.assert_allclose(w.grad.numpy(), (2 * h * x).numpy())
    assert x.grad is None


def test_an_input_that_nothing_depends_on_gets_none():
    x, w, unused = leaves()
    (x * w).sum().backward(inputs=[unused])
    assert x.grad is None and unused.grad is None


def test_second_order():
    x, w, _ = leaves()
    ((x**3) * w).sum().backward(inputs=x, create_graph=True)
    assert w.grad is None
    np.testing.assert_allclose(mg.grad(x.grad.sum(), w).numpy(), 3 * x.numpy() ** 2)


def test_hooks_on_the_way_run():
    x, w, _ = leaves()
    x.register_hook(lambda g: g * 10)
    (x * w).sum().backward(inputs=x)
    np.testing.assert_allclose(x.grad.numpy(), 10 * w.numpy())


@pytest.mark.parametrize(
    ("inputs", "kind", "text"),
    [
        ([], ValueError, "backward needs an input to differentiate by; the list is empty"),
        ([mg.ones(2)], RuntimeError, r"input 0 \(shape \(2,\)\) does not require a gradient"),
        ([3.0], TypeError, "input 0 must be a tensor; got float 3.0"),
        ({"w": mg.ones(2)}, TypeError, "input 0 must be a tensor; got str 'w'"),
    ],
)
def test_wrong_inputs(inputs, kind, text):
    x, w, _ = leaves()
    with pytest.raises(kind, match=text):
        (x * w).sum().backward(inputs=inputs)
    assert x.grad is None and w.grad is None


# --- grad of several outputs ---------------------------------------------------------------------


def test_several_outputs_are_one_weighted_sum(backend):
    x, w, _ = leaves()
    outputs = [(x * w).sum(), x * 2]
    found = mg.grad(outputs, (x, w), [None, [1.0, 10.0]], retain_graph=True)
    np.testing.assert_allclose(found[0].numpy(), w.numpy() + np.array([2, 20]))
    np.testing.assert_allclose(found[1].numpy(), x.numpy())
    again = mg.grad(iter(outputs), iter([x, w]), iter([3.0, mg.ones(2)]))
    np.testing.assert_allclose(again[0].numpy(), 3 * w.numpy() + 2)


def test_an_output_twice_counts_twice():
    x, w, _ = leaves()
    y = (x * w).sum()
    np.testing.assert_allclose(mg.grad([y, y], x).numpy(), 2 * w.numpy())


def test_grad_by_the_parameters_of_a_module():
    layer = mg.nn.Linear(2, 3)
    found = mg.grad(layer(mg.ones((4, 2))).sum(), layer.parameters())
    assert [g.shape for g in found] == [(3, 2), (3,)]


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (lambda y, x: mg.grad(y, []), ValueError, "grad needs an input to differentiate by"),
        (lambda y, x: mg.grad([y, y], x, [1.0]), ValueError, "2 outputs need as many grad_outputs"),
        (lambda y, x: mg.grad([y, x * 2], x), RuntimeError, r"output 1 has shape \(2,\)"),
        (lambda y, x: mg.grad([y, mg.ones(2)], x), RuntimeError, "output 1 .* does not depend on"),
        (lambda y, x: mg.grad([y, x], x, [1.0, mg.ones(3)]), ValueError, "of output 1 must have"),
    ],
)
def test_wrong_use(use, kind, text):
    x, w, _ = leaves()
    with pytest.raises(kind, match=text):
        use((x * w).sum(), x)


@given(seed=st.integers(0, 999))
def test_the_same_as_pytorch(seed):
    torch = pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")
    rng = np.random.default_rng(seed)
    shapes = [(3,), (2, 3), (2, 1)]
    arrays, cotangents = ([rng.standard_normal(s) for s in shapes] for _ in range(2))
    wanted = rng.permutation(3)[: rng.integers(1, 4)].tolist()

    def outputs(a, b, c):
        return [a * a, b * a + c, (b * c).sum(1, keepdims=True)]

    mine = [mg.tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    found = mg.grad(outputs(*mine), [mine[i] for i in wanted], cotangents)
    right = torch.autograd.grad(
        outputs(*theirs), [theirs[i] for i in wanted], [torch.tensor(g) for g in cotangents]
    )
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    y, z = (sum(out.sum() for out in outputs(*xs)) for xs in (mine, theirs))
    y.backward(inputs=[mine[i] for i in wanted])
    z.backward(inputs=[theirs[i] for i in wanted])
    for a, b in zip(mine, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)
