"""From a scheduled loop to the text of one Numba kernel.

The text is plain Python, meant to be read: products into buffers of their own, and between them
a pass over the rows of the batch in which every value is one loop over the features. What makes it
fast is in its shape: each row is sliced first so that every inner loop runs from 0, and every loop
writes to an array that no other name can reach, so that all of them vectorise.
"""

from __future__ import annotations

from minigrad.compiler.ir import REDUCTIONS, Value
from minigrad.compiler.schedule import Loop, rows_of
from minigrad.errors import Untraceable

from ..shared.expressions import Expressions, describe
from ..shared.regions import Regions, is_one, is_scalar, row_width
from .dialect import NUMBA, literal

SUM_BLOCK = 512  # numbers of a row that are added in the row's own precision
ROWS_PER_SUM = 16  # rows that are added up in the kernel, one after the other


class Writer:
    """Writes the kernel of one loop; a `block_sum` in it adds up `rows_per_sum` rows.

    Attributes
    ----------
    sizes : the names of the sizes that the kernel takes as arguments, after N.
    plain, packed : those of `loop.invariant` that it takes as they are, and as panels for products.
    product_dtypes : of the products; for each it takes the address of a compiled one. For `totals`
        it takes those of the plain one, not in parts, and of the one that packs.
    text : the kernel.
    """

    def __init__(self, loop: Loop, rows_per_sum: int = ROWS_PER_SUM) -> None:
        self.loop, self.program, self._rows_per_sum = loop, loop.program, rows_per_sum
        self._names: dict[Value, str] = {}
        self._regions = regions = Regions(loop)
        self._expressions = Expressions(NUMBA, loop.program, regions.region, regions.named)
        self._size = self._expressions.size
        self.packed = [v for v in loop.invariant if any(self._is_factor(v, u) for u in loop.body)]
        products = (v for v in loop.totals if v.op == "matmul")
        self.product_dtypes = sorted({v.dtype.name for v in (*self.packed, *products)})
        self.plain = [v for v in loop.invariant if self._is_plain(v)]
        # Buffers of the whole batch: for a product, or for another region. Others are one row.
        self._wide = {
            v
            for v in loop.body
            if v.op == "matmul"
            or v in regions.added
            or any(regions.region.get(u) != regions.region[v] for u in regions.users[v])
        }
        self.text = self._kernel()
        self.sizes = list(self._expressions.sizes)

    @staticmethod
    def _is_factor(value: Value, user: Value) -> bool:
        return user.op == "matmul" and user.args[1] is value

    def _is_plain(self, value: Value) -> bool:
        """Whether something else than a product with its rows' sums reads it."""
        users = [u for u in self.loop.body if any(x is value for x in u.inputs)]
        return not users or not all(
            self._is_factor(value, u) and u.args[0] is not value for u in users
        )

    def _kernel(self) -> str:
        loop = self.loop
        for word, values in (
            ("w", loop.invariant),
            ("x", loop.steps),
            ("states", loop.carry_in),
            ("kept", loop.kept),
        ):
            self._names |= {value: f"{word}{i}" for i, value in enumerate(values)}
        states = [f"states{i}" for i in range(len(loop.carry_in))]
        lines = [
            *(f"    # {name}: {describe(v, self.program)}" for v, name in self._names.items()),
            "    widest_vectors()",
            *self._buffers(),
            "    for step in range(T):",
            "        t = T - 1 - step if descending else step",
            "        kt = t if keep else 0",
        ]
        for i in range(len(states)):
            lines += [
                f"        old{i}, new{i} = step % 2, 1 - step % 2",
                f"        if full{i}:",
                f"            old{i}, new{i} = (t + 1, t) if descending else (t, t + 1)",
            ]
        for stage in self._regions.stages:
            lines += self._region(stage) if isinstance(stage, list) else self._product(stage)
        lines += [line for i, v in enumerate(loop.totals) for line in self._add(v, f"totals{i}")]
        lines += self._pass_on()
        arguments = ["T", "lo", "hi", "descending", "keep"]
        arguments += [f"full{i}" for i in range(len(states))]
        arguments += self._expressions.size_arguments()
        arguments += [self._names[v] for v in (*self.plain, *loop.steps)]
        arguments += [f"gemm_{dtype}" for dtype in self.product_dtypes]
        arguments += [f"{self._names[v]}_packed" for v in self.packed]
        if loop.totals:
            words = ("plain", "packing")
            arguments += [f"{word}_{dtype}" for word in words for dtype in self.product_dtypes]
        arguments += [*states, *(self._names[v] for v in loop.kept)]
        arguments += [f"totals{i}" for i in range(len(loop.totals))]
        return "\n".join([f"def kernel({', '.join(arguments)}):", *lines]) + "\n"

    def _buffers(self) -> list[str]:
        """Arrays of the kernel's own: for a batch where a later stage reads them, else a row."""
        lines: list[str] = []
        for value in self.loop.body:
            if self._has_array(value):
                continue
            if value.op != "matmul" and value not in self._regions.named:
                continue
            if self._takes_over(value):
                self._names[value] = self._names[value.args[2]]
                continue
            shape = [] if is_scalar(value) else [self._size(value.shape[-1])]
            if value in self._wide:
                shape = ["N", *(shape or ["1"] * (value.ndim - 1))]
            if not shape:
                continue  # a local variable
            self._names[value] = name = f"b{len(lines)}"
            dtype = "bool_" if value.dtype.kind == "b" else value.dtype.name
            lines.append(f"    {name} = np.empty(({', '.join(shape)},), np.{dtype})")
        return lines

    def _takes_over(self, value: Value) -> bool:
        """Whether a product is written over the one that it starts from, which it alone reads."""
        if value.op != "matmul" or len(value.args) < 3:
            return False
        start, read = value.args[2], self._regions.added
        kept = start in read or start in self.loop.kept or start in self.loop.carry_out
        return start.op == "matmul" and self._regions.users.get(start) == [value] and not kept

    def _batch(self, value: Value) -> str:
        """The array of this step that holds a value: (N, ...), or a row where that is enough."""
        name, loop = self._names.get(value), self.loop
        if value in loop.steps:
            return f"{name}[t]"
        if value in loop.carry_in:
            i = loop.carry_in.index(value)
            return f"states{i}[old{i}]"
        if value in loop.kept:
            return f"{name}[kt]"
        if name is not None:
            return name
        if value not in loop.carry_out:
            raise Untraceable(f"{value.op} as an operand of a matrix product")
        i = loop.carry_out.index(value)
        return f"states{i}[new{i}]"

    def _copies(self, value: Value) -> list[str]:
        """The arrays of this step that want the same numbers as the one that holds a value."""
        places = [f"states{i}[new{i}]" for i, v in enumerate(self.loop.carry_out) if v is value]
        return [place for place in places if place != self._batch(value)]

    def _product(self, value: Value) -> list[str]:
        a, w, *start = value.args
        if w.dtype.kind != "f":
            raise Untraceable(f"a matrix product of {a.dtype} and {w.dtype}")
        gemm = f"gemm_{w.dtype.name}"
        target = self._batch(value)
        call, given = "product", [gemm, self._batch(a), f"{self._names[w]}_packed"]
        if start:
            call, given = "product_onto", [gemm, self._batch(start[0]), *given[1:]]
        return [
            f"        {call}({', '.join(given)}, {target}, lo, hi)",
            *(line for place in self._copies(value) for line in self._copy(value, target, place)),
        ]

    def _add(self, total: Value, array: str) -> list[str]:
        """Add the rows of this step to a total: to the one of these steps."""
        rows, dtype, part = rows_of(total), total.dtype.name, f"step * len({array}) // T"
        if total.op == "matmul":
            given = [f"plain_{dtype}", f"packing_{dtype}", *map(self._batch, rows)]
            return [f"        add_product({', '.join(given)}, {array}[{part}], lo, hi)"]
        self._begin_rows()
        row = self._row(rows[0])
        return [
            f"        total = row({array}, ({part}, 0,))",
            "        for n in range(lo, hi):",
            *(f"            {line}" for line in self._row_lines),
            f"            for j in range({self._size(total.shape[-1])}):",
            f"                total[j] += {row}[j]",
        ]

    def _copy(self, value: Value, source: str, target: str) -> list[str]:
        """Copy the rows of a value: an assignment of slices takes a second to compile."""
        at, lines = ["n"], ["        for n in range(lo, hi):"]
        if value.ndim == 2:
            at = ["n", "j"]
            lines.append(f"            for j in range({self._size(value.shape[-1])}):")
        return [*lines, f"{' ' * 4 * (value.ndim + 2)}{_index(target, at)} = {_index(source, at)}"]

    def _pass_on(self) -> list[str]:
        """What the next step takes over without its being computed in this one."""
        lines = []
        for i, value in enumerate(self.loop.carry_out):
            if value in self._regions.inside:
                continue
            if value.op == "full":
                zero = literal(value.args[0], value.dtype)
                lines.append(f"        states{i}[new{i}, lo:hi] = {zero}")
            else:
                lines += self._copy(value, self._batch(value), f"states{i}[new{i}]")
        return lines

    # --- regions ---------------------------------------------------------------------------

    def _region(self, values: list[Value]) -> list[str]:
        """One pass over the rows."""
        self._begin_rows()
        self._here = set(values)
        lines: list[str] = []
        for value in values:
            if value in self._regions.named:
                lines += self._compute(value)
        return [
            "        for n in range(lo, hi):",
            *(f"            {line}" for line in [*self._row_lines, *lines]),
        ]

    def _begin_rows(self) -> None:
        """Begin a pass over the rows, in which they get names."""
        self._rows: dict[tuple[Value, str], str] = {}
        self._numbers: dict[Value, str] = {}
        self._row_lines: list[str] = []

    def _row(self, value: Value, start: int = 0) -> str:
        """A name for a row of a value's array, from `start`; made once per row."""
        key = (value, repr(start))
        if key not in self._rows:
            array = self._batch(value)
            if value in self._regions.inside:
                one_row = "[" not in array and value not in self._wide
            else:
                one_row = value in self.loop.invariant and value.ndim == 1
            at = [] if one_row else ["0" if is_one(value.shape[0]) else "n"]
            if array.endswith("]"):  # of a step
                array, _, step = array[:-1].partition("[")
                at = [step, *at]
            if value.op == "block_sum":
                at[-1] = f"n // {self._rows_per_sum}"
            self._rows[key] = name = f"r{len(self._rows)}"
            if value.dtype.kind == "b":  # Numba has no addresses of truth values
                cut = f"{array}[{', '.join([*at, self._size(start)])}:]"
            else:
                cut = f"row({array}, ({', '.join(at)}{', ' if at else ''}{self._size(start)},))"
            self._row_lines.append(f"{name} = {cut}")
        return self._rows[key]

    def _number(self, value: Value) -> str:
        """A local variable for the one number of a row, or one that all rows share.

        The compiler could not know that a number in memory stays as it is while a loop writes.
        """
        if value not in self._numbers:
            self._numbers[value] = name = f"c{len(self._numbers)}"
            if value not in self._here:
                self._row_lines.append(f"{name} = {self._number_at(value, self._batch(value))}")
        return self._numbers[value]

    def _number_at(self, value: Value, array: str) -> str:
        """Where the one number of a row is in an array of this step."""
        return _index(array, ["n"] * value.has_rows + ["0"] * (value.ndim - value.has_rows))

    def _compute(self, value: Value) -> list[str]:
        """What computes one value's row."""
        if value.op in REDUCTIONS:
            lines = self._reduce(value)
        elif value.op == "concatenate":
            lines, start = [], 0
            for part in value.args:
                lines += self._fill(value, part, start, part.shape[-1])
                start = start + part.shape[-1]
        elif value.op == "place":
            (part,) = value.args
            zero = literal(0, value.dtype)
            lines = [
                *self._loop_over(value, 0, value.shape[-1], zero),
                *self._fill(value, part, value.settings["start"], part.shape[-1]),
            ]
        elif value.op == "block_sum":
            zero, (x,) = literal(0, value.dtype), value.args
            zeros = self._loop_over(value, 0, value.shape[-1], zero)
            lines = [
                f"if n % {self._rows_per_sum} == 0:",
                *(f"    {line}" for line in zeros),
                f"for j in range({self._size(value.shape[-1])}):",
                f"    {self._row(value)}[j] += {self._expression(x)}",
            ]
        elif is_scalar(value):
            lines = [f"{self._number(value)} = {self._once(value)}"]
        else:
            lines = self._loop_over(value, 0, value.shape[-1], self._expression(value, top=True))
        if is_scalar(value):
            places = [self._batch(value)] if self._has_array(value) else []
            places += self._copies(value)
            return lines + [f"{self._number_at(value, p)} = {self._number(value)}" for p in places]
        for place in self._copies(value):
            lines += [
                f"for j in range({self._size(value.shape[-1])}):",
                f"    {_index(place, ['n', 'j'])} = {self._row(value)}[j]",
            ]
        return lines

    def _once(self, value: Value) -> str:
        """The number of a row, which no optimisation brings into the loops that read it."""
        text = self._expression(value, top=True)
        return f"fence({text})" if value.dtype.kind == "f" else text

    def _has_array(self, value: Value) -> bool:
        return value in self._names or value in self.loop.carry_out

    def _fill(self, target: Value, part: Value, start: int, size: int) -> list[str]:
        return self._loop_over(target, start, size, self._expression(part))

    def _loop_over(self, target: Value, start: int, size: int, expression: str) -> list[str]:
        row = self._row(target, start)
        return [f"for j in range({self._size(size)}):", f"    {row}[j] = {expression}"]

    def _reduce(self, value: Value) -> list[str]:
        (x,) = value.args
        if value.settings["axes"] != (1,) or not int(x.shape[1]):
            raise Untraceable(f"a {value.op} over the axes {value.settings['axes']} of {x.shape}")
        name, width = self._number(value), self._size(x.shape[-1])
        item, dtype = self._expression(x), value.dtype.name
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
        first = self._expression(x, each=False)
        if value.dtype.kind != "f":
            return [
                f"best = {first}",
                f"for j in range(1, {width}):",
                f"    best = {value.op}(best, {item})",
                f"{name} = best",
            ]
        better = "larger" if value.op == "max" else "smaller"
        return [  # NaN is looked for apart: this costs a third of a maximum that may be NaN
            f"best, is_nan = {first}, False",
            f"for j in range({width}):",
            f"    item = {item}",
            f"    best = {better}(item, best)",
            "    is_nan |= item != item",
            f"{name} = np.{dtype}(np.nan) if is_nan else best",
        ]

    # --- expressions -----------------------------------------------------------------------

    def _expression(self, value: Value, each: bool = True, top: bool = False) -> str:
        """Element j of a row of a value (its first if not `each`) as an expression."""
        return self._expressions.write(value, self._element, each=each, top=top)

    def _element(self, value: Value, start: int, each: bool) -> str:
        """A number in memory."""
        if value.is_number:
            return self._names[value]
        if is_one(row_width(value)):
            return self._number(value)
        return f"{self._row(value, start)}[{'j' if each else '0'}]"


def _index(array: str, at: list[str]) -> str:
    """An element of an array, which may be that of a step: `x0[t]`."""
    if array.endswith("]"):
        array, _, step = array[:-1].partition("[")
        at = [step, *at]
    return f"{array}[{', '.join(at) or '()'}]"
