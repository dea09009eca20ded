"""Groups of parameters, closures, forgotten gradients, and wrong use of optimisers."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim


def leaf():
    return mg.ones(2, requires_grad=True)


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


def test_a_group_that_is_added_trains_like_one_that_was_there(backend):
    grads = np.random.default_rng(0).normal(size=(6, 2, 2))

    def trained(late):
        a, b = leaf(), leaf()
        more = {"params": (p for p in [b]), "lr": 0.3}
        optimizer = optim.Adam([a], lr=0.1, betas=(0.5, 0.6)) if late else None
        optimizer = optimizer or optim.Adam([{"params": a}, more], lr=0.1, betas=(0.5, 0.6))
        if late:
            optimizer.add_param_group(more)
        for g, h in grads:
            a.grad, b.grad = mg.tensor(g, dtype="float32"), mg.tensor(h, dtype="float32")
            optimizer.step()
        return a, b, optimizer

    early, late = trained(False), trained(True)
    for p, q in zip(early[:2], late[:2], strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    group = late[2].param_groups[1]
    assert (group["lr"], group["betas"], len(group["params"])) == (0.3, (0.5, 0.6), 1)
    state = early[2].state_dict()
    late[2].load_state_dict(state)
    assert late[2].state_dict()["param_groups"] == state["param_groups"]


def test_a_group_that_does_not_fit_is_not_added():
    a = leaf()
    optimizer = optim.SGD([a], momentum=0.5)
    wrong = {
        "add_param_group got no parameters to train": {"params": []},
        "SGD got the same parameter twice": {"params": [leaf(), a]},
        "SGD: unknown option rate; there are lr, mom": {"params": leaf(), "rate": 0.1},
        "SGD: lr must be a number of at least 0; got -1.0": {"params": leaf(), "lr": -1},
        "nesterov needs a momentum": {"params": leaf(), "momentum": 0, "nesterov": True},
    }
    for text, group in wrong.items():
        with pytest.raises(ValueError, match=text):
            optimizer.add_param_group(group)
    wrong = {
        'a group is a dict such as {"params": .w., "lr": 0.1}; got list': [leaf()],
        "a group is a dict such as .* got dict {'lr': 0.1}": {"lr": 0.1},
        "a group's params are parameters, .* got NoneType": {"params": None},
        "such as model.parameters.*; got int": {"params": [3]},
        "parameters come in an order, .* got a set. Give a list": {"params": {leaf()}},
        "nesterov is True or False; got 'no'": {"params": leaf(), "nesterov": "no"},
    }
    for text, group in wrong.items():
        with pytest.raises(TypeError, match=text):
            optimizer.add_param_group(group)
    assert [group["params"] for group in optimizer.param_groups] == [[a]]


# --- gradients, and closures -----------------------------------------------------------------


def test_forgotten_gradients(backend):
    a, b = leaf(), mg.ones((), dtype="float64", requires_grad=True)
    optimizer = optim.SGD([a, b, leaf()])
    a.grad, b.grad = kept = mg.full(2, math.nan), mg.tensor(3.0, dtype="float64")
    optimizer.zero_grad(set_to_none=False)
    assert (a.grad.tolist(), b.grad.item()) == ([0, 0], 0)
    assert (a.grad.dtype, b.grad.dtype, b.grad.shape) == (a.dtype, b.dtype, ())
    assert a.grad.backend is a.backend and kept[1].item() == 3.0
    assert optimizer.param_groups[0]["params"][2].grad is None
    optimizer.zero_grad(set_to_none=True)
    assert a.grad is b.grad is None
    with pytest.raises(TypeError, match=r"SGD.zero_grad: set_to_none is True or False; got None"):
        optimizer.zero_grad(None)


def test_a_step_with_zeros_moves_by_momentum_and_one_without_gradient_does_not():
    a, b = leaf(), leaf()
    optimizer = optim.SGD([a, b], lr=0.5, momentum=0.5)
    a.grad, b.grad = mg.ones(2), mg.ones(2)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    b.grad = None
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([0.25, 0.25], [0.5, 0.5])


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad])
def test_a_step_calls_its_closure_once_with_gradients_on(kind, backend):
    w, alone = leaf(), leaf()
    optimizer, other = kind([w], lr=0.1), kind([alone], lr=0.1)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        calls.append(loss)
        return loss

    for _ in range(3):
        with mg.no_grad():
            assert optimizer.step(closure) is calls[-1]
        alone.grad = None
        (alone * alone).sum().backward()
        assert other.step() is None
    assert len(calls) == 3
    np.testing.assert_array_equal(w.numpy(), alone.numpy())


def test_what_is_no_closure_is_refused():
    w = leaf()
    optimizer = optim.SGD([w])
    loss = (w * w).sum()
    loss.backward()
    for wrong in (loss, 3.0):
        with pytest.raises(TypeError, match=r"SGD.step\(closure\) takes a function that .*; got"):
            optimizer.step(wrong)
    assert w.tolist() == [1, 1]


# --- wrong use -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optim.SGD([]), ValueError, "SGD got no parameters to train"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "SGD got no parameters to train"),
        (lambda: optim.SGD(leaf()), TypeError, r"such as model.parameters\(\) .* got one Tensor"),
        (lambda: optim.SGD(mg.nn.Linear(2, 2)), TypeError, "got one Linear"),
        (lambda: optim.SGD(mg.nn.Sequential(mg.nn.Dropout())), TypeError, "got Dropout"),
        (lambda: optim.SGD({"params": leaf()}), TypeError, r"in a list, as in \[group\]"),
        (lambda: optim.SGD({leaf()}), TypeError, "parameters come in an order.* got a set"),
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
        (lambda: optim.Adagrad([leaf()], lr_decay=-1), ValueError, "lr_decay .* got -1.0"),
        (lambda: optim.Adadelta([leaf()], rho=1.5), ValueError, "rho must .* from 0 to 1; got 1.5"),
        (lambda: optim.Adam([leaf()], amsgrad=1), TypeError, "Adam: amsgrad is True or False; got"),
        (lambda: optim.SGD([leaf()], maximize="up"), TypeError, "maximize is True or False; got"),
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
