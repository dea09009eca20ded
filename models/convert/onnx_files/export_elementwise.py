"""How ops on elements, reductions and products are written as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.nn import Module

from ..refusals import ConversionError
from .sizes import Size
from .values import Number
from .writer import Operand, Writer

__all__ = ["REFUSED", "ROWS", "Outcome", "Resolved", "row"]


class Outcome(NamedTuple):
    """What a call gives: its dtype and shape."""

    dtype: np.dtype
    shape: tuple[int | Size, ...]


class Resolved(NamedTuple):
    """A recorded call, with what its inputs and settings are in all runs."""

    name: str
    inputs: list[Operand]
    settings: dict[str, Any]
    outputs: list[Outcome]
    layer: Module | None = None
    path: str = ""

    @property
    def dtype(self) -> np.dtype:
        """Of the (first) output."""
        return self.outputs[0].dtype

    def refuse(self, why: str) -> ConversionError:
        """An error that says why this call can't be written."""
        return ConversionError(self.path, self.name, why)


# How the calls of an op are written: a function of the writer and a call to the output's name, or
# to a list of the outputs' names.
ROWS: dict[str, Callable[[Writer, Resolved], str | list[str]]] = {}


def row(*names: str) -> Callable[[Any], Any]:
    """Declare how ops of these names are written."""

    def declare(function: Any) -> Any:
        for name in names:
            assert name not in ROWS, name
            ROWS[name] = function
        return function

    return declare


def _typed(w: Writer, call: Resolved) -> list[str]:
    """The operands in the dtype of the output."""
    return [w.operand(x, call.dtype) for x in call.inputs]


# --- one input, one node -----------------------------------------------------------------------

for _name, _kind in {
    "negative": "Neg",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "sign": "Sign",
    "exp": "Exp",
    "log": "Log",
    "erf": "Erf",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "relu": "Relu",
    "tanh": "Tanh",
    "floor": "Floor",
    "ceil": "Ceil",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "arcsin": "Asin",
    "arccos": "Acos",
    "arctan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "arcsinh": "Asinh",
    "arccosh": "Acosh",
    "arctanh": "Atanh",
    "det": "Det",
}.items():
    row(_name)(lambda w, call, kind=_kind: w.node(kind, *_typed(w, call)))


