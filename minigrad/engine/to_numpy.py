"""Tensors among NumPy's functions: read as arrays, unless a gradient would be lost there.

NumPy knows nothing of graphs. A tensor that requires a gradient is therefore no array for it: a
conversion that you didn't ask for is an error, which names minigrad's own function where there is
one. `x.numpy()`, `x.item()`, `float(x)` and the like ask for it, and within `no_grad` nothing can
be lost. Operators between arrays and tensors are ops, and give tensors.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import GradientLost
from ..other_names.table import look_up
from .graph import grad_enabled
from .tensor import Tensor

_SHAPES = (np.shape, np.ndim, np.size)  # functions that read no numbers

# The operators by their ufuncs: Python's names of the method of the left and of the right operand.
_OPERATORS: dict[Any, tuple[str, str]] = {
    np.add: ("__add__", "__radd__"),
    np.subtract: ("__sub__", "__rsub__"),
    np.multiply: ("__mul__", "__rmul__"),
    np.divide: ("__truediv__", "__rtruediv__"),
    np.power: ("__pow__", "__rpow__"),
    np.remainder: ("__mod__", "__rmod__"),
    np.floor_divide: ("__floordiv__", "__rfloordiv__"),
    np.matmul: ("__matmul__", "__rmatmul__"),
    np.less: ("__lt__", "__gt__"),
    np.less_equal: ("__le__", "__ge__"),
    np.greater: ("__gt__", "__lt__"),
    np.greater_equal: ("__ge__", "__le__"),
    np.equal: ("__eq__", "__eq__"),
    np.not_equal: ("__ne__", "__ne__"),
    np.bitwise_and: ("__and__", "__rand__"),
    np.bitwise_or: ("__or__", "__ror__"),
    np.bitwise_xor: ("__xor__", "__rxor__"),
}


def loses_gradient(x: Tensor) -> bool:
    """Whether a gradient that x requires would be lost if only its numbers were taken."""
    return x._node is not None and grad_enabled.get()


def check_gradient(asked_by: str, x: Any, instead: str) -> None:
    """Raise if x is a tensor whose gradient would be lost; `instead` is what to do."""
    if isinstance(x, Tensor) and loses_gradient(x):
        raise GradientLost(
            f"{asked_by}: no gradient would flow to a tensor that requires one. {instead}, or take "
            "x.detach() for its numbers alone"
        )


def as_array(x: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """What NumPy reads of a tensor that isn't on a device: a read-only view, or a copy."""
    if not x.backend.is_host:
        raise TypeError(
            f"a tensor on {x.backend.name!r} isn't turned into a NumPy array silently; "
            "use x.numpy()"
        )
    if loses_gradient(x):
        raise GradientLost(
            "a tensor that requires a gradient isn't turned into a NumPy array, through which no "
            "gradient would flow. Use minigrad's functions (mg.stack for a list of tensors), or "
            "take x.detach() for the numbers alone"
        )
    array = np.asarray(x._data)
    if copy or (dtype is not None and array.dtype != dtype):
        return array.astype(dtype or array.dtype)
    view = array.view()
    view.flags.writeable = False  # the graph may need these numbers
    return view


def function(x: Tensor, function: Any, types: Any, args: Any, settings: Any) -> Any:
    """A function of NumPy on tensors as it is on their arrays, if no gradient is lost."""
    if function in _SHAPES:
        return function._implementation(*args, **settings)
    name = f"np{function.__module__.removeprefix('numpy')}.{function.__name__}"
    return _call(function, name, function.__name__, args, settings)


class Ufunc:
    """What tensors have as `__array_ufunc__`: elementwise functions of NumPy, and operators.

    NumPy finds it in the class and calls it: `array * tensor` becomes the tensor's own operator.
    What else has operators (masked arrays, other libraries' arrays) asks the tensor and finds None,
    by which it is to leave them to the tensor.
    """

    def __get__(self, tensor: Any, kind: Any) -> Any:
        return self if tensor is None else None

    def __call__(
        self, tensor: Tensor, ufunc: Any, method: str, *inputs: Any, **settings: Any
    ) -> Any:
        """What a ufunc gives of these inputs, one of which is the tensor."""
        return _of_ufunc(ufunc, method, inputs, settings)


def _of_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    if method == "__call__" and ufunc in _OPERATORS and not settings:
        left, right = inputs
        name, reflected = _OPERATORS[ufunc]
        given = (left, name, right) if isinstance(left, Tensor) else (right, reflected, left)
        if (operator := getattr(given[0], given[1], None)) is not None:
            return operator(given[2])
    plain = ufunc.__name__ + (f".{method}" if method != "__call__" else "")
    into = " into an array (as in a += x)" if "out" in settings else ""
    return _call(getattr(ufunc, method), f"np.{plain}{into}", plain, inputs, settings)


def _call(function: Callable[..., Any], name: str, plain: str, args: Any, settings: Any) -> Any:
    try:
        return function(*_arrays(tuple(args)), **_arrays(dict(settings)))
    except GradientLost:
        ours = _ours(plain, "linalg." if name.startswith("np.linalg.") else "")
        instead = f"Use {ours}" if ours else "There is no such function in minigrad: compose it"
        raise GradientLost(
            f"{name} of a tensor that requires a gradient: none would flow through NumPy. "
            f"{instead}, or take x.detach() for the numbers alone"
        ) from None


def _arrays(value: Any) -> Any:
    """Arrays in place of tensors, also within lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return np.asarray(value)
    if type(value) in (list, tuple):
        return type(value)(map(_arrays, value))
    if type(value) is dict:
        return {key: _arrays(part) for key, part in value.items()}
    return value


def _ours(name: str, within: str) -> str:
    """The function of minigrad that does what NumPy's does, or a line that does; or nothing."""
    minigrad = sys.modules["minigrad"]  # which is above this file, and there when a user errs
    if within and name in minigrad.linalg.__all__:
        return f"mg.{within}{name}"
    home = getattr(getattr(minigrad, name, None), "__module__", "")
    known = ("minigrad.ops.", "minigrad.functional", "minigrad.losses", "minigrad.engine.filled")
    if home.startswith(known):
        return f"mg.{name}"
    found = look_up([f"np.{within}"], [name])
    through_numpy = found is None or re.search(r"\bnp\.|numpy", found[0].ours)
    return "" if found is None or through_numpy else found[0].ours
