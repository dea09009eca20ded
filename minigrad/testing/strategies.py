"""Hypothesis strategies for property tests: shapes, axes, dtypes, arrays in any layout, lengths.

They need hypothesis, which the extra `dev` installs.

>>> from hypothesis import given
>>> import minigrad as mg
>>> @given(arrays((2, 3), kinks=(0,)))
... def test_abs(x):
...     assert mg.gradcheck(mg.abs, [mg.tensor(x)])
>>> test_abs()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.install import install_line

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as missing:
    raise ImportError(
        f"minigrad.testing.strategies needs hypothesis; {install_line('dev')}"
    ) from missing

__all__ = ["LAYOUTS", "arrays", "axes", "broadcastable", "dtypes", "lengths", "relaid", "shapes"]

LAYOUTS = ("contiguous", "transposed", "strided", "reversed", "offset")


def dtypes(kinds: str = "f") -> st.SearchStrategy[np.dtype]:
    """Dtypes of tensors: those of the given kinds, of "f", "i" and "b".

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import dtypes
    >>> find(dtypes("fi"), lambda dtype: dtype.kind == "i")
    dtype('int64')
    """
    names = {"f": ("float32", "float64"), "i": ("int64", "int32"), "b": ("bool",)}
    return st.sampled_from([np.dtype(name) for kind in kinds for name in names[kind]])


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes, including those without dimensions and without elements.

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import shapes
    >>> find(shapes(min_dims=1), lambda shape: 0 not in shape)
    (1,)
    """
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


@st.composite
def broadcastable(
    draw: Any, count: int = 2, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> tuple[tuple[int, ...], ...]:
    """`count` shapes that broadcast together; some lack axes, some have axes of size 1.

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import broadcastable
    >>> find(broadcastable(min_side=1), lambda shapes: len(shapes[0]) > len(shapes[1]))
    ((1,), ())
    """
    found = draw(
        hnp.mutually_broadcastable_shapes(
            num_shapes=count, max_dims=max_dims, min_side=min_side, max_side=max_side
        )
    )
    return found.input_shapes


def axes(ndim: int, *, empty: bool = False) -> st.SearchStrategy[Any]:
    """Valid values of `axis=` for `ndim` dimensions: None, ints, negative ints, tuples.

    With `empty`, also the empty tuple.

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import axes
    >>> find(axes(2), lambda axis: axis is not None and axis != 0)
    1
    """
    if ndim == 0:
        return st.sampled_from([None, ()]) if empty else st.none()
    return st.one_of(
        st.none(),
        st.integers(-ndim, ndim - 1),
        hnp.valid_tuple_axes(ndim, min_size=0 if empty else 1),
    )


@st.composite
def arrays(
    draw: Any,
    shape: tuple[int, ...],
    dtype: Any = "float64",
    low: float = -3.0,
    high: float = 3.0,
    kinks: Sequence[float] = (),
    gap: float = 0.1,
    layouts: Sequence[str] = LAYOUTS,
) -> np.ndarray:
    """Arrays of a shape with values from `low` to `high`, in any layout of memory.

    Parameters
    ----------
    kinks : values from which each element is at least `gap` away, so that no finite difference
        steps over the kink of `abs` or `relu`.
    layouts : which of `LAYOUTS` to draw from.

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import arrays
    >>> find(arrays((2, 3), kinks=[0.0]), lambda x: x.strides[1] < 0).shape
    (2, 3)
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values: np.ndarray = np.asarray(rng.uniform(low, high, shape))
    for kink in kinks:
        near = np.abs(values - kink) < gap
        values = np.where(near, kink + np.where(values < kink, -gap, gap), values)
    if np.dtype(dtype).kind == "b":
        values = values > (low + high) / 2
    return relaid(values.astype(dtype), draw(st.sampled_from(layouts)))


def relaid(array: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers in another layout of memory.

    "transposed", "strided" (every other element of a larger array), "reversed" (negative
    strides), "offset" (not from the start of its memory), "contiguous". Arrays of no dimensions
    have only one layout.

    >>> import numpy as np
    >>> from minigrad.testing.strategies import relaid
    >>> relaid(np.arange(3.0), "reversed").strides
    (-8,)
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known are {', '.join(LAYOUTS)}")
    if array.ndim == 0 or layout == "contiguous":
        return array.copy(order="C")
    if layout == "transposed":
        return array.T.copy(order="C").T
    if layout == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "reversed":
        return np.flip(np.flip(array).copy(order="C"))
    return np.concatenate([array[:1], array])[len(array[:1]) :]


def lengths(batch: int, steps: int, min_length: int = 0) -> st.SearchStrategy[np.ndarray]:
    """Lengths of `batch` ragged sequences of at most `steps` steps; one may be full, one empty.

    >>> from hypothesis import find
    >>> from minigrad.testing.strategies import lengths
    >>> find(lengths(2, 5, min_length=1), lambda found: True)
    array([1, 1])
    """
    return hnp.arrays(np.int64, (batch,), elements=st.integers(min(min_length, steps), steps))
