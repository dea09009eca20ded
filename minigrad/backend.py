"""Backends: who computes. The protocol, the array-module backend, the registry, the selection.

A backend is an object that every tensor carries. It offers the names of `PROTOCOL`;
an op's forward calls them on raw arrays and knows nothing else of the machine.
NumPy and CuPy are one class, `ArrayModuleBackend`, over two array modules.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import summation
from .arguments import Variable
from .install import install_line
from .messages import nearest
from .scope import Scope
from .summation import HALF, SINGLE

__all__ = [
    "PROTOCOL",
    "ArrayModuleBackend",
    "BackendError",
    "available_backends",
    "current_backend",
    "get_backend",
    "register_backend",
    "set_backend",
    "use_backend",
]

# What a backend offers, by purpose. Arrays are whatever the backend likes, as long as they have
# `shape`, `dtype`, `ndim` and Python's arithmetic and comparison operators.
PROTOCOL: dict[str, tuple[str, ...]] = {
    "identity": ("name", "device", "array_type", "is_host"),
    "in and out": (
        *("asarray", "from_host", "to_host", "astype", "copy", "contiguous"),
        *("synchronize", "quiet"),
    ),
    "creation": ("zeros", "ones", "full", "empty", "arange"),
    "arithmetic": ("add", "subtract", "multiply", "divide", "negative", "power", "square"),
    "elementwise": (
        *("exp", "log", "log1p", "expm1", "sqrt", "abs", "sign", "sin", "cos", "tanh"),
        *("sigmoid", "relu", "maximum", "minimum", "where", "clip"),
    ),
    "truth": (
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_not", "isfinite", "isnan", "any", "all"),
    ),
    "bits": (
        *("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift"),
        *("right_shift",),
    ),
    "reductions": ("sum", "mean", "max", "min", "argmax", "argmin", "cumsum"),
    "products": ("matmul", "einsum"),
    "shape": (
        *("reshape", "transpose", "broadcast_to", "concatenate", "stack", "split", "unstack"),
        *("flip", "pad", "tril", "triu"),
    ),
    "indexing": ("getitem", "scatter", "index_array"),
}


class BackendError(RuntimeError):
    """A backend is unknown, can't start here, or doesn't do what was asked.

    >>> try:
    ...     mg.get_backend("nunpy")
    ... except mg.BackendError as error:
    ...     print(error)
    unknown backend 'nunpy'; known are ... Did you mean 'numpy'?
    """


class ArrayModuleBackend:
    """Every name of the protocol over an array module that follows NumPy.

    A subclass replaces what its module does differently; a backend with kernels of its own
    overrides single names (`self.tanh = ...`) and stays complete in all others.

    Parameters
    ----------
    xp : the array module, for example `numpy`.
    name : what `MINIGRAD_BACKEND` and error messages call it.
    device : where its arrays live, as people say it (`"cpu"`, `"cuda:0"`).
    is_host : whether `numpy.asarray` may read its arrays without a transfer.

    >>> mg.ArrayModuleBackend(np, "plain", is_host=True).tanh(np.zeros(2))
    array([0., 0.])
    """

    # Of a backend with a compiler: makes a kernel of a `minigrad.compiler.schedule.Loop`.
    compile_loop: Callable[..., Callable[..., None]] | None = None

    def __init__(self, xp: Any, name: str, device: str = "cpu", is_host: bool = False) -> None:
        self.xp = xp
        self.name = name
        self.device = device
        self.is_host = is_host
        self.array_type: type = xp.ndarray
        for group in PROTOCOL.values():
            for method in group:
                if not hasattr(self, method) and hasattr(xp, method):
                    setattr(self, method, getattr(xp, method))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"backend {self.__dict__.get('name', '?')!r} has no {name!r}")

    def __repr__(self) -> str:
        return f"<minigrad backend {self.name!r} on {self.device}>"

    # --- in and out ------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """An array of this backend from one of its arrays, its scalars or a Python number."""
        return self.xp.asarray(value, dtype=dtype)

    def from_host(self, array: np.ndarray) -> Any:
        """This backend's copy of a NumPy array."""
        return self.xp.array(array)

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy copy of this backend's array."""
        return np.array(array)

    def astype(self, x: Any, dtype: Any) -> Any:
        """A copy of x in another dtype."""
        return x.astype(dtype)

    def copy(self, x: Any) -> Any:
        """The same numbers in memory of their own."""
        return x.copy()

    def contiguous(self, x: Any) -> Any:
        """x if its elements lie in reading order, else a copy in which they do."""
        return self.xp.asarray(x, order="C")

    def synchronize(self) -> None:
        """Wait until everything asked for is computed; a host backend has nothing to wait for."""

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which overflow and division by zero give inf and NaN without a warning."""
        return contextlib.nullcontext()

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which this backend's device is the current one; entered by who selects it.

        A backend that has one device needs none, so plugins may leave this out.
        """
        return contextlib.nullcontext()

    # --- what array modules lack or do differently --------------------------------------------

    def sigmoid(self, x: Any) -> Any:
        """1 / (1 + exp(-x)), accurate in both tails."""
        with self.quiet():  # exp(-x) may be infinite, and then this is 0
            return 1 / (1 + self.xp.exp(-x))

    def relu(self, x: Any) -> Any:
        """x where it is positive, else 0."""
        return self.xp.maximum(x, 0)

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product over the last two axes."""
        if a.shape[-1:] > (summation.LONG,) and a.dtype.kind == b.dtype.kind == "f":
            if a.dtype == HALF and b.dtype == HALF:
                return self.matmul(a.astype(SINGLE), b.astype(SINGLE)).astype(HALF)
            return summation.product(self._matmul, a, b, not self.is_host)
        return self._matmul(a, b)

    def _matmul(self, a: Any, b: Any) -> Any:
        """The product by the module."""
        if b.ndim == 2 and a.ndim > 2:  # one large product beats a loop of small ones
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return self.xp.matmul(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        return self.xp.matmul(a, b)

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum, of many numbers pairwise, of float16 in float32."""
        y = summation.total(x, axis, keepdims, not self.is_host)
        return y if y.dtype is x.dtype or x.dtype != HALF else y.astype(HALF)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean; of integers and truth values in float64."""
        if not self.is_host and x.size <= summation.DEVICE_FEW:
            return self.xp.mean(x, axis=axis, keepdims=keepdims)  # one launch
        y = summation.total(x, axis, keepdims, not self.is_host)
        y = y / (x.size // y.size if y.size else 1)
        return y if y.dtype is x.dtype or x.dtype != HALF else y.astype(HALF)

    def cumsum(self, x: Any, axis: int) -> Any:
        """The running sum, added up in float64."""
        if x.dtype.kind != "f":
            return self.xp.cumsum(x, axis=axis)
        return self.xp.cumsum(x, axis=axis, dtype=np.float64).astype(x.dtype, copy=False)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        """Einstein's sum, in its explicit form."""
        terms, arrow, output = subscripts.partition("->")
        if not arrow or "." in subscripts:
            return self.xp.einsum(subscripts, *arrays)
        few = summation.FEW if self.is_host else summation.DEVICE_FEW
        return summation.contraction(self.xp.einsum, terms.split(","), output, arrays, few)

    def split(self, x: Any, sections: Sequence[int], axis: int) -> list[Any]:
        """Views of the given sizes along `axis`."""
        views, start = [], 0
        prefix = (slice(None),) * axis
        for size in sections:
            views.append(x[(*prefix, slice(start, start + size))])
            start += size
        return views

    def unstack(self, x: Any, axis: int) -> list[Any]:
        """One view per index of `axis`."""
        prefix = (slice(None),) * axis
        # Ellipsis: the last axis gone, an array of no dimensions must still be an array
        return [x[(*prefix, i, ...)] for i in range(x.shape[axis])]

    def getitem(self, x: Any, index: Any) -> Any:
        """x[index], the index prepared by `index_array`."""
        return x[index]

    def scatter(self, g: Any, index: Any, shape: tuple[int, ...]) -> Any:
        """Zeros of `shape` with `g` added at `index`; where an index repeats, its rows add up."""
        if is_basic(index):
            out = self.xp.zeros(shape, g.dtype)
            out[index] = g  # a slice names no element twice
            return out
        many = g.dtype.kind == "f" and (g.size > summation.FEW or g.dtype == HALF)
        out = self.xp.zeros(shape, np.float64 if many else g.dtype)
        self.xp.add.at(out, index, g)
        return out.astype(g.dtype) if many else out

    def setitem(self, x: Any, index: Any, value: Any) -> Any:
        """A copy of x with `value` at `index`; a plugin without this pays two ways to the host."""
        out = x.copy()
        out[index] = value
        return out

    def index_array(self, value: Any) -> Any:
        """An index (a NumPy array or one of this backend's) as `getitem` and `scatter` want it."""
        return self.xp.array(value)


