"""The program of one time step of a cell, forwards and backwards."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from ..engine.graph import ALL_STEPS, Node, enable_grad, on_call, only_values, probing, time_step
from ..engine.registry import use_backend
from ..engine.sweep import run_sweep
from ..engine.tensor import Tensor
from ..engine.wrapping import alias
from ..errors import BackendError, Untraceable, refusals
from ..nested import layout_of, parts_of, rebuild
from .determinism import Read, trace_twice
from .ir import Value
from .parameter_tree import ParameterTree, read_outside
from .program import Program, topological_order
from .sizes import Dim, solve, substitute
from .symbolic import Renamed, SymbolicBackend
from .symbolic_numbers import NumberRead, symbols

__all__ = ["Program", "Untraceable", "trace", "tracing"]


def trace(
    cell: Callable[[Any, Any, Any], tuple[Any, Any]],
    params: Any,
    xs: Any,
    state: Any,
    outside: Read | None = None,
    pinned: Collection[int] | None = None,
) -> Program:
    """The program of one step of `cell`, forwards and backwards.

    Parameters
    ----------
    cell : `cell(params, x, state) -> (y, state)`, a function of ops. It is called twice, to see
        that it does the same again; more often if an axis of size 1 turns out to be there to
        broadcast.
    params : what the cell reads: a tensor, or containers or an object with tensors in them.
    xs : one step of input: a tensor (N, ...) or a (named) tuple of them.
    state : a tensor (N, ...) or a (named) tuple of them.
    outside : what gives all that the cell reads from outside, to see that tracing changes nothing;
        by default it is looked up.
    pinned : which of the floats in `params` are constants of the program, by their number; the
        others are inputs, except those that the cell looks at. None: all are constants.

    Raises
    ------
    Untraceable : the cell looks at numbers, makes tensors of its own, draws, changes or can't
        compare what is outside of it, or uses an op that has no place in a compiled step; the text
        says which.

    Examples
    --------
    >>> import minigrad as mg
    >>> def cell(w, x, h):
    ...     h = mg.tanh(x + h @ w)
    ...     return h, h
    >>> from minigrad.compiler import trace
    >>> print(trace(cell, mg.ones((3, 3)), mg.ones((2, 3)), mg.ones((2, 3))))
    forward:
      v3   = matmul(state, params)                         (N, H)   cell:2
      v4   = add(xs, v3)                                   (N, H)   cell:2
      v5   = tanh(v4)                                      (N, H)   cell:2
      -> y: v5
      -> state: v5
    backward:
      v6   = transpose(state, axes=(1, 0))                 (H, N)
      v9   = add(g_y, g_state)                             (N, H)
      v10  = multiply(v5, v5)                              (N, H)
      v11  = subtract(1, v10)                              (N, H)
      v12  = multiply(v9, v11)                             (N, H)
      v13  = matmul(v6, v12)                               (H, H)
      v14  = transpose(params, axes=(1, 0))                (H, H)
      v15  = matmul(v12, v14)                              (N, H)
      -> d params: v13
      -> d xs: v12
      -> d state: v15
    """
    known: dict[str, str | None] = {}
    numbers = ParameterTree(params).numbers
    everything = frozenset(range(len(numbers)))
    constants = everything if pinned is None else frozenset(pinned)

    def run(backwards: bool) -> Program:
        nonlocal constants
        while True:
            fixed = constants if backwards else everything
            try:
                return _trace_once(cell, params, xs, state, known, fixed, backwards)
            except Renamed as axis:
                if axis.axis in known:
                    raise Untraceable(f"its sizes contradict each other: {axis}") from None
                known[axis.axis] = axis.meaning
            except NumberRead as look:
                constants |= look.places or everything
            except Untraceable:
                if fixed == everything:
                    raise
                constants = everything

    outside = outside or (lambda: read_outside(cell, params, xs, state))
    program = trace_twice(run, outside, numbers)
    if program is None:
        constants = everything
        program = trace_twice(run, outside, numbers)
    assert program is not None  # with constants alone there is nothing else to give
    return program


def _trace_once(
    cell: Callable[..., Any],
    params: Any,
    xs: Any,
    state: Any,
    known: dict[str, str | None],
    pinned: frozenset[int],
    backwards: bool,
) -> Program:
    """The program, where `known` says which axes have another name, or None."""
    backend = SymbolicBackend()
    p = ParameterTree(params)
    rows = (*parts_of(state), *parts_of(xs))[0].shape[0]
    sizes = _Sizes(known, rows)
    H, I = _widths("H"), _widths("I")
    state_in = [_row_input(backend, n, t, H, sizes) for n, t in _name_parts("state", state)]
    xs_in = [_row_input(backend, n, t, I, sizes) for n, t in _name_parts("xs", xs)]
    params_in = [_param_input(backend, n, t, sizes) for n, t in p.named("params")]
    stand_ins = symbols(p.numbers, pinned)
    pairs = zip(params_in, p.tensors, strict=True)
    leaves = {value: _leaf(value, backend, type(t)) for value, t in pairs}
    leaves |= {value: _leaf(value, backend) for value in (*xs_in, *state_in)}
    y, new = call_cell(
        backend,
        cell,
        p.rebuild([leaves[v] for v in params_in], stand_ins),
        rebuild(xs, [alias(leaves[v]) for v in xs_in]),
        rebuild(state, [alias(leaves[v]) for v in state_in]),
    )
    p.check()
    ys, new_state = parts_of(y), parts_of(new)
    for before, after in zip(state_in, new_state, strict=True):
        backend.equal_sizes += zip(before.shape, after.shape, strict=True)
    g_ys = [_cotangent(backend, name, t) for name, t in _name_parts("g_y", y)]
    g_state = [_cotangent(backend, name, t) for name, t in _name_parts("g_state", new)]
    places = {t._node: value for value, t in leaves.items() if t._node is not None}
    sources = [_sources(t, places) for t in (*ys, *new_state)]
    grads = _backwards([*ys, *new_state], [*g_ys, *g_state], places) if backwards else {}
    names = solve(backend.equal_sizes, list(sizes.of))
    if "N" in names:
        raise Untraceable("it uses the number of rows as a plain number")
    first = {repr(value.shape[0]) for value in params_in if value.shape}
    for name in names:
        form = substitute(names[name], names)
        if name in first and form == {("N",): Fraction(1)}:
            raise Renamed(name, "N")
        if any("N" in product for product in form):
            raise Untraceable(f"its size {name} has to be the number of rows")
    if any(not t._data.has_rows for t in (*ys, *new_state)):
        raise Untraceable("it returns a tensor with other rows than its arguments have")
    backend.close()
    program = Program(
        params_in,
        xs_in,
        state_in,
        [t._data for t in ys],
        [t._data for t in new_state],
        g_ys,
        g_state,
        grads,
        sources,
        y,
        names,
        sizes.of,
        list(backend.numbers.values()),
        stand_ins,
        pinned,
    )
    if rows == 1:
        _check_one_row(cell, p, xs, state, program)
    return program


def _check_one_row(cell: Any, p: ParameterTree, xs: Any, state: Any, program: Program) -> None:
    """Refuse a cell that does something else if it finds a single row than with the two traced."""
    backend = SymbolicBackend()

    def again(values: Sequence[Value]) -> list[Tensor]:
        one = [(Dim(1, "N"), *v.shape[1:]) if v.has_rows else v.shape for v in values]
        pairs = zip(values, one, strict=True)
        return [_leaf(backend.input(v.name, shape, v.dtype), backend) for v, shape in pairs]

    params = p.rebuild(again(program.params), program.symbols)
    x, old = rebuild(xs, again(program.xs)), rebuild(state, again(program.state))
    y, new = call_cell(backend, cell, params, x, old)
    found = _listing(t._data for t in (*parts_of(y), *parts_of(new)))
    if found != _listing((*program.ys, *program.new_state)):
        raise Untraceable("with one row it computes something else than with several")


def _listing(ys: Iterable[Value]) -> list[Any]:
    """All that makes some values, as something to compare; N is N, whatever it stands for."""
    places: dict[Value, int] = {}
    lines: list[Any] = []
    roots = [*ys]
    for value in topological_order(roots):
        args = [places[a] if isinstance(a, Value) else repr(a) for a in value.args]
        made = value.op, value.name, args, repr(value.settings), repr(value.shape), value.dtype
        places[value] = len(lines)
        lines.append(made)
    return [*lines, [places[y] for y in roots]]


def call_cell(backend: SymbolicBackend, cell: Any, params: Any, x: Any, state: Any) -> Any:
    """What the cell returns: y and the new state, of a form that a scan can use."""
    backend.calls = sys._getframe()
    made: list[tuple[Node, Any]] = []

    def note(op: Any, node: Any, inputs: Any, y: Any, *_: Any) -> None:
        if node is not None and isinstance(y, Value):
            made.append((node, y))

    try:
        with tracing(), use_backend(backend), enable_grad(), on_call.within(note):
            result = cell(params, x, state)
    finally:
        backend.calls = None
    for node, value in made:
        value.label = getattr(node, "label", value.label)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Untraceable("it doesn't return a pair (y, state)")
    y, new = result
    for t in (*parts_of(y), *parts_of(new)):
        if not isinstance(t, Tensor):
            raise Untraceable(f"it returns a {type(t).__name__} among its results")
        if t.backend is not backend:
            raise Untraceable("it returns a tensor that doesn't come from its inputs")
    if isinstance(new, Tensor) != isinstance(state, Tensor) or layout_of(new) != layout_of(state):
        raise Untraceable("it returns a state of another structure, shape or dtype")
    return y, new


@contextmanager
def tracing() -> Iterator[None]:
    """The user's function runs to be traced: what it raises is the reason for a refusal.

    So is a refusal that it catches.
    """
    raised: list[Untraceable] = []
    tokens = time_step.set(ALL_STEPS), refusals.set(raised), only_values.set(True)
    asks = probing.set(None)
    try:
        yield
    except Untraceable:
        raise
    except BackendError as error:
        raise Untraceable("it uses a tensor that is not among its arguments") from error
    except Exception as error:
        if not raised:
            text = str(error).partition("\n")[0]
            raise Untraceable(f"tracing it gave {type(error).__name__}: {text}") from error
    else:
        if raised:
            raise raised[0]
    finally:
        time_step.reset(tokens[0])
        refusals.reset(tokens[1])
        only_values.reset(tokens[2])
        probing.reset(asks)
        raised.clear()  # they refer to this frame, and it to them


def _name_parts(name: str, value: Any) -> list[tuple[str, Tensor]]:
    """The parts of an input or a state, with names."""
    if isinstance(value, Tensor):
        return [(name, value)]
    fields = getattr(value, "_fields", None) or [f"{name}.{i}" for i in range(len(value))]
    return list(zip(fields, value, strict=True))


class _Sizes:
    """The sizes of the inputs' axes, by name."""

    def __init__(self, known: dict[str, str | None], rows: int) -> None:
        self._known = known
        # A batch of one is traced as one of two: an axis of size 1 means something else.
        self.of: dict[str, int] = {"N": max(rows, 2)}

    def axis(self, name: str, n: int) -> int:
        """The size `n` of the axis of that name."""
        meaning = self._known.get(name, name)
        return n if meaning is None else Dim(self.of.setdefault(meaning, n), meaning)


