"""Gradients per example: all at once, and one after the other, are the same."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.engine.backend import PROTOCOL
from minigrad.errors import Untraceable
from minigrad.nested import parts_of
from minigrad.per_example.batched_backend import BatchedBackend
from minigrad.testing.op_cases import OP_CASES

N = 3


def way(call):
    """What a call gives, and how it is counted."""
    mg.reset_dispatch_counts()
    found = call()
    ways = [(key[2], key[3]) for key in mg.dispatch_counts() if key[2] in ("batched", "looped")]
    (counted,) = ways
    return found, counted


def looped(loss, params, *batch):
    """The gradients by a loop that is written out here."""
    rows = []
    for i in range(len(batch[0])):
        x = params.detach().requires_grad_()
        y = loss(x, *(mg.tensor(b[i]) for b in batch))
        rows.append(mg.grad(y, x).numpy())
    return np.stack(rows)


# --- every op ------------------------------------------------------------------------------------

# Those that do for all examples what can't be done for them at once; the loop does it.
ONE_AT_A_TIME = {"transfer", "det", "allclose"}  # the last two read numbers of an example


@pytest.mark.parametrize("name", OP_CASES)
def test_ops_on_all_examples_at_once_are_ops_on_each(name, backend):
    """Values, and gradients of both orders, of each case of the op table; or a refusal."""
    refused = 0
    for k, case in enumerate(OP_CASES[name]):
        try:
            found = on_rows(case, draws_of(case), backend)
        except Untraceable:
            refused += 1
            continue
        for i, right in enumerate(one_by_one(name, k)):
            assert len(right) == len(found)
            for mine, one in zip(found, right, strict=True):
                assert mine.shape == (N, *one.shape), f"{case}: {mine.shape}, not {one.shape}"
                assert mine.dtype == one.dtype
                np.testing.assert_allclose(mine[i], one, rtol=1e-9, atol=1e-11, err_msg=str(case))
    if name not in ONE_AT_A_TIME:
        assert not refused


def draws_of(case):
    return [case.draw(seed) for seed in range(N)]


@cache
def one_by_one(name, k):
    """What a case gives for each example, on NumPy."""
    case = OP_CASES[name][k]
    with mg.use_backend("numpy"):
        return [
            results(case, [mg.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays])
            for arrays in draws_of(case)
        ]


def on_rows(case, draws, backend):
    base = mg.get_backend(backend)
    rows = BatchedBackend(base, N)
    tensors = [
        mg.Tensor(rows.rows(base.from_host(np.stack(column))), rows)
        for column in zip(*draws, strict=True)
    ]
    for x in tensors:
        x.requires_grad = x.dtype.kind == "f"
    with mg.use_backend(rows):
        found = results(case, tensors, raw=True)
    return [base.to_host(rows.all_rows(x._data)) for x in found]


def results(case, tensors, raw=False):
    """Outputs, gradients with random cotangents, and their gradients."""
    rng = np.random.default_rng(7)

    def random(like):
        return mg.tensor(rng.standard_normal(like.shape), backend=like.backend)

    ys = list(parts_of(case(*tensors)))
    xs, slopes = [x for x in tensors if x.requires_grad], [y for y in ys if y.requires_grad]
    found = ys
    if xs and slopes and case.slope != "none":
        first = mg.grad(slopes, xs, [random(y) for y in slopes], True, allow_unused=True)
        found = found + [g for g in first if g is not None]
        plain = mg.grad(
            list(slopes_again(case, tensors)), xs, [random(y) for y in slopes], allow_unused=True
        )
        found = found + [g for g in plain if g is not None]
        smooth = [g for g in first if g is not None and g.requires_grad]
        if smooth:
            second = mg.grad(smooth, xs, [random(g) for g in smooth], allow_unused=True)
            found = found + [g for g in second if g is not None]
    return found if raw else [y.numpy() for y in found]


def slopes_again(case, tensors):
    return [y for y in parts_of(case(*tensors)) if y.requires_grad]


def test_every_name_of_the_protocol_has_a_rule_or_refuses():
    """Which of the protocol's names have none; their functions run one example at a time."""
    rows = BatchedBackend(mg.get_backend("numpy"), N)
    x = mg.Tensor(rows.rows(np.ones((N, 2))), rows)
    for names in PROTOCOL.values():
        for name in names:
            assert hasattr(rows, name)
    with pytest.raises(Untraceable, match="nothing works on one example at a time"):
        rows._unknown("nothing")(x._data)


