"""ONNX's recurrent nodes, as scans of minigrad's cells with parameters of their own."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor
from minigrad.nn import Module, Parameter, cells

from ..refusals import ConversionError
from .gates import KINDS, reordered

__all__ = ["RecurrentNode"]

_KNOWN = {"hidden_size", "direction", "activations", "linear_before_reset", "layout"}
_LAYER = re.compile(r"(.*?)\.?W_l(\d+)")
_CELLS: dict[tuple[str, Any], Any] = {
    ("RNN", "Tanh"): cells.rnn_tanh_cell,
    ("RNN", "Relu"): cells.rnn_relu_cell,
    ("LSTM", 0): cells.lstm_cell,
    ("GRU", 1): cells.gru_cell,
    ("GRU", 0): cells.gru_reset_before_cell,
}


class RecurrentNode:
    """An RNN, LSTM or GRU node.

    Its parameters are those of minigrad's layer, `lstm.weight_ih_l0` and so on, held by the module
    that the graph becomes.
    """

    def __init__(
        self, module: Module, node: Any, part: str, attributes: dict[str, Any], arrays: Any
    ) -> None:
        self.kind, self._part = KINDS[node.op_type], part
        unknown = [name for name in attributes if name not in _KNOWN]
        values = {name: attributes[name] for name in unknown}
        if any(value not in (0, []) for value in values.values()):
            raise ConversionError(part, node.op_type, f"layers here have no {unknown[0]}")
        if attributes.get("layout", 0):
            raise ConversionError(part, node.op_type, "layout=1 isn't read; export with layout=0")
        direction = attributes.get("direction", "forward")
        if direction not in ("forward", "reverse", "bidirectional"):
            raise ConversionError(part, node.op_type, f"its direction is {direction!r:.40}")
        self._reverse = {"forward": [False], "reverse": [True]}.get(direction, [False, True])
        self._cell = self._choose(node, attributes)
        if len(node.input) > 7 and node.input[7]:
            raise ConversionError(
                part, node.op_type, "it has peepholes (P), and LSTM here has none"
            )
        W, R, B = (self._array(node, i, arrays) for i in (1, 2, 3))
        assert W is not None and R is not None
        self._check(node, W, R, B)
        found = _LAYER.fullmatch(node.input[1])
        prefix, number = found.groups() if found else (_clean(part), "0")
        self._names: list[dict[str, str]] = []
        for place in range(len(self._reverse)):
            suffix = f"_l{number}" + ("_reverse" if place else "")
            names = {}
            for name, array in self._split(
                node, W[place], R[place], None if B is None else B[place]
            ):
                full = ".".join(filter(None, [prefix, f"{name}{suffix}"]))
                while hasattr(module, full):
                    full += "_"
                setattr(module, full, Parameter(array))
                names[name] = full
            self._names.append(names)

    def _choose(self, node: Any, attributes: dict[str, Any]) -> Any:
        """The cell with the activations of the node."""
        D, usual = len(self._reverse), list(self.kind.activations)
        given = [name.title() for name in attributes.get("activations") or usual * D]
        if node.op_type == "RNN" and len({*given}) == 1 and len(given) == D:
            key: Any = given[0]
        else:
            key = attributes.get("linear_before_reset", 0)
            if given != usual * D:
                key = given
        try:
            return _CELLS[node.op_type, key]
        except (KeyError, TypeError):
            raise ConversionError(
                self._part, node.op_type, f"there is no cell here with activations {given}"
            ) from None

    def _array(self, node: Any, i: int, arrays: Any) -> np.ndarray | None:
        """A weight, which has to be in the file as numbers."""
        name = node.input[i] if len(node.input) > i else ""
        if not name and i == 3:
            return None
        array = arrays.get(name)
        if array is None or array.dtype.kind != "f":
            raise ConversionError(
                self._part, node.op_type, f"its weight {name!r} isn't among the file's numbers"
            )
        return array

    def _check(self, node: Any, W: Any, R: Any, B: Any) -> None:
        """Raise unless the weights have shapes that fit each other."""
        D, k = len(self._reverse), len(self.kind.to_onnx)
        if W is not None and R is not None and W.ndim == R.ndim == 3:
            H = R.shape[2]
            wanted = (D, k * H, W.shape[2]), (D, k * H, H), (D, 2 * k * H)
            if (W.shape, R.shape) == wanted[:2] and (B is None or B.shape == wanted[2]):
                self._size = H
                return
        shapes = [None if x is None else x.shape for x in (W, R, B)]
        raise ConversionError(self._part, node.op_type, f"its weights have shapes {shapes}")

    def _split(self, node: Any, W: Any, R: Any, B: Any) -> list[tuple[str, np.ndarray]]:
        """The parameters of a direction, by their names here."""
        order, k = self.kind.from_onnx, len(self.kind.from_onnx)
        before = self._cell is cells.gru_reset_before_cell
        recurrent = reordered(R, order)
        held = [("weight_ih", reordered(W, order))]
        if before:  # the candidate's recurrent weights lie apart
            held += zip(
                ("weight_hh", "weight_hn"), np.split(recurrent, [2 * self._size]), strict=True
            )
        else:
            held.append(("weight_hh", recurrent))
        if B is not None:
            first, second = (reordered(b, order) for b in np.split(B, [k * self._size]))
            held += (
                [("bias_ih", first + second)]
                if before
                else [("bias_ih", first), ("bias_hh", second)]
            )
        return held

    def run(
        self, module: Module, x: Tensor, lengths: Any, initial: list[Tensor | None]
    ) -> list[Tensor]:
        """Y (T, D, N, H) and the final states (D, N, H)."""
        outputs, finals = [], []
        for place, (names, reverse) in enumerate(zip(self._names, self._reverse, strict=True)):
            short = {
                name.replace("weight", "w").replace("bias", "b"): getattr(module, full)
                for name, full in names.items()
            }
            p = SimpleNamespace(**{"b_ih": None, "b_hh": None} | short)
            state = [
                mg.zeros((x.shape[1], self._size), x.dtype, backend=x.backend)
                if part is None
                else part[place]
                for part in initial
            ]
            packed: Any = state[0] if len(state) == 1 else tuple(state)
            y, after = mg.scan(self._cell, p, x, packed, lengths, reverse)
            outputs.append(y)
            finals.append([after] if len(state) == 1 else list(after))
        return [
            mg.stack(outputs, axis=1),
            *(mg.stack(list(parts)) for parts in zip(*finals, strict=True)),
        ]


def _clean(part: str) -> str:
    """A node's name as a part of a parameter's: /rnn/LSTM becomes rnn.LSTM."""
    return re.sub(r"[^\w]+", ".", part).strip(".") or "recurrent"
