"""The memory tasks: their examples, their figures, how weights begin, and that gates learn them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.models.reports.timing import fusing
from minigrad.models.tasks.adding import Adding, AddingSettings
from minigrad.models.tasks.copying import Copying, CopyingSettings
from minigrad.models.tasks.first import First, FirstSettings
from minigrad.models.tasks.memory_data import adding_examples, copying_examples, first_examples
from minigrad.models.tasks.memory_task import MemorySettings, as_letters, starting_layer
from minigrad.models.tasks.registry import TASKS, find_task
from minigrad.models.training.loop import evaluate, fit
from minigrad.nn import Module

SEEDS, COUNTS, LAGS = st.integers(0, 2**32), st.integers(1, 9), st.integers(2, 30)


# --- examples ------------------------------------------------------------------------------------


@given(SEEDS, COUNTS, LAGS, st.integers(2, 26))
def test_first_examples(seed, count, lag, symbols):
    x, answers = first_examples(np.random.default_rng(seed), count, lag, symbols)
    assert x.shape == (1 + lag, count) and answers.shape == (1, count)
    assert x.min() >= 0 and x.max() < symbols
    np.testing.assert_array_equal(x[:1], answers)


@given(SEEDS, COUNTS, LAGS)
def test_adding_examples(seed, count, lag):
    x, sums = adding_examples(np.random.default_rng(seed), count, lag)
    assert x.shape == (lag, count, 2) and sums.shape == (1, count, 1)
    assert x.dtype == sums.dtype == np.float32
    numbers, marks = x[..., 0], x[..., 1]
    assert numbers.min() >= 0 and numbers.max() < 1
    assert set(np.unique(marks)) <= {0, 1}
    half = lag // 2
    np.testing.assert_array_equal(marks[:half].sum(axis=0), 1)
    np.testing.assert_array_equal(marks[half:].sum(axis=0), 1)
    np.testing.assert_allclose((numbers * marks).sum(axis=0), sums[0, :, 0], rtol=1e-6)


@given(SEEDS, COUNTS, LAGS, st.integers(2, 26), st.integers(1, 7))
def test_copying_examples(seed, count, lag, symbols, length):
    rng = np.random.default_rng(seed)
    x, answers = copying_examples(rng, count, lag, symbols, length)
    assert x.shape == (length + lag + length, count) and answers.shape == (length, count)
    assert answers.min() >= 0 and answers.max() < symbols
    np.testing.assert_array_equal(x[:length], answers + 1)
    signal = length + lag - 1  # the last step before the answers
    assert (x[signal] == symbols + 1).all()
    assert not np.delete(x[length:], lag - 1, axis=0).any()


def test_all_that_is_drawn_is_uniform():
    rng = np.random.default_rng(3)
    x, _ = first_examples(rng, 4000, 3, 8)
    np.testing.assert_allclose(np.bincount(x[2]) / 4000, 1 / 8, atol=0.02)
    assert abs(np.corrcoef(x[0], x[1])[0, 1]) < 0.05
    x, sums = adding_examples(rng, 4000, 10)
    np.testing.assert_allclose(x[..., 1].mean(axis=1), 0.2, atol=0.03)
    assert sums.var() == pytest.approx(1 / 6, rel=0.1)


@pytest.mark.parametrize("name", ["first", "adding", "copy"])
def test_examples_repeat_and_do_not_depend_on_the_seed(name):
    assert name in TASKS
    cls = find_task(name)
    one, other = (cls(cls.Settings(seed=seed, batches=2)) for seed in (0, 1))
    one.load()
    other.load()
    for part in ("validation", "test"):
        for a, b in zip(one.parts[part], other.parts[part], strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.parts["validation"][0], one.parts["test"][0])
    epochs = [[*one.batches(np.random.default_rng(seed))] for seed in (5, 5, 6)]
    assert len(epochs[0]) == one.steps() == 2
    for (x, answers), (x_again, answers_again) in zip(*epochs[:2], strict=True):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(answers, answers_again)
    assert not np.array_equal(epochs[0][0][0], epochs[2][0][0])
    assert not np.array_equal(epochs[0][0][0], epochs[0][1][0])


# --- figures -------------------------------------------------------------------------------------


class Says(Module):
    """A model that gives what a function of its input says."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return mg.tensor(np.asarray(self.function(x), np.float32))


def certain(symbols, count):
    return 50.0 * np.eye(count)[symbols]


def test_figures_of_the_first_symbol():
    task = First(FirstSettings(lag=4, symbols=6))
    task.load()
    right = evaluate(task, Says(lambda x: certain(x[:1], 6)), "test")
    assert right["accuracy"] == 1 and right["loss"] < 1e-6
    wrong = evaluate(task, Says(lambda x: certain((x[:1] + 1) % 6, 6)), "test")
    assert wrong["accuracy"] == 0 and wrong["loss"] == pytest.approx(50)
    chance = evaluate(task, Says(lambda x: np.zeros((1, x.shape[1], 6))), "test")
    assert chance["loss"] == pytest.approx(task.baselines()["by chance"], rel=1e-6)
    assert task.show(Says(lambda x: certain(x[:1], 6))).count("asked") == 3
    first = task.show(Says(lambda x: certain((x[:1] + 1) % 6, 6))).splitlines()[0]
    letters = [*as_letters(task.parts["test"][0])[0]]
    other = chr(ord("a") + (ord(letters[0]) - ord("a") + 1) % 6)
    assert first == f"{''.join(letters)}: asked {letters[0]}, said {other}"


