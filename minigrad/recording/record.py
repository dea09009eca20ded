"""`record`: the values that `probe` names, and their gradients, at each step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from typing import Any, NamedTuple

import numpy as np

from ..engine.filled import zeros
from ..engine.graph import grad_enabled, probing
from ..engine.tensor import Tensor
from . import measures
from .probes import At, Probing, Steps, is_named

__all__ = ["Recording", "record"]

_FEW_NAMES = 12  # of which a notebook shows all heat maps unfolded


class record:
    """Within this context the values that `mg.probe` names are kept, as arrays by their names.

    A value that a cell names is an array (T, N, ...) in the order of the steps, with zeros in the
    padding. Names within a layer begin with its place: `l0.forget`, `l1_reverse.forget`; within a
    module that is called, with the layer's path in it: `encoder.l0.forget`. The end of a name is
    enough if only one name ends so. A value that a loop names at each of its steps is stacked in
    the same way. Scans run by kernels where they do without a recording. Other threads and tasks
    are not recorded.

    Parameters
    ----------
    gradients : whether `trace.gradient` keeps gradients, too: after `backward()` it has, by the
        same names, that of the loss with respect to each value, of the shape of the value.

    Raises
    ------
    KeyError : `trace[name]` for a name that is none, or the end of several.
    ValueError : it stands for values of two scans, or is missing at some steps; a gradient that
        `backward()` has not reached.

    Examples
    --------
    >>> import minigrad as mg
    >>> from minigrad.nn import LSTM
    >>> layer = LSTM(3, 4)
    >>> with mg.record(gradients=True) as trace:
    ...     y, _ = layer(mg.ones((5, 2, 3)))
    >>> list(trace)
    ['l0.forget', 'l0.candidate', 'l0.input', 'l0.cell', 'l0.output', 'l0.hidden']
    >>> trace["forget"].shape
    (5, 2, 4)
    >>> y.sum().backward()
    >>> trace.gradient["forget"].shape
    (5, 2, 4)
    """

    def __init__(self, *, gradients: bool = False) -> None:
        if not isinstance(gradients, (bool, np.bool_)):
            raise TypeError(f"record: gradients is True or False; got {gradients!r:.40}")
        self._recording = Recording(bool(gradients))
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> Recording:
        outer = probing.get() or Probing()
        inner = Probing(outer.overrides, (*outer.recordings, self._recording))
        self._tokens.append(probing.set(inner))
        return self._recording

    def __exit__(self, *error: object) -> None:
        probing.reset(self._tokens.pop())

    def __call__(self, function: Any) -> Any:
        """An error: what a decorated function records could not be read."""
        raise TypeError(
            "record() is a context manager, and no decorator, which would have nothing to give the "
            "values to: write `with mg.record() as trace:` around the call"
        )


class Kept(NamedTuple):
    """A value that was named once."""

    at: At  # the scans that it was named within
    read: Callable[[], np.ndarray]
    scan: bool = False  # whether it is that of all steps of a scan
    valid: Tensor | None = None  # of such a scan: which steps count
    reverse: bool = False  # of such a scan: whether it begins at the last step


class Named(Mapping[str, np.ndarray]):
    """Arrays by names, of which the end is enough."""

    _none = "nothing named {name!r} was recorded; there is {names}"

    def __init__(self) -> None:
        self._kept: dict[str, list[Kept]] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        full = self.full(name)
        kept = self._kept[full]
        if not any(entry.at for entry in kept) and not any(entry.scan for entry in kept):
            return _calls(full, kept)
        return _stacked(full, kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<recording of {', '.join(self._kept) or 'nothing'}>"

    def _repr_html_(self) -> str:
        """A heat map of each name, units down and steps across, of the first sequence."""
        from ..utils.rich import folded, heat_map, shown_text  # loaded when a notebook asks for it

        parts = []
        for name, values in self.items():
            steps = values[:, 0] if values.ndim == 3 else values  # (T, H)
            picture = heat_map(np.asarray(steps).T)
            few = len(self) <= _FEW_NAMES
            parts.append(folded(f"{name} {values.shape}", picture, unfolded=few))
        return "".join(parts) or shown_text(repr(self))

    def full(self, name: str) -> str:
        """The whole name of which `name` is the end. Raises KeyError if there are none or more."""
        if name in self._kept:
            return name
        found = [full for full in self._kept if is_named(full, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{name!r} may be {' or '.join(found)}: say which")
        names = ", ".join(self._kept) or "nothing"
        raise KeyError(f"nothing named {name!r} was recorded; there is {names}")

    def valid(self, name: str) -> np.ndarray | None:
        """Which steps of a name's values count, (T, N); None if all do."""
        kept = self._kept[self.full(name)][0]
        valid = kept.at[0][0].valid if kept.at else kept.valid
        return None if valid is None else valid.numpy()

    def is_reverse(self, name: str) -> bool:
        """Whether the scan of a name's values began at the last step."""
        kept = self._kept[self.full(name)][0]
        return kept.at[0][0].reverse if kept.at else kept.reverse

    def add(self, full: str, kept: Kept) -> None:
        """Keep one more value of a name."""
        self._kept.setdefault(full, []).append(kept)


