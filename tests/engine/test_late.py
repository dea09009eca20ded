"""Errors that a device finds come when its numbers do; nobody waits for them before."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import deferred


@pytest.fixture
def device():
    with mg.use_backend("strict") as backend:
        yield backend


def truth(value):
    return mg.tensor(value, backend="strict")._data


def test_on_the_host_errors_come_at_once():
    backend = mg.get_backend("numpy")
    deferred.defer(False, backend, ValueError("no"))
    with pytest.raises(ValueError, match="now"):
        deferred.defer(True, backend, ValueError("now"))


def test_on_a_device_they_come_with_the_numbers(device):
    x = mg.ones(2)
    moved = device.moved
    deferred.defer(truth(False), device, ValueError("first"))
    deferred.defer(truth(True), device, ValueError("second"))
    deferred.defer(truth(True), device, ValueError("third"))
    y = x * 2
    assert device.moved == moved
    with pytest.raises(ValueError, match="second") as error:
        y.tolist()
    assert error.value.__notes__ == [
        "The error happened earlier on device 'strict'; it is reported now, when results are read."
    ]
    assert y.tolist() == [2, 2]  # one error at a time, and none twice


def test_other_backends_numbers_do_not_ask_the_device(device):
    moved = device.moved
    deferred.defer(truth(True), device, ValueError("wrong"))
    assert mg.ones(1, backend="numpy").item() == 1 and device.moved == moved
    with pytest.raises(ValueError, match="wrong"):
        mg.ones(1).item()


def test_many_answers_do_not_pile_up(device, monkeypatch):
    monkeypatch.setattr(deferred, "_MOST", 3)
    for _ in range(2):
        deferred.defer(truth(False), device, ValueError("no"))
    with pytest.raises(ValueError, match="at last"):
        deferred.defer(truth(True), device, ValueError("at last"))
    assert deferred._pending == []


# --- what is checked so --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (lambda: mg.tensor([0, 3]), "an index is out of bounds for axis 0 with size 3"),
        (lambda: mg.tensor([0, -4], dtype="int32"), "an index is out of bounds for axis 0"),
        (lambda: (slice(None), mg.tensor([4])), "for axis 1 with size 4"),
        (lambda: (..., mg.tensor([[9, 0]])), "for axis 1 with size 4"),
    ],
)
def test_positions_on_a_device(device, index, said):
    x = mg.zeros((3, 4))
    with pytest.raises(IndexError, match=said):
        mg.take(x, mg.tensor([0])).item()  # all is well so far
        try:
            x[index()]
        except (ValueError, IndexError) as error:  # NumPy, which plays the device, looks, too
            assert "is out of bounds" in str(error)
        x.numpy()


def test_positions_from_the_host_are_checked_before_they_go(device):
    x = mg.zeros((3, 4))
    moved = device.moved
    with pytest.raises(
        IndexError, match="getitem: index 5 is out of bounds for axis 1 with size 4"
    ):
        x[:, [0, 5]]
    with pytest.raises(IndexError, match=r"a mask of shape \(3, 3\) doesn't fit the axes \(3, 4\)"):
        x[np.ones((3, 3), bool)]
    with pytest.raises(IndexError, match=r"embedding: 3 is not one of the 3 positions 0..2"):
        mg.functional.embedding([0, 3], x)
    assert x[np.eye(3, 4, dtype=bool)].shape == (3,)
    assert x[np.array([True, False, True]), 1:].shape == (2, 3)
    assert device.moved == moved


def test_words_of_another_backend(device):
    with pytest.raises(mg.BackendError, match="embedding: operands are on different backends"):
        mg.functional.embedding(mg.tensor([0], backend="numpy"), mg.zeros((3, 4)))
