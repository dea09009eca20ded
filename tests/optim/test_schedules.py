"""Schedules: their rates, beside PyTorch's; resuming, groups that come later, and wrong use."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from subclasses import all_of

import minigrad as mg
from minigrad import optim

LRS = (1.0, 0.3)
STEPS = 50

# What a schedule is made with, here and in PyTorch: `s` holds the classes.
SCHEDULES = {
    "step": lambda o, s: s.StepLR(o, 4, gamma=0.3),
    "milestones": lambda o, s: s.MultiStepLR(o, [30, 0, 7, 7, 20], gamma=0.5),
    "exponential": lambda o, s: s.ExponentialLR(o, 0.93),
    "lambda": lambda o, s: s.LambdaLR(o, lambda t: min(1, t / 10) / (1 + t)),
    "lambdas": lambda o, s: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (t + 1)]),
    "linear": lambda o, s: s.LinearLR(o),
    "linear-options": lambda o, s: s.LinearLR(o, 0.9, end_factor=0.1, total_iters=17),
    "cosine": lambda o, s: s.CosineAnnealingLR(o, 7, 0.01),
    "cosine-long": lambda o, s: s.CosineAnnealingLR(o, T_max=50),
    "one-cycle": lambda o, s: s.OneCycleLR(o, 2.0, total_steps=STEPS),
    "one-cycle-epochs": lambda o, s: s.OneCycleLR(
        o, [0.5, 2.0], epochs=11, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.25
    ),
    "one-cycle-options": lambda o, s: s.OneCycleLR(
        *(o, 2.0, STEPS),
        base_momentum=[0.7, 0.8],
        max_momentum=0.9,
        div_factor=10,
        final_div_factor=100,
        three_phase=True,
    ),
    "one-cycle-steady": lambda o, s: s.OneCycleLR(
        o, 2.0, STEPS, cycle_momentum=False, pct_start=0.01
    ),
    "sequence": lambda o, s: s.SequentialLR(
        *(o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20, 0.001)], [6])
    ),
    "sequence-of-three": lambda o, s: s.SequentialLR(
        *(o, [s.StepLR(o, 2, 0.5), s.LambdaLR(o, lambda t: 1 / (t + 2)), s.ExponentialLR(o, 0.9)]),
        milestones=[7, 23],
    ),
    "sequence-at-once": lambda o, s: s.SequentialLR(
        *(o, [s.StepLR(o, 2, 0.5), s.ExponentialLR(o, 0.9)], [0])
    ),
    "sequence-one-cycle": lambda o, s: s.SequentialLR(
        *(o, [s.LinearLR(o, 0.1, total_iters=5), s.OneCycleLR(o, 2.0, 40)], [10])
    ),
}


def leaf():
    return mg.ones(2, requires_grad=True)


def optimizer_here(lrs=LRS, kind=optim.SGD):
    return kind([{"params": leaf(), "lr": lr} for lr in lrs])


def optimizer_there(torch, lrs=LRS, kind="SGD"):
    groups = [{"params": torch.zeros(1, requires_grad=True), "lr": lr} for lr in lrs]
    return getattr(torch.optim, kind)(groups)


def seen(optimizer):
    """Per group its rate, and its momentum."""
    return [
        [float(group["lr"]), float(group["momentum"] if "momentum" in group else group["betas"][0])]
        for group in optimizer.param_groups
    ]


def course(optimizer, schedules, steps=STEPS):
    """The rates and momenta at each of some steps, of minigrad or PyTorch."""
    found = []
    for _ in range(steps):
        found.append(seen(optimizer))
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    return np.array([*found, seen(optimizer)])


def assert_equal(found, right):
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)


def torch_or_skip():
    return pytest.importorskip("torch")


def stepping(optimizer):
    """An optimiser with gradients of zero: PyTorch warns of schedules without steps."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = p.detach() * 0
    return optimizer


def test_every_schedule_has_a_case():
    made = {type(make(optimizer_here(), optim)) for make in SCHEDULES.values()}
    assert all_of(optim.Schedule) == made | {optim.LinearWarmup}


