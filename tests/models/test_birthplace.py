"""A loss that is no number: it stops the training, and names where it was born."""

import numpy as np
import pytest
from small_training import EndAt, first_number

import minigrad as mg
from minigrad.models.training.birthplace import find_birth
from minigrad.models.training.checkpoint import Checkpoint
from minigrad.models.training.example import FirstNumber
from minigrad.models.training.loop import fit
from minigrad.nn import LSTM, Linear, Recurrent


def message(task, **options):
    with pytest.raises(FloatingPointError) as caught:
        fit(task, **options)
    return str(caught.value)


@pytest.fixture
def host(backend):
    """Backends on which a training stops at the step; on a device it looks less often."""
    if not mg.get_backend(backend).is_host:
        pytest.skip("a device is looked at every 50 steps")
    return backend


class LogOfZero(FirstNumber):
    def loss(self, model, batch):
        cost, count = super().loss(model, batch)
        self.calls = getattr(self, "calls", 0) + 1
        return cost - mg.log(cost * 0) if self.calls >= 35 else cost, count


def test_in_a_loss(host):
    said = message(LogOfZero(first_number().settings))
    first, norms, born, advice = said.splitlines()
    assert first == "the loss became inf in epoch 2, step 1 of 30 (step 31 in all)"
    assert norms.startswith("  norms of the gradients in the steps before: ")
    assert len([float(norm) for norm in norms.partition(": ")[2].split(", ")]) == 5
    assert born.startswith("  an infinity was born in log (loss in test_birthplace.py, line ")
    assert born.endswith("); its inputs were () from 0 to 0")
    assert advice.endswith("(there it was 0.025) or a smaller max_norm than 1.0")


def overflowing(p, x, h):
    z = mg.probe("update", mg.sigmoid(mg.linear(x, p.w_ih, p.b_ih)))
    n = mg.probe("candidate", mg.exp(p.scale * mg.linear(h, p.w_hh)))
    h = mg.probe("hidden", h * z + (1 - z) * n)
    return h, h


class Overflowing(Recurrent):
    """Its candidate overflows from some step on."""

    cell = overflowing

    def shapes(self, I, H):
        return {"w_ih": (H, I), "b_ih": (H,), "w_hh": (H, H), "scale": (H,)}


class WithOverflow(FirstNumber):
    def model(self):
        model = super().model()
        model.recurrent = Overflowing(1, self.settings.hidden)
        weights = dict(model.recurrent.named_parameters())
        weights["scale_l0"].data = np.full(self.settings.hidden, 30.0, "float32")
        weights["weight_hh_l0"].data = np.eye(self.settings.hidden, dtype="float32")
        return model


def test_in_a_gate_of_a_cell(host):
    """h is about 0.5 after the first step, exp(30 * 0.5) after the second, then too large."""
    first, _, born, _ = message(WithOverflow(first_number(length=5).settings)).splitlines()
    assert "epoch 1, step 1 of 30 (step 1 in all)" in first
    assert (
        "  an infinity was born in exp (on the way to recurrent.l0.candidate; time step 2; " in born
    )
    assert "time step 2; overflowing in test_birthplace.py, line " in born
    assert "; its inputs were (32, 16) from " in born


def test_a_weight_that_is_infinite(host):
    class Broken(FirstNumber):
        def model(self):
            model = super().model()
            weights = np.array(model.recurrent.weight_hh_l0.numpy())
            weights[0, 0] = np.inf
            model.recurrent.weight_hh_l0.data = weights
            return model

    _, norms, born, _ = message(Broken(first_number(cell="lstm").settings)).splitlines()
    assert norms.endswith("it is the first step")
    assert "  the weight recurrent.weight_hh_l0 has an infinity, first used by " in born
    assert "time step 0; lstm_cell in cells.py, line " in born
    gates = ("forget", "candidate", "input", "output")
    assert all(f"recurrent.l0.{gate}" in born for gate in gates)


def test_an_example_that_is_nan(host):
    class Broken(FirstNumber):
        def batches(self, rng):
            for i, batch in enumerate(super().batches(rng)):
                batch[2, 3] = np.nan if i == 4 else 0.5
                yield batch

    first, _, born, _ = message(Broken(first_number().settings)).splitlines()
    assert "step 5 of 30" in first
    assert "  what comes in as 'x' has a NaN, first used by unstack (in recurrent.l0; " in born


def test_in_a_backward_pass(host):
    class Root(FirstNumber):
        def loss(self, model, batch):
            cost, count = super().loss(model, batch)
            return cost + mg.sqrt((model.head.bias * 0).sum()), count

    first, _, born, _ = message(Root(first_number().settings)).splitlines()
    assert first.startswith("the norm of the gradients became nan in epoch 1, step 1 ")
    assert born.startswith("  an infinity was born in the backward pass of sqrt (loss in test_bir")


def test_an_infinity_that_does_no_harm_is_not_blamed(host):
    layer = Linear(2, 1)

    def loss():
        harmless = mg.sigmoid(mg.exp(layer(mg.ones((1, 2))) * 0 + 1e4))
        worse = mg.exp(layer(mg.ones((1, 2))) * 0 + 1e3)
        return (harmless + (worse - worse)).sum()

    birth = find_birth(layer, loss)
    assert (birth.value, birth.op, birth.inputs) == ("inf", "exp", "(1, 1) from 1000 to 1000")
    assert birth.turned.startswith("sub")
    assert find_birth(layer, lambda: layer(mg.ones((1, 2))).sum()) is None


def test_gates_are_those_that_a_value_goes_into():
    """What stands in for a forget gate goes into the cell state, and no further at once."""
    layer = LSTM(1, 2)
    with mg.override(forget=lambda x: mg.exp(x * 0 + 1e3)):
        birth = find_birth(layer, lambda: layer(mg.ones((2, 1, 1)))[0].sum() * 0)
    assert birth.op == "exp" and birth.gates == ["l0.forget"] and birth.step == 0
    assert "time step 0" in birth.turned


def test_dropout_is_drawn_again(host):
    """The step is repeated with the same random numbers, and from what the task kept."""

    class Unlucky(FirstNumber):
        def loss(self, model, batch):
            cost, count = super().loss(model, batch)
            return cost + mg.log(mg.floor(mg.rand(1) + 0.9)).sum() * 0, count

    first, _, born, _ = message(Unlucky(first_number(seed=1).settings)).splitlines()
    assert "an infinity was born in log" in born and "became NaN in mul" in born
    assert "step 1 of" not in first, "choose another seed"


def test_on_a_device_it_is_seen_after_some_steps():
    with mg.use_backend("strict"):
        said = message(LogOfZero(first_number().settings))
    assert said.startswith("the loss became nan in epoch 2, within 30 steps: try a smaller rate")


def test_a_model_that_breaks_in_validation():
    class Broken(FirstNumber):
        def evaluate(self, model, part):
            return {"loss": np.nan, "error": 0.5}

    said = message(Broken(first_number().settings))
    assert said.startswith("the loss in validation became nan in epoch 1, within 30 steps")


def test_the_last_checkpoint_stays(host, tmp_path):
    checkpoint = Checkpoint(tmp_path)
    message(LogOfZero(first_number().settings), checkpoint=checkpoint)
    state = checkpoint.read()["training"]
    assert len(state["history"]) == 1 and state["step"] == 0
    with pytest.raises(MemoryError):
        fit(
            first_number(), callbacks=[EndAt(MemoryError(), 33)], checkpoint=checkpoint, resume=True
        )
