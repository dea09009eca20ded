"""Optimisers against closed formulas and PyTorch; resuming, clipping, schedules, errors."""

import copy
import inspect
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim

# Every option of every optimiser, at least once away from its default.
CASES = {
    "sgd": (optim.SGD, {"lr": 0.1}),
    "sgd-decay": (optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "sgd-momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd-dampening": (optim.SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}),
    "sgd-nesterov": (
        optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": (optim.Adam, {}),
    "adam-options": (
        optim.Adam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adam-amsgrad": (optim.Adam, {"lr": 0.1, "betas": (0.5, 0.6), "amsgrad": True}),
    "adamw": (optim.AdamW, {"lr": 0.1}),
    "adamw-options": (
        optim.AdamW,
        {"lr": 0.1, "betas": (0.6, 0.7), "eps": 1e-4, "weight_decay": 0.2, "amsgrad": True},
    ),
    "rmsprop": (optim.RMSprop, {}),
    "rmsprop-options": (
        optim.RMSprop,
        {"lr": 0.02, "alpha": 0.8, "eps": 1e-4, "weight_decay": 0.1, "momentum": 0.7},
    ),
    "rmsprop-centered": (optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True}),
    "rmsprop-all": (optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.5}),
}
SHAPES = [(3, 4), (4,), (), (0, 2)]
STEPS = 20

SCHEDULES = {
    "step": (optim.StepLR, lambda o: optim.StepLR(o, 4, gamma=0.3)),
    "cosine": (optim.CosineAnnealingLR, lambda o: optim.CosineAnnealingLR(o, 7, 0.01)),
    "warm-up": (optim.LinearWarmup, lambda o: optim.LinearWarmup(o, 5)),
}

each = pytest.mark.parametrize("case", CASES)


def all_of(base):
    """The classes that minigrad derives from a base, at any depth."""
    own = {c for c in base.__subclasses__() if c.__module__.startswith("minigrad.")}
    return own.union(*map(all_of, own))


def test_every_optimiser_and_all_its_options_have_a_case():
    assert all_of(optim.Optimizer) == {kind for kind, _ in CASES.values()}
    for kind in all_of(optim.Optimizer):
        varied = {name for k, options in CASES.values() if k is kind for name in options}
        assert set(inspect.signature(kind).parameters) - {"params"} == varied, kind


def test_every_schedule_has_a_case():
    assert all_of(optim.Schedule) == {kind for kind, _ in SCHEDULES.values()}


def values():
    """Initial parameters, and per step what is added to each parameter's gradient."""
    rng = np.random.default_rng(7)
    start = [rng.normal(size=shape) for shape in SHAPES]
    pushes = [[rng.normal(size=shape) * 3 for shape in SHAPES] for _ in range(STEPS)]
    pushes[4][0][0] = 0  # so that a gradient is p alone
    return start, pushes


def left_out(step, i):
    """Whether parameter i gets no gradient in this step: its running values must wait."""
    return i == 1 and step % 3 == 0


def backward(params, pushes, step):
    """The gradient p + push for each parameter that takes part; for minigrad and PyTorch."""
    for i, (p, push) in enumerate(zip(params, pushes, strict=True)):
        p.grad = None
        if not left_out(step, i):
            (p * p * 0.5 + p * push).sum().backward()


# --- formulas --------------------------------------------------------------------------------
# Written out over the whole history of gradients, without running values: nothing in common
# with the recursions that are tested.


def mean_of(history, beta):
    return sum((1 - beta) * beta**age * g for age, g in enumerate(reversed(history)))