# --- rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules_equal_pytorchs(case, kind):
    torch = torch_or_skip()
    here = stepping(optimizer_here(kind=getattr(optim, kind)))
    there = stepping(optimizer_there(torch, kind=kind))
    ours = SCHEDULES[case](here, optim)
    theirs = SCHEDULES[case](there, torch.optim.lr_scheduler)
    for _ in range(STEPS):
        assert_equal(seen(here), seen(there))
        assert_equal(ours.get_last_lr(), theirs.get_last_lr())
        for each in (here, ours, there, theirs):
            each.step()
    assert_equal(seen(here), seen(there))


def test_a_warm_up_is_pytorchs_linear_rate():
    torch = torch_or_skip()
    here, there = stepping(optimizer_here()), stepping(optimizer_there(torch))
    theirs = torch.optim.lr_scheduler.LinearLR(there, start_factor=1 / 5, total_iters=4)
    assert_equal(course(here, [optim.LinearWarmup(here, 5)]), course(there, [theirs]))


# Schedules that PyTorch calls chainable, the first one's rates being a factor for the next.
CHAINS = ["step", "milestones", "exponential", "linear", "linear-options", "cosine-long"]


@given(cases=st.lists(st.sampled_from(CHAINS), min_size=2, max_size=3), data=st.data())
def test_schedules_stepped_together_multiply_as_in_pytorch(cases, data):
    torch = torch_or_skip()
    here, there = stepping(optimizer_here()), stepping(optimizer_there(torch))
    ours = [SCHEDULES[case](here, optim) for case in cases]
    theirs = [SCHEDULES[case](there, torch.optim.lr_scheduler) for case in cases]
    order = data.draw(st.permutations(range(len(cases))))
    found = course(here, [ours[i] for i in order], 40)
    assert_equal(found, course(there, [theirs[i] for i in order], 40))


@given(case=st.sampled_from(CHAINS), first=st.integers(0, 9), factor=st.sampled_from([0.5, 3.0]))
def test_rates_set_by_hand_and_added_groups_are_followed_as_in_pytorch(case, first, factor):
    torch = torch_or_skip()
    here, there = stepping(optimizer_here()), stepping(optimizer_there(torch))
    ours = SCHEDULES[case](here, optim)
    theirs = SCHEDULES[case](there, torch.optim.lr_scheduler)
    course(here, [ours], first), course(there, [theirs], first)
    here.param_groups[1]["lr"] *= factor
    there.param_groups[1]["lr"] *= factor
    here.add_param_group({"params": leaf(), "lr": 0.25})
    there.add_param_group({"params": torch.zeros(1, requires_grad=True), "lr": 0.25})
    assert_equal(course(here, [ours], 15), course(there, [theirs], 15))
    assert len(ours.get_last_lr()) == 3


def test_a_later_schedule_starts_from_the_initial_rate_as_in_pytorch():
    torch = torch_or_skip()
    for cases in (["linear", "step"], ["step", "linear"], ["one-cycle", "lambda"]):
        here, there = stepping(optimizer_here()), stepping(optimizer_there(torch))
        first = [SCHEDULES[case](here, optim) for case in cases]
        theirs = [SCHEDULES[case](there, torch.optim.lr_scheduler) for case in cases]
        for ours, other in zip(first, theirs, strict=True):
            assert_equal(ours.base_lrs, other.base_lrs)


def rates(make, steps):
    """The two groups' rates at each of some steps."""
    optimizer = stepping(optimizer_here((1.0, 0.5)))
    return course(optimizer, [make(optimizer)], steps - 1)[:, :, 0].T


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
    np.testing.assert_allclose(first, [0.5, 1, 0.5 * 2, 1])
    twice, _ = rates(lambda o: optim.LinearWarmup(o, 2, after=optim.LinearWarmup(o, 2)), 4)
    np.testing.assert_allclose(twice, [0.5, 1, 0.5, 1])


def test_a_warm_up_cycles_the_momentum_of_what_follows():
    optimizer = stepping(optimizer_here())
    cycle = optim.OneCycleLR(optimizer, [1.0, 2.0], total_steps=4, pct_start=0.5)
    found = course(optimizer, [optim.LinearWarmup(optimizer, 2, after=cycle)], 4)
    np.testing.assert_allclose(found[:, 0, 0], [0.02, 0.04, 0.04, 1.0, 0.5 + 0.04e-4 / 2])
    np.testing.assert_allclose(found[:, 1, 1], [0.95, 0.95, 0.95, 0.85, 0.9])


