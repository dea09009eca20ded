"""What a function's code reads and writes outside of itself, by name; found in its bytecode.

`Config.k` is a path: the global `Config`, and of it the attribute `k` alone. Where something else
is done with a name than to take attributes of it, all that it holds counts as read. So what isn't
understood here is never taken for less than it may be.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass

Path = tuple[str, ...]  # attributes, one of the other
ITEM = "[]"  # in a path: some item

# In-place operators, and the methods that they call.
_IN_PLACE = {"+=": "add", "-=": "sub", "*=": "mul", "/=": "truediv", "//=": "floordiv"}
_IN_PLACE |= {"%=": "mod", "**=": "pow", "@=": "matmul", "&=": "and", "|=": "or", "^=": "xor"}
_IN_PLACE |= {"<<=": "lshift", ">>=": "rshift"}
_IN_PLACE = {symbol: f"__i{name}__" for symbol, name in _IN_PLACE.items()}

# Methods of lists, dicts, sets and arrays that change them.
CHANGING = {"__setitem__", "__delitem__", *_IN_PLACE.values()}
CHANGING |= {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "fill"}
CHANGING |= {"insert", "itemset", "partition", "pop", "popitem", "popleft", "put", "remove"}
CHANGING |= {"reset", "resize", "reverse", "rotate", "set", "setdefault", "sort", "subtract"}
CHANGING |= {"update"}
CHANGING |= {"difference_update", "intersection_update", "symmetric_difference_update"}


@dataclass(frozen=True)
class Reads:
    """What a function, and the functions written in it, do with what is outside.

    Attributes
    ----------
    globals, free : what is read of each global and each variable of an enclosing function.
    arguments : what is read of each positional argument, by its number.
    imports : the modules that it imports.
    writes : the globals and variables of enclosing functions that it sets, or of which it sets
        attributes or items.
    changed : the numbers of the arguments of which it sets attributes or items.
    """

    globals: tuple[tuple[str, Path], ...]
    free: tuple[tuple[str, Path], ...]
    arguments: tuple[tuple[int, Path], ...]
    imports: tuple[str, ...]
    writes: tuple[tuple[str, str], ...]
    changed: frozenset[int]


@dataclass
class _Entry:
    """Something on the stack that came from a name."""

    kind: str
    name: str
    path: Path = ()


_NOTHING = {"CACHE", "COPY_FREE_VARS", "EXTENDED_ARG", "KW_NAMES", "MAKE_CELL", "NOP", "NOT_TAKEN"}
_NOTHING |= {"RESUME"}
_PUSHES = {"LOAD_ASSERTION_ERROR", "LOAD_BUILD_CLASS", "LOAD_CLOSURE", "LOAD_COMMON_CONSTANT"}
_PUSHES |= {"LOAD_CONST", "LOAD_CONST_IMMORTAL", "LOAD_LOCALS", "LOAD_SMALL_INT", "PUSH_NULL"}
_POPS = ("POP_TOP", "STORE_DEREF", "STORE_FAST", "STORE_GLOBAL", "STORE_NAME")
_ENDS = ("RETURN", "RAISE", "RERAISE", "JUMP", "POP_JUMP", "FOR_ITER", "SEND")
_CHANGES = {"STORE_ATTR": 1, "DELETE_ATTR": 1, "STORE_SUBSCR": 2, "DELETE_SUBSCR": 2}
_CHANGES |= {"STORE_SLICE": 3}


class _Scan:
    """One pass over a function's instructions, block by block, with what is known of the stack.

    A block starts with nothing known. Of an instruction that isn't named here it is known by how
    much the stack grows, and that it leaves the values below its own as they were.
    """

    def __init__(self, code: types.CodeType) -> None:
        self.code = code
        self.found: list[_Entry] = []  # what is read, whole from the end of the path on
        self.imports: list[str] = []
        self.writes: list[tuple[str, str]] = []  # kind, name
        self._stack: list[_Entry | None] = []
        self._locals: dict[str, _Entry] = {}  # variables that are other names of what came from one
        names = code.co_varnames[: code.co_argcount]
        self.arguments = {name: i for i, name in enumerate(names)}
        instructions = list(dis.get_instructions(code))
        self.rebound = {
            name
            for i in instructions
            if "STORE_FAST" in i.opname or i.opname == "STORE_DEREF"
            for name in (i.argval if isinstance(i.argval, tuple) else (i.argval,))
        }
        for instruction in instructions:
            if instruction.is_jump_target:
                self._stack.clear()
            self._step(instruction)
            if instruction.opname.startswith(_ENDS):
                self._stack.clear()
        if "__class__" in code.co_freevars:  # super() looks at the class and at the first argument
            self.found += [_Entry("free", "__class__"), *map(self._argument, names[:1])]

    def _argument(self, name: str) -> _Entry:
        return _Entry("argument", name)

    def _step(self, instruction: dis.Instruction) -> None:
        op, name = instruction.opname, instruction.argval
        grows = dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if op in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            self._load(_Entry("global", name), grows)
        elif op in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            self._load(self._variable(name), grows)
        elif op.startswith("LOAD_FAST"):
            names = name if isinstance(name, tuple) else (name,)
            for each in names[:-1]:
                self._load(self._variable(each), 1)
            self._load(self._variable(names[-1]), grows - len(names) + 1)
        elif op in ("LOAD_ATTR", "LOAD_METHOD"):
            entry = self._pop()
            if entry is not None:  # the attribute is read, and not all of it
                self.found.remove(entry)
                entry = _Entry(entry.kind, entry.name, (*entry.path, name))
            self._load(entry, grows + 1)
        elif op == "COPY":
            entry = self._at(instruction.arg)
            self._load(entry and _Entry(entry.kind, entry.name, entry.path), 1)
        elif op == "SWAP":
            n = instruction.arg or 1
            self._at(n)  # so that there are as many
            self._stack[-1], self._stack[-n] = self._stack[-n], self._stack[-1]
        elif op in _CHANGES:
            entry = self._at(_CHANGES[op])
            if entry is not None and entry.name not in self.rebound:
                self.writes.append((entry.kind, entry.name))
            self._other(grows)
        elif op == "BINARY_SUBSCR" or (op == "BINARY_OP" and instruction.argrepr == "[]"):
            entry = self._at(2)
            self._other(grows)
            if entry is not None:  # what may be changed of it; as a whole it is read above
                item = _Entry(entry.kind, entry.name, (*entry.path, ITEM))
                self.found.append(item)
                self._stack[-1] = item
        elif op in _PUSHES:
            self._stack += [None] * grows
        elif op not in _NOTHING:
            if op in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                self.writes.append(("global", name))
            elif op in ("STORE_DEREF", "DELETE_DEREF") and name in self.code.co_freevars:
                self.writes.append(("free", name))
            elif op == "IMPORT_NAME":
                self.imports.append(name)
            if op == "BINARY_OP" and instruction.argrepr in _IN_PLACE:
                entry = self._at(2)
                if entry is not None:
                    method = _IN_PLACE[instruction.argrepr]
                    self.found.append(_Entry(entry.kind, entry.name, (*entry.path, method)))
            if op == "STORE_FAST":
                entry = self._pop()
                self._locals.pop(name, None)
                if entry is not None and name not in self.arguments:
                    self._locals[name] = entry
            elif op in _POPS:
                self._pop()
            else:
                self._other(grows)

    def _variable(self, name: str) -> _Entry | None:
        """An argument, a variable of an enclosing function, or what one of its own stands for."""
        if name in self.arguments:
            return self._argument(name)
        if name in self._locals:
            entry = self._locals[name]
            return _Entry(entry.kind, entry.name, entry.path)
        return _Entry("free", name) if name in self.code.co_freevars else None

    def _load(self, entry: _Entry | None, count: int) -> None:
        """Push a value, and what belongs to it below."""
        if entry is not None:
            self.found.append(entry)
        self._stack += [*[None] * (count - 1), entry]

    def _at(self, n: int | None) -> _Entry | None:
        """The n-th value from the top."""
        n = n or 1
        self._stack[:0] = [None] * (n - len(self._stack))
        return self._stack[-n]

    def _pop(self) -> _Entry | None:
        entry = self._at(1)
        del self._stack[-1]
        return entry

    def _other(self, grows: int) -> None:
        """An instruction that leaves at most one value, or as many as the stack grows and one."""
        for _ in range(-grows):
            self._pop()
        fresh = max(grows + 1, 1)
        for _ in range(fresh - max(grows, 0)):
            self._pop()
        self._stack += [None] * fresh


@functools.lru_cache(maxsize=4096)
def reads(code: types.CodeType) -> Reads:
    """What the code of a function does with what is outside of it."""
    scan = _Scan(code)
    found = {"global": [], "free": [], "argument": []}  # type: dict[str, list[tuple[str, Path]]]
    for entry in scan.found:
        found[entry.kind].append((entry.name, entry.path))
    imports, writes = list(scan.imports), list(scan.writes)
    for inner in _inner(code):
        theirs = reads(inner)
        found["global"] += theirs.globals
        imports += theirs.imports
        for name, path in theirs.free:
            if name in scan.arguments:
                found["argument"].append((name, path))
            elif name in code.co_freevars:
                found["free"].append((name, path))
        for kind, name in theirs.writes:
            if kind == "global" or name in code.co_freevars:
                writes.append((kind, name))
            elif name in scan.arguments and name not in scan.rebound:
                writes.append(("argument", name))
    return Reads(
        tuple(_shortest(found["global"])),
        tuple(_shortest(found["free"])),
        tuple((scan.arguments[name], path) for name, path in _shortest(found["argument"])),
        tuple(dict.fromkeys(imports)),
        tuple(dict.fromkeys(write for write in writes if write[0] != "argument")),
        frozenset(scan.arguments[name] for kind, name in writes if kind == "argument"),
    )


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    """The functions, comprehensions and classes written in a function."""
    return (const for const in code.co_consts if isinstance(const, types.CodeType))


def _shortest(paths: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Without repetitions, and without attributes of what is read as a whole.

    Not all that has a special name, as `f.__doc__`, is part of the whole.
    """
    unique = dict.fromkeys(paths)
    return [
        (name, path)
        for name, path in unique
        if not any((name, path[:i]) in unique for i in range(len(path)))
        or path[-1] in CHANGING
        or any(part.startswith("__") for part in path)
    ]