def is_basic(index: Any) -> bool:
    """Whether an index is made of integers and slices alone, so that it gives a view."""
    for part in index if isinstance(index, tuple) else (index,):
        if not (part is None or part is ... or isinstance(part, (int, slice))):
            return False
    return True


# --- registry ------------------------------------------------------------------------------

GROUP = "minigrad.backends"  # the entry-point group that plugins register in
_loaders: dict[str, Callable[..., Any]] = {}
_loaded: dict[str, Any] = {}
_current: ContextVar[Any] = ContextVar("minigrad_backend", default=None)
_process_default: list[Any] = []  # of all threads: the backend, and who chose it
_entered: list[Any] = []  # contexts that last as long as the process

_variable = Variable("MINIGRAD_BACKEND")
_seen: list[Any] = [None]  # its value when it was read


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def register_backend(name: str, loader: Callable[..., Any]) -> None:
    """Make a backend known under `name`; `loader()` is called at its first use.

    A loader that takes an argument has devices to choose from: `"name:1"` calls `loader("1")`.
    A package does the same without code, by an entry point in the group `minigrad.backends`.

    >>> mg.register_backend("mine", lambda: mg.ArrayModuleBackend(np, "mine", is_host=True))
    >>> mg.ones(2, backend="mine")
    tensor([1., 1.], backend='mine')
    """
    _loaders[name] = loader
    for loaded in [key for key in _loaded if key.partition(":")[0] == name]:
        del _loaded[loaded]