@row("square")
def _square(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    return w.node("Mul", x, x)


@row("expm1")
def _expm1(w: Writer, call: Resolved) -> str:
    """2 sinh(x/2) exp(x/2), which is accurate near 0 as well; exp(x) - 1 where that overflows."""
    (x,) = _typed(w, call)
    half = w.node("Mul", x, w.constant(0.5, call.dtype))
    near = w.node("Mul", w.node("Sinh", half), w.node("Exp", half))
    near = w.node("Mul", near, w.constant(2, call.dtype))
    far = w.node("Sub", w.node("Exp", x), w.constant(1, call.dtype))
    small = w.node("Less", w.node("Abs", x), w.constant(1, call.dtype))
    return w.node("Where", small, near, far)


@row("log1p")
def _log1p(w: Writer, call: Resolved) -> str:
    """2 artanh(x / (2 + x)), which is accurate near 0 as well; log(1 + x) elsewhere."""
    (x,) = _typed(w, call)
    two = w.constant(2, call.dtype)
    near = w.node("Mul", w.node("Atanh", w.node("Div", x, w.node("Add", x, two))), two)
    far = w.node("Log", w.node("Add", x, w.constant(1, call.dtype)))
    small = w.node("Less", w.node("Abs", x), w.constant(0.5, call.dtype))
    return w.node("Where", small, near, far)


@row("log2", "log10")
def _log_of_base(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    base = math.log(2 if call.name == "log2" else 10)
    return w.node("Div", w.node("Log", x), w.constant(base, call.dtype))


@row("trunc")
def _trunc(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    return w.node("Mul", w.node("Sign", x), w.node("Floor", w.node("Abs", x)))


@row("round")
def _round(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    if call.settings["decimals"]:
        raise call.refuse("ONNX rounds to integers only; got decimals")
    return x if call.dtype.kind in "iu" else w.node("Round", x)


@row("isnan", "isinf", "isfinite")
def _kinds(w: Writer, call: Resolved) -> str:
    x = w.operand(call.inputs[0])
    if call.name == "isnan":
        return w.node("IsNaN", x)
    infinite = w.node("IsInf", x)
    if call.name == "isinf":
        return infinite
    return w.node("Not", w.node("Or", infinite, w.node("IsNaN", x)))


@row("logical_not")
def _not(w: Writer, call: Resolved) -> str:
    return w.node("Not", w.operand(call.inputs[0], bool))


@row("bitwise_not")
def _bitwise_not(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    return w.node("Not" if call.dtype.kind == "b" else "BitwiseNot", x)


@row("cast", "discretize")
def _cast(w: Writer, call: Resolved) -> str:
    return w.operand(call.inputs[0], call.dtype)


@row("clip")
def _clip(w: Writer, call: Resolved) -> str:
    (x,) = _typed(w, call)
    bounds = [call.settings["min"], call.settings["max"]]
    given = ["" if n is None else w.operand(Number(n), call.dtype) for n in bounds]
    return w.node("Clip", x, *given)


# --- two inputs ----------------------------------------------------------------------------------

for _name, _kind, _truth in (
    ("add", "Add", "Or"),
    ("subtract", "Sub", ""),
    ("multiply", "Mul", "And"),
    ("divide", "Div", ""),
    ("power", "Pow", ""),
    ("maximum", "Max", "Or"),
    ("minimum", "Min", "And"),
    ("bitwise_and", "BitwiseAnd", "And"),
    ("bitwise_or", "BitwiseOr", "Or"),
    ("bitwise_xor", "BitwiseXor", "Xor"),
):

    def _arithmetic(w: Writer, call: Resolved, kind: str = _kind, truth: str = _truth) -> str:
        if call.dtype.kind != "b":
            return w.node(kind, *_typed(w, call))
        if not truth:
            raise call.refuse("ONNX can't do it with truth values; convert them first")
        return w.node(truth, *_typed(w, call))

    row(_name)(_arithmetic)


@row("logical_and", "logical_or")
def _logical(w: Writer, call: Resolved) -> str:
    a, b = (w.operand(x, bool) for x in call.inputs)
    return w.node("And" if call.name == "logical_and" else "Or", a, b)


@row("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
def _compare(w: Writer, call: Resolved) -> str:
    kinds = [
        np.asarray(x.value).item() if isinstance(x, Number) else x.dtype
        for x in call.inputs
        if not (isinstance(x, Number) and isinstance(x.value, Size))
    ]
    dtype = np.result_type(*kinds)
    a, b = (w.operand(x, dtype) for x in call.inputs)
    if call.name == "not_equal":
        return w.node("Not", w.node("Equal", a, b))
    kind = {
        "equal": "Equal",
        "less": "Less",
        "less_equal": "LessOrEqual",
        "greater": "Greater",
        "greater_equal": "GreaterOrEqual",
    }[call.name]
    return w.node(kind, a, b)


@row("mod")
def _mod(w: Writer, call: Resolved) -> str:
    a, b = _typed(w, call)
    if call.dtype.kind != "f":
        return w.node("Mod", a, b)
    return w.node("Sub", a, w.node("Mul", w.node("Floor", w.node("Div", a, b)), b))


@row("floor_divide")
def _floor_divide(w: Writer, call: Resolved) -> str:
    a, b = _typed(w, call)
    if call.dtype.kind == "f":
        return w.node("Floor", w.node("Div", a, b))
    return w.node("Div", w.node("Sub", a, w.node("Mod", a, b)), b)  # ONNX's rounds towards 0


@row("where")
def _where(w: Writer, call: Resolved) -> str:
    condition, a, b = call.inputs
    yes, no = w.operand(a, call.dtype), w.operand(b, call.dtype)
    if yes == no and getattr(a, "shape", ()) == call.outputs[0].shape:
        return yes  # a table's row of padding, which gets no gradient
    return w.node("Where", w.operand(condition, bool), yes, no)


# --- products and reductions ---------------------------------------------------------------------


@row("matmul")
def _matmul(w: Writer, call: Resolved) -> str:
    return w.node("MatMul", *_typed(w, call))


@row("affine")
def _affine(w: Writer, call: Resolved) -> str:
    x, weight, bias = _typed(w, call)
    return w.node("Add", w.node("MatMul", x, w.node("Transpose", weight, perm=[1, 0])), bias)


@row("contract")
def _contract(w: Writer, call: Resolved) -> str:
    equation = f"{','.join(call.settings['terms'])}->{call.settings['output']}"
    return w.node("Einsum", *_typed(w, call), equation=equation)


def _axes(call: Resolved) -> list[int] | None:
    axis = call.settings["axis"]
    if axis is None:
        return None
    return list(axis) if isinstance(axis, (tuple, list)) else [axis]


def _reduce(w: Writer, call: Resolved, kind: str, x: str) -> str:
    axes = _axes(call)
    if axes == []:
        return x
    given = [] if axes is None else [w.constant(axes, np.int64)]
    return w.node(kind, x, *given, keepdims=int(call.settings["keepdims"]))


for _name, _kind in {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "logsumexp": "ReduceLogSumExp",
}.items():

    def _reduction(w: Writer, call: Resolved, kind: str = _kind) -> str:
        return _reduce(w, call, kind, *_typed(w, call))

    row(_name)(_reduction)


@row("any", "all")
def _any_or_all(w: Writer, call: Resolved) -> str:
    x = w.cast(w.operand(call.inputs[0], bool), np.dtype(bool), np.dtype(np.int32))
    y = _reduce(w, call, "ReduceMax" if call.name == "any" else "ReduceMin", x)
    return w.cast(y, np.dtype(np.int32), np.dtype(bool))


@row("argmax", "argmin")
def _position(w: Writer, call: Resolved) -> str:
    kind = "ArgMax" if call.name == "argmax" else "ArgMin"
    x, axis = w.operand(call.inputs[0]), call.settings["axis"]
    keep = int(call.settings["keepdims"])
    if axis is not None:
        return w.node(kind, x, axis=axis, keepdims=keep)
    flat = w.node("Reshape", x, w.constant([-1], np.int64))
    return w.node("Reshape", w.node(kind, flat, axis=0, keepdims=0), w.ints(call.outputs[0].shape))


@row("cumsum_along")
def _cumsum(w: Writer, call: Resolved) -> str:
    return w.node("CumSum", *_typed(w, call), w.constant(call.settings["axis"], np.int64))


@row("softmax_along", "log_softmax_along")
def _softmax(w: Writer, call: Resolved) -> str:
    kind = "Softmax" if call.name == "softmax_along" else "LogSoftmax"
    return w.node(kind, *_typed(w, call), axis=call.settings["axis"])


@row("standardize", "inverse_deviation")
def _standardize(w: Writer, call: Resolved) -> str:
    (x,), axes = _typed(w, call), w.constant([-1], np.int64)
    deviations = w.node("Sub", x, w.node("ReduceMean", x, axes, keepdims=1))
    variance = w.node("ReduceMean", w.node("Mul", deviations, deviations), axes, keepdims=1)
    eps = w.constant(call.settings["eps"], call.dtype)
    scale = w.node("Reciprocal", w.node("Sqrt", w.node("Add", variance, eps)))
    return scale if call.name == "inverse_deviation" else w.node("Mul", deviations, scale)


# --- what has no place in a model ----------------------------------------------------------------

_LOSS = "it is a part of a loss; export the module that gives the scores, without its loss"

# Ops that are refused whatever their inputs are, with the reason.
REFUSED = dict.fromkeys(("label_losses", "label_loss", "label_sum", "label_slopes"), _LOSS)
