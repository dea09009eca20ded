"""Names for values inside a cell: `probe`, where a name belongs, and who asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from ..engine.graph import probing
from ..engine.tensor import Tensor
from ..utils.scope import Scope

__all__ = ["probe"]

# What names begin with at this point.
place: ContextVar[str] = ContextVar("minigrad_place", default="")
_paths: ContextVar[_Paths | None] = ContextVar("minigrad_paths", default=None)
_scans: ContextVar[tuple[Steps, ...]] = ContextVar("minigrad_scans", default=())


def probe(name: str, x: Tensor) -> Tensor:
    """x itself, under a name: `mg.record()` keeps its value, `mg.override(...)` replaces it.

    `mg.draw` shows the name, too. A probe costs next to nothing unless something is recorded or
    replaced. Kernels are the same with and without it.

    >>> import minigrad as mg
    >>> def cell(p, x, h):
    ...     h = mg.probe("sum", h + x)
    ...     return h, h
    >>> with mg.record() as trace:
    ...     _ = mg.scan(cell, None, mg.ones((3, 2)), mg.zeros(2))
    >>> trace["sum"].tolist()
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    asks = probing.get()
    if asks is not None:
        x = asks.visit(full_name(name, x), x)
    if (node := getattr(x, "_node", None)) is not None:
        node.label = name  # for pictures
    return x


def full_name(name: str, x: Any) -> str:
    """The name with its place; an error if what it names is no tensor."""
    if not isinstance(name, str):
        raise TypeError(f"probe: a name is a string; got {type(name).__name__} {name!r:.40}")
    if not isinstance(x, Tensor):
        raise TypeError(f"probe: {name!r} names a tensor; got {type(x).__name__} {x!r:.40}")
    return place.get() + name


def is_named(full: str, name: str) -> bool:
    """Whether a name means a full name: it is the same, or its end."""
    return full == name or full.endswith(f".{name}")


def placed(name: str) -> Scope:
    """Names within this context begin with the name of a place."""
    return Scope(place, f"{place.get()}{name}.")


class _Paths:
    """Where the names in a module, and in those within it, belong."""

    def __init__(self, module: Any, start: str) -> None:
        self._module, self._start = module, start
        self._inside: dict[int, str] | None = None  # by id, once a module within is called

    def of(self, module: Any) -> str | None:
        """What names in a module begin with; None for one that isn't within."""
        if module is self._module:
            return self._start
        if self._inside is None:
            named = self._module.named_modules()
            self._inside = {id(part): f"{self._start}{path}." for path, part in named if path}
        return self._inside.get(id(module))


class placed_by:
    """Names within this context begin with the path of a module in the outermost one.

    The outermost is the first of the modules that are called, so its own path is empty.
    """

    def __init__(self, module: Any) -> None:
        self._module = module

    def __enter__(self) -> None:
        paths = _paths.get()
        path = None if paths is None else paths.of(self._module)
        self._token: Any = (
            _paths.set(_Paths(self._module, place.get())) if path is None else place.set(path)
        )

    def __exit__(self, *error: object) -> None:
        self._token.var.reset(self._token)


class Steps:
    """A scan that runs op by op, as a context: at step `t` of T.

    `valid` (T, N) is true where a step counts; None if all do. `reverse` says that it begins at
    the last step.
    """

    def __init__(self, T: int, valid: Tensor | None, reverse: bool = False) -> None:
        self.T, self.valid, self.reverse = T, valid, reverse
        self.t = 0

    def __enter__(self) -> Steps:
        self._token = _scans.set((*_scans.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        _scans.reset(self._token)


At = list[tuple[Steps, int]]


def here() -> At:
    """The scans that this code is within, from the outermost, each with its step."""
    return [(scan, scan.t) for scan in _scans.get()]


class Probing:
    """What holds for probes in a context: what replaces values, then what keeps them.

    A subclass with `each_step` has its `visit` called at each step of a scan, with the tensors of
    the loop's graph; such a scan must run op by op.
    """

    each_step = False

    def __init__(self, overrides: Sequence[Any] = (), recordings: Sequence[Any] = ()) -> None:
        self.overrides, self.recordings = tuple(overrides), tuple(recordings)

    def visit(self, full: str, x: Tensor) -> Tensor:
        """A value that has a name: what stands in its place."""
        for override in self.overrides:
            x = override.instead(full, x)
        at = here()
        for recording in self.recordings:
            x = recording.keep(full, x, at)
        return x

    def muted(self) -> Probing:
        """The same for a run that repeats another one: nothing is kept."""
        return Probing(self.overrides, [recording.muted() for recording in self.recordings])

    def why_composed(self) -> str:
        """Why no kernel may run here."""
        return "its values are recorded" if self.recordings else "its values are replaced"
