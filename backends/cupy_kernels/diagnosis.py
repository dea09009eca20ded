"""Why CuPy can't be used here: one sentence and one cure per cause.

CuPy can be imported on a machine without a GPU, and what it then says at the first array points
the wrong way ("driver version is insufficient" where there is no driver at all). So everything is
asked for in the order in which it is needed, up to a first kernel and a first product.
"""

from __future__ import annotations

import os
import re
import warnings
from importlib import import_module
from importlib.metadata import distributions
from typing import Any

from minigrad.utils.install import install_line

_NO_DEVICE = 100  # cudaErrorNoDevice
_DRIVER_TOO_OLD = (35, 36)  # cudaErrorInsufficientDriver, cudaErrorCallRequiresNewerDriver
_INSTALL = f"{install_line('cuda13')} (cuda12 if nvidia-smi shows CUDA Version 12)"
_ELSE = "or take another backend, such as numpy"


class CupyUnavailable(RuntimeError):
    """CuPy can't be used here; `hint` says what to do about it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def start(index: int | None = None) -> Any:
    """The module `cupy`, once it has computed something on a GPU: number `index`, or CuPy's choice.

    Raises CupyUnavailable.
    """
    cupy = _import_cupy()
    _check_devices(cupy, index)
    _check_kernels(cupy, index)
    return cupy


def builds() -> list[str]:
    """The installed packages that bring a module `cupy`."""
    names = {(d.name or "").lower().replace("_", "-") for d in distributions()}
    pattern = re.compile(r"cupy|cupy-(cuda|rocm).*|amd-cupy")
    return sorted(name for name in names if pattern.fullmatch(name))


def _import_cupy() -> Any:
    broken: Exception | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it suspects is missing; we find out
            cupy = import_module("cupy")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            raise CupyUnavailable("CuPy is not installed", _INSTALL) from None
        broken = error.with_traceback(None)  # which refers to this frame
    found = builds()
    if len(found) > 1:
        raise CupyUnavailable(
            f"{len(found)} builds of CuPy are installed and overwrite each other's files: "
            f"{' and '.join(found)}",
            f"pip uninstall {' '.join(found)}, then {_INSTALL}",
        ) from broken
    if broken is not None:
        raise CupyUnavailable(
            f"CuPy is installed, but importing it fails: {_brief(broken)}",
            f"pip install --force-reinstall {found[0] if found else 'cupy'}",
        ) from broken
    return cupy


def _check_devices(cupy: Any, index: int | None) -> None:
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status != _NO_DEVICE:
            raise _no_answer(cupy, error) from error
        count = 0
    if count == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = "" if visible is None else f"; CUDA_VISIBLE_DEVICES={visible!r} lets it see no GPU"
        raise CupyUnavailable(
            f"the NVIDIA driver finds no GPU{hidden}",
            f"see what nvidia-smi lists, {_ELSE}"
            if visible is None
            else f"unset CUDA_VISIBLE_DEVICES, or set it to 0, {_ELSE}",
        )
    if index is not None and not 0 <= index < count:
        raise CupyUnavailable(
            f"there is no GPU number {index}: this machine has {count}, counted from 0",
            "take " + " or ".join(f"cupy:{i}" for i in range(min(count, 3))),
        )


def _no_answer(cupy: Any, error: Any) -> CupyUnavailable:
    """What it means that the driver can't even say how many devices there are."""
    runtime = cupy.cuda.runtime
    driver, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        return CupyUnavailable(
            f"CuPy {cupy.__version__} is installed, but this machine has no NVIDIA driver",
            "install the driver of your GPU (in a container: start it with --gpus all), " + _ELSE,
        )
    if error.status not in _DRIVER_TOO_OLD:
        return CupyUnavailable(
            f"the NVIDIA driver doesn't answer: {_brief(error)}",
            "see what nvidia-smi says; after an update of the driver the machine must be restarted",
        )
    other = f", or pip uninstall {' '.join(builds())}, then {install_line('cuda12')}"
    return CupyUnavailable(
        f"the NVIDIA driver is too old: it is for CUDA {version_text(driver)}, and CuPy "
        f"{cupy.__version__} was built for CUDA {version_text(built)}",
        "update the driver" + (other if driver // 1000 == 12 < built // 1000 else ""),
    )


def _check_kernels(cupy: Any, index: int | None) -> None:
    """Run a first kernel (it needs CUDA's compiler and headers) and a product (it needs cuBLAS)."""
    device = cupy.cuda.Device(index)
    try:
        with device:
            x = cupy.arange(4, dtype="float32").reshape(2, 2)
            found = cupy.asnumpy(x @ x + 1).tolist()
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise CupyUnavailable(
            f"GPU {device.id} has no memory left for a first array: {_brief(error)}",
            "end other programs that use it (nvidia-smi lists them), or take another GPU",
        ) from error
    except Exception as error:  # a driver's, a compiler's, a loader's: all end here
        raise CupyUnavailable(
            f"CuPy finds GPU {device.id}, but {_what_failed(error)}: {_brief(error)}",
            f'pip install "{builds()[0] if builds() else "cupy"}[ctk]" brings CUDA\'s compiler, '
            "headers and libraries",
        ) from error
    if found != [[3, 4], [7, 12]]:
        raise CupyUnavailable(
            f"GPU {device.id} calculates wrongly: a product of 2x2 matrices comes out as {found}",
            "update the NVIDIA driver and CuPy",
        )


def _what_failed(error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, ImportError) or kind == "DynamicLibNotFoundError":
        return "a CUDA library is missing"
    if kind in ("CompileException", "NVRTCError"):
        return "CUDA's compiler can't compile a first kernel"
    return "a first kernel can't run"


def version_text(number: int) -> str:
    """A version of CUDA as people write it."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _brief(error: Exception) -> str:
    """An error in one line: the first that says something, without its full stop."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line.strip("= -")] or [type(error).__name__]
    wrong = [line for line in said if "error" in line.lower()]  # of a compiler's many lines
    return (wrong or said)[0].rstrip(".")
