"""Whether the list of constants that decide between two ways is complete, and lowering works."""

import ast
import re
from importlib import import_module

import numpy as np
import pytest
from fast_ways import AS_THEY_ARE, LOWERED, forced_fast_ways
from places import ROOT

import minigrad as mg

# Not looked at: what judges, draws, reports, or reads and writes files, and runs nothing fast.
ASIDE = ("gradchecker", "testing", "mutation", "drawing", "doctor", "saving", "diagnosis", "files")
PLAIN = 9  # a number up to this is one that code may compare with as it stands


def modules():
    """The engine's and the backends' modules: name and syntax tree."""
    for folder, package in (
        (ROOT / "minigrad", "minigrad"),
        (ROOT / "backends", "minigrad.backends"),
    ):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if not {*parts} & {*ASIDE}:
                yield ".".join((package, *parts)), ast.parse(path.read_text())


def is_number(node):
    """Whether an expression is made of numbers, and of other constants, alone."""
    numbers = [n for n in ast.walk(node) if isinstance(n, ast.Constant)]
    calls = any(isinstance(n, (ast.Call, ast.JoinedStr, ast.Dict, ast.Set)) for n in ast.walk(node))
    kinds = {type(n.value) for n in numbers}
    return bool(numbers) and kinds <= {int, float} and not calls


def constants(tree):
    """The names of a module's numeric constants."""
    for line in tree.body:
        if not isinstance(line, ast.Assign):
            continue
        for target in line.targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            value = line.value
            if isinstance(value, ast.IfExp):
                value = value.body
            if is_number(value):
                yield from (n.id for n in names if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", n.id))


def test_every_constant_is_in_a_list():
    unknown = [
        f"{name}.{constant}"
        for name, tree in modules()
        for constant in constants(tree)
        if constant not in LOWERED.get(name, {}) and constant not in AS_THEY_ARE.get(name, {})
    ]
    assert not unknown, (
        "tests/support/fast_ways.py has to say what these are lowered to, or why they are not: "
        f"{', '.join(unknown)}"
    )


def test_the_lists_have_nothing_else():
    known = {name: set(constants(tree)) for name, tree in modules()}
    for name, values in (*LOWERED.items(), *AS_THEY_ARE.items()):
        assert set(values) <= known[name], name


def test_no_module_compares_with_a_bare_number():
    bare = []
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                sides = (node.left, *node.comparators)
                bare += [
                    f"{name}:{node.lineno}"
                    for side in sides
                    if isinstance(side, ast.Constant)
                    and type(side.value) in (int, float)
                    and side.value > PLAIN
                ]
    assert not bare, f"give these numbers names, so that tests can lower them: {', '.join(bare)}"


def test_constants_are_looked_up_when_they_are_needed():
    """A copy under another module's name would not be lowered."""
    names = {constant for values in LOWERED.values() for constant in values}
    copies = [
        f"{name}:{node.lineno}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and names & {alias.name for alias in node.names}
    ]
    assert not copies, f"import the module, not the constant: {', '.join(copies)}"


def test_they_are_lowered_and_come_back():
    fuse = import_module("minigrad.fusion")

    before = fuse.MIN_ELEMENTS_TO_FUSE
    with forced_fast_ways():
        lowered = fuse.MIN_ELEMENTS_TO_FUSE
    assert (lowered, fuse.MIN_ELEMENTS_TO_FUSE) == (0, before)


def test_small_programs_take_the_fast_ways(fast_ways, monkeypatch):
    try:
        numba = mg.get_backend("numba")
    except mg.BackendError as missing:
        pytest.skip(str(missing))
    numba_gemm = import_module("minigrad.backends.numba_kernels.gemm")
    taken = []
    for name, value in (("matmul", numba_gemm.matmul),):
        monkeypatch.setattr(numba_gemm, name, lambda *a, f=value: (taken.append("product"), f(*a)))
    swish = mg.fuse(lambda x: x * mg.sigmoid(x), name="swish")
    with mg.use_backend(numba):
        x, w = mg.ones((2, 3), requires_grad=True), mg.ones((3, 2))
        mg.reset_dispatch_counts()
        y = swish(x @ w)
        y.sum().backward()
        counts = mg.dispatch_counts()
    assert taken
    assert counts == {("swish", "numba", "fused", ""): 1}
    np.testing.assert_allclose(y.numpy(), 3 / (1 + np.exp(-3)) * np.ones((2, 2)), rtol=1e-5)
