"""What `&`, `|`, `^`, `~`, `<<` and `>>` mean: of truth values the logic, of integers the bits."""

from __future__ import annotations

from typing import Any

from ..engine.op import op

__all__ = ["bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"]


def _are_truth(name: str, *values: Any) -> bool:
    """Whether all are truth values; an error if one is neither that nor an integer."""
    kinds = [
        "b" if isinstance(x, bool) else "i" if isinstance(x, int) else getattr(x, "dtype", x)
        for x in values
    ]
    kinds = [getattr(kind, "kind", kind) for kind in kinds]
    for kind, x in zip(kinds, values, strict=True):
        if kind not in ("b", "i", "u"):
            raise TypeError(
                f"it takes integers and truth values; got {getattr(x, 'dtype', repr(x))}. "
                + _INSTEAD.get(name, "Convert it: x.astype('int64')")
            )
    return kinds == ["b"] * len(kinds)


_INSTEAD = {
    "bitwise_and": "For whether both are not 0, write mg.logical_and(a, b)",
    "bitwise_or": "For whether one is not 0, write mg.logical_or(a, b)",
    "bitwise_xor": "A power is written a ** b",
    "bitwise_not": "For whether it is 0, write mg.logical_not(x)",
}


@op
def bitwise_and(xp, a, b):
    """a & b: the bits that both have; of truth values, where both are true.

    Raises TypeError if an input is of a float dtype.

    >>> mg.tensor([6, 5]) & 3
    tensor([2, 1])
    """
    return xp.logical_and(a, b) if _are_truth("bitwise_and", a, b) else xp.bitwise_and(a, b)


bitwise_and.vjp(a=None, b=None)


@op
def bitwise_or(xp, a, b):
    """a | b: the bits that at least one has; of truth values, where at least one is true.

    Raises TypeError if an input is of a float dtype.

    >>> mg.tensor([6, 5]) | 1
    tensor([7, 5])
    """
    return xp.logical_or(a, b) if _are_truth("bitwise_or", a, b) else xp.bitwise_or(a, b)


bitwise_or.vjp(a=None, b=None)


@op
def bitwise_xor(xp, a, b):
    """a ^ b: the bits that one has and the other has not; of truth values, where they differ.

    Raises TypeError if an input is of a float dtype.

    >>> mg.tensor([6, 5]) ^ 1
    tensor([7, 4])
    """
    return xp.not_equal(a, b) if _are_truth("bitwise_xor", a, b) else xp.bitwise_xor(a, b)


bitwise_xor.vjp(a=None, b=None)


@op
def bitwise_not(xp, x):
    """~x: all bits the other way, which is -x - 1; of truth values, where x is false.

    Raises TypeError if an input is of a float dtype.

    >>> ~mg.tensor([6, 5])
    tensor([-7, -6])
    """
    return xp.logical_not(x) if _are_truth("bitwise_not", x) else xp.invert(x)


bitwise_not.vjp(x=None)


@op
def left_shift(xp, a, b):
    """a << b: the bits b places up, which is a * 2 ** b.

    Raises TypeError if an input is of a float dtype.

    >>> mg.tensor([6, 5]) << 1
    tensor([12, 10])
    """
    _are_truth("left_shift", a, b)
    return xp.left_shift(a, b)


left_shift.vjp(a=None, b=None)


@op
def right_shift(xp, a, b):
    """a >> b: the bits b places down, which is a // 2 ** b.

    Raises TypeError if an input is of a float dtype.

    >>> mg.tensor([6, 5]) >> 1
    tensor([3, 2])
    """
    _are_truth("right_shift", a, b)
    return xp.right_shift(a, b)


right_shift.vjp(a=None, b=None)
