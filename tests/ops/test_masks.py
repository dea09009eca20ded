"""Reductions with `where`, nansum and nanmean: what is left out reaches nothing, even if NaN."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.testing import checks, references, strategies
from minigrad.testing.cases import Case, distinct, some

NAMES = ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"]
# Of no elements, with gradient 0.
NOTHING = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf, "logsumexp": -np.inf}
BAD = [np.nan, np.inf, -np.inf, 1e300]


def slopes(f, x, v, w):
    """A value, the gradient of its sum with weights w, and that of the gradient with weights v."""
    y = f(x)
    (first,) = mg.grad([y], [x], [mg.tensor(w)], create_graph=True)
    second = None
    if first.requires_grad:
        (second,) = mg.grad([first], [x], [mg.tensor(v)], allow_unused=True)
    return y.numpy(), first.numpy(), np.zeros(x.shape) if second is None else second.numpy()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_what_is_left_out_reaches_nothing(backend, name, data):
    """Values and gradients of both orders are those of the selected elements alone."""
    f, n = getattr(mg, name), data.draw(st.integers(1, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    values = rng.permutation(n) * 0.3 - 1.05
    array = np.where(mask, values, rng.choice(BAD, n))
    v, w = rng.standard_normal(n), rng.standard_normal(())
    x = mg.tensor(array, requires_grad=True)
    found = slopes(lambda x: f(x, where=mg.tensor(mask)), x, v, w)
    if not mask.any():
        assert np.array_equal(found[0], NOTHING.get(name, np.nan), equal_nan=True)
        assert not found[1].any() and not found[2].any()
        return
    right = slopes(f, mg.tensor(array[mask], requires_grad=True), v[mask], w)
    assert np.allclose(found[0], right[0], rtol=1e-12)
    for a, b in zip(found[1:], right[1:], strict=True):
        assert np.allclose(a[mask], b, rtol=1e-9, atol=1e-12)
        assert not a[~mask].any()


@pytest.mark.parametrize("name", ["nansum", "nanmean"])
@given(data=st.data())
def test_nan_is_left_out(backend, name, data):
    shape = data.draw(strategies.shapes(min_dims=1, min_side=1))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    array = np.where(rng.random(shape) > 0.4, rng.standard_normal(shape), np.nan)
    array = array.astype(data.draw(strategies.dtypes()))
    axis = data.draw(strategies.axes(len(shape)))
    x = mg.tensor(array, requires_grad=True)
    y = getattr(mg, name)(x, axis=axis, keepdims=True)
    there = ~np.isnan(array)
    count = there.sum(axis=axis, keepdims=True)
    total = np.where(there, array, 0).sum(axis=axis, keepdims=True)
    if name == "nanmean":
        total = np.where(count, total / np.maximum(count, 1), np.nan)
    assert y.dtype == array.dtype and np.allclose(y.numpy(), total, rtol=1e-5, equal_nan=True)
    g = rng.standard_normal(y.shape).astype(array.dtype)
    (slope,) = mg.grad([y], [x], [mg.tensor(g)])
    expected = np.where(there, g / (np.maximum(count, 1) if name == "nanmean" else 1), 0)
    assert np.allclose(slope.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_masks_broadcast(backend, name, data):
    shape = data.draw(strategies.shapes(min_dims=1, max_dims=3, min_side=2, max_side=4))
    sizes = [data.draw(st.sampled_from([1, n])) for n in shape]
    sizes = sizes[data.draw(st.integers(0, len(shape))) :]
    settings = {
        "axis": data.draw(st.sampled_from([None, 0, -1])),
        "keepdims": data.draw(st.booleans()),
    }
    reference = getattr(references, name, None) or getattr(np, name)
    initial = {"max": {"initial": -np.inf}, "min": {"initial": np.inf}}.get(name, {})
    case = Case(
        lambda x, mask, **settings: getattr(mg, name)(x, where=mask, **settings),
        lambda x, mask, **settings: reference(
            x, where=np.broadcast_to(mask, x.shape), **settings, **initial
        ),
        (distinct()(*shape), some(*sizes)),
        settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy's means of nothing
        checks.forward(case, backend)
        checks.forward(case, backend, "float32")


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_integers_and_truth_values(backend, dtype):
    array, mask = np.array([3, 0, 250, 1]).astype(dtype), np.array([True, True, False, True])
    x, where = mg.tensor(array), mg.tensor(mask)
    for name in ("sum", "any", "all", "mean"):
        found, right = (
            getattr(m, name)(a, where=b) for m, a, b in ((mg, x, where), (np, array, mask))
        )
        assert found.item() == right and found.dtype == right.dtype
    assert mg.max(x, where=where).item() == array[mask].max()
    assert mg.min(x, where=where).item() == array[mask].min()
    assert mg.max(x, where=where).dtype == dtype


def test_a_mean_of_many_halves_is_counted_in_full(backend):
    x = mg.ones(70_000, dtype="float16", requires_grad=True)
    where = mg.tensor(np.arange(70_000) % 8 < 7)
    y = mg.mean(x, where=where)
    assert y.item() == 1 and y.dtype == np.float16
    assert mg.var(x, where=where).item() == 0
    assert mg.nanmean(x).item() == 1


def test_masks_may_be_lists_arrays_and_truth_values(backend):
    x = mg.tensor([1.0, 2.0, 4.0])
    assert x.sum(where=[True, False, True]).item() == 5
    assert x.mean(where=np.array([True, False, True])).item() == 2.5
    assert x.max(where=True).item() == 4 and x.sum(where=False).item() == 0
    assert mg.sum([1.0, 2.0], where=mg.tensor([False, True])).item() == 2


@pytest.mark.parametrize("name", ["sum", "mean", "max", "var"])
def test_masked_rows_in_a_compiled_function(compiling, name, monkeypatch):
    monkeypatch.setattr(sys.modules["minigrad.fusion"], "MIN_ELEMENTS_TO_FUSE", 1)
    f = getattr(mg, name)
    plain = lambda x, mask: mg.tanh(x - f(x, axis=-1, keepdims=True, where=mask > 0))  # noqa: E731
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((5, 6)), some.draw(rng, (5, 6)).astype(float)
    found = []
    for function in (plain, mg.fuse(plain)):
        x, mask = mg.tensor(arrays[0], requires_grad=True), mg.tensor(arrays[1])
        y = function(x, mask)
        found.append((y.numpy(), mg.grad([y], [x], [mg.tensor(arrays[0])])[0].numpy()))
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-12)


def test_the_trap_of_where_and_the_way_around_it(backend):
    """As its documentation says: the slope of what is not taken must be finite."""
    x = mg.tensor([0.0, 2.0], requires_grad=True)
    with x.backend.quiet():
        trapped = mg.grad(mg.where(x > 0, mg.log(x), 0).sum(), x)
    assert np.isnan(trapped.numpy()[0])
    safe = mg.where(x > 0, x, 1)
    slope = mg.grad(mg.where(x > 0, mg.log(safe), 0).sum(), x, create_graph=True)
    assert slope.tolist() == [0.0, 0.5]
    assert mg.grad(slope.sum(), x).tolist() == [0.0, -0.25]


X = mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], backend="numpy")


@pytest.mark.parametrize("name", [*NAMES, "any", "all"])
def test_wrong_masks_are_explained(on_numpy, name):
    f = getattr(mg, name)
    with pytest.raises(TypeError, match=rf"{name}: where= is a mask of truth values; got int64"):
        f(X, where=mg.tensor([1, 0, 1]))
    with pytest.raises(TypeError, match=r"got float32\. Write mask != 0"):
        f(X, where=X)
    text = rf"{name}: the mask \(2, 2\) doesn't broadcast to the shape of x \(2, 3\)"
    with pytest.raises(ValueError, match=text):
        f(X, where=mg.ones((2, 2)) > 0)
    with pytest.raises(ValueError, match=r"the mask \(2, 2, 3\) doesn't broadcast"):
        f(X, where=mg.ones((2, 2, 3)) > 0)
    with pytest.raises(ValueError, match=rf"{name}: axis 2 is out of range"):
        f(X, axis=2, where=X > 2)


def test_only_reductions_take_a_mask(on_numpy):
    with pytest.raises(TypeError, match="where"):
        mg.exp(X, where=X > 2)