def sgd_step(p, raw, ps, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    history = [g + weight_decay * q for g, q in zip(raw, ps, strict=True)]
    if not momentum:
        return p - lr * history[-1]
    last = len(history) - 1
    buffer = sum(
        momentum ** (last - k) * (g if k == 0 else (1 - dampening) * g)
        for k, g in enumerate(history)
    )
    return p - lr * (history[-1] + momentum * buffer if nesterov else buffer)


def adam_step(p, raw, ps, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    history = [g + weight_decay * q for g, q in zip(raw, ps, strict=True)]
    t = len(history)
    squares = [g**2 for g in history]
    square = mean_of(squares, betas[1])
    if amsgrad:
        square = np.max([mean_of(squares[: k + 1], betas[1]) for k in range(t)], axis=0)
    mean = mean_of(history, betas[0]) / (1 - betas[0] ** t)
    return p - lr * mean / (np.sqrt(square / (1 - betas[1] ** t)) + eps)


def adamw_step(p, raw, ps, lr=1e-3, weight_decay=1e-2, **options):
    return adam_step(p - lr * weight_decay * p, raw, ps, lr, **options)


def rmsprop_step(
    p, raw, ps, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False
):
    history = [g + weight_decay * q for g, q in zip(raw, ps, strict=True)]

    def direction(past):
        variance = mean_of([g**2 for g in past], alpha)
        if centered:
            variance = variance - mean_of(past, alpha) ** 2
        return past[-1] / (np.sqrt(variance) + eps)

    t = len(history)
    return p - lr * sum(momentum ** (t - k) * direction(history[:k]) for k in range(1, t + 1))


FORMULAS = {
    optim.SGD: sgd_step,
    optim.Adam: adam_step,
    optim.AdamW: adamw_step,
    optim.RMSprop: rmsprop_step,
}


@each
def test_every_rule_follows_its_formula(case, backend):
    kind, options = CASES[case]
    start, pushes = values()
    params = [mg.tensor(x, requires_grad=True) for x in start]
    optimizer = kind(params, **options)
    expected = list(start)
    raw, ps = [[] for _ in start], [[] for _ in start]
    for step in range(STEPS):
        backward(params, [mg.tensor(push) for push in pushes[step]], step)
        optimizer.step()
        for i, push in enumerate(pushes[step]):
            if not left_out(step, i):
                raw[i].append(expected[i] + push)
                ps[i].append(expected[i])
                expected[i] = FORMULAS[kind](expected[i], raw[i], ps[i], **options)
        for p, want in zip(params, expected, strict=True):
            np.testing.assert_allclose(p.numpy(), want, rtol=1e-9, atol=1e-9)
    assert np.median(np.abs(params[0].numpy() - start[0])) > 0.005  # it went somewhere


@each
def test_every_rule_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    kind, options = CASES[case]
    start, pushes = values()
    ours = [mg.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    optimizer = kind(ours, **options)
    reference = getattr(torch.optim, kind.__name__)(theirs, **options)
    for step in range(STEPS):
        backward(ours, pushes[step], step)
        backward(theirs, [torch.tensor(push) for push in pushes[step]], step)
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-6)


# --- arrays ----------------------------------------------------------------------------------


@each
def test_a_step_keeps_dtype_and_kind_of_array_and_moves_nothing_to_the_host(case, backend):
    kind, options = CASES[case]
    options = {**options, "lr": np.float64(0.1)}  # a NumPy number would make float64 of float32
    params = [mg.ones(shape, requires_grad=True) for shape in SHAPES]
    optimizer = kind(params, **options)
    device = mg.get_backend(backend)
    moved = getattr(device, "moved", 0)
    for _ in range(3):
        for p in params:
            p.grad = mg.full(p.shape, 0.5)
        optim.clip_grad_norm_(params, np.float64(0.1))
        optim.clip_grad_value_(params, np.float64(0.01))
        optimizer.param_groups[0]["lr"] = np.float64(0.1)
        optimizer.step()
    assert getattr(device, "moved", 0) == moved
    held = [array for state in optimizer.state.values() for array in state.values()]
    for array in [p._data for p in params] + [array for array in held if type(array) is not int]:
        assert isinstance(array, device.array_type)
        assert array.dtype == np.float32


@each
def test_arrays_that_others_hold_are_not_written_to(case, backend):
    kind, options = CASES[case]
    w = mg.tensor([1.0, -2.0, 3.0], requires_grad=True)
    optimizer = kind([w], **options)
    loss = (w * w * w).sum()  # its graph keeps the first w
    loss.backward(retain_graph=True)
    first = w.grad
    for _ in range(3):
        optimizer.step()
    np.testing.assert_array_equal(first.numpy(), [3.0, 12.0, 27.0])
    assert (w.numpy() != [1.0, -2.0, 3.0]).all()
    w.grad = None
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [3.0, 12.0, 27.0])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (optim.Adam, {"lr": 0.1}),
        (optim.AdamW, {"lr": 0.1, "weight_decay": 1e-6}),
        (optim.RMSprop, {"lr": 0.05}),
    ],
)
def test_regression_finds_the_line(kind, options, backend):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    target = mg.tensor(x @ [[2.0], [-1.0], [0.5]] + 0.25, dtype="float64")
    mg.manual_seed(1)
    model = mg.nn.Linear(3, 1).double()
    optimizer = kind(model.parameters(), **options)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=400)
    for _ in range(400):
        optimizer.zero_grad()
        mg.mse_loss(model(mg.tensor(x)), target).backward()
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(model.weight.numpy(), [[2.0, -1.0, 0.5]], atol=1e-3)
    np.testing.assert_allclose(model.bias.numpy(), [0.25], atol=1e-3)