def available_backends() -> list[str]:
    """The names of all known backends, sorted, without importing any of them.

    >>> import minigrad as mg
    >>> "numpy" in mg.available_backends()
    True
    """
    return sorted(set(_loaders) | set(_entry_points()))


def get_backend(name: Any) -> Any:
    """The backend called `name`, loaded at its first use; a backend object is returned as it is.

    A name may end in a device, as in `"cupy:1"`, for backends that have several.

    Raises `BackendError` for an unknown name (the known ones and the nearest are listed) and for
    a known backend that can't start here (the cause and the install line are given).

    >>> mg.get_backend("numpy")
    <minigrad backend 'numpy' on cpu>
    """
    if not isinstance(name, str):
        if not hasattr(name, "array_type"):
            raise TypeError(
                "a backend is given by its name, such as 'numpy', or as a backend object, such as "
                f"x.backend; got {type(name).__name__} {name!r:.40}"
            )
        return name
    if name in _loaded:
        return _loaded[name]
    base, colon, device = name.partition(":")
    if base not in _loaders and base not in _entry_points():
        raise BackendError(_unknown(name))
    try:
        load = _loaders[base] if base in _loaders else _entry_points()[base].load()
        choose = bool(colon and inspect.signature(load).parameters)
        backend = load(device) if choose else load()
    except Exception as cause:
        hint = getattr(cause, "hint", None) or how_to_install(name)
        raise BackendError(
            f"backend {name!r} is known but can't start here: {cause}."
            + (f" Possible cure: {hint}" if hint else "")
        ) from cause
    if colon and not choose:
        raise BackendError(
            f"backend {base!r} has one device only; take {base!r} instead of {name!r}"
        )
    _loaded[name] = backend
    return backend


def backend_at(target: Any, here: Any) -> Any:
    """The backend that `x.to(target)` means for an x on the backend `here`.

    It may be given as a device: that of `here`, or "cpu" for a backend on the host.
    """
    if isinstance(target, str) and target not in _loaded:
        if target == here.device:
            return here
        if target in available_backends():
            return get_backend(target)
        if target == "cpu":
            return here if here.is_host else get_backend("numpy")
    if isinstance(target, (np.dtype, type)) or (isinstance(target, str) and _is_dtype(target)):
        name = np.dtype(target).name if _is_dtype(target) else "float32"
        raise TypeError(
            f"to() moves to a backend, as in x.to('numpy'), and {target!r} is a dtype; convert "
            f"to it with x.astype({name!r})"
        )
    return get_backend(target)


def _is_dtype(value: Any) -> bool:
    try:
        np.dtype(value)
    except TypeError:
        return False
    return True


