"""What the text of ops calls off the hot path: operands that are no tensors, and checks.

The checks are for ops from outside of minigrad, whose forward or derivative may give anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import DeclarationError
from ..other_names.advice import wrong_arguments
from ..other_names.table import look_up
from .creation import tensor
from .explain import public_name
from .graph import Node, raw_backend
from .tensor import Tensor
from .wrapping import same_backend

KINDS = "fiub"  # of dtypes that tensors may have, as NumPy abbreviates them


# --- arguments -----------------------------------------------------------------------------


def refuse(
    op: Any,
    inputs: list[Any],
    settings: dict[str, Any],
    more: tuple[Any, ...],
    others: dict[str, Any],
) -> None:
    """Raise for keywords that an op doesn't have, or for `more` arguments than it has."""
    shown = f"mg.{op.name}" if op.trusted else op.name
    known = [*op.inputs, *op.settings]
    if more:
        row = look_up(("torch.", "F."), [op.name]) if op.trusted else None
        raise TypeError(
            f"{shown} takes {', '.join(known)}; got {len(more)} more arguments"
            + (f". {row[0].text(op.name)}" if row else "")
        )
    given = dict(zip(op.inputs, inputs, strict=True))
    given |= {name: value for name, value in settings.items() if value is not op.settings[name]}
    raise TypeError(
        wrong_arguments(shown, inspect.signature(op).parameters, given, others)
        or f"{shown} got an unexpected keyword argument {next(iter(others))!r}; it takes "
        + ", ".join(known)
    )


# --- operands ------------------------------------------------------------------------------


def operand(op: Any, value: Any, backend: Any) -> Any:
    """A raw array (or a Python number) from what stands beside a tensor in an op call."""
    if isinstance(value, np.generic):
        return value.item()  # a NumPy scalar is a number, and must not upcast the tensor
    if isinstance(value, (int, float)):
        return value  # of a subclass, such as a size with a name
    if isinstance(value, backend.array_type) and value.dtype.kind in KINDS:
        return backend.copy(value)  # the caller may edit it while the graph keeps it
    if isinstance(value, np.ndarray) and not backend.is_host:
        raise TypeError(
            f"{op.name}: a NumPy array meets a tensor on backend {backend.name!r}; choose a "
            "backend for it: mg.tensor(array, backend=...)"
        )
    if isinstance(value, (list, tuple, np.ndarray)):
        return tensor(value, backend=backend)._data
    raise TypeError(
        f"{public_name(op.name)}: takes tensors, arrays and numbers; got {type(value).__name__} "
        f"{value!r:.60}{_instead(value)}"
    )


def _instead(value: Any) -> str:
    """What to write in place of an operand that is none."""
    if type(value).__module__.partition(".")[0] in ("torch", "jax", "jaxlib", "tensorflow"):
        return ". Write mg.from_dlpack(x), or mg.tensor(x) for a copy"
    if callable(value):
        return ". Did you mean to call it, as in f(x)?"
    return ""


def operands(op: Any, values: Any) -> tuple[Any, Any, tuple[Any, ...], tuple[Any, ...]]:
    """The inputs of an op of any number of them: as a tuple, their backend, arrays and nodes."""
    try:
        values = tuple(values)
    except TypeError as error:
        name = public_name(op.name)
        raise TypeError(
            f"{name} takes a list of arrays, as in mg.{name}([a, b]); got {type(values).__name__} "
            f"{values!r:.40}"
        ) from error
    tensors = [x for x in values if isinstance(x, Tensor)]
    if not tensors:
        if not values:
            raise ValueError(f"{op.name}: needs at least one array")
        return values, None, (), ()
    backend = same_backend(op.name, *tensors)
    # Lists, as a generator costs a call per item.
    data = [
        x._data if isinstance(x, Tensor) else backend.asarray(operand(op, x, backend))
        for x in values
    ]
    nodes = [x._node if isinstance(x, Tensor) else None for x in values]
    return values, backend, tuple(data), tuple(nodes)


def as_tensor(value: Any, *others: Any) -> Any:
    """A tensor of what a user gave in its place, on the backend of the first tensor of `others`.

    Within a sweep on raw arrays, an array is what is wanted.
    """
    if isinstance(value, Tensor) or raw_backend.get() is not None:
        return value
    backend = next((x.backend for x in others if isinstance(x, Tensor)), None)
    try:
        return tensor(value, backend=backend)
    except TypeError as error:
        raise TypeError(f"{public_name('op')}: {error}{_instead(value)}") from error


def raise_mixed(name: str, *inputs: Any) -> None:
    """Two inputs of a call are on different backends."""
    same_backend(name, *(x for x in inputs if isinstance(x, Tensor)))


