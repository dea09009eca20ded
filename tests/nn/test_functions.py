"""Losses and activations as modules: as the functions, as PyTorch's, and as objects."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wrong_uses import check, table

import minigrad as mg
from minigrad import nn
from minigrad.nn import functions
from minigrad.utils.install import install_line

ACTIVATIONS = ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax"]
ACTIVATIONS += ["Softplus", "Tanh"]
LOSSES = [name for name in functions.__all__ if name.endswith("Loss")]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason=f"no PyTorch; {install_line('oracle')}")


def compared(torch, ours, theirs, x, target=None, differentiate_target=False, second=1e-12):
    """Values, first and second derivatives for random cotangents."""
    rng = np.random.default_rng(7)
    a, b = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    by, wrt = [a], [b]
    if target is None:
        y, z = ours(a), theirs(b)
    elif differentiate_target:
        by.append(mg.tensor(target, requires_grad=True))
        wrt.append(torch.tensor(target, requires_grad=True))
        y, z = ours(*by), theirs(*wrt)
    else:
        y, z = ours(a, mg.tensor(target)), theirs(b, torch.tensor(target))
    close(y, z)
    g = rng.normal(size=y.shape)
    first = mg.grad(y, by, mg.tensor(g), create_graph=True)
    wanted = torch.autograd.grad(z, wrt, torch.tensor(g), create_graph=True)
    for mine, right in zip(first, wanted, strict=True):
        close(mine, right)
    v, mine, right = rng.normal(size=x.shape), None, None
    if first[0].requires_grad:
        mine = mg.grad((first[0] * mg.tensor(v)).sum(), a, allow_unused=True)
    if wanted[0].requires_grad:
        right = torch.autograd.grad((wanted[0] * torch.tensor(v)).sum(), b, allow_unused=True)[0]
    zeros = mg.zeros(x.shape), torch.zeros(x.shape)
    close(zeros[0] if mine is None else mine, zeros[1] if right is None else right, second)


def close(ours, theirs, tolerance=1e-12):
    right = theirs.detach().numpy(force=True)
    np.testing.assert_allclose(ours.numpy(), right, rtol=tolerance, atol=tolerance)


# --- as PyTorch's --------------------------------------------------------------------------------

# PyTorch's class and options, ours, for the same function.
PAIRS = {
    "ReLU": [({}, {})],
    "LeakyReLU": [({}, {}), ({"negative_slope": 0.3},) * 2],
    "ELU": [({}, {}), ({"alpha": 0.4},) * 2],
    "GELU": [({"approximate": "tanh"}, {}), ({}, {"approximate": "none"})],
    "SiLU": [({}, {})],
    "Sigmoid": [({}, {})],
    "Softplus": [({"threshold": 1e3}, {})],
    "Tanh": [({}, {})],
    "Softmax": [({"dim": -1}, {}), ({"dim": 0}, {"axis": 0}), ({"dim": 1}, {"axis": 1})],
    "LogSoftmax": [({"dim": -1}, {}), ({"dim": 0}, {"axis": 0}), ({"dim": 1}, {"axis": 1})],
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4)])
def test_activations_are_pytorchs(name, shape, torch, backend):
    x = np.random.default_rng(0).normal(0, 2, shape)
    for theirs, ours in PAIRS[name]:
        if max(theirs.get("dim", 0), ours.get("axis", 0)) >= len(shape):
            continue
        known = inspect.signature(getattr(nn, name)).parameters
        ours = {option: value for option, value in ours.items() if option in known}
        compared(torch, getattr(nn, name)(**ours), getattr(torch.nn, name)(**theirs), x)


REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


@given(
    name=st.sampled_from(["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"]),
    shape=st.sampled_from([(), (3,), (2, 3), (2, 1, 4)]),
    reduction=REDUCTIONS,
    bend=st.sampled_from([1.0, 0.5, 2.5, 0.0]),
    seed=st.integers(0, 99),
)
def test_losses_of_numbers_are_pytorchs(name, shape, reduction, bend, seed, torch, backend):
    options = {"reduction": reduction}
    if name == "SmoothL1Loss":
        options["beta"] = bend
    if name == "HuberLoss":
        options["delta"] = bend or 0.1
    rng = np.random.default_rng(seed)
    x, target = rng.normal(0, 2, shape), rng.normal(0, 2, shape)
    ours, theirs = getattr(nn, name)(**options), getattr(torch.nn, name)(**options)
    compared(torch, ours, theirs, x, target, differentiate_target=True)


@given(
    shape=st.sampled_from([(3,), (2, 3), (2, 1, 3)]),
    reduction=REDUCTIONS,
    weight=st.sampled_from([None, (3,), (1,)]),
    pos_weight=st.sampled_from([None, (3,), (1,)]),
    logits=st.booleans(),
    seed=st.integers(0, 99),
)
def test_binary_losses_are_pytorchs(
    shape, reduction, weight, pos_weight, logits, seed, torch, backend
):
    rng = np.random.default_rng(seed)
    factors = {"weight": weight} | ({"pos_weight": pos_weight} if logits else {})
    given_ = {k: None if s is None else rng.uniform(0.3, 3, s) for k, s in factors.items()}
    name = "BCEWithLogitsLoss" if logits else "BCELoss"
    ours = getattr(nn, name)(**given_, reduction=reduction)
    tensors = {k: None if v is None else torch.tensor(v) for k, v in given_.items()}
    theirs = getattr(torch.nn, name)(**tensors, reduction=reduction)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = rng.normal(0, 3, shape) if logits else rng.uniform(0.01, 0.99, shape)
    # PyTorch's second derivative of BCELoss adds 1e-12 to both probabilities
    second = 1e-12 if logits else 1e-8
    compared(torch, ours, theirs, x, rng.uniform(0, 1, shape), second=second)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@given(
    shape=st.sampled_from([(3,), (2, 3), (2, 1, 3)]),
    reduction=st.sampled_from(["mean", "sum", "none", "batchmean"]),
    log_target=st.booleans(),
    seed=st.integers(0, 99),
)
def test_divergences_are_pytorchs(shape, reduction, log_target, seed, torch, backend):
    rng = np.random.default_rng(seed)
    x, target = (np.log(rng.uniform(0.01, 1, shape)) for _ in range(2))
    if not log_target:
        target = np.exp(target)
        target.flat[0] = 0.0
    options = {"reduction": reduction, "log_target": log_target}
    ours, theirs = nn.KLDivLoss(**options), torch.nn.KLDivLoss(**options)
    compared(torch, ours, theirs, x, target, differentiate_target=log_target)


@given(
    shape=st.sampled_from([(4, 3), (2, 3, 2), (2, 3, 2, 2)]),
    reduction=REDUCTIONS,
    weighted=st.booleans(),
    ignore_index=st.sampled_from([-100, 0, 2, -1]),
    label_smoothing=st.sampled_from([0.0, 0.2, 1.0]),
    soft=st.booleans(),
    nll=st.booleans(),
    seed=st.integers(0, 99),
)
def test_losses_of_classes_are_pytorchs(
    shape, reduction, weighted, ignore_index, label_smoothing, soft, nll, seed, torch, backend
):
    rng = np.random.default_rng(seed)
    soft = soft and not nll
    options = {"reduction": reduction, "ignore_index": -100 if soft else ignore_index}
    if not nll:
        options["label_smoothing"] = label_smoothing
    name = "NLLLoss" if nll else "CrossEntropyLoss"
    weight = rng.uniform(0.3, 3, shape[1]) if weighted else None
    ours = getattr(nn, name)(weight, **options)
    theirs = getattr(torch.nn, name)(None if weight is None else torch.tensor(weight), **options)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = rng.normal(size=shape)
    if soft:
        target = rng.uniform(0, 1, shape)
    else:
        target = rng.integers(0, 3, shape[:1] + shape[2:])
        target.flat[0] = 1 if ignore_index in (0, 2) else 0
        target.flat[-1] = ignore_index
    compared(torch, ours, theirs, x, target)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss"])
def test_if_all_are_ignored_the_mean_is_nan_and_the_sum_is_0(name, torch, backend):
    x = np.random.default_rng(0).normal(size=(2, 3))
    target = np.array([5, 5])
    for reduction in ("mean", "sum", "none"):
        options = {"ignore_index": 5, "reduction": reduction}
        u = mg.tensor(x, requires_grad=True)
        with u.backend.quiet():
            y = getattr(nn, name)(**options)(u, target)
        right = getattr(torch.nn, name)(**options)(torch.tensor(x), torch.tensor(target))
        np.testing.assert_array_equal(y.numpy(), right.numpy())


def test_certain_probabilities_have_pytorchs_loss_and_no_gradient_but_of_the_other_side(
    torch, backend
):
    x, target = [0.0, 1.0, 0.0, 1.0, 1e-60, 0.5], [0.0, 1.0, 1.0, 0.0, 1.0, 0.5]
    u = mg.tensor(np.array(x), requires_grad=True)
    losses = mg.binary_cross_entropy(u, target, reduction="none")
    right = torch.nn.functional.binary_cross_entropy(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(target, dtype=torch.float64),
        reduction="none",
    )
    close(losses, right)
    first = mg.grad(losses.sum(), u, create_graph=True)
    np.testing.assert_allclose(first.numpy(), [1.0, -1.0, 0.0, 0.0, 0.0, 0.0], atol=1e-12)
    assert np.isfinite(mg.grad(first.sum(), u).numpy()).all()


def test_what_can_not_happen_adds_nothing_to_a_divergence(backend):
    """Its logarithm may be -inf: then PyTorch's loss is NaN."""
    x = mg.tensor([-np.inf, 0.0], requires_grad=True)
    target = mg.tensor([0.0, 1.0], requires_grad=True)
    loss = mg.kl_div(x, target, reduction="sum")
    assert loss.item() == 0
    assert np.isfinite(np.array([g.numpy() for g in mg.grad(loss, [x, target])])).all()


