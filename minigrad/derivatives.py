"""Derivatives of functions: vjp, jvp, hvp, jacobian, hessian.

`fn` takes tensors and returns a tensor or a tuple of tensors. Results are differentiable in
their turn if an input requires a gradient, or if `create_graph=True`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .engine.filled import zeros_like
from .engine.gradients import grad
from .engine.graph import enable_grad
from .engine.op_calls import as_tensor
from .engine.tensor import Tensor
from .nested import parts_of, rebuild
from .ops import reshape, stack

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vjp"]


def _variables(inputs: Any, create_graph: bool | None) -> tuple[list[Tensor], bool]:
    """The inputs as points to differentiate at, and whether to build a graph of the gradients."""
    given = parts_of(inputs)
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"input {i} must be a tensor; got {type(x).__name__}. The function comes first, "
                "then its inputs, made by mg.tensor(...)"
            )
    create = any(x.requires_grad for x in given) if create_graph is None else create_graph
    xs = []
    for x in given:
        if x.requires_grad and create:
            xs.append(reshape(x, x.shape))
        else:
            xs.append(x.detach())
            xs[-1].requires_grad = True
    return xs, create


def _pull(ys: tuple[Tensor, ...], xs: list[Tensor], gs: Sequence[Any], **options: Any) -> list[Any]:
    """Gradients with zeros for what nothing depends on."""
    pairs = [(y, g) for y, g in zip(ys, gs, strict=True) if y.requires_grad]
    if not pairs:
        return [zeros_like(x) for x in xs]
    outputs, cotangents = zip(*pairs, strict=True)
    found = grad(outputs, xs, cotangents, allow_unused=True, **options)
    return [zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]


@enable_grad()
def vjp(
    fn: Callable[..., Any], inputs: Any, cotangents: Any = None, create_graph: bool | None = None
) -> tuple[Any, Any]:
    """Outputs of `fn` and the gradients of their sum weighted by `cotangents`.

    `inputs` is a tensor or a tuple of them; `cotangents` have the shapes of the outputs, and may
    be omitted for scalars. Raises ValueError if shapes differ, RuntimeError if one is missing.

    >>> import minigrad as mg
    >>> mg.vjp(lambda x: x * x, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    xs, create = _variables(inputs, create_graph)
    outputs = fn(*xs)
    ys = parts_of(outputs)
    gs = (None,) * len(ys) if cotangents is None else parts_of(cotangents)
    found = _pull(ys, xs, gs, create_graph=create)
    return rebuild(outputs, [y if create else y.detach() for y in ys]), rebuild(inputs, found)


@enable_grad()
def jvp(
    fn: Callable[..., Any], inputs: Any, tangents: Any, create_graph: bool | None = None
) -> tuple[Any, Any]:
    """Outputs of `fn` and their change along `tangents` (columns of the Jacobian).

    `inputs` is a tensor or a tuple of them, and `tangents` have their shapes; the change
    has those of the outputs. Raises ValueError if shapes differ.

    It takes two backward passes: the first is linear in its cotangent, and the second
    differentiates that.

    >>> import minigrad as mg
    >>> mg.jvp(lambda x: x * x, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    xs, create = _variables(inputs, create_graph)
    outputs = fn(*xs)
    ys = parts_of(outputs)
    directions = _directions("jvp", "tangents", tangents, inputs, xs)
    duals = [zeros_like(y, requires_grad=True) for y in ys]
    pulled = _pull(ys, xs, duals, create_graph=True)
    changes = _pull(tuple(pulled), duals, directions, create_graph=create)
    return rebuild(outputs, [y if create else y.detach() for y in ys]), rebuild(outputs, changes)


@enable_grad()
def hvp(
    fn: Callable[..., Any], inputs: Any, vectors: Any, create_graph: bool | None = None
) -> tuple[Any, Any]:
    """The value of a scalar `fn` and its Hessian times `vectors`, without forming the Hessian.

    `inputs` is a tensor or a tuple of them, and `vectors` have their shapes. Raises ValueError
    if they have others, or if `fn` returns more than one element.

    >>> import minigrad as mg
    >>> mg.hvp(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 1.0]))[1]
    tensor([ 6., 12.])
    """
    xs, create = _variables(inputs, create_graph)
    directions = _directions("hvp", "vectors", vectors, inputs, xs)
    y = _scalar(fn(*xs), "hvp")
    slopes = _pull((y,), xs, (None,), create_graph=True)
    found = _pull(tuple(slopes), xs, directions, create_graph=create)
    return (y if create else y.detach()), rebuild(inputs, found)


def _directions(
    asked_by: str, name: str, given: Any, inputs: Any, xs: list[Tensor]
) -> tuple[Tensor, ...]:
    """One direction per input, of its shape; numbers and lists are allowed, too."""
    listed = isinstance(inputs, (list, tuple)) or isinstance(given, tuple)
    directions = parts_of(given) if listed else (given,)
    if len(directions) != len(xs):
        raise ValueError(f"{asked_by}: {name} are one per input, {len(xs)}; got {len(directions)}")
    made = []
    for i, (x, direction) in enumerate(zip(xs, directions, strict=True)):
        direction = as_tensor(direction, x)
        if direction.shape != x.shape:
            raise ValueError(
                f"{asked_by}: {name} have the shapes of the inputs; input {i} has shape {x.shape}, "
                f"and number {i} of {name} {direction.shape}"
            )
        made.append(direction)
    return tuple(made)


def _scalar(y: Any, name: str) -> Tensor:
    if not isinstance(y, Tensor) or y.size != 1:
        what = f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"{name}: the function must return one tensor of one element; got {what}")
    return y


@enable_grad()
def jacobian(fn: Callable[..., Any], inputs: Any, create_graph: bool | None = None) -> Any:
    """All partial derivatives of `fn`'s output: shape (*output.shape, *input.shape) per input.

    It runs one backward pass per element of the output. A tuple of inputs gives a tuple. Raises
    TypeError unless `fn` returns one tensor.

    >>> import minigrad as mg
    >>> mg.jacobian(lambda x: x * x, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    xs, create = _variables(inputs, create_graph)
    y = fn(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"jacobian: the function must return one tensor; got {type(y).__name__}")
    rows: list[list[Tensor]] = []
    flat = reshape(y, (y.size,))
    for i in range(y.size):
        rows.append(_pull((flat[i],), xs, (None,), create_graph=create, retain_graph=True))
    found = []
    for k, x in enumerate(xs):
        shape = (*y.shape, *x.shape)
        empty = zeros_like(x)
        found.append(
            reshape(stack([row[k] for row in rows]), shape)
            if rows
            else reshape(stack([empty])[:0], shape)
        )
    return rebuild(inputs, found)


@enable_grad()
def hessian(fn: Callable[..., Any], inputs: Any, create_graph: bool | None = None) -> Any:
    """All second derivatives of a scalar `fn`: (*x.shape, *x.shape), or nested tuples of blocks.

    A tuple of inputs gives blocks. Raises ValueError if `fn` returns more than one element.

    >>> import minigrad as mg
    >>> mg.hessian(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    xs, create = _variables(inputs, create_graph)
    y = _scalar(fn(*xs), "hessian")
    slopes = _pull((y,), xs, (None,), create_graph=True)
    blocks = []
    for slope in slopes:
        if slope.requires_grad:
            flat = reshape(slope, (slope.size,))
            rows = [
                _pull((flat[i],), xs, (None,), create_graph=create, retain_graph=True)
                for i in range(slope.size)
            ]
        else:
            rows = [[zeros_like(x) for x in xs] for _ in range(slope.size)]
        blocks.append(
            tuple(
                reshape(stack([row[k] for row in rows]), (*slope.shape, *x.shape))
                for k, x in enumerate(xs)
            )
        )
    return tuple(blocks) if isinstance(inputs, (list, tuple)) else blocks[0][0]
