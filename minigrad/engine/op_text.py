"""The text of the two functions that run an op: the call and the backward step.

The hot path of every program goes through it, so it has no loops, dicts or look-ups that the
declaration could spare it. What ops from elsewhere give is checked; minigrad's own are proved by
its tests, and go without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REQUIRED = object()
"""The default of a setting that has none."""


def parameters(fn: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    return fn.__code__.co_varnames[: fn.__code__.co_argcount]


def write(op: Any) -> str:
    """The text of the two functions that run an op."""
    return "\n".join([*_write_call(op), "", "", *_write_backward(op)]) + "\n"


def _write_call(op: Any) -> list[str]:
    inputs, settings = op.inputs, op.settings
    fns = (*op.derivatives.values(), op.shared)
    differentiable = any(fn is not None for fn in fns)
    signature = [*inputs]
    for name, default in settings.items():
        signature.append(name if default is REQUIRED else f"{name}={name}_default")
    takes_sizes = [*settings][-1:] == ["shape"]  # x.reshape(2, 3) is x.reshape((2, 3))
    signature += ["*more"] if takes_sizes else []
    given = "".join(f", {name}={name}" for name in settings)
    text = [f"def {op.name}({', '.join(signature)}):"]
    if takes_sizes:
        text += [
            "    if more or shape.__class__ is list:",
            "        shape = (shape, *more) if more else tuple(shape)",
        ]
    if op.variadic:
        (xs,) = inputs
        text += [
            f"    {xs}, backend, data, edges = operands(op, {xs})",
            "    if backend is None:",
            "        backend = raw_backend()",
            "        if backend is not None:",
            f"            return forward(backend, *{xs}{given})",
            f"        return op.call((as_tensor({xs}[0]), *{xs}[1:]){given})",
        ]
        data, tracked = ["*data"], "any(edges)"
        edges = "edges"
    else:
        for i, x in enumerate(inputs):
            text += [
                f"    {'el' if i else ''}if isinstance({x}, Tensor):",
                f"        backend = {x}.backend",
            ]
        arguments = ", ".join(inputs)
        lifted = ", ".join([f"as_tensor({inputs[0]})", *inputs[1:]])
        text += [
            "    else:",
            "        backend = raw_backend()",
            "        if backend is not None:  # within a sweep: raw arrays in, raw arrays out",
            f"            return forward(backend, {arguments}{given})",
            f"        return op.call({lifted}{given})",
        ]
        for i, x in enumerate(inputs):
            if len(inputs) == 1:
                text += [f"    {x}_data = {x}._data", f"    {x}_node = {x}._node"]
                break
            text += [
                f"    if isinstance({x}, Tensor):",
                *([f"        if {x}.backend is not backend:"] if i else []),
                *([f"            mixed(op.name, {arguments})"] if i else []),
                f"        {x}_data = {x}._data",
                f"        {x}_node = {x}._node",
                "    else:",
                f"        number = {x}.__class__ in NUMBERS",
                f"        {x}_data = {x} if number else operand(op, {x}, backend)",
                f"        {x}_node = None",
            ]
        data = [f"{x}_data" for x in inputs]
        tracked = " or ".join(
            f"{x}_node is not None"
            for x in inputs
            if not op.declared or op.shared is not None or op.derivatives.get(x) is not None
        )
        edges = "(" + "".join(f"{x}_node, " for x in inputs) + ")"
        edges = edges.replace(", )", ",)" if len(inputs) == 1 else ")")
    if not op.trusted:
        text += [f"    check_gradient(op.name, {x}, instead)" for x in settings]
    if not op.declared:
        text += [f"    if ({tracked}) and grad_enabled():", "        no_derivative(op)"]
    result = "y = forward" if op.keeps is None else f"y, {op.keeps[0]}_data = keeping"
    text += [
        "    try:",
        f"        {result}(backend, {', '.join(data)}{given})",
        "    except Exception as error:",
        f"        explain(op, error, ({', '.join(data)},), dict({given[2:]}))",
        "        raise",
    ]
    floats = ""
    if not op.trusted:
        text.append(f"    y = {'checked_results' if op.many else 'checked_result'}(op, y, backend)")
        floats = 'any(part.dtype.kind == "f" for part in y)' if op.many else 'y.dtype.kind == "f"'
        floats = f" and {floats}"
    elif not op.many:
        text += [
            "    if y.__class__ is not backend.array_type:",
            "        y = backend.asarray(y)",
        ]
    text += ["    node = None"]
    if differentiable:
        text += [
            f"    if ({tracked}) and grad_enabled(){floats}:",
            "        node = new(Node)",
            "        node.op = op",
            "        node.birth = tick()",
            f"        node.edges = {edges}",
            f"        node.saved = {_write_saved(op)}",
            f"        node.settings = ({''.join(f'{name}, ' for name in settings)})",
            f"        node.shape = {'[part.shape for part in y]' if op.many else 'y.shape'}",
            f"        node.dtype = {_write_dtype(op)}",
            "        node.backend = backend",
            "        node.hooks = None",
        ]
    text += [
        "    if on_call:",
        f"        tell(op, node, ({', '.join(data)},), y, backend, "
        f"({''.join(f'{name}, ' for name in settings)}))",
    ]
    if op.many:
        made = "as_view" if op.view else "Tensor"
        output = "Output(node, i, part)"
        if not op.trusted:
            output += ' if part.dtype.kind == "f" else None'
        return [
            *text,
            "    if node is None:",
            f"        return [{made}(part, backend) for part in y]",
            f"    return [{made}(part, backend, {output}) for i, part in enumerate(y)]",
        ]
    return [
        *text,
        "    out = new(Tensor)",
        "    out._data = y",
        "    out.backend = backend",
        "    out.grad = None",
        "    out._node = node",
        *(["    out._shared = True"] if op.view else []),
        "    return out",
    ]


def _write_dtype(op: Any) -> str:
    """The dtype that cotangents have."""
    if not op.many:
        return "y.dtype"
    if op.trusted:
        return "y[0].dtype if y else None"
    return 'next(part.dtype for part in y if part.dtype.kind == "f")'


def _write_saved(op: Any) -> str:
    """The saved slots; an array is kept only if a gradient that will be needed reads it."""
    if op.variadic:
        if "shapes" in op.saved_names:
            return "tuple(x.shape for x in data)"
        return "data" if op.saved_names else "()"
    parts = []
    derivatives = {x: fn for x, fn in op.derivatives.items() if fn is not None}
    for slot in op.saved_names:
        array = "y" if slot == "y" else f"{slot}_data"
        readers = [x for x, fn in derivatives.items() if slot in parameters(fn)]
        if op.shared is None and len(readers) < len(derivatives):
            condition = " or ".join(f"{x}_node is not None" for x in readers)
            array = f"{array} if {condition} else None"
        parts.append(f"{array}, ")
    return f"({''.join(parts).rstrip() if len(parts) == 1 else ''.join(parts)[:-2]})"


def _write_backward(op: Any) -> list[str]:
    text = [f"def {op.name}_backward(node, saved, g, work):"]
    if op.since:
        text += ["    if node.birth < since:", "        outdated(op)"]
    if op.many:
        text.append("    g = work.fill(g, node)")
    if op.settings:
        text.append(f"    {', '.join(op.settings)}, = node.settings")
    text.append("    grads = work.grads")
    if op.shared is not None:
        if op.saved_names and not op.variadic:
            text.append(f"    {', '.join(op.saved_names)}, = saved")
        values = {"shapes": "saved", op.inputs[0]: "saved"} if op.variadic else {}
        arguments = ", ".join(values.get(name, name) for name in parameters(op.shared))
        parts, fit = f"vjp_all({arguments})", []
        if op.trusted:
            fit = [
                "            if part.shape != edge.shape or part.dtype is not edge.dtype:",
                "                part = work.fit(part, edge)",
            ]
        else:
            text.append(f"    parts = checked_gradients(op, {parts}, node, work)")
            parts = "parts"
        return [
            *text,
            f"    for edge, part in zip(node.edges, {parts}, strict=True):",
            "        if edge in grads:",
            *fit,
            "            if grads[edge] is None:",
            "                grads[edge] = part",
            "            else:",
            "                work.add(edge, part)",
        ]
    nodes = ", ".join(f"{x}_node" for x in op.inputs)
    text.append(f"    {nodes}{',' if len(op.inputs) == 1 else ''} = node.edges")
    if op.saved_names:
        text.append(f"    {', '.join(op.saved_names)}, = saved")
    for x in op.inputs:
        fn = op.derivatives.get(x)
        if fn is None:
            continue
        arguments = ", ".join(f"{x}_node" if name == "like" else name for name in parameters(fn))
        text += [
            f"    if {x}_node in grads:",
            f"        part = vjp_{x}({arguments})",
        ]
        if not op.trusted:
            text.append(f"        part = checked_gradient(op, part, {x!r}, {x}_node, work)")
        elif len(op.inputs) > 1 or parameters(fn) == ("g",):  # which can't know the shape
            text += [
                f"        if part.shape != {x}_node.shape or part.dtype is not {x}_node.dtype:",
                f"            part = work.fit(part, {x}_node)",
            ]
        text += [
            f"        if grads[{x}_node] is None:",
            f"            grads[{x}_node] = part",
            "        else:",
            f"            work.add({x}_node, part)",
        ]
    return text
