"""Work outside of the loop: a backend's ops on the rows of all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .sizes import Dim
from .values import ELEMENTWISE, REDUCTIONS, Value


class Batch:
    """A list of values, ready to be computed by a backend.

    It is made for the sizes that its values were traced with; only the number of rows is free.
    """

    def __init__(self, values: Sequence[Value], xp: Any) -> None:
        self.values = list(values)
        computed = set(values)
        self.inputs = list(dict.fromkeys(x for v in values for x in v.inputs if x not in computed))
        self._calls = [(v, v.inputs, _call(v, xp)) for v in values]

    def run(self, given: Mapping[Value, Any], rows: int) -> dict[Value, Any]:
        """The arrays of the values, from those of the inputs; `rows` is what N stands for."""
        known, found = dict(given), {}
        for value, inputs, call in self._calls:
            known[value] = found[value] = call(rows, *[known[x] for x in inputs])
        return found


def _call(value: Value, xp: Any) -> Callable[..., Any]:
    """A function of the number of rows and of the value's inputs."""
    op, settings = value.op, value.settings
    if op in ELEMENTWISE or op == "matmul":
        fn = getattr(xp, op)
        if all(isinstance(arg, Value) for arg in value.args):
            return lambda rows, *arrays: fn(*arrays)
        numbers = [None if isinstance(a, Value) else _number(a) for a in value.args]

        def mixed(rows: int, *arrays: Any) -> Any:
            rest = iter(arrays)
            return fn(*(next(rest) if number is None else number for number in numbers))

        return mixed
    if op in REDUCTIONS:
        reduce, axes = getattr(xp, op), settings["axes"]
        return lambda rows, x: reduce(x, axis=axes, keepdims=True)
    if op in ("reshape", "broadcast_to"):
        arrange = getattr(xp, op)
        return lambda rows, x: arrange(x, _shape(value, rows))
    if op == "full":
        return lambda rows: xp.full(_shape(value, rows), value.args[0], value.dtype)
    if op == "arange":
        return lambda rows: xp.arange(int(value.shape[0]))
    if op == "transpose":
        return lambda rows, x: xp.transpose(x, settings["axes"])
    if op == "astype":
        return lambda rows, x: xp.astype(x, value.dtype)
    if op == "concatenate":
        return lambda rows, *arrays: xp.concatenate(arrays, axis=settings["axis"])
    start = int(settings["start"])
    width = (value if op == "part" else value.args[0]).shape[settings["axis"]]
    index = (*(slice(None),) * settings["axis"], slice(start, start + int(width)))
    if op == "part":
        return lambda rows, x: xp.getitem(x, index)
    return lambda rows, x: xp.scatter(x, index, _shape(value, rows))


def _number(x: Any) -> Any:
    return int(x) if isinstance(x, Dim) else x


def _shape(value: Value, rows: int) -> tuple[int, ...]:
    """The shape of a value's array."""
    return tuple(rows if isinstance(n, Dim) and n.counts_rows else int(n) for n in value.shape)
