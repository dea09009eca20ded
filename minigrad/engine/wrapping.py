"""Tensors around raw arrays: as new ones, as views, and as what a function is given or returns."""

from __future__ import annotations

from typing import Any

from ..errors import BackendError
from .graph import Node
from .tensor import Tensor


def wrap(array: Any, backend: Any, node: Node | None = None) -> Tensor:
    """A tensor around a raw array (or a backend's scalar) with its place in the graph."""
    if not isinstance(array, backend.array_type):
        array = backend.asarray(array)
    return Tensor(array, backend, node)


def alias(x: Tensor) -> Tensor:
    """The same tensor for a function that is not to edit it, and may give it back."""
    return as_view(x._data, x.backend, x._node)


def as_view(array: Any, backend: Any, node: Node | None = None) -> Tensor:
    """A tensor that may share its memory with another one: what edits it is an error."""
    out = Tensor(array, backend, node)
    out._shared = True
    return out


def apart(result: Any) -> Any:
    """What a function returns, with new tensors in place of those that it was given or made."""
    if isinstance(result, Tensor):
        given = hasattr(result, "_leaf") or hasattr(result, "_shared")
        return Tensor(result._data, result.backend, result._node) if given else result
    if isinstance(result, tuple):
        parts = map(apart, result)
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    return result


def same_backend(what: str, *tensors: Tensor) -> Any:
    """The one backend of all the tensors; an error that says how to convert if there are more."""
    backend = tensors[0].backend
    for other in tensors[1:]:
        if other.backend is not backend:
            raise BackendError(
                f"{what}: operands are on different backends, {backend.name!r} and "
                f"{other.backend.name!r}; convert one, for example with x.to({backend.name!r})"
            )
    return backend
