"""What people meet who have CuPy for CUDA and no GPU that works: the real wheel, no driver.

CUDA's runtime is linked into the wheel, so it fails here as it does anywhere. For drivers that are
there and no use, a library of two functions is compiled in the place of NVIDIA's: it tells a
version, and what initialising gives.
"""

import os
import shutil
import subprocess
import sys

import pytest

from minigrad.backends.cupy_kernels.diagnosis import builds
from minigrad.utils.install import install_line

if not any(name.startswith("cupy-cuda") for name in builds()):
    pytest.skip("no CuPy for CUDA is installed here", allow_module_level=True)

import cupy

RUNTIME = cupy.cuda.runtime
if RUNTIME.driverGetVersion():
    pytest.skip("there is an NVIDIA driver here", allow_module_level=True)

(BUILD,) = builds()
CUPY = f"CuPy {cupy.__version__}"
BUILT = RUNTIME.runtimeGetVersion()
NO_DRIVER = f"{CUPY} is installed, but this machine has no NVIDIA driver"
CURE = "install the driver of your GPU (in a container: start it with --gpus all)"
SMALL = "import minigrad as mg; print(mg.ones(3))"


def python(code=SMALL, backend="cupy", **variables):
    """What a new Python does with a backend."""
    known = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES",)}
    env = {**known, "MINIGRAD_BACKEND": backend, **variables}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


def doctor(backend="cupy", **variables):
    code = "import sys; from minigrad.models.cli import main; sys.argv[1:] = ['doctor']; main()"
    return python(code, backend, **variables)


def last_line(done):
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def test_the_first_tensor():
    assert last_line(python()) == (
        "minigrad.errors.BackendError: MINIGRAD_BACKEND=cupy: backend 'cupy' is known but can't "
        f"start here: {NO_DRIVER}. Possible cure: {CURE}, or take another backend, such as numpy"
    )


def test_what_cupy_said_is_the_cause():
    code = (
        "import minigrad as mg\n"
        "try: mg.ones(3)\n"
        "except mg.BackendError as error:\n"
        "    reason = error.__cause__\n"
        "    print(type(reason).__name__, reason.__cause__.status, reason.__cause__)"
    )
    said = "CUDA driver version is insufficient for CUDA runtime version"
    assert python(code).stdout == f"CupyUnavailable 35 cudaErrorInsufficientDriver: {said}\n"


def test_a_device_by_number():
    assert f"backend 'cupy:1' is known but can't start here: {NO_DRIVER}" in last_line(
        python(backend="cupy:1")
    )


def test_the_doctor():
    done = doctor()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "* cupy   not available\n" in done.stdout
    assert f"{NO_DRIVER}. Possible cure: {CURE}" in done.stdout
    assert "chosen by MINIGRAD_BACKEND" in done.stdout
    assert doctor(backend="numpy").returncode == 0


def test_auto_passes_on():
    done = python(backend="auto")
    assert done.returncode == 0, done.stderr
    assert "MINIGRAD_BACKEND=auto chose 'num" in done.stderr


def test_importing_minigrad_asks_nothing_of_cupy():
    code = "import sys, minigrad as mg; mg.available_backends(); print('cupy' in sys.modules)"
    assert python(code).stdout == "False\n"


# --- drivers that are no use ---------------------------------------------------------------------

DRIVER = """
int cuInit(unsigned flags) { return INIT; }
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
"""


@pytest.fixture
def driver(tmp_path):
    """Compiles a driver of a version; returns the environment variables to find it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a driver with")

    def make(version, init=0):
        source = tmp_path / "driver.c"
        source.write_text(DRIVER)
        numbers = [f"-DVERSION={version}", f"-DINIT={init}"]
        shared = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]
        target = tmp_path / "libcuda.so.1"
        subprocess.run([compiler, *numbers, *shared, str(target), str(source)], check=True)
        return {"LD_LIBRARY_PATH": str(tmp_path)}

    return make


def version(number):
    return f"{number // 1000}.{number % 1000 // 10}"


def test_a_driver_of_an_earlier_cuda(driver):
    said = last_line(python(**driver(BUILT - 1000)))
    assert (
        f"the NVIDIA driver is too old: it is for CUDA {version(BUILT - 1000)}, and {CUPY} was "
        f"built for CUDA {version(BUILT)}. Possible cure: update the driver"
    ) in said
    other = f"pip uninstall {BUILD}, then {install_line('cuda12')}"
    assert said.endswith(other) == (BUILT // 1000 == 13)


def test_no_device(driver):
    said = last_line(python(**driver(BUILT, init=100)))
    assert (
        "the NVIDIA driver finds no GPU. Possible cure: see what nvidia-smi lists, or take "
        "another backend, such as numpy"
    ) in said


def test_devices_that_are_hidden(driver):
    said = last_line(python(**driver(BUILT, init=100), CUDA_VISIBLE_DEVICES="-1"))
    assert (
        "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES='-1' lets it see no GPU. Possible "
        "cure: unset CUDA_VISIBLE_DEVICES, or set it to 0"
    ) in said


def test_a_driver_in_disorder(driver):
    said = last_line(python(**driver(BUILT, init=999)))
    assert "the NVIDIA driver doesn't answer: cudaErrorUnknown: unknown error. Possible" in said
    assert "after an update of the driver the machine must be restarted" in said
