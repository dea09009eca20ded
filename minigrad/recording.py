"""Values inside a cell, by name: `probe` names one, `record` keeps what they are at each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from .engine.graph import is_tracing, on_probe
from .engine.tensor import Tensor
from .utils.scope import Scope

__all__ = ["probe", "record"]

_place: ContextVar[str] = ContextVar("minigrad_place", default="")
_scans: ContextVar[tuple[Steps, ...]] = ContextVar("minigrad_scans", default=())
_recording: ContextVar[Recording | None] = ContextVar("minigrad_recording", default=None)


def probe(name: str, x: Tensor) -> Tensor:
    """x itself; `mg.record()` keeps its value under this name.

    A probe costs nothing unless something is recorded. Kernels are the same with and without it.

    >>> import minigrad as mg
    >>> def cell(p, x, h):
    ...     h = mg.probe("sum", h + x)
    ...     return h, h
    >>> with mg.record() as trace:
    ...     _ = mg.scan(cell, None, mg.ones((3, 2)), mg.zeros(2))
    >>> trace["sum"].tolist()
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    if on_probe and not is_tracing():
        on_probe.tell(name, x)
    return x


class record(Scope):
    """Within this context the values that `mg.probe` names are kept, as arrays by their names.

    A value that a cell names is an array (T, N, ...) in the order of the steps, with zeros in the
    padding. Names within a layer begin with its place: `l0.forget`, `l1_reverse.forget`; the end
    of a name is enough if only one name ends so. Scans run op by op within the context. Other
    threads and tasks are not recorded.

    >>> import minigrad as mg
    >>> from minigrad.nn import LSTM
    >>> layer = LSTM(3, 4)
    >>> with mg.record() as trace:
    ...     _ = layer(mg.ones((5, 2, 3)))
    >>> list(trace)
    ['l0.forget', 'l0.candidate', 'l0.input', 'l0.cell', 'l0.output', 'l0.hidden']
    >>> trace["forget"].shape
    (5, 2, 4)
    """

    def __init__(self) -> None:
        made = Recording()
        composed = "its values are recorded"
        super().__init__(_recording, made, lambda: on_probe.within(made._add, composed=composed))

    def __enter__(self) -> Recording:
        super().__enter__()
        return self._value

    def __call__(self, function: Any) -> Any:
        """An error: what a decorated function records could not be read."""
        raise TypeError(
            "record() is a context manager, and no decorator, which would have nothing to give the "
            "values to: write `with mg.record() as trace:` around the call"
        )


def placed(name: str) -> Scope:
    """Names within this context begin with the name of a place."""
    return Scope(_place, f"{_place.get()}{name}.")


class Steps:
    """A scan that runs, as a context: at step `t` of T; `valid` is as in `ValidSteps.mask`."""

    def __init__(self, T: int, valid: Tensor | None) -> None:
        self.T, self.valid = T, valid
        self.t = 0

    def __enter__(self) -> Steps:
        self._token = _scans.set((*_scans.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        _scans.reset(self._token)


class Recording(Mapping[str, np.ndarray]):
    """What `mg.record()` has kept: arrays by name.

    Raises KeyError for a name that is none, or the end of several, and ValueError for one that
    stands for several values: of two scans, or of one step.
    """

    def __init__(self) -> None:
        # By name: per value the scans it is within, from the outermost, each with its step.
        self._kept: dict[str, list[tuple[list[tuple[Steps, int]], Tensor]]] = {}

    def _add(self, name: str, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"probe: {name!r} names a tensor; got {type(x).__name__} {x!r:.40}")
        at = [(scan, scan.t) for scan in _scans.get()]
        copy = Tensor(x.backend.copy(x._data), x.backend)  # parameters are edited in place
        self._kept.setdefault(_place.get() + name, []).append((at, copy))

    def __getitem__(self, name: str) -> np.ndarray:
        full = self._full(name)
        return _stacked(full, self._kept[full])

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<recording of {', '.join(self._kept) or 'nothing'}>"

    def _full(self, name: str) -> str:
        if name in self._kept:
            return name
        found = [full for full in self._kept if full.endswith(f".{name}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{name!r} may be {' or '.join(found)}: say which")
        raise KeyError(f"nothing named {name!r} was recorded; there is {', '.join(self._kept)}")


def _stacked(name: str, kept: list[tuple[list[tuple[Steps, int]], Tensor]]) -> np.ndarray:
    """One array of the values of all steps."""
    if any(not at for at, _ in kept):
        if len(kept) == 1:
            return kept[0][1].numpy()
        raise ValueError(
            f"{name!r} was recorded {len(kept)} times; record each in a block of its own"
        )
    scan = kept[0][0][0][0]
    steps: dict[int, list[Any]] = {}
    for ((within, t), *rest), x in kept:
        if within is not scan:
            raise ValueError(
                f"{name!r} was recorded in several scans; record each in its own block"
            )
        steps.setdefault(t, []).append((rest, x))
    if len(steps) < scan.T:
        raise ValueError(f"{name!r} was named at {len(steps)} of {scan.T} steps, not at each")
    values = np.stack([_stacked(name, steps[t]) for t in sorted(steps)])[: scan.T]
    if scan.valid is not None and values.shape[:2] == scan.valid.shape:
        valid = scan.valid.numpy()
        values[~valid] = 0
    return values
