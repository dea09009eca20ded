"""The text of the two functions that run an op: the call and the backward step.

They are the hot path of every program, so they have no loops, dicts or look-ups that the
declaration could spare them. Each is written from one template, which reads as the text does; what
stands right of the bar says when a line is written, together with the lines that are indented
below it:

    | checked, outputs      if all of this is true of the op: see `_facts`
    | each input, later     for each input but the first, as `{x}`: see `_items`

minigrad's own ops are proved by its tests; what other ops return is checked at each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from .op_expressions import derivative_text, forward_texts, joint_arguments, parameters

REQUIRED = object()
"""The default of a setting that has none."""

_CALL = """
def {op}({signature}):
    if others or more:                                                       | options
        refuse(op, [{inputs}], dict({settings_alone}), more, others)
    if where is not None:                                                    | masked
        return masked({inputs}, where{settings})
    if more or shape.__class__ is list:                                      | sizes
        shape = (shape, *more) if more else tuple(shape)
    {xs}, backend, data, edges = operands(op, {xs})                          | variadic
    if backend is None:                                                      | variadic
        backend = raw_backend()
        if backend is not None:
            return forward(backend, *{xs}{settings})
        return op.call((as_tensor({xs}[0]), *{xs}[1:]){settings})
    if isinstance({x}, Tensor):                                              | each input, first
        backend = {x}.backend
    elif isinstance({x}, Tensor):                                            | each input, later
        backend = {x}.backend
    else:                                                                    | fixed
        backend = raw_backend()
        if backend is not None:  # within a sweep: raw arrays in, raw arrays out
            return {raw_call}
        return op.call({as_tensors}{settings})
    {x}_data = {x}._data                                                     | each input, only
    {x}_node = {x}._node                                                     | each input, only
    if isinstance({x}, Tensor):                                              | each input, of_many
        if {x}.backend is not backend:                                       | later
            raise_mixed(op.name, {inputs})
        {x}_data = {x}._data
        {x}_node = {x}._node
    else:                                                                    | each input, of_many
        number = {x}.__class__ in NUMBERS
        {x}_data = {x} if number else operand(op, {x}, backend)
        {x}_node = None
    check_gradient(op.name, {x}, instead)                                    | each setting, checked
    if ({tracked}) and grad_enabled():                                       | undeclared
        raise_no_derivative(op)
    try:
        method = backend.{method}                                            | method
        {result} = {call}
    except Exception as error:
        explain(op, error, {arrays}, dict({settings_alone}))
        raise
    y = check_result(op, y, backend)                                         | checked, one_output
    y = check_results(op, y, backend)                                        | checked, outputs
    if y.__class__ is not backend.array_type:                                | trusted, one_output
        y = backend.asarray(y)
    node = None
    if ({tracked}) and grad_enabled(){is_float}:                             | differentiable
        node = new(Node)
        node.op = op
        node.birth = tick()
        node.edges = {edges}
        node.saved = {saved}
        node.settings = {settings_tuple}
        node.shape = {shape}
        node.dtype = {dtype}
        node.backend = backend
        node.hooks = None
    if on_call:
        tell(op, node, {arrays}, y, backend, {settings_tuple})
    out = new(Tensor)                                                        | one_output
    out._data = y                                                            | one_output
    out.backend = backend                                                    | one_output
    out.grad = None                                                          | one_output
    out._node = node                                                         | one_output
    out._shared = True                                                       | one_output, view
    return out                                                               | one_output
    if node is None:                                                         | outputs
        return [{tensor}(part, backend) for part in y]
    return [{tensor}(part, backend, {output}) for i, part in enumerate(y)]   | outputs
