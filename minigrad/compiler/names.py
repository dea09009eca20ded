"""What written texts call their arrays: as the cell does, where that gives them names.

`c` in a cell is `c` in its loop, the one of the step before is `c_prev`, its gradient is `dc`, and
the array with the values of all steps is `cs`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from .ir import Value
from .program import Program

VIEWS = {"part", "reshape", "broadcast_to"}  # the same numbers, looked at in another way

_TAKEN = {"T", "N", "np", "xp", "zip", "len", "float", "slice"}
_NAME = re.compile(r"[^\W\d]\w*")


class Names:
    """Names in one text, no two alike; `taken` are others in it."""

    def __init__(self, program: Program, taken: Iterable[str] = ()) -> None:
        self._program = program
        self._taken = {*_TAKEN, *program.sizes, *taken}
        self._known: dict[Value, str] = {}
        self.wanted = wanted = _in_the_cell(program)
        self._parts = {
            (value.args[0], repr(value.settings["start"])): wanted[value]
            for value in program.forward
            if value.op == "part" and value in wanted
        }
        self._gradient_of = _of_products(program, wanted)
        wanted |= {g: f"d{wanted.get(x, 'z')}" for g, x in self._gradient_of.items()}
        wanted |= {g: f"d{wanted[x]}" for x, g in program.grads.items() if x not in program.state}

    def new(self, wanted: str) -> str:
        """A name like the wanted one that nothing has yet."""
        wanted = re.sub(r"\W+", "_", wanted).strip("_") or "x"
        if keyword.iskeyword(wanted) or wanted[0].isdigit():
            wanted = f"_{wanted}"
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}{count}"
        self._taken.add(name)
        return name

    def all_of(self, label: str) -> str:
        """The name of the array that holds a value of every step."""
        return self.new(f"{label}_all" if label.endswith("s") else f"{label}s")

    def has(self, value: Value) -> bool:
        """Whether a value has a name by which a reader knows it."""
        return value in self.wanted

    def of(self, value: Value) -> str:
        """The name of a value."""
        if value not in self._known:
            self._known[value] = self.new(self.wanted.get(value) or _by_op(value, self.wanted))
        return self._known[value]

    def of_part(self, whole: Value, start: int, label: str) -> str:
        """The name of a part of a value named `label`, or of its gradient."""
        part = self._parts.get((self._gradient_of.get(whole, whole), repr(start)), "part")
        return f"{label}_{part}"

    def carry(self, old: Value) -> str:
        """The name of what a loop carries, whichever step it is of."""
        return self.wanted.get(old, "state").removesuffix("_prev")

    def of_carry(self, old: Value) -> tuple[str, str, str]:
        """The names of what a step takes over, of what it leaves, and of all steps' values."""
        label = self.carry(old)
        after = label if old in self._program.state else f"{label}_prev"
        return self.of(old), self.new(after), self.all_of(label)


def _in_the_cell(program: Program) -> dict[Value, str]:
    """Names that the cell gives, and those of its arguments."""
    found: dict[Value, str] = {}
    statements: dict[tuple[str, str], list[Value]] = {}
    for value in program.forward:
        if value.target:
            statements.setdefault((value.line, value.target), []).append(value)
    for (_, target), values in statements.items():
        names = _NAME.findall(target)
        parts = [v for v in values if v.op == "part"]
        if len(names) == len(parts) > 1:
            values = sorted(parts, key=lambda v: int(v.settings["start"]))
        for name, value in zip(reversed(names), reversed(values), strict=False):
            found[value] = name
    for value in program.forward:
        if value.label:  # by `mg.probe`
            found.setdefault(value, value.label)
    for value in (*program.params, *program.numbers):
        found[value] = value.name.rpartition(".")[2]
    for value in program.xs:
        found[value] = value.name.replace("xs", "x", 1)
    labels = _state_names(program, found)
    for old, gradient, label in zip(program.state, program.g_state, labels, strict=True):
        found[old], found[gradient] = f"{label}_prev", f"d{label}"
    return found | dict.fromkeys(program.g_ys, "dy")


def _state_names(program: Program, found: dict[Value, str]) -> Iterable[str]:
    for old, new in zip(program.state, program.new_state, strict=True):
        given = old.name if "state" not in old.name else "state"
        yield found.get(new, given) if new not in program.params else given


def _of_products(program: Program, known: dict[Value, str]) -> dict[Value, Value]:
    """What goes back through a product is the gradient of what came out of it, by weights."""
    products: dict[Value, Value] = {}
    for value in program.forward:
        if value.op == "matmul" and value.args[1].op == "transpose":
            products[value.args[1].args[0]] = value
    found: dict[Value, Value] = {}
    for value in program.order(*program.grads.values()):
        if value.op == "matmul" and value.args[1] in products and value.args[0] not in known:
            g, product = value.args[0], products[value.args[1]]
            if found.get(g) not in known:
                found[g] = product
    return found


def _by_op(value: Value, known: dict[Value, str]) -> str:
    """A name for a value without one."""
    if value.op == "transpose" and value.args[0] in known:
        return f"{known[value.args[0]]}_T"
    if len(value.args) == 1 and value.op not in VIEWS and value.args[0] in known:
        return f"{value.op}_{known[value.args[0]]}"
    return {"matmul": "product", "concatenate": "joined"}.get(value.op, "tmp")
