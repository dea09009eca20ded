"""Is a backend complete and right? Its protocol, name by name, against NumPy; then the engine.

python -c "from minigrad.testing import check_backend; print(check_backend('numpy'))"
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..engine.backend import OPTIONAL, PROTOCOL
from ..engine.registry import get_backend, use_backend
from ..nested import map_leaves
from .conformance_report import ConformanceError, ConformanceReport, Line
from .protocol_arrays import Index, Strided

__all__ = ["ConformanceError", "ConformanceReport", "check_backend"]

# Devices round transcendental functions a little differently.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


def check_backend(name: Any, raise_exception: bool = True) -> ConformanceReport:
    """Check every name of the backend protocol against NumPy, then the engine on this backend.

    Shapes of no and of several dimensions, empty ones, views, axes of all kinds, the dtypes of the
    results, repeated indices, hidden transfers, gradients of first and
    second order. Of what a backend may offer, its functions of matrices are checked.

    Parameters
    ----------
    name : what the backend is called, or a backend object.
    raise_exception : whether a failure raises; all of them are listed.

    Raises
    ------
    BackendError : the backend is unknown or can't start.
    ConformanceError : it does not conform.

    Examples
    --------
    >>> from minigrad.testing import check_backend
    >>> check_backend("numpy").ok
    True
    """
    backend = get_backend(name)
    kit = Kit(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for group in PROTOCOL.values():
            for method in group:
                kit.line(method, partial(kit.protocol, method))
        for method in kit.of_matrices:
            if getattr(backend, method, None) is not None:
                kit.line(method, partial(kit.matrices, method))
        checks = kit.operators, kit.hooks, kit.overflow, kit.no_transfer, kit.lstm_gradients
        for check in checks:
            kit.line((check.__doc__ or "").split(":")[0], check)
    report = ConformanceReport(getattr(backend, "name", str(name)), kit.lines)
    if raise_exception and not report.ok:
        raise ConformanceError(report)
    return report


class Kit:
    """The checks of one backend, and what they found."""

    def __init__(self, backend: Any) -> None:
        from .hook_cases import HOOK_EXAMPLES, HOOK_REFERENCE
        from .protocol_cases import EXAMPLES, REFERENCE

        self.examples, self.of_matrices = EXAMPLES, HOOK_EXAMPLES
        self.reference = {**REFERENCE, **HOOK_REFERENCE}
        self.backend = backend
        self.lines: list[Line] = []

    def line(self, name: str, check: Callable[[], Any]) -> None:
        """Run one check and note what it finds, whatever goes wrong."""
        self.current = Line(name, 0, [])
        self.lines.append(self.current)
        with self.attempt(""):
            check()
        self.current.calls = max(1, self.current.calls - 1)  # the check itself is no call

    @contextlib.contextmanager
    def attempt(self, what: Any) -> Iterator[None]:
        self.current.calls += 1
        try:
            yield
        except Exception as error:  # the plugin's own errors are what is looked for
            reason = f"{error}" if isinstance(error, _Wrong) else f"{type(error).__name__}: {error}"
            self.current.failures.append(f"{what} {reason}".strip())

    def protocol(self, name: str) -> None:
        if not hasattr(self.backend, name):
            raise _Wrong("is missing")
        own = getattr(self, f"check_{name}", None)
        if own is not None:
            own()
        for call in self.examples.get(name, ()):
            with self.attempt(call):
                self.compare(name, call.args, call.kwargs)

    def compare(self, name: str, args: Any, kwargs: Any) -> None:
        given = map_leaves(self.given, args)
        with self.backend.quiet():
            result = getattr(self.backend, name)(*given, **kwargs)
        with np.errstate(all="ignore"):
            expected = self.reference[name](*map_leaves(_plain, args), **kwargs)
        self.same(result, expected)
        for before, after in zip(args, given, strict=True):
            if isinstance(before, np.ndarray) and not np.array_equal(
                before, self.backend.to_host(after), equal_nan=before.dtype.kind == "f"
            ):
                raise _Wrong("its input was changed")

    def matrices(self, name: str) -> None:
        """A function of matrices that the backend offers, and what it has to refuse."""
        from .hook_cases import REFUSED

        for call in self.of_matrices[name]:
            with self.attempt(call):
                if name == "svd":
                    self.singular_values(call.args[0])
                else:
                    self.compare(name, call.args, call.kwargs)
        for call in REFUSED.get(name, ()):
            with self.attempt(call):
                try:
                    getattr(self.backend, name)(*map(self.given, call.args))
                except np.linalg.LinAlgError:
                    continue
                raise _Wrong("raises no LinAlgError")

    def singular_values(self, a: Any) -> None:
        """The bases and values, multiplied together, and the values alone."""
        u, s, v = self.backend.svd(self.given(a))
        self.same(s, np.linalg.svd(_plain(a), compute_uv=False))
        values = self.backend.reshape(s, (*s.shape[:-1], 1, s.shape[-1]))
        self.same(self.backend.matmul(u * values, v), _plain(a))

    def given(self, value: Any) -> Any:
        """An argument as the backend gets it."""
        backend = self.backend
        if isinstance(value, np.ndarray):
            return backend.from_host(value)
        if isinstance(value, Strided):
            wide = np.repeat(value.array, 2, axis=-1)
            return backend.getitem(backend.from_host(wide), (..., slice(None, None, 2)))
        if isinstance(value, Index):
            return self.index(value.value)
        return value

    def index(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.index(part) for part in value)
        return self.backend.index_array(value) if isinstance(value, np.ndarray) else value

    def same(self, result: Any, expected: Any) -> None:
        """Array type, shape, dtype and values are as NumPy has them."""
        if isinstance(expected, (list, tuple)):
            if not isinstance(result, (list, tuple)) or len(result) != len(expected):
                raise _Wrong(f"gives {type(result).__name__}, not {len(expected)} arrays")
            for part, right in zip(result, expected, strict=True):
                self.same(part, right)
            return
        expected = np.asarray(expected)
        if not isinstance(result, self.backend.array_type):  # a scalar of the backend's own
            result = self.backend.asarray(result)
        if not isinstance(result, self.backend.array_type):
            raise _Wrong(f"gives {type(result).__name__}, not {self.backend.array_type.__name__}")
        if tuple(result.shape) != expected.shape or result.ndim != expected.ndim:
            raise _Wrong(f"gives shape {tuple(result.shape)}, not {expected.shape}")
        if result.dtype != expected.dtype:
            raise _Wrong(f"gives {result.dtype}, not {expected.dtype}")
        host = self.backend.to_host(result)
        if type(host) is not np.ndarray or host.dtype != expected.dtype:
            raise _Wrong(f"to_host of the result gives {type(host).__name__}")
        tolerance = TOLERANCE.get(expected.dtype.name, 0)
        close = np.isclose(host, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            raise _Wrong(f"gives {host[at]!r}, not {expected[at]!r}, at {at}")

    # --- names that are no plain function ----------------------------------------------------

    def check_name(self) -> None:
        if not isinstance(self.backend.name, str) or not self.backend.name:
            raise _Wrong(f"is {self.backend.name!r}, not a name")

    def check_device(self) -> None:
        if not isinstance(self.backend.device, str):
            raise _Wrong(f"is {self.backend.device!r}, not a string")

    def check_array_type(self) -> None:
        if not isinstance(self.backend.array_type, type):
            raise _Wrong(f"is {self.backend.array_type!r}, not a type")

    def check_is_host(self) -> None:
        array = self.backend.from_host(np.ones(2))
        if self.backend.is_host:
            self.same(array, np.asarray(array))
            return
        try:
            np.asarray(array)
        except TypeError:
            return
        raise _Wrong("is False, but np.asarray moves an array to the host without being asked")

    def check_asarray(self) -> None:
        backend = self.backend
        for number, dtype in ((2, "int64"), (2.5, "float32"), (2.5, "float64"), (True, "bool")):
            with self.attempt(f"({number}, {dtype})"):
                self.same(backend.asarray(number, dtype=dtype), np.asarray(number, dtype))
        with self.attempt("of its own array"):
            self.same(backend.asarray(backend.from_host(np.ones(3))), np.ones(3))
        with self.attempt("of the result of a full reduction"):
            total = backend.sum(backend.from_host(np.ones(3, np.float32)))
            self.same(backend.asarray(total), np.asarray(3, np.float32))

    def check_from_host(self) -> None:
        for dtype in ("float32", "float64", "int64", "bool"):
            for shape in ((), (0, 3), (2, 3)):
                with self.attempt(f"{dtype}{list(shape)}"):
                    self.same(self.backend.from_host(np.ones(shape, dtype)), np.ones(shape, dtype))
        with self.attempt("of a transposed view"):
            matrix = np.arange(6.0).reshape(2, 3)
            self.same(self.backend.from_host(matrix.T), matrix.T)
        with self.attempt("copies"):
            host = np.ones(3)
            array = self.backend.from_host(host)
            host[:] = 2
            self.same(array, np.ones(3))

    def check_to_host(self) -> None:
        array = self.backend.from_host(np.ones((2, 3)))
        with self.attempt("copies"):
            self.backend.to_host(array)[...] = 2
            self.same(array, np.ones((2, 3)))

    def check_copy(self) -> None:
        array = self.backend.from_host(np.ones(3))
        other = self.backend.copy(array)
        other += 1
        self.same(array, np.ones(3))

    def check_contiguous(self) -> None:
        array = self.backend.contiguous(self.given(Strided(np.ones((2, 3)))))
        if hasattr(array, "flags") and not array.flags.c_contiguous:
            raise _Wrong("leaves elements apart")

    def check_empty(self) -> None:
        for shape in ((), (0, 3), (2, 3)):
            for dtype in ("float32", "float64", "int64", "bool"):
                with self.attempt(f"({shape}, {dtype})"):
                    array = self.backend.empty(shape, np.dtype(dtype))
                    self.same(array, self.backend.to_host(array).reshape(shape).astype(dtype))

    def check_synchronize(self) -> None:
        self.backend.synchronize()

    def check_quiet(self) -> None:
        with self.backend.quiet():
            big = self.backend.from_host(np.array([1e4]))
            self.same(self.backend.exp(big), np.array([np.inf]))
            self.same(self.backend.divide(big * 0, big * 0), np.array([np.nan]))

    def check_index_array(self) -> None:
        for index in (np.array([2, 0]), np.array([True, False])):
            with self.attempt(index.dtype):
                host = index.copy()
                array = self.backend.index_array(host)
                self.backend.index_array(array)  # its own are fine, too
                host[:] = host[0]
                if not np.array_equal(self.backend.to_host(array), index):
                    raise _Wrong("does not copy")

    # --- the arrays themselves, and the engine -----------------------------------------------

    def operators(self) -> None:
        """array operators: Python's arithmetic and comparisons on the arrays themselves"""
        a, b = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([2.0, 0.5], np.float32)
        x, y = self.backend.from_host(a), self.backend.from_host(b)
        for text in (
            *("x + y", "x - y", "x * y", "x / y", "x ** y", "x @ y", "-x", "x == y", "x != y"),
            *("x < y", "x <= y", "x > y", "x >= y", "2 * x", "x * 0.5", "1 - x", "1 / x"),
            *("2 ** x", "x ** 2", "x + 1", "x == 0", "x > 0"),
        ):
            with self.attempt(text):
                self.same(eval(text, {"x": x, "y": y}), eval(text, {"x": a, "y": b}))
        with self.attempt("x += y"):
            x += y
            self.same(x, a + b)

    def hooks(self) -> None:
        """optional hooks: no public name that looks like a misspelt one"""
        public = [name for name in dir(self.backend) if not name.startswith("_")]
        missing = [name for name in OPTIONAL if not getattr(self.backend, name, None)]
        known = {*OPTIONAL, *itertools.chain(*PROTOCOL.values())}
        for name in public:
            meant = difflib.get_close_matches(name, missing, n=1, cutoff=0.85)
            if name not in known and meant:
                raise _Wrong(f"{name!r} is no hook; {meant[0]!r} is")

    def overflow(self) -> None:
        """overflow: a backward pass that overflows gives inf and no warning"""
        import minigrad as mg

        x = mg.tensor([90.0], dtype="float32", requires_grad=True, backend=self.backend)
        with self.backend.quiet():
            y = mg.exp(x)
        self.same(mg.grad(y, x, grad_outputs=([1e30],))._data, np.array([np.inf], np.float32))

    def no_transfer(self) -> None:
        """no hidden transfers: forward and backward never move an array to the host"""
        import minigrad as mg

        tensors = _lstm_inputs(self.backend, np.float32)
        moved: list[str] = []
        with _counted(self.backend, "to_host", moved), _counted(self.backend, "from_host", moved):
            mg.grad(_lstm_loss(*tensors), tensors)
        if moved:
            raise _Wrong(f"{' and '.join(sorted(set(moved)))} were called {len(moved)} times")

    def lstm_gradients(self) -> None:
        """LSTM step: gradients of first and second order against finite differences"""
        from .. import gradcheck

        with use_backend(self.backend):
            tensors = _lstm_inputs(self.backend, np.float64)
            report = gradcheck(_lstm_loss, tensors, order=2, raise_exception=False)
            if not report:
                raise _Wrong(f"{report}")


