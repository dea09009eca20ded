"""Products that share an operand become one: x @ W and x @ U are the two parts of x @ [W U].

Gates are often written one by one, each with weights of its own. Every step would then start as
many products as there are gates, and each would read x or h anew. Put side by side, the weights
give all gates at once; their gradients are then one product of the gates' cotangents side by side
and the inputs; and the sum of what the gates hand down, g @ W.T + k @ U.T, is one product of [g k]
and the weights on top of each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from .ir import Value
from .program import Program, depends, readers


def merge_products(program: Program, wanted: Collection[Value]) -> None:
    """Join the products of a program; `wanted` are the inputs whose gradients are asked for."""
    merger = _Merger(program, wanted)
    groups = merger.find_siblings()
    for total, products, rest in merger.find_sums():
        merger.sum_of_products(total, products, rest)
    for products, axis in groups:
        merger.side_by_side(products, axis)
    merger.sums_over_rows()


class _Merger:
    """What there is in a program, and when it is computed."""

    def __init__(self, program: Program, wanted: Collection[Value]) -> None:
        carried_grads = [program.grads[x] for x in program.state if x in program.grads]
        asked = [g for x, g in program.grads.items() if x in wanted]
        self.outputs = {*program.ys, *program.new_state, *program.grads.values()}
        self.forward = set(program.forward)
        self.values = program.order(*program.ys, *program.new_state, *carried_grads, *asked)
        self.per_step = depends(self.values, program.step_inputs)
        self.depends_on_carry = program.depends_on_carry(self.values)
        # What the next step waits for; the rest can come after the loop.
        self.awaited = set(program.order(*program.new_state, *carried_grads))
        self._places = {v: i for i, v in enumerate(self.values)}
        self._joined: dict[Any, Value] = {}
        self._within: dict[Value, tuple[Value, Any]] = {}  # what each is in now, and where

    # --- x @ W and x @ U -----------------------------------------------------------------------

    def find_siblings(self) -> list[tuple[list[Value], int]]:
        """Products that share one operand, and the axis along which the other ones are joined.

        They are of the same rows and weights; or of the same inputs and gates' cotangents, as
        gradients of weights are: g.T @ x for a weight that is used transposed, else x.T @ g.
        """
        groups: dict[Any, list[Value]] = {}
        for v in self.values:
            if v.op != "matmul" or (v.has_rows and v in self.outputs):
                continue
            a, b = v.args
            weighs = a.has_rows and b not in self.per_step
            shared, axis = a, 1
            if self._is_cotangent(a):
                shared, axis = b, 0
            if weighs or axis == 0 or (b.has_rows and b in self.depends_on_carry):
                groups.setdefault((shared, axis, weighs, v in self.awaited, v.dtype), []).append(v)
        return [(products, key[1]) for key, products in groups.items() if len(products) > 1]

    def _is_cotangent(self, x: Value) -> bool:
        """Whether it is what the backward pass finds per row, transposed."""
        (rows, *_) = x.inputs or [x]
        transposed = x.op == "transpose" and rows.has_rows and not x.has_rows
        return transposed and rows in self.depends_on_carry and rows not in self.forward

    def side_by_side(self, products: list[Value], axis: int) -> None:
        """Make each the part of one product."""
        products = sorted(products, key=lambda v: self._order(v.args[axis]))
        joined = [v.args[axis] for v in products]
        if axis:
            given = products[0].args[0], self._columns(joined)
        else:
            given = self._rows(joined), products[0].args[1]
        shape = given[0].shape[0], given[1].shape[1]
        whole = _make_like("matmul", given, shape, like=products[0])
        start: Any = 0
        for v in products:
            _become_part(v, whole, start, axis)
            start = start + v.shape[axis]

    # --- g @ W.T + k @ U.T ---------------------------------------------------------------------

    def find_sums(self) -> list[tuple[Value, list[Value], list[Value]]]:
        """Sums with several products of what is computed in the loop; and their other terms."""
        users = readers(self.values)
        found, inner = [], set()
        for total in reversed(self.values):
            if total.op != "add" or total in inner:
                continue
            terms, sums = [], [total]
            while sums:
                for x in sums.pop().args:
                    alone = isinstance(x, Value) and len(users[x]) == 1 and x not in self.outputs
                    if alone and x.op == "add" and _same_shape(x, total):
                        sums.append(x)
                        inner.add(x)
                    else:
                        terms.append((x, alone))
            products = [x for x, alone in terms if alone and self._in_the_loop(x, total)]
            if len(products) > 1:
                found.append((total, products, [x for x, _ in terms if x not in products]))
        return found

    def _in_the_loop(self, x: Value, total: Value) -> bool:
        """Whether a term is a product whose left operand the loop computes."""
        if x.op != "matmul" or x.dtype != total.dtype:
            return False
        a, b = x.args
        return a.has_rows and a in self.depends_on_carry and b not in self.per_step

    def sum_of_products(self, total: Value, products: list[Value], rest: list[Any]) -> None:
        """Make them one product; what else is in the sum is added to it."""
        products = sorted(products, key=lambda v: self._order(v.args[1]))
        left = self._columns([v.args[0] for v in products])
        right = self._rows([v.args[1] for v in products])
        last = _make_like("matmul", (left, right), total.shape, like=products[0])
        for x in reversed(rest):
            last = _make_like("add", (x, last), total.shape, like=total)
        total.op, total.args, total.settings = last.op, last.args, last.settings

    def sums_over_rows(self) -> None:
        """Sums of what lies side by side with others now, as biases' gradients, are one sum."""
        sums: dict[Value, Value] = {}
        for v in self.values:
            if v.op != "sum" or v.settings["axes"] != (0,) or v.args[0] not in self._within:
                continue
            joined, start = self._within[v.args[0]]
            if joined not in sums:
                shape = (v.shape[0], joined.shape[1])
                sums[joined] = _make_like("sum", (joined,), shape, v, axes=(0,))
            _become_part(v, sums[joined], start, 1)

    def _order(self, operand: Value) -> int:
        """Where an operand comes among others: the same for a weight and its transpose."""
        if operand.op == "transpose":
            operand = operand.args[0]
        return self._places[operand]

    # --- matrices side by side, or on top of each other ----------------------------------------

    def _columns(self, parts: list[Value]) -> Value:
        if all(x.op == "transpose" for x in parts):  # as the backward step needs them
            return self._transpose(self._concatenate([x.args[0] for x in parts], 0))
        return self._concatenate(parts, 1)

    def _rows(self, parts: list[Value]) -> Value:
        if all(x.op == "transpose" for x in parts):
            return self._transpose(self._concatenate([x.args[0] for x in parts], 1))
        return self._concatenate(parts, 0)

    def _concatenate(self, parts: list[Value], axis: int) -> Value:
        key = (axis, *parts)
        if key not in self._joined:
            shape = list(parts[0].shape)
            shape[axis] = sum((x.shape[axis] for x in parts[1:]), shape[axis])
            joined = _make_like("concatenate", tuple(parts), shape, parts[0], axis=axis)
            self._joined[key] = joined
            start: Any = 0
            for i, x in enumerate(parts if joined.has_rows else ()):
                self._within[x] = joined, start
                self._places[x] = i - len(parts)
                start = start + x.shape[1]
        return self._joined[key]

    def _transpose(self, x: Value) -> Value:
        key = ("transpose", x)
        if key not in self._joined:
            self._joined[key] = _make_like("transpose", (x,), x.shape[::-1], x, axes=(1, 0))
        return self._joined[key]


def _make_like(
    op: str, args: tuple[Any, ...], shape: Sequence[int], like: Value, **settings: Any
) -> Value:
    """A value of the dtype, and from the line, of another one."""
    value = Value(like.backend, op, args, settings, shape, like.dtype)
    value.line, value.label = like.line, like.label
    return value


def _become_part(value: Value, whole: Value, start: int, axis: int) -> None:
    """Make a value some rows or columns of another one."""
    value.op, value.args = "part", (whole,)
    value.settings = {"axis": axis, "start": start, "size": value.shape[axis]}


def _same_shape(x: Value, y: Value) -> bool:
    return x.dtype == y.dtype and [*map(repr, x.shape)] == [*map(repr, y.shape)]
