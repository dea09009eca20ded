"""What a gradient check looks at: functions and their gradients, on lists of NumPy arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .report import Index, Name, place

Array = np.ndarray


class CheckedFunction:
    """A function of NumPy arrays and its vjp.

    Attributes
    ----------
    names : per checked array the position of the input, or the name of the parameter.
    arrays : the point at which it is checked.
    notes : what the reader of the report should know.
    faults : what is wrong beyond numbers: shapes, dtypes, edits in place.
    """

    def __init__(self) -> None:
        self.names: list[Name] = []
        self.arrays: list[Array] = []
        self.notes: list[str] = []
        self.faults: list[str] = []

    def outputs(self, arrays: list[Array]) -> list[Array]:
        """The float outputs at `arrays`."""
        raise NotImplementedError

    def gradients(self, arrays: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """The gradient of each array; None where there is none."""
        raise NotImplementedError

    def where(self, name: Name, index: Index) -> str:
        """What an entry of a checked array is, in words; empty if there is nothing to say."""
        return ""

    def session(self) -> contextlib.AbstractContextManager[Any]:
        """What must hold while the function is called, undone afterwards."""
        return contextlib.nullcontext()

    def aliases(self, gradients: Sequence[Array | None], others: Sequence[Array]) -> list[str]:
        """Which gradients share memory, with each other or with inputs and cotangents."""
        texts = []
        for i, g in enumerate(gradients):
            if g is None or not g.size:
                continue
            said = f"the gradient of {place(self.names[i])} shares memory with"
            for j, other in enumerate(gradients[:i]):
                if other is not None and np.may_share_memory(g, other):
                    texts.append(f"{said} that of {place(self.names[j])}")
            if any(np.may_share_memory(g, other) for other in others):
                texts.append(f"{said} an input or a cotangent")
        return texts

    def fault(self, text: str) -> None:
        """Remember what is wrong, once."""
        if text not in self.faults:
            self.faults.append(text)

    def note(self, text: str) -> None:
        """Remember what the reader should know, once."""
        if text not in self.notes:
            self.notes.append(text)


def describe(x: Any) -> str:
    """A value in a few words, for error texts."""
    if isinstance(x, Tensor):
        return f"a tensor of shape {x.shape} and dtype {x.dtype}"
    if isinstance(x, np.ndarray):
        return f"a NumPy array of shape {x.shape} and dtype {x.dtype}"
    return "None" if x is None else f"{type(x).__name__} {x!r}"[:80]


def layout(x: Any) -> str:
    """How the array lies in memory: "C", "F", or "S" for strided."""
    flags = getattr(x._data if isinstance(x, Tensor) else x, "flags", None)
    if flags is None or flags.c_contiguous:
        return "C"
    return "F" if flags.f_contiguous else "S"


def laid_out(array: Array, layout: str, copy: Callable[[Array], Any]) -> Any:
    """A copy that lies in memory as `layout` says: what is strided must be checked strided."""
    if layout == "S":  # every other element of a wider array
        return copy(np.repeat(array, 2, axis=-1))[..., ::2]
    return copy(np.array(array, order="F" if layout == "F" else "C"))


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are equal, byte by byte."""
    return a.shape == b.shape and a.tobytes() == b.tobytes()
