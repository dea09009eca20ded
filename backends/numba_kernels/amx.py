"""Whether this process may use the processor's tile unit (Intel AMX), and if not, why not.

No instruction of the unit is executed to find out: where one isn't allowed, it ends the process. So
does LLVM if it compiles one for a processor without the unit.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import warnings
from functools import cache

from numba.core.registry import cpu_target

from minigrad.precision import PARTS

NEEDED = "amx_tile", "amx_bf16"

# Set by tests: products in parts run on the unit that `tiles` emulates.
EMULATED = False


def why_not() -> str | None:
    """Why products can't run on the tile unit in this process, in words; None if they can."""
    return None if EMULATED else _why_not()


@cache
def _why_not() -> str | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "no AMX: it needs Linux on an x86-64 processor"
    there = processor_flags()
    lacking = [flag for flag in NEEDED if flag not in there]
    if lacking:
        return f"no AMX: the processor lacks {' and '.join(lacking)}"
    compiled_for = cpu_target.target_context.codegen()._tm_features.split(",")
    if any("+" + flag.replace("_", "-") not in compiled_for for flag in NEEDED):
        return (
            "no AMX: Numba compiles for a processor without it (see NUMBA_CPU_NAME and "
            "NUMBA_CPU_FEATURES)"
        )
    if not permitted():
        return "no AMX: the system does not permit it to this process"
    return None


def processor_flags(file: str = "/proc/cpuinfo") -> frozenset[str]:
    """What the first processor can do, as Linux calls it."""
    try:
        with open(file) as lines:
            for line in lines:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


def permitted() -> bool:
    """Ask the system for the registers, which are too large for it to save unasked."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    numbers = 158, 0x1023, 18  # arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return int(call(*map(ctypes.c_long, numbers))) == 0


def parts_of(mode: str) -> int:
    """The bf16 parts of a number in products of a mode; 0 for float32, which is where none can be.

    Then a warning says so, once.
    """
    parts = PARTS[mode]
    if parts and why_not() is not None:
        _warn(mode)
        return 0
    return parts


@cache
def _warn(mode: str) -> None:
    warnings.warn(
        f"products in {mode} were asked for (MINIGRAD_PRODUCTS or mg.set_products), and run in "
        f"float32 here; {why_not()}",
        UserWarning,
        stacklevel=2,
    )


__all__ = ["EMULATED", "NEEDED", "parts_of", "permitted", "processor_flags", "why_not"]
