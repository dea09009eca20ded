"""`draw`: the graph behind a tensor as a picture of ops, shapes, values and gradients.

`graph_values` finds what is known of a graph, `groups` what belongs together, `boxes` puts it into
words and numbers, `picture` folds it, `render` writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.gradients import seed_of
from ..engine.graph import Node
from ..engine.tensor import Leaf, Tensor
from .groups import printable

if TYPE_CHECKING:
    from .render import Drawing

__all__ = ["draw"]


def draw(
    out: Tensor,
    g: Any = None,
    *,
    names: Any = None,
    fold: Any = "step",
    steps: int = 3,
    max_nodes: int = 200,
) -> Drawing:
    """Draw the graph that computed `out`: ops, shapes, values, gradients.

    A notebook shows the result as a picture with boxes that open; `.save("graph.html")`,
    `.save("graph.svg")` and `.save("graph.dot")` write it to a file, and `print` shows it as text.
    HTML and SVG need the extra `learn`, DOT text nothing.

    Each node shows its shape and dtype, its value, and the derivative of `out` with respect to it.
    A separate sweep computes these: no `.grad` changes, no hook runs, and the graph is kept. If
    `backward()` has freed the graph, there are shapes, and the values and `.grad` of the leaves.

    Parameters of modules that were called, and still exist, have their names in the outermost one,
    and values that `mg.probe` names have those, such as the gates of an LSTM. Each time step, of a
    layer's scan or of a loop over a cell such as `mg.nn.LSTMCell`, is one box.
    `picture.open(title)` is what is inside of it. A scan or function that runs fused is one node;
    inside is its program. (`MINIGRAD_FUSED=0` composes scans, which gives their steps boxes.)

    Parameters
    ----------
    out : the tensor whose graph is drawn.
    g : its cotangent, of its shape; a scalar needs none. The graph of any other tensor is drawn
        without gradients if it is missing.
    names : what to call the tensors: a dict of them by name (`names=locals()` will do, since
        values that aren't tensors are passed over), or a module, whose parameters have names.
        A constant without a name that one folded box alone takes is inside of it.
    fold : what is one box: each time "step"; each "layer", which is the call of a module without
        others in it, with its parameters; each "gate", or other named value, with the ops that
        serve it alone; None: nothing. A number n folds what is more than n calls, loops, steps or
        gates deep: 0 leaves the outermost ones.
    steps : how many steps of a loop have boxes of their own, at least 2. Of more, those in the
        middle share one, which says how many they are.
    max_nodes : a picture of more boxes is refused, as it would not be readable.

    Raises
    ------
    TypeError : `out` is no tensor; `names` is neither a dict nor a module; `fold` or `steps` is of
        another type.
    ValueError : more than `max_nodes` nodes; a `g` of another shape than `out`; another `fold`;
        `steps` below 2.
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

    A loop over a cell, whose steps are folded:

    >>> cell = mg.nn.LSTMCell(3, 4)
    >>> h = c = mg.zeros((1, 4))
    >>> for t in range(10):
    ...     h, c = cell(mg.ones((1, 3)), (h, c))
    >>> picture = mg.draw(h.sum())
    >>> [box.title for box in picture.boxes if box.kind == "group"]
    ['LSTMCell step 0', 'LSTMCell step 1', 'LSTMCell 7 more steps', 'LSTMCell step 9']
    >>> [box.title for box in picture.open("LSTMCell step 0").boxes if box.kind == "group"]
    ['forget', 'candidate', 'input', 'cell', 'output', 'hidden']
    """
    # Imported at the first drawing, so that importing minigrad stays quick.
    from .boxes import Boxes, notes_on
    from .graph_values import GraphValues, gradients_at, nodes_of
    from .groups import Groups
    from .picture import Pictures

    _check(fold, steps)
    unweighted = isinstance(out, Tensor) and out.requires_grad and out.size != 1 and g is None
    seed = None if unweighted else seed_of(out, g, "the tensor to draw")
    root = out._node
    assert root is not None  # or seed_of has raised
    nodes = nodes_of(root)
    groups = Groups(nodes, root)
    by_node, by_array = _called(names)
    for node, name in parameter_names(groups.roots).items():
        by_node.setdefault(node, name)
    known = GraphValues(nodes, out)
    gradients: dict[Node, Tensor | None] = {}
    if known.freed:
        leaves = ((n, n.tensor()) for n in nodes if isinstance(n, Leaf))
        gradients = {node: x.grad for node, x in leaves if x is not None}
    elif seed is not None:
        gradients = gradients_at(nodes, seed)
    boxes = Boxes(known, gradients, by_node, by_array)
    pictures = Pictures(boxes, groups, root, max_nodes, int(steps))
    hooks = any(node.hooks for node in nodes)
    picture = pictures.drawing(nodes, fold, None)
    if picture is None:
        count = len(set(pictures.units(nodes, fold, None).values()))
        coarser = {None: "fold time steps (fold='step'), ", "layer": ""}
        advice = coarser.get(fold, "fold layers (fold='layer'), ")
        raise ValueError(
            f"the graph has {count} nodes, more than max_nodes={max_nodes}: too many for a "
            f"readable picture. Draw a smaller one of the same structure (fewer time steps or "
            f"layers), {advice}draw a part of it (x.detach() cuts it off), or ask for all: "
            f"max_nodes={count}"
        )
    picture.notes = list(notes_on(known, seed is not None, g is not None, hooks, boxes.gaps))
    return picture


def _check(fold: Any, steps: Any) -> None:
    """Raise unless these are as `draw` takes them."""
    if isinstance(fold, bool) or not (fold is None or isinstance(fold, (int, str))):
        raise TypeError(
            "fold is 'step', 'layer', 'gate', None or how deep to go, a number from 0; got "
            f"{type(fold).__name__} {fold!r:.40}"
        )
    if isinstance(fold, str) and fold not in ("step", "layer", "gate"):
        raise ValueError(f"fold is 'step', 'layer', 'gate', None or a number; got {fold!r:.40}")
    if isinstance(fold, int) and fold < 0:
        raise ValueError(f"fold is how deep to go, a number from 0; got {fold}")
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise TypeError(f"steps is a number from 2; got {type(steps).__name__} {steps!r:.40}")
    if steps < 2:
        raise ValueError(f"steps is 2 or more, for the first and the last; got {steps}")


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
            by_array.setdefault(id(x._data), printable(name))
            if x._node is not None:
                by_node.setdefault(x._node, printable(name))
    return by_node, by_array


def parameter_names(modules: Sequence[Any]) -> dict[Node, str]:
    """The names of the parameters of modules; with that of the module where two have one name."""
    owners: dict[Node, tuple[str, str]] = {}
    kinds: dict[str, int] = {}
    for module in modules:
        kind = type(module).__name__
        kinds[kind] = count = kinds.get(kind, 0) + 1
        for name, parameter in module.named_parameters():
            if parameter._node is not None:
                owner = kind if count == 1 else f"{kind}{count}"
                owners.setdefault(parameter._node, (owner, printable(name)))
    shared = Counter(name for _, name in owners.values())
    return {
        node: name if shared[name] == 1 else f"{owner}.{name}"
        for node, (owner, name) in owners.items()
    }
