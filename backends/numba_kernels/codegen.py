"""From a scheduled loop to the text of one Numba kernel.

The text is plain Python, meant to be read: products into buffers of their own, and between them
a pass over the rows of the batch in which every value is one loop over the features. What makes it
fast is in its shape: each row is sliced first so that every inner loop runs from 0, and every loop
writes to an array that no other name can reach, so that all of them vectorise.
"""

from __future__ import annotations

from minigrad.compiler.ir import ELEMENTWISE, REDUCTIONS, Value
from minigrad.compiler.schedule import Loop
from minigrad.compiler.sizes import Dim
from minigrad.errors import Untraceable

from ..shared.regions import is_one, is_scalar, row_width
from .text import applied, cast, number, operand_dtypes

SUM_BLOCK = 512  # numbers of a row that are added in the row's own precision

_DTYPES = {"bool", "int32", "int64", "float32", "float64"}
_WRITTEN = {"part", "reshape", "broadcast_to", "astype"} | ELEMENTWISE  # as expressions


class Writer:
    """Writes the kernel of one loop.

    Attributes
    ----------
    sizes : the names of the sizes that the kernel takes as arguments.
    plain, packed : those of `loop.once` that it takes as they are, and as panels for products.
    product_dtypes : of the products; for each it takes the address of a compiled one.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.program = loop.program
        self.names: dict[Value, str] = {}
        self.sizes: dict[str, None] = {"N": None}
        self._inside = set(loop.body)
        self._users: dict[Value, list[Value]] = {v: [] for v in loop.body}
        for user in loop.body:
            for x in user.inputs:
                if x in self._inside:
                    self._users[x].append(user)
        self.packed = [v for v in loop.once if any(self._is_factor(v, u) for u in loop.body)]
        self.product_dtypes = sorted({v.dtype.name for v in self.packed})
        self.plain = [v for v in loop.once if self._is_plain(v)]
        self.level = self._levels()
        self.stored = self._stored()
        self.last_use = self._last_uses()
        for value in (*loop.steps, *loop.once, *loop.carry_in, *loop.body):
            if value.dtype.name not in _DTYPES:
                raise Untraceable(f"it uses {value.dtype.name}; compiled are float32 and float64")

    @staticmethod
    def _is_factor(value: Value, user: Value) -> bool:
        return user.op == "matmul" and user.args[1] is value

    def _is_plain(self, value: Value) -> bool:
        """Whether something else than a product with its rows' sums reads it."""
        users = [u for u in self.loop.body if any(x is value for x in u.inputs)]
        return not users or not all(
            self._is_factor(value, u) and u.args[0] is not value for u in users
        )

    # --- what becomes of each value ----------------------------------------------------------

    def _levels(self) -> dict[Value, int]:
        """How many products come before a value."""
        level: dict[Value, int] = {}
        for value in self.loop.body:
            ins = [level[x] + (value.op == "matmul") for x in value.inputs if x in self._inside]
            level[value] = max(ins, default=0)
        return level

    def _stored(self) -> set[Value]:
        """Values that get an array; the others are written into the expressions of their users."""
        outside = {*self.loop.kept, *self.loop.carry_out}
        stored = set()
        for value in self.loop.body:
            users = self._users[value]
            solid = value in outside or value.op not in _WRITTEN
            several = len(users) > 1 and value.op not in ("part", "reshape", "broadcast_to")
            fed = any(user.op == "matmul" for user in users)
            later = any(self.level[user] > self.level[value] for user in users)
            if solid or several or fed or later:
                stored.add(value)
        return stored

    def _last_uses(self) -> dict[Value, int]:
        """The last level at which a value's array is read, also through values written inline."""
        last: dict[Value, int] = {}
        for value in reversed(self.loop.body):
            own = self.level[value] if value in self.stored else last.get(value, self.level[value])
            for x in value.inputs:
                if x in self._inside:
                    last[x] = max(last.get(x, 0), own)
        return last

    # --- text ------------------------------------------------------------------------------

    def size(self, n: int) -> str:
        """A size as text; its names become arguments of the kernel."""
        for product in self.program.form(n):
            self.sizes.update(dict.fromkeys(product))
        return _plain_names(self.program.size_text(n))

    def text(self) -> str:
        """The kernel."""
        loop = self.loop
        for letter, values in (
            ("w", loop.once),
            ("x", loop.steps),
            ("s", loop.carry_in),
            ("k", loop.kept),
        ):
            self.names |= {value: f"{letter}{i}" for i, value in enumerate(values)}
        carries = [f"s{i}" for i in range(len(loop.carry_in))]
        lines = [
            *(f"    # {self._described(v)}" for v in self.names),
            "    widest_vectors()",
            *self._buffers(),
            "    for step in range(T):",
            "        t = T - 1 - step if descending else step",
            "        kt = t if keep else 0",
        ]
        for i in range(len(carries)):
            lines += [
                f"        p{i} = step % 2",
                f"        q{i} = 1 - p{i}",
                f"        if full{i}:",
                f"            p{i} = t + 1 if descending else t",
                f"            q{i} = t if descending else t + 1",
            ]
        for level in range(max(self.level.values(), default=0) + 1):
            products = [v for v in loop.body if self.level[v] == level and v.op == "matmul"]
            for value in products:
                lines += self._product(value)
            lines += self._region(level)
        lines += self._passed_on()
        arguments = ["T", "lo", "hi", "descending", "keep"]
        arguments += [f"full{i}" for i in range(len(carries))]
        arguments += [_plain_names(name) for name in self.sizes]
        arguments += [self.names[v] for v in (*self.plain, *loop.steps)]
        arguments += [f"gemm_{dtype}" for dtype in self.product_dtypes]
        arguments += [f"{self.names[v]}_packed" for v in self.packed]
        arguments += [*carries, *(self.names[v] for v in loop.kept)]
        return "\n".join([f"def kernel({', '.join(arguments)}):", *lines]) + "\n"

    def _described(self, value: Value) -> str:
        shape = ", ".join(self.program.size_text(n) for n in value.shape)
        cell = value.line.partition(":")[0]
        made = value.name or value.op + (f" in {cell}" if cell else "")
        return f"{self.names[value]}: {made} ({shape})"

    def _buffers(self) -> list[str]:
        """Arrays of the kernel's own: for a batch where a later product reads them, else a row."""
        lines: list[str] = []
        for value in self.loop.body:
            if value not in self.stored or value in self.names or value in self.loop.carry_out:
                continue
            self.names[value] = name = f"b{len(lines)}"
            shape = [] if is_scalar(value) else [self.size(value.shape[-1])]
            if self._wide(value):
                shape = ["N", *(shape or ["1"] * (value.ndim - 1))]
            dtype = "bool_" if value.dtype.kind == "b" else value.dtype.name
            made = f"np.empty(({', '.join(shape)},), np.{dtype})" if shape else f"np.{dtype}(0)"
            lines.append(f"    {name} = {made}")
        return lines

    def _wide(self, value: Value) -> bool:
        """Whether a buffer must hold the whole batch: for a product, or for a later level."""
        later = self.last_use.get(value, self.level[value]) > self.level[value]
        return value.op == "matmul" or later or any(u.op == "matmul" for u in self._users[value])

    def _batch(self, value: Value) -> str:
        """The array of this step that holds a value: (N, ...), or a row where that is enough."""
        name, loop = self.names.get(value), self.loop
        if value in loop.steps:
            return f"{name}[t]"
        if value in loop.carry_in:
            i = loop.carry_in.index(value)
            return f"s{i}[p{i}]"
        if value in loop.kept:
            return f"{name}[kt]"
        if name is not None:
            return name
        if value not in loop.carry_out:
            raise Untraceable(f"{value.op} as an operand of a matrix product")
        i = loop.carry_out.index(value)
        return f"s{i}[q{i}]"

    def _copies(self, value: Value) -> list[str]:
        """The arrays of this step that want the same numbers as the one that holds a value."""
        places = [f"s{i}[q{i}]" for i, v in enumerate(self.loop.carry_out) if v is value]
        return [place for place in places if place != self._batch(value)]

    def _product(self, value: Value) -> list[str]:
        a, w, *start = value.args
        if w not in self.packed:
            raise Untraceable("a matrix product of two things that change from step to step")
        if a not in self._inside and a in self.loop.once and not a.has_rows:
            raise Untraceable("a matrix product without a row per sequence")
        if not a.dtype == w.dtype == value.dtype or w.dtype.kind != "f":
            raise Untraceable(f"a matrix product of {a.dtype} and {w.dtype}")
        gemm = f"gemm_{w.dtype.name}"
        target = self._batch(value)
        call, given = "product", [gemm, self._batch(a), f"{self.names[w]}_packed"]
        if start:
            call, given = "product_onto", [gemm, self._batch(start[0]), *given[1:]]
        return [
            f"        {call}({', '.join(given)}, {target}, lo, hi)",
            *(f"        {place}[lo:hi] = {target}[lo:hi]" for place in self._copies(value)),
        ]

    def _passed_on(self) -> list[str]:
        """What the next step takes over without its being computed in this one."""
        lines = []
        for i, value in enumerate(self.loop.carry_out):
            if value in self._inside:
                continue
            if value.op == "full":
                source = number(value.args[0], value.dtype)
            else:
                source = f"{self._batch(value)}[lo:hi]"
            lines.append(f"        s{i}[q{i}][lo:hi] = {source}")
        return lines

    # --- regions ---------------------------------------------------------------------------

    def _region(self, level: int) -> list[str]:
        """One pass over the rows: everything elementwise of this level."""
        values = [
            v
            for v in self.loop.body
            if v in self.stored and v.op != "matmul" and self.level[v] == level
        ]
        if not values:
            return []
        self._rows: dict[tuple[Value, str], str] = {}
        self._row_lines: list[str] = []
        lines: list[str] = []
        for value in values:
            lines += self._computed(value)
        return [
            "        for n in range(lo, hi):",
            *(f"            {line}" for line in [*self._row_lines, *lines]),
        ]

    def _row(self, value: Value, start: int = 0) -> str:
        """A name for a row of a value's array, from `start`; made once per row."""
        key = (value, repr(start))
        if key not in self._rows:
            array = self._batch(value)
            if value in self._inside:
                one_row = "[" not in array and not self._wide(value)
            else:
                one_row = value in self.loop.once and value.ndim == 1
            at = [] if one_row else ["0" if is_one(value.shape[0]) else "n"]
            if array.endswith("]"):  # of a step
                array, _, step = array[:-1].partition("[")
                at = [step, *at]
            self._rows[key] = name = f"r{len(self._rows)}"
            if value.dtype.kind == "b":  # Numba has no addresses of truth values
                cut = f"{array}[{', '.join([*at, self.size(start)])}:]"
            else:
                cut = f"row({array}, ({', '.join(at)}{', ' if at else ''}{self.size(start)},))"
            self._row_lines.append(f"{name} = {cut}")
        return self._rows[key]

    def _number_at(self, value: Value) -> str:
        """Where the one number of a row is."""
        array = self._batch(value)
        if value in self._inside and "[" not in array and not self._wide(value):
            return array  # a local variable
        return f"{array}[n, 0]" if value.ndim == 2 else f"{array}[n]"

    def _computed(self, value: Value) -> list[str]:
        """What computes one value's row."""
        if value.op in REDUCTIONS:
            lines = self._reduced(value)
        elif value.op == "concatenate":
            lines, start = [], 0
            for part in value.args:
                lines += self._filled(value, part, start, part.shape[-1])
                start = start + part.shape[-1]
        elif value.op == "place":
            (part,) = value.args
            zero = number(0, value.dtype)
            lines = [
                *self._loop_over(value, 0, value.shape[-1], zero),
                *self._filled(value, part, value.settings["start"], part.shape[-1]),
            ]
        elif is_scalar(value):
            lines = [f"{self._number_at(value)} = {self._expression(value, top=True)}"]
        else:
            lines = self._loop_over(value, 0, value.shape[-1], self._expression(value, top=True))
        for place in self._copies(value):
            if is_scalar(value):
                at = "[n, 0]" if value.ndim == 2 else "[n]"
                lines.append(f"{place}{at} = {self._number_at(value)}")
            else:
                lines += [
                    f"for j in range({self.size(value.shape[-1])}):",
                    f"    {place}[n, j] = {self._row(value)}[j]",
                ]
        return lines

    def _filled(self, target: Value, part: Value, start: int, size: int) -> list[str]:
        return self._loop_over(target, start, size, self._expression(part))

    def _loop_over(self, target: Value, start: int, size: int, expression: str) -> list[str]:
        row = self._row(target, start)
        return [f"for j in range({self.size(size)}):", f"    {row}[j] = {expression}"]

    def _reduced(self, value: Value) -> list[str]:
        (x,) = value.args
        if value.settings["axes"] != (1,) or not int(x.shape[1]):
            raise Untraceable(f"a {value.op} over the axes {value.settings['axes']} of {x.shape}")
        name, width, item = self._number_at(value), self.size(x.shape[-1]), self._expression(x)
        dtype = value.dtype.name
        if value.op in ("sum", "mean"):
            over = f" / ({width})" if value.op == "mean" else ""
            return [  # by blocks: in a long row one number after the other loses digits
                f"total = {'0.0' if value.dtype.kind == 'f' else f'np.{dtype}(0)'}",
                f"for start in range(0, {width}, {SUM_BLOCK}):",
                f"    part = np.{dtype}(0)",
                f"    for j in range(start, min(start + {SUM_BLOCK}, {width})):",
                f"        part += {item}",
                "    total += part",
                f"{name} = np.{dtype}(total{over})",
            ]
        if value.dtype.kind == "f":
            better = f"{value.op}imum(best, {item})"
        else:
            better = f"{value.op}(best, {item})"
        return [
            f"best = {item.replace('[j]', '[0]')}",
            f"for j in range(1, {width}):",
            f"    best = {better}",
            f"{name} = best",
        ]

    # --- expressions -----------------------------------------------------------------------

    def _expression(
        self, value: Value, top: bool = False, start: int = 0, size: int | None = None
    ) -> str:
        """Element j of a row of a value, or of the slice of it from `start`, as an expression."""
        if value.op == "full":
            return number(value.args[0], value.dtype)
        if is_scalar(value):  # the same for every j, whatever slice its user is part of
            start, size = 0, None
        if value not in self._inside or (value in self.stored and not top):
            return self._element(value, start)
        op, args = value.op, value.args
        if op == "part":
            if value.settings["axis"] != value.ndim - 1:
                raise Untraceable("a part of the rows")
            first = value.settings["start"]
            size = value.shape[-1] if size is None else size
            text = self._expression(args[0], start=first + start, size=size)
            return text.replace("[j]", "[0]") if is_scalar(value) else text
        if op in ("reshape", "broadcast_to"):
            (x,) = args
            widths = row_width(x), row_width(value)
            if not is_one(widths[0]) and self.program.form(widths[0]) != self.program.form(
                widths[1]
            ):
                raise Untraceable(f"a reshape from {x.shape} to {value.shape} within a kernel")
            return self._expression(x, start=start, size=size)
        if op == "astype":
            return cast(self._expression(args[0], start=start, size=size), value.dtype)
        if op not in ELEMENTWISE:
            raise Untraceable(f"{op} within a kernel")
        parts = []
        for arg, dtype in zip(args, operand_dtypes(value), strict=True):
            if not isinstance(arg, Value):
                parts.append(f"({self.size(arg)})" if isinstance(arg, Dim) else "")
                parts[-1] = cast(parts[-1], dtype) if parts[-1] else number(arg, dtype)
                continue
            text = self._expression(arg, start=start, size=size)
            parts.append(text if arg.dtype == dtype else cast(text, dtype))
        return applied(value, parts)

    def _element(self, value: Value, start: int) -> str:
        if value.is_number:
            return self.names[value]
        if value in self.loop.once and not value.has_rows:
            if value.ndim == 0 or is_one(value.shape[-1]):
                return f"{self.names[value]}[{', '.join('0' * value.ndim) or '()'}]"
            if value.ndim > 2 or (value.ndim == 2 and not is_one(value.shape[0])):
                raise Untraceable("a matrix that all rows share meets them")
        elif is_scalar(value):
            return self._number_at(value)
        return f"{self._row(value, start)}[j]"


def _plain_names(text: str) -> str:
    return text.replace(".", "_")
