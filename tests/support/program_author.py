"""Who writes random programs: draws operands that fit, and runs each line to know what it gives."""

import functools
import re
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from program_data import Input, Program, drawn

import minigrad as mg
from minigrad.engine.graph import on_call

LARGEST = {False: 200, True: 40_000}  # numbers of a value, of small and of large programs
SIDES = [2, 3, 1, 4, 2, 5, 3, 1, 0]
LARGE_SIDES = [17, 40, 5, 33, 64, 1, 7, 130]
DTYPES = ["float64", "float32", "float64", "float32", "float16"]


@functools.cache
def _below(n):
    return st.integers(0, n - 1)


@dataclass
class Value:
    """A value of the program: its name in the text, and what it is on NumPy."""

    name: str
    array: np.ndarray

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    kind = property(lambda self: self.array.dtype.kind)


class Unfit(Exception):
    """An op has no use for the values that there are."""


class Author:
    """Writes a program; `draw` makes its choices, of which 0 is the simplest."""

    def __init__(self, draw, flavour):
        self.draw, self.flavour = draw, flavour
        self.special, self.large = flavour == "special", flavour == "large"
        self.inputs, self.recipes = {}, {}
        self.values, self.lines, self.calls = [], [], []
        self.scope = {"mg": mg, "np": np, "note": lambda x: x}
        self.scope |= {"stop": lambda k, how, f: f().detach(), "there_and_back": lambda x: x}
        self.count, self.stops = 0, 0

    # --- choices ---------------------------------------------------------------------------

    def below(self, n):
        """A whole number from 0 to n - 1."""
        return self.draw(_below(n)) if n > 1 else 0

    def pick(self, choices):
        """One of a sequence, the first of which is the simplest."""
        return choices[self.below(len(choices))]

    def chance(self, n):
        """Whether one case in n has come."""
        return self.below(n) == n - 1

    def seed(self):
        """Of random numbers that are not worth a choice each."""
        return self.below(1000)

    # --- inputs and operands ---------------------------------------------------------------

    def shape(self, most=3):
        """A shape; small, with empty and single axes now and then."""
        sides = LARGE_SIDES if self.large else SIDES
        axes = self.pick([2, 2, 2, 1, 3] if self.large else [2, 1, 3, 0])
        shape = tuple(self.pick(sides) for _ in range(min(axes, most)))
        return shape if np.prod(shape) <= LARGEST[self.large] else shape[1:]

    def leaf(self, shape, dtype=None, role=None):
        """A new input of floats, or of integers or truth values, in some layout."""
        if dtype is None:
            dtype = self.pick(DTYPES) if self.flavour == "mixed" else "float64"
            dtype = "float16" if self.flavour == "half" else dtype
        kind, seed = np.dtype(dtype).kind, self.seed()
        if role is None:
            role = self.pick(["wanted"] * 6 + ["tensor", "array"]) if kind == "f" else "tensor"
        if not any(x.role == "wanted" for x in self.inputs.values()):
            role = "wanted" if kind == "f" else role
        axes, places = len(shape), [1, 2, -1, 1, -2, 3]
        order, steps, margin, repeats = (), (), 0, (1,) * axes
        if self.large or self.below(4):
            margin = self.below(3)
            steps = tuple(self.pick(places) for _ in shape) if self.below(3) else ()
            if axes > 1 and self.below(2):
                order = tuple(np.random.default_rng(self.seed()).permutation(axes).tolist())
            if self.chance(3):
                repeats = tuple(n if n and self.below(2) else 1 for n in shape)
        own = tuple(1 if r > 1 else n for n, r in zip(shape, repeats, strict=True))
        if kind == "f":
            values = drawn(seed, own, dtype, self.special)
            recipe = f"drawn({seed}, {own}, {dtype!r})"
        else:
            high = 2 if kind == "b" else 3
            values = np.asarray(np.random.default_rng(seed).integers(0, high, own)).astype(dtype)
            recipe = f"np.random.default_rng({seed}).integers(0, {high}, {own}).astype({dtype!r})"
        name = f"x{len(self.inputs)}"
        given = self.inputs[name] = Input(values, order, steps, margin, repeats, role)
        self.recipes[name] = recipe
        with mg.use_backend("numpy"):
            self.scope[name] = given.tensor("numpy")
        value = Value(name, given.laid())
        if role != "array":
            self.values.append(value)
        return value

    def any(self, fits=lambda v: True, kinds="f", shape=None):
        """A value that fits, one of the last written rather than an early one; or a new input.

        `shape`: of the new input, as a function, where there is no value that fits.
        """
        found = [v for v in reversed(self.values) if v.kind in kinds and fits(v)]
        if found and not self.chance(6):
            return self.pick(found[:6])
        shape = self.shape() if shape is None else shape()
        dtype = None if kinds[0] == "f" else {"i": "int64", "b": "bool"}[kinds[0]]
        value = self.leaf(shape, dtype)
        if not fits(value):
            raise Unfit
        if isinstance(self.scope[value.name], np.ndarray):
            self.as_tensor(value.name)
            self.values.append(value)
        return value

    def real(self, min_ndim=0, filled=False, fits=lambda v: True):
        """A value of floats."""

        def good(v):
            return v.ndim >= min_ndim and (v.size > 0 or not filled) and fits(v)

        return self.any(good, shape=lambda: self._large_enough(min_ndim, filled))

    def _large_enough(self, min_ndim, filled):
        shape = self.shape()
        shape = (2, 3, 2)[: max(0, min_ndim - len(shape))] + shape
        return tuple(n or 2 for n in shape) if filled else shape

    def of_shape(self, shape, kinds="f"):
        """A value of this very shape: one that is there, or a new input."""
        found = [v for v in reversed(self.values) if v.shape == shape and v.kind in kinds]
        if found and self.below(2) == 0:
            return self.pick(found[:4])
        dtype = None if kinds[0] == "f" else {"i": "int64", "b": "bool"}[kinds[0]]
        return self.leaf(shape, dtype)

    def tensor(self, shape):
        """A tensor of this very shape, not an array of NumPy; its name."""
        name = self.of_shape(shape).name
        self.as_tensor(name)
        return name

    def as_tensor(self, name):
        """An input that was to be an array of NumPy becomes a tensor."""
        if name in self.inputs and self.inputs[name].role == "array":
            self.inputs[name].role = "tensor"
            with mg.use_backend("numpy"):
                self.scope[name] = self.inputs[name].tensor("numpy")

    def partner(self, v, numbers=True):
        """What may stand beside v in an op that broadcasts, as text."""
        ways = ["value", "leaf", "value", "leaf", "other", *(["number"] if numbers else [])]
        way = self.pick(ways)
        if way == "number":
            return self.pick(["2", "0.5", "-1.25", "True", "-3"])
        if way == "other":
            return self.of_shape(v.shape, self.pick(["i", "b"]) if numbers else "f").name
        if way == "value":
            found = [o for o in reversed(self.values) if o.kind == "f" and self._meet(v, o)]
            if found:
                return self.pick(found[:6]).name
        shape = list(v.shape)
        for i in range(len(shape)):
            if self.chance(4):
                shape[i] = 1
        if self.chance(4):
            shape = shape[1:]
        elif self.chance(6) and v.ndim < 3:
            shape = [2, *shape]
        return self.leaf(tuple(shape)).name

    def _meet(self, a, b):
        try:
            return np.prod(np.broadcast_shapes(a.shape, b.shape)) <= LARGEST[self.large]
        except ValueError:
            return False

    def within(self, text, low, high):
        """An operand with numbers from low to high: the given one, or a wave of it."""
        if self.special:
            return text
        array = np.asarray(getattr(self.scope.get(text), "_data", self.scope.get(text, 0)))
        if array.size and low <= array.min() and array.max() <= high:
            return text
        middle, half = round((low + high) / 2, 3), round((high - low) / 2.001, 3)
        return f"({middle} + {half} * mg.sin({text}))" if middle else f"({half} * mg.sin({text}))"

    def axis(self, ndim, many=True, none=True):
        """What `axis=` may be, as text."""
        ways = [*range(-1, ndim), *range(-ndim, -1)] if ndim else []
        ways = [str(i) for i in ways]
        if none:
            ways.insert(1 if ways else 0, "None")
        if many and ndim:
            some = sorted({self.below(ndim) for _ in range(2)})
            ways += [str(tuple(some)), str(tuple(i - ndim for i in reversed(some)))]
        return self.pick(ways)

    # --- lines -----------------------------------------------------------------------------

    def line(self, text):
        """A line, run at once."""
        self.lines.append("    " + text.replace("\n", "\n    "))
        quiet = np.errstate(all="ignore")
        try:
            with quiet, mg.use_backend("numpy"), on_call.within(self._observe):
                exec(text, self.scope)
        except Exception as error:
            error.add_note("This should work:\n" + "\n".join(self.lines))
            raise

    def _observe(self, op, node, inputs, *_):
        self.calls.append((op.name, node is not None, inputs))

    def write(self, op, text, count=None):
        """A line that gives a new value, or a list of `count`."""
        names = [f"v{self.count + i}" for i in range(count or 1)]
        self.count += len(names)
        self.line(f"{', '.join(names)}{',' if count == 1 else ''} = {text}")
        operands = [self.scope.get(name) for name in re.findall(r"\b[vx]\d+\b", text)]
        arrays = [x._data if isinstance(x, mg.Tensor) else x for x in operands]
        self.calls.append((op, any(self.scope[name].requires_grad for name in names), arrays))
        for name in names:
            array = self.scope[name]._data
            if array.size > LARGEST[self.large]:
                raise Unfit
            self.values.append(Value(name, array))
            top = np.abs(array).max(initial=0) if array.dtype.kind == "f" else 0
            if 16 < top < np.inf and not self.special:
                tamed = f"v{self.count}"
                self.count += 1
                self.line(f"{tamed} = {name} * {2.0 ** -np.ceil(np.log2(top) - 1)}")
                self.values[-1] = Value(tamed, self.scope[tamed]._data)

    def step(self, steps):
        """One more op; nothing if what was drawn fits nowhere."""
        op = self.pick(steps[0])
        kept = {
            name: type(part)(part)
            for name, part in vars(self).items()
            if isinstance(part, (list, dict))
        }
        try:
            result = steps[1][op](self)
            if result is not None:
                self.write(op, *((result,) if isinstance(result, str) else result))
        except Unfit:
            vars(self).update(kept)

    def program(self):
        """What was written: every value that no other was computed from is an output."""
        text = "\n".join(self.lines)
        own = [v for v in self.values if v.name.startswith("v")]
        ends = [v.name for v in own if len(re.findall(rf"\b{v.name}\b", text)) == 1]
        noted = [v for v in own if v.kind == "f" and f"{v.name} = mg.scan(" not in text]
        lines = list(self.lines)
        if noted:
            name = self.pick(noted[::-1]).name
            is_its = re.compile(rf"    (.*\b)?{name}\b.* = ").match
            at = next(i for i, line in enumerate(lines) if is_its(line))
            lines.insert(at + 1, f"    {name} = note({name})")
        names = [name for name in self.inputs if re.search(rf"\b{name}\b", text)] or ["x0"]
        inputs = {name: self.inputs[name] for name in names}
        lines.append(f"    return [{', '.join(ends) or names[0]}]")
        text = f"def program({', '.join(inputs)}):\n" + "\n".join(lines) + "\n"
        floats = [v.array.dtype.name for v in self.values if v.kind == "f"]
        floats += [x.values.dtype.name for x in inputs.values() if x.values.dtype.kind == "f"]
        precision = min(floats, key=lambda name: int(name[5:]), default="float64")
        made = Program(text, inputs, self.seed(), precision, self.special, recipes=self.recipes)
        for call in self.calls:
            made.saw(*call)
        return made
