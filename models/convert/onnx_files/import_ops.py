"""ONNX's ops on elements, reductions and products, in ops of minigrad."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import Tensor

from ..refusals import ConversionError
from .read_file import dtype_of

__all__ = ["OPS", "Reader", "ints", "reads"]


class Reader(NamedTuple):
    """How nodes of an op are run.

    function : of the node's inputs (tensors; None for one that isn't given) and its attributes.
    static : which inputs are no tensors but NumPy arrays, as shapes and axes are.
    attributes : the attributes that are known, with their defaults.
    """

    function: Callable[..., Any]
    static: tuple[int, ...]
    attributes: dict[str, Any]


OPS: dict[str, Reader] = {}


def reads(*names: str, static: Sequence[int] = (), **attributes: Any) -> Callable[[Any], Any]:
    """Declare how nodes of these ops are run."""

    def declare(function: Any) -> Any:
        for name in names:
            assert name not in OPS, name
            OPS[name] = Reader(function, tuple(static), attributes)
        return function

    return declare


def ints(array: Any) -> list[int]:
    """A static input as Python integers."""
    return [int(n) for n in np.asarray(array).reshape(-1)]


# --- elements ------------------------------------------------------------------------------------

for _name, _function in {
    "Neg": mg.negative,
    "Sqrt": mg.sqrt,
    "Abs": mg.abs,
    "Sign": mg.sign,
    "Exp": mg.exp,
    "Log": mg.log,
    "Erf": mg.erf,
    "Sigmoid": mg.sigmoid,
    "Softplus": mg.softplus,
    "Relu": mg.relu,
    "Tanh": mg.tanh,
    "Floor": mg.floor,
    "Ceil": mg.ceil,
    "Round": mg.round,
    "Sin": mg.sin,
    "Cos": mg.cos,
    "Tan": mg.tan,
    "Asin": mg.arcsin,
    "Acos": mg.arccos,
    "Atan": mg.arctan,
    "Sinh": mg.sinh,
    "Cosh": mg.cosh,
    "Asinh": mg.arcsinh,
    "Acosh": mg.arccosh,
    "Atanh": mg.arctanh,
    "Reciprocal": mg.reciprocal,
    "Det": mg.linalg.det,
    "IsNaN": mg.isnan,
    "Not": mg.logical_not,
    "BitwiseNot": mg.bitwise_not,
    "Identity": lambda x: x,
    "Add": mg.add,
    "Sub": mg.subtract,
    "Mul": mg.multiply,
    "And": mg.logical_and,
    "Or": mg.logical_or,
    "Xor": mg.not_equal,
    "BitwiseAnd": mg.bitwise_and,
    "BitwiseOr": mg.bitwise_or,
    "BitwiseXor": mg.bitwise_xor,
    "Equal": mg.equal,
    "Less": mg.less,
    "LessOrEqual": mg.less_equal,
    "Greater": mg.greater,
    "GreaterOrEqual": mg.greater_equal,
    "Where": mg.where,
    "MatMul": mg.matmul,
}.items():
    reads(_name)(_function)


@reads("Max")
def _max(*xs: Tensor) -> Tensor:
    return functools.reduce(mg.maximum, xs)


@reads("Min")
def _min(*xs: Tensor) -> Tensor:
    return functools.reduce(mg.minimum, xs)


@reads("Sum")
def _sum_of(*xs: Tensor) -> Tensor:
    return functools.reduce(mg.add, xs)


@reads("Pow")
def _pow(a: Tensor, b: Tensor) -> Tensor:
    if b.size == 1 and b.dtype != a.dtype:
        return mg.reshape(mg.power(a, b.item()).astype(a.dtype), a.shape)
    return mg.power(a, b).astype(a.dtype)


@reads("Div")
def _div(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.kind == "f":
        return mg.divide(a, b)
    whole = mg.floor_divide(mg.abs(a), mg.abs(b))  # ONNX rounds towards 0
    return mg.sign(a) * mg.sign(b) * whole if a.dtype.kind == "i" else whole


@reads("Mod", fmod=0)
def _mod(a: Tensor, b: Tensor, fmod: int) -> Tensor:
    if not fmod:
        return mg.mod(a, b)
    rest = mg.mod(mg.abs(a), mg.abs(b))
    return mg.where(a < 0, -rest, rest)  # C's has the sign of a


@reads("IsInf", detect_negative=1, detect_positive=1)
def _isinf(x: Tensor, detect_negative: int, detect_positive: int) -> Tensor:
    found = mg.isinf(x)
    if not detect_negative:
        found = mg.logical_and(found, x > 0)
    return found if detect_positive else mg.logical_and(found, x < 0)


@reads("Clip", static=(1, 2))
def _clip(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = (None if n is None else np.asarray(n).item() for n in (low, high))
    return mg.clip(x, min=low, max=high)


@reads("LeakyRelu", alpha=0.01)
def _leaky_relu(x: Tensor, alpha: float) -> Tensor:
    return mg.functional.leaky_relu(x, alpha)


@reads("Elu", alpha=1.0)
def _elu(x: Tensor, alpha: float) -> Tensor:
    return mg.elu(x, alpha)


@reads("Gelu", approximate="none")
def _gelu(x: Tensor, approximate: str) -> Tensor:
    return mg.gelu(x, approximate)


@reads("Cast", to=None, saturate=1, round_mode="up")
def _cast(x: Tensor, to: int, saturate: int, round_mode: str) -> Tensor:
    return x.astype(dtype_of(to, "", "Cast"))


@reads("CastLike", saturate=1, round_mode="up")
def _cast_like(x: Tensor, like: Tensor, saturate: int, round_mode: str) -> Tensor:
    return x.astype(like.dtype)


@reads("Dropout", static=(1, 2), seed=0)
def _dropout(x: Tensor, ratio: Any = None, training: Any = None, *, seed: int) -> Tensor:
    if training is not None and bool(np.asarray(training)):
        raise ConversionError("", "Dropout", "it is written for training; export in eval mode")
    return x


# --- products and reductions ---------------------------------------------------------------------


@reads("Gemm", alpha=1.0, beta=1.0, transA=0, transB=0)
def _gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float,
    beta: float,
    transA: int,
    transB: int,
) -> Tensor:
    y = mg.matmul(a.T if transA else a, b.T if transB else b)
    y = y if alpha == 1 else y * alpha
    return y if c is None else y + (c if beta == 1 else c * beta)


@reads("Einsum", equation="")
def _einsum(*xs: Tensor, equation: str) -> Tensor:
    return mg.einsum(equation.replace(" ", ""), *xs)


def _axis(axes: Any, of_attribute: Any, noop: int) -> tuple[int, ...] | None:
    """The axes of a reduction: an input, or in older opsets an attribute. None: all."""
    chosen = ints(axes) if axes is not None else of_attribute
    if not chosen:
        return () if noop else None
    return tuple(chosen)


for _name, _function in {
    "ReduceSum": mg.sum,
    "ReduceMean": mg.mean,
    "ReduceMax": mg.max,
    "ReduceMin": mg.min,
    "ReduceProd": mg.prod,
    "ReduceLogSumExp": mg.logsumexp,
    "ReduceL1": lambda x, **how: mg.sum(mg.abs(x), **how),
    "ReduceL2": lambda x, **how: mg.sqrt(mg.sum(mg.square(x), **how)),
    "ReduceSumSquare": lambda x, **how: mg.sum(mg.square(x), **how),
}.items():

    def _reduce(
        x: Tensor,
        given: Any = None,
        *,
        axes: Any,
        keepdims: int,
        noop_with_empty_axes: int,
        function: Any = _function,
    ) -> Tensor:
        axis = _axis(given, axes, noop_with_empty_axes)
        if axis == ():
            return x
        return function(x, axis=axis, keepdims=bool(keepdims)).astype(x.dtype)

    reads(_name, static=(1,), axes=None, keepdims=1, noop_with_empty_axes=0)(_reduce)


for _name, _function in (("ArgMax", mg.argmax), ("ArgMin", mg.argmin)):

    def _extreme(
        x: Tensor, axis: int, keepdims: int, select_last_index: int, function: Any = _function
    ) -> Tensor:
        if not select_last_index:
            return function(x, axis=axis, keepdims=bool(keepdims))
        last = function(mg.flip(x, axis=axis), axis=axis, keepdims=bool(keepdims))
        return x.shape[axis] - 1 - last

    reads(_name, axis=0, keepdims=1, select_last_index=0)(_extreme)


@reads("CumSum", static=(1,), exclusive=0, reverse=0)
def _cumsum(x: Tensor, axis: Any, exclusive: int, reverse: int) -> Tensor:
    (along,) = ints(axis)
    x = mg.flip(x, axis=along) if reverse else x
    y = mg.cumsum(x, axis=along)
    y = y - x if exclusive else y
    return mg.flip(y, axis=along) if reverse else y


@reads("Softmax", axis=-1)
def _softmax(x: Tensor, axis: int) -> Tensor:
    return mg.softmax(x, axis=axis)


@reads("LogSoftmax", axis=-1)
def _log_softmax(x: Tensor, axis: int) -> Tensor:
    return mg.log_softmax(x, axis=axis)


@reads("LayerNormalization", axis=-1, epsilon=1e-5, stash_type=1)
def _layer_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    *,
    axis: int,
    epsilon: float,
    stash_type: int,
) -> Tensor:
    shape = x.shape[axis % x.ndim :]
    scale = mg.broadcast_to(scale, shape)
    shift = None if shift is None else mg.broadcast_to(shift, shape)
    return mg.layer_norm(x, shape, scale, shift, epsilon)


@reads("BatchNormalization", epsilon=1e-5, momentum=0.9, training_mode=0)
def _batch_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
    momentum: float,
    training_mode: int,
) -> Tensor:
    if training_mode:
        raise ConversionError(
            "", "BatchNormalization", "it is written for training; export in eval mode"
        )
    shape = (-1, *[1] * (x.ndim - 2))
    scale, shift, mean, var = (mg.reshape(part, shape) for part in (scale, shift, mean, var))
    return (x - mean) * ((var + epsilon) ** -0.5 * scale) + shift
