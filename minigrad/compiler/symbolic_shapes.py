"""Rules for sizes with names: which are 1 or 0 for every input, and what an index picks."""

from __future__ import annotations

from typing import Any

from ..errors import Untraceable
from .ir import Value
from .sizes import Dim, form_of


def is_one_per_row(index: Any, shape: tuple[int, ...]) -> bool:
    """Whether an index is all rows of a matrix in order, and a position in each."""
    if not isinstance(index, tuple) or len(index) != 2 or len(shape) != 2:
        return False
    rows, positions = index
    return (
        isinstance(rows, Value)
        and isinstance(positions, Value)
        and rows.op == "arange"
        and [*map(repr, rows.shape)] == [*map(repr, positions.shape)] == [repr(shape[0])]
    )


def plain(x: Any) -> Any:
    """A size without its name; anything else as it is."""
    return int(x) if isinstance(x, Dim) else x


def is_one(n: int) -> bool:
    """Whether a size is 1 whatever the input: an axis that broadcasts."""
    return n == 1 and not isinstance(n, Dim)


def is_none(n: int) -> bool:
    """Whether a size is 0 whatever the input."""
    return n == 0 and not isinstance(n, Dim)


def is_all(start: int, size: int, n: int) -> bool:
    """Whether a slice is all of an axis of size n, whatever the input."""
    return is_none(start) and form_of(size) == form_of(n)


def last_slice(index: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Start and size of a slice of the last axis, or `Untraceable` for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    last = parts[-1]
    ahead = [part for part in parts[:-1] if part is not ...]
    reaches = ... in parts or len(parts) == len(shape)
    if (
        not reaches
        or not isinstance(last, slice)
        or last.step not in (None, 1)
        or any(p != whole for p in ahead)
    ):
        raise Untraceable(f"the index {index!r}; only slices of the last axis can be compiled")
    n = shape[-1]

    def at(cut: Any, default: int) -> int:
        if cut is None:
            return default
        cut = n + cut if cut < 0 else cut
        return 0 if cut < 0 else cut if cut <= n else n

    start, stop = at(last.start, 0), at(last.stop, n)
    return start, stop - start if stop > start else 0


def complete_shape(shape: tuple[int, ...], of: tuple[int, ...]) -> tuple[int, ...]:
    """A shape whose size -1 is what is left of an array of shape `of`."""
    left = [n for n in of if not is_one(n)]
    factor = 1
    for n in shape:
        if n == -1 or is_one(n):
            continue
        same = [i for i, m in enumerate(left) if repr(m) == repr(n)]
        if same:
            del left[same[0]]
        elif isinstance(n, Dim):
            raise Untraceable(f"a reshape from {of} to {shape}")
        else:
            factor *= n
    rest: Any = 1
    for n in left:
        rest = n if rest == 1 else rest * n
    return tuple(rest // factor if n == -1 else n for n in shape)
