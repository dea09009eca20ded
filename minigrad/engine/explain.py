"""What went wrong in an op call, in a sentence that names the op and what it was given; and where.

Looked at only after a backend has refused, so the calls that go well pay nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import FrameType
from typing import Any

from numpy.linalg import LinAlgError

from ..errors import BackendError, GradientLost, Untraceable

# Packages of minigrad that hold cells: listings of programs show their lines, as a user's.
packages_of_cells: set[str] = set()


def is_within(frame: FrameType, package: str, but: Collection[str] = ()) -> bool:
    """Whether a frame runs code of a package, and not of some within it (`but`)."""
    names, file = frame.f_globals, frame.f_code.co_filename
    name = f"{names.get('__name__', '')}."
    within = name.startswith(f"{package}.") and not any(name.startswith(f"{own}.") for own in but)
    # An example in a docstring runs under its module's name, but from another file.
    return (within and file == names.get("__file__")) or file.startswith("<minigrad op")


def frame_outside(package: str) -> FrameType:
    """The innermost frame of code that isn't in a package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_within(frame, package):
        frame = frame.f_back
    return frame


_FUNCTIONS = ("ops", "functional", "losses", "class_losses", "linalg", "sampling")
_BETWEEN = ("engine", "fuse")  # the user's call and the place of the error


def public_name(default: str = "") -> str:
    """The name of the public function of ops that is at work, as seen from the user's code.

    `mg.var` computes a mean; an error in that names var.
    """
    frame: FrameType | None = sys._getframe(1)
    name = default
    while frame is not None:
        code = frame.f_code
        is_op = code.co_filename.startswith("<minigrad op")
        if is_op and code.co_name.endswith("_backward"):
            break
        if is_op or any(is_within(frame, f"minigrad.{part}") for part in _FUNCTIONS):
            own = code.co_name.startswith(("_", "<")) or code.co_name == "index"  # x[i] is getitem
            name = name if own else code.co_name
        elif not any(is_within(frame, f"minigrad.{part}") for part in _BETWEEN):
            break
        frame = frame.f_back
    return name


def explain(op: Any, error: Exception, arrays: tuple[Any, ...], settings: dict[str, Any]) -> None:
    """Raise an error that a user can act on in place of `error`, which is being handled.

    The new error is of the same kind. If the error is good as it is, this returns, and the caller
    raises it again: here its traceback would refer to this frame, and this frame to it.
    """
    if isinstance(error, MemoryError):
        error.add_note(
            f"This happened in {op.name}, called with {_describe_call(op, arrays, settings)}."
        )
    if isinstance(error, (Untraceable, MemoryError, GradientLost, BackendError, LinAlgError)):
        return
    shapes = [tuple(getattr(x, "shape", ())) for x in arrays]
    text = (
        _no_method(error)
        or _wrong_axis(op.name, settings, shapes)
        or _wrong_order(op.name, settings, shapes)
        or _SHAPES.get(op.name, _no_broadcast)(shapes)
        or f"{error}; called with {_describe_call(op, arrays, settings)}"
    )
    kind = type(error) if type(error) in (ValueError, TypeError, IndexError) else ValueError
    raise kind(f"{public_name(op.name)}: {text}") from error


def _no_method(error: Exception) -> str | None:
    """That a backend lacks a name of the protocol."""
    backend: Any = getattr(error, "obj", None)
    if not isinstance(error, AttributeError) or not hasattr(backend, "array_type"):
        return None
    return f"backend {backend.name!r} has no {error.name!r}; a backend needs it for this"


def _describe_call(op: Any, arrays: tuple[Any, ...], settings: dict[str, Any]) -> str:
    names = op.inputs if len(op.inputs) == len(arrays) else range(len(arrays))
    parts = [
        f"{name} {tuple(x.shape)} {x.dtype}" if hasattr(x, "shape") else f"{name} {x!r}"
        for name, x in zip(names, arrays, strict=True)
    ]
    return ", ".join([*parts, *(f"{name}={value!r}"[:60] for name, value in settings.items())])


# --- axes ----------------------------------------------------------------------------------

# Ops whose axis may be a tuple of axes, or None; and whose axis is a new one of the result.
_OVER_AXES = {"all", "any", "flip", "logsumexp", "max", "mean", "min", "sum"}
_MAKE_AN_AXIS = {"stack"}
# What compares two tensors element by element.
_OF_TWO = {"max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and"}