# --- groups ----------------------------------------------------------------------------------


def test_groups_have_options_of_their_own():
    a, b, alone = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    groups = [{"params": a, "lr": 0.5, "momentum": 0.0}, {"params": [b]}]
    both = optim.SGD(groups, lr=0.1, momentum=0.9)
    one = optim.SGD([alone], lr=0.1, momentum=0.9)
    for _ in range(3):
        for p in (a, b, alone):
            p.grad = mg.tensor([1.0, -1.0])
        both.step()
        one.step()
    np.testing.assert_allclose(a.numpy(), [1 - 1.5, 2 + 1.5])
    np.testing.assert_array_equal(b.numpy(), alone.numpy())
    both.zero_grad()
    assert a.grad is b.grad is None
    assert alone.grad is not None


# --- resuming --------------------------------------------------------------------------------


def training(kind, options):
    """A model, its optimiser and schedule, and the function that trains them some steps."""
    model = mg.nn.Sequential(mg.nn.Linear(3, 8), mg.tanh, mg.nn.Linear(8, 1))
    optimizer = kind(model.parameters(), **options)
    cosine = optim.CosineAnnealingLR(optimizer, T_max=20, eta_min=1e-4)
    schedule = optim.LinearWarmup(optimizer, 4, after=cosine)

    def run(steps):
        rng = np.random.default_rng(5)
        for _ in range(steps):
            optimizer.zero_grad()
            x = rng.normal(size=(16, 3)).astype("float32")
            mg.mse_loss(model(mg.tensor(x)), mg.tensor(x[:, :1] ** 2)).backward()
            optim.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            schedule.step()

    return model, optimizer, schedule, run


