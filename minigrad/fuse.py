"""Fusing: functions of rows that a backend may run as one kernel, and which way everything ran.

`MINIGRAD_FUSED` is 1 (fuse where that is possible and faster, the default), 0 (never), or
`require` (fuse wherever that is possible; elsewhere raise an error that says why not).
`dispatch_counts()` reports what ran fused or composed, and why.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any

from .engine.graph import is_tracing, only_values
from .engine.tensor import Tensor
from .engine.wrapping import apart
from .errors import BackendError
from .fusion import (
    NO_COMPILER,
    PLAIN,
    FusedFunction,
    compiles,
    dispatch,
    is_composed,
)
from .other_names.calls import refuse

# Objects of these have attributes, but none that are a function's arguments.
NOT_SEARCHED = (type, FunctionType, ModuleType)


class RowFunction(FusedFunction):
    """A function that may run as one kernel; made by `fuse`."""

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        if not callable(function):
            raise TypeError(f"fuse takes a function; got {type(function).__name__}")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = str(name or getattr(function, "__name__", type(function).__name__))
        # minigrad's own functions edit no tensor, and return what ops gave.
        self._is_own = (getattr(function, "__module__", None) or "").startswith("minigrad.")

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """What the function gives, by a kernel where that is possible and faster."""
        backend = _backend_of(args, settings)
        if not compiles(backend):
            # Without tensors it is part of a derivative; within a trace, of the program there.
            if backend is not None and not is_tracing():
                dispatch(self.name, self.name, backend, NO_COMPILER)
            return self._compose(args, settings)
        sizes = [x._data.size for x in args if isinstance(x, Tensor)]
        if is_composed(self.name, max(sizes) if sizes else None, backend):
            return self._compose(args, settings)

        def attempt(required: bool) -> Any:
            return _call_class()(self, args, settings, backend).attempt()

        outcome = dispatch(self.name, self.name, backend, attempt)
        return self._compose(args, settings) if outcome is None else outcome

    def source(self, *args: Any, **settings: Any) -> str:
        """The kernels of the function for these arguments, as text; backwards if one needs it.

        On NumPy it is plain NumPy, which runs with MINIGRAD_FUSED=require: op by op is faster.

        Raises `FusionError` if it can't be compiled for them, `BackendError` on a backend without a
        compiler, and TypeError without a tensor.

        >>> @mg.fuse
        ... def swish(x, beta=1.0):
        ...     return x * mg.sigmoid(beta * x)
        >>> text = swish.source(mg.zeros((2, 3), "float64", backend="numpy"))
        >>> print(text[text.index("    for") : text.index("# forwards: what")].rstrip())
            for x_0, tmp in zip(each(x_0s), each(tmps)):
                np.multiply(1.0, x_0, out=tmp2)
                sigmoid(tmp2, out=tmp2)
                np.multiply(x_0, tmp2, out=tmp)
        """
        backend = _backend_of(args, settings)
        if backend is None:
            raise TypeError(
                f"source of {self.name}: give it the arguments of a call; got no tensor among them"
            )
        if not compiles(backend):
            raise BackendError(
                f"source: backend {backend.name!r} has no compiler, so functions run op by op there"
            )
        text: str = _call_class()(self, args, settings, backend).source()
        return text

    def _compose(self, args: Any, settings: Any) -> Any:
        """What the function gives, op by op; it edits its arguments as little as a kernel does."""
        if self._is_own:
            try:
                return self.function(*args, **settings)
            except TypeError:
                refuse(f"mg.{self.name}", self.function, args, settings)
                raise
        token = only_values.set(True)
        try:
            return apart(self.function(*args, **settings))
        finally:
            only_values.reset(token)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method it is called with its object in front, like any function."""
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<fused {self.name}>"

    def __reduce__(self) -> str:
        return self.function.__qualname__  # copied and pickled by reference, as functions are


def fuse(function: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
    """Compile a function of elementwise ops and reductions over the last axis; a decorator.

    On a backend with a compiler the function runs as one kernel forwards and one backwards: a
    pass over the rows in which every value is a loop over the features. Its gradient follows
    automatically, as for any composition. On NumPy, whose ops are faster one by one, on backends
    without a compiler, and wherever it can't be compiled, it runs as the composition of its ops;
    `dispatch_counts()` reports which way, and why.
    Second-order gradients are always those of the composition. One kernel per function and dtype
    serves every number of rows. Floats among the arguments are arguments of the kernel, too, unless
    the function looks at them, as in `if beta < 1`; other arguments that are not tensors are
    constants of it.

    In the function `x += y` is x = x + y for every x, so it edits none of its arguments.

    Parameters
    ----------
    function : takes tensors (also within lists, dicts and objects, as `self`) and settings, and
        returns a tensor or a tuple of them. The inputs of most axes are the rows, (..., F) each
        with the same leading axes; the others, (F,), (1,) or (), are the same for every row.
        Reductions are over `axis=-1`. The results have a row, or a number, for each row.
    name : what counts and graphs call it, if not by the function's name.

    Raises
    ------
    FusionError : if MINIGRAD_FUSED=require and it can't be compiled; the text says why.

    Examples
    --------
    >>> import minigrad as mg
    >>> @mg.fuse
    ... def swish(x, beta=1.0):
    ...     return x * mg.sigmoid(beta * x)
    >>> x = mg.tensor([0.0, 1.0], requires_grad=True)
    >>> swish(x).sum().backward()
    >>> [round(g, 4) for g in x.grad.tolist()]
    [0.5, 0.9277]
    """
    if function is None:
        return functools.partial(fuse, name=name)
    return RowFunction(function, name)


def fuse_on_devices(*, name: str) -> Callable[[Callable[..., Any]], RowFunction]:
    """`fuse` for a function of so little work that a kernel is faster only on a device."""
    return lambda function: _DeviceFunction(function, name)


class _DeviceFunction(RowFunction):
    def __call__(self, *args: Any, **settings: Any) -> Any:
        """What the function gives; its first argument is a tensor."""
        if args[0].backend.is_host:
            return self.function(*args, **settings)
        return super().__call__(*args, **settings)


@functools.cache  # a statement that imports takes a microsecond each time
def _call_class() -> Any:
    """The class of calls by kernels, loaded when there may be one."""
    from .compiler.fused_function import FunctionCall

    return FunctionCall


def _backend_of(args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """The backend of the first tensor among the arguments, or within them; None if none."""
    for x in args:
        if isinstance(x, Tensor):
            return x.backend
    return _backend_within(args, settings)


def _backend_within(args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """The backend of the first tensor among the settings, or within containers; None if none."""
    seen: set[int] = set()
    values: list[Any] = [*args, *settings.values()]
    while values:
        x = values.pop(0)
        if isinstance(x, Tensor):
            return x.backend
        if x.__class__ in PLAIN or id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, (list, tuple)):
            values += x
        elif not isinstance(x, NOT_SEARCHED):
            values += (x if isinstance(x, dict) else getattr(x, "__dict__", {})).values()
    return None