def test_figures_of_sums():
    task = Adding(AddingSettings(lag=8))
    task.load()
    right = Says(lambda x: (x[..., 0] * x[..., 1]).sum(axis=0)[None, :, None])
    assert evaluate(task, right, "test")["loss"] < 1e-12
    one = evaluate(task, Says(lambda x: np.ones((1, x.shape[1], 1))), "test")
    rivals = task.baselines()
    assert one["loss"] == pytest.approx(rivals["always 1"], rel=0.2)
    second = Says(lambda x: (0.5 + (x[4:, :, 0] * x[4:, :, 1]).sum(axis=0))[None, :, None])
    found = evaluate(task, second, "test")["loss"]
    assert found == pytest.approx(rivals["the second number and a half"], rel=0.2)
    for line in task.show(right).splitlines():
        assert line.partition(" = ")[2].split(", said ")[0] == line.rpartition(" ")[2]


def test_figures_of_copies():
    task = Copying(CopyingSettings(lag=3, length=4, symbols=5))
    task.load()
    right = evaluate(task, Says(lambda x: certain(x[:4] - 1, 5)), "test")
    assert right["accuracy"] == right["exact"] == 1 and right["loss"] < 1e-6

    def one_wrong(x):
        symbols = x[:4] - 1
        symbols[2] = (symbols[2] + 1) % 5
        return certain(symbols, 5)

    wrong = evaluate(task, Says(one_wrong), "validation")
    assert wrong["accuracy"] == 0.75 and wrong["exact"] == 0
    assert wrong["loss"] == pytest.approx(50 / 4)
    chance = evaluate(task, Says(lambda x: np.zeros((4, x.shape[1], 5))), "test")
    assert chance["loss"] == pytest.approx(task.baselines()["by chance"], rel=1e-6)
    for line in task.show(Says(lambda x: certain(x[:4] - 1, 5))).splitlines():
        text, said = line.split(": said ")
        assert text == said and len(text) == 4


# --- how weights begin ---------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "gate"), [("lstm", 1), ("gru", 1)])
def test_gates_begin_with_memories_up_to_the_lag(cell, gate):
    mg.manual_seed(0)
    layer = starting_layer(MemorySettings(cell=cell, hidden=64), 3, steps=50)
    biases = layer.bias_ih_l0.numpy()[gate * 64 : (gate + 1) * 64]
    lasts = 1 + np.exp(biases.astype("float64"))  # 1 / (1 - sigmoid(b))
    assert lasts.min() >= 2 and 40 < lasts.max() <= 50 + 1e-3
    usual = starting_layer(MemorySettings(cell=cell, hidden=64, start="usual"), 3, steps=50)
    assert np.abs(usual.bias_ih_l0.numpy()).max() <= 1 / 8


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_orthogonal_weights(cell):
    settings = MemorySettings(cell=cell, hidden=16, start="orthogonal", layers=2)
    layer = starting_layer(settings, 3, steps=50)
    for weights in (layer.weight_hh_l0, layer.weight_hh_l1):
        for gate in weights.numpy().reshape(-1, 16, 16):
            np.testing.assert_allclose(gate @ gate.T, np.eye(16), atol=1e-5)


def test_an_identity_repeats_its_state():
    settings = MemorySettings(cell="rnn", hidden=5, start="identity", layers=2)
    layer = starting_layer(settings, 3, steps=50)
    assert layer.nonlinearity == "relu"
    assert 0 < np.abs(layer.weight_ih_l0.numpy()).max() < 0.2
    h = mg.tensor(np.random.default_rng(0).random((2, 4, 5), np.float32))
    _, last = layer(mg.zeros((30, 4, 3)), h)
    np.testing.assert_array_equal(last[0].numpy(), h[0].numpy())


def test_starts_that_a_cell_can_not_have():
    with pytest.raises(ValueError, match="start identity is for the cell rnn; the cell is lstm"):
        MemorySettings(cell="lstm", start="identity")
    with pytest.raises(ValueError, match="unknown start 'zero'; there are memory, usual"):
        MemorySettings(start="zero")
    with pytest.raises(ValueError, match="lag is an integer from 2"):
        FirstSettings(lag=1)


# --- that gates learn them -----------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gates_learn_what_came_first(cell):
    settings = FirstSettings(cell=cell, lag=6, symbols=4, hidden=16, epochs=2, lr=0.03)
    training = fit(First(settings))
    assert evaluate(training.task, training.model, "test")["loss"] < First.solved


def test_gates_learn_sums_and_copies():
    given = {"cell": "gru", "hidden": 16, "epochs": 2, "lr": 0.03}
    adding = AddingSettings(lag=4, **given)
    copying = CopyingSettings(lag=2, length=1, symbols=3, **given)
    for task in (Adding(adding), Copying(copying)):
        training = fit(task)
        assert evaluate(task, training.model, "test")["loss"] < task.solved


@pytest.mark.parametrize("name", ["first", "adding", "copy"])
def test_a_batch_on_every_backend(name, backend):
    cls = find_task(name)
    task = cls(cls.Settings(cell="gru", lag=3, hidden=4))
    (batch, *_) = task.batches(np.random.default_rng(0))
    found = []
    for where in ("numpy", backend):
        with mg.use_backend(where), fusing("0"):
            mg.manual_seed(0)
            model = task.model()
            cost, count = task.loss(model, batch)
            cost.backward()
            found.append([cost, *(p.grad for p in model.parameters())])
    assert count == 32
    for right, other in zip(*found, strict=True):
        np.testing.assert_allclose(other.numpy(), right.numpy(), rtol=1e-4, atol=1e-6)


def test_several_layers_train():
    task = First(FirstSettings(lag=3, layers=2, hidden=4, epochs=1, batches=1))
    assert fit(task).model.recurrent.num_layers == 2
