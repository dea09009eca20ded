"""What went wrong in an op call, in a sentence that names the op and what it was given; and where.

Looked at only after a backend has refused, so the calls that go well pay nothing.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NoReturn


def is_within(frame: FrameType, package: str, but: str = "-") -> bool:
    """Whether a frame runs code of a package, and not of one within it (`but`)."""
    names, file = frame.f_globals, frame.f_code.co_filename
    name = f"{names.get('__name__', '')}."
    within = name.startswith(f"{package}.") and not name.startswith(f"{but}.")
    # The file tells an example in a docstring, which runs under its module's name.
    return (within and file == names.get("__file__")) or file.startswith("<minigrad op")


def frame_outside(package: str) -> FrameType:
    """The innermost frame of code that isn't in a package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_within(frame, package):
        frame = frame.f_back
    return frame


class Untraceable(Exception):
    """A cell or a function does what can't be compiled; the text says what."""


def explain(
    op: Any, error: Exception, arrays: tuple[Any, ...], settings: dict[str, Any]
) -> NoReturn:
    """Raise `error` again as one that a user can act on, of the same kind."""
    if isinstance(error, MemoryError):
        error.add_note(f"This happened in {op.name}, called with {_given(op, arrays, settings)}.")
    if isinstance(error, (Untraceable, MemoryError)):
        raise error
    shapes = [tuple(getattr(x, "shape", ())) for x in arrays]
    text = (
        _wrong_axis(settings, shapes)
        or _PRODUCTS.get(op.name, _no_broadcast)(shapes)
        or f"{error}; called with {_given(op, arrays, settings)}"
    )
    kind = type(error) if type(error) in (ValueError, TypeError, IndexError) else ValueError
    raise kind(f"{op.name}: {text}") from error


def _given(op: Any, arrays: tuple[Any, ...], settings: dict[str, Any]) -> str:
    names = op.inputs if len(op.inputs) == len(arrays) else range(len(arrays))
    parts = [
        f"{name} {tuple(x.shape)} {x.dtype}" if hasattr(x, "shape") else f"{name} {x!r}"
        for name, x in zip(names, arrays, strict=True)
    ]
    return ", ".join([*parts, *(f"{name}={value!r}"[:60] for name, value in settings.items())])


def _wrong_axis(settings: dict[str, Any], shapes: list[tuple[int, ...]]) -> str | None:
    axis = settings.get("axis")
    ndim = max((len(shape) for shape in shapes), default=0)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for one in axes:
        if isinstance(one, int) and not -ndim <= one < ndim:
            allowed = f"-{ndim} to {ndim - 1}" if ndim else "none (it has no dimensions)"
            return f"axis {one} is out of range for shape {shapes[0]}; allowed are {allowed}"
    twice = all(isinstance(one, int) for one in axes) and len({a % ndim for a in axes}) < len(axes)
    return f"axis {tuple(axes)} names an axis of shape {shapes[0]} twice" if twice else None


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
    listed = ", ".join(str(shape) for shape in shapes)
    return f"shapes {listed} do not fit together; they must agree in all axes but the joined one"


_PRODUCTS = {
    "matmul": _no_product,
    "concatenate": _no_join,
    "stack": lambda shapes: f"shapes {', '.join(map(str, shapes))} differ; stack needs equal ones",
}