@each
def test_a_resumed_run_is_bit_identical(case, backend, tmp_path):
    pytest.importorskip("safetensors")
    mg.manual_seed(3)
    model, optimizer, schedule, run = training(*CASES[case])
    run(7)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    mg.save(tmp_path / "run", {name: part.state_dict() for name, part in parts.items()})
    run(7)

    kind, options = CASES[case]
    model_b, optimizer_b, schedule_b, run_b = training(kind, {**options, "lr": 7.0})
    state = mg.load(tmp_path / "run")
    model_b.load_state_dict(state["model"])
    optimizer_b.load_state_dict(state["optimizer"])
    schedule_b.load_state_dict(state["schedule"])
    run_b(7)

    for p, q in zip(model.parameters(), model_b.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert optimizer.param_groups[0]["lr"] == optimizer_b.param_groups[0]["lr"]


def test_a_state_dict_is_a_copy():
    w = mg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], momentum=0.9)
    w.grad = mg.tensor([1.0])
    optimizer.step()
    state = optimizer.state_dict()
    assert state["param_groups"][0] == {
        "params": [0],
        **{"lr": 1e-3, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
    }
    kept = copy.deepcopy(state)
    optimizer.step()
    assert state["state"] == kept["state"] == [{"momentum_buffer": [1.0]}]
    optimizer.load_state_dict(state)
    optimizer.step()
    assert state["state"] == [{"momentum_buffer": [1.0]}]


def test_loading_brings_the_options_and_drops_what_was_running():
    fresh = optim.Adam([leaf()], lr=0.5, betas=(0.5, 0.6), amsgrad=True).state_dict()
    w = leaf()
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = mg.ones(2)
    optimizer.step()
    optimizer.load_state_dict(fresh)
    assert optimizer.state_dict() == fresh
    assert fresh["state"] == [{}]
    assert optimizer.param_groups[0]["params"][0] is w
    optimizer.step()
    assert optimizer.state[w]["step"] == 1


def test_a_state_that_does_not_fit_is_refused_whole():
    w, b = mg.ones((2, 3), requires_grad=True), mg.ones(3, requires_grad=True)
    optimizer = optim.Adam([w, b])
    w.grad, b.grad = mg.ones((2, 3)), mg.ones(3)
    optimizer.step()
    before = optimizer.state_dict()

    other = optim.Adam([mg.ones((3, 2), requires_grad=True), mg.ones(3, requires_grad=True)])
    for p in other.param_groups[0]["params"]:
        p.grad = mg.ones_like(p)
    other.step()
    with pytest.raises(ValueError, match="does not fit Adam; nothing was loaded") as error:
        optimizer.load_state_dict({**other.state_dict(), "state": other.state_dict()["state"]})
    assert "'exp_avg' of parameter 0: here (2, 3), in the state (3, 2)" in str(error.value)
    assert "'exp_avg_sq' of parameter 0" in str(error.value)
    assert "parameter 1" not in str(error.value)

    with pytest.raises(ValueError, match=r"options of group 0: here lr, betas, .*state lr, mom"):
        optimizer.load_state_dict(optim.SGD([w, b]).state_dict())
    with pytest.raises(ValueError, match=r"parameters per group: here \[2\], in the state \[1\]"):
        optimizer.load_state_dict(optim.Adam([w]).state_dict())
    with pytest.raises(ValueError, match=r"in the state \[2\] \(with running values of 1\)"):
        optimizer.load_state_dict({**before, "state": before["state"][:1]})
    with pytest.raises(ValueError, match="takes what its state_dict"):
        optimizer.load_state_dict({})
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for x, y in zip(after["state"], before["state"], strict=True):
        assert x["step"] == y["step"] == 1
        np.testing.assert_array_equal(x["exp_avg"], y["exp_avg"])


def test_a_converted_model_needs_its_optimiser_state_anew():
    mg.manual_seed(0)
    model, optimizer, _, run = training(optim.Adam, {"lr": 0.01})
    run(2)
    state = optimizer.state_dict()
    model.double()
    optimizer.zero_grad()
    model(mg.ones((1, 3), dtype="float64")).sum().backward()
    before = [p.numpy() for p in model.parameters()]
    cure = r"shape \(8, 3\), float64 .* when its 'exp_avg' was made.*load_state_dict\(\) after"
    with pytest.raises(RuntimeError, match=cure):
        optimizer.step()
    with pytest.raises(RuntimeError, match=cure):
        optimizer.state_dict()
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.numpy(), old)
    optimizer.load_state_dict(state)
    optimizer.step()
    assert model[0].weight.dtype == np.float64

    model.to("strict")
    optimizer.zero_grad()
    model(mg.ones((1, 3), dtype="float64", backend="strict")).sum().backward()
    with pytest.raises(RuntimeError, match="another backend when its 'exp_avg' was made"):
        optimizer.step()


# --- wrong use -------------------------------------------------------------------------------


