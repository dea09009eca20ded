"""Builds the stand-ins for the ROCm libraries that the installed cupy-rocm wheel is linked with.

Run by the Python that has the wheel: `python build.py`. Into its environment go the folder
`cupy_on_cpu` and the command `bin/on-cpu`, which runs any other command with CuPy on the CPU.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent / "libraries"
SITE = Path(sysconfig.get_path("purelib"))
OUT = Path(sys.prefix, "cupy_on_cpu")

# Library: what its functions are called, its sources here, "not supported" in its error numbers.
LIBRARIES = {
    "libamdhip64.so.7": (
        r"(hip|__hip)(?!blas|fft|rand|sparse|rtc)",
        ["device.cpp", "memory.cpp", "streams.cpp", "kernels.cpp"],
        801,
    ),
    "libhiprtc.so.7": (r"hiprtc", ["compiler.cpp"], 11),
    "libhipblas.so.3": (r"hipblas", ["blas.cpp"], 7),
    "libhiprand.so.1": (r"hiprand", ["random.cpp"], 104),
    "libhipfft.so.0": (r"hipfft", [], 16),
    "libhipsparse.so.4": (r"hipsparse", [], 10),
    "librocsolver.so.0": (r"rocsolver", [], 2),
    "librocblas.so.5": (r"rocblas", [], 2),
    "librocfft.so.0": (r"rocfft", [], 1),
    "librccl.so.1": (r"p?(nccl|rccl)", [], 3),
    "libroctx64.so.4": (r"roctx(?!racer)", [], 1),
    "libroctracer64.so.4": (r"roctracer", [], 1),
}

# As on a GPU: no fast-math, so that NaN and signed zeros behave. No contraction to fused
# multiply-add, which the CPU would do in other places than a GPU. No names that libraries share:
# two kernels may have the same. No more than -O1: most kernels take longer to compile than to run.
KERNELS = "-std=c++17 -O1 -fPIC -w -fno-strict-aliasing -ffp-contract=off -fno-gnu-unique"
# longjmp between the stacks of threads is what the fortified one forbids.
STANDINS = "-std=c++17 -O3 -march=native -fPIC -Wall -U_FORTIFY_SOURCE"


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(str(word) for word in command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def needed() -> dict[str, str | None]:
    """The functions that the wheel's modules take from elsewhere, each with its version."""
    found = {}
    for module in SITE.glob("cupy*/**/*.so"):
        for line in run("objdump", "-T", module).splitlines():
            if "*UND*" in line:
                *_, version, name = line.split()
                match = re.fullmatch(r"\((.+)\)", version)
                found[name] = match[1] if match else None
    return found


def compiled(source: str) -> tuple[Path, set[str]]:
    """A source's object file, and the functions that it brings."""
    target = OUT / "build" / (source + ".o")
    run("g++", *STANDINS.split(), "-c", SOURCES / source, "-o", target)
    symbols = run("nm", "--defined-only", "--extern-only", target).splitlines()
    return target, {line.split()[-1] for line in symbols}


def stub(name: str, error: int) -> str:
    """A function that says that it is not there."""
    return (
        f'extern "C" int {name}() {{\n'
        f'  fprintf(stderr, "CuPy on the CPU: {name} is not there\\n");\n'
        f"  return {error};\n}}\n"
    )


def versions(wanted: dict[str, str | None]) -> str:
    """A version script that gives the functions the versions that the wheel asks for."""
    names = defaultdict(list)
    for name, version in wanted.items():
        if version:
            names[version].append(name)
    text, before = "", ""
    for version in sorted(names):
        text += f"{version} {{ global: {'; '.join(names[version])}; }} {before};\n"
        before = version
    return text


def build_library(library: str, wanted: dict[str, str | None], objects: dict) -> str:
    _, sources, error = LIBRARIES[library]
    files, present = [], set()
    for source in sources:
        file, functions = objects[source]
        files.append(file)
        present |= functions
    missing = sorted(set(wanted) - present)
    stubs = OUT / "build" / f"{library}.stubs.cpp"
    stubs.write_text("#include <cstdio>\n" + "".join(stub(name, error) for name in missing))
    flags = [f"-Wl,-soname,{library}"]
    if script := versions(wanted):
        (OUT / "build" / f"{library}.map").write_text(script)
        flags.append(f"-Wl,--version-script={OUT / 'build' / library}.map")
    if library != "libamdhip64.so.7":
        flags += [f"-L{OUT}", "-l:libamdhip64.so.7"]
    run("g++", "-shared", "-fPIC", "-o", OUT / library, stubs, *files, *flags, "-ldl", "-lpthread")
    return f"{library}: {len(wanted) - len(missing)} of {len(wanted)} functions"


def build_headers() -> None:
    """The kernels' headers, compiled once, and the flags that make them valid."""
    include = OUT / "include"
    shutil.copytree(SOURCES / "include", include)
    (include / "flags").write_text(KERNELS)
    folders = f"-I{include}", f"-I{SITE / 'cupy' / '_core' / 'include'}"
    for name in ("cuda_on_cpu.h", "cupy_on_cpu.h"):
        header = include / name
        run("g++", *KERNELS.split(), *folders, "-x", "c++-header", header, "-o", f"{header}.gch")


def write_commands() -> None:
    """`hipcc`, which CuPy asks where headers are, and `on-cpu`, which sets the environment."""
    scripts = {
        OUT / "bin" / "hipcc": f"""#!/bin/sh
echo '#include <...> search starts here:' >&2
echo ' {OUT}/include' >&2
echo 'End of search list.' >&2
echo 'HIP version: 7.0.51831'
""",
        Path(sys.prefix, "bin", "on-cpu"): f"""#!/bin/sh
# Runs a command with CuPy on the CPU.
out={shlex.quote(str(OUT))}
export LD_LIBRARY_PATH="$out" ROCM_HOME="$out" PATH="$out/bin:{sys.prefix}/bin:$PATH"
export CUPY_CACHE_DIR="${{CUPY_CACHE_DIR:-$out/cache}}" CUPY_ACCELERATORS=
export CUPY_ON_CPU_KERNELS="${{CUPY_ON_CPU_KERNELS:-$out/kernels}}"
exec "$@"
""",
    }
    for path, text in scripts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)  # kernels of older stand-ins, too
    (OUT / "build").mkdir(parents=True)
    functions = needed()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = pool.submit(build_headers)
        sources = [source for _, names, _ in LIBRARIES.values() for source in names]
        objects = dict(zip(sources, pool.map(compiled, sources), strict=True))
        headers.result()
    for library, (pattern, _, _) in LIBRARIES.items():
        wanted = {name: functions[name] for name in functions if re.match(pattern, name)}
        print(build_library(library, wanted, objects))
    write_commands()


if __name__ == "__main__":
    main()
