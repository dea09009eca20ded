"""Where the values of a loop lie: in arrays that are given, in parts of them, or in buffers."""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.compiler.ir import ELEMENTWISE, REDUCTIONS, Value
from minigrad.compiler.names import VIEWS, Names
from minigrad.compiler.schedule import Loop
from minigrad.compiler.source import tuple_text
from minigrad.errors import Untraceable

from ..shared.expressions import size_text
from ..shared.regions import is_one
from .dialect import literal


@dataclass
class Place:
    """Where a value lies.

    Attributes
    ----------
    array : the name of the array: of one step, or if it is `ordered`, of all.
    ordered : how the loop goes over the array, as text with a gap for it; nothing if it is the
        same in every step.
    label : what a step calls it.
    """

    array: str
    ordered: str
    label: str
    views: dict[str, Place] = field(default_factory=dict)


@dataclass(eq=False)
class Buffer:
    """Memory of the loop's own, for one step; which values it holds, one after the other."""

    name: str
    key: tuple[str, str, str]  # its shape, its dtype, and its name, if it is of one value alone
    until: int = -1  # the op that reads it last


class Places:
    """The places of one loop's values, and the lines before the loop that make them.

    Attributes
    ----------
    lines : those lines.
    steps : by what a step calls an array, how the loop goes over it.
    sizes : the names of sizes in the lines, but for N.
    now : which op of the body is written; buffers that no later one reads serve again.
    """

    def __init__(self, loop: Loop, names: Names) -> None:
        self.loop, self.program, self._names = loop, loop.program, names
        self.sizes: dict[str, None] = {}
        self.lines: list[str] = []
        self.steps: dict[str, str] = {}
        self.now = 0
        self._known: dict[Value, Place] = {}
        self._buffers: list[Buffer] = []
        self._last_read = self._find_last_reads()
        self._target = self._find_targets()

    def give(self, value: Value, place: Place) -> None:
        """Say where a value is, or is wanted, if that isn't known."""
        self._known.setdefault(value, place)

    def is_known(self, value: Value) -> bool:
        """Whether a value has a place."""
        return value in self._known

    def is_target(self, value: Value, whole: Value, start: int) -> bool:
        """Whether a value is computed within another that it is a part of."""
        return self._target.get(value) == (whole, start)

    def size(self, n: int) -> str:
        text = size_text(self.program.form(n), self.sizes)
        self.sizes.pop("N", None)  # which is an argument in any case
        return text

    def shape(self, value: Value) -> str:
        return tuple_text(self.size(n) for n in value.shape)

    def _find_last_reads(self) -> dict[Value, int]:
        """The op of the body that reads a value last, itself or by a view of it."""
        last = {v: i for i, v in enumerate(self.loop.body)}
        for i, value in enumerate(self.loop.body):
            for x in value.inputs:
                if x in last:
                    last[x] = max(last[x], i)
        for value in reversed(self.loop.body):
            if value.op in VIEWS and value.args[0] in last:
                last[value.args[0]] = max(last[value.args[0]], last[value])
        for value in self.loop.carry_out:  # which are written down at the end
            if value in last:
                last[value] = len(self.loop.body)
        return last

    def _find_targets(self) -> dict[Value, tuple[Value, int]]:
        """Values that are computed where they are wanted: in a part of what is put together."""
        inside, held = {*self.loop.body}, {*self.loop.kept, *self.loop.carry_out}
        found: dict[Value, tuple[Value, int]] = {}
        for whole in self.loop.body:
            if whole.op != "concatenate" or whole.settings["axis"] != 1:
                continue
            start = 0
            for part in whole.args:
                computed = part in inside and part not in held and part not in found
                if computed and part.op in ELEMENTWISE | REDUCTIONS | {"concatenate"}:
                    found[part] = whole, start
                start = start + part.shape[1]
        return found

    def is_view(self, value: Value) -> bool:
        """Whether a value of the body is another look at one, or a number."""
        return value.op in VIEWS | {"full", "arange"} and value not in self._known

    def label(self, place: Place) -> str:
        """The name of a place within the loop."""
        if place.ordered:
            self.steps.setdefault(place.label, place.ordered.format(place.array))
        return place.label

    def view(self, place: Place, index: str, name: str) -> Place:
        """A view of a place, made before the loop."""
        if index not in place.views:
            label = self._names.new(name)
            array = self._names.all_of(label) if place.ordered else label
            self.lines.append(f"{array} = {place.array}[{index}]")
            place.views[index] = Place(array, place.ordered, label)
        return place.views[index]

    def columns(self, place: Place, start: int, width: int, value: Value) -> Place:
        """Some columns of a value that lies in a place."""
        whole = value.shape[-1]
        a, b = self.size(start), self.size(start + width)
        same = self.program.form(width) == self.program.form(whole)
        if same:
            return place
        name = self._names.of_part(value, start, place.label)
        end = self.program.form(start + width) == self.program.form(whole)
        return self.view(place, f"..., {'' if a == '0' else a}:{'' if end else b}", name)

    def of(self, value: Value) -> Place:
        """Where to find a value that is there."""
        if value not in self._known:
            self._known[value] = self.look(value)
        return self._known[value]

    def look(self, value: Value) -> Place:
        """A value that is a view of another, or a constant."""
        if value.op == "full":
            made = f"np.full({self.shape(value)}, {literal(value.args[0], value.dtype)}, "
            return self._constant(f"{made}np.{dtype_name(value)})")
        if value.op == "arange":
            return self._constant(f"np.arange({self.size(value.shape[0])})")
        (x,) = value.args
        place = self.of(x)
        if value.op == "part":
            if value.settings["axis"] != value.ndim - 1:
                raise Untraceable("a part of the rows")
            return self.columns(place, value.settings["start"], value.shape[-1], x)
        return self._spread(value, x, place)

    def _constant(self, text: str) -> Place:
        name = self._names.new("constant")
        self.lines.append(f"{name} = {text}")
        return Place(name, "", name)

    def _spread(self, value: Value, x: Value, place: Place) -> Place:
        """The same numbers with more or fewer axes of length one, or repeated along an axis."""
        if value.op == "reshape":
            index = self._axes(x, value)
            if {*index} <= {":"}:
                return place
            text = ", ".join([*[":"] * bool(place.ordered), *index])
            return self.view(place, text, f"{place.label}_column")
        if self._equal(x, value):
            return place
        shape = [*[f"len({place.array})"] * bool(place.ordered), *map(self.size, value.shape)]
        name = self._names.new(f"{place.label}_spread")
        array = self._names.all_of(name) if place.ordered else name
        self.lines.append(f"{array} = np.broadcast_to({place.array}, ({', '.join(shape)},))")
        return Place(array, place.ordered, name)

    def _axes(self, x: Value, value: Value) -> list[str]:
        """The index that drops axes of length one, and makes others, so that x has a new shape."""
        index: list[str] = []
        old, new = list(x.shape), list(value.shape)
        while old or new:
            if old and new and self.program.form(old[0]) == self.program.form(new[0]):
                index.append(":")
                old, new = old[1:], new[1:]
            elif old and is_one(old[0]):
                index.append("0")
                old = old[1:]
            elif new and is_one(new[0]):
                index.append("None")
                new = new[1:]
            else:
                raise Untraceable(f"a reshape from {x.shape} to {value.shape} within a kernel")
        return index

    def _equal(self, a: Value, b: Value) -> bool:
        return [self.program.form(n) for n in a.shape] == [self.program.form(n) for n in b.shape]

    def make_room(self, value: Value, over: bool = False) -> Place:
        """Where to compute a value: `over` one that is read for the last time, if it may be."""
        if value in self._known:
            return self._known[value]
        if value in self._target:
            whole, start = self._target[value]
            place = self.make_room(whole)
            found = self.columns(place, start, value.shape[1], whole)
            self._known[value] = found
            return found
        is_whole = value.op in ("concatenate", "place")
        keeps = is_whole or value.op == "matmul" or self._names.has(value)
        name = self._names.of(value) if keeps else ""
        key = self.shape(value), dtype_name(value), name
        for buffer in self._buffers:
            if buffer.key == key and buffer.until < self.now + over:
                break
        else:
            buffer = Buffer(name or self._names.new("tmp"), key)
            self._buffers.append(buffer)
            made = f"np.empty({key[0]}, np.{key[1]})"
            self.lines.append(f"{buffer.name} = {made}")
        buffer.until = len(self.loop.body) if is_whole else self._last_read[value]
        place = Place(buffer.name, "", buffer.name)
        self._known[value] = place
        return place


def dtype_name(value: Value) -> str:
    """What NumPy calls the dtype of a value."""
    return "bool_" if value.dtype.kind == "b" else value.dtype.name
