"""What a recorded module's arrays are, by comparing its runs at different sizes.

An array that an op gave, an input or a parameter is known by its identity. Any other array was made
by code that is recorded by nothing, NumPy's for example. It is looked for among what can be written
down: a constant, a copy of something known, positions or a mask that follow from lengths. What
stays unexplained is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..refusals import ConversionError
from .sizes import Size, Sizes

__all__ = ["Known", "Made", "Number", "Values"]


@dataclass(frozen=True)
class Known:
    """A value that has a name in the graph."""

    name: str
    dtype: np.dtype
    shape: tuple[int | Size, ...]


@dataclass(frozen=True)
class Number:
    """A Python number: a constant, or a size; `inverse` is one over it."""

    value: int | float | bool | Size
    inverse: bool = False


@dataclass(frozen=True)
class Made:
    """An array that is made from constants, sizes and what is known.

    kind : "constant" (value), "fill" (value), "range" (value: where it starts), "shifted" (source +
        value), "mask" (range < source, a row per sequence if value, else a row per step),
        "transposed" (source.T), "column" (source[:, None])
    """

    kind: str
    dtype: np.dtype
    shape: tuple[int | Size, ...]
    value: Any = None
    source: Known | None = None


class Values:
    """What is known of the arrays in the runs of a module."""

    def __init__(self, sizes: Sizes, to_host: Any) -> None:
        self.sizes = sizes
        self._to_host = to_host
        # By the identities of an array in each run; the arrays are kept, so that these stay theirs.
        self._names: dict[tuple[int, ...], tuple[Known, tuple[Any, ...]]] = {}

    def know(self, name: str, arrays: Sequence[Any]) -> Known:
        """Give an array, as it is in each run, a name."""
        known = Known(name, np.dtype(arrays[0].dtype), self.shape_of(arrays, name))
        self.again(known, arrays)
        return known

    def again(self, known: Known, arrays: Sequence[Any]) -> None:
        """The same value in other arrays, too."""
        self._names[tuple(map(id, arrays))] = known, tuple(arrays)

    def shape_of(self, arrays: Sequence[Any], what: str) -> tuple[int | Size, ...]:
        """The shape of an array that has one shape in each run."""
        if len({len(x.shape) for x in arrays}) > 1:
            raise ConversionError(
                "", what, "it has more axes at some sizes of the input than at others"
            )
        shape = []
        for values in zip(*(x.shape for x in arrays), strict=True):
            n = self.sizes.explain(values)
            if n is None:
                raise ConversionError(
                    "",
                    what,
                    f"an axis of it has size {_listed(values)} when the axes are "
                    f"{_listed(self.sizes.runs)}: it depends on values, or on sizes in a way that "
                    "is no product of them",
                )
            shape.append(n)
        return tuple(shape)

    def explain(self, arrays: Sequence[Any], what: str) -> Known | Made:
        """What an array is; `what` it is used for."""
        found = self._names.get(tuple(map(id, arrays)))
        if found is not None:
            return found[0]
        hosts = [np.asarray(self._to_host(x)) for x in arrays]
        dtype = hosts[0].dtype
        shape = self.shape_of(hosts, what)
        self._check_clear(hosts, shape, what)
        made = (
            self._constant(hosts, dtype, shape)
            # Integers may all be the same by chance, as lengths are.
            or (_filled(hosts, dtype, shape) if dtype.kind not in "iu" else None)
            or self._copy(hosts, dtype, shape)
            or self._from_lengths(hosts, dtype, shape)
            or self._mask_again(hosts, dtype, shape)
            or _filled(hosts, dtype, shape)
            or _range(hosts, dtype, shape)
        )
        if made is None:
            raise ConversionError(
                "",
                what,
                f"it is an array {dtype} {hosts[0].shape} that was drawn at random, edited by "
                "x[...] = y, or computed by Python or NumPy from sizes or values of the input, so "
                "no op of it was recorded. Compute it by minigrad's ops from the module's inputs",
            )
        return made

    def _check_clear(self, hosts: list[np.ndarray], shape: Any, what: str) -> None:
        """Raise for equal integers that may or may not follow from an input of equal integers."""
        if hosts[0].dtype.kind not in "iu" or all(isinstance(n, int) for n in shape):
            return
        if _filled(hosts, hosts[0].dtype, shape) is None:
            return
        for known, arrays in self._names.values():
            if known.dtype.kind not in "iu" or known.shape != shape:
                continue
            if _filled(self._hosts(arrays), known.dtype, shape) is not None:
                raise ConversionError(
                    "",
                    what,
                    f"it may be a constant, or follow from {known.name}, whose integers are all "
                    "equal in the example; give an example with several, as lengths=[5, 2, 1]",
                )

    def number(self, values: Sequence[Any], what: str) -> Number:
        """What a Python number is."""
        first = values[0]
        if all(type(v) is type(first) and (v == first or v != v) for v in values):
            return Number(first)
        if all(isinstance(v, (int, float)) and float(v).is_integer() for v in values):
            n = self.sizes.explain([int(v) for v in values])
            if n is not None:
                return Number(n)
        if all(isinstance(v, float) and v and _near(1 / v) for v in values):
            n = self.sizes.explain([round(1 / v) for v in values])
            if n is not None:
                return Number(n, inverse=True)
        raise ConversionError(
            "",
            what,
            f"it is the number {_listed(values)} when the axes are {_listed(self.sizes.runs)}: it "
            "was computed in Python, and could not be computed again for other inputs. Compute it "
            "by minigrad's ops",
        )

    # --- explanations ------------------------------------------------------------------------

    def _copy(self, hosts: list[np.ndarray], dtype: Any, shape: Any) -> Known | Made | None:
        """It has the numbers of a known value."""
        for known, arrays in self._names.values():
            if known.shape != shape or not _is_like(known.dtype, dtype):
                continue
            if all(map(np.array_equal, self._hosts(arrays), hosts)):
                return known if known.dtype == dtype else Made("shifted", dtype, shape, 0, known)
        return None

    def _constant(self, hosts: list[np.ndarray], dtype: Any, shape: Any) -> Made | None:
        if all(isinstance(n, int) for n in shape) and all(_same(x, hosts[0]) for x in hosts):
            return Made("constant", dtype, shape, hosts[0])
        return None

    def _from_lengths(self, hosts: list[np.ndarray], dtype: Any, shape: Any) -> Made | None:
        """Positions or a mask that follow from integers, one per sequence."""
        for known, arrays in self._names.values():
            if known.dtype.kind not in "iu" or len(known.shape) != 1:
                continue
            sources = self._hosts(arrays)
            if dtype.kind in "iuf" and shape == known.shape:
                gap = {float(d) for x, of in zip(hosts, sources, strict=True) for d in x - of}
                if len(gap) == 1 and next(iter(gap)).is_integer():
                    return Made("shifted", dtype, shape, int(gap.pop()), known)
            if dtype.kind == "b" and len(shape) == 2:
                for rows in (False, True):
                    pairs = zip(hosts, sources, strict=True)
                    if all(_is_mask(x.T if rows else x, of) for x, of in pairs):
                        return Made("mask", dtype, shape, rows, known)
        return None

    def _mask_again(self, hosts: list[np.ndarray], dtype: Any, shape: Any) -> Made | None:
        """A known mask in another layout."""
        if dtype.kind != "b" or len(shape) != 2:
            return None
        for known, arrays in self._names.values():
            if known.dtype.kind != "b" or len(known.shape) not in (1, 2):
                continue
            for kind, layout in (("transposed", lambda x: x.T), ("column", lambda x: x[:, None])):
                laid_out = map(layout, self._hosts(arrays))
                if all(
                    a.shape == b.shape and (a == b).all()
                    for a, b in zip(laid_out, hosts, strict=True)
                ):
                    return Made(kind, dtype, shape, None, known)
        return None

    def _hosts(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        return [np.asarray(self._to_host(x)) for x in arrays]


def _filled(hosts: list[np.ndarray], dtype: Any, shape: Any) -> Made | None:
    """It holds one number everywhere."""
    first = next((x.reshape(-1)[0] for x in hosts if x.size), dtype.type(0))
    if all(_same(x, np.full(x.shape, first, dtype)) for x in hosts):
        return Made("fill", dtype, shape, first)
    return None


def _range(hosts: list[np.ndarray], dtype: Any, shape: Any) -> Made | None:
    """It counts upwards."""
    if dtype.kind not in "iuf" or len(shape) != 1:
        return None
    first = next((float(x[0]) for x in hosts if x.size), 0.0)
    if first.is_integer() and all(np.array_equal(x, np.arange(len(x)) + first) for x in hosts):
        return Made("range", dtype, shape, int(first))
    return None


def _is_like(known: np.dtype, dtype: np.dtype) -> bool:
    return known == dtype or (known.kind in "iu" and dtype.kind in "iuf")


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _is_mask(x: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether x (T, N) is true at the steps of sequences with these lengths."""
    return x.shape[1:] == lengths.shape and bool(
        (x == (np.arange(len(x))[:, None] < lengths)).all()
    )


def _near(x: float) -> bool:
    return abs(x - round(x)) < 1e-6 * abs(x)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(
        " and ".join(f"{axis} {n}" for axis, n in v.items()) if isinstance(v, dict) else str(v)
        for v in values
    )
