"""`per_example_grad`: the gradient of a loss for each example of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..engine.gradients import grad
from ..engine.graph import enable_grad
from ..engine.op_calls import as_tensor
from ..engine.registry import use_backend
from ..engine.rng import generator_again
from ..engine.tensor import Tensor
from ..engine.wrapping import same_backend
from ..errors import Untraceable
from ..fusion import count
from ..nested import leaves_of, map_leaves, name_of
from ..ops import broadcast_to, stack
from ..utils.scope import Scope
from .batched_backend import BatchedBackend

__all__ = ["per_example_grad"]


@enable_grad()
def per_example_grad(loss: Callable[..., Any], params: Any, *batch: Any) -> Any:
    """The gradients of `loss(params, *example)` by the parameters, one per example of a batch.

    Row i of a result is the gradient for example i alone, as a loop over the examples gives it; the
    mean of the rows is the gradient of the mean loss. For clipping per example, the variance of
    gradients, or influence.

    The loop is what it means. What runs is faster: `loss` is called once, with tensors that stand
    for all examples. Each has the shape of one example's, and an axis besides that `loss` doesn't
    see: examples lie along it, and parameters don't have it. The gradient of a loss
    L_i = loss(w, x_i) by w is a sum over all places where L_i depends on w, and with one L_i per
    row, that sum never runs over rows; so in place of one gradient of the shape of w, each row
    gets its own, and they are not added up.

    Where that can't be, the loop runs, with the same result: if `loss` reads numbers
    (`if x.sum() > 0`, `.item()`, `.numpy()`), draws random ones (each example draws its own), picks
    by truth values, uses tensors or arrays from outside, edits its parameters, or uses an op that
    has no batched form; or if a parameter has a hook. `mg.dispatch_counts()` counts calls as
    "batched" or "looped", with the reason. `loss` may be called once, or once per example.

    Parameters
    ----------
    loss : a function of the parameters and of one example, which returns one number as a tensor.
    params : a float tensor, dicts, lists and tuples of them, or a module.
    batch : tensors or arrays (N, ...), or dicts, lists and tuples of them: `loss` gets x[i].

    Returns
    -------
    Gradients (N, *shape) in place of the tensors of `params`; of a module a dict by the names of
    its parameters, without those that are frozen. They have no history.

    Raises
    ------
    TypeError, ValueError : parameters that are no float tensors, batches of different lengths, or
        a loss of more than one number.

    Examples
    --------
    >>> import minigrad as mg
    >>> def loss(w, x, y):  # of one example: x (2,), y ()
    ...     return (x @ w - y) ** 2
    >>> w = mg.tensor([1.0, 2.0])
    >>> x, y = mg.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), mg.tensor([0.0, 2.0, 2.0])
    >>> mg.per_example_grad(loss, w, x, y)
    tensor([[2., 0.],
            [0., 0.],
            [2., 2.]])
    """
    variables = _variables(params)
    batch = tuple(_examples(x, variables) for x in batch)
    n = _length(batch)
    name, backend = name_of(loss), variables[0].backend
    if not n:
        found = [broadcast_to(x.detach(), (1, *x.shape))[:0] for x in variables]
        return _in_place(params, found)
    try:
        found = _batched(loss, params, variables, batch, n)
        way, reason = "batched", ""
    except Exception as error:  # what is wrong in any case is an error of the loop, too
        found = _looped(loss, params, variables, batch, n)
        way, reason = "looped", str(error).partition("\n")[0]
    count(name, backend, way, reason)
    return _in_place(params, found)


def _is_module(params: Any) -> bool:
    return hasattr(params, "named_parameters")


def _trained(module: Any) -> dict[str, Tensor]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _variables(params: Any) -> list[Tensor]:
    """The tensors to differentiate by."""
    if _is_module(params):
        found: list[Any] = list(_trained(params).values())
    else:
        found = [x for _, x in leaves_of(params)]
    for x in found:
        if not isinstance(x, Tensor) or x.dtype.kind != "f":
            given = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else f"{type(x).__name__}"
            raise TypeError(
                f"per_example_grad: the parameters are float tensors, or dicts, lists and tuples "
                f"of them, or a module; got {given}. The function comes first, then the parameters"
            )
    if not found:
        raise ValueError("per_example_grad: there are no parameters to differentiate by")
    same_backend("per_example_grad", *found)
    return found


def _in_place(params: Any, found: Sequence[Tensor]) -> Any:
    """Gradients in the place of parameters."""
    if _is_module(params):
        return dict(zip(_trained(params), found, strict=True))
    rest = iter(found)
    return map_leaves(lambda _: next(rest), params)


def _examples(x: Any, variables: list[Tensor]) -> Any:
    """Tensors without history of an argument of the batch."""
    x = map_leaves(lambda part: as_tensor(part, variables[0]).detach(), x)
    for _, part in leaves_of(x):
        same_backend("per_example_grad", variables[0], part)
    return x


def _length(batch: tuple[Any, ...]) -> int:
    shapes = [x.shape for _, x in leaves_of(batch)]
    lengths = {shape[:1] for shape in shapes}
    if len(lengths) != 1 or () in lengths:
        raise ValueError(
            "per_example_grad: each part of the batch has the examples along its first axis, "
            f"equally many; got shapes {', '.join(map(str, shapes)) or 'of nothing'}"
        )
    return shapes[0][0]


def _gradients(y: Any, variables: Sequence[Tensor]) -> list[Tensor | None]:
    if not isinstance(y, Tensor) or y.size != 1:
        what = f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"per_example_grad: the loss of one example is a tensor of one element; got {what}"
        )
    return list(grad(y, variables, allow_unused=True))


def _leaf(data: Any, backend: Any, like: Tensor) -> Tensor:
    """A tensor of the class of `like`."""
    made = type(like).__new__(type(like))
    Tensor.__init__(made, data, backend)
    return made._as_made()


# --- one after the other -------------------------------------------------------------------------


def _looped(
    loss: Any, params: Any, variables: list[Tensor], batch: tuple[Any, ...], n: int
) -> list[Tensor]:
    if not _is_module(params):
        variables = [x.detach().requires_grad_() for x in variables]
        rest = iter(variables)
        params = map_leaves(lambda _: next(rest), params)
    rows = []
    for i in range(n):
        y = loss(params, *map_leaves(lambda x, i=i: x[i], batch))  # type: ignore[misc]
        found = _gradients(y, variables)
        rows.append([0 * x if g is None else g for x, g in zip(variables, found, strict=True)])
    return [stack(column).detach() for column in zip(*rows, strict=True)]


# --- all at once ---------------------------------------------------------------------------------


class _NoNumbers:
    """In place of the generator: what would be drawn once must be drawn per example."""

    def __getattr__(self, name: str) -> Any:
        raise Untraceable("it draws random numbers, which differ between examples")


def _batched(
    loss: Any, params: Any, variables: list[Tensor], batch: tuple[Any, ...], n: int
) -> list[Tensor]:
    if any(x._node is not None and x._node.hooks is not None for x in variables):
        raise Untraceable("a parameter has a hook, which would see all examples at once")
    base = variables[0].backend
    backend = BatchedBackend(base, n)
    made: list[Tensor] = []

    def same(x: Tensor) -> Tensor:
        made.append(_leaf(backend.same(x._data), backend, x))
        return made[-1]

    if _is_module(params):
        from ..compiler.parameter_tree import ParameterTree  # so that importing minigrad is quick

        tree = ParameterTree(params)
        params = tree.rebuild([same(x) for x in tree.tensors])
        places = {id(x): i for i, x in enumerate(tree.tensors)}
        leaves = [made[places[id(x)]] for x in variables]
    else:
        params = map_leaves(same, params)
        tree, leaves = None, list(made)
    given = [x._data for x in made]
    for x in leaves:
        x.requires_grad = True
    rows = map_leaves(lambda x: Tensor(backend.rows(x._data), backend)._as_made(), batch)
    with use_backend(backend), Scope(generator_again, _NoNumbers()):
        found = _gradients(loss(params, *rows), leaves)
    if tree is not None:
        tree.check()
    if any(x._data is not data for x, data in zip(made, given, strict=True)):
        raise Untraceable("it edits its parameters")
    return [
        Tensor(
            base.copy(backend.all_rows((0 * x._data) if g is None else g._data)), base
        )._as_made()
        for x, g in zip(leaves, found, strict=True)
    ]
