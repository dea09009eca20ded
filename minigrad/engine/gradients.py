"""backward() and grad(): gradients as the user asks for them."""

from __future__ import annotations

import math
from typing import Any

from .creation import tensor
from .graph import Node
from .sweep import describe, note_taken, run_sweep
from .tensor import Leaf, Tensor
from .wrapping import wrap

# --- what the user calls -------------------------------------------------------------------


def seed_of(output: Any, g: Any, position: str) -> tuple[Node, Tensor]:
    """The output's node with its cotangent: `g`, or one for a scalar."""
    if not isinstance(output, Tensor):
        raise TypeError(f"{position} must be a tensor; got {describe(output)}")
    node = output._node
    if node is None:
        raise RuntimeError(
            f"{position} (shape {output.shape}, {output.dtype}) does not depend on any tensor "
            "that requires a gradient. Set requires_grad=True on an input, and make sure that "
            "the computation is not inside no_grad() or behind detach()."
        )
    backend = output.backend
    if g is None:
        shape = output._data.shape
        if shape and math.prod(shape) != 1:
            raise RuntimeError(
                f"{position} has shape {output.shape}, and only a scalar has a gradient "
                "without a cotangent. Reduce it first, for example y.sum().backward(), or pass a "
                f"cotangent g of shape {output.shape}."
            )
        return node, wrap(backend.ones(shape, output._data.dtype), backend)
    if isinstance(g, bool):
        raise TypeError(
            f"{position}: the first argument is a cotangent; got {g}. Give options by name: "
            "backward(retain_graph=True)"
        )
    if not isinstance(g, Tensor):
        g = tensor(g, dtype=output.dtype, backend=backend)
    if g._data.shape != output._data.shape:
        raise ValueError(
            f"the cotangent of {position} must have its shape {output.shape}; got {g.shape}"
        )
    if g.backend is not backend:
        raise TypeError(
            f"the cotangent is on backend {g.backend.name!r} and {position} on "
            f"{backend.name!r}; convert it with g.to({backend.name!r})"
        )
    return node, g if g._data.dtype == output._data.dtype else g.astype(output.dtype)


