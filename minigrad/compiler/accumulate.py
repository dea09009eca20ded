"""Sums that begin with a matrix product: x @ W + b becomes one product that starts from b.

A kernel of a product can take up what it is added to while the result is in registers: the bias,
or the other product of a gate's sum. So x @ W + b + h @ U + d becomes a product of the inputs that
starts from b + d, before the loop over time, and in the loop one of the state that starts from it.
A product has a third argument then, a value (N, M) or (M,).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .ir import Value
from .program import Program, readers


def accumulate_products(program: Program) -> None:
    """Give the products of a program what they start from, wherever it is added to all of one."""
    outputs = {*program.ys, *program.new_state, *program.grads.values()}
    while _accumulate_one(program, outputs):
        pass


def _accumulate_one(program: Program, outputs: set[Value]) -> bool:
    """Find one sum to take up into a product; whether there was one."""
    values = program.order(*outputs)
    users, depends_on_carry = readers(values), program.depends_on_carry(values)
    for product in values:
        if product.op != "matmul" or not product.has_rows or product in outputs:
            continue
        for sums, other in _sums(program, product, users, outputs):
            if other in depends_on_carry and product not in depends_on_carry:
                continue  # it could no longer be done for all steps at once
            if _start_from(product, other, {total for total, _ in sums}, users, outputs):
                for total, part in sums:
                    if part is None:
                        total.op, total.args, total.settings = "matmul", product.args, {}
                    else:
                        total.op, total.args, total.settings = "part", (product,), part.settings
                return True
    return False


def _sums(
    program: Program, product: Value, users: dict[Value, list[Value]], outputs: set[Value]
) -> Iterator[tuple[list[tuple[Value, Value | None]], Value]]:
    """The sums (and which part of it they take) in which all of a product meets another value.

    Either it is added to the other once, or its parts are, each to the same part.
    """
    direct = users[product]
    if len(direct) == 1 and direct[0].op == "add":
        (total,) = direct
        for other in total.args:
            if (
                other is not product
                and _fits(program, product, other)
                and total.ndim == product.ndim
            ):
                yield [(total, None)], other
        return
    if not direct or any(user.op != "part" or user in outputs for user in direct):
        return
    if any(len(users[part]) != 1 or users[part][0].op != "add" for part in direct):
        return
    sums = [(users[part][0], part) for part in direct]
    if len({total for total, _ in sums}) < len(sums):
        return
    for other in dict.fromkeys(_whole(program, total, part) for total, part in sums):
        if other in (None, product) or not _fits(program, product, other):
            continue
        if all(_whole(program, total, part) is other for total, part in sums):
            yield list(sums), other
    vector = _vector(program, product, sums)
    if vector is not None:
        yield list(sums), vector


def _vector(program: Program, product: Value, sums: list[tuple[Value, Value]]) -> Value | None:
    """What the parts of a product meet, side by side, if it is a vector each and they are all."""
    met: list[Value] = []
    start: Any = 0
    while len(met) < len(sums):
        at = [(t, p) for t, p in sums if program.form(p.settings["start"]) == program.form(start)]
        if len(at) != 1 or at[0][1].settings["axis"] != 1:
            return None
        ((total, part),) = at
        other = _other(total, part)
        if not isinstance(other, Value) or other.has_rows or not _fits(program, part, other):
            return None
        met.append(other)
        start = start + part.shape[1]
    if program.form(start) != program.form(product.shape[1]):
        return None
    settings = {"axis": 0}
    return Value(product.backend, "concatenate", tuple(met), settings, (start,), product.dtype)


def _whole(program: Program, total: Value, part: Value) -> Value | None:
    """What the other addend of a sum is a part of, if it is the same part of it."""
    other = _other(total, part)
    if not isinstance(other, Value) or other.op != "part":
        return None
    (whole,), (source,) = other.args, part.args
    axes = (source.ndim - part.settings["axis"], whole.ndim - other.settings["axis"])
    places = [[program.form(n) for n in (x.settings["start"], x.shape[-1])] for x in (part, other)]
    return whole if places[0] == places[1] and axes == (1, 1) else None


def _other(total: Value, part: Value) -> Any:
    """What a part is added to."""
    a, b = total.args
    return b if a is part else a


def _fits(program: Program, product: Value, other: Any) -> bool:
    """Whether a product can start from a value."""
    if not isinstance(other, Value) or other.dtype != product.dtype or other.op == "full":
        return False
    if other.ndim != 1 + other.has_rows:
        return False
    return program.form(other.shape[-1]) == program.form(product.shape[-1])


def _start_from(
    product: Value,
    other: Value,
    totals: set[Value],
    users: dict[Value, list[Value]],
    outputs: set[Value],
) -> bool:
    """Let a product start from a value that it meets in these sums; whether that can be."""
    a, w, *first = product.args
    if not first:
        product.args = (a, w, other)
        return True
    (base,) = first
    if base.has_rows:
        # It starts from a product: that one is to start from the other, if it is a vector.
        alone = base.op == "matmul" and users[base] == [product] and base not in outputs
        return alone and not other.has_rows and _start_from_vector(base, other)
    # It starts from a vector already: the other is to start from that, if it is a product, too,
    # which is wanted nowhere else.
    parts = [user for user in users[other] if user not in totals]
    elsewhere = {user for part in parts for user in users[part]} - totals
    if other.op != "matmul" or other in outputs or elsewhere:
        return False
    if any(part.op != "part" or part in outputs for part in parts):
        return False
    if not _start_from_vector(other, base):
        return False
    product.args = (a, w, other)
    return True


def _start_from_vector(product: Value, vector: Value) -> bool:
    """Let a product start from a vector, on top of what it starts from; whether that can be."""
    a, w, *first = product.args
    if first and first[0].has_rows:
        return False
    if first:
        vector = Value(product.backend, "add", (*first, vector), {}, vector.shape, vector.dtype)
    product.args = (a, w, vector)
    return True
