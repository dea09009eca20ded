"""Schedules: their rates, beside PyTorch's; resuming, and wrong use."""

import numpy as np
import pytest
from subclasses import all_of

import minigrad as mg
from minigrad import optim

SCHEDULES = {
    "step": (optim.StepLR, lambda o: optim.StepLR(o, 4, gamma=0.3)),
    "cosine": (optim.CosineAnnealingLR, lambda o: optim.CosineAnnealingLR(o, 7, 0.01)),
    "warm-up": (optim.LinearWarmup, lambda o: optim.LinearWarmup(o, 5)),
}


def leaf():
    return mg.ones(2, requires_grad=True)


def test_every_schedule_has_a_case():
    assert all_of(optim.Schedule) == {kind for kind, _ in SCHEDULES.values()}


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