def _wrong_axis(name: str, settings: dict[str, Any], shapes: list[tuple[int, ...]]) -> str | None:
    axis = settings.get("axis")
    if axis is None or not shapes:
        return None
    shape = max(shapes, key=len)
    if hasattr(axis, "backend") and axis.ndim:
        what = f"the axis is a tensor of shape {axis.shape}"
        if name in _OF_TWO:
            return f"{what}; of two tensors it is mg.{_OF_TWO[name]}(a, b)"
        return f"{what}; put all arrays into one list: [a, b]"
    new = 1 if name in _MAKE_AN_AXIS else 0
    whose = f" for shape {shape}{' with a new axis' if new else ''}"
    return axis_fault(axis, len(shape) + new, whose, name in _OVER_AXES)


def axis_fault(axis: Any, ndim: int, whose: str = "", several: bool = False) -> str | None:
    """What is wrong with an axis of `ndim` (or with a tuple of them, if `several` may be given)."""
    listed = isinstance(axis, (tuple, list))
    wanted = "an integer, a tuple of integers or None" if several else "an integer"
    if isinstance(axis, list) and several:
        said = tuple(axis) if len(axis) != 1 else axis[0]
        return f"axis must be {wanted}; got {axis}, so write axis={said}"
    if listed and not several:
        return f"axis must be {wanted}; got {axis!r:.40}"
    for one in axis if listed else (axis,):
        if isinstance(one, bool) or not hasattr(type(one), "__index__"):
            return f"axis must be {wanted}; got {axis!r:.40}"
        if not -ndim <= one < ndim:
            allowed = f"-{ndim} to {ndim - 1}" if ndim else "none (it has no dimensions)"
            return f"axis {one} is out of range{whose}; allowed are {allowed}"
    if listed and len({int(one) % ndim for one in axis}) < len(axis):
        return f"axis {tuple(axis)} names an axis{whose.replace(' for', ' of')} twice"
    return None


def _wrong_order(name: str, settings: dict[str, Any], shapes: list[tuple[int, ...]]) -> str | None:
    """What is wrong with the axes of `transpose`."""
    axes = settings.get("axes") if name == "transpose" else None
    if axes is None:
        return None
    if not isinstance(axes, (tuple, list)):
        return f"axes are integers, as in x.transpose(1, 0); got {axes!r:.40}"
    ndim = len(shapes[0])
    if len(axes) == 2 and ndim > 2:
        return (
            f"the new order names all {ndim} axes of shape {shapes[0]}; got {tuple(axes)}. To "
            f"exchange two: x.swapaxes({axes[0]!r:.40}, {axes[1]!r:.40})"
        )
    return (
        axis_fault(axes, ndim, f" for shape {shapes[0]}", several=True)
        or f"the new order names all {ndim} axes of shape {shapes[0]}; got {tuple(axes)}"
    )


# --- shapes --------------------------------------------------------------------------------


def _no_broadcast(shapes: list[tuple[int, ...]]) -> str | None:
    if len(shapes) < 2:
        return None
    width = max(len(shape) for shape in shapes)
    padded = [(1,) * (width - len(shape)) + shape for shape in shapes]
    if all(len({n for n in sizes if n != 1}) <= 1 for sizes in zip(*padded, strict=True)):
        return None
    listed = " and ".join(str(shape) for shape in shapes)
    return (
        f"shapes {listed} do not fit together; counted from the last axis, sizes must be equal or 1"
    )


def _no_product(shapes: list[tuple[int, ...]]) -> str | None:
    a, b = shapes
    if not a or not b:
        return f"shapes {a} and {b}: a matrix product needs at least one axis on each side"
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        return (
            f"shapes {a} and {b} do not fit: the last axis of the first has {a[-1]} entries, "
            f"{'the second-to-last' if len(b) > 1 else 'the only'} axis of the second {inner}"
        )
    if _no_broadcast([a[:-2], b[:-2]]):
        return f"shapes {a} and {b} do not fit: sizes before the last two axes must be equal or 1"
    return None


def _no_join(shapes: list[tuple[int, ...]]) -> str | None:
    if len(set(shapes)) < 2:
        return None
    listed = ", ".join(str(shape) for shape in shapes)
    return f"shapes {listed} do not fit together; they must agree in all axes but the joined one"


def _no_stack(shapes: list[tuple[int, ...]]) -> str | None:
    if len(set(shapes)) < 2:
        return None
    return f"shapes {', '.join(map(str, shapes))} differ; stack needs equal ones"


_SHAPES = {"matmul": _no_product, "concatenate": _no_join, "stack": _no_stack}