def test_a_linear_cycle_ends_at_its_last_rate():
    optimizer = stepping(optimizer_here((1.0,)))
    schedule = optim.OneCycleLR(optimizer, 1.0, 10, anneal_strategy="linear")
    last = course(optimizer, [schedule], 10)[-2:, 0]
    np.testing.assert_allclose(last, [[4e-6, 0.95]] * 2, rtol=1e-9)


def test_a_rate_that_was_zero_goes_on():
    optimizer = stepping(optimizer_here((1.0,)))
    schedule = optim.LambdaLR(optimizer, lambda t: [0.0, 0.5, 0.0, 1.0][t])
    np.testing.assert_allclose(course(optimizer, [schedule], 3)[:, 0, 0], [0, 0.5, 0, 1])


# --- looking at a figure ---------------------------------------------------------------------

PLATEAUS = [
    {},
    {"mode": "max", "factor": 0.5, "patience": 1},
    {"threshold_mode": "abs", "threshold": 0.3, "patience": 0, "cooldown": 2},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.1, "min_lr": [0.2, 0.1]},
    {"patience": 0, "min_lr": 0.05, "eps": 0.01, "threshold": 0.2},
]


@pytest.mark.parametrize("options", PLATEAUS)
@given(seed=st.integers(0, 99), data=st.data())
def test_plateaus_equal_pytorchs(options, seed, data):
    torch = torch_or_skip()
    here, there = optimizer_here(), optimizer_there(torch)
    ours = optim.ReduceLROnPlateau(here, **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(there, **options)
    figures = np.random.default_rng(seed).normal(size=STEPS)
    if data.draw(st.booleans()):
        figures[3:6] = math.nan, math.inf, -math.inf
    stop = data.draw(st.integers(0, STEPS))
    for i, figure in enumerate(figures):
        if i == stop:
            state, here = ours.state_dict(), optimizer_here((7.0, 8.0))
            ours = optim.ReduceLROnPlateau(here, **options)
            ours.load_state_dict(state)
        ours.step(mg.tensor(figure) if i % 2 else figure)
        theirs.step(figure)
        assert_equal(ours.get_last_lr(), theirs.get_last_lr())
        assert_equal(seen(here), seen(there))
        assert ours.best == theirs.best and ours.num_bad_epochs == theirs.num_bad_epochs


def test_a_plateau_follows_added_groups():
    optimizer = optimizer_here()
    schedule = optim.ReduceLROnPlateau(optimizer, patience=0)
    listed = optim.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.2])
    optimizer.add_param_group({"params": leaf(), "lr": 0.5})
    for figure in (1.0, 2.0):
        schedule.step(figure)
    np.testing.assert_allclose(schedule.get_last_lr(), [0.1, 0.03, 0.05])
    listed.step(1.0)
    with pytest.raises(ValueError, match="min_lr has 2 entries for 3 parameter groups"):
        listed.step(2.0)


# --- resuming --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*SCHEDULES, "warm-up"])
@pytest.mark.parametrize("stop", [0, 6, 10, 31])
def test_a_schedule_is_resumed_whatever_the_rate_is_by_then(case, stop, tmp_path):
    pytest.importorskip("safetensors")

    def make(optimizer):
        if case == "warm-up":
            return optim.LinearWarmup(optimizer, 5, after=optim.StepLR(optimizer, 3))
        return SCHEDULES[case](optimizer, optim)

    optimizer, other = stepping(optimizer_here()), stepping(optimizer_here((7.0, 8.0)))
    schedule, resumed = make(optimizer), make(other)
    course(optimizer, [schedule], stop)
    if stop % 2:
        optimizer.param_groups[0]["lr"] *= 0.5
    mg.save(tmp_path / "state", schedule.state_dict())
    resumed.load_state_dict(mg.load(tmp_path / "state"))
    assert resumed.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    right = course(optimizer, [schedule], 50 - stop)
    np.testing.assert_array_equal(course(other, [resumed], 50 - stop), right)


