"""Editing tensors: what `x += y` and `x[index] = y` do.

An edit gives the tensor a new array, as an optimiser's step does. The old one stays as it was, and
with it every graph that saved it. If nothing else refers to it, `x[index] = y` writes to the old
one.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from ..engine import lending
from ..engine.creation import tensor
from ..engine.graph import grad_enabled, only_values
from ..engine.hook_gradient import HookGradient
from ..engine.tensor import Leaf, Tensor
from .indexing import index_of


class EditError(RuntimeError, TypeError):
    """A tensor can't be edited here: for its graph, as PyTorch says, or at all, as Python does."""


# What Python does with the result of `x[index] += y`, between the operator and the end.
_BACK = {dis.opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in dis.opmap}
_BETWEEN = {dis.opmap[name] for name in ("CACHE", "SWAP") if name in dis.opmap}


def in_place(operator: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method behind `x += y`, where `operator` is "+" and `compute(x, y)` is x + y.

    Within `no_grad()` it edits a tensor that was made by hand: a parameter, a buffer, what
    `mg.tensor`, `mg.zeros` and the like gave, a gradient, a detached tensor. With gradients on,
    that is an error for one that requires a gradient. In all other cases `x += y` is `x = x + y`, a
    new tensor; so is it for every result of an op, which may stand in a graph or under another
    name. But within `no_grad()` it is an error for a view (x[0], x.T, x.reshape(...)) while others
    see its memory: in PyTorch it would edit these, too. An edit changes neither shape nor dtype:
    for a parameter or a buffer that is an error, and a plain tensor, say a sum that starts as an
    integer, becomes a new one.
    """

    def method(self: Tensor, other: Any) -> Tensor:
        if isinstance(self, HookGradient):
            new = compute(self, other)
            _edited(self, new, operator)._node = new._node
            return self
        if only_values.get():
            return compute(self, other)
        if not _is_made(self):
            if _is_seen_by_others(self) and not grad_enabled.get():
                goes_back = _references(self) == _TEMPORARY and _is_stored_back(sys._getframe(1))
                if not goes_back:
                    raise EditError(
                        f"x {operator}= y within no_grad(), and x (shape {self.shape}) is a view "
                        "of another tensor, by an index, reshape, T or the like: x alone would "
                        "change, where PyTorch changes both. To edit the other one, name it: "
                        f"w {operator}= y, or w[0, 1:] {operator}= y. For a new tensor, write "
                        f"x = x {operator} y"
                    )
            return compute(self, other)
        if not grad_enabled.get():
            return _edited(self, compute(self, other), operator)
        if self._node is not None:
            raise EditError(
                f"x {operator}= y with gradients on, and x (shape {self.shape}) is a leaf that "
                "requires a gradient: its graph can't follow an edit. To update a parameter, write "
                f"it within `with mg.no_grad():`. For a new tensor, write x = x {operator} y"
            )
        new = compute(self, other)
        if type(self) is Tensor or new._node is not None:
            return new
        return _edited(self, new, operator)  # a frozen parameter, a buffer: its module's numbers

    return method


def set_item(self: Tensor, index: Any, value: Any) -> None:
    """x[index] = value: edits x in place, the index as NumPy has it.

    Only tensors that are leaves can be edited, and one that requires a gradient only within
    `no_grad()`. Arrays that a graph saved stay as they were.

    Raises
    ------
    RuntimeError (a TypeError, too) : x or the value is in a graph.
    TypeError, ValueError : a value of another kind of dtype, backend or shape.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.zeros(3)
    >>> x[1:] = 5
    >>> x
    tensor([0., 5., 5.])
    """
    node = self._node
    if node is not None and not (isinstance(node, Leaf) and node.tensor() is self):
        raise EditError(
            "tensors aren't edited in place once they are in a graph, which may need the old "
            f"numbers; x[...] = y did that to one of shape {self.shape}. Build a new one with "
            "mg.where or mg.scatter_add"
        )
    if _is_seen_by_others(self):
        raise EditError(
            f"x[...] = y, and x (shape {self.shape}) is a view of another tensor, by an index, "
            "reshape, T or the like, or an argument of a cell: x alone would change, where PyTorch "
            "changes both. To edit the other one, name it and give one index: w[0, 1] = y in place "
            "of w[0][1] = y. To edit a copy, take mg.tensor(x)"
        )
    if grad_enabled.get() and node is not None:
        raise EditError(
            "tensors aren't edited in place while they require a gradient and gradients are on; "
            f"x[...] = y did that to a leaf of shape {self.shape}. To set a parameter's numbers, "
            "write it within `with mg.no_grad():`. Else build a new tensor with mg.where or "
            "mg.scatter_add"
        )
    if grad_enabled.get() and isinstance(value, Tensor) and value._node is not None:
        raise EditError(
            "x[...] = y, and y requires a gradient, which would not reach it. Build a new tensor "
            "with mg.where, mg.stack, mg.concatenate or mg.scatter_add; or take y.detach()"
        )
    backend = self.backend
    array = _value(self, value)
    setitem = getattr(backend, "setitem", None)
    try:
        if setitem is not None and not (_may_repeat(index) and not backend.is_host):
            place = index_of(index, self)
            if _is_its_own(self):  # after `place` and `array`, which may be parts of it
                self._data[place] = array
            else:
                self._data = setitem(self._data, place, array)
        else:
            host = Tensor.numpy(self)  # not that of a hook's gradient, which looks for edits
            host[_host_index(index)] = array if np.isscalar(array) else backend.to_host(array)
            self._data = backend.from_host(host)
    except ValueError as error:
        shape = self[index].shape
        raise ValueError(
            f"x[...] = y: y of shape {np.shape(value)} does not fit a part of shape {shape}"
        ) from error


def _is_made(x: Tensor) -> bool:
    """Whether it was made by hand, and is no result of an op."""
    node = x._node
    return hasattr(x, "_leaf") and (node is None or (isinstance(node, Leaf) and node.tensor() is x))


def _is_seen_by_others(x: Tensor) -> bool:
    """Whether x is a view of memory that another tensor, or a graph, refers to."""
    if not hasattr(x, "_shared"):
        return False
    try:
        return not lending.is_alone(x)
    except AttributeError:  # arrays that don't say whose memory they are in
        return True


def _is_its_own(x: Tensor) -> bool:
    """Whether the memory is NumPy's, and nothing but x refers to it."""
    return type(x._data) is np.ndarray and x._data.base is None and lending.is_alone(x)


def _is_stored_back(frame: FrameType) -> bool:
    """Whether code is at `x[index] += y`, which calls `x.__setitem__` with the result.

    If so, and if nothing but this code refers to x[index], it is no edit of a view.
    """
    code, place = frame.f_code.co_code, frame.f_lasti
    if code[place] != dis.opmap["BINARY_OP"]:
        return False
    place += 2
    while code[place] in _BETWEEN:
        place += 2
    return code[place] in _BACK


def _edited(x: Tensor, new: Tensor, operator: str) -> Tensor:
    """x, with the numbers of a tensor like it."""
    if (new.shape, new.dtype) != (x.shape, x.dtype):
        if type(x) is Tensor and x._node is None:
            return new
        raise ValueError(
            f"x {operator}= y can't turn x, {x.dtype} {x.shape}, into {new.dtype} {new.shape}. "
            f"Convert y (y.astype({x.dtype.name!r}), y.reshape(...)), or write x = x {operator} y"
        )
    x._data = new._data
    return x


def _value(x: Tensor, value: Any) -> Any:
    """What is to stand in x, as a number or an array of its dtype."""
    if not isinstance(value, (bool, int, float)):
        if not isinstance(value, Tensor):
            value = tensor(value, backend=x.backend)
        if value.backend is not x.backend:
            raise TypeError(
                f"x[...] = y: x is on backend {x.backend.name!r} and y on {value.backend.name!r}; "
                f"convert it with y.to({x.backend.name!r})"
            )
    kind = x.dtype.kind
    if isinstance(value, Tensor):
        fits, shown = _KINDS[value.dtype.kind] <= _KINDS[kind], value.dtype.name
    else:
        fits = kind == "f" or (value in (0, 1) if kind == "b" else float(value).is_integer())
        shown = repr(value)
    if not fits:
        raise TypeError(
            f"x[...] = y: x is {x.dtype.name}, and can't hold {shown}. Convert x before it is "
            f"edited, or y to {x.dtype.name}"
        )
    if not isinstance(value, Tensor):
        return value
    return value._data if value.dtype == x.dtype else x.backend.astype(value._data, x.dtype)


_KINDS = {"b": 0, "i": 1, "u": 1, "f": 2}  # of dtypes: each holds those before


def _may_repeat(index: Any) -> bool:
    """Whether an index may name an element twice: then the last value counts, on a device any."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(
        isinstance(part, list) or getattr(getattr(part, "dtype", None), "kind", "") in ("i", "u")
        for part in parts
    )


def _host_index(index: Any) -> Any:
    """An index with NumPy's arrays in place of tensors."""
    if isinstance(index, tuple):
        return tuple(map(_host_index, index))
    return index.numpy() if isinstance(index, Tensor) else index


_references: Callable[[Any], int] = getattr(sys, "getrefcount", lambda x: -1)


class _Sample:
    """Counts the references to an item in `x[index] += y`."""

    count = 0

    def __getitem__(self, index: int) -> _Sample:
        return _Sample()

    def __setitem__(self, index: int, value: Any) -> None:
        self.count = value

    def __iadd__(self, other: Any) -> int:
        return _references(self)


_sample: Any = _Sample()
_sample[0] += 0
_TEMPORARY = _sample.count  # references to what has no name; how many Python makes varies
