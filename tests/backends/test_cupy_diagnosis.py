"""Why CuPy can't be used: each cause, acted by a module that fails as CuPy does there.

What CuPy itself says on a machine without a driver is in `cuda_wheel/`, on one that works in
`test_cupy.py`.
"""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from minigrad import doctor
from minigrad.backends.cupy_kernels import diagnosis
from minigrad.backends.cupy_kernels.diagnosis import CupyUnavailable, start

pytestmark = pytest.mark.cupy


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):
    pass


class DynamicLibNotFoundError(RuntimeError):
    pass


def machine(devices=1, driver=13000, built=13020, first_kernel=None):
    """A module `cupy` on some machine; `devices` and `first_kernel` may be what is raised."""

    def count():
        if isinstance(devices, Exception):
            raise devices
        return devices

    def arange(count, dtype):
        if first_kernel is not None:
            raise first_kernel
        return np.arange(count, dtype=dtype)

    class Device:
        def __init__(self, index):
            self.id = index or 0

        __enter__ = __exit__ = lambda *_: None

    cupy = ModuleType("cupy")
    cupy.__version__ = "14.2.0"
    cupy.arange, cupy.asnumpy = arange, np.asarray
    cupy.cuda = SimpleNamespace(
        Device=Device,
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=count,
            driverGetVersion=lambda: driver,
            runtimeGetVersion=lambda: built,
        ),
    )
    return cupy


TOO_OLD = CUDARuntimeError(35, "CUDA driver version is insufficient for CUDA runtime version")
NO_DEVICE = CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
UNKNOWN = CUDARuntimeError(999, "cudaErrorUnknown: unknown error")
NO_HEADER = CompileException(
    "/tmp/x.cu(3): catastrophic error: cannot open source file 'cuda_fp16.h'\n\n1 error detected"
)

# By cause: the machine, the reason, the cure; CuPy 14.2.0 for CUDA 13 is installed.
CAUSES = {
    "no driver": (
        {"devices": TOO_OLD, "driver": 0},
        "CuPy 14.2.0 is installed, but this machine has no NVIDIA driver",
        "install the driver of your GPU (in a container: start it with --gpus all), or take "
        "another backend, such as numpy",
    ),
    "a driver of CUDA 12": (
        {"devices": TOO_OLD, "driver": 12040},
        "the NVIDIA driver is too old: it is for CUDA 12.4, and CuPy 14.2.0 was built for CUDA "
        "13.2",
        "update the driver, or pip uninstall cupy-cuda13x, then in the checkout: pip install -e "
        '".[cuda12]"',
    ),
    "a driver of CUDA 11": (
        {"devices": TOO_OLD, "driver": 11080},
        "the NVIDIA driver is too old: it is for CUDA 11.8, and CuPy 14.2.0 was built for CUDA "
        "13.2",
        "update the driver",
    ),
    "a driver that was just updated": (
        {"devices": UNKNOWN},
        "the NVIDIA driver doesn't answer: cudaErrorUnknown: unknown error",
        "see what nvidia-smi says; after an update of the driver the machine must be restarted",
    ),
    "no device": (
        {"devices": NO_DEVICE},
        "the NVIDIA driver finds no GPU",
        "see what nvidia-smi lists, or take another backend, such as numpy",
    ),
    "zero devices": (
        {"devices": 0},
        "the NVIDIA driver finds no GPU",
        "see what nvidia-smi lists, or take another backend, such as numpy",
    ),
    "no compiler": (
        {"first_kernel": DynamicLibNotFoundError("Failure finding nvrtc\nTried:\n  /usr/lib")},
        "CuPy finds GPU 0, but a CUDA library is missing: Failure finding nvrtc",
        'pip install "cupy-cuda13x[ctk]" brings CUDA\'s compiler, headers and libraries',
    ),
    "no cuBLAS": (
        {"first_kernel": ImportError('Failure finding "libcublas.so": libcublas.so.13')},
        'CuPy finds GPU 0, but a CUDA library is missing: Failure finding "libcublas.so": '
        "libcublas.so.13",
        'pip install "cupy-cuda13x[ctk]" brings CUDA\'s compiler, headers and libraries',
    ),
    "no headers": (
        {"first_kernel": NO_HEADER},
        "CuPy finds GPU 0, but CUDA's compiler can't compile a first kernel: /tmp/x.cu(3): "
        "catastrophic error: cannot open source file 'cuda_fp16.h'",
        'pip install "cupy-cuda13x[ctk]" brings CUDA\'s compiler, headers and libraries',
    ),
    "a GPU that is too old": (
        {"first_kernel": CUDARuntimeError(209, "cudaErrorNoKernelImageForDevice: no image")},
        "CuPy finds GPU 0, but a first kernel can't run: cudaErrorNoKernelImageForDevice: no image",
        'pip install "cupy-cuda13x[ctk]" brings CUDA\'s compiler, headers and libraries',
    ),
    "a GPU that is full": (
        {"first_kernel": OutOfMemoryError("Out of memory allocating 512 bytes.")},
        "GPU 0 has no memory left for a first array: Out of memory allocating 512 bytes",
        "end other programs that use it (nvidia-smi lists them), or take another GPU",
    ),
}