class Recording(Named):
    """What `mg.record()` has kept: arrays by name; see there for the names and the errors."""

    def __init__(self, gradients: bool, muted: bool = False) -> None:
        super().__init__()
        self._gradients = Named() if gradients else None
        self.added: list[Tensor] = []  # zeros, added to values so that their gradients are known
        self._muted = muted

    @property
    def gradient(self) -> Named:
        """The gradients of the loss with respect to the values, by the same names."""
        if self._gradients is None:
            raise ValueError("gradients are kept by `with mg.record(gradients=True) as trace:`")
        return self._gradients

    # --- what the values say ---------------------------------------------------------------

    def saturation(
        self, *names: str, low: float = 0.1, high: float = 0.9
    ) -> dict[str, measures.Saturation]:
        """For each gate and unit the share of the steps below `low`, and of those above `high`.

        Of the gates of the built-in cells, or of the values of these names: a pair of arrays (H,),
        `shut` and `open`, by full names. Steps in the padding don't count.

        >>> import minigrad as mg
        >>> with mg.record() as trace, mg.override(forget=0.95):
        ...     _ = mg.nn.LSTM(3, 2)(mg.ones((5, 1, 3)))
        >>> trace.saturation("forget")["l0.forget"].open
        array([1., 1.])
        """
        chosen = [self.full(name) for name in names]
        if not names:
            chosen = [full for full in self if full.rpartition(".")[2] in measures.GATES]
        if not chosen:
            raise KeyError(
                f"no gate was recorded ({', '.join(measures.GATES)}); name the values that are "
                f"gates, of {', '.join(self) or 'nothing'}"
            )
        return {
            full: measures.saturation(self[full], self._counted(full), low, high) for full in chosen
        }

    def memory(self, name: str | None = None) -> dict[str, measures.Memory]:
        """How long units keep what is in them: products of the gate that keeps.

        That is the forget gate of a cell with a cell state, the update gate of a GRU, or the value
        of the given name, from 0 to 1. By the gates' full names: `left` (T, N, H), what is left
        at the end of what was there after step t, and `steps` (H,), after how many steps a share
        1/e is left.

        >>> import minigrad as mg
        >>> with mg.record() as trace, mg.override(forget=0.5):
        ...     _ = mg.nn.LSTM(3, 2)(mg.ones((4, 1, 3)))
        >>> trace.memory()["l0.forget"].left[:, 0, 0]
        array([0.125, 0.25 , 0.5  , 1.   ], dtype=float32)
        """
        chosen = [] if name is None else [self.full(name)]
        if name is None:
            ends = {full: full.rpartition(".") for full in self}
            for full, (place, dot, last) in ends.items():
                keeps = last == "forget" and f"{place}{dot}cell" in self
                if keeps or last == "update":
                    chosen.append(full)
        if not chosen:
            raise KeyError(
                "which value keeps? There is no forget gate beside a cell state and no update "
                f"gate; give a name, of {', '.join(self) or 'nothing'}"
            )
        return {
            full: measures.memory(self[full], self._counted(full), self.is_reverse(full))
            for full in chosen
        }

    def match(
        self,
        span: tuple[int, int],
        threshold: float = 0.3,
        name: str = "hidden",
        sequence: int = 0,
        top: int = 10,
    ) -> list[measures.Match]:
        """Other places where the units are active that are active throughout a span of steps.

        A unit is active at a step if its value is at least `threshold`; at most, if that is
        negative. Places are as long as the span and don't overlap. Those come first at which most
        of the span's units are active, then those with the fewest other active units. After
        LSTMVis (Strobelt et al. 2018).

        Parameters
        ----------
        span : the first step, and the one after the last.
        name : of the values (T, N, H).
        sequence : of the N, the one that has the span.
        top : how many places at most.

        >>> import numpy as np
        >>> import minigrad as mg
        >>> def cell(p, x, h):
        ...     h = mg.probe("hidden", x)
        ...     return h, h
        >>> x = np.zeros((8, 1, 2))
        >>> x[[1, 2, 5, 6], 0, 0] = 1
        >>> with mg.record() as trace:
        ...     _ = mg.scan(cell, None, mg.tensor(x), mg.zeros((1, 2), dtype="float64"))
        >>> trace.match(span=(1, 3), top=1)
        [Match(sequence=0, start=5, stop=7, units=1, others=0)]
        """
        states = self[name]
        if states.ndim != 3:
            raise ValueError(f"match: {name!r} must be (T, N, H); it is {states.shape}")
        T, N, _ = states.shape
        if not 0 <= sequence < N:
            raise ValueError(f"match: there are {N} sequences, from 0 on; got {sequence!r}")
        start, stop = measures.check_span(span, T)
        given = sequence, (start, stop), threshold, top
        return measures.match(states, self._counted(name), *given)

    def _counted(self, name: str) -> np.ndarray:
        """Which steps of a name's values count, (T, N)."""
        valid = self.valid(name)
        return np.ones(self[name].shape[:2], bool) if valid is None else valid

    # --- what probes tell it ---------------------------------------------------------------

    def muted(self) -> Recording:
        """One that asks for the same and keeps nothing."""
        return Recording(self._gradients is not None, muted=True)

    def wants_gradient(self, dtype: Any) -> bool:
        """Whether it keeps the gradients of such values, at this point."""
        return self._gradients is not None and dtype.kind == "f" and grad_enabled.get()

    def keep(self, full: str, x: Tensor, at: At) -> Tensor:
        """Keep a value that was named; what stands in its place, so that its gradient is known."""
        if self.wants_gradient(x.dtype):
            added = zeros(x.shape, x.dtype, True, backend=x.backend)
            self.keep_gradient(full, added, at)
            x = x + added
        if not self._muted:
            copy = x.backend.copy(x._data)  # parameters are edited in place
            self.add(full, Kept(at, Tensor(copy, x.backend).numpy))
        return x

    def keep_gradient(self, full: str, added: Tensor, at: At, **scan: Any) -> None:
        """Keep the gradient of what was added to a value: zeros."""
        if self._gradients is not None and not self._muted:
            self.added.append(added)
            read = functools.partial(_gradient_of, full, added)
            self._gradients.add(full, Kept(at, read, bool(scan), **scan))

    def keep_scan(self, full: str, values: Tensor, at: At, **scan: Any) -> None:
        """Keep the values of all steps of a scan, which have no history."""
        if not self._muted:
            self.add(full, Kept(at, values.numpy, True, **scan))


