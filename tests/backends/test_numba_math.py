"""Functions for Numba kernels: right to 4 ulp over the whole range, and vector code."""

import functools
import importlib.util
import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

from minigrad.utils.install import install_line

numba = pytest.importorskip("numba", reason=f"no Numba; {install_line('numba')}")
numba_math = pytest.importorskip("minigrad.backends.numba_kernels.math_functions")

DEEP = os.environ.get("MINIGRAD_PROFILE") == "deep"
LONG = np.finfo(np.longdouble).nmant >= 63  # with as many bits, long double can judge float64


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh": np.tanh,
}
NAMES = sorted(REFERENCES)
inf, nan = np.inf, np.nan


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@functools.cache
def loop(name, fastmath=None):
    """A kernel that applies the function to each element."""
    function = getattr(numba_math, name)
    flags = numba_math.FLAGS if fastmath is None else {"fastmath": set(fastmath)}

    @numba.njit(**{**numba_math.FLAGS, **flags})
    def kernel(x, y):
        for j in range(x.size):
            y[j] = function(x[j])

    return kernel


def apply(name, x, **options):
    x = np.ascontiguousarray(x)
    loop(name, **options)(x, y := np.empty_like(x))
    return y


def bits(x):
    return x.view(np.uint32 if x.dtype == np.float32 else np.uint64)