def leaf():
    return mg.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optim.SGD([]), ValueError, "SGD got no parameters to train"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "SGD got no parameters to train"),
        (lambda: optim.SGD(leaf()), TypeError, r"such as model.parameters\(\) .* got one Tensor"),
        (lambda: optim.SGD(mg.nn.Linear(2, 2)), TypeError, "got one Linear"),
        (lambda: optim.SGD(mg.nn.Sequential(mg.nn.Dropout())), TypeError, "got Dropout"),
        (lambda: optim.SGD([leaf() * 2]), TypeError, r"shape \(2,\) is the result of an op"),
        (lambda: optim.SGD([w := leaf(), w]), ValueError, "SGD got the same parameter twice"),
        (lambda: optim.SGD([leaf(), {"params": leaf()}]), TypeError, "a group is a dict such as"),
        (
            lambda: optim.SGD([{"params": leaf(), "rate": 1}]),
            ValueError,
            "SGD: unknown option rate; there are lr, momentum, dampening, weight_decay, nesterov",
        ),
        (lambda: optim.SGD([leaf()], lr=-0.1), ValueError, "SGD: lr .* at least 0; got -0.1"),
        (lambda: optim.SGD([leaf()], lr=math.nan), ValueError, "SGD: lr .* at least 0; got nan"),
        (
            lambda: optim.SGD([leaf()], lr=None),
            TypeError,
            "SGD: an option must be a number; got lr=None",
        ),
        (lambda: optim.SGD([{"params": leaf(), "lr": -1}]), ValueError, "lr .* got -1.0"),
        (lambda: optim.SGD([leaf()], momentum=-1), ValueError, "momentum must be .* got -1.0"),
        (lambda: optim.SGD([leaf()], nesterov=True), ValueError, "nesterov needs a momentum"),
        (
            lambda: optim.SGD([leaf()], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
            "no dampening; got momentum=0.9, dampening=0.1",
        ),
        (lambda: optim.Adam([leaf()], betas=(1.0, 0.9)), ValueError, "betas are two numbers from"),
        (lambda: optim.Adam([leaf()], betas=(0.9,)), ValueError, "betas are two numbers from"),
        (lambda: optim.Adam([leaf()], betas=0.9), TypeError, "Adam: an option must be a number"),
        (lambda: optim.AdamW([leaf()], eps=-1e-8), ValueError, "AdamW: eps must be"),
        (lambda: optim.RMSprop([leaf()], alpha=-1), ValueError, "RMSprop: alpha must be"),
        (lambda: optim.SGD([leaf()]).step(), RuntimeError, r"SGD.step\(\): .*all gradients are N"),
        (lambda: optim.clip_grad_norm_([leaf()], 1), RuntimeError, "loss.backward.. first"),
        (lambda: optim.clip_grad_value_([leaf()], 1), RuntimeError, "loss.backward.. first"),
        (lambda: optim.clip_grad_norm_([leaf()], -1), ValueError, "max_norm .* got -1"),
        (lambda: optim.clip_grad_value_([leaf()], -1), ValueError, "clip_value .* got -1"),
    ],
)
def test_wrong_use_is_told(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("gradient", "text"),
    [
        (lambda: mg.ones(2, backend="strict"), "has a gradient of .* on 'strict'; compute"),
        (lambda: mg.ones(3), r"shape \(2,\), float32 .* has a gradient of shape \(3,\)"),
        (lambda: mg.ones(2, dtype="float64"), r"has a gradient of shape \(2,\), float64"),
        (lambda: np.ones(2), "SGD: a gradient must be a tensor; got ndarray"),
    ],
)
def test_a_gradient_that_does_not_fit_changes_nothing(gradient, text):
    good, bad = leaf(), leaf()
    good.grad, bad.grad = mg.ones(2), gradient()
    with pytest.raises(RuntimeError, match=text):
        optim.SGD([good, bad], lr=1.0).step()
    assert good.tolist() == [1.0, 1.0]


# --- clipping --------------------------------------------------------------------------------


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


def test_clipping_by_norm_equals_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=5)]
    ours, theirs = [], []
    for array in arrays:
        ours.append(mg.tensor(array, requires_grad=True))
        theirs.append(torch.tensor(array, requires_grad=True))
        ours[-1].grad, theirs[-1].grad = mg.tensor(array), torch.tensor(array)
    total = optim.clip_grad_norm_(ours, 0.7)
    assert total.item() == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, 0.7).item())
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


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


# --- schedules -------------------------------------------------------------------------------


