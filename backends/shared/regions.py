"""The work of a loop as products and, between them, regions: what is done row by row in one go.

Between two matrix products of a step, all elementwise work and all reductions over features are
one region. Here it is found which value belongs to which region and which of them are worth a name
or memory of their own; a code generator makes of it what its machine likes.
"""

from __future__ import annotations

from minigrad.compiler.ir import ELEMENTWISE, Value
from minigrad.compiler.schedule import Loop, rows_of
from minigrad.compiler.sizes import Dim
from minigrad.errors import Untraceable

LAYOUT = {"part", "reshape", "broadcast_to"}  # the same numbers in another place
_EXPRESSIONS = LAYOUT | {"arange", "astype"} | ELEMENTWISE
_DTYPES = {"bool", "int32", "int64", "float32", "float64"}


class Regions:
    """What a step of a loop does, in order.

    A region waits until a product needs a number of it, so that there are as few as can be.

    Attributes
    ----------
    stages : matrix products (values), and regions (lists of other values) between them.
    added : what the loop's totals are sums of.
    region : for each value that isn't a product, which region computes it.
    named : values that are computed once and then read by their name; the others are written
        into the expressions of their only reader.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.inside = set(loop.body)
        self.added = {x for v in loop.totals for x in rows_of(v)}
        self.users: dict[Value, list[Value]] = {v: [] for v in loop.body}
        for user in loop.body:
            for x in user.inputs:
                if x in self.inside:
                    self.users[x].append(user)
        for value in (*loop.steps, *loop.invariant, *loop.carry_in, *loop.body):
            if value.dtype.name not in _DTYPES:
                raise Untraceable(f"it uses {value.dtype.name}; compiled are float32 and float64")
        for value in loop.body:
            if value.op == "matmul":
                self._check_product(value)
        self.stages = self._stages()
        regions = [stage for stage in self.stages if isinstance(stage, list)]
        self.region = {value: i for i, values in enumerate(regions) for value in values}
        self.named = self._find_named()

    def _check_product(self, value: Value) -> None:
        a, w, *_ = value.args  # a third one is what the product starts from
        if w not in self.loop.invariant or w.has_rows:
            raise Untraceable("a matrix product of two things that change from step to step")
        if not a.has_rows:
            raise Untraceable("a matrix product without a row per sequence")
        if not a.dtype == w.dtype == value.dtype:
            raise Untraceable(f"a matrix product of {a.dtype} and {w.dtype}")

    def _stages(self) -> list[Value | list[Value]]:
        level: dict[Value, int] = {}  # how many products come before a value
        for value in self.loop.body:
            ins = [level[x] + (value.op == "matmul") for x in value.inputs if x in self.inside]
            level[value] = max(ins, default=0)
        stages: list[Value | list[Value]] = []
        waiting: list[Value] = []
        for i in range(max(level.values(), default=0) + 1):
            products = [v for v in self.loop.body if v.op == "matmul" and level[v] == i]
            if any(x in waiting for v in products for x in v.inputs):
                stages.append(waiting)
                waiting = []
            stages += products
            waiting = waiting + [v for v in self.loop.body if v.op != "matmul" and level[v] == i]
        return [*stages, waiting] if waiting else stages

    def _find_named(self) -> set[Value]:
        outside = {*self.loop.kept, *self.loop.carry_out, *self.added}
        named: set[Value] = set()
        for value in self.region:
            users = self.users[value]
            elsewhere = any(self.region.get(user) != self.region[value] for user in users)
            several = len(users) > 1 and not self._is_free(value)
            is_number = is_scalar(value) and value.op not in LAYOUT
            in_loop = is_number and not all(is_scalar(user) for user in users)
            if value in outside or elsewhere or several or value.op not in _EXPRESSIONS or in_loop:
                named.add(value)
        return named

    def _is_free(self, value: Value) -> bool:
        """Whether several readers may each have a value in their own expressions."""
        if not value.has_rows or (value.op in LAYOUT and not self._is_computed(value)):
            return True
        if value.op in ("add", "subtract") and self._is_shift(value):
            return True
        return all(user.op == "part" for user in self.users[value])  # each computes its own part

    def _is_shift(self, value: Value) -> bool:
        """Whether a value is a row in memory, plus or minus a number: as cheap as to read it."""
        rows = [x for x in value.inputs if not is_one(row_width(x))]
        return len(rows) == 1 and rows[0] not in self.region

    def _is_computed(self, value: Value) -> bool:
        """Whether there is arithmetic behind a part or a reshape that has no name yet."""
        (x,) = value.args
        if x not in self.region or x in self.loop.kept or x in self.loop.carry_out:
            return False
        return x.op in _EXPRESSIONS and (x.op not in LAYOUT or self._is_computed(x))


def is_one(n: int) -> bool:
    """Whether a size is 1 whatever the input: an axis that broadcasts."""
    return n == 1 and not isinstance(n, Dim)


def is_scalar(value: Value) -> bool:
    """Whether a row of a value is one number."""
    return value.has_rows if value.ndim == 1 else value.ndim == 2 and is_one(value.shape[1])


def row_width(value: Value) -> int:
    """How many numbers a row of a value has, or a value that all rows share."""
    return 1 if is_scalar(value) or not value.ndim else value.shape[-1]
