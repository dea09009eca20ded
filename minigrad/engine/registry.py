"""Which backends there are, and which one is chosen."""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import BackendError
from ..utils.install import install_line
from ..utils.scope import Scope
from ..utils.settings import Variable
from ..utils.spelling import nearest
from .explain import frame_outside

__all__ = [
    "available_backends",
    "current_backend",
    "get_backend",
    "register_backend",
    "set_backend",
    "use_backend",
]


# --- registry ------------------------------------------------------------------------------

GROUP = "minigrad.backends"  # the entry-point group that plugins register in
backend_loaders: dict[str, Callable[..., Any]] = {}
loaded_backends: dict[str, Any] = {}
_current: ContextVar[Any] = ContextVar("minigrad_backend", default=None)
process_default: list[Any] = []  # of all threads: the backend, and who chose it
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
    backend_loaders[name] = loader
    for loaded in [key for key in loaded_backends if key.partition(":")[0] == name]:
        del loaded_backends[loaded]


def available_backends() -> list[str]:
    """The names of all known backends, sorted, without importing any of them.

    >>> import minigrad as mg
    >>> "numpy" in mg.available_backends()
    True
    """
    return sorted(set(backend_loaders) | set(_entry_points()))


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
    if name in loaded_backends:
        return loaded_backends[name]
    base, colon, device = name.partition(":")
    if base not in backend_loaders and base not in _entry_points():
        raise BackendError(_unknown(name))
    try:
        load = backend_loaders[base] if base in backend_loaders else _entry_points()[base].load()
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
    loaded_backends[name] = backend
    return backend


def backend_at(target: Any, here: Any) -> Any:
    """The backend that `x.to(target)` means for an x on the backend `here`.

    It may be given as a device: that of `here`, or "cpu" for a backend on the host.
    """
    if isinstance(target, str) and target not in loaded_backends:
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
    if not process_default:
        process_default[:] = [_activated(_from_environment()), _chooser()]
        _seen[:] = [_variable.get()]
    elif _variable.get() != _seen[0]:
        _say_that_it_is_late()
    return process_default[0]


def chosen_by() -> str:
    """Who chose the current backend, in words, for `minigrad doctor`."""
    if _current.get() is not None:
        return "use_backend"
    return process_default[1] if process_default else _chooser()


def _chooser() -> str:
    return "MINIGRAD_BACKEND" if _variable.get() else "default"


def _say_that_it_is_late() -> None:
    """The variable was changed after its first use, as in a running notebook: a warning, once."""
    asked = _variable.get()
    _seen[:] = [asked]
    now, chooser = process_default
    if chooser == "set_backend" or (asked or "numpy") == now.name:
        return
    what = f"changed to {asked!r}" if asked else "removed"
    asked_for_it = frame_outside("minigrad")
    warnings.warn_explicit(
        f"MINIGRAD_BACKEND was {what} after it had been read: new tensors are still made on "
        f"{now.name!r}. Call mg.set_backend({asked or 'numpy'!r}), or set the variable before the "
        "first tensor is made",
        UserWarning,
        asked_for_it.f_code.co_filename,
        asked_for_it.f_lineno,
    )


def _from_environment() -> Any:
    name = _variable.get() or "numpy"
    if name != "auto":
        try:
            return get_backend(name)
        except BackendError as error:
            raise BackendError(f"MINIGRAD_BACKEND={name}: {error}") from error.__cause__
    if "numpy" not in available_backends():
        raise BackendError(_unknown("auto"))
    started = [get_backend("numpy")]
    for candidate in available_backends():
        with contextlib.suppress(BackendError):  # `auto` is the one value that may pass on
            started.append(get_backend(candidate))
    backend = max(started, key=lambda backend: getattr(backend, "priority", 0))
    print(f"minigrad: MINIGRAD_BACKEND=auto chose {backend.name!r}", file=sys.stderr)
    return backend


def set_backend(name: Any) -> None:
    """Choose the backend of new tensors for the whole process.

    >>> mg.set_backend("numpy")
    >>> mg.ones(2).backend.name
    'numpy'
    """
    process_default[:] = [_activated(get_backend(name)), "set_backend"]
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