# --- models --------------------------------------------------------------------------------------


def mlp(p, x, y):
    h = mg.tanh(x @ p["w"] + p["b"])
    return mg.cross_entropy(h @ p["out"], y)


def mlp_batch(n, dtype="float64"):
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 5), "b": (5,), "out": (5, 3)}
    params = {k: mg.tensor(rng.standard_normal(s), dtype=dtype) for k, s in shapes.items()}
    x = mg.tensor(rng.standard_normal((n, 4)), dtype=dtype)
    return params, x, mg.tensor(rng.integers(0, 3, n))


def by_hand(loss, params, variables, *batch):
    """The gradients by a loop over examples."""
    rows = [
        mg.grad(loss(params, *(x[i] for x in batch)), variables, allow_unused=True)
        for i in range(batch[0].shape[0])
    ]
    return [
        np.stack([np.zeros(v.shape) if g is None else g.numpy() for g in column])
        for v, column in zip(variables, zip(*rows, strict=True), strict=True)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_loss_of_several_parameters(backend, n, dtype):
    params, x, y = mlp_batch(n, dtype)
    found, counted = way(lambda: mg.per_example_grad(mlp, params, x, y))
    assert counted == ("batched", "") and found.keys() == params.keys()
    for p in params.values():
        p.requires_grad = True
    for (name, p), right in zip(
        params.items(), by_hand(mlp, params, list(params.values()), x, y), strict=True
    ):
        assert found[name].shape == (n, *p.shape) and found[name].dtype == p.dtype
        assert found[name].backend is p.backend and not found[name].requires_grad
        close = 1e-10 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(found[name].numpy(), right, rtol=close, atol=close)


def test_the_mean_is_the_gradient_of_the_mean_loss():
    params, x, y = mlp_batch(6)
    found = mg.per_example_grad(mlp, params, x, y)
    for p in params.values():
        p.requires_grad = True
    losses = mg.cross_entropy(mg.tanh(x @ params["w"] + params["b"]) @ params["out"], y)
    losses.backward()
    for name, p in params.items():
        np.testing.assert_allclose(found[name].numpy().mean(0), p.grad.numpy(), rtol=1e-10)


class Tagger(nn.Module):
    """An embedding, an LSTM, layer norm and a head."""

    def __init__(self):
        from minigrad.models import LSTM

        self.embedding = nn.Embedding(6, 3)
        self.lstm = LSTM(3, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        x = mg.expand_dims(self.embedding(tokens), 1)
        y, _ = self.lstm(x)
        return self.head(self.norm(y[-1, 0]))


def of_tagger(model, tokens, label):
    return mg.cross_entropy(model(tokens), label)


def test_a_recurrent_module(backend):
    mg.manual_seed(0)
    mg.set_default_dtype("float64")
    try:
        model = Tagger()
    finally:
        mg.set_default_dtype("float32")
    model.head.bias.requires_grad = False
    rng = np.random.default_rng(0)
    tokens, labels = mg.tensor(rng.integers(0, 6, (4, 5))), mg.tensor(rng.integers(0, 2, 4))
    found, counted = way(lambda: mg.per_example_grad(of_tagger, model, tokens, labels))
    assert counted == ("batched", "")
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == named.keys() and "head.bias" not in found
    right = by_hand(of_tagger, model, list(named.values()), tokens, labels)
    for (name, g), one in zip(found.items(), right, strict=True):
        np.testing.assert_allclose(g.numpy(), one, rtol=1e-9, atol=1e-11, err_msg=name)
    assert all(p.grad is None for p in model.parameters())
    assert model.head.weight.backend is mg.get_backend(backend)


def test_nested_batches_and_parameters():
    w = [mg.ones(2, dtype="float64"), (mg.ones((), dtype="float64"),)]

    def loss(w, example):
        a, b = w
        return (example["x"] * a).sum() * b[0] + example["y"][0]

    batch = {"x": np.arange(6.0).reshape(3, 2), "y": [np.ones(3)]}
    (ga, (gb,)), counted = way(lambda: mg.per_example_grad(loss, w, batch))
    assert counted == ("batched", "")
    assert ga.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]] and gb.tolist() == [1.0, 5.0, 9.0]


