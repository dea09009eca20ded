"""Whether a function does the same at each call: only then its program serves all of them.

What it reads from outside is compared (see cache_key.py); and because not everything can be seen
there, it is traced twice, and the two programs are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from ..errors import Untraceable
from .ir import Value
from .program import Program

Read = Callable[[], Any]  # gives what a function reads from outside, as something to compare


class NotDetermined(Untraceable):
    """A refusal whose reason may not be there at the next call."""


def trace_twice(
    run: Callable[[bool], Program], outside: Read, numbers: Sequence[float] = ()
) -> Program | None:
    """The program that `run` gives, if it gives the same again and leaves all as it was.

    `run` is asked for a backward step, too, or (to compare) for the forward step alone, and with
    the numbers as constants. Something that is only made when it is first needed may be made: then
    the function is traced once more. None if numbers as arguments give another program than
    constants.
    """
    before, first = outside(), None
    for _ in range(3):
        program = run(first is None)
        after = outside()
        if after != before:
            before, first = after, None
        elif first is None:
            first = program
        elif is_same_program(first, program, numbers):
            return first
        elif len(first.pinned) < len(numbers):
            return None
        else:
            raise NotDetermined(
                "two traces of it differ: it depends on something that changes between calls"
            )
    raise NotDetermined("it changes what it reads from outside, and a kernel would not")


def is_same_program(first: Program, second: Program, numbers: Sequence[float] = ()) -> bool:
    """Whether two programs compute the same from the same; the second has `numbers` in it."""
    inputs = zip(_inputs(first), _inputs(second), strict=True)
    values = first.scalars(numbers) if numbers else []
    known = dict(zip(first.numbers, values, strict=bool(numbers)))
    same: dict[tuple[Value, Value], bool] = dict.fromkeys(inputs, True)
    pairs = [*zip(first.ys, second.ys, strict=False)]
    pairs += zip(first.new_state, second.new_state, strict=True)
    if len(first.ys) != len(second.ys) or type(first.ys_like) is not type(second.ys_like):
        return False
    while pairs:
        pair = pairs.pop()
        if pair in same:
            continue
        same[pair] = True
        a, b = pair
        if a.is_number and b.is_number and (a.settings, a.dtype) == (b.settings, b.dtype):
            continue
        if a in known and b.op == "full" and not b.shape:  # of a number made an array
            if a.dtype != b.dtype or not _is_equal(known[a], b.dtype.type(b.args[0])):
                return False
            continue
        if _facts(a) != _facts(b) or "input" in (a.op, b.op):
            return False
        for x, y in zip(a.args, b.args, strict=True):
            if isinstance(x, Value) and isinstance(y, Value):
                pairs.append((x, y))
            elif isinstance(x, Value) and x in known and isinstance(y, float):
                if not _is_equal(known[x], x.dtype.type(y)):
                    return False
            elif type(x) is not type(y) or repr(x) != repr(y):
                return False
    return True


def _is_equal(a: Any, b: Any) -> bool:
    return a.tobytes() == b.tobytes()


def _inputs(program: Program) -> Iterator[Value]:
    return chain(program.params, program.xs, program.state)


def _facts(value: Value) -> Any:
    settings = value.settings
    return value.op, len(value.args), repr(settings), repr(value.shape), value.dtype
