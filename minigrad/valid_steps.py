"""Which steps of padded sequences count, by their lengths or by a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine.creation import tensor

__all__ = ["ValidSteps", "checked_lengths"]


class ValidSteps:
    """Which steps of padded sequences count, for all scans over a batch: by lengths or a mask.

    `mask` (T, N) is true where a step counts; all steps before `shortest` do. Raises what `scan`
    raises for wrong lengths and masks.
    """

    def __init__(self, lengths: Any, T: int, N: int, backend: Any, mask: Any = None) -> None:
        if lengths is not None and mask is not None:
            raise ValueError("scan: lengths or a mask say which steps count; got both")
        if mask is None:
            checked = checked_lengths("scan", "xs", lengths, T, N)
            self.shortest = int(checked.min(initial=T))
            self.mask = tensor(np.arange(T)[:, None] < checked, backend=backend)
        else:
            valid = _checked_mask(mask, T, N)
            counted = valid.all(axis=1)
            self.shortest = T if counted.all() else int(np.argmin(counted))
            self.mask = tensor(valid, backend=backend)


def checked_lengths(asked_by: str, steps_of: str, lengths: Any, T: int, N: int) -> np.ndarray:
    """The lengths as integers on the host: those in a tensor on a device are waited for."""
    array = tensor(lengths, backend="numpy").numpy() if N else np.zeros(0, int)
    if array.dtype.kind not in "iu" or array.shape != (N,):
        raise (TypeError if array.dtype.kind not in "iu" else ValueError)(
            f"{asked_by}: lengths must be {N} integers, the number of valid steps of each sequence"
            f"; got {array.dtype} of shape {array.shape}"
        )
    wrong = np.flatnonzero((array < 0) | (array > T))
    if wrong.size:
        raise ValueError(
            f"{asked_by}: lengths must be from 0 to {T}, the number of steps in {steps_of}; "
            f"sequence {wrong[0]} has {array[wrong[0]]}"
        )
    return array


def _checked_mask(mask: Any, T: int, N: int) -> np.ndarray:
    """The mask as truth values on the host."""
    array = tensor(mask, backend="numpy").numpy() if T * N else np.zeros((T, N), bool)
    if array.dtype.kind not in "b" and not np.isin(array, (0, 1)).all():
        raise TypeError(
            f"scan: a mask is true (or 1) where a step counts, and false (or 0) elsewhere; got "
            f"{array.dtype} with other numbers"
        )
    if array.shape != (T, N):
        raise ValueError(
            f"scan: the mask must be ({T}, {N}), a truth value per step and sequence; got "
            f"{array.shape}"
        )
    return array.astype(bool)