"""

_BACKWARD = """
def {op}_backward(node, saved, g, sweep):
    if node.birth < since:                                                   | redeclared
        raise_outdated(op)
    g = sweep.zeros_for_unused(g, node)                                      | outputs
    {setting_names}, = node.settings                                         | has_settings
    grads = sweep.grads
    {nodes} = node.edges                                                     | one_by_one
    {saved_names}, = saved                                                   | unpacks
    if {x}_node in grads:                                                    | each derivative
        part = {derivative}
        part = fit_gradient(op, part, {x!r}, {x}_node, sweep)                | checked
        if {part}.shape != {x}_node.shape or {part}.dtype is not {x}_node.dtype: | may_differ
            part = sweep.unbroadcast(part, {x}_node)
        if grads[{x}_node] is None:
            grads[{x}_node] = part
        else:
            sweep.add({x}_node, part)
    parts = fit_gradients(op, vjp_all({arguments}), node, sweep)             | together, checked
    parts = vjp_all({arguments})                                             | together, trusted
    for edge, part in zip(node.edges, parts, strict=True):                   | together
        if edge in grads:
            if part.shape != edge.shape or part.dtype is not edge.dtype:     | trusted
                part = sweep.unbroadcast(part, edge)
            if grads[edge] is None:
                grads[edge] = part
            else:
                sweep.add(edge, part)
