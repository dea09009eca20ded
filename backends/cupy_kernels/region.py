"""One region of a step as the text of one CUDA kernel.

If every number depends on numbers of its own column alone, each thread computes one column of one
row. If a row is summed up, or numbers move to other columns, a block computes a row: its threads go
over the columns together, in phases, and wait for each other between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from minigrad.compiler.ir import REDUCTIONS, Value
from minigrad.compiler.program import Program
from minigrad.compiler.sizes import Dim
from minigrad.errors import Untraceable

from ..shared.expressions import Expressions, Leaf, describe
from ..shared.regions import is_one, is_scalar, row_width
from .dialect import CUDA, TYPES, bound, cast, literal, strip_parentheses


@dataclass(frozen=True)
class Place:
    """Where a step has a value: in an array of that kind, the row of this step if it has rows."""

    kind: str  # invariant, steps, before, after (the step: carries), kept, own
    index: int
    value: Value

    @property
    def name(self) -> str:
        """What it is called in a kernel."""
        words = {"invariant": "w", "steps": "x", "before": "old", "after": "new", "kept": "kept"}
        return f"{words.get(self.kind, 'b')}{self.index}"


@dataclass
class Work:
    """Some numbers of a row: columns `at` to `at + over` of each target, or a sum over a row.

    They are what `item` says, or zeros. Work that `names` its value computes all of it, so that
    others may read it as a variable of the same thread.
    """

    value: Value
    item: Value | None
    over: int
    at: int
    names: bool
    targets: list[Place] = field(default_factory=list)
    phase: int = 0

    @property
    def is_sum(self) -> bool:
        """Whether it goes over a row and leaves one number."""
        return self.value.op in REDUCTIONS and not is_one(self.over)


class RegionWriter:
    """Writes the kernel of one region.

    Parameters
    ----------
    name : of the kernel.
    values : those with names, in order.
    inner : all values of the region.
    copies : values from elsewhere, and the places that want them, too.
    place_of : where a value from outside of the region is.
    places_for : where a value of this region goes; its second argument says whether it needs
        memory in any case.

    Attributes
    ----------
    text : of the kernel.
    places, numbers, sizes, cotangents : its arguments, in order: arrays; numbers that are known on
        the host; sizes, with N in front; for each array of cotangents 1, or 0 if it is one number
        for all places; and W, if not by rows.
    by_rows : whether a block has a row. If not, a thread has a column.
    widest : how many columns the widest loop has.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        values: list[Value],
        inner: set[Value],
        copies: list[tuple[Value, list[Place]]],
        place_of: Callable[[Value], Place],
        places_for: Callable[[Value, bool], list[Place]],
    ) -> None:
        self.name, self.program, self._place_of = name, program, place_of
        self._named = set(values)
        self._text = Expressions(CUDA, program, inner, self._named)
        self._read: dict[Place, None] = {}
        self._written: dict[Place, None] = {}
        self._works = [work for value in values for work in self._works_for(value)]
        self._works += [Work(v, v, row_width(v), 0, False, places) for v, places in copies]
        self._find_phases()
        self.by_rows = any(work.is_sum or work.phase for work in self._works)
        self._targets = {v: places_for(v, v in self._memory) for v in values}
        for work in self._works:
            work.targets = self._targets.get(work.value, work.targets)
        self._locals = {v: f"v{i}" for i, v in enumerate(values)}
        widths = [int(w.over) for w in self._works if w.is_sum or not is_one(w.over)]
        self.widest = max(widths + [1] * any(is_one(w.over) for w in self._works))
        body = self._body()
        places = [*(p for p in self._read if p not in self._written), *self._written]
        self.numbers = [p for p in places if p.value.is_number]
        self.places = [p for p in places if not p.value.is_number]
        self.cotangents = [p for p in self.places if p.value in program.g_ys]
        rows = self._rows()  # after the body: only now it is known which arrays there are
        self.sizes = list(self._text.sizes)
        self.text = "\n".join([*self._head(), *rows, *body, "}", ""])

    # --- what there is to do ---------------------------------------------------------------

    def _works_for(self, value: Value) -> list[Work]:
        """What computes one value's row."""
        if value.op in REDUCTIONS:
            (x,) = value.args
            if value.settings["axes"] != (1,) or not int(x.shape[1]):
                raise Untraceable(f"a {value.op} over the axes {value.settings['axes']} of {x}")
            return [Work(value, x, x.shape[1], 0, True)]
        width = row_width(value)
        if value.op not in ("concatenate", "place"):
            return [Work(value, value, width, 0, True)]
        parts: list[tuple[Value | None, int, int]] = []  # what, from which column, how many
        if value.op == "concatenate":
            start = 0
            for part in value.args:
                parts.append((part, start, part.shape[-1]))
                start = start + part.shape[-1]
        else:
            (part,) = value.args
            start, size = value.settings["start"], part.shape[-1]
            parts = [(None, 0, start), (part, start, size)]
            parts.append((None, start + size, width - (start + size)))
        parts = [each for each in parts if isinstance(each[2], Dim) or each[2]] or parts[:1]
        return [Work(value, item, over, at, is_scalar(value)) for item, at, over in parts]

    def _find_phases(self) -> None:
        """After how many barriers each work can be done, and which values others read in memory."""
        after: dict[Value, int] = {}  # the phase in which a value is computed
        self._memory: set[Value] = set()
        self._spoken: set[Value] = set()  # those that are read as variables
        self._makers: dict[Value, Work] = {}
        same_column: list[tuple[Value, Work]] = []
        for work in self._works:

            def leaf(x: Value, start: int, each: bool, work: Work = work) -> str:
                if x not in self._named:
                    pass  # it is there before all phases
                elif is_scalar(x):
                    work.phase = max(work.phase, after[x] + self._makers[x].is_sum)
                    self._spoken.add(x)
                elif self._is_aligned(x, work, start, each):
                    work.phase = max(work.phase, after[x])
                    same_column.append((x, work))
                else:
                    work.phase = max(work.phase, after[x] + 1)
                    self._memory.add(x)
                return "_"

            self._expression_of(work, leaf)
            after[work.value] = max(work.phase, after.get(work.value, 0))
            self._makers[work.value] = work
        for x, work in same_column:
            (self._spoken if after[x] == work.phase else self._memory).add(x)

    def _is_aligned(self, x: Value, work: Work, start: int, each: bool) -> bool:
        """Whether work reads a value of this region in the columns in which it was computed."""
        whole = self._makers[x].names and self._text.same(x.shape[-1], work.over)
        return whole and each and self._text.same(start, 0)

    # --- text ------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        arguments = []
        for place in self.places:
            constant = "" if place in self._written else "const "
            pointer = f"{constant}{TYPES[place.value.dtype.name]}* __restrict__ {place.name},"
            arguments.append(f"    {pointer:40} // {describe(place.value, self.program)}")
        for place in self.numbers:
            number = f"const {_type(place.value)} {place.name},"
            arguments.append(f"    {number:40} // {describe(place.value, self.program)}")
        sizes = [*self._text.size_arguments(), *map(_by, self.cotangents)]
        sizes += [] if self.by_rows else ["W"]
        arguments.append("    " + ", ".join(f"const Index {size}" for size in sizes))
        return [f'extern "C" __global__ void {self.name}(', *arguments, ") {"]

    def _rows(self) -> list[str]:
        """Which row, and which column; and where the row is in each array."""
        if self.by_rows:
            lines = ["const Index n = blockIdx.x;  // a block per row, its threads over columns"]
        else:
            lines = [
                "const Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x;",
                "const Index n = i / W, j = i % W;  // a thread per row and column",
                "if (n >= N) return;",
            ]
        for place in self.places:
            value = place.value
            if not value.has_rows:
                continue
            factors = ["n"]
            if not is_scalar(value):
                width = self._text.size(value.shape[-1])
                factors.append(f"({width})" if " " in width else width)
            if place in self.cotangents:
                factors.append(_by(place))
            lines.append(f"{place.name} += {' * '.join(factors)};")
        return [f"    {line}" for line in lines]

    def _body(self) -> list[str]:
        lines: list[str] = []
        last = max((work.phase for work in self._works), default=0)
        for phase in range(last + 1):
            works = [work for work in self._works if work.phase == phase]
            scalars = [w for w in works if is_one(w.over)]
            loops: dict[str, list[Work]] = {}
            for work in works:
                if not is_one(work.over):
                    loops.setdefault(self._text.size(work.over), []).append(work)
            for work in scalars:
                lines += self._one_number(work)
            sums = [w for w in works if w.is_sum]
            for work in sums:
                lines.append(f"{_type(work.value)} {self._total(work)} = {_begin(work.value)};")
                if _is_compensated(work.value):
                    lines.append(f"{_type(work.value)} {self._lost(work)} = 0;")
            guarded = len(loops) > 1 or bool(scalars)
            for width, group in loops.items():
                lines += self._loop(width, [l for w in group for l in self._numbers(w)], guarded)
            for work in sums:
                lines.append(f"const {_type(work.value)} {self._end(work)};")
            if phase < last and not sums:
                lines.append("__syncthreads();")
        return [f"    {line}" for line in lines]

    def _loop(self, width: str, lines: list[str], guarded: bool) -> list[str]:
        """All columns, for the threads that have one."""
        if not self.by_rows and not guarded:
            return lines
        head = f"if (j < {width}) {{"
        if self.by_rows:
            head = f"for (Index j = threadIdx.x; j < {width}; j += blockDim.x) {{"
        return [head, *(f"    {line}" for line in lines), "}"]

    def _one_number(self, work: Work) -> list[str]:
        """Work on a single column: all threads have the number, one writes it down."""
        text, targets = self._expression_of(work, self._leaf_for(work)), work.targets
        lines = []
        if work.names and (work.value in self._spoken or len(targets) > 1):
            name = self._locals[work.value]
            lines.append(f"const {_type(work.value)} {name} = {text};")
            text = name
        first = "threadIdx.x == 0" if self.by_rows else "j == 0"
        at = self._text.size(work.at)
        return lines + [f"if ({first}) {self._to(place)}[{at}] = {text};" for place in targets]

    def _numbers(self, work: Work) -> list[str]:
        """Work on one of many columns."""
        text = self._expression_of(work, self._leaf_for(work))
        if work.is_sum:
            total = self._total(work)
            if work.value.op in ("max", "min"):
                return [f"{total} = {work.value.op}imum({total}, {text});"]
            if _is_compensated(work.value):
                return [f"add_to({total}, {self._lost(work)}, {text});"]
            return [f"{total} += {text};"]
        lines = []
        if work.names and work.value in self._spoken:
            name = self._locals[work.value]
            lines.append(f"const {_type(work.value)} {name} = {text};")
            text = name
        column = self._text.column(work.at, True)
        places = [f"{self._to(place)}[{column}]" for place in work.targets]
        return [*lines, f"{' = '.join([*places, text])};"] if places else lines

    def _to(self, place: Place) -> str:
        self._written[place] = None
        return place.name

    def _total(self, work: Work) -> str:
        return f"{self._locals[work.value]}_so_far"

    def _lost(self, work: Work) -> str:
        return f"{self._locals[work.value]}_lost"

    def _end(self, work: Work) -> str:
        """What becomes of the totals of a block's threads."""
        value = work.value
        kind = value.op if value.op in ("max", "min") else "sum"
        total = self._total(work)
        if _is_compensated(value):
            total = f"whole({total}, {self._lost(work)})"
        text = f"block_{kind}({total})"
        if value.op == "mean":
            text += f" / {cast(f'({self._text.size(work.over)})', value.dtype)}"
        stored = [f"if (threadIdx.x == 0) {self._to(p)}[0] = " for p in work.targets]
        name = self._locals[value]
        return "; ".join([f"{name} = {text}", *(f"{line}{name}" for line in stored)])

    # --- expressions -----------------------------------------------------------------------

    def _expression_of(self, work: Work, leaf: Leaf) -> str:
        """What a work computes for column j, as an expression."""
        item, dtype = work.item, work.value.dtype
        if item is None:
            return literal(0, dtype)
        each, top = not is_one(work.over), item is work.value
        text = self._text.write(item, leaf, each=each, top=top)
        return strip_parentheses(text) if item.dtype == dtype else cast(text, dtype)

    def _leaf_for(self, work: Work) -> Leaf:
        """How the expressions of a work name what they read."""

        def leaf(value: Value, start: int, each: bool) -> str:
            if value in self._named:
                near = self._makers[value].phase == work.phase
                if is_scalar(value) or (near and self._is_aligned(value, work, start, each)):
                    return self._locals[value]
            return self._element(value, start, each)

        return leaf

    def _element(self, value: Value, start: int, each: bool) -> str:
        """A number in memory."""
        place = self._targets[value][0] if value in self._named else self._place_of(value)
        self._read[place] = None
        if value.is_number:
            return place.name
        column = self._text.column(start, each)
        if value in self.program.g_ys and column != "0":
            column = f"({column}) * {_by(place)}" if " " in column else f"{column} * {_by(place)}"
        return f"{place.name}[{column}]"


def _by(place: Place) -> str:
    """What says how far two neighbours in an array of cotangents are apart."""
    return f"{place.name}_by"


def _type(value: Value) -> str:
    return TYPES[value.dtype.name]


def _is_compensated(value: Value) -> bool:
    """Whether a thread keeps what rounding takes of a sum: of a long row it adds many numbers."""
    return value.op not in ("max", "min") and value.dtype.kind == "f"


def _begin(value: Value) -> str:
    """What a reduction starts from."""
    if value.op in ("max", "min"):
        return bound(value.op, value.dtype)
    return literal(0, value.dtype)
