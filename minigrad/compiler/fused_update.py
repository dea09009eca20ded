"""Update rules as kernels: parameter, gradient and running values in one pass.

A rule runs once on values in place of arrays, and on `SymbolicNumber`s in place of the numbers that
may change between steps. What it computes from numbers alone is recorded as Python text, and runs
in Python at each step, as without a kernel; what it computes from arrays becomes the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import Untraceable
from ..fusion import why_composed
from .cache_key import identity
from .determinism import NotDetermined, Read, trace_twice
from .ir import ELEMENTWISE, Value
from .leading_axes import Shape
from .plan_cache import PlanCache
from .program import Program, depends
from .row_plan import RowCall, RowPlan, even_rows
from .sizes import Dim
from .symbolic import SymbolicBackend
from .symbolic_numbers import SymbolicNumber, evaluator, text_of
from .trace import tracing

Rule = Callable[..., Any]
Settings = dict[str, Any]

# Updates that do less are composed on the CPU: in place, as NumPy does them, they are as quick.
MIN_OPERATIONS_TO_FUSE = 1 << 20
_NARROW = 32  # numbers in a row for which a pass over it does not pay
TOO_LITTLE = (
    f"too little work (fewer than {MIN_OPERATIONS_TO_FUSE} operations) for a kernel to be faster"
)


class _RuleBackend(SymbolicBackend):
    """The symbolic backend for a rule on one parameter."""

    exponents_decide = False

    def __init__(self, like: Any) -> None:
        super().__init__()
        self._shape, self._dtype = like.shape, like.dtype
        self.arrays: list[Value] = []

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
            key: SymbolicNumber(f"state[{key!r}]") if _is_number(x) else traced.array()
            for key, x in state.items()
        }
        self.held = [key for key, x in new.items() if isinstance(x, Value)]
        symbols = {key: _stand_in(key, x) for key, x in options.items()}
        with tracing():
            result = rule(traced, *inputs, new, **symbols)
        self.arrays = [key for key, x in new.items() if isinstance(x, Value)]
        self.texts = [
            *(text for text, _ in traced.numbers),
            *(self._new_number(key, x) for key, x in new.items()),
        ]
        self.keys = list(new)
        self.zeros = len(traced.arrays) - 2 - len(self.held)
        self.program = _program(traced, [result, *(new[key] for key in self.arrays)], p.shape)

    def _new_number(self, key: str, x: Any) -> str:
        """The text of a running value that is a number; nothing for one that is an array."""
        text = "None" if key in self.arrays else text_of(x)
        if text is None:
            raise Untraceable(f"its running value {key!r} is a {type(x).__name__}")
        return text


class UpdatePlan:
    """A rule traced for a parameter of given shape and dtype, with its kernel."""

    reads: Any = None  # what the rule read from outside, as something to compare
    pinned: Sequence[int] = ()

    def __init__(
        self, rule: Rule, p: Any, state: Settings, options: Settings, xp: Any, outside: Read
    ) -> None:
        for key, x in state.items():
            if not _is_number(x) and getattr(x, "shape", None) != p.shape:
                raise Untraceable(f"its running value {key!r} is {_describe(x)}")
        traces: list[_RuleTrace] = []

        def run(_: bool) -> Program:
            traces.append(_RuleTrace(rule, p, state, options))
            return traces[-1].program

        program = trace_twice(run, outside)
        assert program is not None
        trace = next(each for each in traces if each.program is program)
        if trace.texts != traces[-1].texts:
            raise NotDetermined("two traces of it differ: its numbers change between calls")
        self._held, self._arrays, self._keys = trace.held, trace.arrays, trace.keys
        self._numbers = evaluator(trace.texts, "state, options")
        self._xp, self._zeros = xp, trace.zeros
        order = range(len(program.xs))
        plan = RowPlan(program, [False] * len(program.xs), xp, order, is_cut=True)
        self.work = p.size * len(plan.layout.loop.body)
        self._call = RowCall(plan, p.shape, p.size // program.sizes["I"])

    def run(self, p: Any, g: Any, state: Settings, options: Settings) -> Any:
        """The parameter's new array; `state` takes on its new values."""
        xp, program = self._xp, self._call.plan.program
        count = len(program.numbers)
        numbers = self._numbers(state, options)
        scalars = program.as_scalars(numbers[:count])
        inputs = [p, g, *(state[key] for key in self._held)]
        inputs += [xp.zeros(p.shape, p.dtype) for _ in range(self._zeros)]
        (result, *arrays), _ = self._call.forward(inputs, scalars)
        new = dict(zip(self._keys, numbers[count:], strict=True))
        new.update(zip(self._arrays, arrays, strict=True))
        state.clear()
        state.update(new)
        return result