# --- wrong use -----------------------------------------------------------------------------------

TWO, LOGITS = [0.5, 0.5], [[0.1, 0.2, 0.3]]
WRONG = {
    "mse_loss: reduction must be 'mean', 'sum' or 'none'; got 'avg'": (
        ValueError,
        lambda: nn.MSELoss(reduction="avg")(TWO, TWO),
    ),
    "cross_entropy: reduction must be 'mean', 'sum' or 'none'; got 'avg'": (
        ValueError,
        lambda: nn.CrossEntropyLoss(reduction="avg")(LOGITS, [0]),
    ),
    "kl_div: reduction must be 'mean', 'batchmean', 'sum' or 'none'; got 'avg'": (
        ValueError,
        lambda: nn.KLDivLoss(reduction="avg")(TWO, TWO),
    ),
    "kl_div: log_target is True or False; got 'yes'": (
        TypeError,
        lambda: nn.KLDivLoss(log_target="yes")(TWO, TWO),
    ),
    "kl_div: a mean over the batch needs a first axis; got x of shape ()": (
        ValueError,
        lambda: nn.KLDivLoss("batchmean")(mg.tensor(0.5), 0.5),
    ),
    "cross_entropy: 3 is not one of the 3 positions 0..2": (
        IndexError,
        lambda: nn.CrossEntropyLoss()(LOGITS, [3]),
    ),
    "cross_entropy: 3 classes need a weight of shape (3,); got (2,)": (
        ValueError,
        lambda: nn.CrossEntropyLoss([1.0, 2.0])(LOGITS, [0]),
    ),
    "cross_entropy: label_smoothing is from 0 to 1; got 1.5": (
        ValueError,
        lambda: nn.CrossEntropyLoss(label_smoothing=1.5)(LOGITS, [0]),
    ),
    "cross_entropy: ignore_index=0 is for targets that are classes; these are probabilities. "
    "Leave it out": (
        ValueError,
        lambda: nn.CrossEntropyLoss(ignore_index=0)(LOGITS, [[0.1, 0.2, 0.7]]),
    ),
    "nll_loss: label_smoothing is a number; got str 'a'": (
        TypeError,
        lambda: nn.NLLLoss(label_smoothing="a")(LOGITS, [0]),
    ),
    "smooth_l1_loss: beta must be 0 or more; got -1": (
        ValueError,
        lambda: nn.SmoothL1Loss(beta=-1)(TWO, TWO),
    ),
    "huber_loss: delta must be positive; got 0": (
        ValueError,
        lambda: nn.HuberLoss(delta=0)(TWO, TWO),
    ),
    "smooth_l1_loss: prediction (2,) and target (1, 2) differ in shape; write "
    "target.reshape((2,))": (ValueError, lambda: nn.SmoothL1Loss()(TWO, [TWO])),
    "binary_cross_entropy: prediction (2,) and target (1,) differ in shape": (
        ValueError,
        lambda: nn.BCELoss()(TWO, [1.0]),
    ),
    "binary_cross_entropy: x are from 0 to 1; got 2. For logits there is "
    "binary_cross_entropy_with_logits": (ValueError, lambda: nn.BCELoss()([0.5, 2.0], TWO)),
    "binary_cross_entropy: x are from 0 to 1; got -0.5": (
        ValueError,
        lambda: nn.BCELoss()([0.5, -0.5], TWO),
    ),
    "binary_cross_entropy: targets are from 0 to 1; got 3": (
        ValueError,
        lambda: nn.BCELoss()(TWO, [0, 3]),
    ),
    "binary_cross_entropy_with_logits: weight (3,) doesn't broadcast to the shape of the "
    "prediction (2,)": (ValueError, lambda: nn.BCEWithLogitsLoss([1.0] * 3)(TWO, TWO)),
    "binary_cross_entropy_with_logits: pos_weight (2, 1) doesn't broadcast": (
        ValueError,
        lambda: nn.BCEWithLogitsLoss(pos_weight=[[1.0], [1.0]])(TWO, TWO),
    ),
    "binary_cross_entropy: weight is a factor; write reduction='sum'": (
        TypeError,
        lambda: nn.BCELoss("sum")(TWO, TWO),
    ),
    "mse_loss() missing 1 required positional argument: 'target'": (
        TypeError,
        lambda: nn.MSELoss()(TWO),
    ),
    "mg.nn.LeakyReLU: negativ_slope: did you mean negative_slope? Write "
    "mg.nn.LeakyReLU(negative_slope=0.1)": (
        TypeError,
        lambda: nn.LeakyReLU(negativ_slope=0.1),
    ),
    "Tanh() too many positional arguments. Its options are: none": (TypeError, lambda: nn.Tanh(3)),
    "mg.nn.CrossEntropyLoss: smoothing: did you mean label_smoothing? Write "
    "mg.nn.CrossEntropyLoss(label_smoothing=0.1)": (
        TypeError,
        lambda: nn.CrossEntropyLoss(smoothing=0.1),
    ),
}


