"""`draw`: the graph behind a tensor as a picture of ops, shapes, values and gradients.

`graph_values` finds what is known of a graph, `boxes` puts it into words and numbers, `render`
writes the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..engine.gradients import seed_of
from ..engine.graph import Node
from ..engine.tensor import Leaf, Tensor

if TYPE_CHECKING:
    from .render import Drawing

__all__ = ["draw"]


def draw(out: Tensor, g: Any = None, *, names: Any = None, max_nodes: int = 200) -> Drawing:
    """Draw the graph that computed `out`: ops, shapes, values, gradients.

    A notebook shows the result as a picture; `.save("graph.svg")` and `.save("graph.dot")` write
    it to a file. The SVG needs the extra `learn`, the DOT text nothing.

    Each node shows its shape and dtype, its value, and the derivative of `out` with respect to it.
    A separate sweep computes these: no `.grad` changes, no hook runs, and the graph is kept. If
    `backward()` has freed the graph, there are shapes, and the values and `.grad` of the leaves.

    Parameters
    ----------
    out : the tensor whose graph is drawn.
    g : its cotangent, of its shape; a scalar needs none. The graph of any other tensor is drawn
        without gradients if it is missing.
    names : what to call the tensors: a dict of them by name (`names=locals()` will do, since
        values that aren't tensors are passed over), or a module, whose parameters have names.
    max_nodes : a larger graph is refused, as no picture of it would be readable.

    Raises
    ------
    TypeError : `out` is no tensor; `names` is neither a dict nor a module.
    ValueError : more than `max_nodes` nodes; a `g` of another shape than `out`.
    RuntimeError : `out` has no graph; an array that the graph saved was edited in place.

    Examples
    --------
    >>> import minigrad as mg
    >>> w = mg.tensor([0.5, -1.0], requires_grad=True)
    >>> loss = mg.tanh(w * 2).sum()
    >>> picture = mg.draw(loss, names={"w": w})
    >>> picture
    <drawing of 4 nodes and 3 edges>
    >>> for label, text, style in picture.boxes[1].rows:
    ...     print(picture.boxes[1].title, label, text)
    multiply value [ 1 -2]
    multiply grad [   0.42 0.07065]
    >>> print(picture.dot)  # doctest: +ELLIPSIS
    digraph minigrad {
    ...
    }
    """
    # Imported at the first drawing, so that importing minigrad stays quick.
    from .boxes import Boxes, notes_on
    from .graph_values import GraphValues, gradients_at, nodes_of
    from .render import Drawing

    unweighted = isinstance(out, Tensor) and out.requires_grad and out.size != 1 and g is None
    seed = None if unweighted else seed_of(out, g, "the tensor to draw")
    assert out._node is not None  # or seed_of has raised
    nodes = nodes_of(out._node)
    if len(nodes) > max_nodes:
        raise ValueError(
            f"the graph has {len(nodes)} nodes, more than max_nodes={max_nodes}: too many for a "
            "readable picture. Draw a smaller one of the same structure (fewer time steps or "
            "layers), or a part of it (x.detach() cuts it off), or ask for all: "
            f"max_nodes={len(nodes)}"
        )
    by_node, by_array = _called(names)
    known = GraphValues(nodes, out)
    gradients: dict[Node, Tensor | None] = {}
    if known.freed:
        leaves = ((n, n.tensor()) for n in nodes if isinstance(n, Leaf))
        gradients = {node: x.grad for node, x in leaves if x is not None}
    elif seed is not None:
        gradients = gradients_at(nodes, seed)
    boxes = Boxes(known, gradients, by_node, by_array)
    for node in nodes:
        boxes.add(node, node is out._node)
    hooks = any(node.hooks for node in nodes)
    notes = notes_on(known, seed is not None, g is not None, hooks, boxes.gaps)
    return Drawing(boxes.boxes, boxes.arrows, list(notes))


def _called(names: Any) -> tuple[dict[Node, str], dict[int, str]]:
    """The names of nodes, and those of arrays by their id. Of two names the first counts."""
    if names is None:
        return {}, {}
    if not isinstance(names, Mapping):
        if not hasattr(names, "named_parameters"):
            raise TypeError(
                "names must be a dict of tensors by name, such as {'w': w}, or a module; "
                f"got {type(names).__name__} {names!r:.60}"
            )
        names = dict(names.named_parameters())
    by_node: dict[Node, str] = {}
    by_array: dict[int, str] = {}
    for name, x in names.items():
        if isinstance(x, Tensor):
            printable = "".join(c if c.isprintable() else " " for c in str(name))
            by_array.setdefault(id(x._data), printable)
            if x._node is not None:
                by_node.setdefault(x._node, printable)
    return by_node, by_array
