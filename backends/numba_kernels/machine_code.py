"""Functions of integers, written as LLVM code and compiled once per machine.

Numba would take seconds for what products are made of: it finds out about types that are all the
same, and optimises loops that are written as they should run. Here a function is written by
operators of `Int`, and by loops and branches of a `Code`; its arguments are addresses and sizes.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding, ir

from ..shared.kernel_files import private_folder, warn
from .files import read_checked, write_checked

_INT64 = ir.IntType(64)


class Int:
    """An integer of a function that is being written. The other operand may be a Python int."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _do(self, operation: Callable[..., Any], a: Any, b: Any) -> Int:
        return Int(self.builder, operation(value_of(a), value_of(b)))

    def __add__(self, x: Any) -> Int:
        return self._do(self.builder.add, self, x)

    def __sub__(self, x: Any) -> Int:
        return self._do(self.builder.sub, self, x)

    def __mul__(self, x: Any) -> Int:
        return self._do(self.builder.mul, self, x)

    def __floordiv__(self, x: Any) -> Int:  # of what isn't negative
        return self._do(self.builder.udiv, self, x)

    def __mod__(self, x: Any) -> Int:
        return self._do(self.builder.urem, self, x)

    def is_(self, sign: str, x: Any) -> Any:
        """A comparison, as LLVM's value."""
        return self.builder.icmp_signed(sign, self.value, value_of(x))


def value_of(x: Any) -> Any:
    """The LLVM value of a number."""
    return x.value if isinstance(x, Int) else ir.Constant(_INT64, x)


class Code:
    """Writes the body of a function."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def where(self, condition: Any, a: Any, b: Any) -> Int:
        """`a if condition else b`."""
        return Int(self.builder, self.builder.select(condition, value_of(a), value_of(b)))

    def least(self, a: Int, b: Any) -> Int:
        """The smaller one."""
        return self.where(a.is_("<", b), a, b)

    def when(self, condition: Any) -> Any:
        """A block that runs if a condition holds."""
        return self.builder.if_then(condition)

    def either(self, condition: Any) -> Any:
        """Two blocks, of which one runs."""
        return self.builder.if_else(condition)

    def call(self, function: Any, *numbers: Any) -> None:
        """Call a compiled function, by its symbol or its address."""
        values = [value_of(x) for x in numbers]
        kind = ir.FunctionType(ir.VoidType(), [_INT64] * len(values))
        if isinstance(function, str):
            callee = self._declare(function, kind)
        else:
            callee = self.builder.inttoptr(function.value, kind.as_pointer())
        self.builder.call(callee, values)

    def take_memory(self, size: Int) -> Int:
        """The address of so many bytes; without memory, the process ends."""
        take = self._declare("minigrad_malloc", ir.FunctionType(_INT64, [_INT64]))
        memory = Int(self.builder, self.builder.call(take, [size.value]))
        with self.when(memory.is_("==", 0)):
            trap = self._declare("llvm.trap", ir.FunctionType(ir.VoidType(), []))
            self.builder.call(trap, [])
        return memory

    def give_back(self, memory: Int) -> None:
        """The memory is free again."""
        self.call("minigrad_free", memory)

    def _declare(self, name: str, kind: Any) -> Any:
        known = self.builder.module.globals.get(name)
        return known or ir.Function(self.builder.module, kind, name)

    @contextlib.contextmanager
    def loop(self, stop: Any, step: Any = 1, start: Any = 0) -> Iterator[Int]:
        """A block that runs for each number of `range(start, stop, step)`, with step > 0."""
        builder = self.builder
        before = builder.block
        head, body, after = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        number = builder.phi(_INT64)
        number.add_incoming(value_of(start), before)
        index = Int(builder, number)
        builder.cbranch(index.is_("<", stop), body, after)
        builder.position_at_end(body)
        yield index
        number.add_incoming((index + step).value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)


for _name, _function in (
    ("malloc", ctypes.pythonapi.PyMem_RawMalloc),
    ("free", ctypes.pythonapi.PyMem_RawFree),
):
    _address = ctypes.cast(_function, ctypes.c_void_p).value
    binding.add_symbol(f"minigrad_{_name}", _address)


class MachineCode:
    """A compiled function.

    Python calls it by `.ctypes`, other compiled code by its `.address` or its `.symbol`, a name.
    """

    def __init__(self, name: str, content: bytes, arguments: int) -> None:
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
        self._engine.add_object_file(binding.ObjectFileRef.from_data(content))
        self._engine.finalize_object()
        self.address = self._engine.get_function_address(name)
        self.symbol = f"minigrad_{name}"
        binding.add_symbol(self.symbol, self.address)
        self.ctypes = ctypes.CFUNCTYPE(None, *[ctypes.c_ssize_t] * arguments)(self.address)


def compile_code(
    name: str, arguments: int, write: Callable[..., None], sources: Sequence[str]
) -> MachineCode:
    """A function from the cache folder, or else compiled and kept there.

    `write(code, *arguments)` writes it. `sources` are the files of modules that it depends on.
    """
    texts = b"".join(Path(file).read_bytes() for file in (__file__, *sources))
    about = f"{name} {llvmlite.__version__} {' '.join(map(str, _processor()))}"
    digest = hashlib.sha256(about.encode() + texts).hexdigest()[:24]
    path = private_folder() / f"{name}-{digest}.nbc"
    content = None
    try:
        content = read_checked(path)
    except OSError as error:
        warn(f"compiled kernels in {path.parent} can't be read", error)
    if content is None:
        content = _compile(name, arguments, write)
        try:
            write_checked(path, content)
        except OSError as error:
            warn(f"compiled kernels can't be written to the folder {path.parent}", error)
    return MachineCode(name, content, arguments)


def _compile(name: str, arguments: int, write: Callable[..., None]) -> bytes:
    module = ir.Module(name)
    module.triple = binding.get_process_triple()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_INT64] * arguments), name)
    builder = ir.IRBuilder(function.append_basic_block())
    write(Code(builder), *(Int(builder, x) for x in function.args))
    builder.ret_void()
    compiled = binding.parse_assembly(str(module))
    compiled.verify()
    return bytes(_machine().emit_object(compiled))


def _processor() -> tuple[str, str]:
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _machine() -> Any:
    """What writes code for this processor."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    name, features = _processor()
    return target.create_target_machine(name, features, opt=2, codemodel="jitdefault", jit=True)


__all__ = ["Code", "Int", "MachineCode", "compile_code", "value_of"]
