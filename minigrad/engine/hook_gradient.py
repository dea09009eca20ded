"""The gradient that a hook sees: a copy, which takes the gradient's place if the hook edits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tensor import Tensor


class HookGradient(Tensor):
    """A gradient within a hook: `g *= 2` and `g[0] = 0` edit it, with gradients on, too."""

    __slots__ = ("_copies",)

    _copies: list[tuple[np.ndarray, bytes]] | None  # by numpy(), and their bytes; None afterwards

    def __init__(self, g: Tensor) -> None:
        super().__init__(g._data, g.backend, g._node)
        self._as_made()
        self._copies = []

    def numpy(self) -> np.ndarray:
        """As every tensor's; within the hook it is an error to edit it and return nothing."""
        array = super().numpy()
        if self._copies is not None:
            self._copies.append((array, array.tobytes()))
        return array

    def __reduce__(self) -> Any:
        return self._plain().__reduce__()

    def after(self, changed: Any) -> Any:
        """The gradient after the hook, which returned `changed`: that, or this as it is now.

        Raises RuntimeError if the hook edited a NumPy copy and returned nothing.
        """
        copies, self._copies = self._copies or (), None
        if changed is not None and changed is not self:
            return changed._plain() if isinstance(changed, HookGradient) else changed
        if any(array.tobytes() != before for array, before in copies):
            raise RuntimeError(
                "the hook edited g.numpy(), which is a copy: the gradient would stay as it was. "
                "Return the new gradient (return mg.tensor(array, backend=g.backend)), or edit g "
                "itself (g *= 2, g[0] = 0); for numbers of your own, take g.numpy().copy()"
            )
        return self._plain()

    def _plain(self) -> Tensor:
        return Tensor(self._data, self.backend, self._node)


def call_hook(hook: Callable[[Any], Any], g: Tensor) -> Any:
    """What `hook` makes of a gradient that it may keep and edit."""
    given = HookGradient(g)
    return given.after(hook(given))
