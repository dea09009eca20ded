"""From a scheduled loop to plain NumPy, as one writes it by hand: no tape, and no new arrays.

Every array is there before the loop starts, and so is every view of one. The loop goes over all of
them at once, so that a step has the arrays of its own by name, and calls one NumPy function after
the other. A value that nothing else keeps lies in a buffer, which serves again once it is read.
"""

from __future__ import annotations

import textwrap

import numpy as np

from minigrad.compiler.ir import ELEMENTWISE, REDUCTIONS, Value
from minigrad.compiler.names import VIEWS, Names
from minigrad.compiler.schedule import Loop
from minigrad.compiler.sizes import Dim
from minigrad.errors import Untraceable

from ..shared.expressions import describe, size_arguments
from ..shared.regions import Regions
from .dialect import UFUNCS, literal, ufunc
from .places import Place, Places, dtype_name

_GIVEN = ("each", "before", "after", "sigmoid")  # names of functions in the text

LINE_WIDTH = 100  # of the text

_ABOUT = (
    "    # each(xs): the rows of xs, in the order of the steps.",
    "    # before(hs, full), after(hs, full): a state as each step finds it, and as it leaves it.",
    "    # sigmoid(x, out=y): y = 1 / (1 + exp(-x))",
    "    #",
)


class Writer:
    """Writes the function of one loop.

    Attributes
    ----------
    sizes : the names of the sizes that it takes as arguments, after N.
    text : the function.
    """

    def __init__(self, loop: Loop, name: str = "kernel") -> None:
        Regions(loop)  # refuses what no kernel can do
        self.loop, self.program = loop, loop.program
        self._inside = set(loop.body)
        flags = (f"full{i}" for i in range(len(loop.carry_in)))
        self._names = Names(loop.program, [*_GIVEN, *flags])
        self._at = Places(loop, self._names)
        self._lines: list[str] = []
        self.text = self._function(name)
        self.sizes = list(self._at.sizes)

    # --- the function ----------------------------------------------------------------------

    def _function(self, name: str) -> str:
        loop = self.loop
        arguments: list[str] = []
        about: list[str] = []

        def take(value: Value, array: str, ordered: str, label: str) -> None:
            self._at.give(value, Place(array, ordered, label))
            if array not in arguments:
                arguments.append(array)
                of_steps = ", of every step" if ordered else ""
                about.append(f"    # {array}: {describe(value, self.program)}{of_steps}")

        for value in loop.invariant:
            label = self._names.of(value)
            take(value, label, "", label)
        for value in loop.steps:
            label = self._names.of(value)
            take(value, self._names.all_of(label), "each({})", label)
        self._carries: list[Place] = []
        for i, old in enumerate(loop.carry_in):
            before, after, array = self._names.of_carry(old)
            take(old, array, f"before({{}}, full{i})", before)
            self._carries.append(Place(array, f"after({{}}, full{i})", after))
        kept = [self._names.of(value) for value in loop.kept]
        for value, label in zip(loop.kept, kept, strict=True):
            take(value, self._names.all_of(label), "each({})", label)
        for place, value in zip(self._carries, loop.carry_out, strict=True):
            if value in self._inside:
                self._at.give(value, place)
        for self._at.now, value in enumerate(loop.body):
            self._compute(value)
        self._pass_on()
        flags = [f"full{i}" for i in range(len(loop.carry_in))]
        given = [
            "T",
            "each",
            "before",
            "after",
            *flags,
            *size_arguments(self._at.sizes),
            *arguments,
        ]
        head = ", ".join(given)
        return "\n".join(
            [
                f"def {name}({head}):",
                *_ABOUT,
                *about,
                *(f"    {line}" for line in self._at.lines),
                *self._loop(),
                *(f"        {line}" for line in self._lines or ["pass"]),
                "",
            ]
        )

    def _loop(self) -> list[str]:
        """The line that goes over the arrays of all steps."""
        names, loops = list(self._at.steps), list(self._at.steps.values())
        if not names:
            return ["    for _ in range(T):"]
        if len(names) == 1:
            return [f"    for {names[0]} in {loops[0]}:"]
        whole = f"    for {', '.join(names)} in zip({', '.join(loops)}):"
        if len(whole) <= LINE_WIDTH:
            return [whole]
        return [
            "    for (",
            *_filled(names, 8),
            "    ) in zip(",
            *_filled(loops, 8),
            "    ):",
        ]

    # --- what a step does ------------------------------------------------------------------

    def _write(self, line: str) -> None:
        self._lines.append(line)

    def _compute(self, value: Value) -> None:
        """What computes a value, where it is wanted."""
        if self._at.is_view(value):
            return
        if value.op == "matmul":
            out = self._product(value)
        elif value.op in REDUCTIONS:
            out = self._reduce(value)
        elif value.op == "concatenate":
            out = self._put_together(value)
        elif value.op == "place":
            out = self._at.make_room(value)
            self._write(f"{self._at.label(out)}[...] = 0")
            (x,) = value.args
            part = self._at.columns(out, value.settings["start"], x.shape[-1], value)
            self._write(f"{self._at.label(part)}[...] = {self._operand(x)}")
        elif value.op in VIEWS | {"full", "arange"}:
            out = self._at.make_room(value)
            self._write(f"{self._at.label(out)}[...] = {self._source(value)}")
        elif value.op == "astype":
            x = self._operand(value.args[0])
            out = self._at.make_room(value)
            self._write(f"np.copyto({self._at.label(out)}, {x}, casting='unsafe')")
        elif value.op in ELEMENTWISE:
            out = self._elementwise(value)
        else:
            raise Untraceable(f"{value.op} within a kernel")
        for place, wanted in zip(self._carries, self.loop.carry_out, strict=True):
            if wanted is value and place is not out:
                self._write(f"{self._at.label(place)}[...] = {self._at.label(out)}")

    def _source(self, value: Value) -> str:
        """What a value that is another look at one, and has memory of its own, is copied from."""
        if value.op == "full":
            return literal(value.args[0], value.dtype)
        if value.op == "broadcast_to":
            return self._operand(value.args[0])
        return self._at.label(self._at.look(value))

    def _elementwise(self, value: Value) -> Place:
        operands = [self._operand(x, value) for x in value.args]
        name = ufunc(value.op)
        is_float = value.dtype.kind == "f" and all(x.dtype.kind == "f" for x in value.inputs)
        if name is not None:
            out = self._at.make_room(value, over=True)
            self._write(f"np.{name}({', '.join([*operands, f'out={self._at.label(out)}'])})")
        elif value.op == "sigmoid" and is_float:
            out = self._at.make_room(value, over=True)
            self._write(f"sigmoid({operands[0]}, out={self._at.label(out)})")
        elif value.op == "relu":
            out = self._at.make_room(value, over=True)
            self._write(f"np.maximum({operands[0]}, 0, out={self._at.label(out)})")
        elif value.op == "where":
            out = self._at.make_room(value)
            self._write(f"np.copyto({self._at.label(out)}, {operands[2]})")
            (condition, *_) = value.args
            asked = operands[0] if condition.dtype.kind == "b" else f"{operands[0]} != 0"
            self._write(f"np.copyto({self._at.label(out)}, {operands[1]}, where={asked})")
        elif value.op in ("erf", "sigmoid"):
            out = self._at.make_room(value)
            self._write(f"{self._at.label(out)}[...] = xp.{value.op}({operands[0]})")
        else:
            raise Untraceable(f"{value.op} has no kernel")
        return out

    def _operand(self, x: object, reader: Value | None = None) -> str:
        """The name of something that an op reads, or a number."""
        if isinstance(x, Dim):
            return self._at.size(x)
        if not isinstance(x, Value):
            return repr(x) if isinstance(x, (bool, int)) else literal(x, np.dtype(float))
        if not self._at.is_known(x) and x.op == "full" and reader is not None:
            if any(y is not x and y.dtype == x.dtype for y in reader.inputs):
                return literal(x.args[0], x.dtype)  # of the dtype of what it meets
            return f"np.{dtype_name(x)}({literal(x.args[0], x.dtype)})"
        if not self._at.is_known(x) and x.op == "broadcast_to" and reader is not None:
            return self._operand(x.args[0], reader)  # NumPy repeats it
        return self._at.label(self._at.of(x))

    def _product(self, value: Value) -> Place:
        a, w, *start = value.args
        if w.dtype.kind != "f":
            raise Untraceable(f"a matrix product of {a.dtype} and {w.dtype}")
        operands = [self._operand(x) for x in (a, w, *start)]
        out = self._at.make_room(value)
        self._write(f"np.dot({operands[0]}, {operands[1]}, out={self._at.label(out)})")
        if start:
            name = self._at.label(out)
            self._write(f"np.add({name}, {operands[2]}, out={name})")
        return out

    def _reduce(self, value: Value) -> Place:
        (x,) = value.args
        if value.settings["axes"] != (1,) or not int(x.shape[1]):
            raise Untraceable(f"a {value.op} over the axes {value.settings['axes']} of {x.shape}")
        operand = self._operand(x)
        out = self._at.make_room(value)
        name = "add" if value.op in ("sum", "mean") else UFUNCS[value.op]
        label = self._at.label(out)
        self._write(f"np.{name}.reduce({operand}, axis=1, keepdims=True, out={label})")
        if value.op == "mean":
            self._write(f"np.true_divide({label}, {self._at.size(x.shape[1])}, out={label})")
        return out

    def _put_together(self, value: Value) -> Place:
        if value.settings["axis"] != 1:
            raise Untraceable("rows on top of each other")
        out, start = self._at.make_room(value), 0
        for part in value.args:
            if not self._at.is_target(part, value, start):
                place = self._at.columns(out, start, part.shape[1], value)
                self._write(f"{self._at.label(place)}[...] = {self._operand(part)}")
            start = start + part.shape[1]
        return out

    def _pass_on(self) -> None:
        """What the next step takes over without its being computed in this one."""
        for place, value in zip(self._carries, self.loop.carry_out, strict=True):
            if value not in self._inside or self._at.is_view(value):
                found = literal(value.args[0], value.dtype) if value.op == "full" else None
                self._write(f"{self._at.label(place)}[...] = {found or self._operand(value)}")


def _filled(texts: list[str], indent: int) -> list[str]:
    """Texts with commas, in lines that are full."""
    margin = " " * indent
    lines = textwrap.wrap(
        ", ".join(text.replace(" ", "\0") for text in texts) + ",",
        LINE_WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
    )
    return [line.replace("\0", " ") for line in lines]
