"""Random programs over all ops: values and gradients of both orders, in every way and backend."""

import os
import random
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from program_author import DTYPES
from program_checks import Difference, check
from program_data import Input, Program
from random_programs import STEPS, each_program, programs, script

import minigrad as mg
from minigrad.backends.numpy_backend import NumpyBackend
from minigrad.engine import sweep
from minigrad.engine.graph import on_call
from minigrad.testing.op_cases import OP_CASES

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
# How many programs, and the seed of the first; a longer run takes new ones each time.
COUNT = int(os.environ.get("MINIGRAD_PROGRAMS") or (20_000 if DEEP else 500))
START = random.SystemRandom().randrange(10**9) if DEEP else 0
COMPILED = 100  # in a long run, one program in so many is compiled by Numba and CuPy
SLOW = {"cupy": 10}  # the stand-in for a GPU takes several times as long
SHOWS = "# --- a script that shows it"


def checked(program, backends):
    """Check a program; the error carries a script that shows it."""
    program.compiled = DEEP and program.seed % COMPILED == 0
    try:
        check(program, backends)
    except Difference as difference:
        text = script(program, backends)
        raise Difference(f"{difference}\n\n{SHOWS}\n{text}") from None


# --- all of them -----------------------------------------------------------------------------


def test_programs_are_right(backend, fast_ways):
    """On NumPy no op is left out, and few programs are on a kink."""
    seen, doubts, sloped = set(), [], 0

    def look(program):
        nonlocal sloped

        def told(op, node, inputs, *_):  # derivatives call ops of their own
            program.saw(op.name, node is not None, inputs)

        with on_call.within(told):
            checked(program, [backend])
        doubts.extend(program.doubts)
        seen.update(program.seen)
        if program.has_slopes and not program.doubts:
            seen.update((op, "second order") for op, kind in program.seen if kind == "gradient")
            sloped += 1

    each_program(look, number(backend), START)
    assert len(doubts) < COUNT / 20
    if backend == "numpy":
        assert sloped > COUNT / 3

        def look_for(program):  # what hypothesis happens to leave out
            if any(kind != "layout" or name in program.text for name, kind in missing(seen)):
                look(program)

        for k in range(COUNT, 12 * COUNT, COUNT // 10):
            if missing(seen):
                each_program(look_for, COUNT // 10, START + k)
        assert not missing(seen)


def number(backend):
    """How many programs a backend is to run."""
    return COUNT // SLOW.get(backend, 1)


# Ops that only other ops call are called with what these lay out; what is kept isn't called.
KEPT = {op.keeps[1].name for op in mg.OPS.values() if op.keeps is not None}
WANTED = {(name, "layout") for name in OP_CASES if hasattr(mg, name)}
WANTED |= {
    (name, kind)
    for name, cases in OP_CASES.items()
    for kind in ("gradient", "second order")
    if cases[0].slope != "none" and name not in KEPT
}


def missing(seen):
    """What no program did, of the ops and functions of the op table."""
    return sorted(WANTED - seen)


def test_kernels_agree_with_programs(interpreted, fast_ways):
    """Compiled functions and scans, as the Python that their kernels are."""
    each_program(lambda program: checked(program, [interpreted]), number(interpreted), START)


@pytest.fixture
def interpreted(register):
    from interpreted_backend import InterpretedBackend

    register("interpreted", InterpretedBackend)
    return "interpreted"


def test_every_line_of_the_op_table_can_be_drawn():
    functions = {f"linalg.{name}" for name in mg.linalg.__all__} | {*mg.linalg.__all__}
    inner = {name for name in OP_CASES if not hasattr(mg, name)}  # other ops call these
    inner -= functions
    assert set(OP_CASES) - set(STEPS) == inner


# --- what programs are given -----------------------------------------------------------------


@given(programs(most=2))
@settings(max_examples=50)
def test_inputs_are_views_of_memory_full_of_garbage(program):
    for given_ in program.inputs.values():
        view = given_.laid()
        assert np.array_equal(view, given_.whole, equal_nan=view.dtype.kind == "f")
        x = given_.tensor("numpy")
        x = x.numpy() if isinstance(x, mg.Tensor) else x
        assert np.array_equal(x, view, equal_nan=view.dtype.kind == "f")
        if given_.margin and view.dtype.kind == "f" and view.base is not None:
            memory = view
            while isinstance(memory.base, np.ndarray):
                memory = memory.base
            assert np.isnan(memory).sum() > np.isnan(given_.values).sum()


def test_layouts_of_all_kinds_are_drawn():
    found = set()

    def look(program):
        for given_ in program.inputs.values():
            x = given_.laid()
            found.add(x.dtype.name)
            found.update(("size", n) for n in x.shape if n in (0, 1) or n > 64)
            found.add(("axes", x.ndim))
            for n, stride in zip(x.shape, x.strides, strict=True):
                if n > 1:
                    found.add("0" if stride == 0 else "-" if stride < 0 else "+")

    each_program(look, 200)
    assert {*DTYPES, "int64", "bool", "0", "-", "+", ("size", 0), ("size", 1)} <= found
    assert {("axes", n) for n in range(4)} | {("size", 130)} <= found


# --- the checks can fail -----------------------------------------------------------------------


class Planted(NumpyBackend):
    """A backend with a fault."""

    def __init__(self, **faulty):
        super().__init__()
        self.name = "planted"
        vars(self).update(faulty)


def negative_strides_forgotten(function):
    return lambda x: function(x[::-1] if x.ndim and x.strides[0] < 0 else x)


def repeats_forgotten(g, index, shape):
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


def columns_taken_for_dense(a, b, start=None):
    if a.ndim == b.ndim == 2 and a.shape[0] > 1 and a.strides[0] == 2 * a.itemsize:
        a = np.concatenate([a[:1], a[:-1]])
    return np.matmul(a, b)


def writes_to_its_input(x):
    return (
        np.maximum(x, 0, out=x) if x.dtype.kind == "f" and x.flags.writeable else np.maximum(x, 0)
    )


def of_empty_arrays(x, axis=None, keepdims=False):
    y = np.sum(x, axis=axis, keepdims=keepdims)
    return y if x.size else y + 1


def nan_taken_for_zero(x):
    return np.tanh(np.nan_to_num(x))


BACKENDS = {
    "negative strides": {  # of several functions: it is seen at few inputs
        f.__name__: negative_strides_forgotten(f) for f in (np.exp, np.sin, np.tanh, np.square)
    },
    "indices that repeat": {"scatter": repeats_forgotten},
    "a transposed operand": {"matmul": columns_taken_for_dense},
    "an input edited": {"relu": writes_to_its_input},
    "sums of nothing": {"sum": of_empty_arrays},
    "what is not a number": {"tanh": nan_taken_for_zero},
}


def is_found(backends):
    with pytest.raises(Difference) as caught:
        each_program(lambda program: check(program, backends), 20000, shrink=False)
    return str(caught.value)


@pytest.mark.parametrize("fault", BACKENDS)
def test_a_backends_fault_is_found(register, fault):
    register("planted", lambda: Planted(**BACKENDS[fault]))
    assert "planted" in is_found(["planted"])


def test_a_kernels_fault_is_found(interpreted, monkeypatch, fast_ways):
    import interpreted_backend

    monkeypatch.setitem(interpreted_backend.SCOPE, "sqrt", lambda x: np.sqrt(x) * 1.001)
    assert "interpreted" in is_found([interpreted])


def captured(g, y):
    raw = y._data if isinstance(y, mg.Tensor) else y
    return g * (1 - raw * raw)


DERIVATIVES = {
    "a dropped term": (mg.divide, {"b": lambda g, y: -g * y}, "order"),
    "a factor": (mg.softplus, {"x": lambda g, x: 1.001 * g * mg.sigmoid(x)}, "order"),
    "right at first order only": (mg.tanh, {"x": captured}, "second order"),
    "a silent 0": (mg.sin, {"x": lambda g, x: mg.where(x == x, g * mg.cos(x), 0)}, "NaN"),
    "a wrong place": (mg.cos, {"x": lambda g, x: -g * mg.sin(mg.flip(x, axis=None))}, "order"),
}


@pytest.fixture
def bend():
    """Gives an op other derivatives, until the end of the test."""
    right = []

    def other(op, derivatives):
        right.append((op, dict(op.derivatives)))
        op.vjp(**right[-1][1] | derivatives)

    yield other
    for op, derivatives in right:
        op.vjp(**derivatives)


@pytest.mark.parametrize("fault", DERIVATIVES)
def test_a_wrong_derivative_is_found(bend, fault):
    op, derivatives, where = DERIVATIVES[fault]
    bend(op, derivatives)
    assert where in is_found(["numpy"])


def test_a_broadcast_that_is_undone_wrongly_is_found(monkeypatch):
    right = sweep.Sweep.unbroadcast

    def fit(self, g, like):
        return right(self, g, like) / (2 if g.ndim > len(like.shape) else 1)

    monkeypatch.setattr(sweep.Sweep, "unbroadcast", fit)
    is_found(["numpy"])


def test_gradients_that_are_added_in_place_of_another_are_found(monkeypatch):
    def add(self, node, g):
        held = self.grads[node]
        if isinstance(held, np.ndarray) and held.flags.writeable:
            held += g
            self.grads[node] = held
        else:
            self.grads[node] = held + g

    monkeypatch.setattr(sweep.Sweep, "add", add)
    is_found(["numpy"])


# --- the script ------------------------------------------------------------------------------


def run(text):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)


def test_a_failure_prints_a_script_that_shows_it(bend):
    """It has all that it needs, fails where the fault is, and not where it isn't."""
    fault = "import minigrad as mg\nmg.sin.vjp(x=lambda g, x: 1.01 * g * mg.cos(x))\n"
    bend(mg.sin, {"x": lambda g, x: 1.01 * g * mg.cos(x)})
    with pytest.raises(Difference) as caught:
        each_program(lambda program: checked(program, ["numpy", "strict"]), 500)
    message, text = str(caught.value).split(f"{SHOWS}\n")
    assert "mg.sin(" in text
    assert len(re.findall(r"^    v\d+ =", text, re.M)) <= 3, (
        "what has nothing to do with it is gone"
    )
    faulty = run(fault + text)
    assert faulty.returncode == 1
    assert message.split("\n")[0].split(":")[0] in faulty.stderr
    right = run(text)
    assert (right.returncode, right.stdout) == (0, "no difference\n"), right.stderr


def test_a_script_has_the_numbers_and_layouts_of_its_inputs():
    given_ = Input(np.array([[1.5, -2.0]]), (1, 0), (1, -2), 1, (3, 1), "wanted")
    text = "def program(x0):\n    return [x0 * np.inf]\n"
    program = Program(text, {"x0": given_}, special=True)
    program.recipes = {"x0": None}
    printed = script(program, ["numpy"])
    scope = {"__name__": "script"}
    exec(printed.partition("with forced_fast_ways")[0], scope)
    again = scope["INPUTS"]["x0"]
    assert again.laid().strides == given_.laid().strides
    assert np.array_equal(again.laid(), given_.laid())
