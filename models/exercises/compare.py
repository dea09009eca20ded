"""What is wrong with a number: the first difference, and the usual suspects for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor

__all__ = ["Mistake", "compare", "suspects"]

CLOSE = 1e-6  # relative: wrong formulas differ by far more, rounding by far less
_FACTORS = {2.0: "2", 0.5: "1/2", 3.0: "3", 4.0: "4"}


class Mistake(Exception):
    """An answer is wrong; the text says where, what came, what was expected, and why perhaps."""


def compare(
    what: str,
    got: Any,
    wanted: Any,
    *,
    factors: Mapping[str, Any] | None = None,
    others: Mapping[str, Any] | None = None,
    axes: Sequence[str] = (),
) -> None:
    """Raise Mistake unless two arrays are equal, up to rounding.

    Parameters
    ----------
    what : which value it is, as in "the forget gate at step 2".
    got, wanted : numbers, arrays or tensors.
    factors : by name, arrays which the answer may lack as a factor or a term: slopes of functions.
    others : by name, other right values which may have been taken for this one.
    axes : what the axes of the array are, for the place of the first difference: "unit".

    >>> compare("the slope", [2.0, 4.0], [-2.0, -4.0])
    Traceback (most recent call last):
        ...
    minigrad.models.exercises.compare.Mistake: the slope is wrong.
      first difference: at [0] it is 2, and should be -2
      perhaps: the sign is turned round
    """
    wanted = _array(wanted)
    try:
        got = _array(got)
    except (TypeError, ValueError) as error:
        kind = type(got).__name__
        raise Mistake(f"{what} must be numbers; the answer is of type {kind}") from error
    if got.shape != wanted.shape:
        hints = _of_shapes(got, wanted)
        shapes = f"its shape is {got.shape}, and should be {wanted.shape}"
        raise Mistake(_text(what, shapes, hints))
    if _equal(got, wanted):
        return
    apart = ~np.isclose(got, wanted, rtol=CLOSE, atol=CLOSE * _size(wanted))
    place = tuple(int(i) for i in np.argwhere(apart)[0])
    named = ", ".join(f"{axis} {i}" for axis, i in zip(axes, place, strict=False))
    where = f"at {named or list(place)} " if place else ""
    first = f"{where}it is {got[place]:.6g}, and should be {wanted[place]:.6g}"
    right = "" if apart.all() else f" ({int((~apart).sum())} of {apart.size} numbers are right)"
    hints = suspects(got, wanted, factors or {}, others or {})
    raise Mistake(_text(what, f"first difference: {first}{right}", hints))


def suspects(
    got: np.ndarray, wanted: np.ndarray, factors: Mapping[str, Any], others: Mapping[str, Any]
) -> list[str]:
    """What may have happened, of two arrays of one shape that differ.

    >>> suspects(np.array([4.0, 6.0]), np.array([2.0, 3.0]), {}, {})
    ['a factor of 2 too much']
    """
    found = []
    if not np.isfinite(got).all():
        found.append("it isn't finite: is something divided by 0, or the logarithm taken of it?")
    if not got.any():
        found.append("all of it is 0: was it filled in, and does anything depend on it?")
    if _equal(-got, wanted):
        found.append("the sign is turned round")
    for factor, name in _FACTORS.items():
        found += [f"a factor of {name} too much"] * _equal(got, factor * wanted)
    for length in sorted({*wanted.shape} - {1, 2, 3, 4}):
        found += [f"a sum in place of a mean over {length}"] * _equal(got, length * wanted)
        found += [f"a mean in place of a sum over {length}"] * _equal(got * length, wanted)
    if wanted.ndim == 2 and wanted.shape[0] == wanted.shape[1] and _equal(got.T, wanted):
        found.append("it is transposed")
    for axis in range(wanted.ndim):
        found += [f"axis {axis} runs backwards"] * _equal(np.flip(got, axis), wanted)
    for name, values in others.items():
        values = _array(values)
        found += [f"this is right for {name}"] * (
            values.shape == got.shape and _equal(got, values) and not _equal(values, wanted)
        )
    for name, values in factors.items():
        values = _array(values)
        with np.errstate(all="ignore"):
            try:
                found += [f"{name} is missing as a factor"] * _equal(got * values, wanted)
                found += [f"{name} is one factor too many"] * _equal(got, wanted * values)
                found += [f"{name} is missing in a sum"] * _equal(got + values, wanted)
            except ValueError:  # shapes that don't fit each other
                continue
    return found


def _of_shapes(got: np.ndarray, wanted: np.ndarray) -> list[str]:
    found = []
    if got.T.shape == wanted.shape:
        equal = "" if _equal(got.T, wanted) else ", and not only that"
        found.append(f"it is transposed{equal}")
    for axis in range(got.ndim):
        if got.sum(axis=axis).shape == wanted.shape:
            which = "" if _equal(got.sum(axis=axis), wanted) else ", and not only that"
            found.append(f"a sum over axis {axis} is missing{which}")
        elif got.sum(axis=axis, keepdims=True).shape == wanted.shape:
            found.append(f"a sum over axis {axis}, with keepdims, is missing")
    if got.ndim == 0:
        found.append("a single number came: was everything added up?")
    return found


def _text(what: str, first: str, hints: Sequence[str]) -> str:
    return "\n".join([f"{what} is wrong.", f"  {first}", *(f"  perhaps: {hint}" for hint in hints)])


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.numpy() if isinstance(values, Tensor) else values, float)


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) or 1.0


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape or not np.isfinite(a).all():
        return False
    return bool(np.allclose(a, b, rtol=CLOSE, atol=CLOSE * _size(b)))
