"""Cross entropies and likelihoods of labels: by one op, by kernels, or op by op, all the same."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.testing import references


def by_definition(x, target, weight, ignore_index, reduction, label_smoothing):
    """The loss written out, of logits (N, C) and labels (N,), in ops that know nothing of it."""
    logs = x - mg.logsumexp(x, axis=-1, keepdims=True)
    classes = x.shape[1]
    counted = np.asarray(target) != ignore_index
    marks = np.eye(classes)[np.where(counted, target, 0)] * counted[:, None]
    each = np.ones(classes) if weight is None else weight
    spread = label_smoothing / classes * counted[:, None] * each
    shares = mg.tensor((1 - label_smoothing) * marks * each + spread, backend=x.backend)
    losses = -mg.sum(shares * logs, axis=-1)
    if reduction == "none":
        return losses
    return mg.sum(losses) / float((marks * each).sum() if reduction == "mean" else 1.0)


@st.composite
def settings(draw):
    rows, classes = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {
        "shape": (rows, classes),
        "weighted": draw(st.booleans()),
        "ignore_index": draw(st.sampled_from([-100, 0, classes - 1, classes + 3])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.0, 0.3])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "some_ignored": draw(st.booleans()),
    }


@given(chosen=settings(), way=st.sampled_from(["1", "require"]))
def test_as_by_definition_to_second_order(chosen, way, backend):
    shape, rng = chosen["shape"], np.random.default_rng(0)
    options = {k: chosen[k] for k in ("ignore_index", "label_smoothing", "reduction")}
    target = rng.integers(0, shape[1], shape[0])
    if chosen["some_ignored"]:
        target[:1] = options["ignore_index"]
    elif shape[1] > 1:
        target = np.where(target == options["ignore_index"], (target + 1) % shape[1], target)
    if (target == options["ignore_index"]).all():
        return  # a mean of nothing
    weight = rng.uniform(0.5, 2, shape[1]) if chosen["weighted"] else None
    compiled = getattr(mg.get_backend(backend), "compile_loop", None) is not None
    values, found = rng.normal(size=shape), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGRAD_FUSED", way if compiled else "1")
        for f in (mg.cross_entropy, None):
            x = mg.tensor(values, backend=backend, requires_grad=True)
            if f is None:
                patch.setenv("MINIGRAD_FUSED", "1")
                y = by_definition(x, target, weight, **options)
            else:
                w = None if weight is None else mg.tensor(weight, backend=backend)
                y = f(x, target, weight=w, **options)
            g = np.random.default_rng(1).normal(size=y.shape)
            g = mg.tensor(g, backend=backend, requires_grad=True)
            first = mg.grad(y, x, g, create_graph=True)
            v = mg.tensor(np.random.default_rng(2).normal(size=shape), backend=backend)
            second, by_g = mg.grad(first, [x, g], v, allow_unused=True)
            second = mg.zeros_like(x) if second is None else second
            found.append([t.numpy() for t in (y, first, second, by_g)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rows", [1, 3])
def test_third_order_of_what_a_loss_has_kept(rows, backend):
    values, results = np.random.default_rng(0).normal(size=(rows, 4)), []
    for f in (mg.cross_entropy, by_definition):
        x = mg.tensor(values, backend=backend, requires_grad=True)
        y = f(x, [2] * rows, None, -100, "mean", 0.0)
        for order in range(1, 4):
            v = np.random.default_rng(order).normal(size=y.shape)
            y = mg.grad(y, x, mg.tensor(v, backend=backend), create_graph=True)
        results.append(y.numpy())
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 40])
@pytest.mark.parametrize("wrong", [5, -1])
@pytest.mark.parametrize("dtype", ["int64", "int8", "uint16"])
def test_a_wrong_label_is_found_among_few_and_many(count, wrong, dtype, backend):
    if wrong < 0 and dtype == "uint16":
        wrong = 2**16 - 1
    labels = np.arange(count).astype(dtype) % 5
    x = mg.ones((count, 5), backend=backend, requires_grad=True)
    mg.cross_entropy(x, labels).backward()
    labels[count // 2] = wrong
    for f in (mg.cross_entropy, mg.nll_loss):
        with pytest.raises(IndexError, match=f"{wrong} is not one of the 5 positions"):
            f(x, labels)


@given(chosen=settings())
def test_nll_of_log_softmax_is_cross_entropy(chosen, backend):
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.normal(size=chosen["shape"]), backend=backend)
    target = rng.integers(0, chosen["shape"][1], chosen["shape"][0])
    reduction = chosen["reduction"]
    a = mg.cross_entropy(x, target, reduction=reduction)
    b = mg.nll_loss(mg.log_softmax(x), target, reduction=reduction)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5), (2, 3, 2, 2), (0, 3)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_class_axis(shape, reduction, backend):
    if 0 in shape and reduction == "mean":
        pytest.skip("a mean of nothing")
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    target = rng.integers(0, 3, shape[:1] + shape[2:] if len(shape) > 1 else ())
    found = mg.cross_entropy(mg.tensor(x, backend=backend), target, reduction=reduction)
    logs = np.log(references.softmax(x, min(1, len(shape) - 1)))
    picked = np.take_along_axis(
        logs, np.expand_dims(target, min(1, len(shape) - 1)), min(1, len(shape) - 1)
    )
    right = -picked.squeeze(min(1, len(shape) - 1))
    right = right if reduction == "none" else getattr(right, reduction)()
    np.testing.assert_allclose(found.numpy(), right, rtol=1e-10)


def test_a_label_that_is_no_class_is_named(backend):
    x = mg.zeros((2, 3), backend=backend)
    for wrong in (3, -1, 127):
        with pytest.raises(IndexError, match=f"{wrong} is not one of the 3 positions"):
            mg.cross_entropy(x, np.array([0, wrong]))


def test_labels_of_every_integer_dtype(backend):
    x = mg.tensor(np.random.default_rng(0).normal(size=(2, 3)), backend=backend)
    right = mg.cross_entropy(x, [2, 0]).item()
    for dtype in ("int8", "int16", "int32", "uint8", "uint64"):
        assert mg.cross_entropy(x, np.array([2, 0], dtype)).item() == right
        wide = np.array([2, 9, 0, 9], dtype)[::2]
        assert mg.cross_entropy(x, wide).item() == right


LOSSES = {
    "cross entropy": lambda x, t: mg.cross_entropy(x, t),
    "likelihood": lambda x, t: mg.nll_loss(x, t),
    "of each row": lambda x, t: mg.cross_entropy(x, t, reduction="none").sum(),
    "smoothed": lambda x, t: mg.cross_entropy(x, t, label_smoothing=0.1),
    "weighted": lambda x, t: mg.cross_entropy(x, t, weight=mg.ones(3, backend=x.backend)),
    "with one ignored": lambda x, t: mg.cross_entropy(x, t, ignore_index=0),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rows", [1, 4, 9000])
@pytest.mark.parametrize("before", [False, True])
def test_labels_that_are_edited_later_change_no_gradient(name, rows, before, backend):
    """They are the loss's own; or a kernel has saved them, and an error says so."""
    if backend == "strict":
        pytest.skip("a strict array is not edited")
    f, labels = LOSSES[name], np.arange(rows) % 3
    labels[0] = 1
    x = mg.tensor(np.zeros((rows, 3)), backend=backend, requires_grad=True)
    right = mg.grad(f(x, mg.tensor(labels, backend=backend)), x).numpy()
    target = mg.tensor(labels, backend=backend)
    held = target.data if before else None
    loss = f(x, target)
    if held is None:
        held = target.data
    held[...] = 2
    try:
        found = mg.grad(loss, x).numpy()
    except RuntimeError as error:
        assert "edited in place" in str(error)
    else:
        np.testing.assert_allclose(found, right)


def test_a_small_loss_takes_few_calls():
    """Beside arrays of a few numbers Python's own time counts; it goes by the number of calls."""
    x, target = mg.randn((1, 60), requires_grad=True, backend="numpy"), mg.tensor([5])
    target, calls = target.to("numpy"), []

    def step():
        x.grad = None
        mg.cross_entropy(x, target).backward()

    step()
    sys.setprofile(lambda frame, event, arg: event == "call" and calls.append(frame.f_code))
    try:
        step()
    finally:
        sys.setprofile(None)
    own = [code for code in calls if not code.co_filename.endswith("inplace.py")]  # if on guard
    assert 20 < len(own) < 63  # two of them look whether there is an unknown keyword
