"""Compiles by NVRTC, for chips of NVIDIA, the kernels that ran on the CPU: no GPU is needed.

`python compile_kernels.py FOLDER`: with the Python that has CuPy for CUDA and NVRTC. The folder is
what the stand-in for the compiler in `cupy_on_cpu/` kept: a file per kernel, the options and names
that it was compiled with on its last lines.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import Pool
from pathlib import Path

from cupy._core import core
from cupy.cuda import compiler

CHIPS = ("75", "80", "90", "100")

# CuPy asks the device for its chip. Private, as is `core`: the wheel's version is pinned.
compiler._get_arch_for_options_for_nvrtc = lambda arch=None: (f"-arch=sm_{arch}", "cubin")


def compile_kernel(text: str, chip: str) -> str | None:
    """Machine code for one chip; returns what the compiler says if it can't."""
    lines = text.splitlines()
    options = [line.removeprefix("// option: ") for line in lines if "// option: " in line]
    names = [line.removeprefix("// name: ") for line in lines if line.startswith("// name: ")]
    try:
        machine_code, mangled = compiler.compile_using_nvrtc(
            text,
            core.assemble_cupy_compiler_options((*options, "-ftz=true")),
            arch=chip,
            name_expressions=tuple(names) or None,
        )
    except compiler.CompileException as error:
        return str(error)
    if not machine_code.startswith(b"\x7fELF"):
        return f"no machine code, but {machine_code[:20]!r}"
    return None if set(names) <= set(mangled or ()) else f"not all of {names} are there"


def compile_file(path: Path) -> list[str]:
    """A kernel for all chips; returns what went wrong."""
    text = path.read_text()
    results = ((chip, compile_kernel(text, chip)) for chip in CHIPS)
    return [f"{path.name} for sm_{chip}: {error}" for chip, error in results if error]


def main() -> None:
    files = sorted(Path(sys.argv[1]).glob("*.cu"))
    if not files:
        sys.exit(f"no kernels are in {sys.argv[1]}: make test-cupy keeps them there")
    if compile_kernel("__global__ void wrong() { nosuch(); }", CHIPS[0]) is None:
        sys.exit("NVRTC compiles what is wrong: it shows nothing here")
    with Pool(os.cpu_count()) as pool:
        failures = [line for found in pool.imap(compile_file, files, 8) for line in found]
    for failure in failures:
        print(failure)
    chips = ", ".join(f"sm_{chip}" for chip in CHIPS)
    done = len(files) * len(CHIPS) - len(failures)
    print(f"NVRTC {'.'.join(map(str, compiler._get_nvrtc_version()))}: {len(files)} kernels")
    print(f"for {chips}: {done} compiled, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