def how_to_install(name: str) -> str | None:
    """What to type for a backend that comes from a package; None for one registered by code."""
    point = _entry_points().get(name)
    if point is None or point.dist is None:
        return None
    extra = name in (point.dist.metadata.get_all("Provides-Extra") or ())
    if point.dist.name == "minigrad":
        return install_line(name) if extra else None
    return f'pip install "{point.dist.name}[{name}]"' if extra else f"pip install {point.dist.name}"


_DEVICES = {"cpu": "numpy", "cuda": "cupy", "gpu": "cupy"}  # devices, and the backend on each


def _unknown(name: str) -> str:
    known = available_backends()
    base, colon, device = name.partition(":")
    device_of = _DEVICES.get(base.lower())
    near = device_of or nearest(base, known, cutoff=0.5)
    meant = f" Did you mean {near + colon + device!r}?" if near else ""
    if not known:
        meant = " None is registered: is minigrad installed (pip install -e .)?"
    return f"unknown backend {name!r}; known are {', '.join(known)}.{meant}"


# --- selection -----------------------------------------------------------------------------


def current_backend() -> Any:
    """The backend on which new tensors are made.

    The innermost `use_backend`, else `set_backend`, else the environment variable
    `MINIGRAD_BACKEND` (read at first use), else NumPy.

    >>> with mg.use_backend("numpy"):
    ...     mg.current_backend()
    <minigrad backend 'numpy' on cpu>
    """
    backend = _current.get()
    if backend is not None:
        return backend
    if not _process_default:
        _process_default[:] = [_activated(_from_environment()), _chooser()]
        _seen[:] = [_variable.get()]
    elif _variable.get() != _seen[0]:
        _say_that_it_is_late()
    return _process_default[0]


def chosen_by() -> str:
    """Who chose the current backend, in words, for `minigrad doctor`."""
    if _current.get() is not None:
        return "use_backend"
    return _process_default[1] if _process_default else _chooser()


def _chooser() -> str:
    return "MINIGRAD_BACKEND" if _variable.get() else "default"


def _say_that_it_is_late() -> None:
    """The variable was changed after its first use, as in a running notebook: a warning, once."""
    asked = _variable.get()
    _seen[:] = [asked]
    now, chooser = _process_default
    if chooser == "set_backend" or (asked or "numpy") == now.name:
        return
    what = f"changed to {asked!r}" if asked else "removed"
    warnings.warn(
        f"MINIGRAD_BACKEND was {what} after it had been read: new tensors are still made on "
        f"{now.name!r}. Call mg.set_backend({asked or 'numpy'!r}), or set the variable before the "
        "first tensor is made",
        stacklevel=4,
    )


def _from_environment() -> Any:
    name = _variable.get() or "numpy"
    if name != "auto":
        try:
            return get_backend(name)
        except BackendError as error:
            raise BackendError(f"MINIGRAD_BACKEND={name}: {error}") from error.__cause__
    for candidate in ("cupy", "numba", "numpy"):
        if candidate in available_backends():
            with contextlib.suppress(BackendError):  # `auto` is the one value that may pass on
                backend = get_backend(candidate)
                print(f"minigrad: MINIGRAD_BACKEND=auto chose {candidate!r}", file=sys.stderr)
                return backend
    raise BackendError(_unknown("auto"))


def set_backend(name: Any) -> None:
    """Choose the backend of new tensors for the whole process.

    >>> mg.set_backend("numpy")
    >>> mg.ones(2).backend.name
    'numpy'
    """
    _process_default[:] = [_activated(get_backend(name)), "set_backend"]
    _seen[:] = [_variable.get()]


def _activated(backend: Any) -> Any:
    """The backend, its device being the current one of this thread from now on."""
    _entered.append(active(backend))
    _entered[-1].__enter__()
    return backend


def active(backend: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which the device of `backend` is the current one, if it has several."""
    return getattr(backend, "active", contextlib.nullcontext)()


class use_backend(Scope):
    """Choose the backend of new tensors within a `with` block, or within a decorated function.

    A decorated generator or async function has it at each of its steps; between them the caller's
    backend holds.

    >>> import minigrad as mg
    >>> with mg.use_backend("numpy") as backend:
    ...     print(mg.zeros(2).backend is backend)
    True
    >>> @mg.use_backend("numpy")
    ... def batches():
    ...     yield mg.ones(2)
    >>> next(batches()).backend.name
    'numpy'
    """

    def __init__(self, name: Any) -> None:
        backend = get_backend(name)
        super().__init__(_current, backend, lambda: active(backend))

    def __enter__(self) -> Any:
        super().__enter__()
        return self._value
