"""The methods that type checkers and editors see of a tensor are those that it has."""

import ast
import inspect
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.engine import methods


def declared():
    """Per method its parameters after the first, with their defaults as text."""
    tree = ast.parse(Path(methods.__file__).read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args][1:]
            defaults = [ast.unparse(value) for value in node.args.defaults]
            blank = [None] * (len(names) - len(defaults))
            found[node.name] = dict(zip(names, blank + defaults, strict=True))
    return found


def signature(name):
    parameters = inspect.signature(vars(mg.Tensor)[name]).parameters.values()
    named = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
    return {p.name: None if p.default is p.empty else repr(p.default) for p in named}


def attached():
    """What `minigrad.ops` adds to the class."""
    body = ast.parse(inspect.getsource(mg.Tensor)).body[0].body
    own = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    return {name for name, value in vars(mg.Tensor).items() if callable(value)} - own


def test_all_methods_are_declared_and_no_others():
    there = {name for name in attached() if not name.startswith("__") or name in dir(object)}
    missing = {name for name in there if name not in declared() and name not in dir(object)}
    assert not missing, missing
    unknown = [name for name in declared() if name not in vars(mg.Tensor)]
    assert not unknown, unknown


@pytest.mark.parametrize("name", sorted(n for n in declared() if not n.startswith("__")))
def test_their_parameters_are_declared(name):
    if isinstance(vars(mg.Tensor)[name], property):
        assert declared()[name] == {}
    else:
        assert declared()[name] == signature(name)


def test_operators_are_declared():
    both = ["add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]
    names = {f"__{kind}{name}__" for name in both for kind in ("", "r", "i")}
    names |= {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__neg__", "__abs__"}
    names |= {"__invert__", "__getitem__", "__setitem__", "__iter__"}
    assert names <= set(declared()) and names <= set(dir(mg.Tensor))
