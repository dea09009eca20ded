"""One unit of an LSTM or a GRU whose gates are set by hand: what it remembers, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import minigrad as mg

from .requests import Refused, choice, share

__all__ = ["CELLS", "run_by_hand"]

STEPS = 12
CANDIDATE = 2  # its row in the matrices of both cells
# What comes after the first word: steps that should not matter.
_NOISE = np.array([0.4, -0.7, 0.2, -0.5, 0.8, -0.3, 0.6, -0.8, 0.1, -0.4, 0.5])

# For each cell: its gates, which state carries the memory, and presets: what they show, and the
# gates at the first word and afterwards.
CELLS: dict[str, dict[str, Any]] = {
    "LSTM": {
        "gates": ["input", "forget", "output"],
        "presets": {
            "remember": (
                "Let the first word in, then shut the input and keep forget open: the cell state "
                "stays as it is, however long the text.",
                {"input": 1, "forget": 1, "output": 1},
                {"input": 0, "forget": 1, "output": 1},
            ),
            "forget": (
                "Forget is shut: at each step the cell state is only what has just come in.",
                {"input": 1, "forget": 0, "output": 1},
                {"input": 1, "forget": 0, "output": 1},
            ),
            "fade": (
                "Forget is 0.8: a fifth of the memory goes at each step, as in a cell whose gates "
                "begin in the middle.",
                {"input": 1, "forget": 1, "output": 1},
                {"input": 0, "forget": 0.8, "output": 1},
            ),
            "add up": (
                "All is open: the cell state adds up what comes; only the last tanh keeps the "
                "hidden state between -1 and 1.",
                {"input": 1, "forget": 1, "output": 1},
                {"input": 1, "forget": 1, "output": 1},
            ),
            "keep it secret": (
                "The output is shut: the cell state remembers, and others see nothing of it.",
                {"input": 1, "forget": 1, "output": 0},
                {"input": 0, "forget": 1, "output": 0},
            ),
        },
    },
    "GRU": {
        "gates": ["update", "reset"],
        "presets": {
            "remember": (
                "Update is 0 at the first word, which comes in, and 1 afterwards: the old state "
                "stays.",
                {"update": 0, "reset": 1},
                {"update": 1, "reset": 1},
            ),
            "forget": (
                "Update and reset are 0: the state is only what has just come in.",
                {"update": 0, "reset": 0},
                {"update": 0, "reset": 0},
            ),
            "fade": (
                "Update is 0.8: at each step a fifth of the state is replaced. What enters and "
                "what stays add up to 1, so nothing grows.",
                {"update": 0, "reset": 0},
                {"update": 0.8, "reset": 0},
            ),
            "plain RNN": (
                "Update is 0 and reset is 1: what is left is the cell of a plain RNN.",
                {"update": 0, "reset": 1},
                {"update": 0, "reset": 1},
            ),
        },
    },
}


def run_by_hand(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run the unit for a request: a `cell`, its gates at the `first` word and `later`, the `noise`.

    The candidate is tanh(2 x), in a GRU tanh(2 x + reset * h); the first x is 0.5, the later
    ones are noise times a share. Returns, as JSON: the inputs, the values at each step by name, and
    `gradient`: how much the last hidden state depends on each input.

    >>> first, later = {"update": 0, "reset": 1}, {"update": 1, "reset": 1}
    >>> run = run_by_hand({"cell": "GRU", "first": first, "later": later, "noise": 1})
    >>> run["values"]["hidden"][0] == run["values"]["hidden"][-1], run["gradient"][1:3]
    (True, [0.0, 0.0])
    """
    cell = choice(asked, "cell", [*CELLS])
    gates = CELLS[cell]["gates"]
    first, later = (_gates(asked, when, gates) for when in ("first", "later"))
    noise = share(asked.get("noise"), "noise")
    x = np.concatenate([[0.5], noise * _NOISE]).reshape(STEPS, 1, 1)
    put = {name: np.full((STEPS, 1, 1), later[name]) for name in gates}
    for name in gates:
        put[name][0] = first[name]
    with mg.use_backend("numpy"), mg.override(put), mg.record() as trace:
        inputs = mg.tensor(x, requires_grad=True)
        y, _ = _unit(cell)(inputs)
        gradient = mg.grad(y[-1].sum(), inputs)
    values = {name.rpartition(".")[2]: _column(array) for name, array in trace.items()}
    return {"inputs": _column(x), "values": values, "gradient": _column(gradient.numpy())}


def _gates(asked: Mapping[str, Any], when: str, gates: list[str]) -> dict[str, float]:
    wanted = asked.get(when)
    if not isinstance(wanted, dict) or sorted(wanted) != sorted(gates):
        raise Refused(f"{when} has a number for each of {', '.join(gates)}; got {wanted!r:.60}")
    return {name: share(wanted[name], name) for name in gates}


def _unit(cell: str) -> mg.nn.Recurrent:
    """A layer of one unit, whose gates need no weights."""
    layer: mg.nn.Recurrent = getattr(mg.nn, cell)(1, 1).double()
    with mg.no_grad():
        for parameter in layer.parameters():
            parameter[...] = 0.0
        weights = dict(layer.named_parameters())
        weights["weight_ih_l0"][CANDIDATE, 0] = 2.0
        if cell == "GRU":
            weights["weight_hh_l0"][CANDIDATE, 0] = 1.0
    return layer


def _column(array: np.ndarray) -> list[float]:
    return [float(v) for v in np.round(array[:, 0, 0], 3)]