"""


class _Line(NamedTuple):
    """A line of a template."""

    text: str
    indent: int
    each: str  # what it is written once per, or nothing
    conditions: list[str]


def _parse(template: str) -> Iterator[_Line]:
    """The lines of a template; lines that are indented deeper share the `each` of those above."""
    each = ""
    for line in template.strip().splitlines():
        text, _, margin = line.partition("|")
        indent = len(text) - len(text.lstrip())
        words = [word.strip() for word in margin.split(",")] if margin else []
        if indent <= 4:
            each = words.pop(0).removeprefix("each ") if margin.startswith(" each ") else ""
        yield _Line(text.rstrip(), indent, each, words)


_CALL_LINES, _BACKWARD_LINES = list(_parse(_CALL)), list(_parse(_BACKWARD))


def write(op: Any) -> str:
    """The text of the call, and of the backward step if a gradient flows to an input."""
    facts, items = _facts(op), _items(op)
    text = [*_fill(_CALL_LINES, facts, items), ""]
    if facts["differentiable"]:
        text += ["", *_fill(_BACKWARD_LINES, facts, items), ""]
    return "\n".join(text)


def _fill(
    template: list[_Line], facts: dict[str, Any], items: dict[str, list[dict[str, Any]]]
) -> Iterator[str]:
    """The lines that an op needs, with its facts in place of the names in braces."""
    for each, group in groupby(template, key=lambda line: line.each):
        lines = list(group)
        for item in items[each] if each else [{}]:
            yield from _select(lines, facts | item)


def _select(lines: list[_Line], facts: dict[str, Any]) -> Iterator[str]:
    """The lines whose conditions are true, filled in; with a line goes all that it indents."""
    left_out = 1000  # the indentation of the line that was left out last
    for line in lines:
        if line.indent > left_out:
            continue
        if all(facts[condition] for condition in line.conditions):
            left_out = 1000
            yield line.text.format_map(facts)
        else:
            left_out = line.indent


# --- what a template asks of an op -----------------------------------------------------------


def _facts(op: Any) -> dict[str, Any]:
    """The conditions and the texts that the templates name, of an op as a whole."""
    inputs, settings = op.inputs, op.settings
    passed = [f"{name}={name}" for name in settings]
    data = ["*data"] if op.variadic else [f"{x}_data" for x in inputs]
    method, call, raw_call = forward_texts(op, data)
    nodes = _join(f"{x}_node" for x in inputs)
    followed = [x for x in inputs if not op.declared or op.joint_vjp or op.derivatives.get(x)]
    sizes = [*settings][-1:] == ["shape"]  # x.reshape(2, 3) is x.reshape((2, 3))
    defaults = (name if d is REQUIRED else f"{name}={name}_default" for name, d in settings.items())
    is_float = (
        'any(part.dtype.kind == "f" for part in y)' if op.multi_output else 'y.dtype.kind == "f"'
    )
    output = "Output(node, i, part)"
    last = ["*more"] if sizes else ["where=None"] if op.masked else []
    # Arguments that it doesn't have; a shape may be given as more than one.
    options = not sizes and any(default is not REQUIRED for default in settings.values())
    last += ["*more", "**others"] if options else []
    return {
        "op": op.name,
        "sizes": sizes,
        "options": options,
        "masked": op.masked,
        "variadic": op.variadic,
        "fixed": not op.variadic,
        "checked": not op.trusted,
        "trusted": op.trusted,
        "undeclared": not op.declared,
        "redeclared": op.since,
        "differentiable": any((*op.derivatives.values(), op.joint_vjp)),
        "together": op.joint_vjp is not None,
        "one_by_one": op.joint_vjp is None,
        "outputs": op.multi_output,
        "one_output": not op.multi_output,
        "view": op.view,
        "has_settings": bool(settings),
        "unpacks": op.saved_names and not op.variadic,
        # Texts.
        "signature": ", ".join([*inputs, *defaults, *last]),
        "xs": inputs[0],
        "inputs": ", ".join(inputs),
        "as_tensors": ", ".join([f"as_tensor({inputs[0]})", *inputs[1:]]),
        "settings": "".join(f", {each}" for each in passed),
        "settings_alone": ", ".join(passed),
        "settings_tuple": f"({_join(settings)})",
        "setting_names": ", ".join(settings),
        "arrays": f"({_join(data)})",
        "nodes": nodes,
        "edges": "edges" if op.variadic else f"({nodes})",
        "tracked": "any(edges)" if op.variadic else _any_node(followed),
        "result": "y" if op.keeps is None else f"y, {op.keeps[0]}_data",
        "method": method,
        "call": call,
        "raw_call": raw_call,
        "is_float": "" if op.trusted else f" and {is_float}",
        "saved": _saved(op),
        "saved_names": ", ".join(op.saved_names),
        "shape": "[part.shape for part in y]" if op.multi_output else "y.shape",
        "dtype": _dtype(op),
        "tensor": "as_view" if op.view else "Tensor",
        "output": output if op.trusted else f'{output} if part.dtype.kind == "f" else None',
        "arguments": joint_arguments(op),
    }


def _items(op: Any) -> dict[str, list[dict[str, Any]]]:
    """What is true of each input, of each setting, and of each derivative."""
    inputs = () if op.variadic else op.inputs
    many = len(inputs) > 1
    return {
        "input": [
            {"x": x, "first": not i, "later": i, "only": not many, "of_many": many}
            for i, x in enumerate(inputs)
        ],
        "setting": [{"x": name} for name in op.settings],
        "derivative": [
            {
                "x": x,
                **derivative_text(op, x, fn),
                # What reads the only input or the output knows the shape and the dtype.
                "may_differ": op.trusted and (many or parameters(fn) == ("g",)),
            }
            for x, fn in ((x, op.derivatives.get(x)) for x in inputs)
            if fn is not None
        ],
    }


def _dtype(op: Any) -> str:
    """The dtype that cotangents have."""
    if not op.multi_output:
        return "y.dtype"
    if op.trusted:
        return "y[0].dtype if y else None"
    return 'next(part.dtype for part in y if part.dtype.kind == "f")'


def _saved(op: Any) -> str:
    """The saved slots; an array is kept only if a gradient that will be needed reads it."""
    if op.variadic:
        if "shapes" in op.saved_names:
            return "tuple(x.shape for x in data)"
        return "data" if op.saved_names else "()"
    derivatives = {x: fn for x, fn in op.derivatives.items() if fn is not None}
    slots = []
    for slot in op.saved_names:
        array = "y" if slot == "y" else f"{slot}_data"
        readers = [x for x, fn in derivatives.items() if slot in op.needs(fn)]
        some = op.joint_vjp is None and len(readers) < len(derivatives)
        slots.append(f"{array} if {_any_node(readers)} else None" if some else array)
    return f"({_join(slots)})"


def _any_node(inputs: Iterable[str]) -> str:
    """Whether a gradient flows to any of these inputs."""
    return " or ".join(f"{x}_node is not None" for x in inputs)


def _join(parts: Iterable[str]) -> str:
    """The text of a tuple without parentheses: a single part has a comma."""
    parts = list(parts)
    return f"{parts[0]}," if len(parts) == 1 else ", ".join(parts)
