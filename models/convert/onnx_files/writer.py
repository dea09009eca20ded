"""The graph that is written: nodes, constants, sizes, and casts between dtypes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .library import onnx_or_error
from .sizes import Size
from .values import Known, Made, Number

__all__ = ["Operand", "Writer", "element_type", "names_read", "needed"]

Operand = Known | Made | Number


def element_type(dtype: Any) -> int:
    """ONNX's number for a dtype."""
    number: int = onnx_or_error().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return number


def names_read(node: Any) -> list[str]:
    """The values that a node reads, itself or in a graph within it."""
    inner = [n for a in node.attribute if a.HasField("g") for n in a.g.node]
    return [*node.input, *(name for n in inner for name in names_read(n))]


def _rename(nodes: Iterable[Any], old: str, new: str) -> None:
    """Give a value another name, wherever it is made and read."""
    for node in nodes:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g.node, old, new)


def needed(nodes: list[Any], outputs: Iterable[str]) -> list[Any]:
    """The nodes that the outputs depend on."""
    wanted, kept = {*outputs}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(names_read(node))
    return kept[::-1]


class Writer:
    """Collects nodes, and gives values names that nothing else has.

    `axes` has for each varying axis an input and the place where that has it.
    """

    def __init__(self, axes: dict[str, tuple[str, int]]) -> None:
        self.onnx = onnx_or_error()
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.padding: dict[str, int] = {}  # by the name of a Gather, its row that isn't trained
        self._axes = axes
        self._taken: set[str] = set()
        self._named: set[str] = set()  # nodes
        self._counts: dict[str, int] = {}
        self._constants: dict[Any, str] = {}
        self._fixed: set[str] = set()  # names of outputs, which stay
        self._renamed: dict[str, str] = {}
        self._parameters: dict[str, str] = {}
        self._made: dict[Any, str] = {}  # sizes, casts and the like, each written once

    # --- names and nodes ---------------------------------------------------------------------

    def take(self, name: str) -> str:
        """This name, or one like it if it is taken."""
        name, k = re.sub(r"[^\w.:/-]", "_", name) or "value", 0
        tried = name
        while tried in self._taken:
            k += 1
            tried = f"{name}_{k}"
        self._taken.add(tried)
        return tried

    def fresh(self, stem: str) -> str:
        """A name with a number."""
        self._counts[stem] = self._counts.get(stem, -1) + 1
        return self.take(f"{stem}_{self._counts[stem]}")

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Write a node of one output; returns the output's name."""
        return self.nodes_of(kind, inputs, 1, name, **attributes)[0]

    def nodes_of(
        self, kind: str, inputs: Iterable[str], outputs: int, name: str = "", **attributes: Any
    ) -> list[str]:
        """Write a node of several outputs."""
        stem = name or kind.lower()
        given = [self.fresh(stem) for _ in range(outputs)]
        known = {key: value for key, value in attributes.items() if value is not None}
        own = name if name and name not in self._named else given[0]
        self._named.add(own)
        made = self.onnx.helper.make_node(kind, list(inputs), given, name=own, **known)
        self.nodes.append(made)
        return given

    def name_output(self, found: str, name: str) -> None:
        """Give a value the name of an output: its own new name, or that of a copy."""
        found = self._renamed.get(found, found)
        if found in self._fixed or not any(found in node.output for node in self.nodes):
            self.nodes.append(self.onnx.helper.make_node("Identity", [found], [name], name=name))
        else:
            _rename(self.nodes, found, name)
            self._renamed[found] = name
        self._fixed.add(name)

    @contextmanager
    def within(self) -> Iterator[list[Any]]:
        """Nodes that are written within are in a list of their own: those of a graph in a node.

        They may read what is outside; what they make isn't seen there.
        """
        outside = self.nodes, self._constants, self._made
        self.nodes, self._constants, self._made = [], dict(outside[1]), dict(outside[2])
        try:
            yield self.nodes
        finally:
            self.nodes, self._constants, self._made = outside

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A constant, written once for all uses."""
        array = np.asarray(value, dtype)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            tensor = self.onnx.numpy_helper.from_array(
                np.ascontiguousarray(array).reshape(array.shape)
            )
            self._constants[key] = self.node("Constant", value=tensor)
        return self._constants[key]

    def parameter(self, name: str, array: np.ndarray) -> str:
        """An initialiser: numbers that are trained. A layer that is called again has the same."""
        if name not in self._parameters:
            self._parameters[name] = self.take(name)
            made = self.onnx.numpy_helper.from_array(
                np.ascontiguousarray(array), self._parameters[name]
            )
            self.initializers.append(made)
        return self._parameters[name]

    # --- sizes -------------------------------------------------------------------------------

    def size(self, n: int | Size) -> str:
        """A size as int64 (1,)."""
        if isinstance(n, int):
            return self.constant([n], np.int64)
        if n not in self._made:
            parts = [self._axis(axis) for axis in n.axes]
            name = parts[0]
            for part in parts[1:]:
                name = self.node("Mul", name, part)
            if n.factor != 1:
                name = self.node("Mul", name, self.constant([n.factor], np.int64))
            if n.offset:
                name = self.node("Add", name, self.constant([n.offset], np.int64))
            self._made[n] = name
        return self._made[n]

    def _axis(self, axis: str) -> str:
        if axis not in self._made:
            source, place = self._axes[axis]
            # `end` leaves out what is behind the axis.
            self._made[axis] = self.node("Shape", source, start=place, end=place + 1, name=axis)
        return self._made[axis]

    def ints(self, numbers: Sequence[int | Size]) -> str:
        """Numbers of which some may be sizes, as int64 (n,)."""
        if all(isinstance(n, int) for n in numbers):
            return self.constant(list(numbers), np.int64)
        if len(numbers) == 1:
            return self.size(numbers[0])
        return self.node("Concat", *map(self.size, numbers), axis=0, name="shape")

    def position(self, n: int | Size) -> str:
        """A size or a position as int64 ()."""
        return (
            self.constant(n, np.int64) if isinstance(n, int) else self.node("Squeeze", self.size(n))
        )

    # --- operands ----------------------------------------------------------------------------

    def operand(self, x: Operand, dtype: Any = None) -> str:
        """The name of a value, converted if need be."""
        if isinstance(x, Number):
            return self._number(x, np.dtype(dtype or np.asarray(x.value).dtype))
        name = x.name if isinstance(x, Known) else self._write(x)
        return name if dtype is None else self.cast(name, x.dtype, np.dtype(dtype))

    def cast(self, name: str, old: np.dtype, new: np.dtype) -> str:
        """A value in another dtype."""
        if old == new:
            return name
        key = name, new.str
        if key not in self._made:
            self._made[key] = self.node("Cast", name, to=element_type(new))
        return self._made[key]

    def _number(self, x: Number, dtype: np.dtype) -> str:
        if not isinstance(x.value, Size):
            return self.constant(x.value, dtype)
        name = self.cast(self.position(x.value), np.dtype(np.int64), dtype)
        return self.node("Reciprocal", name) if x.inverse else name

    def _write(self, x: Made) -> str:
        """Write what makes an array."""
        if x.kind == "constant":
            return self.constant(x.value)
        key = x.kind, x.dtype.str, x.shape, None if x.value is None else float(x.value), x.source
        if key not in self._made:
            self._made[key] = getattr(self, f"_{x.kind}")(x)
        return self._made[key]

    def _fill(self, x: Made) -> str:
        value = self.onnx.numpy_helper.from_array(np.asarray([x.value], x.dtype))
        return self.node("ConstantOfShape", self.ints(x.shape), value=value)

    def _range(self, x: Made) -> str:
        return self.cast(self._counted(x.shape[0], x.value), np.dtype(np.int64), x.dtype)

    def _counted(self, n: int | Size, start: int) -> str:
        """int64 (n,) from `start` on."""
        stop = self.position(n)
        if start:
            stop = self.node("Add", stop, self.constant(start, np.int64))
        return self.node("Range", self.constant(start, np.int64), stop, self.constant(1, np.int64))

    def _shifted(self, x: Made) -> str:
        assert x.source is not None
        name = self.cast(x.source.name, x.source.dtype, x.dtype)
        return self.node("Add", name, self.constant(x.value, x.dtype)) if x.value else name

    def _transposed(self, x: Made) -> str:
        assert x.source is not None
        return self.node("Transpose", x.source.name, perm=[1, 0])

    def _column(self, x: Made) -> str:
        assert x.source is not None
        return self.node("Unsqueeze", x.source.name, self.constant([1], np.int64))

    def _mask(self, x: Made) -> str:
        """Truth values (T, N), or (N, T): whether a step is before the end of its sequence."""
        assert x.source is not None
        rows = bool(x.value)
        steps = self._counted(x.shape[1 if rows else 0], 0)
        lengths = self.cast(x.source.name, x.source.dtype, np.dtype(np.int64))
        axis = [self.constant([n], np.int64) for n in (0, 1)]
        steps = self.node("Unsqueeze", steps, axis[0 if rows else 1])
        lengths = self.node("Unsqueeze", lengths, axis[1 if rows else 0])
        return self.node("Less", steps, lengths)