def sweep(dtype, size, seed):
    """Floats of all kinds, as many in each binade: evenly and randomly spread bit patterns."""
    integer = np.uint32 if dtype == np.float32 else np.uint64
    span = 2 ** np.finfo(dtype).bits
    steps = np.arange(size // 2, dtype=integer) * integer(span // (size // 2)) + integer(seed)
    random = np.random.default_rng(seed).integers(0, span, size // 2, integer)
    return np.concatenate([steps, random]).view(dtype)


def delicate(dtype):
    """Around each place where one of the functions changes its way, and where most inputs lie."""
    info = np.finfo(dtype)
    tiny, huge = info.smallest_subnormal, info.max
    places = [0, 0.5, 1, 2, np.sqrt(0.5), np.sqrt(2), np.log(2) / 2, info.eps, info.eps / 4]
    places += [tiny, info.smallest_normal, 4 * info.smallest_normal, huge]
    longest = np.longdouble if LONG else np.float64
    places += [np.log(longest(huge)), np.log(longest(info.smallest_normal))]
    places += [np.log(longest(tiny)) + k * np.log(longest(0.5)) for k in (-1, 0, 1, 2)]
    places += [(info.nmant + k) * np.log(2) / 2 for k in range(6)]  # where tanh becomes 1
    near = np.arange(-200, 201)
    around = [bits(np.array([place], dtype)).astype(np.int64) + near for place in places]
    around = np.concatenate(around).clip(0).astype(bits(np.zeros(1, dtype)).dtype).view(dtype)
    normal = np.random.default_rng(1).normal(0, 3, 50_000)
    wide = np.linspace(1.2 * np.log(info.smallest_normal), 1.01 * np.log(huge), 50_000)
    return np.concatenate([around, -around, np.array(normal, dtype), np.array(wide, dtype)])


def errors(name, x, y):
    """Of y, in units of the last place of the true value; inf for a wrong kind of number."""
    longer = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        true = REFERENCES[name](x.astype(longer))
        rounded = true.astype(x.dtype)
        off = np.abs(y.astype(longer) - true) / np.spacing(np.abs(rounded))
    off[(y == rounded) & ~np.isfinite(y)] = 0  # an infinity
    off[np.isnan(y) & np.isnan(true)] = 0
    return np.where(np.isnan(off), inf, off)


def check(name, x):
    y = apply(name, x)
    off = errors(name, x, y)
    worst = off.argmax()
    assert off[worst] <= 4, f"{name}({x[worst]!r}) is off by {off[worst]} ulp: {y[worst]!r}"
    if name in ("tanh", "sigmoid"):
        assert not (np.abs(y) > 1).any()
    return off[worst]


@pytest.mark.parametrize("name", NAMES)
def test_at_most_4_ulp(name, dtype):
    if dtype == np.float64 and not LONG:
        pytest.skip("long double is no longer than float64 here: nothing to compare with")
    worst = check(name, delicate(dtype))
    assert worst > 0  # what is compared is no copy of the reference
    # Long double is computed without vectors, hence the smaller number.
    chunk = 2**20 if dtype == np.float32 else 2**17
    for seed in range(128 if DEEP else 1):
        check(name, sweep(dtype, chunk, seed))


@pytest.mark.parametrize("name", NAMES)
def test_nan_gives_nan(name, dtype):
    nans = np.array([nan] * 4, dtype)
    bits(nans)[1:3] += np.array([1, 12345], bits(nans).dtype)  # the payload counts for nothing,
    bits(nans)[3] ^= bits(np.array([-0.0], dtype))[0]  # nor does the sign
    assert np.isnan(nans).all()
    # Among numbers, so that they meet the vector code as well as the remainder of the loop.
    x = np.ones(1003, dtype)
    places = np.array([0, 5, 500, 1002])
    x[places] = nans
    y = apply(name, x)
    assert np.isnan(y[places]).all()
    assert np.isnan(y).sum() == 4


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", [-inf, inf, 0.0, -0.0, 1e4, -1e4], [0, inf, 1, 1, inf, 0]),
        ("expm1", [-inf, inf, 0.0, -0.0, 1e4, -1e4], [-1, inf, 0.0, -0.0, inf, -1]),
        ("log", [inf, 0.0, -0.0, 1, -1, -inf, -1e-40], [inf, -inf, -inf, 0.0, nan, nan, nan]),
        ("log1p", [inf, 0.0, -0.0, -1, -1.5, -inf], [inf, 0.0, -0.0, -inf, nan, nan]),
        ("tanh", [-inf, inf, 0.0, -0.0, 1e30, -1e30], [-1, 1, 0.0, -0.0, 1, -1]),
        ("sigmoid", [-inf, inf, 0.0, -0.0, 1e30, -1e30], [0.0, 1, 0.5, 0.5, 1, 0.0]),
        ("softplus", [-inf, inf, -1e30, 1e30], [0.0, inf, 0.0, 1e30]),
    ],
)
def test_special_values(name, x, y, dtype):
    got = apply(name, np.array(x, dtype))
    want = np.array(y, dtype)
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    assert (np.signbit(got) == np.signbit(want))[number].all()


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh"])
def test_like_the_identity_near_zero(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.concatenate([np.arange(-9, 10) * tiny, np.geomspace(1e-37, 1e-18, 100, dtype=dtype)])
    np.testing.assert_array_equal(apply(name, x), x)


def test_overflow_and_underflow(dtype):
    info = np.finfo(dtype)
    longest = np.longdouble if LONG else np.float64
    last = np.array([np.log(longest(info.max))], dtype)[0]
    last = last if longest(last) < np.log(longest(info.max)) else np.nextafter(last, dtype(0))
    x = np.array([last, np.nextafter(last, dtype(inf))])
    for name in ("exp", "expm1"):
        assert np.isfinite(apply(name, x)).tolist() == [True, False]
    half = np.log(longest(info.smallest_subnormal)) - np.log(longest(2))  # rounds to 0 below
    x = np.array([half * (1 - 1e-5), half * (1 + 1e-5)], dtype)
    for name in ("exp", "sigmoid", "softplus"):
        assert apply(name, x).tolist() == [info.smallest_subnormal, 0]


def test_tanh_is_odd(dtype):
    x = delicate(dtype)
    np.testing.assert_array_equal(apply("tanh", -x), -apply("tanh", x))


@pytest.mark.parametrize("name", NAMES)
def test_a_kernels_flags_do_not_reach_the_functions(name, dtype):
    x = delicate(dtype)
    y = apply(name, x, fastmath=("contract", "reassoc", "arcp", "nsz", "afn"))
    np.testing.assert_array_equal(bits(y), bits(apply(name, x, fastmath=())))
    np.testing.assert_array_equal(bits(y), bits(apply(name, x)))


def vector(dtype):
    return f"<[0-9]+ x {'float' if dtype == np.float32 else 'double'}>"


def compiled(kernel, *args):
    """LLVM's optimised text of the kernel (not of its wrappers), and the assembler of all."""
    kernel(*args)
    signature = kernel.signatures[-1]
    module = kernel.inspect_llvm(signature)
    llvm = re.search(r"^define [^\n]* @_ZN(?!7cpython)[^\n]*\n.*?^}", module, re.M | re.S)
    return llvm[0], kernel.inspect_asm(signature)


@pytest.mark.parametrize("name", NAMES)
def test_vector_code_without_calls(name, dtype):
    x = np.ones(100, dtype)
    llvm, assembler = compiled(loop.__wrapped__(name), x, x.copy())
    assert re.search(rf"fmul contract {vector(dtype)}", llvm)
    called = set(re.findall(r"\bcall\b[^@\n]*@([\w.]+)", llvm))
    outside = {function for function in called if not function.startswith(("llvm.", "NRT_"))}
    assert not outside
    if platform.machine() in ("x86_64", "AMD64"):
        packed = "ps" if dtype == np.float32 else "pd"
        assert re.search(rf"\bv?(mul|fn?m(add|sub)\d+){packed}\b", assembler)
        assert not re.search(rf"\b(call|jmp)q?\s+\$?(__)?{name}", assembler)


def test_flags_let_sums_be_vectorised(dtype):
    @numba.njit(**numba_math.FLAGS)
    def total(x):
        s = x[0]
        for j in range(1, x.size):
            s += x[j]
        return s

    x = np.arange(1000, dtype=dtype)
    llvm, _ = compiled(total, x)
    assert re.search(rf"fadd [a-z ]*{vector(dtype)}", llvm)
    assert total(x) == 499500
    x[700] = nan
    assert np.isnan(total(x))


def test_flags_keep_nan_and_infinity(dtype):
    @numba.njit(**numba_math.FLAGS)
    def kernel(a, b, y):
        for j in range(a.size):
            y[0, j] = (a[j] + b[j]) - a[j]
            y[1, j] = a[j] - a[j]
            y[2, j] = a[j] * dtype(0)
            y[3, j] = a[j] / b[j] / b[j]

    tiny = np.finfo(dtype).smallest_subnormal
    a = np.array([nan, inf, -inf, 0] * 50, dtype)
    b = np.array([1, 1, 1, tiny] * 50, dtype)
    kernel(a, b, y := np.empty((4, a.size), dtype))
    assert np.isnan(y[:3, a != 0]).all()
    assert (y[:2, a == 0] == [[tiny], [0]]).all()
    np.testing.assert_array_equal(y[3], np.where(a == 0, 0, a))


def test_other_types_are_refused():
    with pytest.raises(numba.core.errors.TypingError) as error:
        numba_math.tanh(1)
    assert "take float32 or float64, not int64: convert the argument" in str(error.value)


def test_kernels_that_call_them_are_cached(tmp_path):
    path = tmp_path / "kernel_file.py"
    path.write_text(
        "from numba import njit\n"
        "from minigrad.backends.numba_kernels.math_functions import FLAGS, sigmoid, tanh\n"
        "@njit(cache=True, **FLAGS)\n"
        "def kernel(x, y):\n"
        "    for j in range(x.size):\n"
        "        y[j] = sigmoid(x[j]) * tanh(x[j])\n"
    )
    results = []
    for _ in range(2):
        spec = importlib.util.spec_from_file_location("kernel_file", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        x = np.linspace(-2, 2, 101, dtype=np.float32)
        module.kernel(x, y := np.empty_like(x))
        stats = module.kernel.stats
        counts = sum(stats.cache_hits.values()), sum(stats.cache_misses.values())
        results.append((counts, y.tobytes()))
    (cold, first), (warm, second) = results
    assert (cold, warm) == ((0, 1), (1, 0))
    assert first == second
    np.testing.assert_allclose(y, sigmoid(x) * np.tanh(x), rtol=1e-6)


def test_importing_minigrad_does_not_import_numba():
    code = "import sys, minigrad, minigrad.backends; print('numba' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
