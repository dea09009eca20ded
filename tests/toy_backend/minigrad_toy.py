"""A backend from another package, in full: NumPy that counts what is asked of it.

    MINIGRAD_BACKEND=toy python train.py

`minigrad.get_backend("toy").calls` then tells how often each name of the protocol was called.
"""

import collections
import functools

import numpy as np

from minigrad.engine.backend import PROTOCOL, ArrayModuleBackend


class CountingBackend(ArrayModuleBackend):
    """NumPy arrays; `calls` counts the calls of each name."""

    def __init__(self):
        super().__init__(np, name="toy", device="cpu", is_host=True)
        self.calls = collections.Counter()
        for name in (name for group in PROTOCOL.values() for name in group):
            function = getattr(self, name)
            if callable(function) and not isinstance(function, type):
                setattr(self, name, self._counted(name, function))

    def _counted(self, name, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            self.calls[name] += 1
            return function(*args, **kwargs)

        return call

    def quiet(self):
        return np.errstate(all="ignore")
