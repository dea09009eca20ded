"""The stand-ins themselves: that CuPy works on them, and that they notice what a GPU would not.

Plain CuPy, no minigrad: what fails here is the stand-in's fault.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from .counters import ABSENT, PRESENT, counted

if not PRESENT:
    pytest.skip(ABSENT, allow_module_level=True)

import cupy as cp

pytestmark = pytest.mark.cupy

RNG = np.random.default_rng(0)
POOLED = "red-zones" not in os.environ.get("CUPY_ON_CPU_CHECKS", "")


def close(found, right, rtol=1e-5):
    assert isinstance(found, cp.ndarray)
    np.testing.assert_allclose(cp.asnumpy(found), right, rtol=rtol, atol=rtol)


def array(*shape, dtype="float32"):
    """The same numbers for NumPy and for CuPy."""
    a = RNG.normal(size=shape).astype(dtype)
    return a, cp.asarray(a)


def python(code, checks=""):
    """A new Python with other checks; what it did."""
    command = ["env", f"CUPY_ON_CPU_CHECKS={checks}", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True)


# --- CuPy's own kernels ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "tanh", "log1p", "sqrt", "abs", "sign", "isnan"])
def test_elementwise(name):
    a, x = array(4, 5)
    close(getattr(cp, name)(abs(x)), getattr(np, name)(abs(a)))


def test_views_and_broadcasting():
    a, x = array(4, 5)
    close(x[1:, ::2] * x[:3, :1], a[1:, ::2] * a[:3, :1])
    close(x[::-1].T + 1, a[::-1].T + 1)
    close(cp.concatenate([x, x[:, None, :].sum(axis=1)]), np.concatenate([a, a]))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_reductions(axis, dtype):
    a, x = array(70, 90, dtype=dtype)
    rtol = 1e-2 if dtype == "float16" else 1e-4
    for name in ("sum", "max", "argmin", "mean"):
        close(getattr(cp, name)(x, axis=axis), getattr(np, name)(a, axis=axis), rtol)
    close(cp.cumsum(x[0]), np.cumsum(a[0]), rtol)


def test_indexing():
    a, x = array(6, 5)
    rows = np.array([0, 2, 2, 5])
    close(x[cp.asarray(rows)], a[rows])
    close(x[x > 0], a[a > 0])
    right = np.zeros_like(a)
    np.add.at(right, rows, a[:4])
    found = cp.zeros_like(x)
    cp.add.at(found, cp.asarray(rows), x[:4])
    close(found, right)


def test_not_a_number_stays_one():
    x = cp.asarray([np.nan, np.inf, -0.0, 1])
    close(cp.maximum(x, 0), [np.nan, np.inf, 0, 1])
    assert cp.isnan(x - x).tolist() == [True, True, False, False]
    assert cp.signbit(x).tolist() == [False, False, True, False]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_argsort(dtype):
    a = RNG.integers(0, 5, (7, 6)).astype(dtype)
    x = cp.asarray(a)
    for axis in (0, 1, -1):
        close(cp.argsort(x, axis=axis), np.argsort(a, axis=axis, kind="stable"))
    close(cp.argsort(x[::-1, 2], kind="stable"), np.argsort(a[::-1, 2], kind="stable"))
    close(x, a)  # a copy of it was sorted
    assert cp.argsort(x[:, :0]).shape == (7, 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_argsort_of_a_vector_goes_by_the_bits(dtype):
    x = cp.asarray(np.array([1, np.nan, 0.0, -0.0, -np.nan, -np.inf, -2, np.inf], dtype))
    assert cp.argsort(x).tolist() == [4, 5, 6, 2, 3, 0, 7, 1]


# --- products ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 4, 5), (1, 300, 7), (300, 2, 5), (257, 33, 258)])
def test_products(sizes, dtype):
    m, k, n = sizes
    rtol = 1e-4 if dtype == "float32" else 1e-10
    a, x = array(m, k, dtype=dtype)
    b, y = array(k, n, dtype=dtype)
    close(x @ y, a @ b, rtol)
    close(y.T @ x.T, b.T @ a.T, rtol)
    close(x.T.copy().T @ y.T.copy().T, a @ b, rtol)
    close(x @ y[:, 0], a @ b[:, 0], rtol)
    close(cp.outer(x[:, 0], y[0]), np.outer(a[:, 0], b[0]), rtol)
    out = cp.empty((m, n), dtype)  # full of NaN, which a product must not read
    close(cp.matmul(x, y, out=out), a @ b, rtol)


def test_batches_of_products():
    a, x = array(3, 4, 5)
    b, y = array(3, 5, 2)
    close(x @ y, a @ b)
    close(x @ y[0], a @ b[0])
    close(cp.einsum("bij,bjk->bik", x, y), a @ b)


# --- kernels of a user's ----------------------------------------------------------------------


def test_raw_kernel_of_many_blocks():
    kernel = cp.RawKernel(
        r"""extern "C" __global__ void axpy(const float* x, float* y, float a, int n) {
            for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
                y[i] += a * x[i];
        }""",
        "axpy",
    )
    a, x = array(1000)
    y = cp.ones_like(x)
    kernel((3,), (64,), (x, y, np.float32(2), np.int32(x.size)))
    close(y, 1 + 2 * a)


SUM = r"""extern "C" __global__ void block_sum(const float* x, float* y, int n) {
    %s
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? x[i] : 0.f;
    %s
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = part[0];
}"""
STATIC, DYNAMIC = "__shared__ float part[128];", "extern __shared__ float part[];"


@pytest.mark.parametrize("declared", [STATIC, DYNAMIC])
def test_shared_memory_and_barriers(declared):
    kernel = cp.RawKernel(SUM % (declared, "__syncthreads();"), "block_sum")
    a, x = array(5 * 128 - 3)
    y = cp.empty(5, "float32")
    kernel((5,), (128,), (x, y, np.int32(x.size)), shared_mem=512 * (declared == DYNAMIC))
    padded = np.append(a, np.zeros(3, "float32"))
    close(y, padded.reshape(5, 128).sum(axis=1), 1e-4)


def test_shuffles_within_warps():
    kernel = cp.RawKernel(
        r"""extern "C" __global__ void warp_sum(const float* x, float* y) {
            float v = x[threadIdx.x];
            for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffff, v, d);
            float w = __shfl_sync(0xffffffff, v, 0);
            w += 0 * __shfl_xor_sync(0xffffffff, w, 1) + 0 * __shfl_up_sync(0xffffffff, w, 1);
            y[threadIdx.x] = w;
        }""",
        "warp_sum",
    )
    a, x = array(64)
    y = cp.empty_like(x)
    kernel((1,), (64,), (x, y))
    close(y, np.repeat(a.reshape(2, 32).sum(axis=1), 32), 1e-4)


def test_templates_with_shared_memory():
    module = cp.RawModule(
        code=r"""template <typename T> __global__ void reversed(T* x) {
            __shared__ T copy[64];
            copy[threadIdx.x] = x[threadIdx.x];
            __syncthreads();
            x[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
        }""",
        name_expressions=["reversed<float>", "reversed<double>"],
    )
    for dtype, name in (("float32", "reversed<float>"), ("float64", "reversed<double>")):
        a, x = array(64, dtype=dtype)
        module.get_function(name)((1,), (64,), (x,))
        close(x, a[::-1])


def test_kernels_of_one_name_are_told_apart():
    text = 'extern "C" __global__ void f(%s) { x[0] = %s; }'
    one = cp.RawKernel(text % ("float* x", "1"), "f")
    two = cp.RawKernel(text % ("int unused, double* x", "2"), "f")
    x, y = cp.zeros(1, "float32"), cp.zeros(1, "float64")
    one((1,), (1,), (x,))
    two((1,), (1,), (np.int32(0), y))
    assert (x[0], y[0]) == (1, 2)


def test_a_kernel_that_does_not_compile():
    with pytest.raises(cp.cuda.compiler.CompileException, match="nosuch"):
        cp.ElementwiseKernel("T x", "T y", "y = nosuch(x)", "wrong")(cp.ones(3))


# --- what goes wrong on a GPU --------------------------------------------------------------------


def test_new_memory_is_not_a_number():
    assert np.isnan(cp.asnumpy(cp.empty(1000, "float32"))).all()
    assert np.isnan(cp.asnumpy(cp.empty(7, "float64"))).all()
    assert np.isnan(cp.asnumpy(cp.empty(7, "float16"))).all()
    x = cp.ones(1000)
    address = x.data.ptr
    del x
    again = cp.empty(1000)
    assert np.isnan(cp.asnumpy(again)).all()
    assert again.data.ptr == address or not POOLED


def test_shared_memory_is_not_a_number_either():
    text = r"""extern "C" __global__ void read(float* y) {
        %s
        y[blockIdx.x] = part[0];
        part[0] = 1;
    }"""
    for declared in (STATIC, DYNAMIC):
        y = cp.zeros(3, "float32")
        cp.RawKernel(text % declared, "read")((3,), (1,), (y,), shared_mem=512)
        assert np.isnan(cp.asnumpy(y)).all()


def test_a_missing_barrier_shows_in_one_of_the_orders():
    code = f"""
import cupy as cp, numpy as np
kernel = cp.RawKernel({SUM % (STATIC, "")!r}, "block_sum")
x, y = cp.ones(128, "float32"), cp.empty(1, "float32")
kernel((1,), (128,), (x, y, np.int32(128)))
print(float(y[0]))
"""
    found = {python(code, checks).stdout.strip() for checks in ("", "reversed")}
    assert found != {"128.0"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x % 2) __syncthreads();\nelse __syncthreads();", "different __syncthreads"),
        ("if (threadIdx.x < 3) __syncwarp();\nelse __syncthreads();", "others for their warp"),
        ("if (threadIdx.x < 3) __syncwarp();\nelse __syncwarp();", "different barriers"),
    ],
)
def test_barriers_that_never_meet(body, message):
    code = f"""
import cupy as cp
text = 'extern "C" __global__ void f() {{ %s }}' % {body!r}
cp.RawKernel(text, "f")((1,), (64,), ())
cp.cuda.Device().synchronize()
"""
    assert message in python(code).stderr


OUTSIDE = r"""
import cupy as cp, numpy as np
cp.cuda.set_allocator(None)
text = 'extern "C" __global__ void f(float* x, int i) { x[i] = 1; }'
x = cp.zeros(5, "float32")
cp.RawKernel(text, "f")((1,), (1,), (x, np.int32(%d)))
cp.cuda.Device().synchronize()
print("not seen")
"""


@pytest.mark.parametrize("index", [-1, 5, 100])
def test_writes_outside_of_a_buffer(index):
    seen = python(OUTSIDE % index, "red-zones")
    assert "a write outside of a device buffer of 20 bytes" in seen.stderr
    assert "not seen" not in seen.stdout
    # Without the check it is seen when the buffer is freed.
    seen = python(OUTSIDE % index)
    assert seen.returncode and "a write outside of a device buffer of 20 bytes" in seen.stderr
    assert "not seen" in python(OUTSIDE % 4, "red-zones").stdout


@pytest.mark.parametrize(
    ("grid", "block", "shared"), [((1,), (1025,), 0), ((1, 70000), (1,), 0), ((1,), (1,), 50000)]
)
def test_launches_that_no_gpu_takes(grid, block, shared):
    kernel = cp.RawKernel('extern "C" __global__ void f() {}', "f")
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="hipErrorInvalidValue: f: "):
        kernel(grid, block, (), shared_mem=shared)


def test_more_memory_than_there_is():
    direct = cp.cuda.runtime.CUDARuntimeError  # without CuPy's pool
    with pytest.raises(cp.cuda.memory.OutOfMemoryError if POOLED else direct):
        cp.empty(1 << 40)


def test_precompiled_kernels_fail_loudly():
    with pytest.raises(RuntimeError, match="hipErrorNotSupported"):
        cp.sort(cp.arange(5.0))
    close(cp.arange(3.0) + 1, [1, 2, 3])  # and do not spoil what comes after


def test_unknown_checks_are_refused():
    assert '"red" is none of red-zones' in python("import cupy; cupy.ones(3)", "red").stderr


# --- counters ------------------------------------------------------------------------------------


def test_counts():
    x = cp.ones((4, 4), "float32")
    x + x, x @ x  # compiled
    with counted() as counts:
        y = x + x
        y = x @ y
    assert (counts.launches, counts.products, counts.syncs) == (1, 1, 0)
    assert counts.kernels == {"cupy_add__float32_float32_float32": 1}
    with counted() as counts:
        float(y[0, 0])
    assert (counts.launches, counts.d2h, counts.syncs) == (0, 1, 1)
    host = np.ones(3, "float32")
    with counted() as counts:
        cp.asarray(host)
    assert (counts.h2d, counts.d2h, counts.launches) == (1, 0, 0)
    with counted() as counts:
        cp.zeros(3), x.copy()
    assert (counts.fills, counts.launches + counts.d2d) == (1, 1)
    with counted() as counts:
        cp.cuda.get_current_stream().synchronize()
        cp.cuda.Event().synchronize()
    assert counts.syncs == 2


# --- streams, events, graphs, devices -----------------------------------------------------------


def test_streams_and_events():
    stream, start, stop = cp.cuda.Stream(non_blocking=True), cp.cuda.Event(), cp.cuda.Event()
    with stream:
        start.record()
        x = cp.arange(5.0) * 2
        stop.record()
    stop.synchronize()
    assert stream.done and stop.done
    assert cp.cuda.get_elapsed_time(start, stop) >= 0
    close(x, [0, 2, 4, 6, 8])


def test_graphs():
    stream = cp.cuda.Stream(non_blocking=True)
    x, y = cp.ones((2, 2), "float32"), cp.zeros((2, 2), "float32")
    error = cp.cuda.runtime.CUDARuntimeError
    with stream:
        x @ x, cp.add(x, y, out=y)  # compiled
        y[...] = 0
        stream.begin_capture()
        cp.add(x, y, out=y)
        cp.multiply(y, 3, out=y)
        with pytest.raises(error, match="while the stream is being captured"):
            stream.synchronize()
        with pytest.raises(cp.cuda.cublas.CUBLASError, match="NOT_SUPPORTED"):
            x @ x
        graph = stream.end_capture()
        assert cp.asnumpy(y).tolist() == [[0, 0], [0, 0]]
        with counted() as counts:
            graph.launch()
            x += 1
            graph.launch()
        close(y, [[15, 15], [15, 15]])
    assert (counts.graphs, counts.launches, counts.products) == (2, 1, 0)


def test_deferred_work_is_done_when_the_host_waits():
    code = """
import ctypes, cupy as cp
x = cp.zeros(3, "float32")
cp.cuda.Device().synchronize()
x += 1
print(ctypes.c_float.from_address(x.data.ptr).value)
cp.cuda.Device().synchronize()
print(ctypes.c_float.from_address(x.data.ptr).value)
"""
    assert python(code).stdout.split() == ["1.0", "1.0"]
    assert python(code, "deferred").stdout.split() == ["0.0", "1.0"]


def test_two_devices():
    with cp.cuda.Device(1):
        x = cp.ones(3)
        assert (x + x).device.id == 1
    with pytest.raises(ValueError, match="device"):
        x + cp.ones(3)
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="there is no device 2, only 0 to 1"):
        cp.cuda.Device(2).use()


def test_memory_is_reported():
    pool = cp.get_default_memory_pool()
    free, total = cp.cuda.runtime.memGetInfo()
    x = cp.ones(10**6)
    assert pool.used_bytes() >= x.nbytes or not POOLED
    assert cp.cuda.runtime.memGetInfo()[0] <= free <= total
