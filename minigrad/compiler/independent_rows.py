"""The rows of a batch never meet: what refuses a step in which they would.

Outside of the loop N stands for all rows of all steps, T*N of them. That is right because each
row is computed from the same row alone. The exception are sums over rows, which are gradients of
what all rows share; what is made of them has to be linear, so that the sum may run over all steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import Untraceable
from .ir import ELEMENTWISE, REDUCTIONS, Value
from .sizes import Dim

# What may be done to a sum over rows: the sum over the steps can then be taken first.
LINEAR = {"transpose", "reshape", "part", "place", "negative", "sum", "astype", "broadcast_to"}

ROW_OPS = ELEMENTWISE | REDUCTIONS | {"part", "place", "concatenate", "astype", "reshape"}
ROW_OPS |= {"broadcast_to", "matmul"}


def check_op(value: Value) -> None:
    """Refuse what would be wrong when N stands for all rows of all steps."""
    if any(isinstance(arg, Dim) and arg.counts_rows for arg in value.args):
        raise Untraceable("it calculates with the number of rows")
    rest = value.shape[1:] if value.has_rows else value.shape
    if value.op != "transpose" and any(isinstance(n, Dim) and n.counts_rows for n in rest):
        raise Untraceable(f"{value.op} gives an array with a column for each row")
    if value.op in REDUCTIONS - {"sum"} and value.args[0].has_rows and not value.has_rows:
        raise Untraceable(f"a {value.op} over the rows mixes them")


def check_rows(value: Value) -> None:
    """Refuse what isn't done row by row."""
    if value.op not in ROW_OPS | {"input"} or not value.has_rows:
        raise Untraceable(f"{value.op} mixes rows")
    if value.ndim > 2:
        raise Untraceable(
            f"{value.name or value.op} has the shape {value.shape}; compiled are (N,) and (N, H)"
        )


def sums_over_rows(values: Sequence[Value], per_step: set[Value]) -> set[Value]:
    """Values that are sums over rows, and what is made of them, linearly."""
    found: set[Value] = set()
    for value in values:
        if value not in per_step or (value.op == "transpose" and not found & {*value.inputs}):
            continue
        ins = [x for x in value.inputs if x in found]
        if not ins:
            if value.has_rows:
                continue
            if not _is_sum(value):
                raise Untraceable(f"the derivative needs {value.op}, which mixes rows")
        elif value.has_rows or len(ins) < sum(x in per_step for x in value.inputs):
            raise Untraceable("the gradient of a shared value is used with values per row")
        elif not _is_linear(value, ins):
            raise Untraceable(f"the gradient of a shared value goes through {value.op}")
        found.add(value)
    return found


def _is_sum(value: Value) -> bool:
    """Whether a value is a sum over rows."""
    if value.op == "matmul":
        a, b = value.args
        return a.op == "transpose" and a.args[0].has_rows and b.has_rows
    return value.op == "sum" and 0 in value.settings["axes"]


def _is_linear(value: Value, ins: list[Value]) -> bool:
    """Whether a value is linear in those of its inputs."""
    if value.op in ("multiply", "matmul"):
        return len(ins) == 1
    if value.op == "divide":
        return value.args[1] not in ins
    if value.op == "where":
        if value.args[0] in ins:
            return False
        return _is_homogeneous(value.args[1:], ins) or _is_slope_of_relu(value)
    if value.op in ("add", "subtract", "concatenate"):
        return _is_homogeneous(value.args, ins)
    return value.op in LINEAR


def _is_slope_of_relu(value: Value) -> bool:
    """Whether a value is a gradient where a relu is positive, else the relu: 0 or NaN, as sums."""
    condition, _, y = value.args
    return (
        isinstance(y, Value)
        and y.op == "relu"
        and isinstance(condition, Value)
        and condition.op == "greater"
        and condition.args[0] is y
    )


def _is_homogeneous(args: Iterable[object], ins: list[Value]) -> bool:
    """Whether nothing but zero stands beside the inputs."""
    return all(arg in ins or arg == 0 or _is_zeros(arg) for arg in args)


def _is_zeros(arg: object) -> bool:
    return isinstance(arg, Value) and arg.op == "full" and arg.args == (0,)
