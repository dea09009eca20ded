"""Which ops are operators and methods of Tensor."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

from ..engine import to_numpy
from ..engine.gradients import backward
from ..engine.tensor import Tensor
from . import (
    arithmetic,
    bits,
    choices,
    closeness,
    comparisons,
    convert,
    diagonals,
    editing,
    exponentials,
    indexing,
    order,
    products,
    reductions,
    rounding,
    running,
    shape,
    trigonometry,
)
from .axes import one_axis

_OPERATORS = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.divide,
    "pow": arithmetic.power,
    "mod": rounding.mod,
    "floordiv": rounding.floor_divide,
    "matmul": products.matmul,
    "and": bits.bitwise_and,
    "or": bits.bitwise_or,
    "xor": bits.bitwise_xor,
    "lshift": bits.left_shift,
    "rshift": bits.right_shift,
}
for _name, _op in _OPERATORS.items():
    _op.attach(Tensor, f"__{_name}__")
    setattr(Tensor, f"__r{_name}__", lambda self, other, op=_op: op.call(other, self))

arithmetic.negative.attach(Tensor, "__neg__")
arithmetic.abs.attach(Tensor, "__abs__")
bits.bitwise_not.attach(Tensor, "__invert__")
comparisons.equal.attach(Tensor, "__eq__")
comparisons.not_equal.attach(Tensor, "__ne__")
comparisons.less.attach(Tensor, "__lt__")
comparisons.less_equal.attach(Tensor, "__le__")
comparisons.greater.attach(Tensor, "__gt__")
comparisons.greater_equal.attach(Tensor, "__ge__")

for _family, _names in {
    arithmetic: "abs hypot sqrt square",
    choices: "clip relu",
    closeness: "isclose",
    comparisons: "isfinite isinf isnan",
    exponentials: "erf exp log log10 log2 logaddexp sigmoid",
    trigonometry: "arccos arccosh arcsin arcsinh arctan arctan2 arctanh cos cosh sin sinh tan tanh",
    reductions: "all any argmax argmin logsumexp max mean min sum",
    shape: "broadcast_to reshape",
    order: "argsort",
    rounding: "ceil floor round trunc",
}.items():
    for _name in _names.split():
        getattr(_family, _name).attach(Tensor, _name)

# Compositions are plain functions already.
for _family, _names in {
    arithmetic: "reciprocal",
    closeness: "allclose nan_to_num",
    exponentials: "exp2",
    reductions: "norm prod std var",
    running: "cummax cummin cumprod cumsum",
    order: "topk",
    diagonals: "diag diagonal",
    shape: "moveaxis repeat roll squeeze swapaxes",
    convert: "astype",
    indexing: "take",
    products: "dot",
}.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_family, _name))


def _transpose(self: Tensor, *axes: Any) -> Tensor:
    """The axes in another order: x.transpose(1, 0), x.transpose((1, 0)), or reversed.

    >>> mg.ones((2, 3, 4)).transpose(2, 0, 1).shape
    (4, 2, 3)
    """
    whole = len(axes) == 1 and not isinstance(axes[0], int)  # a tuple, or None
    return shape.transpose(self, (axes[0] if whole else axes) or None)


def flatten(self: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from `start_axis` to `end_axis` as one: all of them if none are given.

    Raises ValueError for axes that it doesn't have, or that go backwards.

    >>> mg.tensor([[1, 2], [3, 4]]).flatten()
    tensor([1, 2, 3, 4])
    >>> mg.ones((5, 2, 3)).flatten(1).shape
    (5, 6)
    """
    if self.ndim == 0 and (start_axis, end_axis) in ((0, -1), (0, 0), (-1, -1)):
        return shape.reshape(self, (1,))
    first, last = one_axis(start_axis, self.ndim), one_axis(end_axis, self.ndim)
    if first > last:
        raise ValueError(f"flatten: shape {self.shape} has no axes from {start_axis} to {end_axis}")
    size = math.prod(self.shape[first : last + 1])
    return shape.reshape(self, (*self.shape[:first], size, *self.shape[last + 1 :]))


def ravel(self: Tensor) -> Tensor:
    """All elements in one axis, in reading order.

    >>> mg.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return shape.reshape(self, (math.prod(self.shape),))


def _iterate(self: Tensor) -> Iterator[Tensor]:
    """Its parts along the first axis."""
    if self.ndim == 0:
        raise TypeError("a tensor of no dimensions can't be iterated over; use item()")
    return iter(shape.unstack(self))


for _name, _method in {
    "backward": backward,
    "to": convert.to,
    "__iter__": _iterate,
    "__getitem__": indexing.index,
    "__setitem__": editing.set_item,
    "__array__": to_numpy.as_array,
    "__array_function__": to_numpy.function,
    "__array_ufunc__": to_numpy.Ufunc(),
    "transpose": _transpose,
    "flatten": flatten,
    "ravel": ravel,
    "T": property(lambda self: shape.transpose(self), doc="The axes reversed."),
    "mT": property(lambda self: shape.swapaxes(self, -1, -2), doc="The last two axes exchanged."),
}.items():
    setattr(Tensor, _name, _method)

# `x += y` for every operator that there is; without a method Python would take it for x = x + y.
for _name, _symbol in {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "pow": "**",
    "matmul": "@",
    "and_": "&",
    "or_": "|",
    "xor": "^",
    "floordiv": "//",
    "mod": "%",
    "lshift": "<<",
    "rshift": ">>",
}.items():
    _bare = _name.rstrip("_")
    if hasattr(Tensor, f"__{_bare}__"):
        _method = editing.in_place(_symbol, getattr(operator, _name))
        setattr(Tensor, f"__i{_bare}__", _method)
