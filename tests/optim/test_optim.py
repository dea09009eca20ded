"""Optimisers against closed formulas and PyTorch; resuming, clipping, schedules, errors."""

import copy
import functools
import inspect

import numpy as np
import pytest
from subclasses import all_of

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
    "sgd-maximize": (optim.SGD, {"lr": 0.01, "maximize": True, "weight_decay": 0.1}),
    "adam": (optim.Adam, {}),
    "adam-options": (
        optim.Adam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adam-amsgrad": (optim.Adam, {"lr": 0.1, "betas": (0.5, 0.6), "amsgrad": True}),
    "adam-maximize": (optim.Adam, {"lr": 0.01, "maximize": True, "weight_decay": 0.1}),
    "adamw": (optim.AdamW, {"lr": 0.1}),
    "adamw-options": (
        optim.AdamW,
        {"lr": 0.1, "betas": (0.6, 0.7), "eps": 1e-4, "weight_decay": 0.2, "amsgrad": True},
    ),
    "adamw-maximize": (optim.AdamW, {"lr": 0.01, "maximize": True}),
    "rmsprop": (optim.RMSprop, {}),
    "rmsprop-options": (
        optim.RMSprop,
        {"lr": 0.02, "alpha": 0.8, "eps": 1e-4, "weight_decay": 0.1, "momentum": 0.7},
    ),
    "rmsprop-centered": (optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True}),
    "rmsprop-all": (optim.RMSprop, {"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.5}),
    "rmsprop-maximize": (optim.RMSprop, {"maximize": True, "weight_decay": 0.1}),
    "adagrad": (optim.Adagrad, {"lr": 0.1}),
    "adagrad-options": (
        optim.Adagrad,
        {
            "lr": 0.3,
            "lr_decay": 0.05,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.7,
            "eps": 1e-3,
        },
    ),
    "adagrad-maximize": (optim.Adagrad, {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    "adadelta": (optim.Adadelta, {}),
    "adadelta-options": (
        optim.Adadelta,
        {"lr": 0.5, "rho": 0.6, "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adadelta-maximize": (optim.Adadelta, {"maximize": True, "weight_decay": 0.1}),
}
SHAPES = [(3, 4), (4,), (), (0, 2)]
STEPS = 50

each = pytest.mark.parametrize("case", CASES)


def test_every_optimiser_and_all_its_options_have_a_case():
    kinds = all_of(optim.Optimizer) - {optim.LBFGS}  # which follows no rule: test_lbfgs.py
    assert kinds == {kind for kind, _ in CASES.values()}
    for kind in kinds:
        varied = {name for k, options in CASES.values() if k is kind for name in options}
        assert set(inspect.signature(kind).parameters) - {"params"} == varied, kind


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


def uphill(raw, ps, weight_decay, maximize):
    sign = -1 if maximize else 1
    return [sign * g + weight_decay * q for g, q in zip(raw, ps, strict=True)]


def sgd_step(
    p, raw, ps, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False
):
    history = uphill(raw, ps, weight_decay, maximize)
    if not momentum:
        return p - lr * history[-1]
    last = len(history) - 1
    buffer = sum(
        momentum ** (last - k) * (g if k == 0 else (1 - dampening) * g)
        for k, g in enumerate(history)
    )
    return p - lr * (history[-1] + momentum * buffer if nesterov else buffer)


def adam_step(
    p,
    raw,
    ps,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0,
    amsgrad=False,
    maximize=False,
):
    history = uphill(raw, ps, weight_decay, maximize)
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
    p,
    raw,
    ps,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0,
    momentum=0,
    centered=False,
    maximize=False,
):
    history = uphill(raw, ps, weight_decay, maximize)

    def direction(past):
        variance = mean_of([g**2 for g in past], alpha)
        if centered:
            variance = variance - mean_of(past, alpha) ** 2
        return past[-1] / (np.sqrt(variance) + eps)

    t = len(history)
    return p - lr * sum(momentum ** (t - k) * direction(history[:k]) for k in range(1, t + 1))


def adagrad_step(
    p,
    raw,
    ps,
    lr=1e-2,
    lr_decay=0,
    weight_decay=0,
    initial_accumulator_value=0,
    eps=1e-10,
    maximize=False,
):
    history = uphill(raw, ps, weight_decay, maximize)
    total = initial_accumulator_value + sum(g**2 for g in history)
    return p - lr / (1 + (len(history) - 1) * lr_decay) * history[-1] / (np.sqrt(total) + eps)


def adadelta_step(p, raw, ps, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, maximize=False):
    history = uphill(raw, ps, weight_decay, maximize)
    deltas = [np.zeros_like(p)]
    for k, g in enumerate(history, 1):
        variance = mean_of([g**2 for g in history[:k]], rho)
        before = mean_of([delta**2 for delta in deltas], rho)
        deltas.append(np.sqrt((before + eps) / (variance + eps)) * g)
    return p - lr * deltas[-1]


FORMULAS = {
    optim.Adadelta: adadelta_step,
    optim.Adagrad: adagrad_step,
    optim.SGD: sgd_step,
    optim.Adam: adam_step,
    optim.AdamW: adamw_step,
    optim.RMSprop: rmsprop_step,
}


@functools.cache
def by_formula(case):
    """The parameters after each step."""
    kind, options = CASES[case]
    now, pushes = values()
    raw, ps, found = [[] for _ in now], [[] for _ in now], []
    for step in range(STEPS):
        for i, push in enumerate(pushes[step]):
            if not left_out(step, i):
                raw[i].append(now[i] + push)
                ps[i].append(now[i])
                now[i] = FORMULAS[kind](now[i], raw[i], ps[i], **options)
        found.append(list(now))
    return found


@each
def test_every_rule_follows_its_formula(case, backend):
    kind, options = CASES[case]
    start, pushes = values()
    params = [mg.tensor(x, requires_grad=True) for x in start]
    optimizer = kind(params, **options)
    for step, expected in enumerate(by_formula(case)):
        backward(params, [mg.tensor(push) for push in pushes[step]], step)
        optimizer.step()
        for p, want in zip(params, expected, strict=True):
            np.testing.assert_allclose(p.numpy(), want, rtol=1e-9, atol=1e-9)
    assert np.median(np.abs(params[0].numpy() - start[0])) > 0.005  # it went somewhere


@pytest.mark.parametrize("count", [1, 2], ids=["one group", "two groups"])
@each
def test_every_rule_equals_pytorch(case, count, numpy_unless_deep):
    torch = pytest.importorskip("torch")
    kind, options = CASES[case]
    start, pushes = values()
    ours = [mg.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]

    def groups(params):
        if count == 1:
            return params
        return [{"params": params[:1], "lr": 0.02}, {"params": params[1:], "weight_decay": 0.2}]

    optimizer = kind(groups(ours), **options)
    reference = getattr(torch.optim, kind.__name__)(groups(theirs), **options)
    for step in range(STEPS):
        backward(ours, [mg.tensor(push) for push in pushes[step]], step)
        backward(theirs, [torch.tensor(push) for push in pushes[step]], step)
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-12)


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
        (optim.Adagrad, {"lr": 0.5}),
        (optim.Adadelta, {"lr": 5.0}),
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
        **{"lr": 1e-3, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0},
        **{"nesterov": False, "maximize": False},
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


def leaf():
    return mg.ones(2, requires_grad=True)
