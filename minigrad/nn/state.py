"""What is in a state dict: arrays by the names of a module's tensors, checked before any is used.

A tensor that a module holds under several names (tied weights) is in its state under each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor

__all__ = ["load_state", "state_of"]


def state_of(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """A NumPy copy of each tensor by name; names of one tensor share its copy."""
    copies = {id(tensor): tensor.numpy() for tensor in tensors.values()}
    return {name: copies[id(tensor)] for name, tensor in tensors.items()}


def load_state(
    kind: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any], strict: bool
) -> tuple[list[str], list[str]]:
    """Give a `kind` of module's tensors the values in `state`: all of them, or none with an error.

    Returns the names that are missing and those that are unexpected.
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"a state dict is a dict of arrays; got {type(state).__name__}. Pass what "
            "state_dict() or mg.load(path) returned"
        )
    names: dict[int, list[str]] = {}  # of each tensor
    for name, tensor in tensors.items():
        names.setdefault(id(tensor), []).append(name)
    missing = [held[0] for held in names.values() if not any(name in state for name in held)]
    unexpected = [name for name in state if name not in tensors]
    problems = []
    if strict and missing:
        problems.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected: {', '.join(map(str, unexpected))}")
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if name in state:
            array, problem = _fitting(name, tensor, state[name])
            if array is None:
                problems.append(problem)
            else:
                arrays[name] = array
    for held in names.values():
        first, *others = [name for name in held if name in arrays] or [""]
        problems += [
            f"different values: {first} and {other} are one tensor of the module (tied), and two "
            "in the state"
            for other in others
            if not np.array_equal(arrays[first], arrays[other], equal_nan=True)
        ]
    if problems:
        raise ValueError(
            f"this state does not fit {kind}; nothing was loaded\n  " + "\n  ".join(problems)
        )
    found = {name: tensors[name].backend.from_host(array) for name, array in arrays.items()}
    for name, array in found.items():
        tensors[name]._data = array
    return missing, unexpected


def _fitting(name: str, tensor: Tensor, value: Any) -> tuple[np.ndarray | None, str]:
    """A value of a state as an array of the tensor's shape and dtype; or None and the problem."""
    array = _as_array(value)
    if array is None:
        return None, f"no array of numbers: {name} is {value!r:.40}"
    if array.shape != tensor.shape:
        return None, f"wrong shape: {name} is {tensor.shape}, and in the state {array.shape}"
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        return None, f"wrong dtype: {name} is {tensor.dtype}, and in the state {array.dtype}"
    return np.array(array, dtype=tensor.dtype, order="C"), ""


def _as_array(value: Any) -> np.ndarray | None:
    """A value of a state dict as an array; None if it isn't one of numbers."""
    try:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array if array.dtype.kind in "biufc" else None
