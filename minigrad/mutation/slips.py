"""Derivatives with one slip in their text: a term forgotten, a wrong branch, a mask left out.

A slip is made on the syntax tree of a function, so it is one that a person could have made, and
can be shown: `square: 2 * g * x -> g * x`.
"""

from __future__ import annotations

import ast
import copy
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any, TypeVar

from .. import functional, ops
from ..engine.op import Op

__all__ = ["Choice", "Slip", "compiled", "in_text", "shown", "slips_of", "variants"]

Function = Callable[..., Any]


@dataclass
class Slip:
    """A function with one slip.

    Attributes
    ----------
    kind : what sort of slip it is.
    text : the place, before and after.
    function : the wrong function, with the parameters of the right one.
    reached : a list that grows when a call runs the slip, or takes the wrong branch because of it.
    """

    kind: str
    text: str
    function: Any
    reached: list[bool] = field(default_factory=list)


def slips_of(fn: Function) -> Iterator[Slip]:
    """Every slip in the text of `fn`, and in the private functions of its module that it calls.

    There are none if its text can't be found, as for a function typed at a prompt.
    """
    tree = _tree_of(fn)
    if tree is None or fn.__closure__:
        return
    arrays = _array_functions(fn, tree)
    for kind, text, changed in variants(tree, lambda node: in_text(node, arrays)):
        reached: list[bool] = []
        yield Slip(kind, text, compiled(changed, fn.__globals__, reached), reached)
    for name, helper in _helpers(fn):
        for inner in slips_of(helper):
            scope = {**fn.__globals__, name: inner.function}
            outer = FunctionType(fn.__code__, scope, fn.__name__, fn.__defaults__)
            yield Slip(inner.kind, f"in {name}: {inner.text}", outer, inner.reached)


# --- slips ---------------------------------------------------------------------------------------

Choice = Callable[[ast.AST], Iterator[tuple[str, str, ast.AST]]]
Tree = TypeVar("Tree", bound=ast.AST)


def variants(tree: Tree, choose: Choice) -> Iterator[tuple[str, str, Tree]]:
    """Copies of a syntax tree with one slip each: its kind, its text, and the copy.

    `choose` gives the possible replacements of a node: the kind of slip, its text, the new node.
    """
    for i, node in enumerate(ast.walk(tree)):
        for k, (kind, text, _) in enumerate(choose(node)):
            changed = copy.deepcopy(tree)
            place = list(ast.walk(changed))[i]
            *_, new = list(choose(place))[k]
            yield kind, text, _Swap(place, _marked(new, place)).visit(changed)


def in_text(node: ast.AST, arrays: set[str]) -> Iterator[tuple[str, str, ast.AST]]:
    """The choice of what people forget; `arrays` are the names of functions of arrays."""
    seen = set()
    for kind, new in _forgotten(node, arrays):
        text = f"{shown(node)} -> {shown(new)}"
        if text not in seen:  # y * y has two sides and one slip
            yield kind, text, new
        seen.add(text)


def _forgotten(node: ast.AST, arrays: set[str]) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.BinOp(left, ast.Add(), right):
            yield "dropped term", left
            yield "dropped term", right
        case ast.BinOp(left, ast.Sub(), right):
            yield "dropped term", left
            yield "dropped term", ast.UnaryOp(ast.USub(), right)
        case ast.BinOp(left, ast.Mult(), right):
            yield "dropped factor", left
            yield "dropped factor", right
        case ast.BinOp(left, ast.Div() | ast.Pow(), _):
            yield "dropped factor", left
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield "sign", operand
        case ast.IfExp(_, body, orelse):
            yield "condition ignored", body
            yield "condition ignored", orelse
        case ast.If(_, body, orelse):
            yield "condition ignored", ast.If(ast.Constant(True), body, orelse)
            yield "condition ignored", ast.If(ast.Constant(False), body, orelse)
        case ast.Call(ast.Name("where" | "select") as function, [condition, a, b]):
            yield "missing mask", a
            yield "missing mask", b
            yield "missing mask", ast.Call(function, [condition, b, a], [])
        case ast.Call(ast.Name(name), [ast.Name() | ast.Call() | ast.BinOp() as first, *_]):
            if name in arrays:
                turned = name in ("swapaxes", "transpose", "flip")
                yield "transposed operand" if turned else "dropped call", first


