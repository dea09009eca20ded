"""Arrays that the user can write to, and how long; the in-place guard asks this file.

minigrad lends the user another array over the same memory, with a link behind it. All views keep
the link alive, as they keep the memory: when the link goes, the user can no longer write. An array
that the user assigns is borrowed in the same way; its number of references shows whether the user
still has it. In doubt the answer is yes.

This is for NumPy's arrays. Another backend may have its own `lend` and `held`; without them, the
guard takes every array that the user got to be editable for as long as it lives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

_references: Callable[[Any], int] | None = getattr(sys, "getrefcount", None)


class Link:
    """What stands behind an array that was lent, where its memory can refer to any object."""

    __slots__ = ("__weakref__", "array")

    def __init__(self, array: Any) -> None:
        self.array = array


def lend(array: np.ndarray) -> np.ndarray:
    """Another array over the same memory; it is the link, as it lives as long as a view of it."""
    # NumPy makes a view of a view one of the first array, if it can: the memoryview stops it there.
    return np.asarray(array.data)


def original(link: Any) -> Any:
    """The array that a link was made of."""
    behind: Any = link.base if isinstance(link, np.ndarray) else None
    return link.array if behind is None else behind.obj


def held(link: Any) -> bool:
    """Whether anything but the link refers to the array that it was made of, or to its memory."""
    if _link_references(link) != _LINK_ALONE:
        return True
    if link.base.obj.base is None:
        return False
    # The memory of a file, of another library or of a view's view may have other ways to it.
    known = type(link.base.obj.base) is np.ndarray and link.base.obj.base.base is None
    return not known or _base_references(link.base.obj) != _BASE_ALONE


def is_alone(tensor: Any) -> bool:
    """Whether nothing but this tensor refers to its array: no graph, no other tensor, no view."""
    if _tensor_references(tensor) != _TENSOR_ALONE:
        return False
    base = tensor._data.base
    kind = type(tensor._data)
    if base is None or not isinstance(base, kind):
        return True
    if isinstance(base.base, kind):
        return False
    del base
    return _base_references(tensor._data) == _BASE_ALONE


# These functions make no reference of their own. Without a count the answer is never "alone".


def _tensor_references(tensor: Any) -> int:
    return _references(tensor._data) if _references else -1


def _base_references(array: Any) -> int:
    return _references(array.base) if _references else -1


def _link_references(link: Any) -> int:
    return _references(link.base.obj) if _references else -1


class _Sample:
    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = np.empty(1)


# What the counts are if there is no other reference; how many of its own Python makes varies.
_TENSOR_ALONE = _tensor_references(_Sample()) if _references else 0
_BASE_ALONE = _base_references(np.empty(2)[:1]) if _references else 0
_LINK_ALONE = _link_references(lend(np.empty(1))) if _references else 0