def test_a_parameter_that_an_example_does_not_use_gets_zeros():
    p = {"used": mg.ones(2), "unused": mg.ones((2, 2))}
    for loss in (lambda p, x: (p["used"] * x).sum(), lambda p, x: (p["used"] * x.item()).sum()):
        found = mg.per_example_grad(loss, p, mg.ones(3))
        assert found["used"].tolist() == [[1.0, 1.0]] * 3
        assert found["unused"].tolist() == [[[0.0] * 2] * 2] * 3


def test_gradients_that_are_the_same_for_all_are_arrays_to_edit():
    g = mg.per_example_grad(lambda w, x: w.sum(), mg.ones(2), mg.ones(3))
    with mg.no_grad():
        g[0] = 5.0
    assert g.tolist() == [[5.0, 5.0], [1.0, 1.0], [1.0, 1.0]]


def test_no_examples():
    found = mg.per_example_grad(mlp, *mlp_batch(0))
    assert found["w"].shape == (0, 4, 5)


@given(seed=st.integers(0, 999))
def test_positions_that_differ_between_examples(seed):
    """Of any kind, between slices, new axes and single numbers."""
    rng = np.random.default_rng(seed)
    w = mg.tensor(rng.standard_normal((3, 4, 3)))
    weights = rng.standard_normal(500)
    shape = [(), (2,), (2, 2)][rng.integers(3)]
    rows, columns = (mg.tensor(rng.integers(-3, 3, (3, *shape))) for _ in range(2))
    parts = [
        lambda i, j: (i,),
        lambda i, j: (slice(None), i),
        lambda i, j: (i, slice(1, None), j),
        lambda i, j: (..., i),
        lambda i, j: (slice(None, None, -1), i, j),
        lambda i, j: (0, slice(None), j),
        lambda i, j: (i, None, slice(None), 1),
        lambda i, j: (i, j, mg.tensor([0, 2][: len(shape) or 1]) if shape else 2),
    ][rng.integers(8)]

    def loss(w, i, j):
        found = w[parts(i, j)] ** 2
        return (found * mg.tensor(weights[: found.size]).reshape(found.shape)).sum()

    found, counted = way(lambda: mg.per_example_grad(loss, w, rows, columns))
    assert counted == ("batched", "")
    np.testing.assert_allclose(
        found.numpy(), looped(loss, w, rows.numpy(), columns.numpy()), rtol=1e-10
    )


# --- where the loop runs -------------------------------------------------------------------------

OUTSIDE = mg.tensor([2.0, 3.0], backend="numpy", dtype="float64")


def noisy(w, x):
    return (w * mg.rand(2) * x).sum()