class _Swap(ast.NodeTransformer):
    """Puts `new` in the place of `old`."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def _marked(new: ast.AST, old: ast.AST) -> ast.AST:
    """The new node, telling `_reached` when it runs; for a branch, when it is the wrong one."""
    if isinstance(new, ast.If) and isinstance(old, ast.If):
        return ast.If(_call("_taken", old.test, new.test), new.body, new.orelse)
    if isinstance(old, ast.IfExp):
        test = _call("_taken", old.test, ast.Constant(new is old.body))
        return ast.IfExp(test, old.body, old.orelse)
    return _call("_reached", new) if isinstance(new, ast.expr) else new


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [*arguments], [])


def shown(node: ast.AST) -> str:
    """A node as text, in one line that is not too long."""
    if isinstance(node, ast.If):
        return f"if {shown(node.test)}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- text ----------------------------------------------------------------------------------------


@cache
def _functions_of(path: str) -> list[ast.Lambda | ast.FunctionDef]:
    text = "".join(linecache.getlines(path))
    kinds = (ast.Lambda, ast.FunctionDef)
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]


def _tree_of(fn: Function) -> ast.Lambda | ast.FunctionDef | None:
    """The syntax tree of a function: there may be several lambdas in one line."""
    code = fn.__code__
    names = [*code.co_varnames[: code.co_argcount]]
    places = [p for p in code.co_positions() if None not in p and p[3]]
    for node in _functions_of(code.co_filename):
        body = node.body if isinstance(node, ast.Lambda) else node.body[-1]
        spans = any(
            (body.lineno, body.col_offset)
            <= (line, column)
            < (end := (body.end_lineno or 0, body.end_col_offset or 0))
            and (last, stop) <= end
            for line, last, column, stop in places
        )
        if (
            node.lineno == code.co_firstlineno
            and spans
            and [a.arg for a in node.args.args] == names
        ):
            return node
    return None


def compiled(tree: Any, scope: dict[str, Any], reached: list[bool]) -> Any:
    """The function of a syntax tree with a slip, run in a scope; `reached` grows with its calls."""

    def mark(value: Any) -> Any:
        reached.append(True)
        return value

    def take(right: Any, wrong: bool) -> bool:
        if bool(right) != wrong:
            reached.append(True)
        return wrong

    scope = {**scope, "_reached": mark, "_taken": take}
    ast.fix_missing_locations(tree)
    if isinstance(tree, ast.Lambda):
        return eval(compile(ast.Expression(tree), "<slip>", "eval"), scope)
    tree.returns = None
    for argument in tree.args.args:
        argument.annotation = None
    exec(compile(ast.Module([tree], []), "<slip>", "exec"), scope)
    return scope[tree.name]


def _array_functions(fn: Function, tree: ast.AST) -> set[str]:
    """The names in `fn` that stand for functions of arrays, imports in its body included."""
    public = {*vars(ops), *vars(functional)}
    local = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {
        name
        for name in {*fn.__code__.co_names, *local}
        if isinstance(fn.__globals__.get(name), Op) or name in public
    }


def _helpers(fn: Function) -> Iterator[tuple[str, Function]]:
    """The private functions of its own module that `fn` calls."""
    for name in fn.__code__.co_names:
        helper = fn.__globals__.get(name)
        if (
            name.startswith("_")
            and isinstance(helper, FunctionType)
            and helper.__module__ == fn.__module__
            and helper is not fn
        ):
            yield name, helper
