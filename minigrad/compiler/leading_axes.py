"""Leading axes as rows: which axes those are, and whether a function treats them all alike.

A function is traced on two axes, rows and features, whatever the number of axes of its inputs.
That is right if, on their real axes, it does the same: so it is traced on those, too (forwards
only, which is quick), and the two lists of values are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..engine.tensor import Tensor
from ..errors import Untraceable
from ..nested import parts_of
from .ir import Value
from .program import Program
from .sizes import Dim
from .symbolic import SymbolicBackend
from .trace import call_cell

Shape = tuple[int, ...]


def leading_axes(shapes: Sequence[Shape]) -> tuple[Shape, list[bool]]:
    """The axes that are rows, and which of the arrays have them; the others are shared.

    >>> leading_axes([(8, 5, 3), (3,), (8, 5, 1), ()])
    ((8, 5), [True, False, True, False])
    """
    if any(0 in shape for shape in shapes):
        raise Untraceable("there are no rows, or no features")
    ndim = max(map(len, shapes))
    if ndim == 0:
        raise Untraceable("its tensors have no axes")
    most = [shape[:-1] for shape in shapes if len(shape) == ndim]
    lead = next((axes for axes in most if not _all_one(axes)), most[0])
    flags = [len(shape) == ndim and shape[:-1] == lead for shape in shapes]
    for shape, flag in zip(shapes, flags, strict=True):
        if not flag and not _all_one(shape[:-1]):
            raise Untraceable(f"the leading axes of {shape} are not those of its rows, {lead}")
    return lead, flags


def _all_one(shape: Shape) -> bool:
    return all(n == 1 for n in shape)


def shared_shape(shape: Shape) -> Shape:
    """The shape of a shared array beside rows: at most one axis in front of its last."""
    return shape if len(shape) < 2 else (1, shape[-1])


def treats_alike(
    cell: Callable[..., Any], program: Program, lead: Shape, shapes: Sequence[Shape]
) -> bool:
    """Whether `cell` on inputs of these shapes does what its `program` does on rows."""
    backend = SymbolicBackend()
    axes = [Dim(n, f"N{i}") for i, n in enumerate(lead)]
    inputs = []
    values = [*program.params, *program.xs]
    for value, shape in zip(values, shapes, strict=True):
        # Features as the program names them: a slice of all of them is none there, either.
        shape = (*(axes if value.has_rows else shape[:-1]), *value.shape[-1:])
        inputs.append(Tensor(backend.input(value.name, shape, value.dtype), backend))
    count = len(program.params)
    params = tuple(inputs[:count]), program.symbols
    try:
        y, _ = call_cell(backend, cell, params, tuple(inputs[count:]), ())
    except Untraceable:
        return False
    ys, count = [t._data for t in parts_of(y)], len(axes)
    return _listing(program, ys, axes, count) == _listing(program, program.ys, ["N"], count)


def _listing(program: Program, ys: Sequence[Value], rows: Sequence[Any], count: int) -> list[Any]:
    """All that makes the values `ys`, as something to compare.

    `rows` are the leading axes, whose number is `count` in earnest.
    """
    places: dict[Value, int] = {}
    lines: list[Any] = []
    for value in program.order(*ys):
        args = [places[a] if isinstance(a, Value) else _number(a) for a in value.args]
        settings = [(key, _setting(key, x, value)) for key, x in value.settings.items()]
        tail = _tail(value.shape, rows, count)
        lines.append((value.op, value.name, args, settings, value.dtype, tail))
        places[value] = len(places)
    return [*lines, [places[y] for y in ys]]


def _setting(key: str, setting: Any, value: Value) -> Any:
    """A setting of an op; axes are counted from the last."""
    if value.is_number:
        return setting
    ndim = value.inputs[0].ndim
    if key == "axes":
        return [axis - ndim for axis in setting]
    return setting - ndim if key == "axis" else _number(setting)


def _number(x: Any) -> str:
    """A number in an op's arguments; one that counts rows is equal to no other."""
    return repr(int(x)) if isinstance(x, Dim) and not _counts_rows(x) else repr(x)


def _counts_rows(n: Dim) -> bool:
    return any(name[0] == "N" for names in n.form for name in names)


def _tail(shape: Sequence[int], rows: Sequence[Any], count: int) -> Any:
    """The axes of an array behind its rows."""
    has_rows = [repr(n) for n in shape[: len(rows)]] == [str(n) for n in rows]
    tail = [_number(n) for n in (shape[len(rows) :] if has_rows else shape)]
    if count == 0:  # a single row: nothing in a shape says whether it is one
        return tail
    while not has_rows and tail[:1] == ["1"]:
        del tail[0]
    return has_rows, tail