# --- what a forward gives ------------------------------------------------------------------


def check_result(op: Any, y: Any, backend: Any, which: str = "it") -> Any:
    """The forward's result as an array of the backend; an error if it is none."""
    if isinstance(y, np.generic):
        y = backend.asarray(y)
    elif isinstance(y, Tensor) and y.backend is backend:
        y = y._data  # of a forward that is written in ops
    if not isinstance(y, backend.array_type):
        several = isinstance(y, (list, tuple)) and not op.multi_output
        raise TypeError(
            f"op {op.name}: its forward must return an array of backend {backend.name!r}; {which} "
            f"returned {_kind(y)}"
            + (". An op of several outputs is declared by @mg.op(many=True)" if several else "")
        )
    if y.dtype.kind not in KINDS:
        raise TypeError(
            f"op {op.name}: its forward must return floats, integers or truth values; {which} "
            f"returned {y.dtype}"
        )
    return y


def check_results(op: Any, ys: Any, backend: Any) -> list[Any]:
    """The same for an op of several outputs."""
    if not isinstance(ys, (list, tuple)):
        raise TypeError(
            f"op {op.name}: it is declared with many=True, so its forward must return a list of "
            f"arrays; it returned {_kind(ys)}"
        )
    return [check_result(op, y, backend, f"output {i}") for i, y in enumerate(ys)]


def raise_no_derivative(op: Any) -> NoReturn:
    """An op that has no derivative is called with an input that requires a gradient."""
    if op.variadic:
        declare, none = "vjp_all(...)", "vjp_all(None)"
    else:
        declare = f"vjp({', '.join(f'{x}=...' for x in op.inputs)})"
        none = declare.replace("...", "None")
    raise DeclarationError(
        f"{op.name} has no derivative: declare {op.name}.{declare} or say {op.name}.{none} if no "
        "gradient flows"
    )


# --- what a derivative gives ---------------------------------------------------------------


def raise_outdated(op: Any) -> NoReturn:
    """A backward pass meets a call of an op from before its derivatives were declared again."""
    raise RuntimeError(
        f"the derivative of {op.name} was declared again after this graph was built; run the "
        "forward pass again"
    )


def fit_gradient(op: Any, part: Any, name: str, like: Node, sweep: Any) -> Any:
    """What a derivative gave for the input `name`, fitted to it; an error if it can't be.

    It may have the shape of the input, or one that the input broadcasts to.
    """
    backend = like.backend
    wanted = Tensor if sweep.builds_graph else backend.array_type
    given = _kind(part)
    if isinstance(part, np.generic) and not sweep.builds_graph:
        part = backend.asarray(part)
    elif isinstance(part, Tensor) and part.backend is backend and not sweep.builds_graph:
        part = part._data  # of a constant in the derivative
    if not isinstance(part, wanted):
        cure = f"0 * g, or declare {name}=None if no gradient flows there"
        if part is not None:
            cure = "what is written in operators and minigrad's ops from g and what was saved"
        raise TypeError(
            f"op {op.name}: its derivative for {name} returned {given} in place of a gradient of "
            f"shape {tuple(like.shape)}; return {cure}"
        )
    if part.dtype.kind not in KINDS:
        raise TypeError(f"op {op.name}: its derivative for {name} returned {part.dtype}")
    shape, target = part.shape, like.shape
    if len(shape) < len(target) or any(
        n not in (1, m) for n, m in zip(target[::-1], shape[::-1], strict=False)
    ):
        raise ValueError(
            f"op {op.name}: its derivative for {name} returned shape {tuple(shape)}, and {name} "
            f"has shape {tuple(target)}; a gradient has the shape of its input"
        )
    return part if shape == target and part.dtype == like.dtype else sweep.unbroadcast(part, like)


def fit_gradients(op: Any, parts: Any, node: Node, sweep: Any) -> Sequence[Any]:
    """The same for a derivative that is shared by all inputs."""
    if not isinstance(parts, (list, tuple)) or len(parts) != len(node.edges):
        got = f"{len(parts)}" if isinstance(parts, (list, tuple)) else _kind(parts)
        raise TypeError(
            f"op {op.name}: its derivative must return a list of {len(node.edges)} gradients, one "
            f"per input; it returned {got}"
        )
    names = op.inputs
    if op.variadic:
        names = tuple(f"{op.inputs[0]}[{i}]" for i in range(len(parts)))
    return [
        None
        if edge is None or edge not in sweep.grads
        else fit_gradient(op, part, name, edge, sweep)
        for part, name, edge in zip(parts, names, node.edges, strict=True)
    ]


def _kind(value: Any) -> str:
    """A value that is no array, in words."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {value!r:.60}"
