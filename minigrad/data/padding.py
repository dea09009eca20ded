"""Sequences of different lengths side by side in one array, and apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.creation import get_default_dtype, tensor
from ..engine.tensor import Tensor
from ..ops import pad, stack
from ..utils.arguments import check_flag, check_number
from ..valid_steps import checked_lengths

__all__ = ["pad_sequence", "unpad_sequence"]


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0
) -> Tensor:
    """Sequences side by side: (T, N, ...) for N sequences of which the longest has T steps.

    Parameters
    ----------
    sequences : each (its steps, ...), all alike but for their steps: lists, arrays or tensors.
    batch_first : (N, T, ...) instead.
    padding_value : what stands after the end of a shorter one.

    The dtype is that of the sequences. Gradients flow to those that are tensors. Layers take the
    number of steps of each as `lengths=`.

    Raises ValueError for no sequences or ones that do not fit together, TypeError for what is no
    sequence of numbers.

    >>> import minigrad as mg
    >>> x = mg.data.pad_sequence([[1, 2, 3], [4]])
    >>> x
    tensor([[1, 4],
            [2, 0],
            [3, 0]])
    >>> embedding, lstm = mg.nn.Embedding(5, 8), mg.nn.LSTM(8, 16)
    >>> y, (h, c) = lstm(embedding(x), lengths=[3, 1])
    """
    name = "pad_sequence"
    first = check_flag(name, "batch_first", batch_first)
    if not isinstance(sequences, (list, tuple)):
        raise TypeError(f"{name} takes a list of sequences; got {type(sequences).__name__}")
    if not sequences:
        raise ValueError(f"{name}: there are no sequences")
    parts = _alike(
        name, [_array(name, i, x, keep=True) for i, x in enumerate(sequences)], sequences
    )
    check_padding(name, padding_value, parts[0].dtype)
    like = next((x for x in parts if isinstance(x, Tensor)), None)
    if like is None:
        return tensor(pad_arrays(parts, padding_value, first))
    tensors = [x if isinstance(x, Tensor) else tensor(x, backend=like.backend) for x in parts]
    T = max(len(x) for x in tensors)
    padded = [
        pad(x, ((0, T - len(x)), *((0, 0),) * (x.ndim - 1)), constant_values=padding_value)
        for x in tensors
    ]
    return stack(padded, axis=0 if first else 1)


def unpad_sequence(padded: Any, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences in what `pad_sequence` returned, or a layer, as a list.

    Parameters
    ----------
    padded : (T, N, ...), or (N, T, ...) with `batch_first`.
    lengths : how many steps each of the N sequences has.

    Gradients flow to `padded`. Raises what layers raise for wrong lengths.

    >>> y = mg.data.pad_sequence([[1.5, 2.5], [3.5]])
    >>> mg.data.unpad_sequence(y, [2, 1])
    [tensor([1.5, 2.5]), tensor([3.5])]
    """
    name = "unpad_sequence"
    first = check_flag(name, "batch_first", batch_first)
    x = padded if isinstance(padded, Tensor) else tensor(padded)
    if x.ndim < 2:
        layout = "(N, T, ...)" if first else "(T, N, ...)"
        raise ValueError(f"{name} takes padded sequences, {layout}; got shape {x.shape}")
    T, N = x.shape[:2][:: -1 if first else 1]
    steps = checked_lengths(name, "padded", lengths, T, N)
    return [
        x[(i, slice(0, int(n))) if first else (slice(0, int(n)), i)] for i, n in enumerate(steps)
    ]


# --- on arrays -------------------------------------------------------------------------------


def pad_arrays(
    sequences: Sequence[np.ndarray], padding_value: float = 0, batch_first: bool = False
) -> np.ndarray:
    """NumPy arrays (steps, ...) of one dtype side by side, (T, N, ...).

    >>> pad_arrays([np.array([3, 4]), np.array([5])])
    array([[3, 5],
           [4, 0]])
    """
    T, N, rest = max(map(len, sequences)), len(sequences), sequences[0].shape[1:]
    shape = (N, T, *rest) if batch_first else (T, N, *rest)
    padded = np.full(shape, padding_value, dtype=sequences[0].dtype)
    for i, sequence in enumerate(sequences):
        padded[(i, slice(0, len(sequence))) if batch_first else (slice(0, len(sequence)), i)] = (
            sequence
        )
    return padded


def as_arrays(asked_by: str, sequences: Sequence[Any]) -> list[np.ndarray]:
    """Sequences as NumPy arrays of one dtype: (steps, ...) each."""
    return _alike(asked_by, [_array(asked_by, i, x) for i, x in enumerate(sequences)], sequences)


def _array(asked_by: str, i: int, sequence: Any, keep: bool = False) -> Any:
    """A sequence as a NumPy array, or one that is a tensor as it is."""
    if isinstance(sequence, Tensor):
        return sequence if keep else sequence.detach().numpy()
    try:
        return tensor(sequence, backend="numpy").numpy()
    except TypeError as error:
        raise TypeError(f"{asked_by}: sequence {i}: {error}") from error


def _alike(asked_by: str, found: list[Any], sequences: Sequence[Any]) -> list[Any]:
    """Arrays or tensors in one dtype, if they differ in their number of steps only.

    Those that were lists adapt to the others, as Python's numbers do; empty lists to all.
    """
    lists = [isinstance(sequence, (list, tuple)) for sequence in sequences]
    typed = [x.dtype for x, is_list in zip(found, lists, strict=True) if not is_list]
    plain = [x.dtype for x, is_list in zip(found, lists, strict=True) if is_list and x.size]
    if typed:
        dtype = np.result_type(*typed, *(t.type(1).item() for t in plain))
    elif any(t.kind == "f" for t in plain):
        dtype = get_default_dtype()
    else:
        dtype = np.result_type(*plain or [np.int64])
    rest = next((x.shape[1:] for x in found if x.size), found[0].shape[1:] if found else ())
    parts = []
    for i, (x, is_list) in enumerate(zip(found, lists, strict=True)):
        if not x.ndim:
            raise TypeError(
                f"{asked_by}: a sequence is a list, an array or a tensor of one axis or more; "
                f"number {i} is a single number"
            )
        part = np.zeros((0, *rest)) if is_list and not len(sequences[i]) else x
        if part.shape[1:] != rest:
            raise ValueError(
                f"{asked_by}: sequences differ in their number of steps only; number "
                f"{[y.shape[1:] for y in found].index(rest)} has steps of shape {rest}, number {i} "
                f"of shape {part.shape[1:]}"
            )
        parts.append(part if part.dtype == dtype else part.astype(dtype))
    return parts


def check_padding(asked_by: str, value: Any, dtype: np.dtype) -> None:
    """Raise unless a number can stand in an array of a dtype as it is."""
    check_number(asked_by, "padding_value", value)
    if dtype.kind == "f":
        return
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    least, most = (limits.min, limits.max) if limits else (0, 1)
    if not (least <= value <= most and float(value).is_integer()):
        raise ValueError(
            f"{asked_by}: padding_value={value} is no {dtype}, which the sequences are of"
        )