def rates(make, steps, groups=((1.0,), (0.5,))):
    """The two groups' rates at each of some steps."""
    optimizer = optim.SGD([{"params": leaf(), "lr": lr} for (lr,) in groups])
    schedule = make(optimizer)
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        schedule.step()
    return np.array(seen).T


def test_step_schedule():
    first, second = rates(lambda o: optim.StepLR(o, 3, gamma=0.5), 7)
    np.testing.assert_allclose(first, [1, 1, 1, 0.5, 0.5, 0.5, 0.25])
    np.testing.assert_allclose(second, first / 2)


def test_warm_up_then_cosine():
    def make(optimizer):
        return optim.LinearWarmup(optimizer, 4, after=optim.CosineAnnealingLR(optimizer, 2, 0.1))

    first, second = rates(make, 7)
    np.testing.assert_allclose(first, [0.25, 0.5, 0.75, 1.0, 1.0, 0.55, 0.1])
    np.testing.assert_allclose(second, [0.125, 0.25, 0.375, 0.5, 0.5, 0.3, 0.1])
    first, _ = rates(lambda o: optim.LinearWarmup(o, 2), 4)
    np.testing.assert_allclose(first, [0.5, 1, 1, 1])
    twice, _ = rates(lambda o: optim.LinearWarmup(o, 2, after=optim.LinearWarmup(o, 2)), 4)
    np.testing.assert_allclose(twice, [0.5, 1, 0.5, 1])


def test_schedules_equal_pytorchs():
    torch = pytest.importorskip("torch")
    references = {
        "step": lambda o, s: s.StepLR(o, 4, 0.3),
        "cosine": lambda o, s: s.CosineAnnealingLR(o, 7, 0.01),
        "warm-up": lambda o, s: s.LinearLR(o, start_factor=1 / 5, total_iters=4),
    }
    for name, (_, make) in SCHEDULES.items():
        reference = references[name]
        parameters = [torch.zeros(1, requires_grad=True) for _ in range(2)]
        optimizer = torch.optim.SGD(
            [{"params": [p], "lr": lr} for p, lr in zip(parameters, (1.0, 0.5), strict=True)]
        )
        schedule = reference(optimizer, torch.optim.lr_scheduler)
        seen = []
        for _ in range(20):
            seen.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
        ours = rates(make, 20)
        np.testing.assert_allclose(ours, np.array(seen).T, rtol=1e-9, atol=1e-12)


def test_a_schedule_is_resumed_whatever_the_rate_is_by_then():
    optimizer = optim.SGD([leaf()], lr=1.0)
    schedule = optim.StepLR(optimizer, 2, gamma=0.5)
    for _ in range(3):
        schedule.step()
    other = optim.SGD([leaf()], lr=0.25)
    resumed = optim.StepLR(other, 2, gamma=0.5)
    resumed.load_state_dict(schedule.state_dict())
    assert other.param_groups[0]["lr"] == 0.5
    resumed.step()
    assert other.param_groups[0]["lr"] == 0.25


def test_wrong_schedules_are_told():
    optimizer, other = optim.SGD([leaf()]), optim.SGD([leaf()])
    with pytest.raises(ValueError, match="StepLR: step_size must be at least 1; got 0"):
        optim.StepLR(optimizer, 0)
    with pytest.raises(ValueError, match="CosineAnnealingLR: T_max must be at least 1; got 0"):
        optim.CosineAnnealingLR(optimizer, 0)
    with pytest.raises(ValueError, match="LinearWarmup: warmup_steps must be at least 1; got -1"):
        optim.LinearWarmup(optimizer, -1)
    with pytest.raises(ValueError, match="`after` must be a fresh schedule of its optimiser"):
        optim.LinearWarmup(optimizer, 1, after=optim.StepLR(other, 1))
    schedule = optim.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match="takes what its state_dict"):
        schedule.load_state_dict({"steps": 3})
    with pytest.raises(ValueError, match="for an optimiser of 2 groups; this one has 1"):
        schedule.load_state_dict({"steps": 3, "base_lrs": [1, 2]})
    with pytest.raises(NotImplementedError, match=r"Schedule defines no rate\(\)"):
        optim.Schedule(optimizer)
