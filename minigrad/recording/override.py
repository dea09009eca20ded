"""`override`: something else in the place of the values that `probe` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token
from numbers import Number
from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.graph import probing
from ..engine.tensor import Tensor
from ..ops import astype, broadcast_to
from .probes import Probing, here, is_named

__all__ = ["override"]

Replacement = Callable[[Tensor], Any] | Tensor | np.ndarray | float


class override:
    """Within this context other values stand in the place of those that `mg.probe` names.

    >>> import minigrad as mg
    >>> layer = mg.nn.LSTM(3, 4)
    >>> with mg.override(forget=0.0):  # nothing stays on the belt
    ...     y, (h, c) = layer(mg.ones((5, 2, 3)))

    Parameters
    ----------
    values, named : by name, as in `mg.record()`; the end of a name means all names that end so:
        `override({"l0.forget": 1.0}, output=1.0)`. A replacement is a number; an array or tensor
        that broadcasts to the shape of the value, for a cell's values to (T, N, ...) in the order
        of the steps; or a function of the value that gives another one of its shape.

    Gradients flow to a tensor that is put in, and through a function, but not to what a number or
    an array replaces. Scans with numbers and arrays run by kernels where they do without; those
    with functions run op by op. Other threads and tasks see nothing of it.

    Raises
    ------
    ValueError : a replacement doesn't fit; at the end of the block, a name that no value had.
    TypeError : a replacement is none of these.
    """

    def __init__(self, values: Mapping[str, Replacement] | None = None, /, **named: Any) -> None:
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(
                "override: values are given by name, as in mg.override(forget=1.0) or "
                f"mg.override({{'l0.forget': 1.0}}); got {type(values).__name__} {values!r:.40}"
            )
        self._override = Override({**(values or {}), **named})
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> None:
        outer = probing.get() or Probing()
        self._tokens.append(
            probing.set(Probing((*outer.overrides, self._override), outer.recordings))
        )

    def __exit__(self, kind: object, *error: object) -> None:
        probing.reset(self._tokens.pop())
        if kind is None:
            self._override.check_all_met()


class Override:
    """Replacements by name, and which names values had."""

    def __init__(self, replacements: Mapping[str, Any]) -> None:
        if not replacements:
            raise ValueError("override: say what, as in mg.override(forget=1.0)")
        for name, value in replacements.items():
            if not isinstance(name, str):
                raise TypeError(f"override: names are strings; got {name!r:.40}")
            if not callable(value) and not isinstance(value, (Tensor, np.ndarray, Number, list)):
                raise TypeError(
                    f"override: {name!r} is replaced by a number, an array or a function of the "
                    f"value; got {type(value).__name__} {value!r:.40}"
                )
        self._replacements = dict(replacements)
        self._met: dict[str, set[str]] = {}  # by full name, the names that mean it

    def of(self, full: str) -> Any:
        """What replaces a value; None if nothing does."""
        found = [name for name in self._replacements if is_named(full, name)]
        self._met.setdefault(full, set()).update(found)
        return self._replacements[max(found, key=len)] if found else None

    def instead(self, full: str, x: Tensor) -> Tensor:
        """What stands in the place of a value."""
        given = self.of(full)
        if given is None:
            return x
        if is_function(given):
            return _computed(full, given, x)
        return replacement(full, given, x, x.shape)

    def check_all_met(self) -> None:
        """Raise if a name was that of no value."""
        known = set().union(*self._met.values()) if self._met else set()
        for name in self._replacements:
            if name not in known:
                names = ", ".join(self._met) or "nothing"
                raise ValueError(
                    f"override: no value named {name!r} was met in the block; there was {names}"
                )


def is_function(given: Any) -> bool:
    """Whether a replacement is a function of the value."""
    return callable(given) and not isinstance(given, Tensor)


def replacement(full: str, given: Any, like: Any, shape: tuple[int, ...]) -> Tensor:
    """What replaces a value of a shape at this point: a tensor.

    It gets dtype and backend of `like`. Within scans that run op by op it is the part for this
    step.
    """
    array = given if isinstance(given, Tensor) else tensor(given, backend=like.backend)
    if array.dtype != like.dtype:
        array = astype(array, like.dtype)
    scans = here()
    whole = (*(max(scan.T, 1) for scan, _ in scans), *shape)  # a scan of no steps has one call
    try:
        array = broadcast_to(array, whole)
    except ValueError:
        raise ValueError(
            f"override: {full!r} is {whole}, and its replacement has shape {array.shape}"
        ) from None
    return array[tuple(t for _, t in scans)] if scans else array


def _computed(full: str, function: Callable[[Tensor], Any], x: Tensor) -> Tensor:
    found = function(x)
    if not isinstance(found, Tensor):
        found = tensor(found, backend=x.backend)
    if found.shape not in ((), x.shape):
        raise ValueError(
            f"override: the function for {full!r} is given {x.shape} and returned {found.shape}; "
            "it must keep the shape"
        )
    return found if found.shape else broadcast_to(astype(found, x.dtype), x.shape)
