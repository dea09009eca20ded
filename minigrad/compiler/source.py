"""Work outside of the loop: a backend's ops on the rows of all steps at once, as Python text.

The ops are known when a plan is made. So they are written once, as a function that calls one op
after the other; a call of it looks nothing up.
"""

from __future__ import annotations

import linecache
import math
import weakref
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .ir import ELEMENTWISE, REDUCTIONS, Value
from .sizes import Dim


class PythonSource:
    """The text of a Python function, line by line, and the objects that it calls.

    The sizes in it are those that its values were traced with; only the number of rows is free.

    `text` is there once the function is made.
    """

    text: str

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}

    def op(self, name: str) -> str:
        """The name of a backend's op, which the text may call from now on."""
        self.scope[name] = getattr(self.xp, name)
        return name

    def dtype(self, value: Value) -> str:
        """The name of a value's dtype."""
        self.scope[value.dtype.name] = value.dtype
        return value.dtype.name

    def call(self, value: Value, names: Sequence[str], rows: str) -> str:
        """What computes a value from its inputs, given their names; `rows` is what N stands for."""
        op, settings = value.op, value.settings
        given = ", ".join(names)
        if op in ELEMENTWISE or op == "matmul":
            rest = iter(names)
            given = ", ".join(
                next(rest) if isinstance(a, Value) else literal(a) for a in value.args
            )
            return f"{self.op(op)}({given})"
        if op in REDUCTIONS:
            return f"{self.op(op)}({given}, axis={settings['axes']}, keepdims=True)"
        shape = tuple_text(rows if counts_rows(n) else str(int(n)) for n in value.shape)
        if op in ("reshape", "broadcast_to"):
            return f"{self.op(op)}({given}, {shape})"
        if op == "full":
            return f"{self.op(op)}({shape}, {literal(value.args[0])}, {self.dtype(value)})"
        if op == "arange":
            return f"{self.op(op)}({int(value.shape[0])})"
        if op == "transpose":
            return f"{self.op(op)}({given}, {settings['axes']})"
        if op == "astype":
            return f"{self.op(op)}({given}, {self.dtype(value)})"
        if op == "concatenate":
            return f"{self.op(op)}({tuple_text(names)}, axis={settings['axis']})"
        start, axis = int(settings["start"]), settings["axis"]
        stop = start + int((value if op == "part" else value.args[0]).shape[axis])
        index = tuple_text([*["slice(None)"] * axis, f"slice({start}, {stop})"])
        if op == "part":
            return f"{self.op('getitem')}({given}, {index})"
        return f"{self.op('scatter')}({given}, {index}, {shape})"

    def function(self, name: str, arguments: Iterable[str]) -> Callable[..., Any]:
        """The function that the lines make up."""
        body = "".join(f"    {line}\n" for line in self.lines)
        text = f"def {name}({', '.join(arguments)}):\n{body}"
        filename = f"<minigrad {name} {zlib.crc32(text.encode()):08x}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        exec(compile(text, filename, "exec"), self.scope)
        self.text = text
        function = self.scope[name]
        weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
        return function


def shown(title: str, of: str, kernel: Any, around: str) -> list[str]:
    """A kernel and what is around it, as parts of a text that a person reads."""
    text = getattr(kernel, "text", "# (this backend does not show its kernels)").strip()
    return [f"# {title}: {of}\n\n{text}", f"# {title}: what is around it\n\n{around.strip()}"]


class OpList:
    """A list of values, ready to be computed by a backend."""

    def __init__(self, values: Sequence[Value], xp: Any) -> None:
        self.values = list(values)
        computed = set(values)
        self.inputs = list(dict.fromkeys(x for v in values for x in v.inputs if x not in computed))
        names = {v: f"x{i}" for i, v in enumerate(self.inputs)}
        names |= {v: f"v{i}" for i, v in enumerate(self.values)}
        text = PythonSource(xp)
        sums = [v for v in values if _is_row_sum(v)] if hasattr(xp, "sum_rows") else []
        if sums:  # they take one launch together
            arrays, shapes = (tuple_text(names[v.args[0]] for v in sums), [v.shape for v in sums])
            shown = tuple_text(tuple_text(str(int(n)) for n in shape) for shape in shapes)
            given = f"{text.op('sum_rows')}({arrays}, {shown})"
            text.lines.append(f"{tuple_text(names[v] for v in sums)} = {given}")
        for v in self.values:
            if v in sums:
                continue
            text.lines.append(f"{names[v]} = {text.call(v, [names[x] for x in v.inputs], 'rows')}")
        text.lines.append(f"return {tuple_text(names[v] for v in self.values)}")
        # From the number of rows, which is what N stands for, and the arrays of the inputs.
        self.compute = text.function("batch", ["rows", *(names[x] for x in self.inputs)])


def _is_row_sum(value: Value) -> bool:
    """Whether a value is a sum over all rows of numbers that are there, and maybe columns, too."""
    return (
        value.op == "sum"
        and value.args[0].has_rows
        and (value.settings["axes"] == (0,) or len(value.settings["axes"]) == value.args[0].ndim)
        and value.dtype == value.args[0].dtype
        and value.dtype.name in ("float32", "float64")
    )


def tuple_text(texts: Iterable[str]) -> str:
    """The text of a tuple."""
    texts = list(texts)
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def literal(x: Any) -> str:
    """The text of a number."""
    if isinstance(x, bool):
        return repr(x)
    if isinstance(x, int):
        return repr(int(x))
    return repr(float(x)) if math.isfinite(x) else f"float('{x}')"


def counts_rows(n: int) -> bool:
    """Whether a size grows with the number of rows."""
    return isinstance(n, Dim) and n.counts_rows
