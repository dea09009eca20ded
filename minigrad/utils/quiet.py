"""A context without NumPy's warnings of overflow and the like, entered in half the time.

NumPy keeps what it does about such errors in a context variable, and `np.errstate` makes a new
value for it at each entry. Here that value is made once. Where NumPy keeps it elsewhere,
`np.errstate` is used as it is.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any

import numpy as np


def _settings() -> list[tuple[ContextVar[Any], Any]]:
    """What `np.errstate` sets, in a context where nothing else is set."""
    with np.errstate(all="ignore"):
        return list(copy_context().items())


_SETTINGS = Context().run(_settings)


class _Quiet:
    __slots__ = ("_token",)

    _token: Token[Any]

    def __enter__(self) -> None:
        variable, value = _SETTINGS[0]
        self._token = variable.set(value)

    def __exit__(self, *error: object) -> None:
        self._token.var.reset(self._token)


def quiet() -> AbstractContextManager[Any]:
    """`np.errstate(all="ignore")`.

    >>> with quiet():
    ...     float(np.exp(np.float64(1000)))
    inf
    """
    return _Quiet() if len(_SETTINGS) == 1 else np.errstate(all="ignore")