@table(WRONG)
def test_wrong_use(text, kind, use):
    with mg.use_backend("numpy"):
        check(use, kind, text)


def test_probabilities_are_not_looked_at_on_a_device(backend):
    loss = nn.BCELoss()
    if mg.current_backend().is_host:
        with pytest.raises(ValueError, match="x are from 0 to 1; got 2"):
            loss(mg.tensor([2.0]), [1.0])
    else:
        with mg.current_backend().quiet():
            assert np.isnan(loss(mg.tensor([2.0]), mg.tensor([0.5])).item())
    x = mg.tensor([np.nan, 0.5])
    assert np.isnan(loss(x, [0.5, 0.5]).item())
    assert mg.binary_cross_entropy(mg.zeros((0,)), mg.zeros((0,)), reduction="sum").item() == 0


# --- as objects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", functions.__all__)
def test_they_are_classes_like_others(name):
    kind = getattr(nn, name)
    module = kind()
    assert isinstance(module, nn.Module) and kind.__name__ == name and kind.__module__
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(twin) is kind and repr(twin) == repr(module)
    parameters = inspect.signature(kind).parameters.values()
    assert all(p.default is not p.empty for p in parameters)
    assert list(module.parameters()) == [] and module.state_dict() == {}
    for p in parameters:
        assert getattr(module, p.name) == p.default
    chosen = {p.name: 0.5 for p in parameters if isinstance(p.default, float)}
    assert all(getattr(kind(**chosen), name) == 0.5 for name in chosen)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (lambda: nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (lambda: nn.Softmax(axis=1), "Softmax(axis=1)"),
        (lambda: nn.ReLU(), "ReLU()"),
        (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
        (lambda: nn.CrossEntropyLoss([1.0], 3), "CrossEntropyLoss(ignore_index=3)"),
        (lambda: nn.HuberLoss("sum", 2.0), "HuberLoss(reduction='sum', delta=2.0)"),
    ],
)
def test_repr(module, text):
    assert repr(module()) == text


def test_weights_of_a_loss_move_and_are_saved_with_it(backend):
    with mg.use_backend("numpy"):
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        model.loss = nn.CrossEntropyLoss(weight=np.array([1.0, 2.0]))
    assert list(model.state_dict()) == ["0.weight", "0.bias", "loss.weight"]
    model.to(backend).float()
    assert model.loss.weight.dtype == np.float32
    assert model.loss.weight.backend is mg.get_backend(backend)
    model.loss(model[0](mg.ones((1, 2))), [1]).backward()
    assert model.loss.weight.grad is None


def test_a_subclass_has_its_own_constructor(backend):
    class Scaled(nn.MSELoss):
        def __init__(self, scale):
            super().__init__(reduction="sum")
            self.scale = scale

        def forward(self, x, target):
            return self.scale * super().forward(x, target)

    assert list(inspect.signature(Scaled).parameters) == ["scale"]
    assert Scaled(2.0)(mg.tensor([1.0]), [3.0]).item() == 8.0

    class Same(nn.HuberLoss):
        pass

    assert list(inspect.signature(Same).parameters) == ["reduction", "delta"]
