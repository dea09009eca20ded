"""What a notebook shows of a tensor."""

from __future__ import annotations

from ..engine.tensor import Leaf, Tensor

__all__ = ["tensor_html"]


def tensor_html(tensor: Tensor) -> str:
    """A line with shape, dtype and origin, a heat map, the gradient if there is one, the numbers.

    >>> shown = tensor_html(mg.tensor([[1.0, -2.0]], requires_grad=True))
    >>> "float32 (1, 2)" in shown, shown.count("<svg")
    (True, 1)
    """
    from ..utils.rich import folded, heat_map, shown_text  # loaded when a notebook asks for it

    values = tensor.numpy()
    head = f"tensor {tensor.dtype} {tensor.shape}"
    if tensor.backend.name != "numpy":
        head += f" on {tensor.backend.name}"
    if isinstance(tensor._node, Leaf):
        head += ", requires_grad"
    elif tensor._node is not None:
        head += f", made by {tensor._node.op.name}"
    if tensor.ndim == 0:
        return shown_text(f"{head}: {tensor.item()}")
    parts = [shown_text(head)]
    if values.size:
        parts.append(heat_map(values))
        grad = tensor.grad if isinstance(tensor._node, Leaf) else None
        if grad is not None:
            parts.append(heat_map(grad.numpy(), "gradient"))
    parts.append(folded("numbers", shown_text(repr(tensor))))
    return "".join(parts)


# The core doesn't know of notebooks.
setattr(Tensor, "_repr_html_", tensor_html)  # noqa: B010