class UpdateCall:
    """An optimiser's update of one parameter; see `plan_cache.Call`."""

    plans = PlanCache()
    numbers: Sequence[float] = ()  # those of a rule are known by name, and none is a constant

    def __init__(self, rule: Rule, p: Any, state: Settings, options: Settings, xp: Any) -> None:
        self.function, self._p, self._state, self._options, self._xp = rule, p, state, options, xp
        self.name = f"an update by {getattr(rule, '__name__', type(rule).__name__)}"

    @property
    def facts(self) -> Any:
        """Shape and dtype of the parameter, of which kind its running values are, the backend."""
        state = self._state.items()
        held = tuple([(key, getattr(x, "shape", x.__class__)) for key, x in state])
        return self._p.shape, self._p.dtype, held, self._xp

    def outside(self, again: bool = False) -> Any:
        """All that the rule reads from outside, and its options but for their numbers."""
        options = self._options.items()
        return identity(self.function), *[(key, _kind(x)) for key, x in options]

    def build(self, pinned: Sequence[int]) -> UpdatePlan:
        """A plan for any numbers."""
        given = self._p, self._state, self._options
        return UpdatePlan(self.function, *given, self._xp, self.outside)


def fused_update(
    rule: Rule, p: Any, g: Any, state: Settings, options: Settings, xp: Any, required: bool
) -> Any:
    """The parameter's new array by a kernel, or the reason why there is none."""
    if reason := why_composed():
        return reason
    plan = UpdateCall.plans.plan_for(UpdateCall(rule, p, state, options, xp))
    if isinstance(plan, str):
        return plan
    if not required and xp.is_host and plan.work < MIN_OPERATIONS_TO_FUSE:
        return TOO_LITTLE
    return plan.run(p, g, state, options)


def _describe(x: Any) -> str:
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
    return SymbolicNumber(text, is_true=True) if isinstance(x, float) and x != 0 else x


def _program(traced: _RuleBackend, ys: list[Any], shape: Shape) -> Program:
    """The rule's program on a parameter's numbers in rows of any length."""
    traced.close()
    size = math.prod(shape)
    width = even_rows(size) or (shape[-1] if shape[-1:] > (_NARROW,) else size)
    rows = Dim(size // width, "N"), Dim(width, "I")
    arrays = depends(traced.values, traced.arrays)
    for value in traced.values:
        if value.op not in ELEMENTWISE | {"input", "full", "astype"}:
            raise Untraceable(f"{value.op} mixes the numbers of a parameter")
        if value in arrays or value.shape:
            if value.shape != shape:
                raise Untraceable(f"it makes an array {value.shape} for a parameter {shape}")
            value.shape = rows
    for y in ys:
        if not isinstance(y, Value) or y not in arrays or y.dtype != traced.arrays[0].dtype:
            raise Untraceable("its results are not of the parameter's shape and dtype")
    sizes = {"N": int(rows[0]), "I": width}
    none = [set[Value]() for _ in ys]
    program = Program([], traced.arrays, [], ys, [], [], [], {}, none, ys, {}, sizes)
    program.numbers = list(traced.numbers.values())
    return program
