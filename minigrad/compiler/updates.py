"""Update rules as kernels: parameter, gradient and running values in one pass.

A rule is run on values in place of arrays, and on `Number`s in place of the numbers that may be
others at the next step. What it computes of numbers alone is written down as Python text, and done
in Python at each step, as without a kernel; what it computes of arrays becomes the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..fuse import why_composed
from ..messages import Untraceable
from .functions import remember
from .identity import identity
from .leading import Shape
from .lookup import code_of
from .purity import Read, Refusals, Unsettled, settled
from .rows import RowCall, RowPlan, even_rows
from .schedule import depends
from .sizes import Dim
from .symbolic import SymbolicBackend
from .trace import Program, tracing
from .values import ELEMENTWISE, Value

Rule = Callable[..., Any]
Settings = dict[str, Any]

# Updates that do less are composed on the CPU: in place, as NumPy does them, they are as quick.
_LEAST_WORK = 1 << 20
_NARROW = 32  # numbers in a row for which a pass over it does not pay
TOO_LITTLE = f"it does fewer than {_LEAST_WORK} operations, for which a kernel does not pay"

_plans: dict[Any, UpdatePlan | str] = {}
_refusals = Refusals(1000)


class Number:
    """A Python number that may be another at each step: the text that computes it.

    `of_option`: it is an option as it is, and not zero, for which there would be another plan.
    """

    __slots__ = ("_true", "text")
    __array_ufunc__ = None

    def __init__(self, text: str, of_option: bool = False) -> None:
        self.text, self._true = text, of_option

    def __bool__(self) -> bool:
        return self._true or _unknown()

    def __neg__(self) -> Number:
        return Number(f"(-{self.text})")


def _unknown(*_: Any) -> Any:
    raise Untraceable("it looks at a number that may be another at each step")


for _name in ("float", "int", "index", "eq", "ne", "lt", "le", "gt", "ge", "round", "abs"):
    setattr(Number, f"__{_name}__", _unknown)


def _arithmetic(symbol: str) -> tuple[Any, Any]:
    def forward(self: Number, other: Any) -> Any:
        text = _text(other)
        return NotImplemented if text is None else Number(f"({self.text} {symbol} {text})")

    def reflected(self: Number, other: Any) -> Any:
        text = _text(other)
        return NotImplemented if text is None else Number(f"({text} {symbol} {self.text})")

    return forward, reflected


def _text(x: Any) -> str | None:
    """A number as Python text; None for anything else."""
    if isinstance(x, Number):
        return x.text
    if isinstance(x, float) and not math.isfinite(x):
        return f"float('{x}')"
    return f"({x!r})" if isinstance(x, (int, float)) else None


for _name, _symbol in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**"}.items():
    _forward, _reflected = _arithmetic(_symbol)
    setattr(Number, f"__{_name}__", _forward)
    setattr(Number, f"__r{_name}__", _reflected)


class _RuleBackend(SymbolicBackend):
    """The symbolic backend for a rule on one parameter."""

    def __init__(self, like: Any) -> None:
        super().__init__()
        self._shape, self._dtype = like.shape, like.dtype
        self.arrays: list[Value] = []
        self.numbers: dict[str, Value] = {}  # by their text

    def array(self) -> Value:
        """Another array of the shape of the parameter."""
        value = self.input(f"x{len(self.arrays)}", self._shape, self._dtype)
        self.arrays.append(value)
        return value

    def zeros(self, shape: Any, dtype: Any) -> Value:
        """Zeros, handed in: so the first step's kernel is that of all others."""
        if tuple(shape) != self._shape or dtype != self._dtype:
            return super().zeros(shape, dtype)
        return self.array()

    def _elementwise(self, name: str, *args: Any) -> Value:
        return super()._elementwise(name, *(self._number(arg) for arg in args))

    def _number(self, x: Any) -> Any:
        if not isinstance(x, Number):
            return x
        if x.text not in self.numbers:
            name = f"number{len(self.numbers)}"
            self.numbers[x.text] = self.input(name, (), self._dtype)
        return self.numbers[x.text]