def backward(
    self: Tensor,
    g: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add this tensor's gradient to `.grad` of every leaf that it depends on.

    Parameters
    ----------
    g : the cotangent, of this tensor's shape; may be omitted for a scalar.
    retain_graph : keep the graph for another backward pass.
    create_graph : make the gradients differentiable themselves (keeps the graph, too).
    inputs : a tensor or several: only these get a gradient, leaves or not. One that this tensor
        doesn't depend on gets none. None: all leaves.

    Raises
    ------
    RuntimeError : no input requires a gradient; not a scalar and no `g`; graph already freed;
        an array that the graph saved was edited in place.
    ValueError : an empty list of inputs.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).backward(mg.tensor([1.0, 10.0]))
    >>> x.grad
    tensor([ 2., 40.])
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * x).sum().backward(inputs=w)
    >>> w.grad, x.grad
    (tensor([1., 2.]), tensor([ 2., 40.]))
    """
    seed = seed_of(self, g, "the tensor that backward() was called on")
    wanted = None
    if inputs is not None:
        inputs = _as_tuple(inputs)
        wanted = _input_nodes("backward", inputs)
        for x in inputs:
            x.retain_grad()  # those that are no leaves
    retain = retain_graph or create_graph
    taken: dict[int, Any] = {}
    note_taken(seed[1]._data, taken)  # a cotangent may reach a leaf untouched
    found = []
    swept = run_sweep([seed], wanted, graph=create_graph, retain=retain, taken=taken)
    for node, gradient in swept.items():
        leaf = node.tensor() if isinstance(node, Leaf) else None
        if leaf is None or gradient is None or leaf._node is None:  # gone, unused, or frozen
            continue
        if leaf.backend is not node.backend or leaf._data.dtype != node.dtype:
            raise RuntimeError(
                f"a leaf of shape {node.shape} was {node.dtype} on {node.backend.name!r} in the "
                f"forward pass, and is {leaf.dtype} on {leaf.backend.name!r} now. Convert it "
                "before the forward pass, or after backward()"
            )
        found.append((leaf, gradient))
    for leaf, gradient in found:
        if leaf.grad is not None:
            leaf.grad = leaf.grad + gradient
        else:
            leaf.grad = _copy_if_shared(gradient, taken)


def _copy_if_shared(gradient: Tensor, taken: dict[int, Any]) -> Tensor:
    """`gradient`, copied if others share its memory, such as another leaf or the cotangent.

    `taken` are the arrays that others hold, by id; that of the result is one more.
    """
    data = gradient._data
    owner = getattr(data, "base", None)
    own = owner is None or _is_all_of(data, owner)
    if owner is None:
        owner = data
    if gradient._node is None and (not own or id(owner) in taken):
        gradient = Tensor(gradient.backend.copy(data), gradient.backend)
        note_taken(gradient._data, taken)
    else:
        taken[id(owner)] = owner
    if not hasattr(gradient, "_leaf"):
        gradient._leaf = None  # as of what was made by hand: `_as_made` takes a call
    return gradient


def _is_all_of(view: Any, owner: Any) -> bool:
    """Whether a view is all of its owner, if in another shape or order, and may be written to."""
    try:
        return view.size == owner.size and getattr(view.flags, "writeable", True)
    except AttributeError:  # memory from elsewhere, of an unknown kind
        return False


def _are_several(value: Any) -> bool:
    """Whether it is a list or an iterator: arrays, which have a shape, count as one."""
    return hasattr(value, "__iter__") and not hasattr(value, "shape")


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if _are_several(value) else (value,)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> Any:
    """Gradients of `outputs` with respect to `inputs`, without touching `.grad` of any leaf.

    Hooks on the way run, and tensors that `retain_grad()` was called on keep their gradients.

    Parameters
    ----------
    outputs : a tensor or several, in any iterable; the gradients are those of their weighted sum.
    inputs : a tensor or several, such as `model.parameters()`, leaves or not.
    grad_outputs : a cotangent per output, of its shape; None for a scalar means 1.
    create_graph : whether the gradients are themselves differentiable.
    retain_graph : whether the graph may be used again (default: the value of `create_graph`).
    allow_unused : whether an input that no output depends on gives None instead of an error.

    Returns
    -------
    A tensor of the input's shape and dtype for a single input, a tuple of them for several.

    Raises
    ------
    ValueError : no outputs, no inputs, or another number of cotangents than of outputs.
    RuntimeError : no path from the outputs to an input, or a graph that was already freed.

    Examples
    --------
    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> slope = mg.grad(x**3, x, create_graph=True)
    >>> slope.item(), mg.grad(slope, x).item()
    (27.0, 18.0)
    >>> mg.grad([x * x, 5 * x], x, [1.0, 10.0]).item()  # 2 x + 10 * 5
    56.0
    """
    outputs_, inputs_ = _as_tuple(outputs), _as_tuple(inputs)
    if not outputs_:
        raise ValueError("grad needs an output to differentiate; the list of outputs is empty")
    cotangents = _as_tuple(grad_outputs) if grad_outputs is not None else (None,) * len(outputs_)
    if len(cotangents) != len(outputs_):
        raise ValueError(
            f"{len(outputs_)} outputs need as many grad_outputs; got {len(cotangents)}"
        )
    nodes = _input_nodes("grad", inputs_)
    seeds = [
        seed_of(y, g, f"output {i}")
        for i, (y, g) in enumerate(zip(outputs_, cotangents, strict=True))
    ]
    retain = create_graph if retain_graph is None else retain_graph
    taken: dict[int, Any] = {}
    for _, g in seeds:
        note_taken(g._data, taken)
    found = run_sweep(seeds, nodes, graph=create_graph, retain=retain, taken=taken)
    results: list[Tensor | None] = []
    for i, (x, node) in enumerate(zip(inputs_, nodes, strict=True)):
        gradient = found[node]
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"no path leads from the outputs to input {i} (shape {x.shape}): its gradient is "
                "undefined. Pass allow_unused=True to get None for it."
            )
        results.append(None if gradient is None else _copy_if_shared(gradient, taken))
    return tuple(results) if _are_several(inputs) else results[0]


def _input_nodes(asked_by: str, inputs: tuple[Any, ...]) -> list[Node]:
    if not inputs:
        raise ValueError(f"{asked_by} needs an input to differentiate by; the list is empty")
    return [_input_node(x, i) for i, x in enumerate(inputs)]


def _input_node(x: Any, i: int) -> Node:
    if not isinstance(x, Tensor):
        raise TypeError(f"input {i} must be a tensor; got {describe(x)}")
    if x._node is None:
        raise RuntimeError(
            f"input {i} (shape {x.shape}) does not require a gradient. Set its requires_grad=True "
            "before the outputs are computed from it."
        )
    return x._node
