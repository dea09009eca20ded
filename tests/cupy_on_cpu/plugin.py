"""For pytest on the stand-ins (`-p cupy_on_cpu.plugin`): undefined memory, checks, argsort."""

from __future__ import annotations

import os
from pathlib import Path

from . import matrices, sorting
from .counters import library


def pytest_configure(config):
    import cupy

    runtime = library()
    sorting.install()
    matrices.install()

    def poisoned(allocate):
        # The pool hands out again what was freed: on a GPU its content is as undefined as that
        # of new memory, here it would be the right numbers of the last test.
        def allocate_poisoned(size):
            pointer = allocate(size)
            runtime.standin_poison(pointer.ptr, size, cupy.cuda.get_current_stream().ptr)
            return pointer

        return allocate_poisoned

    if "red-zones" in _checks():
        cupy.cuda.set_allocator(None)  # the pool rounds sizes up, and hides the red zones
    else:
        cupy.cuda.set_allocator(poisoned(cupy.get_default_memory_pool().malloc))


def pytest_report_header(config):
    import cupy

    return f"CuPy {cupy.__version__} on the CPU; checks: {', '.join(['NaN fill', *_checks()])}"


def pytest_terminal_summary(terminalreporter):
    kernels = Path(os.environ["CUPY_ON_CPU_KERNELS"])
    terminalreporter.write_line(f"{len(list(kernels.glob('*.cu')))} kernels compiled by g++")


def _checks():
    return os.environ.get("CUPY_ON_CPU_CHECKS", "").split()