@pytest.fixture
def install(monkeypatch):
    """Puts a module, or what importing it raises, in the place of CuPy; and installed packages."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(cupy, *packages):
        known = [*packages, "numpy", "cupyish", "fastrlock"]
        found = [SimpleNamespace(name=name) for name in known]
        monkeypatch.setattr(diagnosis, "distributions", lambda: found)

        def find(name):
            assert name == "cupy"
            if isinstance(cupy, Exception):
                raise cupy
            return cupy

        monkeypatch.setattr(diagnosis, "import_module", find)

    return put


def refused(index=None):
    with pytest.raises(CupyUnavailable) as refusal:
        start(index)
    return str(refusal.value), refusal.value.hint


def test_a_machine_that_works(install):
    cupy = machine(devices=2)
    install(cupy, "cupy-cuda13x")
    assert start() is cupy and start(1) is cupy


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_a_sentence_and_a_cure(install, cause):
    options, reason, cure = CAUSES[cause]
    install(machine(**options), "cupy-cuda13x")
    assert refused() == (reason, cure)


def test_the_original_error_is_the_cause(install):
    install(machine(devices=TOO_OLD, driver=0), "cupy-cuda13x")
    with pytest.raises(CupyUnavailable) as refusal:
        start()
    assert refusal.value.__cause__ is TOO_OLD


INSTALL = 'in the checkout: pip install -e ".[cuda13]" (cuda12 if nvidia-smi shows CUDA Version 12)'


def test_not_installed(install):
    install(ModuleNotFoundError("No module named 'cupy'", name="cupy"))
    assert refused() == ("CuPy is not installed", INSTALL)


def test_two_builds(install):
    """CuPy warns of them at its import, or fails there, or later."""
    for cupy in (machine(), UserWarning("multiple CuPy packages"), ImportError("undefined symbol")):
        install(cupy, "cupy_cuda12x", "cupy-cuda13x")
        reason, cure = refused()
        assert reason == (
            "2 builds of CuPy are installed and overwrite each other's files: cupy-cuda12x and "
            "cupy-cuda13x"
        )
        assert cure == f"pip uninstall cupy-cuda12x cupy-cuda13x, then {INSTALL}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("\n====\nCuPy failed to load\n===="), "CuPy failed to load"),
        (
            ModuleNotFoundError("No module named 'cuda.x'", name="cuda.x"),
            "No module named 'cuda.x'",
        ),
        (ValueError(), "ValueError"),
    ],
)
def test_a_broken_installation(install, error, said):
    install(error, "cupy-cuda12x")
    reason, cure = refused()
    assert reason.startswith(f"CuPy is installed, but importing it fails: {said}")
    assert cure == "pip install --force-reinstall cupy-cuda12x"


def test_devices_that_are_hidden(install, monkeypatch):
    install(machine(devices=NO_DEVICE), "cupy-cuda13x")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert refused() == (
        "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES='-1' lets it see no GPU",
        "unset CUDA_VISIBLE_DEVICES, or set it to 0, or take another backend, such as numpy",
    )


def test_a_device_that_is_not_there(install):
    install(machine(devices=2), "cupy-cuda13x")
    assert refused(2) == (
        "there is no GPU number 2: this machine has 2, counted from 0",
        "take cupy:0 or cupy:1",
    )


def test_a_device_that_calculates_wrongly(install):
    cupy = machine()
    cupy.asnumpy = lambda x: x * 0
    install(cupy, "cupy-cuda13x")
    reason, cure = refused()
    assert reason.startswith("GPU 0 calculates wrongly: ") and cure.startswith("update")


def test_builds_are_read_from_what_is_installed(tmp_path, monkeypatch):
    for name in ("cupy_cuda13x-14.2.0", "cupy_rocm_7_0-14.2.0", "cupyish-1.0"):
        info = tmp_path / f"{name}.dist-info"
        info.mkdir()
        package, version = name.rsplit("-", 1)
        text = f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    assert diagnosis.builds() == ["cupy-cuda13x", "cupy-rocm-7-0"]


# --- as the user meets it ------------------------------------------------------------------------


@pytest.fixture
def unloaded(monkeypatch):
    from minigrad.engine import registry

    kept = {name: b for name, b in registry.loaded_backends.items() if not name.startswith("cupy")}
    monkeypatch.setattr(registry, "loaded_backends", kept)


def test_the_backend_says_why_it_cannot_start(install, unloaded):
    install(machine(devices=TOO_OLD, driver=0), "cupy-cuda13x")
    with pytest.raises(mg.BackendError) as error:
        mg.ones(3, backend="cupy")
    _, reason, cure = CAUSES["no driver"]
    assert str(error.value) == (
        f"backend 'cupy' is known but can't start here: {reason}. Possible cure: {cure}"
    )


def test_the_doctor_says_so_too(install, unloaded):
    install(ModuleNotFoundError("No module named 'cupy'", name="cupy"))
    (row,) = [row for row in doctor.report() if row["name"] == "cupy"]
    assert not row["available"] and "CuPy is not installed" in row["why"]
    assert row["install"] == INSTALL and row["memory"] is None
    assert doctor.table([row]).count(INSTALL) == 1


@pytest.mark.parametrize("device", ["one", "-1", ""])
def test_a_device_is_a_number(unloaded, device):
    with pytest.raises(mg.BackendError, match="a GPU has a number, counted from 0; got") as error:
        mg.get_backend(f"cupy:{device}")
    assert str(error.value).endswith("Possible cure: take cupy:0")