def test_schedules_that_are_stepped_together_are_resumed_in_any_order():
    optimizer = stepping(optimizer_here())
    pair = optim.ExponentialLR(optimizer, 0.9), optim.StepLR(optimizer, 3)
    course(optimizer, pair, 7)
    states = [schedule.state_dict() for schedule in pair]
    saved = optimizer.state_dict()
    right = course(optimizer, pair, 9)
    for order in ((0, 1), (1, 0)):
        other = stepping(optimizer_here((7.0, 8.0)))
        fresh = optim.ExponentialLR(other, 0.9), optim.StepLR(other, 3)
        for i in order:
            fresh[i].load_state_dict(states[i])
        other.load_state_dict(saved)
        np.testing.assert_array_equal(course(other, fresh, 9), right)
    assert other.param_groups[0]["initial_lr"] == 1.0


# --- wrong use -------------------------------------------------------------------------------


def of(make):
    return lambda: make(optimizer_here())


WRONG = {
    "StepLR: step_size must be at least 1; got 0": of(lambda o: optim.StepLR(o, 0)),
    "StepLR: gamma is a number of at least 0; got -1": of(lambda o: optim.StepLR(o, 1, -1)),
    "MultiStepLR: a milestone must be at least 0; got -3": of(lambda o: optim.MultiStepLR(o, [-3])),
    "CosineAnnealingLR: T_max must be at least 1": of(lambda o: optim.CosineAnnealingLR(o, 0)),
    "LinearLR: start_factor is a number of at": of(lambda o: optim.LinearLR(o, start_factor=-1)),
    "LinearWarmup: warmup_steps must be at least 1": of(lambda o: optim.LinearWarmup(o, -1)),
    "`after` must be a fresh schedule of its optimiser": of(
        lambda o: optim.LinearWarmup(o, 1, after=optim.StepLR(optimizer_here(), 1))
    ),
    "lr_lambda has 3 entries for 2 parameter groups": of(lambda o: optim.LambdaLR(o, [abs] * 3)),
    "LambdaLR: the rate of group 0 after 0 steps is -1.0; it must be a number of at least 0": of(
        lambda o: optim.LambdaLR(o, lambda t: -1.0)
    ),
    "LambdaLR: the rate of group 0 after 0 steps is nan": of(
        lambda o: optim.LambdaLR(o, lambda t: math.nan)
    ),
    "each of `schedulers` must be a fresh schedule": of(
        lambda o: optim.SequentialLR(o, [optim.StepLR(optimizer_here(), 1)], [])
    ),
    "one less than schedules; got 1 schedules and [3]": of(
        lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1)], [3])
    ),
    "a rising list of milestones with one less than schedules; got 0 schedules": of(
        lambda o: optim.SequentialLR(o, [], [])
    ),
    "a rising list of milestones": of(
        lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1) for _ in range(3)], [5, 3])
    ),
    "OneCycleLR: give total_steps, or both epochs": of(lambda o: optim.OneCycleLR(o, 1.0)),
    "OneCycleLR: give total_steps, or both ": of(lambda o: optim.OneCycleLR(o, 1.0, epochs=3)),
    "OneCycleLR: total_steps is a positive": of(lambda o: optim.OneCycleLR(o, 1.0, 0)),
    "OneCycleLR: anneal_strategy is 'cos' or": of(
        lambda o: optim.OneCycleLR(o, 1.0, 5, anneal_strategy="sin")
    ),
    "OneCycleLR: pct_start is a number from 0 to 1.0; got 2": of(
        lambda o: optim.OneCycleLR(o, 1.0, 5, pct_start=2)
    ),
    "OneCycleLR: max_lr has 3 entries for 2 parameter groups": of(
        lambda o: optim.OneCycleLR(o, [1.0] * 3, 5)
    ),
    "OneCycleLR: max_lr is a number of at least 0; got -1": of(
        lambda o: optim.OneCycleLR(o, -1, 5)
    ),
    "OneCycleLR: div_factor and final_div_factor are numbers above 0": of(
        lambda o: optim.OneCycleLR(o, 1.0, 5, div_factor=0)
    ),
    "OneCycleLR: Adagrad has no momentum and no betas to cycle; give cycle_momentum=False": (
        lambda: optim.OneCycleLR(optimizer_here(kind=optim.Adagrad), 1.0, 5)
    ),
    "ReduceLROnPlateau: mode is 'min' or 'max'; got 'low'": of(
        lambda o: optim.ReduceLROnPlateau(o, "low")
    ),
    "threshold_mode is 'rel' or 'abs'; got 'any'": of(
        lambda o: optim.ReduceLROnPlateau(o, threshold_mode="any")
    ),
    "factor is a number from 0 to below 1; got 1.0": of(
        lambda o: optim.ReduceLROnPlateau(o, factor=1.0)
    ),
    "ReduceLROnPlateau: min_lr has 1 entries for 2 parameter groups": of(
        lambda o: optim.ReduceLROnPlateau(o, min_lr=[0.1])
    ),
}
WRONG_KINDS = {
    "StepLR: step_size must be an integer; got float 2.5": of(lambda o: optim.StepLR(o, 2.5)),
    "ExponentialLR: gamma is a number; got str '0.1'": of(lambda o: optim.ExponentialLR(o, "0.1")),
    "MultiStepLR: milestones are a list of": of(lambda o: optim.MultiStepLR(o, 3)),
    "LambdaLR: lr_lambda is a function of the": of(lambda o: optim.LambdaLR(o, 0.5)),
    "`after` is a schedule; got <": of(
        lambda o: optim.LinearWarmup(o, 1, after=optim.ReduceLROnPlateau(o))
    ),
    "each of `schedulers` is a schedule; got": of(lambda o: optim.SequentialLR(o, [o], [])),
    "StepLR takes an optimiser, as in StepLR(optimizer, ...); got Tensor": (
        lambda: optim.StepLR(leaf(), 1)
    ),
    "OneCycleLR takes an optimiser": lambda: optim.OneCycleLR(0.1, 1.0, 5),
    "ReduceLROnPlateau takes an optimiser": lambda: optim.ReduceLROnPlateau(None),
    "step takes the figure to look at, as in step(loss.item()); got NoneType": of(
        lambda o: optim.ReduceLROnPlateau(o).step(None)
    ),
}


