"""What is checked of every case of the op table; each check raises AssertionError with the reason.

`forward` against NumPy, `derivatives` by finite differences, `hygiene` of what a call leaves
behind, and `agreement` of two backends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.creation import tensor
from ..engine.gradients import grad
from ..engine.registry import get_backend, use_backend
from ..engine.tensor import Tensor
from ..gradchecker.gradcheck import Report, gradcheck
from ..nested import parts_of
from .cases import Case

__all__ = ["agreement", "derivatives", "forward", "gradients", "hygiene", "is_zero", "slopes"]

CLOSE = {"float32": (2e-4, 2e-5), "float64": (1e-9, 1e-11)}  # relative, absolute


def _tensors(arrays: list[np.ndarray], dtype: str, strided: bool = False) -> list[Tensor]:
    """Leaves on the current backend; floats get the dtype and require a gradient."""
    made = []
    for array in arrays:
        array = array.astype(dtype) if array.dtype.kind == "f" else array
        if strided and array.ndim:
            x = tensor(np.repeat(array, 2, axis=-1))[..., ::2].detach()
        else:
            x = tensor(array)
        x.requires_grad = x.dtype.kind == "f"
        made.append(x)
    return made


def forward(case: Case, backend: Any = "numpy", dtype: str = "float64") -> None:
    """Outputs as the NumPy reference has them: number, shapes, dtypes, values."""
    arrays = case.draw()
    with use_backend(backend):
        outputs = parts_of(case(*_tensors(arrays, dtype)))
    expected = parts_of(case.reference(*arrays, **case.settings))
    assert len(outputs) == len(expected), f"{len(outputs)} outputs, not {len(expected)}"
    for y, right in zip(outputs, map(np.asarray, expected), strict=True):
        assert isinstance(y, Tensor), f"gives {type(y).__name__}, not a tensor"
        assert y.shape == right.shape, f"shape {y.shape}, not {right.shape}"
        float_of = case.settings.get("dtype", dtype)
        wanted = np.dtype(float_of) if right.dtype.kind == "f" else right.dtype
        assert y.dtype == wanted, f"dtype {y.dtype}, not {wanted}"
        _assert_close(y.numpy(), right, dtype)


def _assert_close(found: np.ndarray, right: np.ndarray, dtype: str, what: str = "value") -> None:
    relative, absolute = CLOSE[dtype]
    np.testing.assert_allclose(
        found, right, rtol=relative, atol=absolute, equal_nan=True, err_msg=what
    )


def derivatives(case: Case, backend: Any = "numpy", order: int = 2) -> None:
    """First and second derivatives against finite differences; zero ones must be exactly that."""
    arrays = case.draw()
    if case.slope == "none":
        return
    report = slopes(case, backend, order)
    if case.is_flat or report is None:
        for g in gradients(case, arrays, backend, order=1):
            assert g is not None and not g.any(), f"the gradient is {g}, not zero"
    if report is not None:
        assert is_zero(report) if case.is_flat else report, str(report)


def slopes(case: Case, backend: Any = "numpy", order: int = 2, seed: int = 0) -> Report | None:
    """The gradient check of a case; None if its inputs or outputs are empty or have no slope."""
    arrays = case.draw()
    outputs = () if case.slope == "none" else parts_of(case.reference(*arrays, **case.settings))
    if not (any(array.size for array in arrays) and any(np.size(y) for y in outputs)):
        return None
    order = 1 if case.slope in ("first", "flat") else order
    with use_backend(backend):
        tensors = _tensors(arrays, "float64")
        return gradcheck(case, tensors, order=order, seed=seed, raise_exception=False)


def is_zero(report: Report) -> bool:
    """Whether a gradient was found to be zero everywhere, which proves nothing."""
    return report.verdict == "INCONCLUSIVE" and "zero everywhere" in str(report)


def gradients(
    case: Case,
    arrays: list[np.ndarray],
    backend: Any = "numpy",
    dtype: str = "float64",
    order: int = 2,
    strided: bool = False,
    between: list[np.ndarray] | None = None,
) -> list[np.ndarray | None]:
    """Gradients by the engine with random cotangents, as NumPy arrays.

    First those of the float inputs; with order 2 then those of their randomly weighted sum with
    respect to inputs and cotangents. None means that there is no path. `between`: inputs of another
    call of the function, made after the call that is differentiated.
    """
    rng = np.random.default_rng(7)

    def random(like: Tensor) -> Tensor:
        return tensor(rng.standard_normal(like.shape), dtype=like.dtype, backend=like.backend)

    with use_backend(backend):
        xs = _tensors(arrays, dtype, strided)
        ys = [y for y in parts_of(case(*xs)) if y.requires_grad]
        if between is not None:
            case(*_tensors(between, dtype, strided))
        cotangents = [random(y) for y in ys]
        leaves = [x for x in xs if x.requires_grad]
        for g in cotangents:
            g.requires_grad = order == 2
        first = grad(ys, leaves, cotangents, create_graph=order == 2, allow_unused=True)
        second: tuple[Tensor | None, ...] = ()
        if order == 2:
            smooth = [g for g in first if g is not None and g.requires_grad]
            second = grad(
                smooth, [*leaves, *cotangents], [random(g) for g in smooth], allow_unused=True
            )
        return [None if g is None else g.numpy() for g in (*first, *second)]


def agreement(case: Case, backend: Any, other: Any = "numpy") -> None:
    """Outputs and gradients are the same on two backends, without `create_graph` and with it."""
    forward(case, backend)
    if case.slope == "none":
        return
    arrays = case.draw()
    for order, what in ((1, "gradient"), (2, "create_graph's gradient")):
        found, right = (gradients(case, arrays, name, order=order) for name in (backend, other))
        _assert_same(found, right, what)


def _assert_same(found: Any, right: Any, what: str = "gradient") -> None:
    for i, (a, b) in enumerate(zip(found, right, strict=True)):
        assert (a is None) == (b is None), f"{what} {i}: one is missing"
        if a is not None:
            assert a.dtype == b.dtype, f"{what} {i}: {a.dtype} and {b.dtype}"
            _assert_close(a, b, a.dtype.name, f"{what} {i}")


def hygiene(case: Case, backend: Any = "numpy") -> None:
    """No call changes its inputs or others' memory; layout and order don't change results.

    Inputs and cotangents are left alone; gradients have the shape and dtype of their inputs,
    share no memory, and are the same with and without `create_graph`, for inputs that are not
    contiguous, and if the function was called again before the backward pass; float32 stays
    float32.
    """
    forward(case, backend, "float32")
    if case.slope == "none":
        return
    arrays = case.draw()
    count = sum(array.dtype.kind == "f" for array in arrays)
    with use_backend(backend):
        for dtype in ("float32", "float64"):
            _leaves_all_alone(case, arrays, dtype)
    plain = gradients(case, arrays, backend, order=1)
    _assert_same(gradients(case, arrays, backend)[:count], plain, "create_graph's gradient")
    _assert_same(gradients(case, arrays, backend, strided=True)[:count], plain, "strided gradient")
    later = gradients(case, arrays, backend, order=1, between=case.draw(seed=1))
    _assert_same(later, plain, "gradient after another call")


def _leaves_all_alone(case: Case, arrays: list[np.ndarray], dtype: str) -> None:
    xs = _tensors(arrays, dtype)
    ys = [y for y in parts_of(case(*xs)) if y.requires_grad]
    rng = np.random.default_rng(7)
    cotangents = [
        tensor(rng.standard_normal(y.shape), dtype=y.dtype, backend=y.backend) for y in ys
    ]
    outputs = [y.numpy() for y in ys]
    weights = [g.numpy() for g in cotangents]
    leaves = [x for x in xs if x.requires_grad]
    found = grad(ys, leaves, cotangents, allow_unused=True)
    for x, array in zip(xs, arrays, strict=True):
        assert np.array_equal(x.numpy(), array.astype(x.dtype)), "an input was changed"
    for y, g, output, weight in zip(ys, cotangents, outputs, weights, strict=True):
        assert np.array_equal(y.numpy(), output), "an output was changed by the backward pass"
        assert np.array_equal(g.numpy(), weight), "a cotangent was changed"
    reached = [(x, g) for x, g in zip(leaves, found, strict=True) if g is not None]
    for x, g in reached:
        assert g.shape == x.shape, f"gradient of shape {g.shape} for an input of {x.shape}"
        assert g.dtype == x.dtype, f"gradient of {g.dtype} for an input of {x.dtype}"
    if get_backend(xs[0].backend).is_host:
        held = [*xs, *ys, *cotangents]
        for i, (_, g) in enumerate(reached):
            for other in [*held, *(other for _, other in reached[:i])]:
                assert not np.shares_memory(g._data, other._data), "a gradient shares memory"