class _RuleTrace:
    """What a rule does, once: its program, and the texts of the numbers that it takes or makes.

    Attributes
    ----------
    held : the running values that are arrays before the step; `arrays` are those after it.
    keys : all running values after it.
    zeros : how many arrays of zeros the program takes besides those.
    texts : of the program's numbers, then of the running values (None for an array).
    """

    def __init__(self, rule: Rule, p: Any, state: Settings, options: Settings) -> None:
        traced = _RuleBackend(p)
        inputs = traced.array(), traced.array()
        new = {
            key: Number(f"state[{key!r}]") if _is_number(x) else traced.array()
            for key, x in state.items()
        }
        self.held = [key for key, x in new.items() if isinstance(x, Value)]
        symbols = {key: _stand_in(key, x) for key, x in options.items()}
        with tracing():
            result = rule(traced, *inputs, new, **symbols)
        self.arrays = [key for key, x in new.items() if isinstance(x, Value)]
        self.texts = [*traced.numbers, *(self._new_number(key, x) for key, x in new.items())]
        self.keys = list(new)
        self.zeros = len(traced.arrays) - 2 - len(self.held)
        self.program = _program(traced, [result, *(new[key] for key in self.arrays)], p.shape)

    def _new_number(self, key: str, x: Any) -> str:
        """The text of a running value that is a number; nothing for one that is an array."""
        text = "None" if key in self.arrays else _text(x)
        if text is None:
            raise Untraceable(f"its running value {key!r} is a {type(x).__name__}")
        return text


