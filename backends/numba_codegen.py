"""From a scheduled loop to the text of one Numba kernel.

The text is plain Python, meant to be read: products by `np.dot` into buffers of their own, and
between them a pass over the rows of the batch in which every value is one loop over the features.
What makes it fast is in its shape: each row is sliced first so that every inner loop runs from 0,
and every loop writes to an array that no other name can reach, so that all of them vectorise.
"""

from __future__ import annotations

from typing import Any

from minigrad.compiler.schedule import Loop
from minigrad.compiler.sizes import Dim, form_of
from minigrad.compiler.symbolic import ELEMENTWISE, REDUCTIONS, Untraceable, Value

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}
_INFIX |= {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_INFIX |= {"equal": "==", "not_equal": "!=", "logical_and": "and", "logical_or": "or"}
_CALLS = {"exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus"}


class Writer:
    """Writes the kernel of one loop."""

    def __init__(self, loop: Loop, dtype: Any) -> None:
        self.loop, self.dtype = loop, dtype
        self.program = loop.program
        self.names: dict[Value, str] = {}
        self._inside = set(loop.body)
        self._users: dict[Value, list[Value]] = {v: [] for v in loop.body}
        for user in loop.body:
            for x in user.inputs:
                if x in self._inside:
                    self._users[x].append(user)
        factors = {v.args[1] for v in loop.body if v.op == "matmul"}
        self.packed = [v for v in loop.once if v in factors]
        self.plain = [v for v in loop.once if self._is_plain(v)]
        self.level = self._levels()
        self.stored = self._stored()
        self.last_use = self._last_uses()

    def _is_plain(self, value: Value) -> bool:
        """Whether something else than a product reads it."""
        users = [u for u in self.loop.body if any(x is value for x in u.inputs)]
        products = [u for u in users if u.op == "matmul" and u.args[1] is value]
        return len(products) < len(users) or not users

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
            solid = value in outside or value.op in (*REDUCTIONS, "matmul", "concatenate", "place")
            several = len(users) > 1 and value.op not in ("part", "reshape", "broadcast_to")
            fed = any(user.op in ("matmul", *REDUCTIONS) for user in users)
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
        """A size as text."""
        text = self.program.size_text(n)
        return (
            text if text.replace("_", "a").isalnum() or "." not in text else text.replace(".", "_")
        )

    def text(self) -> str:
        """The kernel."""
        loop = self.loop
        for i, value in enumerate(loop.once):
            self.names[value] = f"w{i}"
        for i, value in enumerate(loop.steps):
            self.names[value] = f"x{i}"
        for i, value in enumerate(loop.carry_in):
            self.names[value] = f"s{i}"
        for i, value in enumerate(loop.kept):
            self.names[value] = f"k{i}"
        arguments = [self.names[v] for v in (*self.plain, *loop.steps)]
        arguments += [f"{self.names[v]}_packed" for v in self.packed]
        carries = [f"s{i}" for i in range(len(loop.carry_in))]
        full = [f"full{i}" for i in range(len(loop.carry_in))]
        kept = [f"k{i}" for i in range(len(loop.kept))]
        rest = [*full, *arguments, *carries, *kept]
        lines = [
            f"def kernel({', '.join(['T', 'lo', 'hi', 'descending', 'keep', *rest])}):",
            *(
                f"    # {self._described(v)}"
                for v in (*loop.once, *loop.steps, *loop.carry_in, *loop.kept)
            ),
            *self._sizes(),
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
        body = []
        for level in range(max(self.level.values(), default=0) + 1):
            products = [v for v in loop.body if self.level[v] == level and v.op == "matmul"]
            body += [f"        {self._product(v)}" for v in products]
            body += self._region(level)
        lines += body
        return "\n".join(lines) + "\n"

    def _described(self, value: Value) -> str:
        shape = ", ".join(self.size(n) for n in value.shape)
        made = value.name or f"{value.op} {value.line}".strip()
        return f"{self.names[value]}: {made} ({shape})"

    def _sizes(self) -> list[str]:
        """Names of sizes, read off the arrays."""
        loop, known, lines = self.loop, set(), []
        sources = [
            (v, 0 if v in loop.once else 1) for v in (*loop.carry_in, *loop.steps, *self.plain)
        ]
        for value, ahead in sources:
            for axis, n in enumerate(value.shape):
                form = self.program.form(n)
                if len(form) == 1 and (product := next(iter(form))) and len(product) == 1:
                    name, factor = product[0].replace(".", "_"), form[product]
                    if name not in known and factor.numerator > 0:
                        known.add(name)
                        text = f"{self.names[value]}.shape[{axis + ahead}]"
                        text += f" * {factor.denominator}" if factor.denominator > 1 else ""
                        text += f" // {factor.numerator}" if factor.numerator > 1 else ""
                        lines.append(f"    {name} = {text}")
        return lines

    def _buffers(self) -> list[str]:
        """Arrays of the kernel's own: for a batch where a later product reads them, else a row."""
        lines, count = [], 0
        carried = {v: i for i, v in reversed(list(enumerate(self.loop.carry_out)))}
        for value in self.loop.body:
            if value not in self.stored or value in self.names:
                continue
            if value in carried and value not in self.loop.kept:
                continue
            self.names[value] = name = f"b{count}"
            count += 1
            wide = self._wide(value)
            dtype = f"np.{value.dtype.name}" if value.dtype.kind == "f" else "np.bool_"
            if self._is_scalar(value):
                lines += [f"    {name} = np.empty(N, {dtype})"] if wide else []
            elif wide:
                lines.append(f"    {name} = np.empty((N, {self.size(value.shape[-1])}), {dtype})")
            else:
                lines.append(f"    {name} = np.empty({self.size(value.shape[-1])}, {dtype})")
        return lines

    def _wide(self, value: Value) -> bool:
        """Whether a buffer holds the whole batch: a product or a later level has to do with it."""
        later = self.last_use.get(value, self.level[value]) > self.level[value]
        return value.op == "matmul" or later or any(u.op == "matmul" for u in self._users[value])

    @staticmethod
    def _is_scalar(value: Value) -> bool:
        """Whether a row of it is one number."""
        width = value.shape[1] if len(value.shape) > 1 else 1
        return len(value.shape) == 1 or (width == 1 and not isinstance(width, Dim))

    def _batch(self, value: Value) -> str:
        """The (N, ...) array of this step that holds a value."""
        name = self.names.get(value)
        loop = self.loop
        if value in loop.steps:
            return f"{name}[t]"
        if value in loop.carry_in:
            i = loop.carry_in.index(value)
            return f"s{i}[p{i}]"
        if value in loop.kept:
            return f"{name}[kt]"
        if name is None:
            i = loop.carry_out.index(value)
            return f"s{i}[q{i}]"
        return name

    def _product(self, value: Value) -> str:
        a, w = value.args
        if w in self._inside or w not in self.loop.once:
            raise Untraceable("a matrix product of two things that change from step to step")
        target = self._batch(value)
        text = f"product({self._batch(a)}, {self.names[w]}_packed, {target}, lo, hi)"
        assert w in self.packed
        copies = self._copies(value, target)
        return text + "".join(f"\n        {copy}" for copy in copies)

    def _copies(self, value: Value, target: str) -> list[str]:
        """The same numbers in the other places that want them."""
        places = []
        if value in self.loop.kept:
            places.append(f"{self.names[value]}[kt]")
        places += [f"s{i}[q{i}]" for i, v in enumerate(self.loop.carry_out) if v is value]
        return [f"{place}[lo:hi] = {target}[lo:hi]" for place in places if place != target]

    # --- regions ---------------------------------------------------------------------------

    def _region(self, level: int) -> list[str]:
        """One pass over the rows: everything elementwise of this level."""
        values = [
            v
            for v in self.loop.body
            if v in self.stored and v.op != "matmul" and self.level[v] == level
        ]
        copies = []
        if level == max(self.level.values(), default=0):
            fed = {x for x in self.loop.carry_out if x not in self._inside}
            for i, x in enumerate(self.loop.carry_out):
                if x in fed:
                    copies.append(f"        s{i}[q{i}][lo:hi] = {self._batch(x)}[lo:hi]")
        if not values:
            return copies
        self._rows: dict[tuple[Value, int, int], str] = {}
        self._row_lines: list[str] = []
        lines: list[str] = []
        for value in values:
            lines += self._computed(value)
        return [
            "        for n in range(lo, hi):",
            *(f"            {x}" for x in [*self._row_lines, *lines]),
            *copies,
        ]

    def _row(self, value: Value, start: int = 0, size: int | None = None) -> str:
        """A name for a row of a value's array (or a slice of it), made once per row."""
        size = value.shape[-1] if size is None else size
        key = (value, repr(start), repr(size))
        if key not in self._rows:
            name = f"r{len(self._rows)}"
            self._rows[key] = name
            whole = int(start) == 0 and not isinstance(start, Dim) and size is value.shape[-1]
            cut = "" if whole else f"{self.size(start)}:{self.size(start + size)}"
            if value in self.loop.once:
                at = f"[{cut}]" if len(value.shape) == 1 else f"[0, {cut or ':'}]"
                source = self.names[value] + (at if cut or len(value.shape) > 1 else "")
            else:
                batch = self._batch(value)
                if "[" not in batch and not self._wide(value):
                    source = batch + (f"[{cut}]" if cut else "")
                else:
                    source = f"{batch}[n, {cut}]" if cut else f"{batch}[n]"
            line = f"{name} = {source}"
            self._row_lines.append(line)
        return self._rows[key]

    def _computed(self, value: Value) -> list[str]:
        """The loop that computes one value's row."""
        if value.op in REDUCTIONS:
            return self._reduced(value)
        if self._is_scalar(value):
            return [f"{self._scalar_target(value)} = {self._expression(value, top=True)}"]
        target = value
        if value.op == "concatenate":
            lines, start = [], 0
            for part in value.args:
                size = part.shape[-1]
                row = self._row(target, start, size)
                lines += [
                    f"for j in range({self.size(size)}):",
                    f"    {row}[j] = {self._expression(part)}",
                ]
                start = start + size
            return [*lines, *self._row_copies(value)]
        if value.op == "place":
            (part,) = value.args
            whole = self._row(target)
            row = self._row(target, value.settings["start"], part.shape[-1])
            return [
                f"{whole}[:] = 0",
                f"for j in range({self.size(part.shape[-1])}):",
                f"    {row}[j] = {self._expression(part)}",
                *self._row_copies(value),
            ]
        row = self._row(target)
        lines = [f"for j in range({self.size(value.shape[-1])}):"]
        lines.append(f"    {row}[j] = {self._expression(value, top=True)}")
        return [*lines, *self._row_copies(value)]

    def _row_copies(self, value: Value) -> list[str]:
        row = self._row(value)
        places = self._copies(value, self._batch(value))
        return [
            line
            for place in places
            for line in (
                f"for j in range({self.size(value.shape[-1])}):",
                f"    {place.partition('[lo:hi]')[0]}[n, j] = {row}[j]",
            )
        ]

    def _scalar_target(self, value: Value) -> str:
        batch = self._batch(value)
        if "[" in batch:
            return f"{batch}[n{', 0' if len(value.shape) > 1 else ''}]"
        return f"{batch}[n]" if self._wide(value) else batch

    def _reduced(self, value: Value) -> list[str]:
        (x,) = value.args
        if value.settings["axes"] != (1,):
            raise Untraceable(f"a {value.op} over the axes {value.settings['axes']} of a step")
        name, width = self._scalar_target(value), self.size(x.shape[-1])
        item = self._expression(x)
        zero = f"np.{value.dtype.name}(0)"
        if value.op in ("sum", "mean"):
            lines = ["total = " + zero, f"for j in range({width}):", f"    total += {item}"]
            if value.op == "mean":
                return [*lines, f"{name} = total / np.{value.dtype.name}({width})"]
            return [*lines, f"{name} = total"]
        compare = "max" if value.op == "max" else "min"
        first = item.replace("[j]", "[0]")
        return [
            f"best = {first}",
            f"for j in range({width}):",
            f"    best = {compare}(best, {item})",
            f"{name} = best",
        ]

    def _expression(
        self, value: Any, top: bool = False, start: int = 0, size: int | None = None
    ) -> str:
        """Element j of a row of a value, as an expression."""
        if not isinstance(value, Value):
            return self._number(value)
        if value not in self._inside or (value in self.stored and not top):
            return self._element(value, start, size)
        op, args = value.op, value.args
        if op == "part":
            if value.settings["axis"] != len(value.shape) - 1:
                raise Untraceable("a part of the batch")
            return self._expression(
                args[0], start=value.settings["start"] + start, size=size or value.shape[-1]
            )
        if op in ("reshape", "broadcast_to"):
            return self._reshaped(value, start, size)
        if op == "astype":
            inner = self._expression(args[0], start=start, size=size)
            return f"np.{value.dtype.name}({inner})"
        if op not in ELEMENTWISE:
            raise Untraceable(f"{op} within a step")
        parts = [self._expression(arg, start=start, size=size) for arg in args]
        return self._applied(value, parts)

    def _reshaped(self, value: Value, start: int, size: int | None) -> str:
        (x,) = value.args
        widths = [v.shape[1] if len(v.shape) > 1 else 1 for v in (x, value)]
        same = self.program.form(widths[0]) == self.program.form(widths[1])
        if not (same or self._is_scalar(x)) or len(value.shape) > 2:
            raise Untraceable(f"a reshape from {x.shape} to {value.shape} within a step")
        return self._expression(x, start=start, size=size)

    def _element(self, value: Value, start: int, size: int | None) -> str:
        if value in self.loop.once:
            if not value.shape:
                return f"{self.names[value]}[()]"
            last = value.shape[-1]
            if last == 1 and not isinstance(last, Dim):
                return f"{self.names[value]}[{', '.join('0' for _ in value.shape)}]"
            if len(value.shape) == 2 and value.shape[0] != 1:
                raise Untraceable("a matrix of parameters meets the rows of a batch")
            return f"{self._row(value, start, size)}[j]"
        if self._is_scalar(value):
            batch = self._batch(value)
            if "[" in batch:
                return f"{batch}[n{', 0' if len(value.shape) > 1 else ''}]"
            return f"{batch}[n]" if self._wide(value) else batch
        return f"{self._row(value, start, size)}[j]"

    def _number(self, x: Any) -> str:
        if isinstance(x, bool):
            return repr(x)
        text = f"({self.size(x)})" if isinstance(x, Dim) else repr(float(x))
        if isinstance(x, Dim) and any("N" in p for p in form_of(x)):
            raise Untraceable("it calculates with the number of sequences in the batch")
        if text in ("inf", "-inf", "nan"):
            text = {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[text]
        return f"np.{self.dtype}({text})"

    def _applied(self, value: Value, parts: list[str]) -> str:
        op = value.op
        if op in _INFIX:
            return f"({parts[0]} {_INFIX[op]} {parts[1]})"
        if op in _CALLS:
            return f"{op}({parts[0]})"
        (x, *rest) = parts
        zero, one = f"np.{self.dtype}(0)", f"np.{self.dtype}(1)"
        if op == "negative":
            return f"(-{x})"
        if op == "square":
            return f"({x} * {x})"
        if op == "abs":
            return f"abs({x})"
        if op == "relu":
            return f"({x} if {x} > {zero} or {x} != {x} else {zero})"
        if op == "sign":
            return f"({one} if {x} > {zero} else (-{one} if {x} < {zero} else {x}))"
        if op == "where":
            return f"({rest[0]} if {x} else {rest[1]})"
        if op == "maximum":
            return f"({x} if {x} >= {rest[0]} or {x} != {x} else {rest[0]})"
        if op == "minimum":
            return f"({x} if {x} <= {rest[0]} or {x} != {x} else {rest[0]})"
        if op == "logical_not":
            return f"(not {x})"
        if op == "isnan":
            return f"({x} != {x})"
        if op == "isfinite":
            return f"(({x} - {x}) == {zero})"
        raise Untraceable(f"{op} has no kernel")
