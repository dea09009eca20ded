"""Clipping of gradients: by any norm, beside PyTorch, and by value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim


def leaf():
    return mg.ones(2, requires_grad=True)


def test_clipping_by_norm(backend):
    a, b, c = leaf(), mg.ones((), requires_grad=True), leaf()
    a.grad, b.grad = mg.tensor([3.0, 0.0]), mg.tensor(-4.0)
    kept = a.grad
    total = optim.clip_grad_norm_([a, b, c], 10.0)
    assert total.numpy() == 5.0
    np.testing.assert_array_equal(a.grad.numpy(), [3.0, 0.0])  # within the norm: untouched
    total = optim.clip_grad_norm_(iter([a, b, c]), 1.0)
    assert total.shape == () and total.numpy() == 5.0
    np.testing.assert_allclose(a.grad.numpy(), [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b.grad.numpy(), -0.8, rtol=1e-6)
    np.testing.assert_array_equal(kept.numpy(), [3.0, 0.0])
    assert c.grad is None
    assert optim.clip_grad_norm_(a, 1.0).numpy() == pytest.approx(0.6)  # one by itself


def test_clipping_by_norm_over_dtypes():
    a, b = leaf(), mg.ones(1, dtype="float64", requires_grad=True)
    a.grad, b.grad = mg.tensor([3.0, 0.0]), mg.tensor([4.0], dtype="float64")
    assert optim.clip_grad_norm_([a, b], 1.0).item() == 5.0
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


NORMS = [1, 2.0, 3, 0.5, math.inf, "inf"]


def pair(arrays, dtype="float64"):
    """Parameters of minigrad and of PyTorch with the same gradients."""
    torch = pytest.importorskip("torch")
    ours, theirs = [], []
    for array in arrays:
        array = np.asarray(array, dtype)
        ours.append(mg.tensor(array, requires_grad=True))
        theirs.append(torch.tensor(array, requires_grad=True))
        ours[-1].grad, theirs[-1].grad = mg.tensor(array), torch.tensor(array)
    return ours, theirs


@pytest.mark.parametrize("norm_type", NORMS)
@given(data=st.data())
def test_clipping_by_norm_equals_pytorch(norm_type, data, backend):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shapes = data.draw(st.lists(st.sampled_from([(3, 4), (5,), (), (1, 2, 3)]), min_size=1))
    ours, theirs = pair([rng.normal(size=shape) for shape in shapes])
    most = data.draw(st.sampled_from([0.0, 0.7, 100.0]))
    total = optim.clip_grad_norm_(ours, most, norm_type)
    right = torch.nn.utils.clip_grad_norm_(theirs, most, float(norm_type))
    assert total.shape == () and total.item() == pytest.approx(right.item(), rel=1e-13)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e30), ("float64", 1e200)])
def test_norms_of_large_gradients(norm_type, dtype, large, backend):
    a = mg.ones(2, dtype=dtype, requires_grad=True)
    a.grad = mg.tensor([3.0, -4.0], dtype=dtype) * large
    right = np.linalg.norm([3.0, 4.0], float(norm_type)) * large
    total = optim.clip_grad_norm_(a, 1.0, norm_type, error_if_nonfinite=True)
    assert total.dtype == a.dtype and total.item() == pytest.approx(right, rel=1e-6)
    assert np.linalg.norm(a.grad.numpy(), float(norm_type)) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("small", [1e-21, 1e-30])
def test_a_norm_of_numbers_whose_squares_vanish(small, backend):
    """In float32; beside a float64, of which they don't."""
    a, b = leaf(), mg.ones(1, dtype="float64", requires_grad=True)
    a.grad, b.grad = mg.tensor([3.0, -4.0]) * small, mg.tensor([12 * small], dtype="float64")
    assert optim.clip_grad_norm_(a, 1.0).item() == pytest.approx(5 * small, rel=1e-6)
    assert optim.clip_grad_norm_([a, b], 1.0).item() == pytest.approx(13 * small, rel=1e-6)


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite(norm_type, bad, backend):
    def params():
        a, b = leaf(), mg.ones((1, 3), requires_grad=True)
        a.grad, b.grad = mg.tensor([1.0, -2.0]), mg.tensor([[1.0, bad, 3.0]])
        return a, b

    a, b = params()
    text = rf"of the gradients is {abs(bad)}; NaN or infinite numbers .* in those of shape \(1, 3\)"
    with pytest.raises(RuntimeError, match=text):
        optim.clip_grad_norm_([a, b], 1.0, norm_type, error_if_nonfinite=True)
    assert a.grad.tolist() == [1.0, -2.0]
    with np.errstate(invalid="ignore"):
        assert not math.isfinite(optim.clip_grad_norm_([a, b], 1.0, norm_type).item())
    torch = pytest.importorskip("torch")
    _, theirs = pair([p.grad.numpy() for p in params()], "float32")
    torch.nn.utils.clip_grad_norm_(theirs, 1.0, float(norm_type))
    for p, q in zip((a, b), theirs, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


def test_no_numbers_at_all(backend):
    a = mg.ones((0, 2), requires_grad=True)
    a.grad = mg.ones((0, 2))
    for norm_type in NORMS:
        assert optim.clip_grad_norm_(a, 1.0, norm_type, error_if_nonfinite=True).item() == 0


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"norm_type": 0}, ValueError, "norm_type is a number above 0, or math.inf; got 0"),
        ({"norm_type": -2}, ValueError, "norm_type is a number above 0, or math.inf; got -2"),
        ({"norm_type": math.nan}, ValueError, "norm_type is .*math.inf; got nan"),
        ({"norm_type": "fro"}, TypeError, "norm_type is a number; got str 'fro'"),
        ({"error_if_nonfinite": 1}, TypeError, "error_if_nonfinite is True or False; got 1"),
    ],
)
def test_wrong_norms_are_refused(options, error, text):
    a = leaf()
    a.grad = mg.ones(2)
    with pytest.raises(error, match=f"clip_grad_norm_: {text}"):
        optim.clip_grad_norm_(a, 1.0, **options)


def test_clipping_across_backends_is_told():
    a, b = leaf(), mg.ones(2, requires_grad=True, backend="strict")
    a.grad, b.grad = mg.ones(2), mg.ones(2, backend="strict")
    here = mg.current_backend().name
    with pytest.raises(mg.BackendError, match=rf"clip_grad_norm_: .*'{here}' and 'strict'"):
        optim.clip_grad_norm_([a, b], 1.0)


def test_clipping_by_value(backend):
    a = mg.ones(4, requires_grad=True)
    a.grad = kept = mg.tensor([-3.0, -0.25, 0.5, 9.0])
    optim.clip_grad_value_([a, leaf()], 0.5)
    np.testing.assert_array_equal(a.grad.numpy(), [-0.5, -0.25, 0.5, 0.5])
    np.testing.assert_array_equal(kept.numpy(), [-3.0, -0.25, 0.5, 9.0])