class UpdatePlan:
    """A rule traced for a parameter of given shape and dtype, with its kernel."""

    def __init__(
        self, rule: Rule, p: Any, state: Settings, options: Settings, xp: Any, outside: Read
    ) -> None:
        for key, x in state.items():
            if not _is_number(x) and getattr(x, "shape", None) != p.shape:
                raise Untraceable(f"its running value {key!r} is {_described(x)}")
        traces: list[_RuleTrace] = []

        def run(_: bool) -> Program:
            traces.append(_RuleTrace(rule, p, state, options))
            return traces[-1].program

        program = settled(run, outside)
        trace = next(each for each in traces if each.program is program)
        if trace.texts != traces[-1].texts:
            raise Unsettled("two traces of it differ: its numbers change between calls")
        self._held, self._arrays, self._keys = trace.held, trace.arrays, trace.keys
        self._numbers = eval(f"lambda state, options: [{', '.join(trace.texts)}]", {})
        self._xp, self._zeros = xp, trace.zeros
        self._where = np if all(x.settings["on_host"] for x in program.params) else xp
        plan = RowPlan(program, [False] * (len(program.params) + len(program.xs)), xp)
        self.work = p.size * len(plan.laid.loop.body)
        lead = (p.size // program.sizes["I"],)
        self._call = RowCall(plan, range(len(plan.inputs)), lead, p.shape)

    def run(self, p: Any, g: Any, state: Settings, options: Settings) -> Any:
        """The parameter's new array; `state` takes on its new values."""
        xp, count = self._xp, len(self._call.plan.program.params)
        numbers = self._numbers(state, options)
        where = self._where
        inputs = [_number_on(where, x, math.copysign(1, x), p.dtype) for x in numbers[:count]]
        inputs += [p, g, *(state[key] for key in self._held)]
        inputs += [xp.zeros(p.shape, p.dtype) for _ in range(self._zeros)]
        (result, *arrays), _ = self._call.forward(inputs)
        new = dict(zip(self._keys, numbers[count:], strict=True))
        new.update(zip(self._arrays, arrays, strict=True))
        state.clear()
        state.update(new)
        return result


def fused_update(
    rule: Rule, p: Any, g: Any, state: Settings, options: Settings, xp: Any, required: bool
) -> Any:
    """The parameter's new array by a kernel, or the reason why there is none."""
    if reason := why_composed():
        return reason

    def outside() -> Any:
        return identity(rule), *((key, _kind(x)) for key, x in options.items())

    held = tuple((key, getattr(x, "shape", x.__class__)) for key, x in state.items())
    facts = p.shape, p.dtype, held, xp
    try:
        read = outside()
    except Untraceable as unknown:
        return str(unknown)  # as it is now: what it reads may be another thing at the next step
    plan = _plans.get((read, facts))
    if plan is None:
        plan = _planned(rule, p, state, options, xp, facts, outside)
    if isinstance(plan, str):
        return plan
    if not required and xp.is_host and plan.work < _LEAST_WORK:
        return TOO_LITTLE
    return plan.run(p, g, state, options)


def _planned(
    rule: Rule,
    p: Any,
    state: Settings,
    options: Settings,
    xp: Any,
    facts: Any,
    outside: Read,
) -> UpdatePlan | str:
    """A plan, made now; or why there is none."""
    again = code_of(rule), facts
    reason = _refusals.reason(again)
    if reason is not None:
        return reason
    plan: UpdatePlan | str
    try:
        plan = UpdatePlan(rule, p, state, options, xp, outside)
        _refusals.forget(again)
    except Unsettled as refusal:
        return _refusals.note(again, refusal)
    except Untraceable as refusal:
        plan = str(refusal)
    remember(_plans, (outside(), facts), plan)
    return plan


@lru_cache(maxsize=256)
def _number_on(where: Any, x: float, sign: float, dtype: Any) -> Any:
    """A number as an array of NumPy's or of a backend; `sign` tells -0.0 from 0.0."""
    return where.full((1,), x, dtype)  # once for all parameters, and not moved there


def _described(x: Any) -> str:
    shape = getattr(x, "shape", None)
    if shape is None:
        return f"a {type(x).__name__}"
    return f"of shape {shape}, which is not the parameter's"


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def _kind(x: Any) -> Any:
    """All of an option, but of a float only whether it is zero."""
    if isinstance(x, float):
        return float, x != 0
    if isinstance(x, tuple):
        return tuple(map(_kind, x))
    return identity(x)


def _stand_in(name: str, option: Any) -> Any:
    """What a rule is given in place of an option."""
    if isinstance(option, tuple):
        return tuple(_symbolic(f"options[{name!r}][{i}]", x) for i, x in enumerate(option))
    return _symbolic(f"options[{name!r}]", option)


def _symbolic(text: str, x: Any) -> Any:
    return Number(text, of_option=True) if isinstance(x, float) and x != 0 else x


def _program(traced: _RuleBackend, ys: list[Any], shape: Shape) -> Program:
    """The rule's program on a parameter's numbers in rows of any length."""
    traced.close()
    size = math.prod(shape)
    width = even_rows(size) or (shape[-1] if shape[-1:] > (_NARROW,) else size)
    rows = Dim(size // width, "N"), Dim(width, "I")
    arrays = depends(traced.values, traced.arrays)
    for value in traced.values:
        if value.op not in ELEMENTWISE | {"input", "full", "astype"}:
            raise Untraceable(f"{value.op} lets the numbers of a parameter meet")
        if value in arrays or value.shape:
            if value.shape != shape:
                raise Untraceable(f"it makes an array {value.shape} for a parameter {shape}")
            value.shape = rows
    for y in ys:
        if not isinstance(y, Value) or y not in arrays or y.dtype != traced.arrays[0].dtype:
            raise Untraceable("its results are not of the parameter's shape and dtype")
    sizes = {"N": int(rows[0]), "I": width}
    numbers, none = list(traced.numbers.values()), [set[Value]() for _ in ys]
    # A device's kernel takes numbers as arguments; what is made of them alone is made there.
    on_host = depends(traced.values, numbers) <= arrays.union(numbers)
    for value in numbers:
        value.settings["on_host"] = on_host
    return Program(numbers, traced.arrays, [], ys, [], [], [], {}, none, ys, {}, sizes)