class Counting(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        self.w = nn.Parameter(mg.ones(2, dtype="float64"))
        self.calls = nn.Buffer(mg.zeros((), dtype="float64"))

    def forward(self, x):
        with mg.no_grad():
            self.calls += 1
        return (self.w * x).sum()


REFUSED = {
    "reads a number": (lambda w, x: (w * x.item()).sum(), "it reads numbers, which differ"),
    "decides": (lambda w, x: (w * x).sum() if x > 1 else (w * w).sum(), "it reads numbers"),
    "numpy": (lambda w, x: (w * float(np.exp(x.numpy()))).sum(), "it reads numbers"),
    "array": (lambda w, x: (w * x * np.ones(2)).sum(), "a NumPy array meets a tensor"),
    "outside": (lambda w, x: (w * OUTSIDE * x).sum(), "operands are on different backends"),
    "masks": (lambda w, x: (w[(w * x) > 1] ** 2).sum(), "it picks by truth values, which differ"),
}


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("name", REFUSED)
def test_what_runs_one_example_after_the_other(name):
    loss, reason = REFUSED[name]
    w, x = mg.tensor([1.0, 2.0], dtype="float64"), mg.tensor([0.3, 0.9, 1.5], dtype="float64")
    found, (how, why) = way(lambda: mg.per_example_grad(loss, w, x))
    assert how == "looped" and reason in why
    np.testing.assert_allclose(found.numpy(), looped(loss, w, x.numpy()), rtol=1e-12)


@pytest.mark.usefixtures("on_numpy")
def test_each_example_draws_its_own_random_numbers():
    w, x = mg.ones(2), mg.ones(4)
    mg.manual_seed(3)
    found, (how, why) = way(lambda: mg.per_example_grad(noisy, w, x))
    assert how == "looped" and "it draws random numbers, which differ between examples" in why
    mg.manual_seed(3)
    assert found.tolist() == [mg.rand(2).tolist() for _ in range(4)]
    dropped = nn.Dropout(0.5)
    _, (how, _) = way(lambda: mg.per_example_grad(lambda w, x: dropped(w * x).sum(), w, x))
    assert how == "looped"


@pytest.mark.usefixtures("on_numpy")
def test_what_edits_its_buffers_edits_them_once_per_example():
    model = Counting()
    found, (how, why) = way(lambda: mg.per_example_grad(Counting.forward, model, np.arange(3.0)))
    assert how == "looped" and "edits" in why
    assert model.calls.item() == 3 and found["w"].tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.usefixtures("on_numpy")
def test_hooks_see_one_example_at_a_time():
    layer = nn.Linear(2, 1)
    seen = []
    layer.bias.register_hook(lambda g: seen.append(g.tolist()))
    _, (how, why) = way(
        lambda: mg.per_example_grad(lambda m, x: m(x).sum(), layer, mg.ones((3, 2)))
    )
    assert (how, why) == ("looped", "a parameter has a hook, which would see all examples at once")
    assert seen == [[1.0]] * 3


def test_anomaly_mode_and_no_grad():
    x = mg.ones(3)
    with mg.no_grad():
        assert mg.per_example_grad(lambda w, x: w * x, mg.ones(()), x).tolist() == [1.0] * 3
    with mg.detect_anomaly():
        assert mg.per_example_grad(lambda w, x: w * x, mg.ones(()), x).tolist() == [1.0] * 3


# --- wrong use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (
            lambda f: (f, 3.0, mg.ones(2)),
            TypeError,
            "the parameters are float tensors, .* got floa",
        ),
        (lambda f: (f, mg.arange(2), mg.ones(2)), TypeError, "got a tensor of int64"),
        (lambda f: (mg.ones(2), f, mg.ones(2)), TypeError, "The function comes first, then"),
        (lambda f: (f, [], mg.ones(2)), ValueError, "there are no parameters"),
        (lambda f: (f, mg.ones(2)), ValueError, "equally many; got shapes of nothing"),
        (
            lambda f: (f, mg.ones(2), mg.ones(2), mg.ones((3, 2))),
            ValueError,
            r"equally many; got shapes \(2,\), \(3, 2\)",
        ),
        (lambda f: (f, mg.ones(2), mg.ones(())), ValueError, r"got shapes \(\)"),
        (
            lambda f: (lambda w, x: w * x, mg.ones(2), mg.ones(3)),
            ValueError,
            r"the loss of one example is a tensor of one element; got shape \(2,\)",
        ),
        (lambda f: (lambda w, x: 3.0, mg.ones(2), mg.ones(3)), ValueError, "got float"),
        (
            lambda f: (lambda w, x: x.sum(), mg.ones(2), mg.ones(3)),
            RuntimeError,
            "does not depend on any tensor that requires a gradient",
        ),
    ],
)
def test_wrong_use(use, kind, text):
    with pytest.raises(kind, match=text):
        mg.per_example_grad(*use(lambda w, x: (w * x).sum()))


def test_the_users_own_error_is_raised():
    def wrong(w, x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.per_example_grad(wrong, mg.ones(2), mg.ones(3))


def test_the_same_as_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
    params, x, y = mlp_batch(5)
    found = mg.per_example_grad(mlp, params, x, y)

    def loss(p, x, y):
        logits = torch.tanh(x @ p["w"] + p["b"]) @ p["out"]
        return torch.nn.functional.cross_entropy(logits[None], y[None])

    theirs = {name: torch.tensor(p.numpy()) for name, p in params.items()}
    per_example = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    right = per_example(theirs, torch.tensor(x.numpy()), torch.tensor(y.numpy()))
    for name in params:
        np.testing.assert_allclose(found[name].numpy(), right[name].numpy(), rtol=1e-10)