class _Wrong(Exception):
    """One finding, in words."""


def _plain(value: Any) -> Any:
    """`value` as NumPy gets it."""
    if isinstance(value, Strided):
        return value.array
    if isinstance(value, Index):
        return value.value
    return value


@contextlib.contextmanager
def _counted(backend: Any, name: str, log: list[str]) -> Iterator[None]:
    """While this lasts, calls of a backend's method are noted in `log`."""
    original = getattr(backend, name)

    def noted(*args: Any) -> Any:
        log.append(name)
        return original(*args)

    setattr(backend, name, noted)
    try:
        yield
    finally:
        setattr(backend, name, original)


def _lstm_inputs(backend: Any, dtype: Any) -> list[Any]:
    """x (N, I), h and c (N, H), weights (I, 4H) and (H, 4H), bias (4H,): N, I, H = 2, 3, 2."""
    import minigrad as mg

    rng = np.random.default_rng(0)
    shapes = ((2, 3), (2, 2), (2, 2), (3, 8), (2, 8), (8,))
    return [
        mg.tensor(rng.standard_normal(s), requires_grad=True, dtype=dtype, backend=backend)
        for s in shapes
    ]


def _lstm_loss(x: Any, h: Any, c: Any, w_x: Any, w_h: Any, b: Any) -> Any:
    """A number that depends on all parts of one LSTM step."""
    import minigrad as mg

    i, f, g, o = mg.split(x @ w_x + h @ w_h + b, 4, axis=1)
    c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
    h = mg.sigmoid(o) * mg.tanh(c)
    return (mg.concatenate([h, c], axis=1)[:, [0, 2, 3, 0]] ** 3).mean() + h.sum()