def _gradient_of(full: str, added: Tensor) -> np.ndarray:
    if added.grad is None:
        raise ValueError(
            f"backward() has not reached {full!r}: call loss.backward() first, of a loss that "
            "depends on it"
        )
    return added.grad.numpy()


def _calls(full: str, kept: list[Kept]) -> np.ndarray:
    """The value, or those of all calls of a loop."""
    arrays = [entry.read() for entry in kept]
    if len(arrays) == 1:
        return arrays[0]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"{full!r} was recorded {len(kept)} times, with shapes "
            f"{' and '.join(map(str, sorted(shapes)))}; record each in a block of its own"
        )
    return np.stack(arrays)


def _stacked(full: str, kept: list[Kept]) -> np.ndarray:
    """One array of the values of all steps."""
    if any(not entry.at for entry in kept):
        if len(kept) == 1:
            return kept[0].read()
        if any(entry.scan for entry in kept):
            raise ValueError(
                f"{full!r} was recorded in several scans; record each in its own block"
            )
        raise ValueError(
            f"{full!r} was recorded {len(kept)} times; record each in a block of its own"
        )
    scan: Steps = kept[0].at[0][0]
    steps: dict[int, list[Kept]] = {}
    for entry in kept:
        (within, t), *rest = entry.at
        if within is not scan:
            raise ValueError(
                f"{full!r} was recorded in several scans; record each in its own block"
            )
        steps.setdefault(t, []).append(entry._replace(at=rest))
    if len(steps) < scan.T:
        raise ValueError(f"{full!r} was named at {len(steps)} of {scan.T} steps, not at each")
    values = np.stack([_stacked(full, steps[t]) for t in sorted(steps)])[: scan.T]
    if scan.valid is not None and values.shape[:2] == scan.valid.shape:
        values[~scan.valid.numpy()] = 0
    return values
