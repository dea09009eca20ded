"""A machine with a tile unit (Intel AMX), on one without: see `amx_trap.c`."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from places import SUPPORT

# Contractions would round less often than the unit does.
FLAGS = ("-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")


def why_not():
    """Why the unit's instructions can't be trapped here; None if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the instructions are those of x86-64, trapped as on Linux"
    if shutil.which("gcc") is None:
        return "needs the C compiler gcc"
    from llvmlite import binding

    lacking = {"fma", "avx2"} - {name for name, on in binding.get_host_cpu_features().items() if on}
    return f"the processor lacks {' and '.join(sorted(lacking))}" if lacking else None


def environment(folder):
    """The environment of a process whose processor has the unit, or seems to."""
    from llvmlite import binding

    library = Path(folder, "amx_trap.so")
    source = Path(SUPPORT, "amx_trap.c")
    subprocess.run(["gcc", *FLAGS, "-o", library, source], check=True)
    features = binding.get_host_cpu_features()
    features |= {"amx-tile": True, "amx-bf16": True}
    return os.environ | {
        "LD_PRELOAD": str(library),
        "NUMBA_CPU_NAME": binding.get_host_cpu_name(),
        "NUMBA_CPU_FEATURES": ",".join(
            f"{'+' if on else '-'}{name}" for name, on in features.items()
        ),
    }