@pytest.mark.parametrize("text", [*WRONG, *WRONG_KINDS])
def test_wrong_schedules_are_refused(text):
    error, make = (ValueError, WRONG[text]) if text in WRONG else (TypeError, WRONG_KINDS[text])
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_a_cycle_that_is_over_ends_in_an_error_and_changes_nothing():
    optimizer = optimizer_here()
    schedule = optim.OneCycleLR(optimizer, 1.0, total_steps=3)
    for _ in range(3):
        schedule.step()
    before = seen(optimizer), schedule.state_dict()
    with pytest.raises(ValueError, match=r"step\(\) was called 4 times, .* total_steps=3"):
        schedule.step()
    assert (seen(optimizer), schedule.state_dict()) == before


def test_states_that_do_not_fit_are_refused():
    optimizer = optimizer_here()
    plain, plateau = optim.StepLR(optimizer, 1), optim.ReduceLROnPlateau(optimizer)
    warm = optim.LinearWarmup(optimizer, 2, after=optim.StepLR(optimizer, 1))
    one = optimizer_here((1.0,))
    for schedule in (plain, plateau, warm):
        before = schedule.state_dict()
        for wrong in ({"steps": 3}, None, optimizer.state_dict()):
            with pytest.raises(ValueError, match="load_state_dict takes what its state_dict"):
                schedule.load_state_dict(wrong)
        assert schedule.state_dict() == before
    with pytest.raises(ValueError, match=r"LinearWarmup.load_state_dict takes what"):
        warm.load_state_dict(plain.state_dict())
    for schedule in (optim.StepLR(one, 1), optim.ReduceLROnPlateau(one)):
        state = plain.state_dict() if hasattr(schedule, "rate") else plateau.state_dict()
        with pytest.raises(ValueError, match="for an optimiser of 2 groups; this one has 1"):
            schedule.load_state_dict(state)


def test_an_optimiser_that_lost_a_group_is_noticed():
    optimizer = optimizer_here()
    schedule = optim.StepLR(optimizer, 1)
    optimizer.param_groups.pop()
    with pytest.raises(RuntimeError, match=r"had 2 parameter groups; now there are 1\. Make a new"):
        schedule.step()


def test_the_base_defines_no_rate():
    with pytest.raises(NotImplementedError, match=r"Schedule defines no rate\(\)"):
        optim.Schedule(optimizer_here())
