"""Work outside of the loop: values computed for all steps at once, or once for the whole scan.

Before and after the loop, the steps are rows: N stands for the rows of all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .sizes import Dim
from .symbolic import ELEMENTWISE, REDUCTIONS, Value


class Batch:
    """A list of values, ready to be computed by a backend.

    It is made for the sizes that its values were traced with; only the number of steps is free.
    """

    def __init__(self, values: Sequence[Value], xp: Any) -> None:
        self.values = values
        computed = set(values)
        self._inputs = list(dict.fromkeys(x for v in values for x in v.inputs if x not in computed))
        self._calls = [(v, v.inputs, _call(v, xp)) for v in values]
        self._xp = xp

    def run(self, once: Mapping[Value, Any], steps: dict[Value, Any], T: int) -> None:
        """Compute the values into `steps`: those with a row per sequence as (T, N, ...) arrays."""
        if not self.values:
            return
        reshape = self._xp.reshape
        env = {}
        for x in self._inputs:
            if x in steps and x.has_rows:
                array = steps[x]
                env[x] = reshape(array, (T * array.shape[1], *array.shape[2:]))
            else:
                env[x] = steps[x] if x in steps else once[x]
        for value, inputs, call in self._calls:
            env[value] = out = call(T, *[env[x] for x in inputs])
            if value.has_rows:
                out = reshape(out, (T, out.shape[0] // T, *out.shape[1:]))
            steps[value] = out


def _call(value: Value, xp: Any) -> Callable[..., Any]:
    """A function of the number of steps and of the value's inputs."""
    op, settings = value.op, value.settings
    if op in ELEMENTWISE or op == "matmul":
        fn = getattr(xp, op)
        if all(isinstance(arg, Value) for arg in value.args):
            return lambda T, *arrays: fn(*arrays)
        numbers = [None if isinstance(a, Value) else _number(a) for a in value.args]

        def mixed(T: int, *arrays: Any) -> Any:
            rest = iter(arrays)
            return fn(*(next(rest) if number is None else number for number in numbers))

        return mixed
    if op in REDUCTIONS:
        reduce, axes = getattr(xp, op), settings["axes"]
        return lambda T, x: reduce(x, axis=axes, keepdims=True)
    if op in ("reshape", "broadcast_to"):
        arrange = getattr(xp, op)
        return lambda T, x: arrange(x, tuple(_size(n, T) for n in value.shape))
    if op == "transpose":
        return lambda T, x: xp.transpose(x, settings["axes"])
    if op == "astype":
        return lambda T, x: xp.astype(x, value.dtype)
    if op == "concatenate":
        return lambda T, *arrays: xp.concatenate(arrays, axis=settings["axis"])
    start = int(settings["start"])
    width = (value if op == "part" else value.args[0]).shape[settings["axis"]]
    index = (*(slice(None),) * settings["axis"], slice(start, start + int(width)))
    if op == "part":
        return lambda T, x: xp.getitem(x, index)
    return lambda T, x: xp.scatter(x, index, tuple(_size(n, T) for n in value.shape))


def _number(x: Any) -> Any:
    return int(x) if isinstance(x, Dim) else x


def _size(n: int, T: int) -> int:
    """A size with the rows of all steps in place of N."""
    return int(n) * T if isinstance(n, Dim) and n.counts_rows else int(n)