def _row_input(
    backend: SymbolicBackend, name: str, t: Tensor, widths: Iterator[str], sizes: _Sizes
) -> Value:
    """An input with a row per sequence: N, and a width of its own."""
    shape = [sizes.axis("N", t.shape[0]), *(sizes.axis(next(widths), n) for n in t.shape[1:])]
    return backend.input(name, shape, t.dtype)


def _widths(name: str) -> Iterator[str]:
    """H, H1, H2 and so on."""
    return (f"{name}{i or ''}" for i in itertools.count())


def _param_input(backend: SymbolicBackend, name: str, t: Tensor, sizes: _Sizes) -> Value:
    """An input that is the same for all steps."""
    shape = [sizes.axis(f"{name}.{i}", n) for i, n in enumerate(t.shape)]
    return backend.input(name, shape, t.dtype)


def _leaf(value: Value, backend: SymbolicBackend, kind: type[Tensor] = Tensor) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, value, backend)
    if value.dtype.kind == "f":
        tensor.requires_grad = True
    del tensor.grad  # a parameter's may be another thing at each call
    return tensor


def _cotangent(backend: SymbolicBackend, name: str, t: Tensor) -> Value:
    return backend.input(name, t.shape, t.dtype)


def _sources(output: Tensor, places: dict[Node, Value]) -> set[Value]:
    """The inputs that gradients flow to from an output of the step."""
    stack = [output._node] if output._node is not None else []
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.hooks:
            raise Untraceable("it registers a hook, which no kernel would call")
        new = {edge for edge in node.edges if edge is not None} - seen
        seen |= new
        stack += new
    return {places[node] for node in seen if node in places}


def _backwards(
    outputs: list[Tensor], cotangents: list[Value], places: dict[Node, Value]
) -> dict[Value, Value]:
    """The engine's own sweep over the step that has just been traced: gradients by input."""
    seeds = [
        (t._node, Tensor(g, t.backend))
        for t, g in zip(outputs, cotangents, strict=True)
        if t._node is not None
    ]
    found = run_sweep(seeds, list(places)) if seeds else {}
    return {places[node]: g._data for node, g in found.items() if g is not None}
