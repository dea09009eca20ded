"""Anomaly mode: the first NaN, caught where it is born."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..utils.scope import BareScope, Scope
from .explain import frame_outside
from .graph import Node, on_call, on_gradients, time_step
from .registry import current_backend

_lines: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()


_watching: ContextVar[bool] = ContextVar("minigrad_anomaly", default=False)


class detect_anomaly(BareScope):
    """Within this context the op that first gives a NaN raises, forwards or backwards.

    The error names the op, the line of your code that called it and, in a scan, the time step.
    Every op's result is read, so use it to look for a fault, not to train. A context manager and a
    decorator, of generators and async functions, too.

    Raises FloatingPointError.

    >>> import minigrad as mg
    >>> with mg.detect_anomaly():
    ...     mg.log(mg.tensor(-1.0))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    FloatingPointError: NaN was born in log at ..., line 2; its inputs were () from -1 to -1
    """

    def _prepare(self) -> None:
        Scope.__init__(self, _watching, True, _watch_all)


@contextlib.contextmanager
def _watch_all() -> Iterator[None]:
    with (
        current_backend().quiet(),  # a backend's warning would come first, and say less
        on_call.within(_check_results, composed="anomaly mode looks at every op"),
        on_gradients.within(_check_gradients),
    ):
        yield


def _has_nan(array: Any, backend: Any) -> bool:
    if getattr(array, "dtype", None) is None or np.dtype(array.dtype).kind != "f":
        return isinstance(array, float) and array != array
    return bool(backend.to_host(backend.any(backend.isnan(array))))


def _check_results(
    op: Any, node: Node | None, inputs: Any, output: Any, backend: Any, settings: Any
) -> None:
    step = time_step.get()
    where = f"at {_line()}" + ("" if step is None else f", time step {step}")
    if node is not None:
        _lines[node] = where
    parts = output if isinstance(output, (list, tuple)) else (output,)
    if not any(_has_nan(part, backend) for part in parts):
        return
    given = [i for i, x in enumerate(inputs) if _has_nan(x, backend)]
    if given:
        names = getattr(op, "inputs", ())
        names = names if len(names) == len(inputs) else range(len(inputs))
        raise FloatingPointError(
            f"NaN came into {op.name} through its input {names[given[0]]!r}, {where}"
        )
    ranges = ", ".join(_range(x, backend) for x in inputs)
    raise FloatingPointError(f"NaN was born in {op.name} {where}; its inputs were {ranges}")


def _check_gradients(node: Node, grads: dict[Node, Any]) -> None:
    for edge in node.edges:
        g = grads.get(edge) if edge is not None else None
        parts = g if isinstance(g, list) else [g]
        if any(_has_nan(getattr(part, "_data", part), node.backend) for part in parts):
            called = _lines.get(node, "called before anomaly mode was on")
            raise FloatingPointError(
                f"NaN was born in the backward pass of {node.op.name}, whose forward was {called}"
            )


def _range(x: Any, backend: Any) -> str:
    if not hasattr(x, "shape"):
        return repr(x)
    array = backend.to_host(x)
    if not array.size:
        return f"{array.shape}"
    return f"{array.shape} from {array.min():.4g} to {array.max():.4g}"


def _line() -> str:
    frame = frame_outside("minigrad")
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"
