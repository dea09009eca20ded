"""The CuPy backend: NumPy's functions on a GPU, and the few things that are different there.

Work is queued on CuPy's current stream, which is the user's to choose, and nothing here waits for
it but `to_host` and `synchronize`.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from minigrad.compiler.schedule import Loop
from minigrad.engine.backend import PROTOCOL, ArrayModuleBackend
from minigrad.engine.graph import on_call
from minigrad.engine.lending import Link
from minigrad.errors import BackendError
from minigrad.utils.summation import HALF, SINGLE

from .cupy_kernels.codegen import Writer
from .cupy_kernels.diagnosis import CupyUnavailable, builds, start, version_text
from .cupy_kernels.loop import CupyLoop, Kernels
from .cupy_kernels.row_sums import RowSums
from .cupy_kernels.whole_division import WholeDivision


class CupyBackend(ArrayModuleBackend):
    """CuPy arrays on a CUDA device.

    Parameters
    ----------
    cupy : the module.
    index : the number of the device; CuPy's current device, whichever that is, if None.
    """

    priority = 2

    def __init__(self, cupy: Any, index: int | None = None) -> None:
        kind = "rocm" if cupy.cuda.runtime.is_hip else "cuda"
        suffix = "" if index is None else f":{index}"
        super().__init__(cupy, name=f"cupy{suffix}", device=f"{kind}{suffix}")
        self.index = index
        # By their text, as long as a plan needs them.
        self.kernels: WeakValueDictionary[str, Kernels] = WeakValueDictionary()
        self._alone: Any = None  # the references to an array that nothing else refers to
        self.launched = Counter[str]()  # by loops: their "kernels" and "products"
        from cupyx.scipy.special import erf, expit

        self._erf, self._expit = erf, expit
        # Each number's bits times an odd number of its place: what moves or changes is noticed.
        self._mixed = cupy.ElementwiseKernel(
            "T bits",
            "uint64 mixed",
            "mixed = (bits + 1ull) * (2ull * i + 1ull) * 0x9E3779B97F4A7C15ull",
            "minigrad_fingerprint",
        )
        # Whether some position is neither from start to below stop nor the one that is allowed.
        self._outside = cupy.ReductionKernel(
            "T position, int64 start, int64 stop, int64 allowed",
            "bool wrong",
            "((long long)position < start || (long long)position >= stop)"
            " && (long long)position != allowed",
            "a || b",
            "wrong = a",
            "false",
            "minigrad_outside",
        )
        division = WholeDivision(cupy)
        self.mod, self.floor_divide = division.mod, division.floor_divide
        self.sum_rows = self._scoped(RowSums(cupy, self._compile))
        for name in ("solve", "cholesky", "slogdet", "svd"):
            setattr(self, name, self._scoped(self._checked(getattr(self, name))))
        for group, names in PROTOCOL.items():
            for name in names:
                if group != "identity" and name != "quiet":
                    setattr(self, name, self._scoped(getattr(self, name)))
        if index is not None:
            on_call.add(self._check_device)

    # --- in and out ------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        if isinstance(value, self.array_type):
            self._check_device(None, None, (), value, self)
        return self.xp.asarray(value, dtype=dtype)

    def to_host(self, array: Any) -> np.ndarray:
        return self.xp.asnumpy(array)

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def _matmul(self, a: Any, b: Any) -> Any:
        # CuPy's table of addresses, one per matrix of a batch, has no negative steps.
        return super()._matmul(self._forwards(a), self._forwards(b))

    def _forwards(self, x: Any) -> Any:
        return x.copy() if min(x.strides[:-2], default=0) < 0 else x

    def argsort(self, x: Any, axis: int) -> Any:
        if x.dtype.kind == "f":  # a GPU sorts vectors by their bits, and NaN with a sign first
            x = self.xp.where(x == x, x, x.dtype.type(np.nan))
        return super().argsort(x, axis)

    def fingerprint(self, array: Any) -> Any:
        """A checksum of an array's bytes, computed and kept on the device."""
        with array.device:  # which CuPy's user may have left meanwhile
            return self._mixed(array.view(f"u{array.itemsize}")).sum()

    def lend(self, array: Any) -> tuple[Any, Link]:
        """Another array over the same memory, and what lives as long as a view of it."""
        link, memory = Link(array), array.data.mem
        cuda = self.xp.cuda
        unowned = cuda.UnownedMemory(memory.ptr, memory.size, link, memory.device_id)
        start = cuda.MemoryPointer(unowned, array.data.ptr - memory.ptr)
        return self.xp.ndarray(array.shape, array.dtype, start, array.strides), link

    def held(self, link: Link) -> bool:
        """Whether anything but the link refers to its array or to the memory of that."""
        if self._alone is None:
            self._alone = _references(Link(self.xp.empty(1)))
        return _references(link) != self._alone

    def outside(self, positions: Any, start: int, stop: int, allowed: int | None) -> Any:
        """Whether some are neither from `start` to below `stop` nor `allowed`; stays there."""
        with self._current():
            return self._outside(positions, start, stop, start if allowed is None else allowed)

    def sigmoid(self, x: Any) -> Any:
        if x.dtype == HALF:  # of which CuPy's makes float64
            return self._expit(x.astype(SINGLE)).astype(HALF)
        return self._expit(x)  # one kernel; and its overflows give no warning

    @staticmethod
    def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
        """A method in which cuSOLVER's errors raise; CuPy waits for the GPU to know of them."""

        def call(*arrays: Any) -> Any:
            from cupyx import errstate

            with errstate(linalg="raise"):
                return method(*arrays)

        return call

    def erf(self, x: Any) -> Any:
        if x.dtype == HALF:
            return self._erf(x.astype(SINGLE)).astype(HALF)
        return self._erf(x if x.dtype.kind == "f" else x.astype("float64"))

    # --- scans -----------------------------------------------------------------------------

    def compile_loop(self, loop: Loop, dtype: str) -> Callable[..., None]:
        """What runs a loop: per step its products and generated kernels; see `cupy_loop`."""
        writer = Writer(loop)
        return self._scoped(CupyLoop(loop, writer, self._compile(writer.text), self))

    def _compile(self, text: str) -> Kernels:
        """The kernels of a text."""
        kernels = self.kernels.get(text)
        if kernels is None:
            self.kernels[text] = kernels = Kernels(text, self.xp)
        return kernels

    # --- the device ------------------------------------------------------------------------

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """CuPy warns of no overflow; what happens in this context happens on this device."""
        try:
            with self._current():
                yield
        except MemoryError as error:
            self._note_memory(error)
            raise

    active = quiet

    def _current(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which this backend's device is CuPy's current one."""
        return contextlib.nullcontext() if self.index is None else self.xp.cuda.Device(self.index)

    def _scoped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method as if it were called within `quiet`, at less cost."""

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except MemoryError as error:
                self._note_memory(error)
                raise

        def call_there(*args: Any, **kwargs: Any) -> Any:
            with self._current():
                return call(*args, **kwargs)

        return call if self.index is None else call_there

    def _check_device(
        self, op: Any, node: Any, inputs: Any, output: Any, backend: Any, settings: Any = ()
    ) -> None:
        """Raise if the arrays of an op call, or an array from elsewhere, are on another GPU."""
        if backend is not self or self.index is None:
            return
        for part in output if isinstance(output, (list, tuple)) else (output,):
            if part.device.id != self.index:
                raise BackendError(
                    f"{op.name if op else 'asarray'}: arrays of {self.name!r} are on GPU "
                    f"{self.index}, and this one is on GPU {part.device.id}. CuPy calculates on "
                    f"its current device: choose it by `with mg.use_backend({self.name!r}):`, or "
                    f"copy the array by mg.tensor(array, backend={self.name!r})"
                )

    def about(self) -> dict[str, str]:
        """The GPU, its compute capability, the driver, CUDA, CuPy and its package; in words."""
        xp, runtime = self.xp, self.xp.cuda.runtime
        version = str if runtime.is_hip else version_text
        device = xp.cuda.Device(self.index)
        properties = runtime.getDeviceProperties(device.id)
        return {
            "GPU": properties["name"].decode(),
            "compute capability": ".".join(str(properties[part]) for part in ("major", "minor")),
            "memory": _size(properties["totalGlobalMem"]),
            "multiprocessors": str(properties["multiProcessorCount"]),
            "platform": "ROCm" if runtime.is_hip else "CUDA",
            "driver": f"for {version(runtime.driverGetVersion())}",
            "runtime": version(runtime.runtimeGetVersion()),
            "CuPy": f"{xp.__version__} ({', '.join(builds())})",
        }

    # --- memory ----------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """The GPU's name; in bytes, what it has and what is free; what CuPy's pool holds and uses.

        The pool keeps what arrays gave back, to hand it out again; `pool_held` counts that, too.
        """
        runtime, pool = self.xp.cuda.runtime, self.xp.get_default_memory_pool()
        with self.xp.cuda.Device(self.index) as device:
            free, total = runtime.memGetInfo()
            return {
                "gpu": runtime.getDeviceProperties(device.id)["name"].decode(),
                "free": free,
                "total": total,
                "pool_used": pool.used_bytes(),
                "pool_held": pool.total_bytes(),
            }

    def doctor_lines(self) -> list[str]:
        """The GPU and its memory, for `minigrad doctor`."""
        m = self.memory()
        return [
            f"{m['gpu']}: {_size(m['free'], '')} of {_size(m['total'])} free; the memory pool "
            f"holds {_size(m['pool_held'])}, {_size(m['pool_used'], '')} of them in use"
        ]

    def _note_memory(self, error: MemoryError) -> None:
        """Add a note to an error for lack of memory: what there is. Once."""
        if any(note.startswith(_MEMORY) for note in getattr(error, "__notes__", ())):
            return
        m = self.memory()
        unused = m["pool_held"] - m["pool_used"]
        error.add_note(
            f"{_MEMORY} {m['gpu']} has {_size(m['total'])}, of which {_size(m['free'])} are free; "
            f"arrays of this process take {_size(m['pool_used'])}, and CuPy's pool keeps "
            f"{_size(unused)} for new ones. Smaller batches and shorter sequences need less, "
            "mg.checkpoint trades memory for time, and nvidia-smi shows what other programs hold."
        )


_MEMORY = "GPU memory:"


def _size(count: int, unit: str = " GiB") -> str:
    return f"{count / 2**30:.2f}{unit}"


def load(device: str | None = None) -> CupyBackend:
    """The entry point's target: `cupy` for CuPy's current device, `cupy:1` for a given one."""
    if device is not None and not device.isdecimal():
        raise CupyUnavailable(f"a GPU has a number, counted from 0; got {device!r}", "take cupy:0")
    index = None if device is None else int(device)
    return CupyBackend(start(index), index)


def _references(link: Link) -> tuple[int, ...]:
    """The references to a link's array, to its place in memory, and to the memory."""
    count = sys.getrefcount
    return count(link.array), count(link.array.data), count(link.array.data.mem)
