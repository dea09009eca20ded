"""A function and a vjp over NumPy arrays, from any framework, as a function to be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checked_function import CheckedFunction, describe, laid_out, layout, same

Array = np.ndarray


class ArrayFunction(CheckedFunction):
    """A function and a vjp over NumPy arrays, from any framework."""

    def __init__(self, f: Callable[..., Any], vjp: Callable[..., Any], inputs: Any) -> None:
        super().__init__()
        self.f, self.vjp = f, vjp
        self.inputs = [
            np.asarray(x) for x in (inputs if isinstance(inputs, (tuple, list)) else (inputs,))
        ]
        for x in self.inputs:
            if x.dtype.kind == "c":
                raise TypeError(f"complex inputs are not supported; got {describe(x)}")
        self.positions = [i for i, x in enumerate(self.inputs) if x.dtype.kind == "f"]
        if not self.positions:
            raise TypeError(
                "gradcheck_numpy needs an input of a float dtype to differentiate with respect "
                "to; got "
                f"{', '.join(describe(x) for x in self.inputs) or 'no inputs'}"
            )
        self.names = list(self.positions)
        self.layouts = [layout(self.inputs[i]) for i in self.positions]
        self.fed = np.dtype(np.float64)
        narrow = sorted({x.dtype for x in self.inputs if x.dtype.kind == "f"}, key=str)
        if narrow != [self.fed]:
            self._choose_precision(narrow)
        self.arrays = [self.inputs[i].astype(np.float64) for i in self.positions]

    def _choose_precision(self, narrow: list[np.dtype]) -> None:
        """Promoted inputs, unless the function can't take them."""
        said = ", ".join(map(str, narrow))
        try:
            with np.errstate(all="ignore"):
                self.outputs([self.inputs[i].astype(np.float64) for i in self.positions])
        except Exception as refusal:
            self.fed = np.result_type(*narrow)
            with np.errstate(all="ignore"):
                self.outputs([self.inputs[i] for i in self.positions])  # its own error, if any
            self.note(f"the function refuses float64 ({refusal}): checked in {self.fed}")
        else:
            self.note(f"{said} inputs were promoted: checked in float64")

    def _arguments(self, arrays: list[Array]) -> list[Array]:
        values = [x.copy() for x in self.inputs]
        for i, array, how in zip(self.positions, arrays, self.layouts, strict=True):
            values[i] = laid_out(array.astype(self.fed), how, np.array)
        return values

    def outputs(self, arrays: list[Array]) -> list[Array]:
        """The outputs of f."""
        values = self._arguments(arrays)
        kept = [x.copy() for x in values]
        outputs = self._outputs(self.f(*values))
        self._unchanged("the function", values, kept)
        return outputs

    def _outputs(self, y: Any) -> list[Array]:
        outputs = []
        for i, part in enumerate(y if isinstance(y, (tuple, list)) else (y,)):
            if not isinstance(part, (np.ndarray, np.generic, float)):
                raise TypeError(
                    "f must return a NumPy array or a tuple of them; output "
                    f"{i} is {describe(part)}. Convert it, for example with np.asarray"
                )
            part = np.array(part)
            if part.dtype.kind != "f":
                raise TypeError(f"f must return float arrays; output {i} is {describe(part)}")
            outputs.append(part)
        return outputs

    def _unchanged(self, who: str, values: list[Array], kept: list[Array]) -> None:
        for i, (value, copy) in enumerate(zip(values, kept, strict=True)):
            if not same(value, copy):
                self.fault(f"{who} edits input {i} in place")

    def gradients(self, arrays: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """What vjp returns for the float inputs."""
        values = self._arguments(arrays)
        kept = [x.copy() for x in values]
        given = [g.copy() for g in cotangents]
        found = self.vjp(values, given)
        self._unchanged("vjp", values, kept)
        for i, (g, copy) in enumerate(zip(given, cotangents, strict=True)):
            if not same(g, copy):
                self.fault(f"vjp edits the cotangent of output {i} in place")
        if not isinstance(found, (tuple, list)) or len(found) != len(values):
            count = len(found) if isinstance(found, (tuple, list)) else describe(found)
            raise ValueError(
                f"vjp must return a list of {len(values)} gradients, one per input (None for an "
                f"integer one); it returned {count}"
            )
        raw = [found[i] for i in self.positions]
        gradients = [None if g is None else np.asarray(g) for g in raw]
        for text in self.aliases(gradients, [*values, *given]):
            self.note(f"{text}: don't edit it")
        return [None if g is None else g.copy() for g in gradients]
