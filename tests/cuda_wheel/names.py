"""The public names of CuPy and their signatures: the same in the wheels for ROCm and for CUDA?

`python names.py write FILE` with the one, `python names.py compare FILE` with the other: what runs
on the CPU is then asked of a GPU by the same names and arguments.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path

import cupy
import cupyx.scipy.special

MODULES = (cupy, cupy.cuda, cupy.random, cupy.linalg, cupyx, cupyx.scipy.special)


def signature(value: object) -> str:
    """What a callable takes; of compiled ones it is the first line of the documentation."""
    if not callable(value):
        return "no function"
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        first = (getattr(value, "__doc__", None) or "").strip().partition("\n")[0]
        found = re.search(r"\(.*\)", first)
        return found[0] if found else ""


def public() -> dict[str, str]:
    owners = [(module.__name__, module) for module in MODULES] + [("ndarray", cupy.ndarray)]
    return {
        f"{where}.{name}": re.sub(r" at 0x\w+", "", signature(getattr(owner, name)))
        for where, owner in owners
        for name in dir(owner)
        if not name.startswith("_")
    }


def main() -> None:
    task, file = sys.argv[1], Path(sys.argv[2])
    here = public()
    if task == "write":
        file.write_text(json.dumps(here, indent=0, sort_keys=True))
        return
    there = json.loads(file.read_text())
    unlike = sorted(name for name in here | there if here.get(name) != there.get(name))
    for name in unlike:
        print(f"{name}: {there.get(name, 'not there')} on the CPU, {here.get(name, 'not there')}")
    print(f"{len(here)} names of CuPy {cupy.__version__}, {len(unlike)} of them different")
    sys.exit(bool(unlike))


if __name__ == "__main__":
    main()
